//! A signed URL is a leased value: when all of them run out, the run renews them in batches and
//! nobody is blamed.

mod support;

use rollbook_sandbox::{Endpoint, Options};
use support::World;

#[test]
fn all_urls_expire_in_the_middle_of_a_run_and_it_converges() {
    let world = World::new(Options { assets: 300, latency_ms: 5, ..Options::default() });
    let mut run = world.spawn(&["sync", "--threads-num", "4"]);
    support::wait_until("some downloads", || world.sandbox.counters().of(Endpoint::Cdn) > 20);
    world.sandbox.expire_urls();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    world.assert_complete();

    let counters = world.sandbox.counters();
    let refused = world.sandbox.log().iter().filter(|r| r.status == 410).count() as i64;
    assert!(refused > 0, "some requests met a dead URL");
    let failed: i64 = history(&world, "failed");
    assert_eq!(failed, 0, "an expired URL burns no attempt");
    assert_eq!(history(&world, "url_expired"), history(&world, "url_renewed"));
    let lookups = counters.of(Endpoint::RecordsLookup);
    assert!(lookups > 0 && counters.names_looked_up >= lookups, "{counters:?}");
}

#[test]
fn urls_that_expired_between_runs_are_renewed_in_batches_before_they_are_used() {
    let world = World::new(Options { assets: 150, url_life_s: 3600, ..Options::default() });
    world.run(&["plan"], 0);
    // As if the night had passed: the journal's leases are over.
    world.journal().execute_batch("UPDATE asset_file SET url_expires_at = 1000000").unwrap();
    world.sandbox.expire_urls();
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    world.assert_complete();
    assert!(world.sandbox.log().iter().all(|r| r.status != 410), "no request leaves with a dead URL");
    let lookups = world.sandbox.counters().of(Endpoint::RecordsLookup);
    assert!(lookups <= 4, "{lookups} look-ups for 150 assets");
}

fn history(world: &World, event: &str) -> i64 {
    world
        .journal()
        .query_row("SELECT count(*) FROM v_history WHERE event = ?1", [event], |r| r.get(0))
        .unwrap()
}
