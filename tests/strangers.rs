//! Files that are not ours: whatever stands in the way stays as it is, and ours takes another name.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rollbook_sandbox::{Endpoint, Options};
use support::World;

/// Enumerates only, so that the paths are known before a file is fetched.
fn planned(options: Options) -> World {
    let world = World::new(options);
    world.run(&["plan"], 0);
    world
}

fn paths(world: &World) -> Vec<(String, i64)> {
    let journal = world.journal();
    let mut statement = journal.prepare("SELECT path, size_bytes FROM v_file ORDER BY file_id").unwrap();
    statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect()
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_strangers_file_of_any_size_stays_and_ours_takes_another_name() {
    let world = planned(Options { assets: 8, ..Options::default() });
    let paths = paths(&world);
    let (other_size, same_size) = (world.photos().join(&paths[0].0), world.photos().join(&paths[1].0));
    put(&other_size, b"mine");
    put(&same_size, &vec![7; paths[1].1 as usize]);
    let mine = [support::sha256(&other_size), support::sha256(&same_size)];
    world.run(&["sync"], 0);
    assert_eq!([support::sha256(&other_size), support::sha256(&same_size)], mine);
    world.assert_rows_are_true();
    assert_eq!(world.tree().len(), world.sandbox.truth().len() + 2);
}

#[test]
fn a_right_file_that_is_there_already_is_adopted_without_a_request() {
    let first = World::new(Options { assets: 8, ..Options::default() });
    first.run(&["sync"], 0);
    let second = planned(Options { assets: 8, ..Options::default() });
    for path in first.tree().keys() {
        let target = second.photos().join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(first.photos().join(path), target).unwrap();
    }
    second.sandbox.reset_counters();
    second.run(&["sync"], 0);
    second.assert_complete();
    assert_eq!(second.sandbox.counters().of(Endpoint::Cdn), 0);
}

#[test]
fn a_lost_journal_is_made_anew_from_the_files_and_fetches_none_again() {
    let world = World::new(Options { assets: 40, ..Options::default() });
    world.run(&["sync"], 0);
    let tree = world.tree();
    fs::remove_dir_all(world.data_dir()).unwrap();
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0, "what stands is read, not fetched");
    assert_eq!(world.tree(), tree);
    world.assert_complete();
}

#[test]
fn a_part_file_of_another_tool_is_not_ours_to_touch() {
    let world = planned(Options { assets: 4, ..Options::default() });
    let theirs = world.photos().join(format!("{}.part", paths(&world)[0].0));
    put(&theirs, b"half of something else");
    world.run(&["sync"], 0);
    assert_eq!(fs::read(&theirs).unwrap(), b"half of something else");
    fs::remove_file(theirs).unwrap();
    world.assert_complete();
}

#[test]
fn a_directory_a_link_and_a_pipe_at_the_target_are_left_alone() {
    let world = planned(Options { assets: 8, ..Options::default() });
    let targets: Vec<_> = paths(&world).iter().map(|(path, _)| world.photos().join(path)).collect();
    let outside = world.data_dir().join("outside.jpg");
    fs::write(&outside, b"outside").unwrap();
    fs::create_dir_all(&targets[0]).unwrap();
    fs::create_dir_all(targets[1].parent().unwrap()).unwrap();
    symlink(&outside, &targets[1]).unwrap();
    fs::create_dir_all(targets[2].parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&targets[2]).status().unwrap().success());
    world.run(&["sync"], 0);
    assert!(targets[0].is_dir() && targets[1].is_symlink());
    assert_eq!(fs::read(&outside).unwrap(), b"outside");
    assert_eq!(world.count("state <> 'verified'"), 0);
}

#[test]
fn a_folder_that_is_a_link_leads_nowhere() {
    let world = planned(Options { assets: 4, ..Options::default() });
    let year = paths(&world)[0].0.split('/').next().unwrap().to_owned();
    let outside = world.data_dir().join("elsewhere");
    fs::create_dir_all(&outside).unwrap();
    symlink(&outside, world.photos().join(&year)).unwrap();
    let ran = world.run(&["sync"], 1);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing is written through a link");
    assert!(ran.stderr().contains("stands in the way"), "{}", ran.stderr());
    // The link gone, the next run has no grudge.
    fs::remove_file(world.photos().join(&year)).unwrap();
    world.run(&["sync", "--retry-failed"], 0);
    world.assert_complete();
}

