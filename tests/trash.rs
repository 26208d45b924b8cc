//! Photos that are gone from iCloud: they stay, or wait in a trash from which they come back; and a
//! storm of deletions asks first.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use rollbook_sandbox::Options;
use support::World;

const TRASH: [&str; 3] = ["sync", "--deleted", "trash"];

fn synced(assets: u32) -> World {
    let world = World::new(Options { assets, ..Options::default() });
    world.run(&["sync"], 0);
    world
}

/// Deletes the first `count` assets in iCloud.
fn delete(world: &World, count: usize) -> Vec<String> {
    let assets = world.sandbox.library().assets()[..count].to_vec();
    assert!(assets.iter().all(|asset| world.sandbox.library().delete_asset(asset)));
    assets
}

/// Deletes the first asset and the last: photos of two days.
fn delete_of_two_days(world: &World) -> Vec<String> {
    let assets = world.sandbox.library().assets();
    let assets = vec![assets[0].clone(), assets[assets.len() - 1].clone()];
    assert!(assets.iter().all(|asset| world.sandbox.library().delete_asset(asset)));
    assets
}

fn restore(world: &World, assets: &[String]) {
    assert!(assets.iter().all(|asset| world.sandbox.library().restore_asset(asset)));
}

/// Where each row says its file is, with the digest that it should have.
fn said(world: &World) -> BTreeMap<String, String> {
    let journal = world.journal();
    let sql =
        "SELECT coalesce(trash_path, path), lower(hex(sha256)) FROM asset_file WHERE state = 'verified'";
    let mut statement = journal.prepare(sql).unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

/// Asserts that every file is where its row says, and nothing else is there.
fn assert_settled(world: &World, in_trash: i64) {
    assert_eq!(world.tree(), said(world));
    assert_eq!(world.count("trash_path IS NOT NULL AND trashed_at IS NULL"), 0, "nothing is in motion");
    assert_eq!(world.count("trash_path IS NOT NULL"), in_trash);
    world.assert_journal_is_sound();
}

#[test]
fn what_is_gone_from_icloud_stays_here_unless_the_trash_is_wanted() {
    let world = synced(10);
    let tree = world.tree();
    delete(&world, 1);
    world.run(&["sync"], 0);
    assert_eq!(world.tree(), tree);
    assert!(world.run(&["trash", "list"], 0).stdout().contains("the trash is empty"));
}

#[test]
fn the_trash_holds_what_is_gone_and_gives_it_back_for_good_when_a_person_says_so() {
    let world = synced(10);
    let fetched = world.sandbox.counters().cdn_bytes;
    let tree = world.tree();
    delete(&world, 1);
    let ran = world.run(&TRASH, 0);
    assert!(ran.stderr().contains("now in the trash"), "{}", ran.stderr());
    let files = world.count("trash_path IS NOT NULL");
    assert!(files > 0);
    assert_settled(&world, files);
    assert_eq!(world.count("trash_path IS NOT NULL AND standing <> 'released'"), 0);
    let held = world.run(&["trash", "list", "--json"], 0).stdout();
    assert_eq!(held.matches("\"trash_path\": \".rollbook-trash/").count() as i64, files);
    let moved = world.tree();
    world.run(&TRASH, 0);
    assert_eq!(world.tree(), moved, "a second run does nothing");

    let path: String = world
        .journal()
        .query_row("SELECT path FROM asset_file WHERE trash_path IS NOT NULL", [], |row| row.get(0))
        .unwrap();
    world.run(&["undelete", &path], 0);
    assert_settled(&world, files - 1);
    if files > 1 {
        world.run(&["undelete", "--all"], 0);
    }
    assert_eq!(world.published(), tree);
    world.run(&["undelete", "nothing.jpg"], 2);
    // It was asked for: it does not go again by itself.
    world.run(&TRASH, 0);
    assert_eq!(world.published(), tree);
    assert_settled(&world, 0);
    assert_eq!(world.sandbox.counters().cdn_bytes, fetched);
}

#[test]
fn what_apple_restores_comes_back_from_the_trash_and_not_from_the_network() {
    let world = synced(10);
    let (fetched, tree) = (world.sandbox.counters().cdn_bytes, world.tree());
    let gone = delete(&world, 1);
    world.run(&TRASH, 0);
    assert_ne!(world.tree(), tree);
    restore(&world, &gone);
    world.run(&["sync"], 0);
    assert_eq!((world.tree(), world.sandbox.counters().cdn_bytes), (tree, fetched));
    world.assert_complete();
    // And it may go again.
    delete(&world, 1);
    world.run(&TRASH, 0);
    assert!(world.count("trash_path IS NOT NULL") > 0);
}

#[test]
fn what_apple_restores_and_a_person_took_out_of_the_trash_is_fetched_in_the_same_run() {
    let world = synced(10);
    let gone = delete(&world, 2);
    world.run(&TRASH, 0);
    fs::remove_dir_all(world.photos().join(".rollbook-trash")).unwrap();
    restore(&world, &gone);
    let ran = world.run(&["sync"], 0);
    assert!(ran.stdout().starts_with("10 assets, "), "{}", ran.stdout());
    world.assert_complete();
}

#[test]
fn a_journal_from_before_the_trash_learns_again_what_is_in_it() {
    let world = synced(12);
    let (fetched, tree) = (world.sandbox.counters().cdn_bytes, world.tree());
    let gone = delete(&world, 2);
    world.run(&TRASH, 0);
    let files = world.count("trash_path IS NOT NULL");
    assert!(files >= 2);
    let moved = world.tree();
    world.run(&["journal", "restore", "1"], 0);
    assert_eq!(world.count("trash_path IS NOT NULL"), 0, "it is older than the trash");

    let ran = world.run(&["sync", "--check-files"], 0);
    assert!(!ran.stderr().contains("deleted here"), "{}", ran.stderr());
    assert_eq!(world.history("released"), 0);
    let held = world.run(&["trash", "list", "--json"], 0).stdout();
    assert_eq!(held.matches("\"trash_path\": \".rollbook-trash/").count() as i64, files);
    assert_eq!(world.tree(), moved);
    assert_settled(&world, files);

    restore(&world, &gone);
    world.run(&["sync"], 0);
    assert_eq!((world.tree(), world.sandbox.counters().cdn_bytes), (tree, fetched));
    world.assert_complete();
}

#[test]
fn many_deletions_at_once_move_nothing_before_a_person_has_said_so() {
    let world = synced(30);
    let tree = world.tree();
    delete(&world, 12);
    let ran = world.run(&TRASH, 1);
    assert!(ran.stderr().contains("rollbook sync --allow-deletions"), "{}", ran.stderr());
    assert_eq!(world.tree(), tree);
    world.run(&[&TRASH[..], &["--allow-deletions", "100"]].concat(), 0);
    let files = world.count("trash_path IS NOT NULL");
    assert!(files >= 12);
    assert_settled(&world, files);
}

#[test]
fn the_trash_is_emptied_only_after_the_days_that_a_person_chose() {
    let world = synced(10);
    let gone = delete(&world, 1);
    world.run(&TRASH, 0);
    let files = world.count("trash_path IS NOT NULL");
    let age = "UPDATE asset_file SET trashed_at = trashed_at - 31 * 86400 WHERE trash_path IS NOT NULL";
    world.journal().execute_batch(age).unwrap();
    world.run(&TRASH, 0);
    assert_settled(&world, files);
    world.run(&["sync", "--trash-days", "40"], 0);
    assert_settled(&world, files);
    world.run(&["sync", "--trash-days", "30"], 0);
    assert_settled(&world, 0);
    assert!(!world.photos().join(".rollbook-trash").exists(), "empty folders go with the files");
    assert_eq!(world.count("standing = 'superseded' AND state = 'pending'"), files);
    // Should Apple have it again, it is fetched again.
    restore(&world, &gone);
    world.run(&["sync"], 0);
    world.assert_complete();
}

#[test]
fn what_a_person_changed_in_the_trash_is_never_removed() {
    let world = synced(10);
    delete(&world, 1);
    world.run(&TRASH, 0);
    let path: String = world
        .journal()
        .query_row("SELECT trash_path FROM asset_file WHERE trash_path IS NOT NULL", [], |row| row.get(0))
        .unwrap();
    let edited = world.photos().join(&path);
    let mut bytes = fs::read(&edited).unwrap();
    bytes[20] ^= 1;
    fs::write(&edited, &bytes).unwrap();
    let age = "UPDATE asset_file SET trashed_at = trashed_at - 31 * 86400 WHERE trash_path IS NOT NULL";
    world.journal().execute_batch(age).unwrap();
    let said = world.run(&["sync", "--trash-days", "30"], 0).stderr();
    assert!(said.contains(&path), "{said}");
    assert_eq!(fs::read(&edited).unwrap(), bytes);
    assert_eq!(world.count("trash_path IS NOT NULL"), 1, "the others are gone");
}

#[test]
fn a_strangers_file_at_the_old_place_stays_and_ours_takes_another_name() {
    let world = synced(10);
    delete(&world, 1);
    world.run(&TRASH, 0);
    let path: String = world
        .journal()
        .query_row("SELECT path FROM asset_file WHERE trash_path IS NOT NULL", [], |row| row.get(0))
        .unwrap();
    let taken = world.photos().join(path);
    fs::create_dir_all(taken.parent().unwrap()).unwrap();
    fs::write(&taken, b"mine").unwrap();
    world.run(&["undelete", "--all"], 0);
    assert_eq!(fs::read(&taken).unwrap(), b"mine");
    fs::remove_file(&taken).unwrap();
    assert_settled(&world, 0);
}

#[test]
fn what_stands_in_the_trash_in_the_place_of_a_photo_stays_there_and_is_named() {
    let world = synced(10);
    let gone = delete(&world, 4);
    world.run(&[&TRASH[..], &["--allow-deletions", "50"]].concat(), 0);
    let held = held(&world);
    assert!(held.len() >= 5, "{held:?}");
    let outside = world.data_dir().join("outside.jpg");
    fs::write(&outside, "somewhere else").unwrap();
    let in_trash = |at: usize| world.photos().join(&held[at].1);
    let length = fs::metadata(in_trash(3)).unwrap().len() as usize;
    (0..4).for_each(|at| fs::remove_file(in_trash(at)).unwrap());
    fs::create_dir(in_trash(0)).unwrap();
    fs::write(in_trash(0).join("user.txt"), "mine").unwrap();
    symlink(&outside, in_trash(1)).unwrap();
    fs::write(in_trash(2), "short").unwrap();
    fs::write(in_trash(3), vec![7; length]).unwrap();

    for _ in 0..2 {
        let said = world.run(&["undelete", "--all"], 1).stderr();
        for (at, (place, trash)) in held.iter().enumerate() {
            assert_eq!(said.contains(trash), at < 4, "{said}");
            assert_eq!(world.photos().join(place).symlink_metadata().is_ok(), at >= 4, "{place}");
        }
        assert_eq!(fs::read(in_trash(0).join("user.txt")).unwrap(), b"mine");
        assert_eq!(fs::read_link(in_trash(1)).unwrap(), outside);
        assert_eq!(fs::read(in_trash(2)).unwrap(), b"short");
        assert_eq!(fs::read(in_trash(3)).unwrap(), vec![7; length]);
        assert_eq!(world.count("trash_path IS NOT NULL AND trashed_at IS NOT NULL"), 4);
    }
    restore(&world, &gone);
    let said = world.run(&["sync"], 0).stderr();
    assert!(held.iter().enumerate().all(|(at, (_, trash))| said.contains(trash) == (at < 4)), "{said}");
    assert!(held.iter().all(|(place, _)| world.photos().join(place).is_file()));
    assert_eq!(fs::read(in_trash(0).join("user.txt")).unwrap(), b"mine");
    assert_eq!(world.count("trash_path IS NOT NULL"), 0);
    world.assert_journal_is_sound();
}

/// Puts something else in the place of a folder, and gives where the folder is now.
fn block(world: &World, folder: &Path, with: impl FnOnce(&Path, &Path)) -> PathBuf {
    let away = world.data_dir().join("away");
    fs::rename(folder, &away).unwrap();
    with(&away, folder);
    away
}

fn with_a_file(_: &Path, folder: &Path) {
    fs::write(folder, "a file").unwrap();
}

fn with_a_link(away: &Path, folder: &Path) {
    symlink(away, folder).unwrap();
}

fn unblock(folder: &Path, away: &Path) {
    fs::remove_file(folder).unwrap();
    fs::rename(away, folder).unwrap();
}

#[test]
fn what_cannot_come_back_is_named_and_the_others_come_back() {
    let world = synced(20);
    let (fetched, tree) = (world.sandbox.counters().cdn_bytes, world.tree());
    let gone = delete_of_two_days(&world);
    world.run(&[&TRASH[..], &["--allow-deletions", "50"]].concat(), 0);
    let held = held(&world);
    let folder = world.photos().join(&held[0].0).parent().unwrap().to_owned();
    let is_blocked = |place: &str| world.photos().join(place).starts_with(&folder);
    let blocked = held.iter().filter(|(place, _)| is_blocked(place)).count();
    assert!(blocked < held.len(), "{held:?}");
    fs::create_dir_all(&folder).unwrap();
    let there = |away: &Path| {
        for (place, trash) in &held {
            assert_eq!(world.photos().join(trash).exists(), is_blocked(place), "{trash}");
            assert_eq!(world.photos().join(place).exists(), !is_blocked(place), "{place}");
        }
        assert!(away.exists());
        assert_eq!(world.count("trash_path IS NOT NULL AND trashed_at IS NOT NULL"), blocked as i64);
    };

    let away = block(&world, &folder, with_a_file);
    for _ in 0..2 {
        let said = world.run(&["undelete", "--all"], 1).stderr();
        there(&away);
        for (place, trash) in &held {
            assert_eq!(said.contains(trash), is_blocked(place), "{said}");
        }
        assert!(said.contains(&format!("a file stands in the way: {}", folder.display())), "{said}");
    }
    restore(&world, &gone);
    let said = world.run(&["sync"], 1).stderr();
    there(&away);
    assert!(said.contains(&held[0].1) && said.contains(&folder.display().to_string()), "{said}");
    unblock(&folder, &away);
    world.run(&["sync"], 0);
    assert_eq!((world.tree(), world.sandbox.counters().cdn_bytes), (tree, fetched));
    assert_settled(&world, 0);
}

#[test]
fn where_the_trash_is_on_another_file_system_than_the_photo_that_is_said() {
    let world = synced(10);
    delete(&world, 1);
    let tree = world.tree();
    let across = |args: &[&str]| {
        // What the system says of a rename from one file system to another.
        let run = world.rollbook(args).env("ROLLBOOK_FAULT", "18:rename").output().unwrap();
        assert_eq!(run.status.code(), Some(1));
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(said.contains("within one mounted file system only, to the trash and back too"), "{said}");
        assert!(!said.contains("dmesg"), "{said}");
    };
    across(&TRASH);
    assert_eq!(world.tree(), tree);
    assert_settled(&world, 0);
    world.run(&TRASH, 0);
    let moved = world.tree();
    across(&["undelete", "--all"]);
    assert_eq!(world.tree(), moved);
    world.run(&["undelete", "--all"], 0);
    assert_eq!(world.published(), tree);
}

#[test]
fn what_cannot_go_to_the_trash_is_named_and_the_others_go() {
    for with in [with_a_file, with_a_link] {
        let world = synced(20);
        let gone = delete_of_two_days(&world);
        let of_gone =
            format!("asset_id IN (SELECT asset_id FROM asset WHERE record_name IN ('{}'))", gone.join("','"));
        let paths: Vec<String> = {
            let journal = world.journal();
            let sql = format!("SELECT path FROM asset_file WHERE {of_gone} ORDER BY path");
            let mut statement = journal.prepare(&sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let folder = world.photos().join(&paths[0]).parent().unwrap().to_owned();
        let (blocked, free): (Vec<&String>, Vec<&String>) =
            paths.iter().partition(|path| world.photos().join(path).starts_with(&folder));
        assert!(!free.is_empty(), "{paths:?}");
        let away = block(&world, &folder, with);
        for _ in 0..2 {
            let said = world.run(&[&TRASH[..], &["--allow-deletions", "50"]].concat(), 1).stderr();
            assert!(blocked.iter().all(|path| said.contains(*path)), "{said}");
            assert!(said.contains(&folder.display().to_string()), "{said}");
            assert_eq!(world.count("trash_path IS NOT NULL AND trashed_at IS NOT NULL"), free.len() as i64);
            assert_eq!(world.count("trash_path IS NOT NULL"), free.len() as i64);
            assert_eq!(world.history("put_back"), 0, "nothing came back");
        }
        unblock(&folder, &away);
        world.run(&TRASH, 0);
        assert_settled(&world, paths.len() as i64);
    }
}

#[test]
fn a_photo_under_the_name_of_one_that_is_gone_does_not_go_in_its_place() {
    let options = Options { assets: 60, seed: 46, mean_size_bytes: Some(3_000), ..Options::default() };
    let world = World::new(options);
    world.run(&["sync"], 0);
    let (gone, its_path, path_of_other) = {
        let journal = world.journal();
        // Of one length, so that a look at lengths cannot tell them apart.
        let sql = "SELECT a.asset, a.path, b.path FROM v_file a JOIN v_file b USING (size_bytes)
                   WHERE a.asset < b.asset AND a.sha256 <> b.sha256 ORDER BY a.path LIMIT 1";
        let found = journal.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let found: (String, String, String) = found.expect("two photos of one length");
        found
    };
    let at = |path: &str| world.photos().join(path);
    let aside = world.data_dir().join("aside");
    fs::rename(at(&its_path), &aside).unwrap();
    fs::rename(at(&path_of_other), at(&its_path)).unwrap();
    fs::rename(&aside, at(&path_of_other)).unwrap();
    let tree = world.tree();
    assert!(world.sandbox.library().delete_asset(&gone));

    let said = world.run(&TRASH, 1).stderr();
    assert!(said.contains(&its_path) && said.contains("rollbook verify"), "{said}");
    let stays = world.tree();
    assert_eq!(stays[&its_path], tree[&its_path], "the one that is not gone");

    world.run(&["verify", "--all"], 0);
    world.sandbox.reset_counters();
    world.run(&TRASH, 0);
    world.assert_not_asked_for(&stays, "after the swap was learned");
    assert_settled(&world, world.count("released_at IS NOT NULL"));
    assert_eq!(world.tree()[&its_path], tree[&its_path], "its place is known now");
}

/// What is in the trash: where each file was, and where it is.
fn held(world: &World) -> Vec<(String, String)> {
    let journal = world.journal();
    let sql = "SELECT path, trash_path FROM asset_file WHERE trash_path IS NOT NULL ORDER BY path";
    let mut statement = journal.prepare(sql).unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

/// Moves everything in the trash back by hand, as a person does who found it there.
fn move_back_by_hand(world: &World) {
    let journal = world.journal();
    let sql = "SELECT trash_path, path FROM asset_file WHERE trash_path IS NOT NULL";
    let mut statement = journal.prepare(sql).unwrap();
    let both = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    for both in statement.query_map([], both).unwrap() {
        let (from, to) = both.unwrap();
        fs::rename(world.photos().join(from), world.photos().join(to)).unwrap();
    }
}

#[test]
fn what_a_person_moved_back_by_hand_is_known_where_it_stands() {
    let world = synced(10);
    let (fetched, tree) = (world.sandbox.counters().cdn_bytes, world.tree());
    let learned = || {
        assert_eq!(world.tree(), tree);
        assert_settled(&world, 0);
        assert!(world.run(&["trash", "list"], 0).stdout().contains("the trash is empty"));
    };
    let gone = delete(&world, 2);

    world.run(&TRASH, 0);
    move_back_by_hand(&world);
    let said = world.run(&["undelete", "--all"], 0).stdout();
    assert!(said.contains("back in their places"), "{said}");
    learned();

    // A sync sees it too, and what a person took out does not go again.
    restore(&world, &gone);
    world.run(&["sync"], 0);
    delete(&world, 2);
    world.run(&TRASH, 0);
    assert!(world.count("trash_path IS NOT NULL") >= 2);
    move_back_by_hand(&world);
    world.run(&TRASH, 0);
    learned();
    world.run(&TRASH, 0);
    learned();

    // Other bytes of that length are a stranger's, and the photo is missed.
    restore(&world, &gone);
    world.run(&["sync"], 0);
    delete(&world, 1);
    world.run(&TRASH, 0);
    move_back_by_hand(&world);
    let path: String = world
        .journal()
        .query_row("SELECT path FROM asset_file WHERE trash_path IS NOT NULL", [], |row| row.get(0))
        .unwrap();
    let length = fs::metadata(world.photos().join(&path)).unwrap().len();
    fs::write(world.photos().join(&path), vec![7; length as usize]).unwrap();
    let said = world.run(&["undelete", "--all"], 1).stderr();
    assert!(said.contains("cannot find 1 file in the trash"), "{said}");
    let told = world.history("trashed");
    world.run(&["undelete", "--all"], 1);
    assert_eq!(world.history("trashed"), told, "nothing went there");
    assert_eq!(fs::read(world.photos().join(&path)).unwrap(), vec![7; length as usize]);
    assert_eq!(world.sandbox.counters().cdn_bytes, fetched);
}

/// Runs with a fault; whether it was killed.
fn killed(world: &World, args: &[&str], step: u32) -> bool {
    let mut command = world.rollbook(args);
    let output = command.env("ROLLBOOK_FAULT", format!("kill:{step}")).output().unwrap();
    output.status.signal() == Some(9)
}

#[test]
fn a_kill_where_a_stranger_took_the_old_place_leaves_ours_and_theirs_known_apart() {
    let mut kills = 0;
    for step in 1.. {
        let world = synced(3);
        delete(&world, 1);
        world.run(&TRASH, 0);
        let held: Vec<(String, i64)> = {
            let journal = world.journal();
            let sql = "SELECT path, size_bytes FROM v_file WHERE trash_path IS NOT NULL";
            let mut statement = journal.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.map(Result::unwrap).collect()
        };
        // As long as ours: no look at the length tells them apart.
        for (path, length) in &held {
            let place = world.photos().join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, vec![7; *length as usize]).unwrap();
        }
        let was_killed = killed(&world, &["undelete", "--all"], step);
        world.run(&["sync"], 0);
        let said = said(&world);
        let tree = world.tree();
        assert!(said.iter().all(|(path, sha256)| tree.get(path) == Some(sha256)), "kill:{step}: {said:#?}");
        assert_eq!(tree.len(), said.len() + held.len(), "theirs stay");
        kills += u32::from(was_killed);
        if !was_killed {
            break;
        }
    }
    assert!(kills >= 2, "{kills} kills");
}

#[test]
fn a_kill_before_any_step_leaves_every_file_in_one_place_and_the_next_run_knows_which() {
    let world = synced(6);
    let (fetched, tree) = (world.sandbox.counters().cdn_bytes, world.tree());
    let mut kills = 0;
    for step in 1.. {
        let gone = delete(&world, 2);
        let first = killed(&world, &TRASH, step);
        world.run(&TRASH, 0);
        let files = world.count("trash_path IS NOT NULL");
        assert!(files >= 2, "kill:{step}");
        assert_settled(&world, files);

        let second = killed(&world, &["undelete", "--all"], step);
        restore(&world, &gone);
        world.run(&["sync"], 0);
        assert_eq!(world.tree(), tree, "kill:{step}");
        assert_settled(&world, 0);
        kills += u32::from(first) + u32::from(second);
        if !first && !second {
            break;
        }
    }
    assert!(kills > 20, "{kills} kills");
    assert_eq!(world.sandbox.counters().cdn_bytes, fetched, "nothing came twice");
}

/// Four files of the trash, of one length each or of different ones: where each was, and where it is.
fn four(world: &World, same_length: bool) -> Vec<(String, String)> {
    let journal = world.journal();
    let sql = match same_length {
        true => {
            "SELECT path, trash_path FROM v_file WHERE trash_path IS NOT NULL AND size_bytes =
                 (SELECT size_bytes FROM v_file WHERE trash_path IS NOT NULL GROUP BY size_bytes
                  HAVING count(DISTINCT sha256) > 3 LIMIT 1) GROUP BY sha256 LIMIT 4"
        }
        false => {
            "SELECT path, trash_path FROM v_file WHERE trash_path IS NOT NULL AND rendition = 'original'
             GROUP BY size_bytes ORDER BY min(file_id) LIMIT 4"
        }
    };
    let mut statement = journal.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let four: Vec<_> = rows.map(Result::unwrap).collect();
    assert_eq!(four.len(), 4, "four files, of the same length: {same_length}");
    four
}

fn all_to_the_trash(world: &World) -> Vec<String> {
    let gone = delete(world, world.sandbox.library().assets().len());
    world.run(&[&TRASH[..], &["--allow-deletions", "100"]].concat(), 0);
    gone
}

#[test]
fn files_that_changed_places_in_the_trash_come_back_each_to_its_own() {
    // Which of four goes to whose name, or to a new one.
    let shuffles: [(&str, &[(usize, usize)]); 4] = [
        ("a swap", &[(0, 1), (1, 0)]),
        ("a cycle", &[(2, 0), (0, 1), (1, 2)]),
        ("a shift to a new name", &[(0, 1), (1, 2), (2, 4)]),
        ("a shift backwards", &[(3, 2), (2, 1), (1, 0), (0, 4)]),
    ];
    for same_length in [false, true] {
        let mean_size_bytes = same_length.then_some(1);
        let world = World::new(Options { assets: 16, mean_size_bytes, ..Options::default() });
        world.run(&["sync"], 0);
        let (fetched, tree) = (world.sandbox.counters().cdn_bytes, world.tree());
        for (what, moves) in shuffles {
            for by_apple in [false, true] {
                let gone = all_to_the_trash(&world);
                let (count, mut four) = (world.count("trash_path IS NOT NULL"), four(&world, same_length));
                four.push((String::new(), format!(".rollbook-trash/mine/{what}.jpg")));
                let way = |(from, to): &(usize, usize)| (four[*from].1.clone(), four[*to].1.clone());
                world.shuffle(&moves.iter().map(way).collect::<Vec<_>>());
                if !by_apple {
                    // Who comes back makes known where all of them are.
                    world.run(&["undelete", &four[moves[0].0].0], 0);
                    assert_settled(&world, count - 1);
                    world.run(&["audit", "--deep"], 0);
                    world.run(&["undelete", "--all"], 0);
                }
                restore(&world, &gone);
                let said = world.run(&["sync"], 0).stderr();
                assert!(!said.contains("not what came from iCloud"), "{what}: {said}");
                assert_eq!(world.published(), tree, "{what}");
                assert_settled(&world, 0);
            }
        }
        assert_eq!(world.sandbox.counters().cdn_bytes, fetched);
        world.assert_complete();
    }
}

#[test]
fn sidecars_come_back_to_their_photos_whether_they_changed_places_with_them_or_not() {
    for take_along in [false, true] {
        let world = World::new(Options { assets: 8, ..Options::default() });
        world.run(&["sync", "--sidecars", "xmp"], 0);
        let tree = world.tree();
        all_to_the_trash(&world);
        let names: Vec<String> = four(&world, false).into_iter().map(|(_, trash)| trash).collect();
        let mut moves = vec![(names[0].clone(), names[1].clone()), (names[1].clone(), names[0].clone())];
        if take_along {
            let beside = |(from, to): &(String, String)| (format!("{from}.xmp"), format!("{to}.xmp"));
            moves.extend(moves.iter().map(beside).collect::<Vec<_>>());
        }
        world.shuffle(&moves);
        world.run(&["undelete", "--all"], 0);
        assert_eq!(world.published(), tree, "taken along: {take_along}");
    }
}

#[test]
fn of_files_that_changed_places_in_the_trash_only_that_is_removed_whose_days_are_over() {
    let world = synced(8);
    all_to_the_trash(&world);
    let (before, four) = (world.tree(), four(&world, false));
    let [(_, old), (_, young), (_, moved), _] = &four[..] else { panic!("{four:?}") };
    let elsewhere = ".rollbook-trash/mine/old too.jpg".to_owned();
    let swap = [(old, young), (young, old), (moved, &elsewhere)];
    world.shuffle(&swap.map(|(from, to)| (from.clone(), to.clone())));
    let age = "UPDATE asset_file SET trashed_at = trashed_at - 31 * 86400 WHERE trash_path IN (?1, ?2)";
    assert_eq!(world.journal().execute(age, [old, moved]).unwrap(), 2);
    let shuffled = world.tree();
    let said = world.run(&["sync", "--trash-days", "30"], 0).stderr();
    assert!(!said.contains(old), "{said}");
    assert_eq!(world.tree(), shuffled, "their names are learned first");
    let count = world.count("trash_path IS NOT NULL");
    assert_settled(&world, count);
    world.run(&["sync", "--trash-days", "30"], 0);
    assert_settled(&world, count - 2);
    let left = world.tree();
    assert_eq!(left.get(old), before.get(young), "the young one stays, under its name of now");
    assert!(!left.contains_key(young) && !left.contains_key(&elsewhere), "the old ones are gone");
}

#[test]
fn a_kill_while_files_that_changed_places_come_back_leaves_each_to_be_found() {
    let world = synced(6);
    let (fetched, tree) = (world.sandbox.counters().cdn_bytes, world.tree());
    let mut kills = 0;
    for step in 1.. {
        let gone = delete(&world, 3);
        world.run(&[&TRASH[..], &["--allow-deletions", "50"]].concat(), 0);
        let held = held(&world);
        let names = [&held[0].1, &held[1].1, &held[2].1].map(String::clone);
        let [a, b, c] = names.clone();
        world.shuffle(&names.into_iter().zip([b, c, a]).collect::<Vec<_>>());
        let was_killed = killed(&world, &["undelete", "--all"], step);
        world.run(&["undelete", "--all"], 0);
        assert_eq!(world.published(), tree, "kill:{step}");
        assert_settled(&world, 0);
        restore(&world, &gone);
        world.run(&["sync"], 0);
        kills += u32::from(was_killed);
        if !was_killed {
            break;
        }
    }
    assert!(kills > 5, "{kills} kills");
    assert_eq!(world.sandbox.counters().cdn_bytes, fetched);
}

#[test]
fn what_apple_has_again_and_cannot_come_back_is_not_removed_when_its_days_are_over() {
    let world = synced(10);
    let (fetched, tree) = (world.sandbox.counters().cdn_bytes, world.tree());
    let gone = delete(&world, 1);
    world.run(&TRASH, 0);
    let held = held(&world);
    let folder = world.photos().join(&held[0].0).parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    let away = block(&world, &folder, with_a_file);
    restore(&world, &gone);
    let age = "UPDATE asset_file SET trashed_at = trashed_at - 31 * 86400 WHERE trash_path IS NOT NULL";
    world.journal().execute_batch(age).unwrap();
    world.run(&["sync", "--trash-days", "30"], 1);
    assert!(held.iter().all(|(_, trash)| world.photos().join(trash).is_file()));
    unblock(&folder, &away);
    world.run(&["sync", "--trash-days", "30"], 0);
    assert_eq!((world.published(), world.sandbox.counters().cdn_bytes), (tree, fetched));
    assert_settled(&world, 0);
}
