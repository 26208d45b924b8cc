//! Whatever the disk does: the run says so, loses nothing, and goes on when it is well again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rollbook_sandbox::{Endpoint, Fault, Options, What};

use crate::pool;
use crate::scene::{self, Scene, ended, first_path, is_part, plant, run_with, stopped_at};
use crate::support::{World, sha256};

/// The error numbers of Linux.
const ERRORS: [(i32, &str); 7] = [
    (1, "EPERM"),
    (5, "EIO"),
    (13, "EACCES"),
    (24, "EMFILE"),
    (28, "ENOSPC"),
    (30, "EROFS"),
    (122, "EDQUOT"),
];

/// What is tried, and the end of a run in which it fails once: with an error of this one file, and with
/// one that concerns the whole disk.
const STEPS: [(&str, i32, i32); 11] = [
    // The second attempt of the same run brings a file home that failed for itself.
    ("create", 0, 4),
    ("write", 0, 4),
    ("sync", 0, 4),
    ("rename", 0, 4),
    ("unlink", 0, 4),
    ("mkdir", 0, 4),
    ("syncdir", 0, 4),
    // A time that cannot be set is told, and is no failure.
    ("utimes", 0, 0),
    // Before the run: nothing works without a marker.
    ("marker", 4, 4),
    // The journal: whatever it is, it is its end.
    ("commit", 4, 4),
    ("committed", 4, 4),
];

fn concerns_all(errno: i32) -> bool {
    matches!(errno, 24 | 28 | 30 | 122)
}

fn small() -> Options {
    Options { assets: 3, ..Options::default() }
}

#[test]
fn every_step_fails_in_every_way_and_nothing_is_lost() {
    let whole = World::new(small());
    whole.run(&["sync"], 0);
    let mut jobs = Vec::new();
    for (step, one, all) in STEPS {
        for (errno, word) in ERRORS {
            // Once, and each time.
            let code = if concerns_all(errno) { all } else { one };
            // The first folder that is synced is that of the marker; see below for the first part that is removed.
            let nth = if matches!(step, "syncdir" | "unlink") { 2 } else { 1 };
            jobs.push((format!("{errno}:{step}@{nth}"), word, Some(code)));
            if matches!(word, "EIO" | "ENOSPC") {
                jobs.push((format!("{errno}:{step}"), word, None));
            }
        }
    }
    let name = |(fault, word, _): &(String, &str, Option<i32>)| format!("{word} {fault}");
    let injected = pool::each(&jobs, name, |(fault, word, code)| {
        let world = World::new(small());
        let fault = if fault.contains(":unlink") {
            // A killed run left a part, and the run that repairs could not remove it: then who wants the file must.
            run_with(&world, "kill:written", None);
            &format!("1:unlink@1,{fault}")
        } else {
            fault
        };
        let output =
            world.rollbook(&["sync", "--threads-num", "3"]).env("ROLLBOOK_FAULT", fault).output().unwrap();
        let found = output.status.code().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        match code {
            Some(code) => assert_eq!(found, *code, "{word}\n{stderr}"),
            None => assert!(matches!(found, 0 | 1 | 4), "{found}\n{stderr}"),
        }
        if found == 4 && !fault.contains("commit") {
            assert!(stderr.contains("os error"), "the system's own word is told: {stderr}");
        }
        if world.data_dir().join("journal.db").exists() && world.try_count("1").is_some() {
            world.assert_rows_are_true();
            let rests = world.published();
            assert!(rests.values().all(|sha256| whole.tree().values().any(|true_one| true_one == sha256)));
        }
        world.run(&["sync", "--retry-failed"], 0);
        assert_eq!(world.tree(), whole.tree());
        world.assert_rows_are_true();
    });
    println!("injected {injected} faults of the disk");
    assert!(injected >= 95, "the README says so");
}

#[test]
fn a_sync_that_failed_is_never_tried_again_on_the_same_data() {
    for errno in [5, 28] {
        let world = World::new(small());
        let log = world.log_file();
        run_with(&world, &format!("{errno}:sync@1"), Some(&log));
        world.run(&["sync", "--retry-failed"], 0);
        let text = fs::read_to_string(&log).unwrap();
        let failed = text.lines().position(|line| line.starts_with('!')).expect("the sync failed");
        let path = text.lines().nth(failed).unwrap().split('\t').nth(2).unwrap().to_owned();
        let later: Vec<&str> = text.lines().skip(failed + 1).filter(|line| line.contains(&path)).collect();
        let word = |line: &&str| line.split('\t').nth(1).unwrap().to_owned();
        if let Some(next) = later.first() {
            assert_eq!(word(next), "unlink", "the part file goes first: {later:#?}");
        }
        assert!(!world.tree().keys().any(|path| is_part(path)));
    }
}

