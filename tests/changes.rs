//! Changes: what happens to the library between runs, and during one, is in the tree and in the
//! journal after the next run, and costs what it must and no more.

mod support;

use rollbook_sandbox::{Counters, Endpoint, Fault, Kind, Options, What};
use support::World;

/// A library that was brought home once, and counters at zero.
fn home(options: Options) -> World {
    let world = World::new(options);
    world.run(&["sync"], 0);
    world.assert_follows();
    world.sandbox.reset_counters();
    world
}

/// Requests to the photo service.
fn questions(counters: &Counters) -> u64 {
    [
        Endpoint::ZonesList,
        Endpoint::RecordsQuery,
        Endpoint::QueryBatch,
        Endpoint::RecordsLookup,
        Endpoint::ChangesDatabase,
        Endpoint::ChangesZone,
    ]
    .map(|endpoint| counters.of(endpoint))
    .iter()
    .sum()
}

/// Bytes of content since the counters were last reset.
fn fetched(world: &World) -> u64 {
    world.sandbox.counters().cdn_bytes
}

#[test]
fn a_run_without_changes_asks_once_for_each_database_and_writes_nothing() {
    for (shared_zone, questions_max) in [(false, 1), (true, 2)] {
        let world = home(Options { assets: 40, shared_zone, ..Options::default() });
        let before = world.inventory();
        for _ in 0..2 {
            world.sandbox.reset_counters();
            let ran = world.run(&["sync"], 0);
            assert!(ran.stdout().contains("nothing new"), "{}", ran.stdout());
            let counters = world.sandbox.counters();
            assert_eq!(counters.of(Endpoint::ChangesDatabase), questions_max);
            assert_eq!(questions(&counters), questions_max, "{counters:?}");
            assert_eq!(counters.of(Endpoint::Cdn), 0);
        }
        assert_eq!(world.inventory(), before, "inodes and change times of every file and folder");
    }
}

#[test]
fn every_kind_of_change_is_followed_and_told() {
    let world = home(Options { assets: 60, ..Options::default() });
    let library = world.sandbox.library();
    let assets = library.assets();
    let added = library.add_asset(Kind::Live);
    assert!(library.edit_asset(&assets[3]) && library.delete_asset(&assets[4]) && library.purge(&assets[5]));
    assert!(library.set_favorite(&assets[7], true) || library.set_favorite(&assets[8], true));
    assert!(library.hide(&assets[9]) && library.delete_asset(&assets[10]));
    world.run(&["sync"], 0);
    world.assert_follows();
    assert_eq!(world.sandbox.counters().of(Endpoint::RecordsQuery), 0, "nothing is listed");
    for (event, times) in [("added", 1), ("edited", 1), ("deleted", 2), ("purged", 1), ("hidden", 1)] {
        assert_eq!(world.told(event), times, "{event}");
    }
    let new = |file: &rollbook_sandbox::TruthFile| {
        let edited = file.asset_record == assets[3] && file.rendition.is_edit();
        file.asset_record == added || edited
    };
    let bytes: u64 = world.sandbox.truth().iter().filter(|file| new(file)).map(|file| file.size).sum();
    assert_eq!(fetched(&world), bytes, "what is new, once");

    // Back again: nothing was lost, so nothing is fetched.
    world.sandbox.reset_counters();
    assert!(library.restore_asset(&assets[4]) && library.unhide(&assets[9]) && library.purge(&assets[10]));
    world.run(&["sync"], 0);
    world.assert_follows();
    assert_eq!((fetched(&world), world.told("restored"), world.told("unhidden")), (0, 1, 1));
    assert_eq!(world.told("purged"), 2, "a deleted photo is purged after its month");
    let was: String = world
        .journal()
        .query_row("SELECT removed_as FROM asset WHERE record_name = ?1", [&assets[10]], |r| r.get(0))
        .unwrap();
    assert_eq!(was, "purged");
}

#[test]
fn a_token_that_is_void_leads_to_a_listing_that_fetches_nothing_again() {
    let world = home(Options { assets: 30, ..Options::default() });
    let library = world.sandbox.library();
    let assets = library.assets();
    // What the changes would have said, the listing finds out.
    assert!(library.purge(&assets[2]) && library.delete_asset(&assets[3]) && library.hide(&assets[4]));
    let void = What::CloudKitError {
        code: "BAD_REQUEST".into(),
        reason: "Unknown sync continuation type".into(),
        retry_after: None,
    };
    world.sandbox.faults().add(Fault::once(Endpoint::ChangesZone, void));
    let ran = world.run(&["sync"], 0);
    assert!(ran.stderr().contains("listed again"), "{}", ran.stderr());
    world.assert_follows();
    assert_eq!(fetched(&world), 0);
    assert_eq!((world.told("purged"), world.told("deleted"), world.told("hidden")), (1, 1, 1));
}

#[test]
fn a_recount_that_does_not_agree_leads_to_a_listing() {
    let world = home(Options { assets: 30, ..Options::default() });
    // A day later, and as if the changes had missed one.
    let journal = world.journal();
    journal.execute("UPDATE library SET recounted_at = recounted_at - 100000", []).unwrap();
    let ran = world.run(&["sync"], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::QueryBatch), 1, "one request for both counts");
    assert_eq!(world.sandbox.counters().of(Endpoint::RecordsQuery), 0, "{}", ran.stderr());
    journal
        .execute_batch(
            "UPDATE library SET recounted_at = 0;
            UPDATE asset SET removed_at = 1, removed_as = 'purged' WHERE asset_id = 3",
        )
        .unwrap();
    let ran = world.run(&["sync"], 0);
    assert!(ran.stderr().contains("Apple counts 30 assets, the journal 29"), "{}", ran.stderr());
    world.assert_follows();
    assert_eq!(fetched(&world), 0);
}

#[test]
fn full_lists_everything_and_fetches_nothing() {
    let world = home(Options { assets: 30, shared_zone: true, ..Options::default() });
    let before = world.inventory();
    world.run(&["sync", "--full"], 0);
    assert!(world.sandbox.counters().of(Endpoint::RecordsQuery) >= 2);
    assert_eq!((fetched(&world), world.inventory()), (0, before));
    world.assert_follows();
}
