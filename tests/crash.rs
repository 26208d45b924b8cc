//! Kill it any time, cut the power, fail any step: the next run repairs it, alone.
//!
//! The binary under test has fault points (feature `faults`): each system call that changes the
//! disk and each commit of the journal is a numbered step. These tests kill a run before its n-th
//! step (each of the first 80, then every third), cut the power at every second one, let steps
//! fail, and compare tree, rows and bytes with the truth.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use rollbook_sandbox::{Options, Sandbox};
use support::World;

/// What one promise covers.
const PROMISE_BYTES: u64 = 8 * 1024 * 1024;
/// What the sandbox may have sent and nobody received: the largest buffers of a loopback connection
/// (6 MiB to receive and 4 MiB to send are the defaults of Linux).
const IN_FLIGHT_BYTES: u64 = 10 * 1024 * 1024;
const LARGE_MB: u32 = 20;

fn library() -> Options {
    Options { assets: 5, large_video_mb: Some(LARGE_MB), ..Options::default() }
}

/// Runs with a fault. Gives the exit code, or `None` if it was killed.
fn run_with(world: &World, fault: &str, log: Option<&Path>) -> Option<i32> {
    let mut command = world.rollbook(&["sync", "--threads-num", "3"]);
    command.env("ROLLBOOK_FAULT", fault);
    if let Some(log) = log {
        command.env("ROLLBOOK_FAULT_LOG", log);
    }
    let output = command.output().unwrap();
    assert!(output.status.code().is_some() || output.status.signal() == Some(9), "{output:?}");
    output.status.code()
}

/// Steps of a run that nothing disturbs.
fn steps_of_a_whole_run() -> u64 {
    let world = World::new(library());
    let log = world.log_file();
    assert_eq!(run_with(&world, "kill:1000000", Some(&log)), Some(0));
    read_log(&log).len() as u64
}

#[test]
fn a_kill_before_any_step_is_repaired_by_the_next_run() {
    let steps = steps_of_a_whole_run();
    assert!(steps > 60, "the run has durable steps: {steps}");
    let mut killed = 0;
    let mut n = 1;
    while n <= steps {
        let world = World::new(library());
        killed += u64::from(run_with(&world, &format!("kill:{n}"), None).is_none());
        if world.data_dir().join("journal.db").exists() && world.try_count("1").is_some() {
            world.assert_rows_are_true();
        }
        let kept = world.bytes_kept();
        let fetched = world.sandbox.counters().cdn_bytes;
        world.run(&["sync"], 0);
        world.assert_complete();
        let again = world.sandbox.counters().cdn_bytes - fetched;
        let truth: u64 = world.sandbox.truth().iter().map(|file| file.size).sum();
        assert!(again <= truth - kept, "kill:{n}: {again} bytes came, {kept} of {truth} were promised");
        // What was sent and not promised: one promise of the large file, the small ones in flight,
        // and what the sockets still held.
        let lost = fetched.saturating_sub(kept);
        assert!(lost <= PROMISE_BYTES + IN_FLIGHT_BYTES, "kill:{n}: {lost} bytes were lost");
        // Dense where many files are in flight, wider where only the large one grows.
        n += if n < 80 { 1 } else { 3 };
    }
    assert!(killed > 60, "{killed} kills of {steps} steps");
}

#[test]
fn any_step_that_fails_once_loses_nothing() {
    // EIO and ENOSPC, at every tenth step and at every kind of step.
    let named = ["create", "write", "sync", "rename", "syncdir", "mkdir", "unlink", "commit"];
    let faults = named.iter().map(|name| name.to_string()).chain((1..60).step_by(5).map(|n| n.to_string()));
    for which in faults {
        for errno in [5, 28] {
            let world = World::new(Options { assets: 4, ..Options::default() });
            let fault = format!("{errno}:{which}");
            let code = run_with(&world, &fault, None);
            assert!(matches!(code, Some(0 | 1 | 2 | 4)), "{fault} ends with {code:?}");
            if world.try_count("1").is_some() {
                world.assert_rows_are_true();
            }
            world.run(&["sync", "--retry-failed"], 0);
            world.assert_complete();
        }
    }
}

/// A durable step as the log has it.
struct Logged {
    name: String,
    path: PathBuf,
    more: Vec<String>,
}

fn read_log(path: &Path) -> Vec<Logged> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        // Points of the engine change nothing.
        .filter(|line| !line.starts_with('-'))
        .map(|line| {
            let mut fields = line.split('\t').skip(1).map(str::to_owned);
            let (name, path) = (fields.next().unwrap(), fields.next().unwrap().into());
            Logged { name, path, more: fields.collect() }
        })
        .collect()
}