/// What stands in the way of the first file, at which of its names.
#[derive(Clone, Copy, Debug)]
enum Thing {
    Directory,
    FullDirectory,
    Pipe,
    Socket,
    Link,
    DeadLink,
    File,
}

const THINGS: [Thing; 7] = [
    Thing::Directory,
    Thing::FullDirectory,
    Thing::Pipe,
    Thing::Socket,
    Thing::Link,
    Thing::DeadLink,
    Thing::File,
];

impl Thing {
    fn put(self, path: &Path, outside: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match self {
            Self::Directory => fs::create_dir(path).unwrap(),
            Self::FullDirectory => plant(&path.join("mine.txt")),
            Self::Pipe => {
                assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
            }
            Self::Socket => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
            Self::Link => symlink(outside, path).unwrap(),
            Self::DeadLink => symlink("nowhere", path).unwrap(),
            Self::File => plant(path),
        }
    }
}

/// Name, kind and inode of everything there: what must not change.
fn stat(path: &Path) -> (u64, u32) {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.ino(), meta.mode())
}

#[test]
fn whatever_stands_under_a_final_name_stays_and_ours_takes_another() {
    // Before the run, and in the moment between the check of our bytes and their publishing.
    let jobs: Vec<(Thing, bool)> =
        THINGS.into_iter().flat_map(|thing| [(thing, false), (thing, true)]).collect();
    let name = |(thing, ambush): &(Thing, bool)| format!("{thing:?}, ambush {ambush}");
    pool::each(&jobs, name, |(thing, ambush)| {
        let world = World::new(small());
        world.run(&["plan"], 0);
        let target = world.photos().join(first_path(&world));
        let outside = world.data_dir().join("outside.jpg");
        fs::write(&outside, b"outside").unwrap();
        if *ambush {
            let status = stopped_at(&world, "checked@1", "", 1, || thing.put(&target, &outside));
            assert_eq!(ended(status), Some(0));
        } else {
            thing.put(&target, &outside);
            world.run(&["sync"], 0);
        }
        let before = stat(&target);
        assert_eq!(fs::read(&outside).unwrap(), b"outside");
        match thing {
            Thing::File => assert_eq!(fs::read(&target).unwrap(), b"a stranger's file"),
            Thing::FullDirectory => assert!(target.join("mine.txt").exists()),
            _ => {}
        }
        assert_eq!(world.count("state <> 'verified'"), 0);
        let path: String = world
            .journal()
            .query_row("SELECT path FROM v_file ORDER BY file_id LIMIT 1", [], |r| r.get(0))
            .unwrap();
        assert_ne!(world.photos().join(path), target, "ours has another name");
        // And the next run has nothing to do, and touches nothing.
        world.run(&["sync"], 0);
        assert_eq!(stat(&target), before);
        assert!(!world.published().is_empty() && !world.tree().keys().any(|path| is_part(path)));
    });
}

#[test]
fn whatever_stands_under_the_name_of_a_part_is_no_way_out_of_the_destination() {
    // The part file of a half fetched video, replaced while nobody looked.
    type Act = fn(&Path, &Path);
    let acts: [(&str, Act); 6] = [
        ("another file", |part, _| fs::write(part, vec![7; 9 * 1024 * 1024]).unwrap()),
        ("a link to a file outside", |part, outside| {
            fs::rename(part, outside).unwrap();
            symlink(outside, part).unwrap();
        }),
        ("a file with another name outside", |part, outside| fs::hard_link(part, outside).unwrap()),
        ("an empty file", |part, _| fs::write(part, b"").unwrap()),
        ("a pipe", |part, _| {
            fs::remove_file(part).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(part).status().unwrap().success());
        }),
        ("one bit less", |part, _| {
            let mut bytes = fs::read(part).unwrap();
            bytes[1_000_000] ^= 1;
            fs::write(part, bytes).unwrap();
        }),
    ];
    pool::each(
        &acts,
        |(what, _)| (*what).to_owned(),
        |(_, act)| {
            let world = Scene::Half.set();
            let path: String = world
                .journal()
                .query_row("SELECT path FROM asset_file WHERE state = 'partial'", [], |r| r.get(0))
                .unwrap();
            let part = world.part_of(&path);
            let outside = world.data_dir().join("outside");
            act(&part, &outside);
            let before = outside.exists().then(|| sha256(&outside));
            world.run(&["sync"], 0);
            assert_eq!(outside.exists().then(|| sha256(&outside)), before, "what is outside stays as it is");
            assert_eq!(world.history("restarted"), 1);
            world.assert_complete();
        },
    );
}

