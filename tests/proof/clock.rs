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

const TEN_YEARS: i64 = 3650 * DAY;

/// Another device signs this one out, so that the next run needs the password.
fn sign_out(world: &World) {
    for entry in std::fs::read_dir(world.data_dir()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("session-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

#[test]
fn a_clock_that_was_ten_years_ahead_puts_no_sign_in_off_for_ten_years() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    let put_off = || {
        sign_out(&world);
        let wait = What::retry_after(503, "1800");
        world.sandbox.faults().add(Fault::once(Endpoint::SigninInit, wait));
    };
    put_off();
    assert_eq!(sync(&world, &TEN_YEARS.to_string()), Some(5));
    let noted: i64 =
        world.journal().query_row("SELECT sign_in_allowed_at FROM governor", [], |r| r.get(0)).unwrap();
    world.run(&["sync"], 0);
    world.assert_complete();
    // A wait of now counts, whatever stood there.
    put_off();
    world.run(&["sync"], 5);
    assert!(world.sandbox.faults().waiting().is_empty());
    let now: i64 =
        world.journal().query_row("SELECT sign_in_allowed_at FROM governor", [], |r| r.get(0)).unwrap();
    assert!(now < noted - TEN_YEARS + 2 * DAY, "{now}, {noted}");
    let asked = world.sandbox.counters().of(Endpoint::SigninInit);
    world.run(&["sync"], 5);
    assert_eq!(world.sandbox.counters().of(Endpoint::SigninInit), asked, "nobody is asked meanwhile");
}

#[test]
fn every_time_before_which_nothing_is_done_is_forgiven_when_it_lies_years_ahead() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    let ahead = TEN_YEARS.to_string();
    assert_eq!(sync(&world, &ahead), Some(0));
    let late = |args: &[&str]| {
        let output = world.rollbook(args).env("ROLLBOOK_FAULT_CLOCK", &ahead).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    };
    late(&["verify"]);
    // Whatever else has a date: as if all of it had happened then.
    let journal = world.journal();
    let then = format!("unixepoch() + {TEN_YEARS}");
    for set in [
        "account SET next_allowed_at =",
        "governor SET sign_in_allowed_at =",
        "library SET recounted_at =",
        "database_token SET asked_at =",
    ] {
        assert!(journal.execute(&format!("UPDATE {set} {then}"), []).unwrap() > 0, "{set}");
    }
    world.sandbox.reset_counters();
    sign_out(&world);
    world.run(&["sync"], 0);
    assert!(world.sandbox.counters().of(Endpoint::QueryBatch) > 0, "the count is due");
    let answer = world.run(&["verify", "--json"], 0).stdout();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["accounts"][0]["files_read"].as_i64(), Some(world.count("1")), "each is due again");
}

#[test]
fn a_snapshot_from_the_future_does_not_outlive_those_of_today() {
    let world = World::new(Options { assets: 2, ..Options::default() });
    for _ in 0..3 {
        assert_eq!(sync(&world, &TEN_YEARS.to_string()), Some(0));
        world.sandbox.library().add_asset(rollbook_sandbox::Kind::Jpeg);
    }
    let runs = || {
        let listed = world.run(&["journal", "snapshots", "--json"], 0).stdout();
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let runs = listed.as_array().unwrap().iter().map(|one| one["run"].as_i64().unwrap());
        runs.collect::<Vec<_>>()
    };
    assert_eq!(runs(), [3, 2, 1]);
    world.run(&["sync"], 0);
    assert_eq!(runs(), [4, 3, 2], "the one of today is the newest");
    for _ in 0..2 {
        world.sandbox.library().add_asset(rollbook_sandbox::Kind::Jpeg);
        world.run(&["sync"], 0);
    }
    assert_eq!(runs(), [6, 5, 4]);
}

#[test]
fn a_wrong_clock_empties_no_trash_before_its_days() {
    let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    let jobs = [("trashed in 1970", -since_1970, 0), ("looked at ten years on", 0, 3650 * DAY)];
    pool::each(
        &jobs,
        |(name, ..)| (*name).to_owned(),
        |(_, when_trashed, when_emptied)| {
            let world = World::new(Options { assets: 6, ..Options::default() });
            world.run(&["sync"], 0);
            let gone = world.sandbox.library().assets()[0].clone();
            assert!(world.sandbox.library().delete_asset(&gone));
            let trash = |clock: i64| {
                let args = ["sync", "--deleted", "trash", "--trash-days", "30"];
                let clock = clock.to_string();
                let output = world.rollbook(&args).env("ROLLBOOK_FAULT_CLOCK", clock).output().unwrap();
                assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            };
            trash(*when_trashed);
            let files = world.count("trash_path IS NOT NULL");
            assert!(files > 0);
            trash(*when_emptied);
            assert_eq!(world.count("trash_path IS NOT NULL"), files, "thirty days are not over");
        },
    );
}
