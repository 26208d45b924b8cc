//! Another layout moves files by the journal: nothing is fetched, nothing is replaced, and a kill at any
//! step leaves what the next command ends.

mod support;

use std::collections::BTreeMap;
use std::fs;

use rollbook_sandbox::{Endpoint, Options};
use support::World;

const LAYOUT: [&str; 4] = ["--folder-structure", "{kind}/%Y", "--file-name", "{%m-%d}_{stem}"];
const FLAT: [&str; 2] = ["--folder-structure", "none"];

fn library(assets: u32) -> Options {
    Options { assets, mean_size_bytes: Some(2_000), ..Options::default() }
}

/// Where a fresh sync with a layout puts each file, by digest. Files of one name get tags by the order in
/// which they came, so paths are compared without them.
fn fresh(assets: u32, layout: &[&str]) -> Vec<String> {
    let world = World::new(library(assets));
    world.run(&[&["sync"], layout].concat(), 0);
    places(&world)
}

/// Where a fresh sync puts each file.
fn fresh_tree(assets: u32) -> BTreeMap<String, String> {
    let world = World::new(library(assets));
    world.run(&["sync"], 0);
    world.tree()
}

/// Folder and digest of each file.
fn places(world: &World) -> Vec<String> {
    let folder = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let mut places: Vec<String> =
        world.tree().into_iter().map(|(path, sha256)| format!("{} {sha256}", folder(&path))).collect();
    places.sort();
    places
}

