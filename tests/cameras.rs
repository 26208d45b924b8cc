//! `{camera}` in a template: iCloud is asked for it where a template names it and nowhere else, what is here
//! already moves by the journal, and whatever a record says of its camera costs nobody a photo.

mod support;

use std::collections::BTreeMap;

use rollbook_sandbox::{Endpoint, Options};
use support::World;

const BY_CAMERA: [&str; 2] = ["--folder-structure", "{camera}"];
/// Where those go that iCloud names no camera of.
const NONE: &str = "no camera";

fn library(assets: u32) -> Options {
    Options { assets, mean_size_bytes: Some(2_000), undated_jpegs: true, ..Options::default() }
}

fn with<'a>(verb: &[&'a str], flags: &[&'a str]) -> Vec<&'a str> {
    [verb, flags].concat()
}

/// The folder that each file of the truth belongs into, by digest.
fn wanted(world: &World) -> BTreeMap<String, String> {
    let folder = |camera: Option<String>| camera.unwrap_or_else(|| NONE.to_owned());
    world.sandbox.truth().into_iter().map(|file| (file.sha256, folder(file.camera))).collect()
}

/// The folder that each file lies in, by digest.
fn folders(world: &World) -> BTreeMap<String, String> {
    let folder = |path: &str| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    world.tree().into_iter().map(|(path, sha256)| (sha256, folder(&path))).collect()
}

/// The camera as another reader of EXIF finds it in a file.
fn camera_of(path: &std::path::Path) -> Option<String> {
    let mut file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let found = exif::Reader::new().read_from_container(&mut file).ok()?;
    let text = |tag| match &found.get_field(tag, exif::In::PRIMARY)?.value {
        exif::Value::Ascii(texts) => String::from_utf8(texts.first()?.clone()).ok(),
        _ => None,
    };
    text(exif::Tag::Model).or_else(|| text(exif::Tag::Make))
}

fn cameras(world: &World, condition: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM v_asset WHERE {condition}");
    world.journal().query_row(&sql, [], |row| row.get(0)).unwrap()
}

fn assert_nothing_was_fetched(world: &World, what: &str) {
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0, "{what}");
}

#[test]
fn each_file_lies_with_its_camera_or_with_those_that_have_none() {
    let world = World::new(library(60));
    world.run(&with(&["sync"], &BY_CAMERA), 0);
    let wanted = wanted(&world);
    let names: std::collections::BTreeSet<&str> = wanted.values().map(String::as_str).collect();
    let all = ["Loopback 1", "Loopback 2", "Loopback 3", "Sandbox", NONE];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), all, "the library has something of everything");
    assert_eq!(folders(&world), wanted);
    world.assert_complete();
    world.assert_journal_is_sound();
    let journal = world.journal();
    let mut originals = journal.prepare("SELECT path FROM v_file WHERE rendition = 'original'").unwrap();
    let originals = originals.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for path in originals.map(Result::unwrap) {
        let camera = camera_of(&world.photos().join(&path));
        assert_eq!(path.split('/').next(), Some(camera.as_deref().unwrap_or(NONE)), "{path}");
    }
    assert_eq!(cameras(&world, "camera IS NULL"), 0);

    let named = World::new(library(12));
    named.run(&with(&["sync"], &["--folder-structure", "none", "--file-name", "{camera} {stem}"]), 0);
    let by_digest = self::wanted(&named);
    for (path, sha256) in named.tree() {
        assert!(path.starts_with(&format!("{} IMG_", by_digest[&sha256])), "{path}");
    }
}

#[test]
fn what_is_here_moves_to_its_camera_without_a_download_once_icloud_was_asked() {
    let world = World::new(Options { shared_zone: true, ..library(30) });
    world.run(&["sync"], 0);
    assert_eq!(cameras(&world, "camera IS NOT NULL"), 0, "nobody asks for what no template names");
    let before = world.tree();
    world.sandbox.reset_counters();

    // Nobody knows yet: nothing moves, and both ways of asking say why.
    for flags in [&["relayout", "--dry-run"][..], &["relayout"][..]] {
        let said = world.run(&with(flags, &BY_CAMERA), 1).stdout();
        let count = format!("which camera took {} files", before.len());
        assert!(said.contains(&count) && said.contains("rollbook sync"), "{said}");
        assert_eq!(world.tree(), before);
    }
    assert_eq!(world.sandbox.counters().requests.values().sum::<u64>(), 0, "nobody was asked");

    // One library is left out by choice: it is asked when it is wanted again.
    world.run(&with(&["sync", "--library", "primary"], &BY_CAMERA), 0);
    assert!(cameras(&world, "library <> 'PrimarySync' AND camera IS NULL") > 0);
    assert_eq!(cameras(&world, "library = 'PrimarySync' AND camera IS NULL"), 0);
    // A walk that may end early does not, before it has asked for all.
    world.run(&with(&["sync", "--until-found", "1"], &BY_CAMERA), 0);
    assert_eq!(cameras(&world, "camera IS NULL"), 0);
    assert_nothing_was_fetched(&world, "asking");
    assert_eq!(world.tree(), before, "a file keeps its path until a relayout");

    world.sandbox.reset_counters();
    world.run(&with(&["relayout"], &BY_CAMERA), 0);
    assert_eq!(world.sandbox.counters().requests.values().sum::<u64>(), 0, "relayout asks nobody");
    assert_eq!(folders(&world), wanted(&world));
    world.assert_complete();

    // Known once, known for good: no other listing, whichever way the template goes.
    for flags in [&[][..], &BY_CAMERA[..], &BY_CAMERA[..]] {
        world.sandbox.reset_counters();
        world.run(&with(&["sync"], flags), 0);
        let pages = world.sandbox.log().iter().filter(|request| request.start_rank.is_some()).count();
        assert_eq!(pages, 0, "{flags:?}");
    }
    world.run(&["relayout"], 0);
    assert_eq!(world.tree(), before);
}

