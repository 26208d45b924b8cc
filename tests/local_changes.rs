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

/// Paths of four photos, of one length each or of different ones.
fn four(world: &World, same_length: bool) -> Vec<String> {
    let journal = world.journal();
    let sql = match same_length {
        true => {
            "SELECT path FROM v_file WHERE size_bytes = (SELECT size_bytes FROM v_file GROUP BY size_bytes
             HAVING count(DISTINCT sha256) > 3 LIMIT 1) GROUP BY sha256 LIMIT 4"
        }
        false => "SELECT path FROM v_file GROUP BY size_bytes ORDER BY min(file_id) LIMIT 4",
    };
    let mut statement = journal.prepare(sql).unwrap();
    let paths: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(paths.len(), 4, "four photos, of the same length: {same_length}");
    paths
}

/// What a person may do to a series: in the order of [`four`], which goes to whose place.
const SHUFFLES: [(&str, &[(usize, usize)]); 4] = [
    ("a swap", &[(0, 1), (1, 0)]),
    ("a cycle", &[(2, 0), (0, 1), (1, 2)]),
    ("a shift to a new name", &[(0, 1), (1, 2), (2, 4)]),
    ("a shift backwards", &[(3, 2), (2, 1), (1, 0), (0, 4)]),
];

#[test]
fn photos_that_were_moved_to_each_others_places_are_known_there_and_nothing_is_fetched() {
    // By their lengths, in a sync; by their bytes, in a verify.
    for (verify, same_length) in [(false, false), (true, false), (true, true)] {
        let mean_size_bytes = same_length.then_some(1);
        let world = World::new(Options { assets: 16, mean_size_bytes, ..Options::default() });
        world.run(&["sync"], 0);
        let (before, mut relocated) = (fetched(&world), 0);
        for (what, moves) in SHUFFLES {
            let mut names = four(&world, same_length);
            names.push(format!("Holiday/{what}.jpg"));
            let moves: Vec<(&str, &str)> =
                moves.iter().map(|(from, to)| (names[*from].as_str(), names[*to].as_str())).collect();
            world.shuffle(&moves);
            let tree = world.tree();
            let goes_elsewhere = what.starts_with("a shift");
            if verify {
                let said = world.run(&["verify", "--all"], i32::from(goes_elsewhere)).stdout();
                assert!(said.contains("moved here, and known there now"), "{what}: {said}");
            }
            if !verify || goes_elsewhere {
                world.run(&["sync", "--check-files"], 0);
            }
            // Where a file is to be looked for in all of the tree, its row may have gone another way first.
            relocated += moves.len() as i64;
            let told = world.history("relocated");
            assert!(
                told == relocated || (verify && goes_elsewhere && told == relocated + 1),
                "{what}: {told}"
            );
            relocated = told;
            assert_eq!((world.tree(), fetched(&world)), (tree, before), "{what}");
            assert_eq!((world.history("lost"), world.history("released")), (0, 0), "{what}");
            world.assert_rows_are_true();
        }
        world.run(&["audit", "--deep"], 0);
        world.run(&["sync", "--check-files"], 0);
        world.run(&["verify", "--all"], 0);
        assert_eq!(world.history("relocated"), relocated, "what is known is not learned again");
        world.assert_complete();
    }
}

#[test]
fn photos_that_a_verify_reads_far_apart_are_known_in_each_others_places() {
    for same_length in [false, true] {
        let mean_size_bytes = same_length.then_some(1);
        let world = World::new(Options { assets: 100, mean_size_bytes, ..Options::default() });
        world.run(&["sync"], 0);
        let before = fetched(&world);
        // The first, one in the middle and the last of the line, as many groups of 64 lie between them.
        let sql = "WITH one AS (
                       SELECT min(file_id) AS file_id, path, row_number() OVER (ORDER BY min(file_id)) AS n FROM v_file
                       WHERE NOT ?1 OR size_bytes = (SELECT size_bytes FROM v_file GROUP BY size_bytes
                           ORDER BY count(DISTINCT sha256) DESC LIMIT 1) GROUP BY iif(?1, sha256, size_bytes))
                   SELECT path FROM one WHERE n IN (1, (SELECT max(n) / 2 FROM one), (SELECT max(n) FROM one))
                   ORDER BY n";
        let journal = world.journal();
        let mut statement = journal.prepare(sql).unwrap();
        let paths = statement.query_map([same_length], |row| row.get(0)).unwrap().map(Result::unwrap);
        let [first, middle, last] = <[String; 3]>::try_from(paths.collect::<Vec<_>>()).unwrap();
        for (what, moves) in [
            ("a swap", &[(&first, &last), (&last, &first)][..]),
            ("the other way", &[(&last, &first), (&first, &last)]),
            ("a cycle", &[(&first, &middle), (&middle, &last), (&last, &first)]),
            ("a cycle backwards", &[(&first, &last), (&last, &middle), (&middle, &first)]),
        ] {
            let moves: Vec<(&str, &str)> =
                moves.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
            world.shuffle(&moves);
            let said = world.run(&["verify", "--all"], 0).stdout();
            assert!(said.contains(&format!("{} files moved here", moves.len())), "{what}: {said}");
            assert_eq!(fetched(&world), before, "{what}");
            world.assert_rows_are_true();
            world.run(&["verify", "--all"], 0);
        }
        world.assert_complete();
    }
}

