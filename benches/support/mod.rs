//! What the benches share: a person's world, a child whose cost is measured, and a table.
//!
//! The sandbox runs in the bench's own process, so the cost of a child is the client's alone:
//! CPU seconds come from the system by `wait4`, peak memory by looking. Contenders take turns within a
//! round, and the table shows medians and their ratio to the first line: a noisy machine is noisy
//! for all of them. Folders are new in every round and stay until the end of the bench, and the next bench waits for six
//! minutes after that: for so long an ext4 without a journal passes over the places of deleted files, for each file
//! that it makes, where it has made another one beside them (`recently_deleted` in its `ialloc.c`: a minute, and five
//! more where that block is not written back). After 20,000 deleted files that is a millisecond a file, for everybody
//! who writes to such a group of folders, whoever deleted them.
#![allow(dead_code, reason = "each bench uses its own part of this")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rollbook_sandbox::{Mix, Options, Sandbox};
use wait4::Wait4 as _;

/// How long ext4 remembers a deleted file, and some more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(365);

/// Where everything that is measured is written. All of it is deleted when this is dropped, and no sooner.
pub(crate) struct Outputs(PathBuf);

impl Outputs {
    /// An empty folder, on a file system that has forgotten what the last bench deleted.
    pub(crate) fn new() -> Self {
        let outputs = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench"));
        if outputs.0.exists() {
            // Of a bench that was killed.
            outputs.delete();
        }
        let deleted_at = std::fs::metadata(outputs.stamp()).and_then(|stamp| stamp.modified());
        let ago = deleted_at.ok().and_then(|at| at.elapsed().ok()).unwrap_or(FORGOTTEN_AFTER);
        if let Some(wait) = FORGOTTEN_AFTER.checked_sub(ago).filter(|wait| !wait.is_zero()) {
            println!("waiting {} s until the file system has forgotten what was deleted", wait.as_secs());
            std::thread::sleep(wait);
        }
        std::fs::create_dir_all(&outputs.0).expect("a folder can be made");
        outputs
    }

    fn stamp(&self) -> PathBuf {
        self.0.with_extension("deleted")
    }

    fn delete(&self) {
        std::fs::remove_dir_all(&self.0).expect("a folder can be removed");
        sync_all();
        std::fs::write(self.stamp(), "").expect("a file can be made");
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.delete();
    }
}

/// What a child cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    pub(crate) peak_mb: f64,
}

/// Runs a child to its end. A child that fails ends the bench: half a job is no measure. What others wrote before it is
/// on the disk then: else it would pay for that, if it waits for the disk, and see a disk that somebody else uses.
pub(crate) fn measure(command: &mut Command) -> Cost {
    sync_all();
    let began = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let id = child.id();
    let watching = std::thread::spawn(move || peak_while_it_runs(id));
    let ended = child.wait4().expect("a child can be waited for");
    let peak_mb = watching.join().expect("a watch ends with its child");
    let wall_s = began.elapsed().as_secs_f64();
    assert!(ended.status.success(), "{command:?} ended with {}", ended.status);
    let used = ended.rusage;
    Cost { wall_s, cpu_s: (used.utime + used.stime).as_secs_f64(), peak_mb }
}

/// Lets the system write all that waits to be written, where there is such a command.
fn sync_all() {
    let _ = Command::new("sync").status();
}

/// The most memory of a child so far, in MB, as the system tells it while the child is there. What it tells
/// afterwards counts the moment before the child became a program of its own, and with it the sandbox.
fn peak_while_it_runs(id: u32) -> f64 {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    let mut peak_kb = f64::NAN;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let told = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let told = told.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok());
        match told {
            Some(kb) => peak_kb = peak_kb.max(kb),
            None => return peak_kb / 1024.0,
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Whether a program is there to be compared with.
pub(crate) fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = found.is_ok_and(|status| status.success());
    if !there {
        println!("  (skipped: {program} is not installed)");
    }
    there
}

/// Another build of the program to compare with: `ROLLBOOK_BENCH_BEFORE`.
pub(crate) fn before() -> Option<PathBuf> {
    std::env::var_os("ROLLBOOK_BENCH_BEFORE").map(PathBuf::from)
}

/// How often each contender runs: `ROLLBOOK_BENCH_ROUNDS`.
pub(crate) fn rounds() -> usize {
    variable("ROLLBOOK_BENCH_ROUNDS", 5)
}

/// A number from the environment.
pub(crate) fn variable(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Whether a workload was asked for; without a word on the command line all were.
pub(crate) fn is_wanted(workload: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|word| word == workload)
}

/// A library of one kind of asset.
pub(crate) fn only(kind: &str) -> Mix {
    let mut mix = Mix {
        live: 0,
        jpeg: 0,
        heic: 0,
        edited: 0,
        edited_live: 0,
        video: 0,
        edited_video: 0,
        jpeg_raw: 0,
        raw_jpeg: 0,
        screenshot: 0,
    };
    match kind {
        "jpeg" => mix.jpeg = 1,
        "screenshot" => mix.screenshot = 1,
        other => panic!("no such kind here: {other}"),
    }
    mix
}

/// A sandbox and the folders of one person.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    /// The file with the authority of its certificate, where it speaks TLS.
    pub(crate) authority: Option<PathBuf>,
    folder: PathBuf,
    rounds: usize,
}

impl World {
    pub(crate) fn new(outputs: &Outputs, options: Options) -> Self {
        let folder = tempfile::tempdir_in(&outputs.0).expect("a folder can be made").keep();
        let sandbox = Sandbox::start(Options { url_life_s: 86_400, ..options });
        let authority = sandbox.authority_pem().map(|pem| {
            let path = folder.join("authority.pem");
            std::fs::write(&path, pem).expect("a file can be made");
            path
        });
        Self { sandbox, authority, folder, rounds: 0 }
    }

