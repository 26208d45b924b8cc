//! Where a password comes from when nobody is there, and where it never shows.

mod support;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rollbook_sandbox::{Endpoint, Options};
use support::{Ran, World, wait_until};

const WRONG: &str = "not the password";

/// The binary without a password in its environment, but with what `variables` say.
fn command(world: &World, args: &[&str], variables: &[(&str, &OsStr)]) -> Command {
    let mut command = world.rollbook(args);
    command.env_remove("ROLLBOOK_PASSWORD").envs(variables.iter().copied());
    command
}

fn run(world: &World, args: &[&str], variables: &[(&str, &OsStr)], code: i32) -> Ran {
    let ran = Ran(command(world, args, variables).output().unwrap());
    assert_eq!(ran.0.status.code(), Some(code), "rollbook {args:?}\n{}{}", ran.stdout(), ran.stderr());
    ran
}

fn beside(world: &World, name: &str) -> PathBuf {
    world.data_dir().parent().unwrap().join(name)
}

fn write(world: &World, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = beside(world, name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn small() -> World {
    World::new(Options { assets: 4, ..Options::default() })
}

/// Everything of a file, or of what stands in `/proc`, has to be free of the password.
fn assert_without(bytes: &[u8], password: &str, what: &str) {
    let found = bytes.windows(password.len()).any(|window| window == password.as_bytes());
    assert!(!found, "the password stands in {what}");
}

#[test]
fn the_first_source_in_the_documented_order_is_used_and_shown() {
    let world = small();
    let right = world.sandbox.password().to_owned();
    // The right password in one source, a wrong one in each that comes after it.
    let [right_file, wrong_file] =
        [("right", right.as_str()), ("wrong", WRONG)].map(|(name, text)| write(&world, name, text, 0o600));
    let [right_command, wrong_command] =
        [&right_file, &wrong_file].map(|path| format!("cat '{}'", path.display()));
    let sources = ["ROLLBOOK_PASSWORD", "password-file", "password-command", "saved in "];
    for (place, source) in sources.iter().enumerate() {
        // A session that is still good asks for no password, so even a wrong one can be kept.
        run(&world, &["login"], &[("ROLLBOOK_PASSWORD", right.as_ref())], 0);
        let kept = if place == 3 { &right } else { WRONG };
        let saved = run(&world, &["login", "--save"], &[("ROLLBOOK_PASSWORD", kept.as_ref())], 0);
        assert!(saved.stdout().contains("Apple was not asked"), "{}", saved.stdout());
        world.sandbox.expire_sessions();

        let at = |wanted: usize, right: &'static str, wrong: &'static str| -> Option<&'static str> {
            (place <= wanted).then_some(if place == wanted { right } else { wrong })
        };
        let mut variables: Vec<(&str, &OsStr)> = Vec::new();
        if at(0, "right", "wrong").is_some() {
            variables.push(("ROLLBOOK_PASSWORD", right.as_ref()));
        }
        if let Some(which) = at(1, "right", "wrong") {
            let file = if which == "right" { &right_file } else { &wrong_file };
            variables.push(("ROLLBOOK_PASSWORD_FILE", file.as_ref()));
        }
        if let Some(which) = at(2, "right", "wrong") {
            let command = if which == "right" { &right_command } else { &wrong_command };
            variables.push(("ROLLBOOK_PASSWORD_COMMAND", command.as_ref()));
        }
        let shown = run(&world, &["config", "show", "--json"], &variables, 0);
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout()).unwrap();
        let line = shown.as_array().unwrap().iter().find(|line| line["setting"] == "password").unwrap();
        assert_eq!(line["value"], "***");
        assert!(line["source"].as_str().unwrap().starts_with(source), "{line} is not {source}");
        run(&world, &["login"], &variables, 0);
    }
    run(&world, &["login", "--forget"], &[], 0);
    let shown = run(&world, &["config", "show"], &[], 0);
    assert!(shown.stdout().contains("asked at a terminal"), "{}", shown.stdout());
    assert_without(shown.stdout().as_bytes(), &right, "config show");
}