#[test]
fn what_came_or_changed_while_nobody_asked_is_asked_for_when_somebody_does() {
    let world = World::new(library(10));
    world.run(&with(&["sync"], &BY_CAMERA), 0);
    let old = world.sandbox.library().assets()[3].clone();
    world.sandbox.library().set_favorite(&old, true);
    world.sandbox.library().add_asset(rollbook_sandbox::Kind::Heic);
    world.run(&["sync"], 0);
    assert_eq!(cameras(&world, "camera IS NULL"), 1, "the new one; a favourite was taken by whoever took it");
    world.run(&with(&["sync"], &BY_CAMERA), 0);
    assert_eq!(cameras(&world, "camera IS NULL"), 0);
    world.run(&with(&["relayout"], &BY_CAMERA), 0);
    assert_eq!(folders(&world), wanted(&world));
    // What is new by now has its camera with the change.
    world.sandbox.library().add_asset(rollbook_sandbox::Kind::Heic);
    world.run(&with(&["sync"], &BY_CAMERA), 0);
    assert_eq!(folders(&world), wanted(&world));
}

#[test]
fn what_left_icloud_before_anybody_asked_stays_where_it_is_and_is_named() {
    let world = World::new(library(8));
    world.run(&["sync"], 0);
    let gone = world.sandbox.library().assets()[0].clone();
    world.sandbox.library().delete_asset(&gone);
    world.sandbox.library().purge(&gone);
    world.run(&with(&["sync"], &BY_CAMERA), 0);
    let said = world.run(&with(&["relayout"], &BY_CAMERA), 0).stdout();
    assert!(said.contains("no sync asks: gone from iCloud"), "{said}");
    let at_home = |path: &String| path.starts_with("2025/");
    let left = world.tree().keys().filter(|path| at_home(path)).count() as i64;
    assert_eq!(
        left,
        world.count(&format!("asset_id = (SELECT asset_id FROM asset WHERE record_name = '{gone}')"))
    );
    assert!(left > 0);
}

#[test]
fn whoever_is_killed_while_asking_asks_the_rest_with_the_next_run() {
    for point in ["choices-applied", "page-recorded", "listed", "enumerated"] {
        let world = World::new(library(6));
        world.run(&["sync"], 0);
        let ask = with(&["sync"], &BY_CAMERA);
        let killed = world.rollbook(&ask).env("ROLLBOOK_FAULT", format!("kill:{point}")).output().unwrap();
        assert_ne!(killed.status.code(), Some(0), "{point}: {killed:?}");
        world.run(&ask, 0);
        assert_eq!(cameras(&world, "camera IS NULL"), 0, "{point}");
        world.run(&with(&["relayout"], &BY_CAMERA), 0);
        assert_eq!(folders(&world), wanted(&world), "{point}");
    }
}

#[test]
fn whatever_a_record_says_of_its_camera_the_photo_is_home_and_the_camera_none() {
    let world = World::new(Options { odd_records: true, ..library(5) });
    // Some files have no URL at all, cameras or not.
    world.run(&with(&["sync"], &BY_CAMERA), 1);
    let folders = folders(&world);
    let is_odd_camera = |odd: &str| odd.starts_with("camera ") || odd.starts_with("mediaMetaDataEnc ");
    let mut seen = 0;
    for file in world.sandbox.truth() {
        let Some(odd) = file.odd.filter(|odd| is_odd_camera(odd)) else { continue };
        assert_eq!(folders.get(&file.sha256).map(String::as_str), Some(NONE), "{odd}");
        seen += 1;
    }
    assert!(seen >= 12, "{seen} oddities");
    world.assert_rows_are_true();
    let folders: std::collections::BTreeSet<String> = folders.into_values().collect();
    assert!(
        folders.iter().all(|folder| folder == NONE || folder.starts_with("Loopback") || folder == "Sandbox")
    );
}
