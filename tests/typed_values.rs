//! What was typed means one thing: a path the same place from every folder, and nothing never everything.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use rollbook_sandbox::Options;
use support::{Ran, World};

fn run(mut command: Command) -> Ran {
    Ran(command.output().unwrap())
}

#[test]
fn a_path_is_the_same_place_from_every_folder_and_home_is_home_everywhere() {
    let world = World::new(Options { assets: 2, ..Options::default() });
    let home = world.photos().parent().unwrap().to_owned();
    fs::create_dir(home.join("elsewhere")).unwrap();
    fs::create_dir(home.join("real")).unwrap();
    std::os::unix::fs::symlink("real", home.join("link")).unwrap();

    // Variables are seen by no shell, and neither is what follows an equals sign.
    let mut first = world.rollbook(&["sync", "--directory=~/link/photos"]);
    first.env("ROLLBOOK_DATA_DIR", "~/data");
    assert_eq!(run(first).0.status.code(), Some(0));
    assert!(home.join("real/photos/.rollbook").exists() && world.data_dir().join("journal.db").exists());
    let directory = |world: &World| -> String {
        world.journal().query_row("SELECT directory FROM destination", [], |r| r.get(0)).unwrap()
    };
    assert_eq!(directory(&world), home.join("link/photos").to_str().unwrap(), "the link is kept");

    for (folder, typed) in [("elsewhere", "../link/photos"), ("", "link/photos"), ("link", "./photos/")] {
        let mut next = world.rollbook(&["sync", "-d", typed]);
        next.current_dir(home.join(folder));
        let ran = run(next);
        assert_eq!(ran.0.status.code(), Some(0), "{typed} in {folder:?}: {}", ran.stderr());
        assert!(ran.stdout().contains("nothing new"), "{}", ran.stdout());
    }
    let mut shown = world.rollbook(&["config", "show", "-d", "photos", "--key-file", "~/k"]);
    shown.current_dir(home.join("elsewhere"));
    let shown = run(shown).stdout();
    assert!(shown.contains(home.join("elsewhere/photos").to_str().unwrap()), "{shown}");
    assert!(shown.contains(home.join("k").to_str().unwrap()), "{shown}");
    assert!(!home.join("elsewhere/~").exists() && !home.join("elsewhere/photos").exists());

    let config = home.join("config.toml");
    fs::write(&config, "data-dir = '~/data'\nalbum-directory = 'Alben'\n").unwrap();
    let mut filed = world.rollbook(&["sync", "-d", "link/photos", "--config", "config.toml"]);
    filed.current_dir(&home).env_remove("ROLLBOOK_DATA_DIR");
    let ran = run(filed);
    assert_eq!(ran.0.status.code(), Some(0), "{}", ran.stderr());
    fs::write(&config, "data-dir = 'data'\n").unwrap();
    world.run(&["status", "--config", config.to_str().unwrap()], 2);
}

#[test]
fn a_path_that_nothing_can_write_down_is_refused_before_anything_is_made() {
    let world = World::new(Options { assets: 1, ..Options::default() });
    let odd = world.photos().parent().unwrap().join(OsStr::from_bytes(b"caf\xe9"));
    for variable in ["ROLLBOOK_DATA_DIR", "ROLLBOOK_DIRECTORY"] {
        let mut sync = world.rollbook(&["sync"]);
        sync.env(variable, &odd);
        let ran = run(sync);
        assert_eq!(ran.0.status.code(), Some(2), "{}", ran.stderr());
        assert!(ran.stderr().contains("not UTF-8"), "{}", ran.stderr());
    }
    fs::create_dir(&odd).unwrap();
    let mut within = world.rollbook(&["sync", "-d", "photos"]);
    within.current_dir(&odd);
    assert_eq!(run(within).0.status.code(), Some(2));
    assert_eq!(fs::read_dir(&odd).unwrap().count(), 0);
    assert!(!world.photos().exists() && !world.data_dir().exists());
}

#[test]
fn an_empty_word_is_refused_with_what_to_do_and_an_empty_variable_is_none() {
    let world = World::new(Options { assets: 1, ..Options::default() });
    for flag in ["--album", "--library", "--name", "--size", "--recent", "--folder-structure", "-d"] {
        let ran = world.run(&["sync", flag, ""], 2);
        assert!(
            ran.stderr().contains("it is empty") && ran.stderr().contains("or leave it out"),
            "{}",
            ran.stderr()
        );
    }
    world.run(&["sync", "--album", "Rome", "--album", ""], 2);
    for line in [
        &["explain", ""][..],
        &["log", "--asset", ""],
        &["undelete", ""],
        &["refetch", ""],
        &["journal", "restore", ""],
        &["adopt", ""],
        &["export", "--for", "immich", "--to", ""],
        &["export", "--format", "csv", "--output", ""],
        &["login", "--from-icloudpd", ""],
    ] {
        world.run(line, 2);
    }
    assert!(!world.data_dir().exists(), "nothing was begun");
    // And a place that is not there is the place's fault, not that of the photos.
    let said = world.run(&["adopt", "nowhere"], 2).stderr();
    assert!(said.contains("it is no folder: /") && !said.contains("mkdir"), "{said}");
    let mut unset = world.rollbook(&["sync"]);
    unset.env("ROLLBOOK_ALBUM", "").env("ROLLBOOK_LIBRARY", "");
    assert_eq!(run(unset).0.status.code(), Some(0));
    world.assert_complete();
}
