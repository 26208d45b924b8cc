//! Wrong bytes never get a final name; what cannot come home is named with its reason; the others
//! finish. The whole table of faults is in `proof/network.rs`.

mod support;

use rollbook_sandbox::{Endpoint, Fault, Mix, Options, Rendition, Target, Times, What};
use support::World;

/// The first original of the library, and a fault that strikes it every time.
fn spoil(world: &World, what: What) -> String {
    let file = world.sandbox.truth().into_iter().find(|f| f.rendition == Rendition::Original).unwrap();
    world.sandbox.faults().add(Fault {
        on: Target::file(&file.asset_record, Rendition::Original),
        times: Times::Always,
        what,
    });
    file.asset_record
}

fn reason(world: &World, asset: &str) -> (String, String, i64) {
    world
        .journal()
        .query_row(
            "SELECT state, error_kind, attempts FROM v_file WHERE asset = ?1 AND rendition = 'original'",
            [asset],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
        )
        .unwrap()
}

#[test]
fn right_length_and_wrong_bytes_fail_with_the_reason_and_the_rest_is_home() {
    let world = World::new(Options { assets: 30, ..Options::default() });
    let asset = spoil(&world, What::FlipBit { offset: 100 });
    let ran = world.run(&["sync"], 1);
    assert_eq!(reason(&world, &asset), ("failed".into(), "wrong-bytes".into(), 2), "two attempts");
    assert!(ran.stderr().contains("wrong-bytes"), "{}", ran.stderr());
    world.assert_rows_are_true();
    let truth = world.sandbox.truth();
    let tree = world.tree();
    assert_eq!(tree.len(), truth.len() - 1, "all others are home, and no part is left of the bad one");
    assert!(tree.values().all(|sha256| truth.iter().any(|file| file.sha256 == *sha256)));

    // Apple mends it: the next run that may try brings it home.
    world.sandbox.faults().clear();
    world.journal().execute_batch("UPDATE asset_file SET retry_at = 1 WHERE state = 'failed'").unwrap();
    world.run(&["sync"], 0);
    world.assert_complete();
}

#[test]
fn retry_failed_in_every_run_gives_a_file_up_too_and_then_tries_it_once() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    let asset = spoil(&world, What::FlipBit { offset: 100 });
    let attempts = |flags: &[&str]| {
        let before = reason(&world, &asset).2;
        world.run(&[&["sync"], flags].concat(), 1);
        reason(&world, &asset).2 - before
    };
    world.run(&["sync"], 1);
    for _ in 0..9 {
        assert_eq!(attempts(&["--retry-failed"]), 2);
    }
    for _ in 0..2 {
        assert_eq!((attempts(&[]), attempts(&["--retry-failed"])), (0, 1));
    }
    let said = world.run(&["explain", &asset], 0).stdout();
    assert!(said.contains("22 failed attempts") && said.contains("given up"), "{said}");
    world.sandbox.faults().clear();
    world.run(&["sync", "--retry-failed"], 0);
    world.assert_complete();
}

#[test]
fn the_second_attempt_has_a_fresh_url() {
    let world = World::new(Options { assets: 5, ..Options::default() });
    let asset = world.sandbox.truth()[0].asset_record.clone();
    // The first request finds nothing; the retry pass asks for a new URL and gets through.
    world.sandbox.faults().add(Fault {
        on: Target::file(&asset, Rendition::Original),
        times: Times::Count(1),
        what: What::status(404),
    });
    world.run(&["sync"], 0);
    world.assert_complete();
    assert_eq!(world.sandbox.counters().of(Endpoint::RecordsLookup), 1);
}

/// Libraries of edited photos whose edited versions have checksums by a rule that nobody knows.
fn by_another_rule(assets: u32) -> World {
    let none = Mix {
        live: 0,
        jpeg: 0,
        heic: 0,
        edited: 0,
        edited_live: 0,
        video: 0,
        edited_video: 0,
        jpeg_raw: 0,
        raw_jpeg: 0,
        screenshot: 0,
    };
    let mix = Mix { edited: 1, ..none };
    World::new(Options { assets, mix, wrong_checksums: Some(Rendition::JPEGFull), ..Options::default() })
}

fn edited(world: &World) -> i64 {
    world.sandbox.truth().iter().filter(|file| file.rendition == Rendition::JPEGFull).count() as i64
}

#[test]
fn a_kind_of_file_whose_checksums_never_match_is_kept_by_length_and_says_so() {
    let world = by_another_rule(40);
    let ran = world.run(&["sync", "--threads-num", "3"], 0);
    let warning = "\"edited\" all came whole, and not one matches";
    assert_eq!(ran.stderr().matches(warning).count(), 1, "{}", ran.stderr());
    world.assert_rows_are_true();
    assert_eq!(world.tree().len(), world.sandbox.truth().len());
    assert_eq!(world.count("verified_by = 'length'"), edited(&world));
    assert_eq!(world.count("(rendition = 'edited') = (verified_by = 'apple-signature')"), 0);
    // Twenty or a few more came twice; nothing of them comes a third time.
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);
}

#[test]
fn fewer_mismatches_than_prove_anything_stay_failures() {
    let world = by_another_rule(19);
    world.run(&["sync"], 1);
    assert!(edited(&world) < 20);
    assert_eq!(world.count("error_kind = 'wrong-bytes' AND rendition = 'edited'"), edited(&world));
    assert_eq!(world.count("verified_by = 'length'"), 0);
}

#[test]
fn mismatches_among_matches_are_corruption() {
    let world = World::new(Options { assets: 40, ..Options::default() });
    let originals = world.sandbox.truth().into_iter().filter(|file| file.rendition == Rendition::Original);
    for file in originals.skip(10) {
        world.sandbox.faults().add(Fault {
            on: Target::file(&file.asset_record, Rendition::Original),
            times: Times::Always,
            what: What::FlipBit { offset: 100 },
        });
    }
    world.run(&["sync", "--threads-num", "1"], 1);
    assert!(world.count("error_kind = 'wrong-bytes'") >= 25);
    assert_eq!(world.count("verified_by = 'length'"), 0);
}
