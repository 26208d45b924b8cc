//! Each refusal is named as what it is, with the step that cures it; and the step cures it.

mod support;

use rollbook_sandbox::{Endpoint, Fault, Obstacle, Options, What};
use support::World;

fn small(options: Options) -> World {
    World::new(Options { assets: 4, ..options })
}

#[test]
fn every_obstacle_has_a_name_and_a_step_and_is_gone_after_it() {
    for (obstacle, code, why, step) in [
        (Obstacle::Locked, 3, "the account is locked: This Apple Account", "https://iforgot.apple.com"),
        (Obstacle::SecurityKey, 3, "security key", "remove the security keys in Settings"),
        (Obstacle::Terms, 3, "new iCloud terms wait", "accept the terms"),
        (Obstacle::RepairOnWeb, 3, "Sign in on the web to continue.", "https://account.apple.com"),
        (Obstacle::WebAccessOff, 3, "web access is off", "\"Access iCloud Data on the Web\""),
        (Obstacle::OtherRegion, 2, "another region: iCloud.com.cn", "--domain cn"),
    ] {
        let world = small(Options { obstacle, ..Options::default() });
        let stderr = world.run(&["sync"], code).stderr();
        assert!(stderr.contains(why) && stderr.contains(step), "{obstacle:?}: {stderr}");
        world.sandbox.set_obstacle(Obstacle::None);
        world.run(&["login"], 0);
        world.run(&["sync"], 0);
        world.assert_complete();
    }
}

#[test]
fn a_notice_that_can_be_put_away_is_put_away() {
    let world = small(Options { obstacle: Obstacle::Repair, ..Options::default() });
    world.run(&["sync"], 0);
    world.assert_complete();
}

#[test]
fn web_access_that_is_turned_off_later_is_named_as_such() {
    let world = small(Options::default());
    world.run(&["login"], 0);
    world.sandbox.set_obstacle(Obstacle::WebAccessOff);
    let stderr = world.run(&["sync"], 3).stderr();
    assert!(stderr.contains("Access iCloud Data on the Web"), "{stderr}");
}

#[test]
fn a_refused_password_is_sent_once_whatever_a_scheduler_does() {
    let world = small(Options::default());
    let with = |args: &[&str], password: &str| {
        let ended = world.rollbook(args).env("ROLLBOOK_PASSWORD", password).output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    let sent = || world.sandbox.counters().of(Endpoint::SigninComplete);
    let (code, stderr) = with(&["sync"], "wrong");
    assert_eq!((code, sent()), (Some(3), 1), "{stderr}");
    assert!(stderr.contains("apple refused the password"), "{stderr}");
    for _ in 0..3 {
        let (code, stderr) = with(&["sync"], "wrong");
        assert_eq!((code, sent()), (Some(3), 1), "{stderr}");
        assert!(
            stderr.contains("apple refused the password before, so this same password was not sent again"),
            "{stderr}"
        );
    }
    assert!(world.run(&["status"], 0).stdout().contains("Apple refused the password on"));
    // Another one is worth a try, and so is the same one when a person says so.
    assert_eq!((with(&["sync"], "also wrong").0, sent()), (Some(3), 2));
    assert_eq!((with(&["login"], "also wrong").0, sent()), (Some(3), 3));
    world.run(&["sync"], 0);
    assert!(!world.run(&["status"], 0).stdout().contains("Apple refused"));
}

#[test]
fn a_locked_account_is_not_knocked_at_again() {
    let world = small(Options { obstacle: Obstacle::Locked, ..Options::default() });
    world.run(&["sync"], 3);
    let stderr = world.run(&["sync"], 3).stderr();
    assert_eq!(world.sandbox.counters().of(Endpoint::SigninComplete), 1);
    assert!(stderr.contains("iforgot.apple.com"), "{stderr}");
    assert!(stderr.contains("the account was locked before") && !stderr.contains("refused"), "{stderr}");
    let health = world.run(&["health"], 3).stdout();
    assert!(health.contains("the account was locked on"), "{health}");
}

#[test]
fn apples_wish_to_wait_is_told_and_outlives_the_process() {
    for (what, told) in [
        (What::retry_after(503, "7200"), "apple asks to wait until"),
        (What::status(503), "apple asks to wait until"),
        (What::retry_after(429, "600"), "apple asks to wait until"),
    ] {
        let world = small(Options::default());
        world.sandbox.faults().add(Fault::once(Endpoint::SigninInit, what));
        let stderr = world.run(&["sync"], 5).stderr();
        assert!(stderr.contains(told), "{stderr}");
        world.sandbox.reset_counters();
        let again = world.run(&["sync"], 5).stderr();
        assert!(again.contains("apple asks to wait until"), "{again}");
        assert_eq!(world.sandbox.log().len(), 0, "nothing is asked before that");
        assert!(world.run(&["status"], 0).stdout().contains("Apple asked to wait until"));
    }
}

#[test]
fn a_wrong_clock_is_named_with_its_difference() {
    for (ahead_s, told) in [(1800, "behind Apple's"), (-1800, "ahead of Apple's")] {
        let world = small(Options { clock_ahead_s: ahead_s, ..Options::default() });
        let ran = world.run(&["login"], 0);
        let stderr = ran.stderr();
        assert!(
            stderr.contains(told) && (stderr.contains("30 min") || stderr.contains("29 min")),
            "{stderr}"
        );
        assert_eq!(stderr.matches("the clock of this machine").count(), 1, "{stderr}");
    }
    let world = small(Options { clock_ahead_s: 100, ..Options::default() });
    assert_eq!(world.run(&["login"], 0).stderr(), "");
}