#[test]
fn a_password_file_that_others_can_read_is_refused_with_the_command_that_closes_it() {
    let world = small();
    for open in [0o640, 0o604, 0o644, 0o666, 0o620] {
        let path = write(&world, "password", world.sandbox.password(), open);
        let file = path.to_str().unwrap();
        let refused = run(&world, &["sync", "--password-file", file], &[], 2);
        let hint = format!("hint: run: chmod 600 {file}");
        assert!(refused.stderr().contains(&hint), "{open:o}: {}", refused.stderr());
    }
    assert_eq!(world.sandbox.counters().auth(), 0, "nobody was asked with a password of all");
    let path = write(&world, "password", world.sandbox.password(), 0o600);
    run(&world, &["sync", "--password-file", path.to_str().unwrap()], &[], 0);
    world.assert_complete();
}

#[test]
fn a_password_file_that_is_missing_empty_or_another_file_is_named() {
    let world = small();
    let long = "x".repeat(5000);
    for (text, why) in
        [("", "its first line is empty"), ("\nx", "its first line is empty"), (&long, "longer than")]
    {
        let path = write(&world, "password", text, 0o600);
        let refused = run(&world, &["login", "--password-file", path.to_str().unwrap()], &[], 2);
        assert!(
            refused.stderr().contains(why) && refused.stderr().contains("hint: "),
            "{}",
            refused.stderr()
        );
    }
    let refused = run(&world, &["login", "--password-file", "/nowhere/password"], &[], 2);
    assert!(refused.stderr().contains("/nowhere/password"), "{}", refused.stderr());
    assert_eq!(world.sandbox.counters().auth(), 0);
}

#[test]
fn a_command_that_fails_is_told_with_its_own_words_and_not_with_its_text() {
    let world = small();
    let variable = "ROLLBOOK_PASSWORD_COMMAND";
    let failing = "echo half-a-secret; echo 'the vault is locked' >&2; exit 7";
    let refused = run(&world, &["sync", "--log-level", "debug"], &[(variable, failing.as_ref())], 2);
    let said = refused.stderr();
    assert!(said.contains("the vault is locked") && said.contains("exit status: 7"), "{said}");
    assert!(!said.contains("half-a-secret") && !said.contains("exit 7"), "{said}");
    let refused = run(&world, &["sync"], &[(variable, "true".as_ref())], 2);
    assert!(refused.stderr().contains("is empty"), "{}", refused.stderr());
    assert_eq!(world.sandbox.counters().auth(), 0);

    // The account stands in the environment of the command, which is asked only when it is needed.
    let asked = write(&world, "asked", "", 0o600);
    let path = write(&world, world.sandbox.username(), world.sandbox.password(), 0o600);
    let folder = path.parent().unwrap().display();
    let good = format!("echo x >> '{}'; cat '{folder}/'\"$ROLLBOOK_USERNAME\"", asked.display());
    run(&world, &["sync"], &[(variable, good.as_ref())], 0);
    run(&world, &["sync"], &[(variable, good.as_ref())], 0);
    assert_eq!(fs::read_to_string(asked).unwrap(), "x\n", "a good session asks for no password");
}

#[test]
fn a_kept_password_signs_in_alone_until_it_is_forgotten() {
    let world = small();
    let password = world.sandbox.password().to_owned();
    let saved = run(&world, &["login", "--save"], &[("ROLLBOOK_PASSWORD", password.as_ref())], 0);
    let said = saved.stdout();
    assert!(said.contains("\nprotected: ") && said.contains("\nnot protected: "), "{said}");
    assert_without(said.as_bytes(), &password, "the output");

    let sealed = world.data_dir().join(format!("password-{}.sealed", world.sandbox.username()));
    let key = beside(&world, ".config/rollbook/key");
    assert_eq!((mode(&sealed), mode(&key)), (0o600, 0o600));
    for entry in fs::read_dir(world.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_without(&fs::read(&path).unwrap(), &password, &path.to_string_lossy());
    }

    world.sandbox.expire_sessions();
    run(&world, &["sync"], &[], 0);
    world.assert_complete();
    assert!(run(&world, &["login", "--forget"], &[], 0).stdout().contains("is removed"));
    assert!(!sealed.exists());
    assert!(run(&world, &["login", "--forget"], &[], 0).stdout().contains("no password was kept"));
    world.sandbox.expire_sessions();
    run(&world, &["sync"], &[], 3);
}

