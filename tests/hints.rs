//! What the disk refuses is told with a hint that helps there: a command, or the setting to change.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;

use rollbook_sandbox::Options;
use support::World;

fn world() -> World {
    World::new(Options { assets: 3, ..Options::default() })
}

/// Runs with an error number at every step of a name, and gives what was said.
fn refused(world: &World, args: &[&str], fault: &str) -> String {
    let output = world.rollbook(args).env("ROLLBOOK_FAULT", fault).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{args:?} {fault}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_link_that_two_disks_cannot_share_names_the_way_that_does() {
    let world = world();
    world.sandbox.library().add_album("Trip", None, false);
    let (album, asset) =
        (world.sandbox.library().albums()[0].record.clone(), world.sandbox.library().assets()[0].clone());
    assert!(world.sandbox.library().join(&album, &asset));
    world.run(&["sync"], 0);
    let kit = world.data_dir().join("kit");
    let to = ["export", "--for", "photos", "--to", kit.to_str().unwrap()];
    // EXDEV, EPERM, EOPNOTSUPP: another disk, a file system without links, one without this kind.
    for errno in ["18", "1", "95"] {
        let fault = format!("{errno}:link");
        for args in [&["sync", "--album-views", "hardlink"][..], &["albums", "build"], &to] {
            let said = refused(&world, args, &fault);
            assert!(said.contains("cannot make such links there") && said.contains("--as symlink"), "{said}");
            assert!(!said.contains("healthy"), "{said}");
        }
    }
    let tree = world.data_dir().join("tree");
    fs::create_dir(&tree).unwrap();
    for (number, path) in world.tree().keys().enumerate() {
        fs::copy(world.photos().join(path), tree.join(format!("{number}.bin"))).unwrap();
    }
    fs::remove_dir_all(world.photos()).unwrap();
    world.run(&["journal", "rebuild"], 0);
    fs::create_dir(world.photos()).unwrap();
    fs::remove_file(world.data_dir().join("journal.db")).unwrap();
    fs::remove_dir_all(world.data_dir().join("snapshots")).unwrap();
    let said = refused(&world, &["adopt", tree.to_str().unwrap(), "--link"], "18:link");
    assert!(said.contains("--copy in place of --link"), "{said}");
    world.run(&["adopt", tree.to_str().unwrap(), "--copy"], 0);
}

#[test]
fn two_real_disks_say_the_same() {
    let memory = Path::new("/dev/shm");
    let world = world();
    let here = fs::metadata(world.data_dir().parent().unwrap()).unwrap().dev();
    if !memory.is_dir() || fs::metadata(memory).unwrap().dev() == here {
        eprintln!("skipped: there is but one file system here");
        return;
    }
    world.run(&["sync"], 0);
    let kit = tempfile::tempdir_in(memory).unwrap();
    let to = kit.path().join("kit");
    let args = ["export", "--for", "immich", "--to", to.to_str().unwrap()];
    let said = world.run(&args, 4).stderr();
    assert!(said.contains("--as symlink"), "{said}");
    world.run(&[&args[..], &["--as", "symlink"]].concat(), 0);
}

#[test]
fn a_directory_that_cannot_be_one_says_what_stands_there() {
    let world = world();
    let file = world.photos();
    fs::write(&file, b"mine").unwrap();
    let said = world.run(&["sync"], 4).stderr();
    assert!(said.contains("a file stands where a folder should be"), "{said}");
    let said = world.run(&["sync", "-d", file.join("below").to_str().unwrap()], 4).stderr();
    assert!(said.contains("a file stands where a folder should be"), "{said}");
    let long = file.with_file_name("x".repeat(300));
    let said = world.run(&["sync", "-d", long.to_str().unwrap()], 4).stderr();
    assert!(said.contains("the path is too long: set --directory to a shorter one"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_disk_that_takes_no_writes_is_named_with_its_mount() {
    let world = world();
    let said = refused(&world, &["sync"], "30:mkdir");
    assert!(said.contains("mount it for writing (findmnt -T /"), "{said}");
}

#[test]
fn an_answer_that_has_no_room_blames_the_place_it_went_to() {
    let world = world();
    world.run(&["sync"], 0);
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["log"],
        &["export", "--format", "csv"],
        &["audit", "--json"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = world.rollbook(args).stdout(Stdio::from(full)).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(
            said.contains("cannot write the answer") && said.contains("send it elsewhere"),
            "{args:?}: {said}"
        );
        assert!(!said.contains("rollbook plan"), "{said}");
    }
}
