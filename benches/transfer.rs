//! Files over loopback: what a durable, journalled, proven sync costs beside the floor and beside
//! tools that prove nothing.
//!
//! `cargo bench --bench transfer [-- WORKLOAD…]` with `tiny`, `small`, `photos`, `large`, each of them with
//! `-tls` behind it too, and `resume`, `slow-disk`. Beside icloudpd: `benches/icloudpd.py`.
//! `ROLLBOOK_BENCH_ROUNDS=N` rounds; `ROLLBOOK_BENCH_FULL=1` for the large sizes.
#![expect(clippy::print_stdout, reason = "a bench tells a person what it measured")]

#[path = "support/bare.rs"]
mod bare;
#[path = "support/floor.rs"]
mod floor;
#[path = "support/plain_file.rs"]
mod plain_file;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rollbook_sandbox::{Certificate, Endpoint, Options};
use support::{
    Outputs, Table, World, before, is_installed, is_wanted, journal_bytes, measure, only, rounds, syncs,
    variable,
};

/// Files at once, for every contender.
const THREADS: &str = "10";

/// What the program does, without what it keeps: see [`bare`].
const BARE: &str = "bare (lists; no journal)";
const SYNC: &str = "rollbook sync";

/// What durability costs is what a run without it costs less.
const UNSYNCED: &str = "skip:sync,skip:syncdir,skip:syncfs";

/// Ten milliseconds more for whatever waits for the disk.
const SLOW: &str = "slow-10:sync,slow-10:syncfs,slow-10:syncdir,slow-10:commit";

struct Workload {
    name: &'static str,
    files: u32,
    mean_size_bytes: u64,
}

fn main() {
    if floor::run_if_asked() || bare::run_if_asked() {
        return;
    }
    let outputs = &Outputs::new();
    let is_full = variable("ROLLBOOK_BENCH_FULL", 0) > 0;
    for workload in [
        Workload { name: "tiny", files: 5_000, mean_size_bytes: 20_000 },
        Workload { name: "small", files: if is_full { 10_000 } else { 4_000 }, mean_size_bytes: 100_000 },
        Workload { name: "photos", files: 400, mean_size_bytes: 2_500_000 },
        Workload { name: "large", files: 4, mean_size_bytes: if is_full { 1 << 30 } else { 256 << 20 } },
    ] {
        if is_wanted(workload.name) {
            compare(outputs, &workload, None);
        }
        if is_wanted(&format!("{}-tls", workload.name)) {
            compare(outputs, &workload, Some(Certificate::Good));
        }
    }
    if is_wanted("slow-disk") {
        slow_disk(outputs);
    }
    if is_wanted("resume") {
        resume(outputs);
    }
}

/// Everyone fetches the same files, in turns.
fn compare(outputs: &Outputs, workload: &Workload, tls: Option<Certificate>) {
    let Workload { name, files, mean_size_bytes } = *workload;
    let mut world = World::new(
        outputs,
        Options {
            assets: files,
            mean_size_bytes: Some(mean_size_bytes),
            mix: only("jpeg"),
            tls,
            ..Options::default()
        },
    );
    let urls = urls(&mut world);
    let over = if tls.is_some() { "TLS" } else { "plain HTTP" };
    let list = world.fresh().join("urls");
    std::fs::write(&list, urls.join("\n")).expect("the list can be written");
    let size = mean_size_bytes / 1000;
    let title = format!("{name} over {over}: {files} files of about {size} KB, {THREADS} at once");
    let mut table = Table::new(title, "files", f64::from(files));
    let (curl, aria2, rclone) = (is_installed("curl"), is_installed("aria2c"), is_installed("rclone"));
    for round in 0..rounds() {
        let folder = world.fresh();
        table.add("floor (no journal, no sync)", measure(&mut floor(&world, &list, &folder)));
        let home = world.fresh();
        world.sign_in(&home);
        table.add(BARE, measure(&mut bare(&world, &home)));
        let home = world.fresh();
        world.sign_in(&home);
        table.add(SYNC, measure(&mut sync(&world, &home)));
        let home = world.fresh();
        world.sign_in(&home);
        table.add("the same, syncs left out", measure(sync(&world, &home).env("ROLLBOOK_FAULT", UNSYNCED)));
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
            let folder = world.fresh();
            table.add("curl -Z (no hash)", measure(&mut curl_of(&world, &urls, &folder)));
        }
        if rclone {
            let folder = world.fresh();
            table.add("rclone copyurl (no hash)", measure(&mut rclone_of(&world, &urls, &folder)));
        }
        // Once: with many small files it takes minutes.
        if aria2 && round == 0 {
            let folder = world.fresh();
            table.add("aria2c (no hash), once", measure(&mut aria2_of(&world, &urls, &folder)));
        }
    }
    table.print();
    println!("  rollbook: {:.2} x the files/s of bare", table.speed(SYNC, BARE));
    books(&mut world);
}

