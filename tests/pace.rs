//! How fast it goes is the person's choice: never more than the limit, and `auto` finds its number.

mod support;

use std::time::{Duration, Instant};

use rollbook_sandbox::{Endpoint, Fault, Kind, Options, Sandbox, What};
use support::World;

/// The most bytes of content that were asked for within any second of the sandbox's.
fn bytes_in_a_second(sandbox: &Sandbox) -> u64 {
    let content: Vec<_> = sandbox.log().into_iter().filter(|entry| entry.endpoint == Endpoint::Cdn).collect();
    let within = |from: u64| {
        content
            .iter()
            .filter(move |entry| (from..from + 1000).contains(&entry.at_ms))
            .map(|entry| entry.bytes_sent)
    };
    content.iter().map(|entry| within(entry.at_ms).sum()).max().unwrap_or_default()
}

#[test]
fn the_limit_holds_for_all_files_together() {
    let library = || Options { assets: 40, ..Options::default() };
    let world = World::new(library());
    world.run(&["sync", "--threads-num", "3", "--bandwidth-limit", "400KB"], 0);
    world.assert_complete();
    let (limited, largest) = (
        bytes_in_a_second(&world.sandbox),
        world.sandbox.truth().iter().map(|file| file.size).max().unwrap(),
    );
    // Beside what the limit lets through: what it saved up before, and a file in each worker's hands.
    let most = 400_000 + 40_000 + 3 * largest;
    assert!(limited <= most, "{limited} bytes in a second, at most {most} were allowed");
    // The measure is not blind: without a limit it all comes at once.
    let total: u64 = world.sandbox.truth().iter().map(|file| file.size).sum();
    assert!(total > 2 * most, "the library is large enough to tell: {total}");
}

#[test]
fn auto_climbs_while_that_pays_and_a_refusal_brings_it_down() {
    // Each answer takes half a second and no work, so what comes in a second is the number at once, however
    // busy the machine is.
    let world = World::new(Options { assets: 300, mean_size_bytes: Some(2_000), ..Options::default() });
    world.sandbox.faults().add(Fault::always(Endpoint::Cdn, What::Delay { ms: 500 }));
    let counters = || world.sandbox.counters();
    let run = world.spawn(&["sync", "--threads-num", "auto"]);
    // It begins with four. The first step, to six, is a trial; the second is taken because the first paid.
    support::wait_until("nine files at once", || counters().cdn_at_once_max >= 9);
    let refusal = Fault::once(Endpoint::Cdn, What::retry_after(429, "3"));
    world.sandbox.faults().add(refusal.clone());
    // In the pause that it asks for nothing is under way for longer than an answer takes.
    let mut quiet_since = Instant::now();
    support::wait_until("the refusal and the pause", || {
        if world.sandbox.faults().waiting().contains(&refusal) || counters().cdn_at_once > 0 {
            quiet_since = Instant::now();
        }
        quiet_since.elapsed() > Duration::from_secs(1)
    });
    let before = counters().cdn_at_once_max;
    world.sandbox.reset_counters();
    support::wait_until("files after the pause", || counters().of(Endpoint::Cdn) > 2 * before);
    let after = counters().cdn_at_once_max;
    assert!((2..before).contains(&after), "{before} at once before the refusal, {after} after it");
    world.sandbox.faults().clear();
    support::finish(run, 0);
    world.assert_complete();
}

#[test]
fn a_number_is_never_exceeded() {
    // Each answer is under way for so long that three of them meet, however the machine shares its time.
    let world = World::new(Options { assets: 30, ..Options::default() });
    world.sandbox.faults().add(Fault::always(Endpoint::Cdn, What::Delay { ms: 200 }));
    world.run(&["sync", "--threads-num", "3"], 0);
    assert_eq!(world.sandbox.counters().cdn_at_once_max, 3);
}

#[test]
fn large_files_leave_a_place_for_small_ones() {
    // The newest assets are the large ones: they are claimed first, and stall until they are let go.
    let world = World::new(Options { assets: 6, large_video_mb: Some(33), ..Options::default() });
    for _ in 0..2 {
        world.sandbox.library().add_asset(Kind::LargeVideo);
    }
    let large = 33 << 20;
    world
        .sandbox
        .faults()
        .add(Fault::always(Endpoint::Cdn, What::StallAfter { bytes: 1_000_000, hold_ms: None }));
    let run = world.spawn(&["sync", "--threads-num", "2"]);
    support::wait_until("every small file to be verified", || {
        world.try_count(&format!("state <> 'verified' AND size_bytes < {large}")) == Some(0)
            && world.try_count("state = 'verified'") > Some(0)
    });
    assert_eq!(world.count(&format!("state = 'verified' AND size_bytes >= {large}")), 0);
    world.sandbox.faults().clear();
    support::finish(run, 0);
    world.assert_complete();
}

#[test]
fn refusals_are_waited_out_by_auto_too() {
    let world = World::new(Options { assets: 30, ..Options::default() });
    for _ in 0..3 {
        world.sandbox.faults().add(Fault::once(Endpoint::Cdn, What::status(503)));
    }
    world.run(&["sync", "--threads-num", "auto"], 0);
    world.assert_complete();
}
