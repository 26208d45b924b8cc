//! Kill it, or cut the power, while a journal takes another's place or a snapshot is made: there is the old
//! journal or the new one, no journal is lost, and the next sync fetches nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rollbook_sandbox::{Endpoint, Kind, Options};

use crate::pool;
use crate::power::{LOSSES, Loss, cut_the_power, read_log};
use crate::scene::ended;
use crate::support::World;

/// A synced world whose journal is ahead of its only snapshot, in its log, because the last run was killed
/// at its end.
struct Kept {
    world: World,
    copy: PathBuf,
}

impl Kept {
    fn new() -> Self {
        let world = World::new(Options { assets: 4, mean_size_bytes: Some(2_000), ..Options::default() });
        world.run(&["sync"], 0);
        world.sandbox.library().add_asset(Kind::Jpeg);
        let killed = world.rollbook(&["sync"]).env("ROLLBOOK_FAULT", "kill:run-ending").output().unwrap();
        assert_eq!(ended(killed.status), None);
        assert!(fs::metadata(log_of(&world)).unwrap().len() > 0, "the log was left");
        let copy = world.data_dir().with_extension("copy");
        copy_folder(&world.data_dir(), &copy);
        Self { world, copy }
    }

    /// The data directory as it was.
    fn again(&self) -> &World {
        fs::remove_dir_all(self.world.data_dir()).unwrap();
        copy_folder(&self.copy, &self.world.data_dir());
        let _ = fs::remove_file(self.world.log_file());
        self.world.sandbox.reset_counters();
        &self.world
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn journal_of(world: &World) -> PathBuf {
    world.data_dir().join("journal.db")
}

fn log_of(world: &World) -> PathBuf {
    world.data_dir().join("journal.db-wal")
}

/// The bytes of every file in the data directory, by name.
fn held(world: &World) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(world.data_dir()).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect()
}

/// Journal and log as one pair of bytes, under whatever name they stand together.
fn pairs(world: &World) -> Vec<(Vec<u8>, Vec<u8>)> {
    let held = held(world);
    let main = held.iter().filter(|(name, _)| name.ends_with(".db"));
    main.map(|(name, bytes)| (bytes.clone(), held.get(&format!("{name}-wal")).cloned().unwrap_or_default()))
        .collect()
}

/// Nothing that is half made is left once a command had the lock.
fn assert_tidy(world: &World, when: &str) {
    let names: Vec<String> = held(world).into_keys().collect();
    assert!(!names.iter().any(|name| name.ends_with(".next") || name.contains(".new")), "{when}: {names:?}");
    assert!(!world.data_dir().join("snapshots/new.db").exists(), "{when}: half a snapshot");
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[..512].fill(0);
    fs::write(path, bytes).unwrap();
}

/// What was done to a journal before it is replaced, and by which command.
#[derive(Clone, Copy, Debug)]
struct Job {
    verb: &'static str,
    damaged: bool,
    /// What a power cut takes; `None` for a kill alone.
    loss: Option<Loss>,
}

fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for verb in ["restore", "rebuild"] {
        for damaged in [false, true] {
            let losses = LOSSES.map(Some);
            jobs.extend(losses.into_iter().chain([None]).map(|loss| Job { verb, damaged, loss }));
        }
    }
    jobs
}

