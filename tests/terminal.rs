//! At a terminal: a person is asked for the password and the code, sees a bar, and no bar where
//! nobody looks. The terminal is a real one, lent by `script` of util-linux; where that is missing
//! these tests say so and pass.

mod support;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rollbook_sandbox::Options;
use support::{World, wait_until};

/// What a person types when a prompt appears: known only then, as a code is.
type Answer<'a> = &'a dyn Fn() -> String;

/// Runs a command line at a terminal, and answers each prompt with what belongs to it. Gives what
/// the screen showed and the exit code; `None` without `script`.
fn at_terminal(world: &World, line: &str, dialogue: &[(&str, Answer<'_>)]) -> Option<(String, Option<i32>)> {
    let rollbook = world.rollbook(&[]);
    // Bounded: a prompt that nobody answers would wait for ever.
    let mut command = Command::new("timeout");
    command
        .args([
            "60",
            "script",
            "-qefc",
            &format!("{} {line}", rollbook.get_program().to_string_lossy()),
            "/dev/null",
        ])
        .env_clear()
        .envs(rollbook.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env_remove("ROLLBOOK_PASSWORD")
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if Command::new("script").arg("--version").output().is_err() {
        std::io::stderr().write_all(b"skipped: no `script` to lend a terminal\n").unwrap();
        return None;
    }
    let mut child = command.spawn().unwrap();
    let screen = Arc::new(Mutex::new(String::new()));
    let (mut output, shown) = (child.stdout.take().unwrap(), Arc::clone(&screen));
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read) = output.read(&mut buffer)
            && read > 0
        {
            shown.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    });
    let mut input = child.stdin.take().unwrap();
    let mut seen = 0;
    for (prompt, answer) in dialogue {
        wait_until(prompt, || screen.lock().unwrap()[seen..].contains(prompt));
        seen = screen.lock().unwrap().len();
        writeln!(input, "{}", answer()).unwrap();
    }
    let status = child.wait().unwrap();
    reader.join().unwrap();
    let screen = screen.lock().unwrap().clone();
    Some((screen, status.code()))
}

#[test]
fn a_person_is_asked_for_the_password_and_the_code_and_may_mistype_it() {
    let world = World::new(Options { assets: 3, two_factor: true, ..Options::default() });
    let password = world.sandbox.password().to_owned();
    let right = || world.sandbox.two_factor_code();
    let wrong = || if right() == "000000" { "111111".to_owned() } else { "000000".to_owned() };
    let type_password = || password.clone();
    let prompt = "Type the six digits";
    let dialogue: [(&str, Answer<'_>); 3] =
        [("Password for", &type_password), (prompt, &wrong), (prompt, &right)];
    let Some((screen, exit)) = at_terminal(&world, "login", &dialogue) else { return };
    assert_eq!(exit, Some(0), "{screen}");
    assert!(screen.contains("refused that code"), "a wrong code may be followed by another: {screen}");
    world.run(&["sync", "--no-wait"], 0);
    world.assert_complete();
}

#[test]
fn the_bar_counts_assets_up_to_the_total_and_hides_where_nobody_looks() {
    let world = World::new(Options { assets: 40, bandwidth: Some(400_000), ..Options::default() });
    world.run(&["login"], 0);
    let Some((screen, exit)) = at_terminal(&world, "sync", &[]) else { return };
    assert_eq!(exit, Some(0), "{screen}");
    // Every count that was drawn, as `12 of 40 assets`.
    let drawn: Vec<u64> = screen
        .split(" of 40 assets")
        .filter_map(|before| before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .collect();
    assert!(drawn.len() > 2, "a bar is drawn: {screen:?}");
    assert!(drawn.iter().all(|done| *done <= 40), "it never overshoots: {drawn:?}");
    assert!(screen.contains("40 assets, "), "and ends in one line: {screen:?}");

    let quiet = World::new(Options { assets: 10, ..Options::default() });
    quiet.run(&["login"], 0);
    let Some((screen, _)) = at_terminal(&quiet, "sync --no-progress-bar", &[]) else { return };
    assert!(!screen.contains('\u{1b}') && !screen.contains("of 10 assets"), "{screen:?}");
    let piped = quiet.run(&["sync"], 0).stdout();
    assert_eq!(piped.lines().count(), 1, "one line where nobody looks: {piped}");
}