/// Takes back what a power cut may take back: writes without a sync of their file behind them,
/// names without a sync of their folder. `survives` decides for each; what a sync covers stays.
///
/// Harsher than most file systems: nothing is promised but what was synced.
fn cut_the_power(log: &[Logged], mut survives: impl FnMut() -> bool) {
    // Where each path's file is now, after later renames.
    let mut names: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut synced_files: BTreeSet<PathBuf> = BTreeSet::new();
    let mut synced_folders: BTreeSet<PathBuf> = BTreeSet::new();
    // Two workers may make one folder: the second attempt finds it there, and does nothing.
    let mut made = BTreeSet::new();
    let happened = |step: &&Logged| step.name != "mkdir" || made.insert(step.path.clone());
    let log: Vec<&Logged> = log.iter().filter(happened).collect();
    // Backwards: a sync covers what came before it.
    for step in log.into_iter().rev() {
        let now = names.get(&step.path).cloned().unwrap_or_else(|| step.path.clone());
        let folder = step.path.parent().unwrap().to_owned();
        match step.name.as_str() {
            "sync" => {
                synced_files.insert(now);
            }
            "syncdir" => {
                synced_folders.insert(step.path.clone());
            }
            "rename" => {
                let new = PathBuf::from(&step.more[0]);
                let is = names.get(&new).cloned().unwrap_or(new);
                if !synced_folders.contains(&folder) && !survives() && is.exists() {
                    fs::rename(&is, &step.path).unwrap();
                    if synced_files.remove(&is) {
                        synced_files.insert(step.path.clone());
                    }
                } else {
                    if is.exists() || synced_files.contains(&is) {
                        names.insert(step.path.clone(), is);
                    }
                }
            }
            "write" if !synced_files.contains(&now) && !survives() => {
                lose_write(&now, step.more[0].parse().unwrap(), step.more[1].parse().unwrap());
            }
            "create" if !synced_folders.contains(&folder) && !survives() => {
                let _ = fs::remove_file(&now);
            }
            "mkdir" if !synced_folders.contains(&folder) && !survives() => {
                let _ = fs::remove_dir_all(&step.path);
            }
            _ => {}
        }
    }
}

/// Bytes that never reached the disk read as zeros, or the file is shorter.
fn lose_write(path: &Path, offset: u64, len: u64) {
    let Ok(mut file) = fs::OpenOptions::new().write(true).open(path) else { return };
    let size = file.metadata().unwrap().len();
    if offset >= size {
        return;
    }
    if offset + len >= size {
        file.set_len(offset).unwrap();
    } else {
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(&vec![0; len as usize]).unwrap();
    }
}

/// Whether a verified row has no true file: what a power cut must never bring about.
fn broken_promises(world: &World) -> Vec<String> {
    let tree = world.tree();
    let journal = world.journal();
    let Ok(mut statement) = journal.prepare("SELECT path, sha256 FROM v_file WHERE state = 'verified'")
    else {
        return Vec::new();
    };
    let rows = statement.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?))).unwrap();
    rows.map(Result::unwrap)
        .filter(|(path, sha256)| tree.get(path) != Some(sha256))
        .map(|(path, _)| path)
        .collect()
}

/// Runs with a fault, cuts the power, and counts the broken promises.
fn after_a_cut(fault: &str, survives: impl FnMut() -> bool) -> (World, Vec<String>) {
    let world = World::new(library());
    let log = world.log_file();
    run_with(&world, fault, Some(&log));
    cut_the_power(&read_log(&log), survives);
    let broken = if world.try_count("1").is_some() { broken_promises(&world) } else { Vec::new() };
    (world, broken)
}

#[test]
fn a_power_cut_at_any_step_breaks_no_promise() {
    let steps = steps_of_a_whole_run();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut coin = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random & 1 == 0
    };
    let mut states = 0;
    for n in (2..=steps + 1).step_by(2) {
        // All that is not synced is lost; then half of it, by chance.
        let (world, broken) = if n % 4 == 0 {
            after_a_cut(&format!("kill:{n}"), || false)
        } else {
            after_a_cut(&format!("kill:{n}"), &mut coin)
        };
        assert!(broken.is_empty(), "kill:{n}: verified without a true file: {broken:?}");
        world.run(&["sync", "--retry-failed"], 0);
        world.assert_complete();
        states += 1;
    }
    assert!(states > 30);
}

#[test]
fn the_power_cut_is_not_blind_a_missing_sync_is_found_out() {
    for skipped in ["sync", "syncdir"] {
        let (_world, broken) = after_a_cut(&format!("skip:{skipped}"), || false);
        assert!(!broken.is_empty(), "without {skipped} the promise must break");
    }
}

#[test]
fn a_sandbox_is_the_same_library_every_time() {
    // The comparisons above rest on it.
    let names =
        |sandbox: &Sandbox| -> Vec<String> { sandbox.truth().into_iter().map(|f| f.sha256).collect() };
    assert_eq!(names(&Sandbox::start(library())), names(&Sandbox::start(library())));
}
