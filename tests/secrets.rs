//! Nothing secret reaches a terminal, a log or a file other than the session's.

mod support;

use std::collections::BTreeSet;
use std::fs;

use rollbook_sandbox::{Endpoint, Options};
use support::{World, finish, wait_until};

const DEBUG: [&str; 2] = ["--log-level", "debug"];

#[test]
fn a_debug_log_of_everything_a_sign_in_can_do_holds_no_secret() {
    let world = World::new(Options { two_factor: true, assets: 150, latency_ms: 5, ..Options::default() });
    let mut said = String::new();
    let mut codes = BTreeSet::new();
    let mut run = |args: &[&str], code| {
        let ran = world.run(&[args, &DEBUG].concat(), code);
        said.push_str(&ran.stdout());
        said.push_str(&ran.stderr());
    };
    // A device's code, wrong ones too; then a text message; then a session and a trust that end.
    run(&["sync", "--no-wait"], 3);
    run(&["login", "--code", "987654"], 3);
    run(&["login", "--sms"], 3);
    codes.extend(["987654".to_owned(), world.sandbox.two_factor_code()]);
    run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    let mut secrets = session_secrets(&world);

    let sync = world.spawn(&[&["sync", "--threads-num", "4"], &DEBUG[..]].concat());
    wait_until("some downloads", || world.sandbox.counters().of(Endpoint::Cdn) > 10);
    let urls = signed_urls(&world);
    world.sandbox.expire_cookies();
    wait_until("a renewal", || world.sandbox.counters().of(Endpoint::AccountLogin) > 2);
    secrets.extend(session_secrets(&world));
    world.sandbox.revoke_trust();
    wait_until("a run that waits", || world.data_dir().join("waiting-user@example.com.json").exists());
    codes.insert(world.sandbox.two_factor_code());
    run(&["login", "--code", &world.sandbox.two_factor_code()], 0);
    let ran = finish(sync, 0);
    said.push_str(&ran.stdout());
    said.push_str(&ran.stderr());
    secrets.extend(session_secrets(&world));
    world.assert_complete();

    assert!(said.matches("request").count() > 150, "the log is there: {} bytes", said.len());
    secrets.insert(world.sandbox.password().to_owned());
    assert!(secrets.len() > 8 && urls.len() > 5, "{} secrets, {} URLs", secrets.len(), urls.len());
    for secret in secrets.iter().chain(&codes).chain(&urls) {
        assert!(!said.contains(secret.as_str()), "in the log: {secret}");
    }
    assert_eq!(signed_urls(&world).len(), 0, "the journal holds URLs of files on their way only");
    for (name, bytes) in files_beside_the_session(&world) {
        let found = secrets.iter().find(|secret| bytes.contains(secret.as_str()));
        assert_eq!(found, None, "in {name}");
        // Freed pages of the journal keep old URLs; a snapshot has none.
        let found = urls.iter().find(|url| !name.starts_with("journal.") && bytes.contains(url.as_str()));
        assert_eq!(found, None, "in {name}");
        // Six digits are in every database by chance.
        let found = codes.iter().find(|code| !name.contains("journal") && bytes.contains(code.as_str()));
        assert_eq!(found, None, "in {name}");
    }
}

/// What stands in the data directory and below it, but for the session.
fn files_beside_the_session(world: &World) -> Vec<(String, String)> {
    let (mut folders, mut files) = (vec![world.data_dir()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(world.data_dir()).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.starts_with("session-") {
                files.push((name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()));
            }
        }
    }
    assert!(files.iter().any(|(name, _)| name.starts_with("snapshots/")), "snapshots are looked at too");
    files
}

/// Every value of the saved session that lets somebody in.
fn session_secrets(world: &World) -> BTreeSet<String> {
    let bytes = fs::read(world.data_dir().join("session-user@example.com.json")).unwrap();
    let session: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let mut secrets = BTreeSet::new();
    for name in ["scnt", "session_id", "session_token", "trust_token"] {
        secrets.extend(session[name].as_str().map(str::to_owned));
    }
    for cookie in session["cookies"].as_array().unwrap() {
        let pair = cookie["raw_cookie"].as_str().unwrap().split(';').next().unwrap();
        secrets.insert(pair.split_once('=').unwrap().1.trim_matches('"').to_owned());
    }
    assert!(secrets.iter().all(|secret| secret.len() > 8), "{secrets:?}");
    secrets
}

/// The signatures of URLs that the journal holds while files are on their way.
fn signed_urls(world: &World) -> BTreeSet<String> {
    let journal = world.journal();
    let mut statement = journal.prepare("SELECT url FROM signed_url").unwrap();
    let urls = statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    let query = |url: String| url.split_once('?').unwrap().1.to_owned();
    urls.map(query).take(20).collect()
}
