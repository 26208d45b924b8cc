//! Signing in on a machine nobody looks at: codes come from wherever somebody has one, and a run
//! that needs one waits for it.

mod support;

use std::fs;
use std::process::Child;

use rollbook_sandbox::{Endpoint, Options};
use support::{World, finish, wait_until};

fn wary() -> World {
    World::new(Options { two_factor: true, assets: 8, ..Options::default() })
}

/// Requests to a path of the identity service, by method.
fn asked(world: &World, method: &str, path: &str) -> usize {
    let log = world.sandbox.log();
    log.iter().filter(|request| request.method == method && request.path.ends_with(path)).count()
}

fn status(world: &World) -> serde_json::Value {
    serde_json::from_str(&world.run(&["status", "--json"], 0).stdout()).unwrap()
}

/// Starts a sync that needs a code, and returns when it says that it waits.
fn waiting_sync(world: &World) -> Child {
    let run = world.spawn(&["sync"]);
    until_it_waits(world);
    run
}

fn until_it_waits(world: &World) {
    let notice = world.data_dir().join("waiting-user@example.com.json");
    wait_until("a run that waits for a code", || {
        notice.exists() && status(world)["sign_in"]["waiting_since"].is_i64()
    });
}

#[test]
fn a_code_on_the_command_line_signs_in_without_another_push() {
    let world = wary();
    let ran = world.run(&["sync", "--no-wait"], 3);
    assert!(ran.stderr().contains("rollbook login --code 123456"), "{}", ran.stderr());
    assert_eq!(asked(&world, "PUT", "/securitycode"), 1, "devices are asked to show a code");

    world.sandbox.reset_counters();
    let ran = world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    assert!(ran.stdout().contains("trust: about 59 days left") || ran.stdout().contains("trust: about 60"));
    assert_eq!(asked(&world, "PUT", "/securitycode"), 0, "a new push would void the code in hand");
    assert_eq!(world.sandbox.counters().of(Endpoint::SigninComplete), 0, "the sign-in goes on");
    world.run(&["sync", "--no-wait"], 0);
    world.assert_complete();
}

#[test]
fn a_code_that_comes_after_its_sign_in_ended_is_given_again_in_a_new_one() {
    let world = wary();
    world.run(&["sync", "--no-wait"], 3);
    world.sandbox.end_sign_ins();
    world.sandbox.reset_counters();
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::SigninComplete), 1);
    assert_eq!(asked(&world, "PUT", "/securitycode"), 0);
}

#[test]
fn a_wrong_code_says_so_and_leaves_another_try() {
    let world = wary();
    world.run(&["sync", "--no-wait"], 3);
    let ran = world.run(&["login", "--code", "999999"], 3);
    assert!(ran.stderr().contains("apple refused the code"), "{}", ran.stderr());
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
}

#[test]
fn codes_that_apple_takes_no_more_are_not_tried_on() {
    let world = wary();
    for _ in 0..5 {
        world.run(&["login", "--code", "999999"], 3);
    }
    let ran = world.run(&["login", "--code", &world.sandbox.two_factor_code()], 3);
    assert!(ran.stderr().contains("no more codes") && ran.stderr().contains("hours"), "{}", ran.stderr());
}

#[test]
fn a_text_message_goes_to_the_chosen_phone_and_its_code_comes_with_the_next_command() {
    let world = World::new(Options { two_factor: true, phones: 2, assets: 4, ..Options::default() });
    let ran = world.run(&["login", "--sms"], 3);
    assert!(ran.stderr().contains("1  (•••) •••-••42") && ran.stderr().contains("2  (•••) •••-••43"));
    assert_eq!(asked(&world, "PUT", "/verify/phone"), 0, "nobody has chosen yet");
    let ran = world.run(&["login", "--sms", "7"], 2);
    assert!(ran.stderr().contains("the account has 2"), "{}", ran.stderr());

    let ran = world.run(&["login", "--sms", "2"], 3);
    assert!(ran.stderr().contains("a code was sent to (•••) •••-••43"), "{}", ran.stderr());
    assert_eq!(asked(&world, "PUT", "/securitycode"), 0, "a push would void the code of the message");
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    world.run(&["sync", "--no-wait"], 0);
    world.assert_complete();
}

#[test]
fn the_only_phone_needs_no_number() {
    let world = wary();
    let ran = world.run(&["login", "--sms"], 3);
    assert!(ran.stderr().contains("a code was sent to (•••) •••-••42"), "{}", ran.stderr());
    assert!(ran.stderr().contains("with the digits of the message"), "{}", ran.stderr());
    assert!(!ran.stderr().contains("trusted device"), "{}", ran.stderr());
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
}

#[test]
fn a_run_that_waits_takes_a_code_from_another_shell_and_says_what_became_of_it() {
    let world = wary();
    let run = waiting_sync(&world);
    let text = world.run(&["status"], 0).stdout();
    assert!(text.contains("sign-in   waiting for a code since"), "{text}");
    // The lock is held, so whatever else wants to sign in is told to wait.
    world.run(&["list", "libraries"], 7);

    let ran = world.run(&["login", "--code", "999999"], 3);
    assert!(ran.stderr().contains("refused") && ran.stderr().contains("2 more"), "{}", ran.stderr());
    let ran = world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    assert!(ran.stdout().contains("accepted"), "{}", ran.stdout());

    let ran = finish(run, 0);
    assert_eq!(ran.stderr().matches("waiting for a code").count(), 1, "said once: {}", ran.stderr());
    world.assert_complete();
    assert!(status(&world)["sign_in"]["waiting_since"].is_null());
    assert_eq!(asked(&world, "PUT", "/securitycode"), 1);
}

