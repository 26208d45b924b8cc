//! The disk fills up: what fits comes, what is whole is kept, and the rest comes when there is room.
//!
//! On a real small file system where the tests may mount one (root), by `--keep-free` and by the
//! system's own error numbers elsewhere.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rollbook_sandbox::{Endpoint, Options, Sandbox};
use support::{Ran, World};

/// A file system in memory, unmounted at the end.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// `None` where this user may not mount.
    fn mount(at: &'a Path, kib: u64) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={kib}k");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "rollbook-test"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at)),
            _ => {
                eprintln!("skipped: this user may not mount a small file system");
                None
            }
        }
    }

    fn resize(&self, kib: u64) {
        let options = format!("remount,size={kib}k");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

/// A large video among small photos.
fn library() -> Options {
    Options { assets: 12, large_video_mb: Some(20), ..Options::default() }
}

fn truth_bytes(sandbox: &Sandbox) -> u64 {
    sandbox.truth().iter().map(|file| file.size).sum()
}

fn published_bytes(world: &World) -> u64 {
    world.published().keys().map(|path| fs::metadata(world.photos().join(path)).unwrap().len()).sum()
}

/// A run that ended early says so, and not what it cannot know.
fn assert_claims_nothing(ran: &Ran, when: &str) {
    let said = ran.stdout();
    assert!(said.is_empty() || said.starts_with("so far: "), "{when}: {said}");
    assert!(!said.contains("nothing new"), "{when}: {said}");
}

/// There is room again: the next run needs nobody, and fetches what is missing, once.
fn goes_on(world: &World, what: &str) {
    let home = published_bytes(world);
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    world.assert_complete();
    let fetched = world.sandbox.counters().cdn_bytes;
    assert!(fetched <= truth_bytes(&world.sandbox) - home, "{what}: {fetched} came, {home} were home");
    world.run(&["journal", "check"], 0);
}

#[test]
fn a_file_that_does_not_fit_waits_and_the_others_come() {
    let world = World::new(library());
    let photos = world.photos();
    let Some(disk) = Small::mount(&photos, 16 * 1024) else { return };
    let ran = Ran(world.rollbook(&["sync"]).output().unwrap());
    let told = ran.stderr();
    assert_eq!(ran.0.status.code(), Some(4), "{told}");
    // Foretold with figures, and said at the end with figures and the place.
    assert!(told.contains("are still to come, and there is room for"), "{told}");
    assert!(told.contains("no room for 1 file") && told.contains(&*photos.to_string_lossy()), "{told}");
    // All but the video; of that, nothing: no attempt, no part, no claim.
    assert_eq!(world.published().len(), world.sandbox.truth().len() - 1);
    assert_eq!(world.tree().len(), world.published().len(), "no part is left");
    assert_eq!(world.count("state = 'pending' AND attempts = 0 AND claim_run_id IS NULL"), 1);
    assert_eq!(world.count("state = 'verified'"), world.published().len() as i64);
    // As long as nothing changes, nothing is fetched again.
    world.sandbox.reset_counters();
    world.run(&["sync"], 4);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);
    let plan = world.run(&["plan", "--json"], 0).stdout();
    assert!(plan.contains("\"enough\": false"), "{plan}");
    disk.resize(64 * 1024);
    goes_on(&world, "a larger disk");
}

#[test]
fn a_disk_that_is_really_full_keeps_what_is_whole() {
    for keep_free in ["0", "1MB"] {
        // Many small files, none of which is reserved for: the system says when it is full.
        let world = World::new(Options { assets: 60, mean_size_bytes: Some(150_000), ..Options::default() });
        let photos = world.photos();
        let Some(disk) = Small::mount(&photos, 6 * 1024) else { return };
        let ran = Ran(world.rollbook(&["sync", "--keep-free", keep_free]).output().unwrap());
        assert_eq!(ran.0.status.code(), Some(4), "{}", ran.stderr());
        assert!(ran.stderr().contains("error: the destination is full"), "{}", ran.stderr());
        assert!(!world.published().is_empty());
        world.assert_rows_are_true();
        assert_eq!(world.count("state = 'failed' OR claim_run_id IS NOT NULL"), 0, "no attempt is counted");
        disk.resize(64 * 1024);
        goes_on(&world, keep_free);
    }
}

#[test]
fn what_the_system_says_is_passed_on_with_its_number_and_the_path() {
    // 28: no space left on device. 122: quota exceeded.
    for errno in [28, 122] {
        for step in ["create@3", "write@5", "sync@2", "rename@4", "mkdir@2", "syncdir@3"] {
            let world = World::new(Options { assets: 12, ..Options::default() });
            // One at a time: which way a larger group is synced is the disk's affair.
            let mut sync = world.rollbook(&["sync"]);
            sync.env("ROLLBOOK_FAULT", format!("{errno}:{step}")).env("ROLLBOOK_FAULT_GROUP", "1");
            let ran = Ran(sync.output().unwrap());
            let told = ran.stderr();
            assert_eq!(ran.0.status.code(), Some(4), "{errno}:{step}: {told}");
            assert!(told.contains(&format!("os error {errno}")), "{errno}:{step}: {told}");
            assert!(told.contains(&*world.photos().to_string_lossy()), "{errno}:{step}: {told}");
            assert_claims_nothing(&ran, step);
            assert_eq!(world.count("state = 'failed' OR claim_run_id IS NOT NULL"), 0, "{errno}:{step}");
            world.assert_rows_are_true();
            goes_on(&world, step);
        }
    }
}

