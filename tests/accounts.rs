//! Several accounts, one configuration, one journal: none waits for another.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rollbook_sandbox::{Endpoint, Fault, Kind, Obstacle, Options, Sandbox, What};
use support::{Ran, World, finish, signal, wait_until};

/// Two people: one whose world it is, and another with a sandbox of her own.
struct Two {
    world: World,
    other: Sandbox,
}

impl Two {
    fn new(one: Options, other: Options) -> Self {
        let other =
            Options { username: "other@example.com".into(), password: "another 43".into(), seed: 2, ..other };
        let two = Self { world: World::new(one), other: Sandbox::start(other) };
        for (name, sandbox) in [("one", &two.world.sandbox), ("other", &two.other)] {
            let path = two.beside(&format!("password-{name}"));
            fs::write(&path, sandbox.password()).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        two.configure("");
        two
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.world.data_dir().parent().unwrap().join(name)
    }

    /// Writes the configuration: `top`, then both accounts.
    fn configure(&self, top: &str) {
        let path = |name: &str| self.beside(name).display().to_string();
        let text = format!(
            "{top}\ndirectory = '{}'\npassword-file = '{}'\n\
             [[account]]\nname = 'one'\nusername = '{}'\nendpoint = '{}'\n\
             [[account]]\nname = 'other'\nusername = '{}'\nendpoint = '{}'\n",
            path("photos/{account}"),
            path("password-{account}"),
            self.world.sandbox.username(),
            self.world.sandbox.endpoint(),
            self.other.username(),
            self.other.endpoint(),
        );
        fs::write(self.beside("config.toml"), text).unwrap();
    }

    /// The binary with nothing about one account in its environment.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.world.rollbook(args);
        for name in ["USERNAME", "PASSWORD", "DIRECTORY", "ENDPOINT"] {
            command.env_remove(format!("ROLLBOOK_{name}"));
        }
        command.env("ROLLBOOK_CONFIG", self.beside("config.toml"));
        command
    }

    fn run(&self, args: &[&str], code: i32) -> Ran {
        ended(self.command(args), code)
    }

    /// What stands under the name of an account, by digest.
    fn tree(&self, name: &str) -> Vec<String> {
        let below = format!("{name}/");
        let tree: BTreeMap<String, String> = self.world.published();
        let own =
            tree.into_iter().filter(|(path, _)| path.starts_with(&below) && !path.ends_with(".rollbook"));
        let mut digests: Vec<String> = own.map(|(_, digest)| digest).collect();
        digests.sort();
        digests
    }

    fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.run(&["status", "--json"], 0).stdout()).unwrap()
    }
}

fn ended(mut command: Command, code: i32) -> Ran {
    let ran = Ran(command.output().unwrap());
    assert_eq!(ran.0.status.code(), Some(code), "{command:?}\n{}{}", ran.stdout(), ran.stderr());
    ran
}

fn truth(sandbox: &Sandbox) -> Vec<String> {
    let mut truth: Vec<String> = sandbox.truth().into_iter().map(|file| file.sha256).collect();
    truth.sort();
    truth
}

fn verified(account: &serde_json::Value) -> u64 {
    let files = account["files"].as_array().unwrap();
    files.iter().find(|of| of["standing"] == "verified").unwrap()["files"].as_u64().unwrap()
}

fn some(assets: u32) -> Options {
    Options { assets, ..Options::default() }
}

