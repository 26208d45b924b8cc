//! A kill in the middle of a large file costs at most one promise, and a part file is proved
//! before it is trusted.

mod support;

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use rollbook_sandbox::{Endpoint, Fault, Options, What};
use support::World;

/// What a crash may cost of one file: one promise, and what was in flight after it.
const PROMISE_BYTES: u64 = 4 * 1024 * 1024;
const LARGE_MB: u32 = 48;

/// A library with one large video, on a line slow enough to be killed in the middle.
fn world() -> World {
    World::new(Options {
        assets: 3,
        large_video_mb: Some(LARGE_MB),
        bandwidth: Some(24 * 1024 * 1024),
        ..Options::default()
    })
}

/// Runs until the journal has promised at least `bytes` of the large file, then kills.
fn kill_after_promise(world: &World, bytes: i64) -> (String, u64) {
    let mut run = world.spawn(&["sync"]);
    support::wait_until("a promise", || {
        world.data_dir().join("journal.db").exists()
            && world.try_count(&format!("offset_bytes >= {bytes}")).unwrap_or(0) > 0
    });
    run.kill().unwrap();
    run.wait().unwrap();
    world
        .journal()
        .query_row("SELECT path, offset_bytes FROM asset_file WHERE state = 'partial'", [], |r| {
            Ok((r.get(0)?, r.get::<_, i64>(1)? as u64))
        })
        .unwrap()
}

#[test]
fn a_killed_transfer_asks_for_the_rest_only() {
    let world = world();
    let (path, promised) = kill_after_promise(&world, 16 * 1024 * 1024);
    let part = world.part_of(&path);
    let on_disk = fs::metadata(&part).unwrap().len();
    assert!(on_disk >= promised, "bytes before journal");

    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    world.assert_complete();
    let log = world.sandbox.log();
    let large: Vec<_> = log.iter().filter(|r| r.endpoint == Endpoint::Cdn && r.range.is_some()).collect();
    assert_eq!(large.len(), 1, "one request for the rest");
    assert_eq!(large[0].range.as_deref(), Some(format!("bytes={promised}-").as_str()));
    assert!(on_disk - promised <= PROMISE_BYTES + 4 * 1024 * 1024, "{} bytes come again", on_disk - promised);
    assert!(!part.exists());
}

#[test]
fn a_flipped_bit_in_the_prefix_is_found_before_the_request() {
    let world = world();
    let (path, promised) = kill_after_promise(&world, 8 * 1024 * 1024);
    let part = world.part_of(&path);
    let mut file = fs::OpenOptions::new().write(true).open(&part).unwrap();
    file.seek(SeekFrom::Start(promised / 2)).unwrap();
    file.write_all(b"\xff\x00\xff").unwrap();
    drop(file);

    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    world.assert_complete();
    assert_eq!(world.sandbox.counters().cdn_ranged, 0, "no request trusts the part");
    let restarted: i64 = world
        .journal()
        .query_row("SELECT count(*) FROM v_history WHERE event = 'restarted'", [], |r| r.get(0))
        .unwrap();
    assert_eq!(restarted, 1);
}

#[test]
fn a_part_that_is_longer_shorter_or_gone_is_repaired() {
    for (what, ranged) in [("longer", 1), ("shorter", 0), ("gone", 0)] {
        let world = world();
        let (path, promised) = kill_after_promise(&world, 8 * 1024 * 1024);
        let part = world.part_of(&path);
        match what {
            "longer" => {
                let mut file = fs::OpenOptions::new().append(true).open(&part).unwrap();
                file.write_all(&[7; 1000]).unwrap();
            }
            "shorter" => {
                fs::OpenOptions::new().write(true).open(&part).unwrap().set_len(promised - 1).unwrap();
            }
            _ => fs::remove_file(&part).unwrap(),
        }
        world.sandbox.reset_counters();
        world.run(&["sync"], 0);
        world.assert_complete();
        assert_eq!(world.sandbox.counters().cdn_ranged, ranged, "{what}");
    }
}

#[test]
fn a_stop_signal_keeps_every_byte_and_ends_within_two_seconds() {
    let world = world();
    let mut run = world.spawn(&["sync"]);
    support::wait_until("bytes", || world.sandbox.counters().cdn_bytes > 6 * 1024 * 1024);
    let asked = std::time::Instant::now();
    support::signal(&run, "TERM");
    let status = run.wait().unwrap();
    assert!(asked.elapsed().as_secs_f64() < 2.0, "{:?}", asked.elapsed());
    assert_eq!(status.code(), Some(130));
    assert_eq!(world.count("claim_run_id IS NOT NULL"), 0, "every claim is given back");
    let offset: i64 = world
        .journal()
        .query_row("SELECT offset_bytes FROM asset_file WHERE state = 'partial'", [], |r| r.get(0))
        .unwrap();
    assert!(offset > 4 * 1024 * 1024, "what came is promised: {offset}");

    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    world.assert_complete();
    assert_eq!(world.sandbox.counters().cdn_ranged, 1);
}

#[test]
fn a_validator_guards_the_range_where_the_host_gives_one() {
    let world = World::new(Options {
        assets: 1,
        large_video_mb: Some(LARGE_MB),
        bandwidth: Some(24 * 1024 * 1024),
        etag: true,
        ..Options::default()
    });
    let (_, promised) = kill_after_promise(&world, 8 * 1024 * 1024);
    assert!(promised > 0);
    assert_eq!(world.count("etag IS NOT NULL"), 1);
    world.run(&["sync"], 0);
    world.assert_complete();
}

#[test]
fn a_host_that_ignores_or_lies_about_ranges_costs_a_restart_and_nothing_else() {
    for what in [
        What::IgnoreRange,
        What::WrongContentRange { start_shift: 1, total_shift: 0 },
        What::WrongContentRange { start_shift: 0, total_shift: 5 },
        What::status(416),
    ] {
        let world = world();
        kill_after_promise(&world, 8 * 1024 * 1024);
        world.sandbox.faults().add(Fault::once(Endpoint::Cdn, what.clone()));
        let ran = world.run(&["sync"], 0);
        world.assert_complete();
        assert_eq!(world.count("attempts > 0"), 0, "{what:?}\n{}", ran.stderr());
    }
}
