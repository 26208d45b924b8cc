//! What a person does to the files here: moved ones are known again, deleted ones come back only if
//! that is wanted, and a destination that is there by half releases nothing.

mod support;

use std::fs;
use std::os::unix::fs::symlink;

use rollbook_sandbox::Options;
use support::World;

fn synced(assets: u32) -> World {
    let world = World::new(Options { assets, ..Options::default() });
    world.run(&["sync"], 0);
    world
}

/// Paths of verified files.
fn paths(world: &World) -> Vec<String> {
    let journal = world.journal();
    let mut statement = journal.prepare("SELECT path FROM v_file ORDER BY file_id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn fetched(world: &World) -> u64 {
    world.sandbox.counters().cdn_bytes
}

#[test]
fn files_that_were_moved_are_known_by_their_bytes_and_a_second_run_writes_nothing() {
    let world = synced(12);
    let before = fetched(&world);
    let moved = &paths(&world)[..4];
    fs::create_dir_all(world.photos().join("Holiday/Best of")).unwrap();
    for (number, path) in moved.iter().enumerate() {
        let to = world.photos().join(format!("Holiday/Best of/{number}.jpg"));
        fs::rename(world.photos().join(path), to).unwrap();
    }
    let tree = world.tree();
    world.run(&["sync"], 0);
    assert_eq!(world.history("relocated"), 4);
    assert_eq!(world.count("path LIKE 'Holiday/Best of/%'"), 4);
    world.run(&["sync"], 0);
    assert_eq!((world.tree(), fetched(&world), world.history("relocated")), (tree, before, 4));
    world.assert_complete();
}

#[test]
fn a_photo_that_was_moved_is_known_again_though_another_file_took_its_place() {
    let world = synced(8);
    let before = fetched(&world);
    let moved = paths(&world)[0].clone();
    let changed = paths(&world)[1].clone();
    fs::create_dir(world.photos().join("Holiday")).unwrap();
    fs::rename(world.photos().join(&moved), world.photos().join("Holiday/best.jpg")).unwrap();
    fs::write(world.photos().join(&moved), b"mine!").unwrap();
    world.run(&["sync", "--check-files"], 0);
    assert_eq!((world.history("relocated"), world.count("path = 'Holiday/best.jpg'")), (1, 1));
    let audit = world.run(&["audit", "--json"], 0).stdout();
    assert!(!audit.contains("\"size\""), "{audit}");
    assert_eq!(fs::read(world.photos().join(&moved)).unwrap(), b"mine!", "a stranger's file stays");

    // One that is nowhere else was perhaps changed on purpose: it is neither released nor fetched.
    fs::write(world.photos().join(&changed), b"edited").unwrap();
    world.run(&["sync", "--check-files", "--missing-files", "refetch"], 0);
    assert_eq!((world.count("standing <> 'verified'"), fetched(&world)), (0, before));
    assert!(world.run(&["audit", "--json"], 6).stdout().contains("\"size\""));
}

#[test]
fn what_was_deleted_here_stays_away_is_said_once_and_comes_back_when_wanted() {
    let world = synced(8);
    let before = fetched(&world);
    let gone = paths(&world)[..3].to_vec();
    for path in &gone {
        fs::remove_file(world.photos().join(path)).unwrap();
    }
    let ran = world.run(&["sync"], 0);
    assert!(ran.stderr().contains("3 files deleted here"), "{}", ran.stderr());
    assert_eq!(world.count("standing = 'released'"), 3);
    let ran = world.run(&["sync"], 0);
    assert!(!ran.stderr().contains("deleted here"), "said once: {}", ran.stderr());
    assert!(world.run(&["status"], 0).stdout().contains("released"));
    assert_eq!(fetched(&world), before);
    assert!(gone.iter().all(|path| !world.photos().join(path).exists()));

    let first = world.photos().join(&gone[0]);
    world.run(&["refetch", first.to_str().unwrap()], 0);
    world.run(&["sync"], 0);
    assert!(first.exists() && world.count("standing = 'released'") == 2);
    world.run(&["refetch", "--all"], 0);
    world.run(&["sync"], 0);
    world.assert_complete();
    world.run(&["refetch", "nothing.jpg"], 2);
}

#[test]
fn what_apple_no_longer_has_is_named_when_it_is_wanted_back() {
    let world = synced(8);
    let library = world.sandbox.library();
    let photos: Vec<(String, String)> = {
        let journal = world.journal();
        let sql = "SELECT asset, path FROM v_file WHERE rendition = 'original' ORDER BY file_id LIMIT 3";
        let mut statement = journal.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for (_, path) in &photos {
        fs::remove_file(world.photos().join(path)).unwrap();
    }
    assert!(library.delete_asset(&photos[0].0) && library.purge(&photos[1].0));
    world.run(&["sync"], 0);
    let ran = world.run(&["refetch", "--all"], 1);
    let said = ran.stderr();
    assert!(ran.stdout().contains("1 file to come") && said.contains("cannot bring back 2 files"), "{said}");
    for ((_, path), is_named) in photos.iter().zip([true, true, false]) {
        assert_eq!(said.contains(path), is_named, "{path}: {said}");
    }
    world.run(&["refetch", &photos[1].1], 1);
    // The hint is true.
    assert!(library.restore_asset(&photos[0].0));
    world.run(&["sync"], 0);
    world.run(&["refetch", &photos[0].1], 0);
    world.run(&["sync"], 0);
    for ((_, path), is_here) in photos.iter().zip([true, false, true]) {
        assert_eq!(world.photos().join(path).exists(), is_here, "{path}");
    }
}

#[test]
fn what_a_choice_leaves_out_is_not_counted_among_what_comes_back() {
    let world = synced(20);
    let path_of = |condition: &str| -> String {
        let sql = format!("SELECT path FROM v_file WHERE {condition} ORDER BY file_id LIMIT 1");
        world.journal().query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    let (edited, original) = (path_of("rendition = 'edited'"), path_of("rendition = 'original'"));
    for path in [&edited, &original] {
        fs::remove_file(world.photos().join(path)).unwrap();
    }
    world.run(&["sync", "--size", "original"], 0);
    let ran = world.run(&["refetch", "--all"], 0);
    assert!(ran.stdout().starts_with("1 file to come"), "{}", ran.stdout());
    assert!(ran.stderr().contains(&edited), "{}", ran.stderr());
    world.run(&["sync", "--size", "original"], 0);
    assert!(world.photos().join(&original).exists() && !world.photos().join(&edited).exists());
    let ran = world.run(&["refetch", &edited], 1);
    assert_eq!(ran.stdout(), "");
    assert!(ran.stderr().contains("left out by your choices"), "{}", ran.stderr());
    world.run(&["sync"], 0);
    world.run(&["refetch", &edited], 0);
    world.run(&["sync"], 0);
    world.assert_complete();
}

#[test]
fn deleted_files_come_again_in_the_same_run_where_that_is_the_policy() {
    let world = synced(8);
    for path in &paths(&world)[..2] {
        fs::remove_file(world.photos().join(path)).unwrap();
    }
    world.run(&["sync", "--missing-files", "refetch"], 0);
    assert_eq!(world.history("lost"), 2);
    world.assert_complete();
}

#[test]
fn a_deleted_file_that_the_person_puts_back_is_ours_again_and_another_in_its_place_is_not() {
    let world = synced(6);
    let before = fetched(&world);
    let (one, other) = (world.photos().join(&paths(&world)[0]), world.photos().join(&paths(&world)[1]));
    let away = world.log_file();
    fs::rename(&one, &away).unwrap();
    let length = fs::metadata(&other).unwrap().len();
    fs::remove_file(&other).unwrap();
    world.run(&["sync"], 0);
    assert_eq!(world.count("standing = 'released'"), 2);
    fs::rename(&away, &one).unwrap();
    fs::write(&other, vec![7; length as usize]).unwrap();
    world.run(&["sync"], 0);
    assert_eq!((world.count("standing = 'released'"), world.history("returned")), (1, 1));
    assert_eq!(fs::read(&other).unwrap(), vec![7; length as usize], "a stranger's file stays");
    assert_eq!(fetched(&world), before);
}

#[test]
fn a_destination_that_is_there_by_half_releases_nothing() {
    let world = synced(30);
    let before = fetched(&world);
    // The marker is there, and most of the photos are not.
    let away = world.photos().with_file_name("away");
    fs::create_dir(&away).unwrap();
    for folder in fs::read_dir(world.photos()).unwrap().map(|entry| entry.unwrap()) {
        if folder.path().is_dir() {
            fs::rename(folder.path(), away.join(folder.file_name())).unwrap();
        }
    }
    for policy in ["release", "refetch"] {
        let ran = world.run(&["sync", "--missing-files", policy], 4);
        assert!(ran.stderr().contains("rollbook sync --allow-missing"), "{}", ran.stderr());
    }
    assert_eq!((world.count("standing <> 'verified'"), fetched(&world)), (0, before));
    assert_eq!(world.published().len(), 0);
    for folder in fs::read_dir(&away).unwrap().map(|entry| entry.unwrap()) {
        fs::rename(folder.path(), world.photos().join(folder.file_name())).unwrap();
    }
    world.run(&["sync"], 0);
    world.assert_complete();
    assert_eq!(fetched(&world), before);

    // Who says so may delete as many.
    let gone = &paths(&world)[..9];
    for path in gone {
        fs::remove_file(world.photos().join(path)).unwrap();
    }
    world.run(&["sync"], 4);
    world.run(&["sync", "--allow-missing", "9"], 0);
    assert_eq!(world.count("standing = 'released'"), 9);
    world.assert_journal_is_sound();
}

#[test]
fn a_folder_that_was_moved_elsewhere_with_a_link_in_its_place_is_left_alone_and_named_by_all_who_look() {
    let world = synced(6);
    let path = paths(&world)[0].clone();
    let top = world.photos().join(path.split('/').next().unwrap());
    let elsewhere = world.photos().with_file_name("other disk");
    fs::rename(&top, &elsewhere).unwrap();
    symlink(&elsewhere, &top).unwrap();
    let tree = world.tree();
    let files = world.count("1");
    for args in [&["sync"][..], &["sync", "--check-files"]] {
        let said = world.run(args, 0).stderr();
        let named: Vec<&str> = said.lines().filter(|line| line.contains(top.to_str().unwrap())).collect();
        assert!(
            matches!(*named, [line] if line.contains(&format!("{files} files not looked at"))
                && line.contains("a link is not followed")),
            "{said}"
        );
    }
    for (args, code) in [(&["verify", "--all"][..], 1), (&["audit"], 6)] {
        let said = world.run(args, code).stdout();
        let of_the_folder = |line: &&str| line.contains(&path) && line.contains(top.to_str().unwrap());
        assert!(said.lines().any(|line| of_the_folder(&line)), "{args:?}: {said}");
    }
    let said = world.run(&["adopt"], 0).stdout();
    assert!(said.contains(&format!("{}: a link", path.split('/').next().unwrap())), "{said}");
    assert_eq!(world.count("standing <> 'verified'"), 0);
    assert_eq!(world.tree(), tree);
}

#[test]
fn a_look_at_the_files_goes_on_where_the_last_run_stopped_and_ends_within_a_week() {
    let world = synced(6);
    let journal = world.journal();
    let swept = || -> (i64, Option<i64>) {
        let sql = "SELECT after_file_id, ended_at FROM sweep";
        world.journal().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert!(swept().1.is_some() && swept().0 == 0, "a small library is looked through by every run");
    // In the middle of a round: what stands before the mark waits for the next round.
    let gone = paths(&world)[0].clone();
    fs::remove_file(world.photos().join(&gone)).unwrap();
    journal.execute_batch("UPDATE sweep SET after_file_id = 3").unwrap();
    world.run(&["sync"], 0);
    assert_eq!(world.count("standing = 'released'"), 0);
    assert_eq!(swept().0, 0, "the round is over");
    // Who asks for a look at every file is not put off to the next round.
    journal.execute_batch("UPDATE sweep SET after_file_id = 3").unwrap();
    world.run(&["sync", "--check-files"], 0);
    assert_eq!(world.count("standing = 'released'"), 1);
}
