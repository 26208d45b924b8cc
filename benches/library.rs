//! Libraries of many assets: enumerating them, coming back to them, asking about them, reading files back.
//!
//! `cargo bench --bench library [-- WORKLOAD…]` with `cold`, `again`, `idle`, `first`, `verify`; `ROLLBOOK_BENCH_ASSETS=N`
//! for other sizes than 100,000, `ROLLBOOK_BENCH_ROUNDS=1` for one round, which a million wants.
#![expect(clippy::print_stdout, reason = "a bench tells a person what it measured")]

mod support;

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rollbook_sandbox::{Endpoint, Options};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use support::{Outputs, Table, World, before, is_wanted, journal_bytes, measure, only, rounds, variable};

/// From so many assets on nothing is walked only to warm up: the sandbox's own work shows in wall time then, and
/// in nothing else.
const MANY: usize = 500_000;
/// Files that are read back, of 2.5 MB each.
const VERIFIED: u32 = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, folder] = &arguments[..]
        && word == "hash"
    {
        hash_all(Path::new(folder));
        return;
    }
    let outputs = &Outputs::new();
    let listed = ["cold", "again", "idle"].map(is_wanted).contains(&true);
    if listed {
        listings(outputs, variable("ROLLBOOK_BENCH_ASSETS", 100_000));
    }
    if is_wanted("first") {
        first_file(outputs, variable("ROLLBOOK_BENCH_ASSETS", 100_000));
    }
    if is_wanted("verify") {
        reading_back(outputs);
    }
}

/// So many small photos, of one file each.
fn photos(assets: usize) -> Options {
    Options {
        assets: u32::try_from(assets).expect("at most four billion"),
        mix: only("jpeg"),
        mean_size_bytes: Some(1_000),
        ..Options::default()
    }
}

/// What a listing costs, and everything that is not one.
fn listings(outputs: &Outputs, assets: usize) {
    let mut world = World::new(outputs, photos(assets));
    if assets < MANY {
        // The first walk lets the sandbox compute its checksums.
        let warm = world.fresh();
        world.sign_in(&warm);
        measure(&mut plan(&world, None, &warm));
    }
    let mut table = Table::new(format!("{assets} assets"), "assets", assets as f64);
    let mut bytes = 0;
    for _ in 0..rounds().min(3) {
        let home = world.fresh();
        world.sign_in(&home);
        table.add("cold enumeration", measure(&mut plan(&world, None, &home)));
        bytes = journal_bytes(&home);
        if is_wanted("again") {
            table.add("all listed again", measure(plan(&world, None, &home).arg("--full")));
        }
        table.add("plan, nothing changed", measure(&mut plan(&world, None, &home)));
        table.add("status", measure(&mut world.rollbook(&home, &["status"])));
        if is_wanted("idle") {
            idle(&world, &home, &mut table);
        }
        if let Some(program) = before() {
            let home = world.fresh();
            world.sign_in_by(&program, &home);
            table.add("cold enumeration, before", measure(&mut plan(&world, Some(&program), &home)));
        }
    }
    table.print();
    println!("  journal: {:.0} bytes an asset", bytes as f64 / assets as f64);
}

/// A library that is all here, of which nothing changed. Its files are only in the journal, so the look at
/// whether they still stand (twenty milliseconds of every run) is said to be through.
fn idle(world: &World, home: &Path, table: &mut Table) {
    let change = |sql: &str| {
        let journal = Connection::open(home.join("data/journal.db")).expect("the journal");
        journal.execute_batch(sql).expect("rows can be changed");
    };
    let all_here = "
        UPDATE asset_file SET state = 'verified', event = 'adopted', moved_at = 1, sha256 = randomblob(32),
            verified_by = 'apple-signature', verified_at = 1, url_expires_at = NULL;
        DELETE FROM signed_url;
        PRAGMA wal_checkpoint(TRUNCATE);";
    let looked_through = "
        INSERT OR REPLACE INTO sweep (account_id, after_file_id, missing, ended_at)
        SELECT account_id, 9223372036854775807, 0, unixepoch() FROM account;";
    change(all_here);
    for (who, args) in [
        ("sync, nothing changed", &["sync", "--no-progress-bar"][..]),
        ("status, all here", &["status"]),
        ("health", &["health"]),
    ] {
        // The first one reads the journal from the disk, and leaves a snapshot.
        change(looked_through);
        measure(world.rollbook(home, args).stderr(Stdio::null()));
        change(looked_through);
        table.add(who, measure(world.rollbook(home, args).stderr(Stdio::null())));
    }
}

/// What is asked for between the start of a first sync and its first file.
fn first_file(outputs: &Outputs, assets: usize) {
    let mut world = World::new(outputs, photos(assets));
    let home = world.fresh();
    world.sign_in(&home);
    world.sandbox.reset_counters();
    let began = Instant::now();
    let mut sync = world.rollbook(&home, &["sync", "--no-progress-bar"]);
    let mut sync = sync.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    while world.sandbox.counters().of(Endpoint::Cdn) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let ms = began.elapsed().as_millis();
    sync.kill().and_then(|()| sync.wait()).expect("a child can be killed");
    let log = world.sandbox.log();
    let before = log.iter().map(|entry| entry.endpoint).take_while(|endpoint| *endpoint != Endpoint::Cdn);
    let before: Vec<String> = before.map(|endpoint| format!("{endpoint:?}")).collect();
    println!("\nfirst file of {assets}: asked for after {ms} ms, behind {}", before.join(", "));
}

/// `verify` beside a program that reads and hashes the same files and does nothing else.
fn reading_back(outputs: &Outputs) {
    let mut world = World::new(
        outputs,
        Options {
            assets: VERIFIED,
            mix: only("jpeg"),
            mean_size_bytes: Some(2_500_000),
            ..Options::default()
        },
    );
    let home = world.fresh();
    world.sign_in(&home);
    measure(world.rollbook(&home, &["sync", "--no-progress-bar"]).stderr(Stdio::null()));
    let folder = home.join("photos");
    let mut table = Table::new(format!("reading {VERIFIED} files back"), "files", f64::from(VERIFIED));
    for _ in 0..rounds() {
        let mut hash = Command::new(std::env::current_exe().expect("a bench has a name"));
        table.add("the hash alone", measure(hash.arg("hash").arg(&folder)));
        let mut verify = world.rollbook(&home, &["verify", "--all"]);
        table.add("verify", measure(verify.stderr(Stdio::null())));
    }
    table.print();
}

/// Reads every file below a folder and hashes it.
fn hash_all(folder: &Path) {
    let mut piece = vec![0; 256 * 1024];
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        if entry.file_type().expect("a type").is_dir() {
            hash_all(&entry.path());
            continue;
        }
        let (mut file, mut hasher) = (std::fs::File::open(entry.path()).expect("a file"), Sha256::new());
        loop {
            let count = file.read(&mut piece).expect("bytes");
            if count == 0 {
                break;
            }
            hasher.update(&piece[..count]);
        }
        std::hint::black_box(hasher.finalize());
    }
}

fn plan(world: &World, program: Option<&Path>, home: &Path) -> Command {
    let args = ["plan", "--no-progress-bar"];
    let mut command = match program {
        Some(program) => world.program(program, home, &args),
        None => world.rollbook(home, &args),
    };
    command.stderr(Stdio::null());
    command
}