#[test]
fn a_run_that_waits_sends_a_text_message_when_another_shell_asks_for_one() {
    let world = World::new(Options { two_factor: true, phones: 2, assets: 4, ..Options::default() });
    let run = waiting_sync(&world);
    world.run(&["login", "--code", "999999"], 3);
    let ran = world.run(&["login", "--sms"], 3);
    assert!(ran.stderr().contains("2  (•••) •••-••43"), "{}", ran.stderr());
    assert!(!ran.stderr().contains("refused"), "that was another request: {}", ran.stderr());
    let ran = world.run(&["login", "--sms", "2"], 3);
    assert!(ran.stderr().contains("a code was sent to (•••) •••-••43"), "{}", ran.stderr());
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    finish(run, 0);
    world.assert_complete();
}

#[test]
fn a_run_that_waits_takes_a_code_from_a_file_also_when_its_sign_in_has_ended() {
    let world = wary();
    let run = waiting_sync(&world);
    world.sandbox.end_sign_ins();
    let file = world.data_dir().join("code");
    fs::write(&file, "12").unwrap();
    fs::write(&file, format!("{}\n", world.sandbox.two_factor_code())).unwrap();
    finish(run, 0);
    assert!(!file.exists(), "a code is good once");
    world.assert_complete();
}

#[test]
fn a_wrong_code_in_the_file_is_told_by_the_run_that_waits() {
    let world = wary();
    let run = waiting_sync(&world);
    fs::write(world.data_dir().join("code"), "999999\n").unwrap();
    wait_until("the code is tried", || asked(&world, "POST", "/securitycode") > 0);
    wait_until("the next question", || !world.data_dir().join("code").exists());
    let code = world.sandbox.two_factor_code();
    world.run(&["login", "--code", &code], 0);
    let stderr = finish(run, 0).stderr();
    assert_eq!(stderr.matches("Apple refused the code (2 more may be tried)").count(), 1, "{stderr}");
}

#[test]
fn three_wrong_codes_end_the_wait_before_apple_locks_the_account() {
    let world = wary();
    let run = waiting_sync(&world);
    for left in [2, 1, 0] {
        let ran = world.run(&["login", "--code", "999999"], 3);
        let (stderr, told) = (ran.stderr(), format!("{left} more"));
        assert!(stderr.contains(&told) || left == 0, "{stderr}");
    }
    let ran = finish(run, 3);
    assert!(ran.stderr().contains("apple refused the code"), "{}", ran.stderr());
}

#[test]
fn a_run_that_waits_obeys_a_signal_and_leaves_no_trace() {
    let world = wary();
    let run = waiting_sync(&world);
    let asked = std::time::Instant::now();
    support::signal(&run, "TERM");
    finish(run, 130);
    assert!(asked.elapsed().as_secs_f64() < 2.0, "{:?}", asked.elapsed());
    assert!(status(&world)["sign_in"]["waiting_since"].is_null());
}

#[test]
fn a_killed_run_waits_for_nobody() {
    let world = wary();
    let mut run = waiting_sync(&world);
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(status(&world)["sign_in"]["waiting_since"].is_null(), "its notice stays, its lock does not");
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
}

#[test]
fn no_wait_is_a_flag_and_a_variable() {
    let world = wary();
    world.run(&["sync", "--no-wait"], 3);
    let ended = world.rollbook(&["sync"]).env("ROLLBOOK_NO_WAIT", "true").output().unwrap();
    assert_eq!(ended.status.code(), Some(3));
}

#[test]
fn a_code_that_is_needed_in_the_middle_of_a_run_is_waited_for_and_costs_no_attempt() {
    let world = World::new(Options { two_factor: true, assets: 200, latency_ms: 5, ..Options::default() });
    world.run(&["login", "--sms"], 3);
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    let run = world.spawn(&["sync", "--threads-num", "4"]);
    wait_until("some downloads", || world.sandbox.counters().of(Endpoint::Cdn) > 20);
    world.sandbox.revoke_trust();
    until_it_waits(&world);
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    finish(run, 0);
    world.assert_complete();
    assert_eq!(world.history("failed"), 0);
}

#[test]
fn a_signal_ends_a_wait_in_the_middle_of_a_run() {
    let world = World::new(Options { two_factor: true, assets: 200, latency_ms: 5, ..Options::default() });
    world.run(&["login", "--sms"], 3);
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    let run = world.spawn(&["sync", "--threads-num", "4"]);
    wait_until("some downloads", || world.sandbox.counters().of(Endpoint::Cdn) > 20);
    world.sandbox.revoke_trust();
    until_it_waits(&world);
    let asked = std::time::Instant::now();
    support::signal(&run, "TERM");
    finish(run, 130);
    assert!(asked.elapsed().as_secs_f64() < 2.0, "{:?}", asked.elapsed());
    assert_eq!(world.count("claim_run_id IS NOT NULL"), 0, "every claim is given back");
}