fn folders(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![world.photos()];
    while let Some(folder) = rest.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap).filter(|e| e.path().is_dir()) {
            found.push(entry.path().strip_prefix(world.photos()).unwrap().to_str().unwrap().to_owned());
            rest.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Of the folders that it leaves, a killed relayout has removed the empty ones by the next command.
fn assert_no_empty_folder(world: &World, fault: &str) {
    let tree = world.tree();
    for folder in folders(world) {
        let within = format!("{folder}/");
        assert!(tree.keys().any(|path| path.starts_with(&within)), "{fault}: {folder} is empty");
    }
}

#[test]
fn files_move_to_where_a_fresh_sync_puts_them_and_back() {
    let world = World::new(library(40));
    world.run(&["sync"], 0);
    let (before, old_folders) = (world.tree(), folders(&world));
    // What stands in an old folder and is not ours keeps the folder.
    let strangers = world.photos().join(&old_folders[old_folders.len() - 1]).join("notes.txt");
    fs::write(&strangers, "mine").unwrap();
    world.sandbox.reset_counters();

    let dry = world.run(&[&["relayout", "--dry-run", "--json"], &LAYOUT[..]].concat(), 0).stdout();
    assert_eq!(dry.matches("\"from\"").count(), before.len(), "{dry}");
    fs::remove_file(&strangers).unwrap();
    assert_eq!(world.tree(), before, "a dry run moves nothing");
    fs::write(&strangers, "mine").unwrap();

    world.run(&[&["relayout"], &LAYOUT[..]].concat(), 0);
    assert_eq!(fs::read_to_string(&strangers).unwrap(), "mine");
    fs::remove_file(&strangers).unwrap();
    assert_eq!(places(&world), fresh(40, &LAYOUT));
    world.assert_complete();
    let again = world.run(&[&["relayout"], &LAYOUT[..]].concat(), 0).stdout();
    assert!(again.contains("0 files moved"), "{again}");
    let asked = world.sandbox.counters();
    assert_eq!(asked.requests.values().sum::<u64>(), 0, "nobody was asked: {asked:?}");

    world.run(&[&["sync"], &LAYOUT[..]].concat(), 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);
    // Back again: the tree is as it was, and the folders of the other layout are gone but the one that a
    // stranger's file kept.
    world.run(&["relayout"], 0);
    assert_eq!(world.tree(), before);
    assert_eq!(folders(&world), old_folders);
}

#[test]
fn without_a_relayout_another_template_concerns_new_files_only() {
    let world = World::new(library(6));
    world.run(&["sync"], 0);
    let before = world.tree();
    world.sandbox.library().add_asset(rollbook_sandbox::Kind::Jpeg);
    world.run(&["sync", "--folder-structure", "none"], 0);
    let new: Vec<String> = world.tree().into_keys().filter(|path| !before.contains_key(path)).collect();
    assert!(new.len() == 1 && !new[0].contains('/'), "{new:?}");
}

#[test]
fn the_movie_of_a_live_photo_gets_and_loses_its_suffix() {
    let world = World::new(library(20));
    world.run(&["sync"], 0);
    let movies = |word: &str| world.tree().into_keys().filter(|path| path.contains(word)).count();
    let suffix = ["relayout", "--live-photo-mov-filename-policy", "suffix"];
    world.run(&suffix, 0);
    let live = world.count("rendition = 'live-video'") as usize;
    assert_eq!(movies("_HEVC.MOV"), live);
    world.run(&["relayout"], 0);
    assert_eq!(movies("_HEVC"), 0);
    world.assert_complete();
}

#[test]
fn a_strangers_file_at_the_new_place_stays_and_a_missing_one_is_named() {
    let world = World::new(library(8));
    world.run(&["sync"], 0);
    let tree = world.tree();
    let (taken, missing) = (tree.keys().next().unwrap(), tree.keys().nth(1).unwrap());
    let name = taken.rsplit('/').next().unwrap();
    fs::write(world.photos().join(name), "a stranger's").unwrap();
    fs::remove_file(world.photos().join(missing)).unwrap();
    let said = world.run(&["relayout", "--folder-structure", "none"], 1).stdout();
    assert!(said.contains(missing), "{said}");
    assert_eq!(fs::read_to_string(world.photos().join(name)).unwrap(), "a stranger's");
    let now: BTreeMap<String, String> = world.tree();
    assert!(now.values().any(|sha256| *sha256 == tree[taken]), "ours stands under another name");
    assert_eq!(world.count("path LIKE '%/%'"), 1, "the row of the missing file keeps its path");
    assert_eq!(now.len(), tree.len(), "one is missing, one is a stranger's");
}

/// Commands that look at the files, and that a folder in the way of some must not stop. 6: they miss these.
fn assert_all_go_on(world: &World, blocked: &str) {
    for verb in [&["sync"][..], &["audit"], &["verify"], &["undelete", "--all"], &["relayout", "--dry-run"]] {
        let ended = world.rollbook(verb).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            matches!(ended.status.code(), Some(0 | 1 | 6)),
            "{blocked}: {verb:?}: {:?}: {said}",
            ended.status
        );
    }
}

#[test]
fn a_folder_that_cannot_be_entered_keeps_its_own_files_and_no_others() {
    for blocked in ["a link", "a file", "a link at the target"] {
        let world = World::new(library(12));
        let at_target = blocked == "a link at the target";
        let (layout, other): (&[&str], &[&str]) = if at_target { (&FLAT, &[]) } else { (&[], &FLAT) };
        world.run(&[&["sync"], layout].concat(), 0);
        let (before, aside) = (world.tree(), world.photos().with_file_name("aside"));
        let deep = fresh_tree(12);
        let folder = deep.keys().next().unwrap().rsplit_once('/').unwrap().0;
        let theirs = |tree: &BTreeMap<String, String>| {
            tree.keys().filter(|path| path.starts_with(&format!("{folder}/"))).count()
        };
        let stuck = theirs(&deep);
        let at = world.photos().join(folder);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        match at_target {
            true => fs::create_dir(&aside).unwrap(),
            false => fs::rename(&at, &aside).unwrap(),
        }
        match blocked {
            "a file" => fs::write(&at, "mine").unwrap(),
            _ => std::os::unix::fs::symlink(&aside, &at).unwrap(),
        }
        let relayout = [&["relayout"], other].concat();
        let ran = world.run(&relayout, 1);
        assert!(ran.stdout().contains(&format!("{stuck} left")), "{blocked}: {}", ran.stdout());
        // One line, in words for a person: what, why, and what to do.
        let why = ran.stderr();
        assert!(why.starts_with("warning: ") && why.contains(&*at.to_string_lossy()), "{blocked}: {why}");
        assert!(why.lines().count() == 1 && why.contains("; ") && !why.contains("WARN"), "{blocked}: {why}");
        let moved = if at_target { "path LIKE '%/%'" } else { "path NOT LIKE '%/%'" };
        assert_eq!(world.count(moved), (before.len() - stuck) as i64, "{blocked}: the rest has moved");
        world.run(&relayout, 1);
        assert_all_go_on(&world, blocked);

        fs::remove_file(&at).unwrap();
        match at_target {
            true => assert!(fs::read_dir(&aside).unwrap().next().is_none(), "nothing went through the link"),
            false => fs::rename(&aside, &at).unwrap(),
        }
        world.run(&relayout, 0);
        world.assert_complete();
        assert_eq!(world.count(moved), before.len() as i64, "{blocked}");
    }
}

