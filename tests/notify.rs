//! Whoever looks once a year is told: the command of `notify-command` hears how each run ended, and that
//! a person is waited for.

mod support;

use std::fs;
use std::process::{Command, Stdio};

use rollbook_sandbox::Options;
use support::{World, finish, wait_until};

/// Writes what it was told as a line to the file that it finds in `TOLD`.
const TELL: &str = r#"echo "$ROLLBOOK_EVENT $ROLLBOOK_USERNAME $ROLLBOOK_EXIT<-${ROLLBOOK_EXIT_BEFORE:-none} $ROLLBOOK_MESSAGE${ROLLBOOK_PASSWORD:+ a password}" >> "$TOLD"; echo chatter"#;

fn syncs(world: &World, args: &[&str]) -> Command {
    let mut command = world.rollbook(args);
    command.env("ROLLBOOK_NOTIFY_COMMAND", TELL).env("TOLD", world.log_file());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What was told, oldest first.
fn told(world: &World) -> Vec<String> {
    fs::read_to_string(world.log_file()).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn every_end_of_a_run_is_told_with_the_one_before_and_its_words() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    let ran = finish(syncs(&world, &["sync"]).spawn().unwrap(), 0);
    let summary = ran.stdout();
    assert!(!summary.contains("chatter") && ran.stderr().contains("chatter"), "standard output is for data");
    assert_eq!(told(&world), [format!("run-ended user@example.com 0<-none {}", summary.trim_end())]);

    fs::remove_dir_all(world.photos()).unwrap();
    finish(syncs(&world, &["sync"]).spawn().unwrap(), 4);
    finish(syncs(&world, &["sync"]).spawn().unwrap(), 4);
    let told = told(&world);
    assert!(told[1].starts_with("run-ended user@example.com 4<-0 cannot"), "{told:?}");
    assert!(told[2].starts_with("run-ended user@example.com 4<-4 cannot"), "{told:?}");
}

#[test]
fn a_journal_that_cannot_be_used_is_told_too() {
    let world = World::new(Options { assets: 1, ..Options::default() });
    world.run(&["sync"], 0);
    fs::write(world.data_dir().join("journal.db"), "no journal").unwrap();
    let ran = finish(syncs(&world, &["sync"]).spawn().unwrap(), 2);
    assert_eq!(told(&world).len(), 1, "{}", ran.stderr());
    assert!(told(&world)[0].starts_with("run-ended user@example.com 2<-none cannot"), "{:?}", told(&world));
}

#[test]
fn a_code_that_is_waited_for_is_told_while_the_run_waits() {
    let world = World::new(Options { two_factor: true, assets: 2, ..Options::default() });
    let run = syncs(&world, &["sync"]).spawn().unwrap();
    wait_until("the call for a code", || !told(&world).is_empty());
    let call = &told(&world)[0];
    assert!(call.starts_with("person-needed user@example.com <-none waiting for a code until"), "{call}");
    assert!(call.contains("rollbook login --code"), "{call}");
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    finish(run, 0);
    assert_eq!(told(&world).len(), 2, "called once: {:?}", told(&world));
    assert!(told(&world)[1].starts_with("run-ended user@example.com 0<-none 2 assets"), "{:?}", told(&world));
}

#[test]
fn a_command_that_fails_changes_nothing_but_is_said() {
    let world = World::new(Options { assets: 1, ..Options::default() });
    let run = world
        .rollbook(&["sync", "--notify-command", "exit 9"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let ran = finish(run.unwrap(), 0);
    assert!(ran.stderr().contains("warning: notify-command ended with exit status: 9"), "{}", ran.stderr());
    world.assert_complete();
}
