//! Advanced Data Protection: a device consents, the consent ends, and files lose nothing by it.

mod support;

use rollbook_sandbox::{Endpoint, Options};
use support::{World, finish, wait_until};

fn protected(assets: u32) -> World {
    World::new(Options { advanced_data_protection: true, assets, latency_ms: 5, ..Options::default() })
}

#[test]
fn a_device_is_asked_waited_for_and_its_consent_is_shown() {
    let world = protected(6);
    let run = world.spawn(&["sync"]);
    wait_until("a device that was asked", || world.sandbox.approve_consent());
    let ran = finish(run, 0);
    let stderr = ran.stderr();
    assert!(
        stderr.contains("Advanced Data Protection") && stderr.contains("approved on a device"),
        "{stderr}"
    );
    world.assert_complete();
    assert!(world.run(&["status"], 0).stdout().contains("consent   of a device to web access ends on"));
    let status = world.run(&["status", "--json"], 0).stdout();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert!(status["sign_in"]["consent_ends_at"].is_i64(), "{status}");
}

#[test]
fn cookies_that_lapse_are_renewed_while_the_consent_stands() {
    let world = protected(150);
    let run = world.spawn(&["sync", "--threads-num", "4"]);
    wait_until("a device that was asked", || world.sandbox.approve_consent());
    wait_until("some downloads", || world.sandbox.counters().of(Endpoint::Cdn) > 20);
    world.sandbox.lapse_consent_cookies();
    finish(run, 0);
    world.assert_complete();
    assert_eq!(world.history("failed"), 0);
}

#[test]
fn a_consent_that_ends_in_the_middle_is_asked_for_again() {
    let world = protected(150);
    let run = world.spawn(&["sync", "--threads-num", "4"]);
    wait_until("a device that was asked", || world.sandbox.approve_consent());
    wait_until("some downloads", || world.sandbox.counters().of(Endpoint::Cdn) > 20);
    world.sandbox.lapse_consent();
    wait_until("a device that was asked again", || world.sandbox.approve_consent());
    finish(run, 0);
    world.assert_complete();
    assert_eq!(world.history("failed"), 0);
}