#[test]
fn an_account_that_needs_a_code_nobody_has_holds_up_no_other() {
    let two = Two::new(some(20), Options { two_factor: true, ..some(10) });
    let ran = two.run(&["sync", "--no-wait"], 3);
    assert_eq!(two.tree("one"), truth(&two.world.sandbox));
    assert!(two.tree("other").is_empty());
    assert!(ran.stdout().starts_with("one: 20 assets, "), "{}", ran.stdout());
    assert!(ran.stderr().contains("error: other: "), "{}", ran.stderr());

    let status = two.status();
    let [one, other] = status["accounts"].as_array().unwrap().as_slice() else { panic!("{status}") };
    assert_eq!(
        (verified(one), one["listed"].as_bool()),
        (truth(&two.world.sandbox).len() as u64, Some(true))
    );
    assert_eq!((other["username"].as_str(), verified(other)), (Some("other@example.com"), 0));
    assert_eq!(other["listed"].as_bool(), Some(false));
    let text = two.run(&["status"], 0).stdout();
    assert!(text.contains("no library listed yet"), "{text}");
}

#[test]
fn one_account_waits_for_its_code_while_the_other_comes_home_and_then_goes_on() {
    let two = Two::new(some(20), Options { two_factor: true, ..some(10) });
    let mut command = two.command(&["sync"]);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let home = truth(&two.world.sandbox);
    wait_until("one is home while the other waits", || {
        let status = two.command(&["status", "--json"]).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        let accounts = status["accounts"].as_array().cloned().unwrap_or_default();
        let waits = accounts.get(1).is_some_and(|other| other["sign_in"]["waiting_since"].is_i64());
        waits && verified(&accounts[0]) == home.len() as u64
    });
    assert_eq!(two.tree("one"), home);
    // Which of the two waits need not be said.
    two.run(&["login", "--code", &two.other.two_factor_code()], 0);
    finish(run, 0);
    assert_eq!((two.tree("one"), two.tree("other")), (home, truth(&two.other)));
}

#[test]
fn two_accounts_that_wait_have_a_code_file_each() {
    let two = Two::new(Options { two_factor: true, ..some(5) }, Options { two_factor: true, ..some(5) });
    let run = two.command(&["sync"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let waits = |name: &str| two.world.data_dir().join(format!("waiting-{name}.json")).exists();
    wait_until("both wait", || waits("user@example.com") && waits("other@example.com"));
    for sandbox in [&two.other, &two.world.sandbox] {
        let file = two.world.data_dir().join(format!("code-{}", sandbox.username()));
        fs::write(file, sandbox.two_factor_code()).unwrap();
    }
    finish(run, 0);
    assert_eq!((two.tree("one"), two.tree("other")), (truth(&two.world.sandbox), truth(&two.other)));
}

#[test]
fn a_code_that_could_be_for_either_account_is_sent_for_none() {
    let two = Two::new(some(5), Options { two_factor: true, ..some(5) });
    two.run(&["login", "--code", "123456"], 2);
    assert_eq!((two.world.sandbox.counters().auth(), two.other.counters().auth()), (0, 0));
}

#[test]
fn two_accounts_come_home_side_by_side_each_to_its_own_folder_with_its_own_session() {
    let two = Two::new(some(20), some(15));
    let plan = two.run(&["plan", "--json"], 0);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout()).unwrap();
    assert_eq!(plan["assets"].as_u64(), Some(35), "{plan}");
    assert_eq!(plan["accounts"][1]["username"], "other@example.com");

    let ran = two.run(&["sync"], 0);
    assert!(ran.stdout().contains("one: 20 assets, ") && ran.stdout().contains("other: 15 assets, "));
    for (name, sandbox) in [("one", &two.world.sandbox), ("other", &two.other)] {
        assert_eq!(two.tree(name), truth(sandbox), "{name}");
        let session = two.world.data_dir().join(format!("session-{}.json", sandbox.username()));
        assert!(session.exists(), "{}", session.display());
        sandbox.reset_counters();
    }
    two.run(&["sync"], 0);
    for sandbox in [&two.world.sandbox, &two.other] {
        assert_eq!((sandbox.counters().of(Endpoint::Cdn), sandbox.counters().auth()), (0, 0));
    }

    let listed = two.run(&["list", "libraries", "--json"], 0);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout()).unwrap();
    assert_eq!(listed[0]["username"], two.world.sandbox.username());
    assert_eq!(listed[1]["username"], "other@example.com");
}