#[test]
fn a_missing_mount_is_absent_and_nothing_is_lost() {
    let world = World::new(Options { assets: 4, ..Options::default() });
    world.run(&["sync"], 0);
    let away = world.photos().with_extension("away");
    fs::rename(world.photos(), &away).unwrap();
    fs::create_dir(world.photos()).unwrap();
    world.sandbox.reset_counters();
    let ran = world.run(&["sync"], 4);
    assert!(ran.stderr().contains("absent"), "{}", ran.stderr());
    assert!(world.sandbox.counters().requests.is_empty(), "nobody is asked when there is nowhere to write");
    assert_eq!(
        fs::read_dir(world.photos()).unwrap().count(),
        0,
        "nothing is written to the bare mount point"
    );
    fs::remove_dir(world.photos()).unwrap();
    world.run(&["sync"], 4);
    fs::rename(&away, world.photos()).unwrap();
    world.run(&["sync"], 0);
    world.assert_complete();
}

#[test]
fn what_a_person_put_into_the_folder_of_the_probe_stays() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    let folder = world.photos().join(".rollbook-probe");
    fs::create_dir_all(folder.join("sub")).unwrap();
    for name in ["mine", "Aa", "cloned"] {
        fs::write(folder.join(name), name).unwrap();
    }
    world.run(&["sync"], 0);
    for name in ["mine", "Aa", "cloned"] {
        assert_eq!(fs::read(folder.join(name)).unwrap(), name.as_bytes());
    }
    let status = world.run(&["status", "--json"], 0).stdout();
    assert!(!status.contains("\"letter_case\": null"), "it was tried under another name: {status}");
    let beside = fs::read_dir(world.photos()).unwrap().map(|entry| entry.unwrap().file_name());
    let probes = beside.filter(|name| name.to_string_lossy().starts_with(".rollbook-probe"));
    assert_eq!(probes.count(), 1, "and nothing of that is left");
    let audit = world.run(&["audit", "--json"], 0).stdout();
    assert!(audit.contains("\"stranger\"") && audit.contains(".rollbook-probe/mine"), "{audit}");
}

#[test]
fn two_runs_never_meet() {
    let world = World::new(Options { assets: 40, bandwidth: Some(100_000), ..Options::default() });
    let mut first = world.spawn(&["sync"]);
    support::wait_until("the first run to fetch", || world.sandbox.counters().of(Endpoint::Cdn) > 0);
    let ran = world.run(&["sync"], 7);
    assert!(ran.stderr().contains(&first.id().to_string()), "names the process: {}", ran.stderr());
    // Another journal on the same destination is kept out as well.
    let other = world.photos().with_extension("data");
    let output = world.rollbook(&["sync"]).env("ROLLBOOK_DATA_DIR", &other).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    support::terminate(&mut first);
}

#[test]
fn names_are_no_longer_than_the_file_system_takes() {
    let world = World::new(Options { assets: 10, ..Options::default() });
    let long = format!("{{stem}} {}", "ä".repeat(150));
    let takes_143 = |args: &[&str]| {
        let output = world.rollbook(args).env("ROLLBOOK_FAULT_NAME_MAX", "143").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    takes_143(&["sync", "--file-name", &long]);
    world.assert_complete();
    let part_adds = ".123456.part".len();
    let longest = world.tree().keys().map(|path| path.rsplit('/').next().unwrap().len()).max().unwrap();
    assert!((80..=143 - part_adds).contains(&longest), "{longest}: cut, and no more than it must be");
    let moves = takes_143(&["relayout", "--dry-run", "--file-name", &long, "--json"]);
    assert!(!moves.contains("\"from\""), "they stand where they should: {moves}");
}