    /// A folder that did not exist before.
    pub(crate) fn fresh(&mut self) -> PathBuf {
        self.rounds += 1;
        let path = self.folder.join(self.rounds.to_string());
        std::fs::create_dir(&path).expect("a folder can be made");
        path
    }

    /// The program, at home in `home`.
    pub(crate) fn rollbook(&self, home: &Path, args: &[&str]) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_rollbook")), home, args)
    }

    /// The same of another build.
    pub(crate) fn program(&self, program: &Path, home: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("ROLLBOOK_USERNAME", self.sandbox.username())
            .env("ROLLBOOK_PASSWORD", self.sandbox.password())
            .env("ROLLBOOK_DIRECTORY", home.join("photos"))
            .env("ROLLBOOK_DATA_DIR", home.join("data"))
            .env("ROLLBOOK_ENDPOINT", self.sandbox.endpoint());
        if let Some(authority) = &self.authority {
            command.env("SSL_CERT_FILE", authority);
        }
        command
    }

    /// Signs in, so that what is measured afterwards is not the key stretching.
    pub(crate) fn sign_in(&self, home: &Path) {
        measure(self.rollbook(home, &["login"]).stderr(Stdio::null()));
    }

    /// The same by another build, whose journal may be of another shape.
    pub(crate) fn sign_in_by(&self, program: &Path, home: &Path) {
        measure(self.program(program, home, &["login"]).stderr(Stdio::null()));
    }
}

/// CPU seconds that this process has used, all its threads together. Not a number where the system keeps
/// no such file.
pub(crate) fn cpu_s() -> f64 {
    let used = std::fs::read_dir("/proc/self/task").map(|tasks| {
        // Nanoseconds of each thread; those that ended are not counted, so threads must outlive a measure.
        let of = |path: PathBuf| {
            let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0)
        };
        tasks.filter_map(Result::ok).map(|task| of(task.path())).sum::<f64>() / 1e9
    });
    used.unwrap_or(f64::NAN)
}

/// Bytes of the journal and its side files.
pub(crate) fn journal_bytes(home: &Path) -> u64 {
    let len = |name: &str| std::fs::metadata(home.join("data").join(name)).map_or(0, |found| found.len());
    len("journal.db") + len("journal.db-wal")
}

/// The durable steps that a log of fault points holds: syncs of a file, of a folder, of the whole file
/// system, and commits.
pub(crate) fn syncs(log: &Path) -> [usize; 4] {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    // What a step covers stands behind it under the same number.
    let mut numbers = std::collections::HashSet::new();
    let steps = text.lines().filter_map(|line| {
        let (number, rest) = line.split_once('\t')?;
        numbers.insert(number).then(|| rest.split('\t').next()).flatten()
    });
    let steps: Vec<&str> = steps.collect();
    ["sync", "syncdir", "syncfs", "commit"].map(|wanted| steps.iter().filter(|step| **step == wanted).count())
}

/// Costs of contenders, by the rounds.
pub(crate) struct Table {
    title: String,
    unit: &'static str,
    units: f64,
    rows: Vec<(String, Vec<Cost>)>,
}

impl Table {
    /// A table whose speeds are in `unit` a second, of which there are `units` in the workload.
    pub(crate) fn new(title: impl Into<String>, unit: &'static str, units: f64) -> Self {
        Self { title: title.into(), unit, units, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, who: &str, cost: Cost) {
        match self.rows.iter_mut().find(|(name, _)| name == who) {
            Some((_, costs)) => costs.push(cost),
            None => self.rows.push((who.to_owned(), vec![cost])),
        }
    }

    /// Prints medians, and how each line compares with the first: round by round, then the median.
    pub(crate) fn print(&self) {
        println!("\n{}", self.title);
        println!(
            "  {:<26}{:>8}{:>8}{:>8}{:>12}{:>9}{:>8}{:>9}",
            "",
            "wall s",
            "CPU s",
            "",
            format!("{}/s", self.unit),
            "peak MB",
            "x wall",
            "x CPU"
        );
        let first = &self.rows[0].1;
        for (who, costs) in &self.rows {
            let of = |pick: fn(&Cost) -> f64| median(costs.iter().map(pick).collect());
            let ratio = |pick: fn(&Cost) -> f64| {
                median(costs.iter().zip(first).map(|(own, base)| pick(own) / pick(base)).collect())
            };
            let (wall, cpu) = (of(|c| c.wall_s), of(|c| c.cpu_s));
            let spread =
                costs.iter().map(|c| c.cpu_s).fold((f64::MAX, 0.0_f64), |(l, h), c| (l.min(c), h.max(c)));
            println!(
                "  {who:<26}{wall:>8.3}{cpu:>8.3}{:>8}{:>12.1}{:>9.0}{:>8.2}{:>9.2}",
                format!("±{:.3}", (spread.1 - spread.0) / 2.0),
                self.units / wall,
                of(|c| c.peak_mb),
                ratio(|c| c.wall_s),
                ratio(|c| c.cpu_s),
            );
        }
    }

    /// How fast one line is by the measure of another: round by round, then the median.
    pub(crate) fn speed(&self, who: &str, beside: &str) -> f64 {
        let of =
            |wanted: &str| self.rows.iter().find(|(name, _)| name == wanted).map_or(&[][..], |row| &row.1);
        median(of(who).iter().zip(of(beside)).map(|(own, base)| base.wall_s / own.wall_s).collect())
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    if values.is_empty() { f64::NAN } else { values[values.len() / 2] }
}