#[test]
fn a_move_that_nobody_can_look_at_waits_and_is_ended_when_it_can_be() {
    let world = World::new(library(3));
    world.run(&["sync"], 0);
    let relayout = [&["relayout"], &LAYOUT[..]].concat();
    let intents = || -> i64 {
        world.journal().query_row("SELECT count(*) FROM relocation", [], |row| row.get(0)).unwrap()
    };
    // Killed after its renames, and before its rows say so.
    for step in 1.. {
        let fault = format!("kill:{step}");
        let ended = world.rollbook(&relayout).env("ROLLBOOK_FAULT", &fault).output().unwrap();
        assert_ne!(ended.status.code(), Some(0), "no kill came between the two");
        let rows = world.journal().query_row(
            "SELECT group_concat(path, char(10)) FROM asset_file JOIN relocation USING (file_id)",
            [],
            |row| row.get::<_, Option<String>>(0),
        );
        let rows = rows.unwrap().unwrap_or_default();
        if intents() > 0 && rows.lines().all(|path| !world.photos().join(path).exists()) {
            break;
        }
    }
    let (begun, tree) = (intents(), world.tree());
    let top = world.photos().join(tree.keys().next().unwrap().split('/').next().unwrap());
    let aside = world.photos().with_file_name("aside");
    fs::rename(&top, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &top).unwrap();
    let said = world.run(&relayout, 1).stdout();
    assert!(!said.contains(" 0 left"), "{said}");
    assert!((1..=begun).contains(&intents()), "what may have moved is not forgotten");

    fs::remove_file(&top).unwrap();
    fs::rename(&aside, &top).unwrap();
    world.sandbox.reset_counters();
    world.run(&relayout, 0);
    world.assert_complete();
    assert_eq!((intents(), world.sandbox.counters().of(Endpoint::Cdn)), (0, 0));
}

#[test]
fn a_kill_before_any_step_is_ended_by_the_next_command() {
    let relayout = [&["relayout"], &LAYOUT[..]].concat();
    let expected = fresh(5, &LAYOUT);
    let mut steps = 0;
    loop {
        steps += 1;
        let world = World::new(library(5));
        world.run(&["sync"], 0);
        world.sandbox.reset_counters();
        let fault = format!("kill:{steps}");
        let killed = world.rollbook(&relayout).env("ROLLBOOK_FAULT", &fault).output().unwrap();
        // The rows are true, or an intent says what else they may be; the next command makes them so.
        world.run(&[&["relayout", "--dry-run"], &LAYOUT[..]].concat(), 0);
        world.assert_complete();
        assert_no_empty_folder(&world, &fault);
        world.run(&relayout, 0);
        world.assert_complete();
        assert_eq!(places(&world), expected, "{fault}");
        assert_no_empty_folder(&world, &fault);
        let intents: i64 =
            world.journal().query_row("SELECT count(*) FROM relocation", [], |r| r.get(0)).unwrap();
        assert_eq!(intents, 0, "{fault}");
        assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0, "{fault}");
        if killed.status.code() == Some(0) {
            break;
        }
    }
    assert!(steps > 20, "the relayout has durable steps: {steps}");
}

