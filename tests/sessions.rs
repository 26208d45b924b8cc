//! A session is kept, moved, checked before it is used, and renewed once for all who need it.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use rollbook_sandbox::{Endpoint, Options};
use support::{World, finish, wait_until};

fn trusted(options: Options) -> World {
    let world = World::new(Options { two_factor: true, ..options });
    world.run(&["sync", "--no-wait"], 3);
    world.run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    world
}

fn session_file(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("session-user@example.com.json")
}

/// Sign-ins at the set-up service that succeeded.
fn account_logins(world: &World) -> usize {
    let log = world.sandbox.log();
    log.iter().filter(|request| request.endpoint == Endpoint::AccountLogin && request.status == 200).count()
}

#[test]
fn a_copied_data_directory_is_signed_in_and_nobody_else_may_read_it() {
    let world = trusted(Options { assets: 4, ..Options::default() });
    let copy = tempfile::tempdir().unwrap();
    let moved = copy.path().join("data");
    fs::create_dir(&moved).unwrap();
    let session = fs::read(session_file(&world.data_dir())).unwrap();
    fs::write(session_file(&moved), session).unwrap();
    world.sandbox.reset_counters();
    let ended = world.rollbook(&["sync", "--no-wait"]).env("ROLLBOOK_DATA_DIR", &moved).output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(
        (world.sandbox.counters().auth(), world.sandbox.counters().setup()),
        (0, 1),
        "validated, and used"
    );
    let mode = fs::metadata(session_file(&moved)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a copy that others could read is closed to them");
}

#[test]
fn cookies_that_die_in_the_middle_are_renewed_once_for_all() {
    let world = trusted(Options { assets: 200, latency_ms: 5, ..Options::default() });
    let run = world.spawn(&["sync", "--threads-num", "8"]);
    wait_until("some downloads", || world.sandbox.counters().of(Endpoint::Cdn) > 20);
    world.sandbox.reset_counters();
    world.sandbox.expire_cookies();
    finish(run, 0);
    world.assert_complete();
    assert_eq!(world.history("failed"), 0, "no file pays for it");
    assert_eq!(world.sandbox.counters().of(Endpoint::AccountLogin), 1, "exactly one");
    assert_eq!(world.sandbox.counters().auth(), 0, "the token is enough");
}

#[test]
fn a_session_that_dies_in_the_middle_costs_no_file_an_attempt() {
    let world = trusted(Options { assets: 200, latency_ms: 5, ..Options::default() });
    let run = world.spawn(&["sync", "--threads-num", "8"]);
    wait_until("some downloads", || world.sandbox.counters().of(Endpoint::Cdn) > 20);
    world.sandbox.reset_counters();
    world.sandbox.expire_sessions();
    finish(run, 0);
    world.assert_complete();
    assert_eq!(world.history("failed"), 0, "no file pays for it");
    assert_eq!(account_logins(&world), 1, "exactly one");
    assert_eq!(world.sandbox.counters().of(Endpoint::SigninComplete), 1, "one proof of the password");
    assert_eq!(world.sandbox.counters().of(Endpoint::SecondFactor), 0, "trust spares the code");
}

#[test]
fn a_renewal_that_apple_puts_off_pauses_the_run_and_costs_no_file_an_attempt() {
    use rollbook_sandbox::{Fault, What};
    let world = World::new(Options { assets: 200, latency_ms: 5, ..Options::default() });
    let run = world.spawn(&["sync", "--threads-num", "8"]);
    wait_until("some downloads", || world.sandbox.counters().of(Endpoint::Cdn) > 20);
    world.sandbox.faults().add(Fault::once(Endpoint::SigninInit, What::retry_after(503, "1")));
    world.sandbox.expire_sessions();
    finish(run, 0);
    world.assert_complete();
    assert_eq!(world.history("failed"), 0, "no file pays for it");
}

#[test]
fn a_content_host_that_refuses_every_session_is_not_signed_in_for_again_and_again() {
    use rollbook_sandbox::{Fault, What};
    let world = World::new(Options { assets: 30, ..Options::default() });
    world.run(&["login"], 0);
    world.sandbox.faults().add(Fault::always(Endpoint::Cdn, What::status(401)));
    world.sandbox.reset_counters();
    world.run(&["sync"], 1);
    let sign_ins = world.sandbox.counters().of(Endpoint::AccountLogin);
    assert!((1..=3).contains(&sign_ins), "{sign_ins} sign-ins");
}

#[test]
fn trust_that_runs_out_is_shown_and_warned_of_ahead() {
    // To the nearest day: seconds have passed since.
    let days = |world: &World| {
        let status = world.run(&["status", "--json"], 0).stdout();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let ends_at = status["sign_in"]["trust_ends_at"].as_i64().unwrap();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
        (ends_at - now + 43_200) / 86_400
    };
    let world = trusted(Options { assets: 1, trust_days: Some(30), ..Options::default() });
    assert_eq!(days(&world), 30, "as the cookie says");
    assert!(!world.run(&["sync"], 0).stderr().contains("warning"), "not yet");

    let world = trusted(Options { assets: 1, trust_days: Some(5), ..Options::default() });
    let stderr = world.run(&["sync"], 0).stderr();
    assert!(stderr.contains("warning: Apple's trust in this client: about "), "{stderr}");
    let text = world.run(&["status"], 0).stdout();
    assert!(
        text.contains("trust     about 4 days left") || text.contains("trust     about 5 days left"),
        "{text}"
    );

    let world = trusted(Options { assets: 1, trust_days: None, ..Options::default() });
    assert_eq!(days(&world), 60, "two months where no cookie says so");
}

#[test]
fn a_session_of_icloudpd_is_taken_over_without_password_or_code() {
    let world = trusted(Options { assets: 4, ..Options::default() });
    let ours: serde_json::Value =
        serde_json::from_slice(&fs::read(session_file(&world.data_dir())).unwrap()).unwrap();
    let cookies = tempfile::tempdir().unwrap();
    let mut theirs = serde_json::Map::new();
    for key in ["client_id", "session_id", "scnt", "session_token", "trust_token"] {
        theirs.insert(key.to_owned(), ours[key].clone());
    }
    theirs.insert("account_country".to_owned(), "USA".into());
    let theirs = serde_json::to_vec(&theirs).unwrap();
    // As a person once typed the name to icloudpd.
    fs::write(cookies.path().join("UserexampleCom.session"), &theirs).unwrap();

    let fresh = tempfile::tempdir().unwrap();
    let login = |folder: &Path| {
        let mut command = world.rollbook(&["login", "--from-icloudpd", folder.to_str().unwrap()]);
        command.env("ROLLBOOK_DATA_DIR", fresh.path().join("data")).env_remove("ROLLBOOK_PASSWORD");
        command.output().unwrap()
    };
    let refused = login(fresh.path());
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    world.sandbox.reset_counters();
    let done = login(cookies.path());
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(world.sandbox.counters().auth(), 0, "neither password nor code");
    assert_eq!(fs::read(cookies.path().join("UserexampleCom.session")).unwrap(), theirs);
}

#[test]
fn an_account_is_one_however_its_name_is_typed() {
    let world = World::new(Options { assets: 2, ..Options::default() });
    let typed = |name: &str, code| {
        let child =
            world.rollbook(&["sync", "-u", name]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        finish(child.unwrap(), code)
    };
    // The sandbox refuses capitals, as Apple does.
    typed("User@Example.com", 0);
    world.assert_complete();
    let ran = typed(" USER@example.com", 0);
    assert!(ran.stdout().contains("nothing new"), "{}", ran.stdout());
    let accounts: i64 =
        world.journal().query_row("SELECT count(*) FROM account", [], |row| row.get(0)).unwrap();
    assert_eq!(accounts, 1);
}