#[test]
fn a_directory_under_the_name_of_a_part_fails_this_file_alone() {
    let world = Scene::Half.set();
    let path: String = world
        .journal()
        .query_row("SELECT path FROM asset_file WHERE state = 'partial'", [], |r| r.get(0))
        .unwrap();
    let part = world.part_of(&path);
    fs::remove_file(&part).unwrap();
    fs::create_dir(&part).unwrap();
    world.run(&["sync"], 1);
    assert_eq!(world.count("state = 'failed' AND error_kind = 'disk'"), 1);
    assert_eq!(world.count("state = 'verified'"), world.count("1") - 1);
    fs::remove_dir(&part).unwrap();
    world.run(&["sync", "--retry-failed"], 0);
    world.assert_complete();
}

#[test]
fn a_folder_that_becomes_a_link_in_the_middle_of_a_run_leads_nowhere() {
    let world = World::new(small());
    world.run(&["plan"], 0);
    let year = first_path(&world).split('/').next().unwrap().to_owned();
    let outside = world.data_dir().join("elsewhere");
    fs::create_dir(&outside).unwrap();
    let folder = world.photos().join(&year);
    let status = stopped_at(&world, "part-created@1", "", 1, || {
        fs::rename(&folder, world.photos().join("aside")).unwrap();
        symlink(&outside, &folder).unwrap();
    });
    assert!(matches!(ended(status), Some(0 | 1)));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing is written through the link");
    // The person puts things right.
    fs::remove_file(&folder).unwrap();
    fs::rename(world.photos().join("aside"), &folder).unwrap();
    world.run(&["sync", "--retry-failed"], 0);
    world.assert_rows_are_true();
    assert_eq!(world.count("state <> 'verified'"), 0);
}

#[test]
fn a_destination_that_vanishes_in_the_middle_ends_the_run_and_is_not_made_anew() {
    let world = World::new(small());
    let gone = world.photos().with_file_name("unmounted");
    let status = stopped_at(&world, "claimed@1", "", 1, || fs::rename(world.photos(), &gone).unwrap());
    // The handle on the root is still good: what was begun ends where it belongs.
    assert!(matches!(ended(status), Some(0 | 4)));
    assert!(!world.photos().exists(), "nothing is made where the mount was");
    let said = world.run(&["sync"], 4).stderr();
    assert!(said.contains("absent"), "{said}");
    assert!(!world.photos().exists());
    fs::rename(&gone, world.photos()).unwrap();
    world.run(&["sync"], 0);
    world.assert_complete();

    let world = World::new(small());
    let status = stopped_at(&world, "claimed@1", "", 1, || fs::remove_dir_all(world.photos()).unwrap());
    assert_eq!(ended(status), Some(4), "removed with all that is in it: no file is to blame");
    assert_eq!(world.count("state = 'failed'"), 0);
    world.run(&["sync"], 4);
}

#[test]
fn a_time_that_cannot_be_set_is_told_once_and_the_file_is_home() {
    let world = World::new(small());
    let output = world.rollbook(&["sync"]).env("ROLLBOOK_FAULT", "1:utimes").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("modification time").count(), 1, "{said}");
    world.assert_complete();
}

#[test]
fn twins_by_case_and_form_and_names_of_three_hundred_bytes_all_come_home() {
    let world = World::new(Options { assets: 1, odd_records: true, ..Options::default() });
    world.run(&["sync"], 1);
    let mut folded = BTreeMap::new();
    for path in world.tree().into_keys() {
        assert!(path.split('/').all(|part| part.len() <= 255 && !part.starts_with('.')), "{path}");
        assert!(!path.chars().any(char::is_control) && !path.contains(['\\', '\u{202e}']), "{path:?}");
        let key = rollbook::model::layout::path_key(&path);
        if let Some(twin) = folded.insert(key, path.clone()) {
            panic!("{twin} and {path} are one file on some disks");
        }
    }
    assert!(folded.keys().len() > 100);
    world.assert_rows_are_true();
}

#[test]
fn a_disk_that_fails_while_the_network_does_too_is_still_only_a_pause() {
    let world = World::new(scene::library());
    world.sandbox.faults().add(Fault::once(Endpoint::Cdn, What::CutAfter { bytes: 9_000_000 }));
    run_with(&world, "5:write@20", None);
    world.assert_rows_are_true();
    world.run(&["sync", "--retry-failed"], 0);
    world.assert_complete();
}