/// One more of each, not timed, whose requests and steps are counted.
fn books(world: &mut World) {
    let home = world.fresh();
    world.sign_in(&home);
    world.sandbox.reset_counters();
    measure(&mut bare(world, &home));
    let requests: u64 = world.sandbox.counters().requests.values().sum();
    println!("  bare: {requests} requests");
    let home = world.fresh();
    world.sign_in(&home);
    world.sandbox.reset_counters();
    let log = home.join("steps");
    measure(sync(world, &home).env("ROLLBOOK_FAULT_LOG", &log));
    let counters = world.sandbox.counters();
    let [files, folders, whole, commits] = syncs(&log);
    println!(
        "  rollbook: {} requests ({} for content), {files} file syncs, {folders} folder syncs, {whole} of the \
         whole file system, {commits} commits, journal {:.1} MB",
        counters.requests.values().sum::<u64>(),
        counters.of(Endpoint::Cdn),
        journal_bytes(&home) as f64 / 1e6,
    );
}

fn bare(world: &World, home: &Path) -> Command {
    world.program(&std::env::current_exe().expect("we are a file"), home, &["bare", THREADS])
}

fn sync(world: &World, home: &Path) -> Command {
    let mut command = world.rollbook(home, &["sync", "--no-progress-bar", "--threads-num", THREADS]);
    command.stderr(Stdio::null());
    command
}

/// The same photos on a disk whose every sync takes ten milliseconds, one after the other.
fn slow_disk(outputs: &Outputs) {
    let files = 400;
    let mut world = World::new(
        outputs,
        Options { assets: files, mean_size_bytes: Some(250_000), mix: only("jpeg"), ..Options::default() },
    );
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
fn resume(outputs: &Outputs) {
    let mib: u32 = if variable("ROLLBOOK_BENCH_FULL", 0) > 0 { 1024 } else { 256 };
    let mut world =
        World::new(outputs, Options { assets: 0, large_video_mb: Some(mib), ..Options::default() });
    let home = world.fresh();
    world.sign_in(&home);
    let whole = u64::from(mib) << 20;
    let nine = whole * 9 / 10;
    let mut child = sync(&world, &home).spawn().expect("the program starts");
    // What the sandbox has sent may still be in the buffers of the system; what counts is what came home.
    while part_bytes(&home.join("photos")) < nine {
        std::thread::yield_now();
    }
    child.kill().and_then(|()| child.wait()).expect("a child can be killed");
    let home_bytes = part_bytes(&home.join("photos"));
    world.sandbox.reset_counters();
    let cost = measure(&mut sync(&world, &home));
    let from: u64 = world
        .sandbox
        .log()
        .iter()
        .filter_map(|entry| entry.range.as_ref()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
        .max()
        .unwrap_or(0);
    println!(
        "\nresume: killed with {:.2} % of {mib} MiB home: {:.2} % asked for again, {:.2} s, {:.2} CPU s, {:.0} MB",
        home_bytes as f64 * 100.0 / whole as f64,
        (whole - from) as f64 * 100.0 / whole as f64,
        cost.wall_s,
        cost.cpu_s,
        cost.peak_mb
    );
}

/// The length of the part file below a folder.
fn part_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let bytes = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => part_bytes(&entry.path()),
        Ok(_) if entry.path().extension().is_some_and(|extension| extension == "part") => {
            entry.metadata().map_or(0, |found| found.len())
        }
        _ => 0,
    };
    entries.flatten().map(bytes).max().unwrap_or(0)
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

fn floor(world: &World, list: &Path, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("we are a file"));
    command.arg("floor").arg(list).arg(folder).arg(THREADS).args(&world.authority);
    command
}

fn curl_of(world: &World, urls: &[String], folder: &Path) -> Command {
    let lines = |(number, url): (usize, &String)| {
        format!("url = \"{url}\"\noutput = \"{}\"\n", folder.join(format!("{number}.jpg")).display())
    };
    let config = folder.join("config");
    std::fs::write(&config, urls.iter().enumerate().map(lines).collect::<String>()).expect("a file");
    let mut command = Command::new("curl");
    command.args(["-s", "-g", "-Z", "--parallel-max", THREADS, "-H", "Host: cvws.icloud-content.com", "-K"]);
    command.arg(config).stderr(Stdio::null());
    if let Some(authority) = &world.authority {
        command.arg("--cacert").arg(authority);
    }
    command
}

fn aria2_of(world: &World, urls: &[String], folder: &Path) -> Command {
    let lines = |(number, url): (usize, &String)| format!("{url}\n  out={number}.jpg\n");
    let list: PathBuf = folder.join("list");
    std::fs::write(&list, urls.iter().enumerate().map(lines).collect::<String>()).expect("a file");
    let mut command = Command::new("aria2c");
    command.args(["-q", "-j", THREADS, "-x", "1", "--parameterized-uri=false", "--file-allocation=none"]);
    command.arg("--header=Host: cvws.icloud-content.com").arg("-d").arg(folder).arg("-i").arg(list);
    command.stderr(Stdio::null());
    if let Some(authority) = &world.authority {
        command.arg(format!("--ca-certificate={}", authority.display()));
    }
    command
}

fn rclone_of(world: &World, urls: &[String], folder: &Path) -> Command {
    let list: PathBuf = folder.join("list.csv");
    let line = |(number, url): (usize, &String)| format!("\"{url}\",{number}.jpg\n");
    std::fs::write(&list, urls.iter().enumerate().map(line).collect::<String>()).expect("a file");
    let mut command = Command::new("rclone");
    command.args(["copyurl", "--config", "/dev/null", "-q", "--transfers", THREADS, "--urls"]);
    command.arg(list).arg(folder).stderr(Stdio::null());
    if let Some(authority) = &world.authority {
        command.arg("--ca-cert").arg(authority);
    }
    command
}
