//! Scenes: the worlds in which a run is disturbed, and what an undisturbed run makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, OnceLock};

use rollbook_sandbox::{Endpoint, Fault, Options, Rendition, Target, Times, What};

use crate::support::{World, signal, wait_until};

/// Large enough for two promises and a rest.
pub(crate) const LARGE_MB: u32 = 17;

/// What a run finds when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scene {
    /// Nothing: a first run.
    First,
    /// Addresses that have run out when they are used.
    Expired,
    /// A file that is not there when it is first asked for.
    Refused,
    /// A stranger's file under the first name.
    Stranger,
    /// A stranger's file that comes to the first name after our bytes are proved, before they are published.
    Ambush,
    /// A run was killed before its first promise.
    Begun,
    /// A run was killed after its first promise.
    Half,
    /// The same, and the part file is gone.
    Broken,
    /// The same, and one bit of the part file has flipped.
    Flipped,
    /// A run was killed with a file published and its row not told.
    Orphan,
    /// Every oddity that a record can have, checksums of an unknown form among them.
    Odd,
}

/// What comes of a scene when nothing disturbs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) tree: BTreeMap<String, String>,
    pub(crate) rows: Vec<String>,
}

impl Outcome {
    pub(crate) fn of(world: &World, code: i32) -> Self {
        Self { code, tree: world.tree(), rows: rows(world) }
    }
}

pub(crate) fn library() -> Options {
    Options { assets: 4, large_video_mb: Some(LARGE_MB), ..Options::default() }
}

impl Scene {
    /// Sets the scene, up to the run that is to be disturbed.
    pub(crate) fn set(self) -> World {
        let world = World::new(match self {
            Self::Odd => Options { assets: 2, odd_records: true, ..Options::default() },
            _ => library(),
        });
        match self {
            Self::First | Self::Odd => {}
            Self::Expired => {
                let refused =
                    Fault { on: Target::of(Endpoint::Cdn), times: Times::Count(3), what: What::status(410) };
                world.sandbox.faults().add(refused);
            }
            Self::Refused => {
                let file = first_original(&world);
                let on = Target::file(file, Rendition::Original);
                world.sandbox.faults().add(Fault { on, times: Times::Count(1), what: What::status(404) });
            }
            Self::Stranger => {
                world.run(&["plan"], 0);
                plant(&world.photos().join(first_path(&world)));
            }
            Self::Ambush => {
                world.run(&["plan"], 0);
            }
            Self::Half | Self::Broken | Self::Flipped => {
                assert!(self.run(&world, "kill:promised").is_none());
                let parts = world.tree().into_keys().filter(|path| is_part(path));
                for part in parts.map(|path| world.photos().join(path)) {
                    match self {
                        Self::Half => {}
                        Self::Broken => fs::remove_file(part).unwrap(),
                        _ => flip_bit(&part),
                    }
                }
            }
            Self::Begun => assert!(self.run(&world, "kill:written").is_none()),
            Self::Orphan => assert!(self.run(&world, "kill:folders-synced").is_none()),
        }
        world
    }

    /// Runs with a fault. Gives the exit code, or `None` if the run was killed.
    pub(crate) fn run(self, world: &World, fault: &str) -> Option<i32> {
        if self == Self::Ambush {
            let first = world.photos().join(first_path(world));
            return ended(stopped_at(world, "checked@1", fault, 1, || plant(&first)));
        }
        // Many groups of few files, so that there is a middle of things.
        run_grouped(world, fault, None, "2")
    }

    /// Whether the part file that the journal promised is there; else its bytes come again.
    pub(crate) fn keeps_its_promise(self) -> bool {
        !matches!(self, Self::Broken | Self::Flipped)
    }

    /// What an undisturbed run makes of it.
    pub(crate) fn outcome(self) -> &'static Outcome {
        static KNOWN: Mutex<BTreeMap<Scene, &'static OnceLock<Outcome>>> = Mutex::new(BTreeMap::new());
        let cell = *KNOWN.lock().unwrap().entry(self).or_insert_with(|| Box::leak(Box::default()));
        cell.get_or_init(|| {
            let world = self.set();
            let code = self.run(&world, "").unwrap();
            // Some files of odd records have no address at all.
            assert_eq!(code, if self == Self::Odd { 1 } else { 0 }, "{self:?}");
            world.assert_rows_are_true();
            if !matches!(self, Self::Stranger | Self::Ambush | Self::Odd) {
                world.assert_complete();
            }
            Outcome::of(&world, code)
        })
    }
}

