//! The systemd unit: hardened, without a secret, and nobody else's file is touched.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use rollbook_sandbox::Options;
use support::World;

const VARIABLES: [&str; 2] = ["--user", "--watch-with-interval=30m"];

/// A person with a folder for units, and a systemctl that writes down what it is asked.
struct Person {
    world: World,
    home: tempfile::TempDir,
}

impl Person {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let bin = home.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        let script = format!("#!/bin/sh\necho \"$@\" >> {}/asked\n", home.path().display());
        fs::write(bin.join("systemctl"), script).unwrap();
        fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { world: World::new(Options { assets: 1, ..Options::default() }), home }
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.home.path().join("config/systemd/user").join(name)
    }

    fn service(&self, args: &[&str], code: i32) -> String {
        let mut command = self.world.rollbook(&[&["service"], args].concat());
        let output = command
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .env("PATH", format!("{}/bin:/usr/bin:/bin", self.home.path().display()))
            .output()
            .unwrap();
        let (said, talked) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{said}{talked}");
        format!("{said}{talked}")
    }

    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.home.path().join("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }
}

/// Lets systemd itself read a unit, where it is installed.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn verify(path: &std::path::Path, manager: &str) {
    let verified = Command::new("systemd-analyze")
        .args(["verify", manager, "--man=no"])
        .arg(path)
        // Where there is no session its manager still wants a folder.
        .env("XDG_RUNTIME_DIR", path.parent().unwrap())
        .output();
    let Ok(output) = verified else { return eprintln!("skipped: no systemd-analyze here") };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("Failed to initialize"), "it was not read: {said}");
    let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("rollbook")).collect();
    assert!(about_ours.is_empty(), "systemd on {}: {said}", path.display());
}

#[test]
fn a_printed_unit_is_hardened_holds_no_secret_and_nothing_is_written() {
    let person = Person::new();
    let text = person.service(&["install", "--print", "--user"], 0);
    let (photos, data_dir) = (person.world.photos(), person.world.data_dir());
    for line in [
        "Type=notify",
        "NoNewPrivileges=true",
        "ProtectSystem=strict",
        "PrivateTmp=true",
        &format!("ReadWritePaths=\"{}\"", photos.display()),
        &format!("ReadWritePaths=\"{}\"", data_dir.display()),
        &format!("Environment=\"ROLLBOOK_USERNAME={}\"", person.world.sandbox.username()),
        &format!("Environment=\"ROLLBOOK_DIRECTORY={}\"", photos.display()),
    ] {
        assert!(text.lines().any(|of| of == line), "{line}\n{text}");
    }
    assert!(text.contains(" sync --watch-with-interval 3600\n"));
    assert!(!text.contains(person.world.sandbox.password()), "no password");
    assert!(!person.unit("rollbook.service").exists() && !data_dir.exists() && person.asked().is_empty());
    let timer = person.service(&["install", "--print", "--user", "--timer"], 0);
    assert!(timer.contains("Type=oneshot") && timer.contains("OnUnitInactiveSec=3600"));
    let system = person.service(&["install", "--print", "--system"], 0);
    assert!(system.contains("/etc/systemd/system/rollbook.service") && system.contains("RequiresMountsFor="));
}

#[test]
fn what_install_writes_systemd_understands_and_uninstall_takes_away() {
    let person = Person::new();
    let said = person.service(&[&["install"], &VARIABLES[..]].concat(), 0);
    assert!(said.contains("start it with: systemctl --user enable --now rollbook.service"), "{said}");
    let text = fs::read_to_string(person.unit("rollbook.service")).unwrap();
    assert!(text.contains("--watch-with-interval 1800") && !text.contains(person.world.sandbox.password()));
    verify(&person.unit("rollbook.service"), "--user");
    // Once more: ours is replaced.
    person.service(&["install", "--user", "--timer"], 0);
    verify(&person.unit("rollbook.timer"), "--user");
    person.service(&["uninstall", "--user"], 0);
    assert!(!person.unit("rollbook.service").exists() && !person.unit("rollbook.timer").exists());
    assert_eq!(
        person.asked(),
        [
            "--user daemon-reload",
            "--user daemon-reload",
            "--user disable --now rollbook.timer",
            "--user disable --now rollbook.service",
            "--user daemon-reload",
        ]
    );
    let printed = person.service(&["install", "--print", "--system"], 0);
    let system = person.home.path().join("rollbook.service");
    fs::write(&system, printed).unwrap();
    verify(&system, "--system");
}

#[test]
fn a_unit_that_somebody_else_wrote_stays() {
    let person = Person::new();
    let unit = person.unit("rollbook.service");
    fs::create_dir_all(unit.parent().unwrap()).unwrap();
    fs::write(&unit, "[Service]\nExecStart=/bin/true\n").unwrap();
    let said = person.service(&["install", "--user"], 2);
    assert!(said.contains("not a unit that rollbook wrote"), "{said}");
    person.service(&["uninstall", "--user"], 0);
    assert_eq!(fs::read_to_string(&unit).unwrap(), "[Service]\nExecStart=/bin/true\n");
}