#[test]
fn a_half_fetched_file_takes_its_part_along() {
    let world = World::new(Options {
        assets: 1,
        large_video_mb: Some(20),
        bandwidth: Some(12_000_000),
        ..Options::default()
    });
    let mut run = world.spawn(&["sync"]);
    support::wait_until("a promise", || world.try_count("state = 'partial'").is_some_and(|n| n > 0));
    support::terminate(&mut run);
    let kept: i64 = world
        .journal()
        .query_row("SELECT offset_bytes FROM asset_file WHERE state = 'partial'", [], |r| r.get(0))
        .unwrap();
    world.run(&["relayout", "--folder-structure", "none"], 0);
    assert!(world.tree().keys().all(|path| !path.contains('/')), "{:?}", world.tree());
    world.sandbox.reset_counters();
    world.run(&["sync", "--folder-structure", "none"], 0);
    world.assert_complete();
    let size = 20 * 1024 * 1024;
    let rest: u64 = world.sandbox.truth().iter().map(|f| f.size).filter(|s| *s < size).sum();
    assert!(world.sandbox.counters().cdn_bytes <= size - kept as u64 + rest, "it went on from its promise");
}

#[test]
fn what_lies_in_the_trash_is_not_in_the_way_of_a_relayout() {
    let world = World::new(library(12));
    world.run(&["sync"], 0);
    let gone = world.sandbox.library().assets()[0].clone();
    assert!(world.sandbox.library().delete_asset(&gone));
    world.run(&["sync", "--deleted", "trash"], 0);
    assert!(world.count("trash_path IS NOT NULL") > 0);
    world.run(&[&["relayout"], &LAYOUT[..]].concat(), 0);
    world.run(&["undelete", "--all"], 0);
    world.run(&["audit"], 0);
}

#[test]
fn photos_that_changed_places_have_one_tag_in_their_names_and_no_second() {
    // All photos of a year want one name, and so nearly all have a tag.
    let layout = ["--folder-structure", "none", "--file-name", "{%Y}"];
    let with = |verb: &[&'static str]| [verb, &layout[..]].concat();
    for (what, skip) in [("one that has no tag", 0), ("both have one", 1)] {
        let world = World::new(Options { assets: 40, ..Options::default() });
        world.run(&with(&["sync"]), 0);
        let sql = "SELECT path FROM v_file WHERE rendition = 'original' AND path LIKE '%.JPG'
                   GROUP BY size_bytes ORDER BY substr(path, 1, 4), length(path)";
        let journal = world.journal();
        let mut statement = journal.prepare(sql).unwrap();
        let paths: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let [one, other] = [&paths[skip], &paths[skip + 1]].map(|path| world.photos().join(path));
        assert_eq!(one.to_string_lossy().contains('-'), skip > 0, "{what}: {paths:?}");
        let aside = world.photos().join("aside");
        fs::rename(&one, &aside).unwrap();
        fs::rename(&other, &one).unwrap();
        fs::rename(&aside, &other).unwrap();
        world.run(&with(&["sync", "--check-files"]), 0);
        world.run(&with(&["relayout"]), 0);
        for path in world.tree().keys() {
            let (stem, _) = path.rsplit_once('.').unwrap();
            assert!(stem.matches('-').count() - stem.matches("-edited").count() < 2, "{what}: {path}");
        }
        let again = world.run(&with(&["relayout"]), 0).stdout();
        assert!(again.contains("0 files moved"), "{what}: {again}");
        world.assert_complete();
    }
}
