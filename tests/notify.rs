//! Whoever looks once a year is told: the command of `notify-command` hears how each run ended, and that
//! a person is waited for.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
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
fn who_stops_at_a_terminal_waits_for_no_command_and_stops_none() {
    let world = World::new(Options { assets: 1, ..Options::default() });
    let line = r#"exec > /dev/null 2>&1; echo begun >> "$TOLD"; until [ -e "$TOLD.go" ]; do sleep 0.02; done; echo whole >> "$TOLD""#;
    let mut command = syncs(&world, &["sync", "--notify-command", line]);
    let run = command.process_group(0).spawn().unwrap();
    wait_until("the command", || told(&world) == ["begun"]);
    // Ctrl-C reaches everything in the group of the terminal.
    let group = format!("-{}", run.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    let ran = finish(run, 0);
    assert!(!ran.stderr().contains("takes long"), "{}", ran.stderr());
    fs::write(world.log_file().with_extension("log.go"), "").unwrap();
    wait_until("the rest of it", || told(&world) == ["begun", "whole"]);
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

#[test]
fn the_example_of_the_readme_pings_after_each_success_and_tells_of_each_change() {
    let readme = include_str!("../README.md");
    let (_, example) = readme.split_once("```toml\nnotify-command").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let world = World::new(Options { assets: 1, ..Options::default() });
    let bin = tempfile::tempdir().unwrap();
    let curl = bin.path().join("curl");
    fs::write(&curl, "#!/bin/sh\necho \"$*\" >> \"$TOLD\"\n").unwrap();
    fs::set_permissions(&curl, fs::Permissions::from_mode(0o755)).unwrap();
    let config = bin.path().join("config.toml");
    fs::write(&config, format!("notify-command{example}")).unwrap();
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    for code in [0, 0, 4] {
        if code == 4 {
            fs::remove_dir_all(world.photos()).unwrap();
        }
        let mut command = world.rollbook(&["sync", "--config", config.to_str().unwrap()]);
        command.env("PATH", &path).env("TOLD", world.log_file()).stdout(Stdio::piped());
        finish(command.stderr(Stdio::piped()).spawn().unwrap(), code);
    }
    let heads: Vec<String> = told(&world).iter().map(|line| line.chars().take(15).collect()).collect();
    // A ping and the first word; a ping, and no word; a word of the trouble, and no ping.
    assert_eq!(heads, ["-fsS https://hc", "-fsS -d 1 asset", "-fsS https://hc", "-fsS -d cannot "]);
}