/// Flips a bit in the middle of a file.
pub(crate) fn flip_bit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(path, bytes).unwrap();
}

pub(crate) fn is_part(path: &str) -> bool {
    path.ends_with(".part")
}

fn first_original(world: &World) -> String {
    let truth = world.sandbox.truth();
    truth.into_iter().find(|file| file.rendition == Rendition::Original).unwrap().asset_record
}

/// The path of the row that is claimed first.
pub(crate) fn first_path(world: &World) -> String {
    let sql = "SELECT path FROM v_file ORDER BY file_id LIMIT 1";
    world.journal().query_row(sql, [], |r| r.get(0)).unwrap()
}

/// Puts a stranger's file there.
pub(crate) fn plant(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, b"a stranger's file").unwrap();
}

/// Runs with a fault. Gives the exit code, or `None` if the run was killed.
pub(crate) fn run_with(world: &World, fault: &str, log: Option<&Path>) -> Option<i32> {
    run_grouped(world, fault, log, "")
}

/// The same with at most so many files made durable together.
fn run_grouped(world: &World, fault: &str, log: Option<&Path>, group: &str) -> Option<i32> {
    let mut command = world.rollbook(&["sync", "--threads-num", "3"]);
    command.env("ROLLBOOK_FAULT", fault).env("ROLLBOOK_FAULT_GROUP", group);
    if let Some(log) = log {
        command.env("ROLLBOOK_FAULT_LOG", log);
    }
    let output = command.output().unwrap();
    ended(output.status)
}

pub(crate) fn ended(status: ExitStatus) -> Option<i32> {
    assert!(status.code().is_some() || status.signal() == Some(9), "{status:?}");
    status.code()
}

/// Runs until the process stops itself at a point, acts while it stands still, and lets it end.
pub(crate) fn stopped_at(
    world: &World,
    point: &str,
    fault: &str,
    threads: u32,
    act: impl FnOnce(),
) -> ExitStatus {
    let comma = if fault.is_empty() { "" } else { "," };
    let mut command = world.rollbook(&["sync", "--threads-num", &threads.to_string()]);
    let mut run = command.env("ROLLBOOK_FAULT", format!("stop:{point}{comma}{fault}")).spawn().unwrap();
    wait_until("the run to stop itself", || is_stopped(&mut run));
    act();
    signal(&run, "CONT");
    run.wait().unwrap()
}

fn is_stopped(run: &mut Child) -> bool {
    if let Some(status) = run.try_wait().unwrap() {
        panic!("the run ended before its stop: {status}");
    }
    let tasks = fs::read_dir(format!("/proc/{}/task", run.id())).into_iter().flatten().flatten();
    // Every thread of it. The state follows the name, which stands in brackets.
    tasks
        .map(|task| fs::read_to_string(task.path().join("stat")).unwrap_or_default())
        .all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
}

/// Every row of `asset` and `asset_file`, column by column: whatever a later version adds is compared too.
/// Of times only whether there is one; no ids of rows and runs.
pub(crate) fn rows(world: &World) -> Vec<String> {
    let journal = world.journal();
    let mut found = Vec::new();
    for (table, from) in [("asset", "asset t"), ("asset_file", "asset_file t JOIN asset USING (asset_id)")] {
        let mut columns = vec!["quote(record_name)".to_owned()];
        let mut names = journal.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
        for name in names.query_map([], |r| r.get::<_, String>(0)).unwrap().map(Result::unwrap) {
            if name.ends_with("_at") {
                columns.push(format!("'{name}=' || (t.{name} IS NOT NULL)"));
            } else if !name.ends_with("_id") && name != "record_name" {
                columns.push(format!("'{name}=' || quote(t.{name})"));
            }
        }
        let sql = format!("SELECT {} FROM {from} ORDER BY 1", columns.join(" || ' ' || "));
        let mut statement = journal.prepare(&sql).unwrap();
        found.extend(statement.query_map([], |r| r.get::<_, String>(0)).unwrap().map(Result::unwrap));
    }
    found
}