#[test]
fn a_kept_password_without_its_key_is_worthless_and_said_to_be() {
    let world = small();
    let password: &OsStr = world.sandbox.password().as_ref();
    let key = beside(&world, "mounted-key");
    let with_key = ("ROLLBOOK_KEY_FILE", key.as_os_str());
    fs::write(&key, "too short").unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let refused = run(&world, &["login", "--save"], &[("ROLLBOOK_PASSWORD", password), with_key], 2);
    assert!(refused.stderr().contains("openssl rand -hex 32"), "{}", refused.stderr());
    fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    run(&world, &["login", "--save"], &[("ROLLBOOK_PASSWORD", password), with_key], 0);
    world.sandbox.expire_sessions();
    world.sandbox.reset_counters();

    let refused = run(&world, &["sync"], &[], 3);
    assert!(refused.stderr().contains("its key is gone"), "{}", refused.stderr());
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let refused = run(&world, &["sync"], &[with_key], 2);
    assert!(refused.stderr().contains(&format!("chmod 600 {}", key.display())), "{}", refused.stderr());
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "f123456789abcdef0123456789abcdef").unwrap();
    let refused = run(&world, &["sync"], &[with_key], 3);
    assert!(refused.stderr().contains("another key"), "{}", refused.stderr());
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);

    let inside = world.data_dir().join("key");
    let variables = [("ROLLBOOK_PASSWORD", password), ("ROLLBOOK_KEY_FILE", inside.as_os_str())];
    let saved = run(&world, &["login", "--save"], &variables, 0);
    assert!(saved.stdout().contains("the key lies inside the data directory"), "{}", saved.stdout());
}

#[test]
fn nobody_keeps_a_password_that_nobody_gives() {
    let world = small();
    let refused = run(&world, &["login", "--save"], &[], 3);
    assert!(refused.stderr().contains("hint: "), "{}", refused.stderr());
    assert!(!beside(&world, ".config/rollbook/key").exists());
}

#[test]
fn no_list_of_processes_and_no_log_shows_a_password_of_file_command_or_keeping() {
    let slow = Options { assets: 4, large_video_mb: Some(8), bandwidth: Some(200_000), ..Options::default() };
    let world = World::new(slow);
    let password = world.sandbox.password().to_owned();
    let file = write(&world, "password", &password, 0o600);
    let dump = beside(&world, "dump");
    // What the command sees of itself, and of us.
    let script = format!(
        "cat /proc/$$/environ /proc/$$/cmdline /proc/$PPID/environ /proc/$PPID/cmdline > '{}'; cat '{}'",
        dump.display(),
        file.display()
    );
    let variables: [&[(&str, &OsStr)]; 3] = [
        &[("ROLLBOOK_PASSWORD_FILE", file.as_os_str())],
        &[("ROLLBOOK_PASSWORD_COMMAND", script.as_ref())],
        &[],
    ];
    run(&world, &["login", "--save"], variables[0], 0);
    for variables in variables {
        world.sandbox.expire_sessions();
        world.sandbox.reset_counters();
        let mut command = command(&world, &["sync", "--log-level", "debug"], variables);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the first download", || world.sandbox.counters().of(Endpoint::Cdn) > 0);
        for name in ["cmdline", "environ"] {
            let shown = fs::read(format!("/proc/{}/{name}", child.id())).unwrap();
            assert!(!shown.is_empty());
            assert_without(&shown, &password, name);
        }
        support::signal(&child, "TERM");
        let ended = child.wait_with_output().unwrap();
        assert_without(&ended.stderr, &password, "the log");
        assert_without(&ended.stdout, &password, "the output");
        assert!(world.sandbox.counters().auth() > 0, "the password was needed");
    }
    let dump = fs::read(dump).unwrap();
    assert!(dump.windows(4).any(|window| window == b"PATH"), "the command saw an environment");
    assert_without(&dump, &password, "what the command sees");
}