#[test]
fn the_same_names_in_two_accounts_need_no_suffix() {
    let two = Two::new(some(12), some(12));
    let same = Sandbox::start(Options {
        username: "other@example.com".into(),
        password: "another 43".into(),
        ..some(12)
    });
    let config = fs::read_to_string(two.beside("config.toml")).unwrap();
    fs::write(two.beside("config.toml"), config.replace(&two.other.endpoint(), &same.endpoint())).unwrap();
    two.run(&["sync"], 0);
    let names = |name: &str| -> Vec<String> {
        let below = format!("{name}/");
        two.world.published().into_keys().filter_map(|p| p.strip_prefix(&below).map(str::to_owned)).collect()
    };
    assert_eq!(names("one"), names("other"));
}

#[test]
fn an_account_whose_run_breaks_off_stops_no_other() {
    let two = Two::new(some(30), some(30));
    // The session of the other account is lost for good in the middle of its listing.
    two.run(&["login"], 0);
    fs::write(two.beside("password-other"), "wrong by now").unwrap();
    two.other.faults().add(Fault::always(Endpoint::RecordsQuery, What::status(401)));
    let ran = two.run(&["sync"], 3);
    assert_eq!(two.tree("one"), truth(&two.world.sandbox));
    assert!(ran.stderr().contains("error: other: "), "{}", ran.stderr());
}

#[test]
fn a_sign_in_that_apple_puts_off_is_put_off_for_every_account_and_every_process() {
    let two = Two::new(some(5), some(5));
    let throttle = Fault::always(Endpoint::SigninInit, What::retry_after(503, "3600"));
    two.world.sandbox.faults().add(throttle);
    two.run(&["sync", "--account", "one"], 5);
    // The other account's services would answer; nobody asks them for a sign-in.
    let waiting = two.run(&["sync", "--account", "other"], 5);
    assert!(waiting.stderr().contains("apple asks to wait until"), "{}", waiting.stderr());
    assert_eq!(two.other.counters().auth(), 0);
    for _ in 0..3 {
        two.run(&["sync"], 5);
    }
    assert_eq!(two.other.counters().auth(), 0, "a restart loop asks nothing");
    assert_eq!(two.world.sandbox.counters().of(Endpoint::SigninComplete), 0);
}

#[test]
fn a_saved_session_goes_on_while_sign_ins_are_put_off() {
    let two = Two::new(some(5), some(5));
    two.run(&["login", "--account", "other"], 0);
    let throttle = Fault::always(Endpoint::SigninInit, What::retry_after(503, "3600"));
    two.world.sandbox.faults().add(throttle);
    two.run(&["sync"], 5);
    assert_eq!(two.tree("other"), truth(&two.other));
}

#[test]
fn one_account_is_chosen_by_name_or_username_and_no_other_is_asked() {
    let two = Two::new(some(5), some(5));
    for (flag, name) in
        [("--account", "other"), ("--account", "OTHER@example.com"), ("-u", "other@example.com")]
    {
        two.run(&["sync", flag, name], 0);
    }
    assert_eq!(two.tree("other"), truth(&two.other));
    assert_eq!(two.world.sandbox.counters().auth(), 0);
    let refused = two.run(&["sync", "--account", "nobody"], 2);
    assert!(refused.stderr().contains("known are: one, other"), "{}", refused.stderr());
}

