//! Files over loopback: what a durable, journalled, proven sync costs beside the floor and beside
//! tools that prove nothing.
//!
//! `cargo bench --bench transfer [-- WORKLOAD…]` with `tiny`, `small`, `photos`, `large`, `resume`, `slow-disk`.
//! `ROLLBOOK_BENCH_ROUNDS=N` rounds; `ROLLBOOK_BENCH_FULL=1` for the large sizes.
#![expect(clippy::print_stdout, reason = "a bench tells a person what it measured")]

#[path = "support/floor.rs"]
mod floor;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rollbook_sandbox::{Endpoint, Options};
use support::{
    Table, World, before, is_installed, is_wanted, journal_bytes, measure, only, rounds, syncs, variable,
};

/// Files at once, for every contender.
const THREADS: &str = "10";

/// Ten milliseconds more for whatever waits for the disk.
const SLOW: &str = "slow-10:sync,slow-10:syncfs,slow-10:syncdir,slow-10:commit";

struct Workload {
    name: &'static str,
    files: u32,
    mean_size_bytes: u64,
}

fn main() {
    if floor::run_if_asked() {
        return;
    }
    let is_full = variable("ROLLBOOK_BENCH_FULL", 0) > 0;
    for workload in [
        Workload { name: "tiny", files: 5_000, mean_size_bytes: 20_000 },
        Workload { name: "small", files: if is_full { 10_000 } else { 4_000 }, mean_size_bytes: 100_000 },
        Workload { name: "photos", files: 400, mean_size_bytes: 2_500_000 },
        Workload { name: "large", files: 4, mean_size_bytes: if is_full { 1 << 30 } else { 256 << 20 } },
    ] {
        if is_wanted(workload.name) {
            compare(&workload);
        }
    }
    if is_wanted("slow-disk") {
        slow_disk();
    }
    if is_wanted("resume") {
        resume();
    }
}

/// Everyone fetches the same files, in turns.
fn compare(workload: &Workload) {
    let Workload { name, files, mean_size_bytes } = *workload;
    let mut world = World::new(Options {
        assets: files,
        mean_size_bytes: Some(mean_size_bytes),
        mix: only("jpeg"),
        ..Options::default()
    });
    let urls = urls(&mut world);
    let list = world.fresh().join("urls");
    std::fs::write(&list, urls.join("\n")).expect("the list can be written");
    let title = format!("{name}: {files} files of about {} KB, {THREADS} at once", mean_size_bytes / 1000);
    let mut table = Table::new(title, "files", f64::from(files));
    let (curl, aria2) = (is_installed("curl"), is_installed("aria2c"));
    for _ in 0..rounds() {
        let folder = world.fresh();
        table.add("floor (no journal, no sync)", measure(&mut floor(&list, &folder)));
        let home = world.fresh();
        world.sign_in(&home);
        table.add("rollbook sync", measure(&mut sync(&world, &home)));
        if let Some(program) = before() {
            let home = world.fresh();
            measure(world.program(&program, &home, &["login"]).stderr(Stdio::null()));
            let args = ["sync", "--no-progress-bar", "--threads-num", THREADS];
            table.add(
                "rollbook sync, before",
                measure(world.program(&program, &home, &args).stderr(Stdio::null())),
            );
        }
        if curl {
            table.add("curl -Z (no hash)", measure(&mut curl_of(&urls, &world.fresh())));
        }
        if aria2 {
            table.add("aria2c (no hash)", measure(&mut aria2_of(&urls, &world.fresh())));
        }
    }
    table.print();
    books(&mut world);
}

/// One more sync, not timed, whose steps are counted.
fn books(world: &mut World) {
    let home = world.fresh();
    world.sign_in(&home);
    world.sandbox.reset_counters();
    let log = home.join("steps");
    measure(sync(world, &home).env("ROLLBOOK_FAULT_LOG", &log));
    let counters = world.sandbox.counters();
    let (files, folders, commits) = syncs(&log);
    println!(
        "  rollbook: {} requests ({} for content), {files} file syncs, {folders} folder syncs, {commits} commits, \
         journal {:.1} MB",
        counters.requests.values().sum::<u64>(),
        counters.of(Endpoint::Cdn),
        journal_bytes(&home) as f64 / 1e6,
    );
}