#[test]
fn a_photo_that_another_was_moved_over_is_gone_and_a_second_copy_of_one_is_no_photo_of_ours() {
    for verify in [false, true] {
        let world = synced(8);
        let before = fetched(&world);
        let [one, over, copied, damaged] = <[String; 4]>::try_from(four(&world, false)).unwrap();
        fs::rename(world.photos().join(&one), world.photos().join(&over)).unwrap();
        if verify {
            assert!(world.run(&["verify", "--all"], 1).stdout().contains(&format!("missing: {over}")));
        }
        world.run(&["sync", "--check-files"], 0);
        assert_eq!((world.history("lost"), world.count("standing = 'released'")), (0, 1));
        assert_eq!(fetched(&world), before);
        world.assert_rows_are_true();
        // It comes back beside the one that has its place now.
        world.run(&["refetch", "--all"], 0);
        world.run(&["sync"], 0);
        world.assert_complete();

        fs::copy(world.photos().join(&copied), world.photos().join(&damaged)).unwrap();
        assert!(world.run(&["verify", "--all"], 1).stdout().contains(&format!("damaged: {damaged}")));
        assert_eq!(world.count(&format!("path = '{copied}' AND state = 'verified'")), 1);
    }
}

#[test]
fn a_kill_while_places_are_learned_leaves_rows_that_the_next_run_makes_true() {
    let mut killed = 0;
    for step in ["commit", "committed"] {
        for number in 1.. {
            let world = synced(4);
            let before = fetched(&world);
            let paths = four(&world, false);
            world.shuffle(&[(&paths[0], &paths[1]), (&paths[1], &paths[2]), (&paths[2], &paths[0])]);
            let fault = format!("kill:{step}@{number}");
            let ended = world.rollbook(&["verify"]).env("ROLLBOOK_FAULT", &fault).output().unwrap().status;
            world.assert_journal_is_sound();
            world.run(&["verify", "--all"], 0);
            assert_eq!((world.history("relocated"), fetched(&world)), (3, before), "{fault}");
            world.assert_complete();
            if ended.success() {
                break;
            }
            killed += 1;
        }
    }
    assert!(killed > 4, "learning has commits of its own: {killed}");
}

#[test]
fn sidecars_and_links_of_albums_follow_photos_to_each_others_places() {
    const WITH: [&str; 4] = ["--sidecars", "xmp", "--album-views", "hardlink"];
    for (what, take_along) in [("photos alone", false), ("their sidecars too", true)] {
        let world = World::new(Options { assets: 20, ..Options::default() });
        world.run(&[&["sync"], &WITH[..]].concat(), 0);
        let before = world.tree();
        let sql = "SELECT path FROM v_file WHERE rendition = 'original' AND EXISTS
                       (SELECT 1 FROM sidecar s WHERE s.file_id = v_file.file_id)
                   GROUP BY size_bytes ORDER BY min(file_id) LIMIT 4";
        let journal = world.journal();
        let mut statement = journal.prepare(sql).unwrap();
        let paths: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let [a, b, c, d] = <[String; 4]>::try_from(paths).unwrap();
        // Two change places, and two go one further.
        let last = "Holiday/last.jpg".to_owned();
        let beside = |path: &String| format!("{path}.xmp");
        let moves = [(&a, &b), (&b, &a), (&c, &d), (&d, &last)];
        let mut moved: Vec<(String, String)> = moves.map(|(from, to)| (from.clone(), to.clone())).into();
        if take_along {
            moved.extend(moves.map(|(from, to)| (beside(from), beside(to))));
        }
        let moved: Vec<(&str, &str)> = moved.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        world.shuffle(&moved);
        let ran = world.run(&[&["sync", "--check-files"], &WITH[..]].concat(), 0);
        assert!(!ran.stderr().contains("somebody else"), "{what}: {}", ran.stderr());
        let after = world.tree();
        for (from, to) in moves {
            assert_eq!(after.get(to), before.get(from), "{what}: {from} -> {to}");
            assert_eq!(after.get(&beside(to)), before.get(&beside(from)), "{what}: beside {to}");
        }
        assert!(
            !after.contains_key(&c) && !after.contains_key(&beside(&c)),
            "{what}: nothing is left of {c}"
        );
        let digests = |tree: &std::collections::BTreeMap<String, String>, in_albums: bool| {
            let of = tree.iter().filter(|(path, _)| path.starts_with("Albums/") == in_albums);
            let mut digests: Vec<String> = of.map(|(_, digest)| digest.clone()).collect();
            digests.sort();
            digests
        };
        for in_albums in [false, true] {
            assert_eq!(
                digests(&after, in_albums),
                digests(&before, in_albums),
                "{what}, in albums: {in_albums}"
            );
        }
        assert!(!digests(&after, true).is_empty());
        world.run(&["audit", "--deep"], 0);
        world.run(&[&["sync", "--check-files"], &WITH[..]].concat(), 0);
        assert_eq!(world.tree(), after, "{what}: a second run writes nothing");
    }
}