#[test]
fn room_that_is_to_stay_free_stays_free() {
    let world = World::new(library());
    let told = world.run(&["sync", "--keep-free", "1000000TB"], 4).stderr();
    assert!(told.contains("stay free"), "{told}");
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0, "nothing is fetched that has no place");
    assert!(world.tree().is_empty());
    goes_on(&world, "kept free");
    let told = world.run(&["sync", "--keep-free", "much"], 2).stderr();
    assert!(told.contains("keep-free") && told.contains("500MB"), "{told}");
}

#[test]
fn files_that_stand_need_no_room() {
    // A journal that is made anew on a full disk.
    let world = World::new(Options { assets: 12, ..Options::default() });
    world.run(&["sync"], 0);
    world.run(&["journal", "rebuild"], 0);
    world.sandbox.reset_counters();
    world.run(&["sync", "--keep-free", "1000000TB"], 0);
    world.assert_complete();
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);
}

#[test]
fn a_watch_goes_on_alone_when_there_is_room() {
    let world = World::new(library());
    let photos = world.photos();
    let Some(disk) = Small::mount(&photos, 16 * 1024) else { return };
    let mut watch = world.spawn(&["sync", "--watch-with-interval", "1s"]);
    let home = world.sandbox.truth().len() as i64 - 1;
    support::wait_until("what fits", || world.try_count("state = 'verified'").unwrap_or(0) == home);
    disk.resize(64 * 1024);
    support::wait_until("the rest", || world.try_count("state = 'verified'").unwrap_or(0) == home + 1);
    support::terminate(&mut watch);
    world.assert_complete();
}

#[test]
fn a_full_disk_under_the_journal_ends_the_run_and_the_journal_opens_again() {
    let world = World::new(Options { assets: 60, ..Options::default() });
    let data = world.data_dir();
    let Some(disk) = Small::mount(&data, 400) else { return };
    let ran = Ran(world.rollbook(&["sync"]).output().unwrap());
    assert_eq!(ran.0.status.code(), Some(4), "{}", ran.stderr());
    assert!(ran.stderr().contains("full") && ran.stderr().contains("journal.db"), "{}", ran.stderr());
    disk.resize(64 * 1024);
    goes_on(&world, "the journal's disk");
}

#[test]
fn whichever_commit_finds_the_disk_of_the_journal_full_that_is_what_is_told() {
    let tells_it = |ran: &Ran, when: &str| {
        let told = ran.stderr();
        assert_eq!(ran.0.status.code(), Some(4), "{when}: {told}");
        assert!(told.contains("no space is left") && told.contains("free some"), "{when}: {told}");
        assert!(!told.contains("closed") && !told.contains("journal check"), "{when}: {told}");
        assert_claims_nothing(ran, when);
    };
    for commit in 1..=24 {
        let world = World::new(Options { assets: 12, ..Options::default() });
        let fault = format!("28:commit@{commit}");
        let ran = Ran(world.rollbook(&["sync"]).env("ROLLBOOK_FAULT", &fault).output().unwrap());
        tells_it(&ran, &fault);
    }
    let world = World::new(Options { assets: 12, ..Options::default() });
    world.run(&["sync"], 0);
    let relayout = ["relayout", "--folder-structure", "none"];
    for verb in [&["verify", "--all"][..], &["audit"], &["adopt"], &["refetch", "--all"], &relayout] {
        let ran = Ran(world.rollbook(verb).env("ROLLBOOK_FAULT", "28:commit").output().unwrap());
        tells_it(&ran, &verb.join(" "));
    }
    goes_on(&world, "there is room again");
}

#[test]
fn a_session_that_finds_no_room_leaves_nothing_half_written() {
    let world = World::new(Options::default());
    let data = world.data_dir();
    let Some(disk) = Small::mount(&data, 4 * 1024) else { return };
    // A journal first, and then a disk that is full: a name is to be had, and no room for a byte.
    world.run(&["login"], 0);
    let session = session_of(&data).expect("a session");
    fs::remove_file(&session).unwrap();
    let filled = fs::write(data.join("filler"), vec![0; 8 * 1024 * 1024]);
    assert_eq!(filled.unwrap_err().raw_os_error(), Some(28));
    world.run(&["login"], 4);
    let left: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");
    assert_eq!(session_of(&data), None);
    disk.resize(64 * 1024);
    world.run(&["login"], 0);
    assert_eq!(session_of(&data), Some(session));
}

#[test]
fn a_key_that_finds_no_room_is_in_nobodys_way_when_there_is_some() {
    let world = World::new(Options::default());
    let keys = world.data_dir().with_file_name("keys");
    let Some(_disk) = Small::mount(&keys, 64) else { return };
    let (key, filler) = (keys.join("key"), keys.join("filler"));
    let filled = fs::write(&filler, vec![0; 128 * 1024]);
    assert_eq!(filled.unwrap_err().raw_os_error(), Some(28));
    let save = ["login", "--save", "--key-file", key.to_str().unwrap()];
    world.run(&save, 2);
    assert!(!key.exists());
    fs::remove_file(&filler).unwrap();
    world.run(&save, 0);
}

fn session_of(data: &Path) -> Option<PathBuf> {
    let mut paths = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    paths.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("session-"))
}