fn sync(world: &World, home: &Path) -> Command {
    let mut command = world.rollbook(home, &["sync", "--no-progress-bar", "--threads-num", THREADS]);
    command.stderr(Stdio::null());
    command
}

/// The same photos on a disk whose every sync takes ten milliseconds, one after the other.
fn slow_disk() {
    let files = 400;
    let mut world = World::new(Options {
        assets: files,
        mean_size_bytes: Some(250_000),
        mix: only("jpeg"),
        ..Options::default()
    });
    let title = format!("slow-disk: {files} files of about 250 KB, every sync takes 10 ms more");
    let mut table = Table::new(title, "files", f64::from(files));
    urls(&mut world);
    for _ in 0..rounds().min(3) {
        for (who, group) in [("one at a time", "1"), ("grouped", "64")] {
            let home = world.fresh();
            world.sign_in(&home);
            let mut command = sync(&world, &home);
            command.env("ROLLBOOK_FAULT", SLOW).env("ROLLBOOK_FAULT_GROUP", group);
            table.add(who, measure(&mut command));
        }
    }
    table.print();
}

/// A gigabyte of which nine tenths are there.
fn resume() {
    let mib: u32 = if variable("ROLLBOOK_BENCH_FULL", 0) > 0 { 1024 } else { 256 };
    let mut world = World::new(Options { assets: 0, large_video_mb: Some(mib), ..Options::default() });
    let home = world.fresh();
    world.sign_in(&home);
    let whole = u64::from(mib) << 20;
    let nine = whole * 9 / 10;
    let mut child = sync(&world, &home).spawn().expect("the program starts");
    while world.sandbox.counters().cdn_bytes < nine {
        std::thread::yield_now();
    }
    child.kill().and_then(|()| child.wait()).expect("a child can be killed");
    world.sandbox.reset_counters();
    let cost = measure(&mut sync(&world, &home));
    let sent = world.sandbox.counters().cdn_bytes;
    println!(
        "\nresume: killed when 90 % of {mib} MiB were sent: {:.1} % sent again, {:.2} s, {:.2} CPU s, {:.0} MB",
        sent as f64 * 100.0 / whole as f64,
        cost.wall_s,
        cost.cpu_s,
        cost.peak_mb
    );
}

/// The signed URLs of all files, as a listing brings them; afterwards the sandbox knows its checksums.
fn urls(world: &mut World) -> Vec<String> {
    let home = world.fresh();
    world.sign_in(&home);
    measure(world.rollbook(&home, &["plan", "--no-progress-bar"]).stderr(Stdio::null()));
    let journal = rusqlite::Connection::open(home.join("data/journal.db")).expect("a journal");
    let mut statement = journal.prepare("SELECT url FROM signed_url ORDER BY file_id").expect("a table");
    let urls = statement.query_map([], |row| row.get(0)).expect("rows");
    urls.collect::<Result<_, _>>().expect("text")
}

fn floor(list: &Path, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("we are a file"));
    command.arg("floor").arg(list).arg(folder).arg(THREADS);
    command
}

fn curl_of(urls: &[String], folder: &Path) -> Command {
    let lines = |(number, url): (usize, &String)| {
        format!("url = \"{url}\"\noutput = \"{}\"\n", folder.join(format!("{number}.jpg")).display())
    };
    let config = folder.join("config");
    std::fs::write(&config, urls.iter().enumerate().map(lines).collect::<String>()).expect("a file");
    let mut command = Command::new("curl");
    command.args(["-s", "-g", "-Z", "--parallel-max", THREADS, "-H", "Host: cvws.icloud-content.com", "-K"]);
    command.arg(config).stderr(Stdio::null());
    command
}

fn aria2_of(urls: &[String], folder: &Path) -> Command {
    let lines = |(number, url): (usize, &String)| format!("{url}\n  out={number}.jpg\n");
    let list: PathBuf = folder.join("list");
    std::fs::write(&list, urls.iter().enumerate().map(lines).collect::<String>()).expect("a file");
    let mut command = Command::new("aria2c");
    command.args(["-q", "-j", THREADS, "-x", "1", "--parameterized-uri=false", "--file-allocation=none"]);
    command.arg("--header=Host: cvws.icloud-content.com").arg("-d").arg(folder).arg("-i").arg(list);
    command.stderr(Stdio::null());
    command
}
