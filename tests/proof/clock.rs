//! A clock that is wrong: a box without a battery that wakes in 1970, a jump of a day. Nothing is
//! fetched twice, nothing is put off for years, and what is written to the journal does no harm once
//! the clock is right again.

use rollbook_sandbox::{Endpoint, Fault, Options, What};

use crate::pool;
use crate::support::World;

const DAY: i64 = 86_400;

fn sync(world: &World, clock: &str) -> Option<i32> {
    let output = world.rollbook(&["sync"]).env("ROLLBOOK_FAULT_CLOCK", clock).output().unwrap();
    output.status.code()
}

#[test]
fn a_wrong_clock_fetches_all_and_is_forgiven_when_it_is_right() {
    let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    let jobs = [
        ("1970", format!("-{since_1970}")),
        ("a day late", format!("-{DAY}")),
        ("a day early", DAY.to_string()),
        ("ten years early", (3650 * DAY).to_string()),
        ("a day on in the middle", format!("{DAY}@20")),
        ("a day back in the middle", format!("-{DAY}@20")),
    ];
    pool::each(
        &jobs,
        |(name, _)| (*name).to_owned(),
        |(_, clock)| {
            let world = World::new(Options { assets: 12, ..Options::default() });
            assert_eq!(sync(&world, clock), Some(0));
            world.assert_complete();
            let fetched = world.sandbox.counters().of(Endpoint::Cdn);
            // The clock is right again.
            world.run(&["sync"], 0);
            assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), fetched, "nothing comes twice");
        },
    );
}

#[test]
fn a_failure_noted_by_a_wrong_clock_is_tried_again_by_a_right_one() {
    let jobs = [("a year early", 365 * DAY), ("a day late", -DAY), ("1990", -30 * 365 * DAY)];
    pool::each(
        &jobs,
        |(name, _)| (*name).to_owned(),
        |(_, seconds)| {
            let world = World::new(Options { assets: 3, ..Options::default() });
            world.sandbox.faults().add(Fault::always(Endpoint::Cdn, What::status(404)));
            assert_eq!(sync(&world, &seconds.to_string()), Some(1));
            world.sandbox.faults().clear();
            world.run(&["sync"], 0);
            world.assert_complete();
        },
    );
}

#[test]
fn a_wait_that_a_wrong_clock_noted_does_not_last_for_years() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    world.sandbox.faults().add(Fault::once(Endpoint::Cdn, What::retry_after(503, "1800")));
    assert_eq!(sync(&world, &(365 * DAY).to_string()), Some(5));
    world.run(&["sync"], 0);
    world.assert_complete();
}
