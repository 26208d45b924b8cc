//! The main job: a whole library comes home, proved, and a second run finds nothing to do.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rollbook_sandbox::{ChecksumForm, Endpoint, Options};
use support::World;

#[test]
fn every_file_equals_the_truth_and_a_second_run_does_nothing() {
    let world = World::new(Options { assets: 120, shared_zone: true, ..Options::default() });
    world.run(&["sync"], 0);
    world.assert_complete();

    assert_eq!(world.sandbox.counters().of(Endpoint::RecordsModify), 0, "nothing is ever written to iCloud");

    let before = inventory(&world);
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0, "content requests of a second run");
    assert_eq!(world.sandbox.counters().of(Endpoint::RecordsLookup), 0);
    assert_eq!(world.sandbox.counters().auth(), 0, "the saved session is used");
    assert_eq!(inventory(&world), before, "inodes and change times of every file and folder");
}

/// Inode and change time of everything in the tree: any write shows.
fn inventory(world: &World) -> BTreeMap<String, (u64, i64, i64)> {
    fn walk(folder: &std::path::Path, found: &mut BTreeMap<String, (u64, i64, i64)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            found.insert(path.to_string_lossy().into(), (meta.ino(), meta.ctime(), meta.ctime_nsec()));
            if meta.is_dir() {
                walk(&path, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&world.photos(), &mut found);
    found
}

#[test]
fn every_form_of_checksum_is_proved_as_what_it_is() {
    for (form, verified_by) in [
        (ChecksumForm::Signature21, "apple-signature"),
        (ChecksumForm::Sha256_32, "sha256"),
        (ChecksumForm::Sha256_33, "sha256"),
    ] {
        let world = World::new(Options { assets: 12, checksum_form: form, ..Options::default() });
        world.run(&["sync"], 0);
        assert_eq!(world.count("state <> 'verified'"), 0);
        assert_eq!(world.count(&format!("verified_by <> '{verified_by}'")), 0, "{verified_by}");
        assert_eq!(world.tree().len(), world.sandbox.truth().len());
    }
}

#[test]
fn the_first_download_leaves_after_at_most_two_pages_of_a_hundred_thousand_assets() {
    let world = World::new(Options { assets: 100_000, ..Options::default() });
    let mut run = world.spawn(&["sync", "--no-progress-bar"]);
    support::wait_until("the first download", || world.sandbox.counters().of(Endpoint::Cdn) > 0);
    let log = world.sandbox.log();
    let first = log.iter().position(|request| request.endpoint == Endpoint::Cdn).unwrap();
    let pages = log[..first].iter().filter(|request| request.start_rank.is_some()).count();
    assert!(pages <= 2, "{pages} pages before the first download: {:#?}", &log[..=first]);
    support::terminate(&mut run);
}

#[test]
fn a_live_photo_shares_its_stem_and_every_name_is_taken_once() {
    let world = World::new(Options { assets: 80, ..Options::default() });
    world.run(&["sync"], 0);
    let journal = world.journal();
    let pairs: i64 = journal
        .query_row(
            "SELECT count(*) FROM v_file still JOIN v_file movie USING (asset)
             WHERE still.rendition = 'original' AND movie.rendition = 'live-video'",
            [],
            |r| r.get(0),
        )
        .unwrap();
    let stems: i64 = journal
        .query_row(
            "SELECT count(*) FROM v_file still JOIN v_file movie USING (asset)
             WHERE still.rendition = 'original' AND movie.rendition = 'live-video'
               AND rtrim(still.path, replace(still.path, '.', '')) = rtrim(movie.path, replace(movie.path, '.', ''))",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert!(pairs > 10, "the sandbox has live photos");
    assert_eq!(pairs, stems, "still and movie share a stem");
}

#[test]
fn folders_follow_the_structure_and_files_the_date_of_capture() {
    let world = World::new(Options { assets: 10, ..Options::default() });
    world.run(&["sync", "--folder-structure", "none"], 0);
    assert!(world.tree().keys().all(|path| !path.contains('/')), "a flat tree");
    let (path, captured_at): (String, i64) = world
        .journal()
        .query_row("SELECT path, captured_at FROM v_file LIMIT 1", [], |r| Ok((r.get(0)?, r.get(1)?)))
        .unwrap();
    assert_eq!(fs::metadata(world.photos().join(path)).unwrap().mtime(), captured_at);
}

#[test]
fn every_oddity_of_a_record_is_a_file_or_a_named_problem() {
    let world = World::new(Options { assets: 20, odd_records: true, ..Options::default() });
    // Some files have no URL at all: they are in scope and cannot come, so the run says so.
    world.run(&["sync"], 1);
    world.assert_rows_are_true();
    let home: Vec<String> = world.tree().into_values().collect();
    let journal = world.journal();
    let mut named = journal.prepare("SELECT record FROM v_problem").unwrap();
    let named: Vec<String> = named.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(!named.is_empty(), "some records cannot be used");
    for file in world.sandbox.truth().into_iter().filter(|file| file.is_reachable) {
        let accounted = home.contains(&file.sha256)
            || named.contains(&file.asset_record)
            || named.contains(&file.master_record);
        assert!(accounted, "neither home nor named: {file:?}");
    }
    let outside = world.photos().parent().unwrap().join("etc");
    assert!(!outside.exists(), "no name leaves the destination");
}
