//! A tour without an Apple account: starts the sandbox, signs in, syncs a small library into
//! `./rollbook-demo`, and says what to look at. Run it twice: the second time nothing is fetched.
//!
//! `cargo run --release --example demo`

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use rollbook::cli::{self, Environment, Exit};
use rollbook_sandbox::{Options, Sandbox};

/// Where the demo puts everything.
const FOLDER: &str = "rollbook-demo";
/// A line slow enough that the bar can be watched.
const BYTES_PER_S: u64 = 3 * 1024 * 1024;

fn main() -> ExitCode {
    let sandbox = Sandbox::start(Options {
        assets: 60,
        shared_zone: false,
        mean_size_bytes: Some(150_000),
        bandwidth: Some(BYTES_PER_S),
        latency_ms: 40,
        ..Options::default()
    });
    let folder = Path::new(FOLDER);
    let environment = || -> Environment {
        let process = ["TERM", "NO_COLOR", "HOME"]
            .into_iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        let ours: [(&str, OsString); 5] = [
            ("ROLLBOOK_USERNAME", sandbox.username().into()),
            ("ROLLBOOK_PASSWORD", sandbox.password().into()),
            ("ROLLBOOK_DIRECTORY", whole(&folder.join("photos"))),
            ("ROLLBOOK_DATA_DIR", whole(&folder.join("data"))),
            ("ROLLBOOK_ENDPOINT", sandbox.endpoint().into()),
        ];
        process.chain(ours.into_iter().map(|(name, value)| (name.into(), value))).collect()
    };
    let rollbook = |verb: &str| {
        say(&format!("\n$ rollbook {verb}"));
        cli::run(["rollbook", verb].map(OsString::from), environment())
    };
    say(&format!("A sandbox library of 60 assets at {}", sandbox.endpoint()));
    let synced = rollbook("sync");
    if synced != Exit::Done {
        return synced.into();
    }
    let shown = rollbook("status");
    let journal = folder.join("data").join("journal.db");
    let journal = journal.display();
    say(&format!(
        "\nThe photos are in {FOLDER}/photos. The journal is yours to read:\n
  sqlite3 -readonly {journal} 'SELECT * FROM v_summary'
  sqlite3 -readonly {journal} 'SELECT path, size_bytes, verified_by, sha256 FROM v_file LIMIT 5'
  sqlite3 {journal} \"UPDATE asset_file SET state = 'failed'\"   # refused: an illegal move

Run the demo again: nothing is fetched twice."
    ));
    shown.into()
}

#[expect(clippy::print_stdout, reason = "a tour talks")]
fn say(text: &str) {
    println!("{text}");
}

/// A path that means the same from anywhere: an environment of our own has no folder that it is in.
fn whole(path: &Path) -> OsString {
    std::path::absolute(path).map_or_else(|_| path.into(), Into::into)
}