#[test]
fn a_journal_is_the_old_one_or_the_new_one_wherever_its_replacement_ends() {
    let ended_at = std::sync::atomic::AtomicU64::new(0);
    pool::each(
        &jobs(),
        |job| format!("{job:?}"),
        |job| {
            let kept = Kept::new();
            let mut n = 1;
            loop {
                let world = kept.again();
                let when = format!("kill:{n}");
                if job.damaged {
                    damage(&journal_of(world));
                }
                let before = (fs::read(journal_of(world)).unwrap(), fs::read(log_of(world)).unwrap());
                let mut command = world.rollbook(&["journal", job.verb]);
                command.env("ROLLBOOK_FAULT", &when).env("ROLLBOOK_FAULT_LOG", world.log_file());
                let code = ended(command.output().unwrap().status);
                assert!(matches!(code, None | Some(0)), "{when}: {code:?}");
                if let Some(loss) = job.loss {
                    cut_the_power(&read_log(&world.log_file()), loss.seeded(n));
                }
                // The next command with the lock ends what was decided, and the old bytes stand together.
                let check = world.rollbook(&["journal", "check"]).output().unwrap().status.code();
                assert!(check == Some(0) || (job.damaged && check == Some(2)), "{when}: {check:?}");
                assert_tidy(world, &when);
                if check == Some(2) {
                    assert_eq!(fs::read(journal_of(world)).unwrap(), before.0, "{when}: left as it was");
                } else if code == Some(0) || job.damaged {
                    assert!(pairs(world).contains(&before), "{when}: the old journal with its log");
                }
                if check == Some(2) {
                    world.run(&["journal", job.verb], 0);
                    assert!(pairs(world).contains(&before), "{when}: the old journal with its log");
                }
                world.run(&["sync"], 0);
                assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0, "{when}: nothing is fetched");
                world.assert_complete();
                if code == Some(0) {
                    break;
                }
                n += 1;
            }
            assert!(n > 6, "the replacement has durable steps: {n}");
            ended_at.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
        },
    );
    let ended_at = ended_at.into_inner();
    println!("ended {ended_at} replacements of a journal");
    assert!(ended_at >= 250, "the README says so");
}

#[test]
fn a_snapshot_is_whole_or_none_wherever_the_making_of_it_ends() {
    let losses: Vec<Option<Loss>> = LOSSES.into_iter().map(Some).chain([None]).collect();
    pool::each(
        &losses,
        |loss| format!("{loss:?}"),
        |loss| {
            let world = World::new(Options { assets: 2, mean_size_bytes: Some(2_000), ..Options::default() });
            // As many as are kept: the next one lets go of the oldest.
            for _ in 0..3 {
                world.run(&["sync"], 0);
                world.sandbox.library().add_asset(Kind::Jpeg);
            }
            world.run(&["sync"], 0);
            for (n, point) in SNAPSHOT.into_iter().enumerate() {
                world.sandbox.library().add_asset(Kind::Jpeg);
                let log = world.log_file();
                let _ = fs::remove_file(&log);
                let mut command = world.rollbook(&["sync"]);
                command.env("ROLLBOOK_FAULT", format!("kill:{point}")).env("ROLLBOOK_FAULT_LOG", &log);
                assert_eq!(ended(command.output().unwrap().status), None, "{point} is reached");
                if let Some(loss) = loss {
                    cut_the_power(&read_log(&log), loss.seeded(n as u64));
                }
                assert!(sound_snapshots(&world) >= 3, "{point}: those of before are there");
                world.sandbox.reset_counters();
                world.run(&["sync"], 0);
                assert_tidy(&world, point);
                assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0, "{point}: nothing is fetched");
                world.assert_complete();
            }
            // What kills left over goes with the next that is made.
            world.sandbox.library().add_asset(Kind::Jpeg);
            world.run(&["sync"], 0);
            assert_eq!(sound_snapshots(&world), 3);
        },
    );
    println!("ended {} snapshots", losses.len() * SNAPSHOT.len());
}

/// The steps of a snapshot, and the points between them.
const SNAPSHOT: [&str; 6] =
    ["snapshot", "snapshot-sync", "snapshot-rename", "snapshot-named", "snapshot-kept", "snapshot-unlink"];

/// How many snapshots there are. Each is sound.
fn sound_snapshots(world: &World) -> usize {
    let listed = world.run(&["journal", "snapshots", "--json"], 0).stdout();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let listed = listed.as_array().unwrap();
    for path in listed.iter().map(|one| PathBuf::from(one["path"].as_str().unwrap())) {
        let examined = rollbook::journal::examine(&path).unwrap();
        assert!(examined.flaws.is_empty(), "{path:?}: {:?}", examined.flaws);
    }
    listed.len()
}
