//! A password that `login --save` keeps in the keyring of the session, with a real keyring behind
//! it: gnome-keyring on a bus of its own.
//!
//! Needs the feature `keyring`, and `dbus-run-session` and `gnome-keyring-daemon` on this machine;
//! without the two it says so and tests nothing. `.ci/run` installs them.
#![cfg(all(feature = "keyring", target_os = "linux"))]

mod support;

use std::path::Path;
use std::process::Command;

use rollbook_sandbox::Options;
use support::{Ran, World};

/// Whether the keyring is opened before the commands run.
#[derive(Clone, Copy, PartialEq)]
enum Keyring {
    Unlocked,
    Locked,
}

/// Runs commands of a shell on a bus of their own, with a keyring behind it.
fn on_a_bus(world: &World, keyring: Keyring, script: &str) -> Ran {
    let home = world.data_dir().parent().unwrap().to_owned();
    let runtime = home.join("runtime");
    std::fs::create_dir_all(&runtime).unwrap();
    // The first --unlock makes the keyring with that password; a daemon without it finds it locked.
    let daemon = match keyring {
        Keyring::Unlocked => "printf 'of the keyring' | gnome-keyring-daemon --unlock --components=secrets",
        Keyring::Locked => "gnome-keyring-daemon --start --components=secrets",
    };
    let script = format!("set -e; {daemon} >/dev/null 2>&1; {script}");
    let rollbook = world.rollbook(&[]);
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", &script]).env_clear();
    for (name, value) in rollbook.get_envs() {
        if let Some(value) = value.filter(|_| name != "ROLLBOOK_PASSWORD") {
            command.env(name, value);
        }
    }
    command.env("ROLLBOOK", env!("CARGO_BIN_EXE_rollbook")).env("XDG_RUNTIME_DIR", runtime);
    command.env("RIGHT", world.sandbox.password());
    Ran(command.output().unwrap())
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// Whether the machine has what these tests need; says so if not.
fn is_equipped() -> bool {
    let equipped = is_installed("dbus-run-session") && is_installed("gnome-keyring-daemon");
    if !equipped {
        eprintln!("skipped: dbus-run-session and gnome-keyring-daemon are needed");
    }
    equipped
}

fn ended_well(ran: &Ran) {
    assert_eq!(ran.0.status.code(), Some(0), "{}{}", ran.stdout(), ran.stderr());
}

fn holds(folder: &Path, text: &str) -> bool {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if let Ok(bytes) = std::fs::read(entry.path())
                && bytes.windows(text.len()).any(|window| window == text.as_bytes())
            {
                return true;
            }
        }
    }
    false
}

#[test]
fn a_password_in_the_keyring_signs_in_alone_until_it_is_forgotten() {
    if !is_equipped() {
        return;
    }
    let world = World::new(Options { assets: 4, ..Options::default() });
    let saved =
        on_a_bus(&world, Keyring::Unlocked, "ROLLBOOK_PASSWORD=\"$RIGHT\" \"$ROLLBOOK\" login --save");
    ended_well(&saved);
    assert!(saved.stdout().contains("kept in the keyring"), "{}", saved.stdout());
    assert!(!holds(&world.data_dir(), world.sandbox.password()), "nothing of it in the data directory");
    assert!(
        std::fs::read_dir(world.data_dir())
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_string_lossy().ends_with(".sealed") })
    );

    // Another bus, another daemon: as after a restart of the machine.
    world.sandbox.expire_sessions();
    ended_well(&on_a_bus(&world, Keyring::Unlocked, "\"$ROLLBOOK\" sync"));
    world.assert_complete();

    ended_well(&on_a_bus(&world, Keyring::Unlocked, "\"$ROLLBOOK\" login --forget"));
    world.sandbox.expire_sessions();
    let asked = on_a_bus(&world, Keyring::Unlocked, "\"$ROLLBOOK\" sync");
    assert_eq!(asked.0.status.code(), Some(3), "{}", asked.stderr());
}

#[test]
fn a_locked_keyring_is_named_and_never_waited_for() {
    if !is_equipped() {
        return;
    }
    let world = World::new(Options { assets: 4, ..Options::default() });
    let save = "ROLLBOOK_PASSWORD=\"$RIGHT\" \"$ROLLBOOK\" login --save";
    ended_well(&on_a_bus(&world, Keyring::Unlocked, save));
    world.sandbox.expire_sessions();
    let locked = on_a_bus(&world, Keyring::Locked, "\"$ROLLBOOK\" sync");
    assert_eq!(locked.0.status.code(), Some(3), "{}", locked.stderr());
    assert!(locked.stderr().contains("the keyring is locked"), "{}", locked.stderr());
}

#[test]
fn without_a_keyring_the_password_is_kept_in_a_file() {
    let world = World::new(Options { assets: 4, ..Options::default() });
    let mut save = world.rollbook(&["login", "--save"]);
    save.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
    let saved = Ran(save.output().unwrap());
    ended_well(&saved);
    assert!(saved.stdout().contains(".sealed"), "{}", saved.stdout());
}