#[test]
fn what_only_one_account_can_have_never_reaches_two() {
    let two = Two::new(some(5), some(5));
    let photos = two.beside("photos");
    let password = two.beside("password-one");
    let albums = two.beside("albums");
    let shared: [(&str, &Path, &str); 5] = [
        ("ROLLBOOK_PASSWORD", Path::new("p"), "cannot use ROLLBOOK_PASSWORD for two accounts"),
        ("ROLLBOOK_PASSWORD_FILE", &password, "cannot use the password file"),
        ("ROLLBOOK_DIRECTORY", &photos, "cannot use the directory"),
        ("ROLLBOOK_ALBUM_DIRECTORY", &albums, "cannot use the album-directory"),
        ("ROLLBOOK_ALBUM_DIRECTORY", Path::new("../albums"), "cannot use the album-directory"),
    ];
    for (name, value, what) in shared {
        let mut command = two.command(&["sync"]);
        command.env(name, value);
        let refused = ended(command, 2);
        assert!(refused.stderr().contains(what), "{}", refused.stderr());
    }
    for sandbox in [&two.world.sandbox, &two.other] {
        assert_eq!(sandbox.counters().auth(), 0);
    }
    // With one account chosen it is that account's.
    let mut command = two.command(&["sync", "--account", "one"]);
    command.env("ROLLBOOK_PASSWORD", two.world.sandbox.password());
    ended(command, 0);
}

#[test]
fn the_settings_show_what_is_for_all_and_what_is_each_ones_own() {
    let two = Two::new(some(5), some(5));
    two.configure("threads-num = 3");
    let shown = two.run(&["config", "show", "--json"], 0).stdout();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let find = |account: Option<&str>, setting: &str| {
        let lines = shown.as_array().unwrap().iter();
        let mut lines =
            lines.filter(|line| line["account"].as_str() == account && line["setting"] == setting);
        lines.next().map(|line| line["value"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(find(None, "threads-num").as_deref(), Some("3"));
    assert_eq!(find(None, "directory"), None);
    let directory = two.beside("photos/other").display().to_string();
    assert_eq!(find(Some("other"), "directory"), Some(directory));
    assert_eq!(find(Some("one"), "username").as_deref(), Some(two.world.sandbox.username()));
    assert_eq!(find(Some("one"), "password").as_deref(), Some("***"));
}

#[test]
fn one_watch_keeps_both_each_in_its_own_time_and_lets_others_in_between() {
    let two = Two::new(some(6), some(4));
    let watch = two
        .command(&["sync", "--watch-with-interval", "1d"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let home =
        |two: &Two| (two.tree("one"), two.tree("other")) == (truth(&two.world.sandbox), truth(&two.other));
    // Asleep is when the lock is free: any command that writes may have it.
    let asleep = || {
        wait_until("both loops sleep", || two.command(&["verify"]).output().unwrap().status.success());
    };
    wait_until("both are home", || home(&two));
    asleep();

    // One is refused: the other is brought up to date all the same, and only the one is told of.
    two.other.set_obstacle(Obstacle::Locked);
    two.other.expire_sessions();
    two.world.sandbox.library().add_asset(Kind::Jpeg);
    two.other.library().add_asset(Kind::Jpeg);
    signal(&watch, "HUP");
    wait_until("the one is home again", || two.tree("one") == truth(&two.world.sandbox));
    let attempts = || -> Vec<i64> {
        let status = two.status();
        let accounts = status["accounts"].as_array().unwrap();
        accounts.iter().map(|of| of["last_attempt"]["exit"].as_i64().unwrap_or(-1)).collect()
    };
    wait_until("each has its own end", || attempts() == [0, 3]);
    assert_ne!(two.tree("other"), truth(&two.other));
    let health = two.run(&["health"], 3).stdout();
    assert!(health.contains("alive") && health.contains("needs-person"), "{health}");

    // It heals by itself when it may, and nobody has to start anything anew.
    two.other.set_obstacle(Obstacle::None);
    asleep();
    two.run(&["login", "--account", "other"], 0);
    signal(&watch, "HUP");
    wait_until("both are home again", || home(&two));
    wait_until("both ended well", || attempts() == [0, 0]);
    asleep();
    signal(&watch, "TERM");
    finish(watch, 0);
    two.run(&["audit"], 0);
}
