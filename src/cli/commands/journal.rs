//! `rollbook journal`: is it sound, what snapshots are there, and what to put in its place.
//!
//! Nothing here deletes a journal. One that gives way to another is put aside, by name and date.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::answer::{print, print_json, table};
use crate::cli::commands::open;
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::output::{self, sanitize};
use crate::cli::problem::Problem;
use crate::cli::{explain, format};
use crate::disk::{DataDir, RunLock, Snapshot, Snapshots};
use crate::engine::{self, Looked};
use crate::journal::{self, Examination};

/// What a check found, for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Checked {
    /// Path of the journal.
    journal: PathBuf,
    /// Whether nothing is wrong.
    sound: bool,
    /// How many kinds of things were looked at.
    looked_at: usize,
    /// Files known.
    files: u64,
    /// Of those, verified ones.
    files_verified: u64,
    /// What is wrong.
    findings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at.
    what: &'static str,
    /// What is wrong with it.
    detail: String,
}

/// A snapshot, for a program.
#[derive(Debug, Serialize)]
struct Listed {
    /// Its file name: what `restore` takes.
    name: String,
    /// Its path.
    path: PathBuf,
    /// The last run in it.
    run: i64,
    /// When that began, in Unix seconds; null if it cannot be read.
    run_started_at: Option<i64>,
    /// Files known; null if it cannot be read.
    files: Option<u64>,
    /// Of those, verified ones.
    files_verified: Option<u64>,
    /// Its length.
    size_bytes: u64,
    /// Why it cannot be read; null if it can.
    trouble: Option<String>,
}

/// Holds the place of the journal for one command.
struct Held {
    snapshots: Snapshots,
    _lock: RunLock,
}

fn hold(config: &Config) -> Result<Held, Problem> {
    let data_dir = DataDir::at(&config.data_dir);
    let there = config.data_dir.try_exists().unwrap_or(false);
    if !there {
        return Err(Problem::new(Exit::Usage, "there is no journal here")
            .why(format!("no such folder: {}", config.data_dir.display()))
            .hint("set --data-dir to where the journal is"));
    }
    let lock = data_dir.lock().map_err(explain::data_dir)?;
    open::warn_of_network(&data_dir);
    Ok(Held { snapshots: data_dir.snapshots(), _lock: lock })
}

/// Looks at every page, index, constraint and count.
pub(super) fn check(config: &Config, json: bool) -> Result<Exit, Problem> {
    let held = hold(config)?;
    if held.snapshots.journal_is_gone().map_err(explain::data_dir)? {
        return Err(explain::journal_gone(&held.snapshots));
    }
    let examined = journal::examine(held.snapshots.journal())?;
    let checked = Checked::new(&held.snapshots, examined);
    if json {
        print_json(&checked)?;
    } else {
        print(&checked.to_text())?;
    }
    match checked.findings.first() {
        None => Ok(Exit::Done),
        Some(first) => Err(explain::damaged(format!("{}: {}", first.what, first.detail))),
    }
}

/// Lists the snapshots. They never change, so this needs no lock.
pub(super) fn snapshots(config: &Config, json: bool) -> Result<Exit, Problem> {
    let looked = engine::snapshots(&DataDir::at(&config.data_dir).snapshots())?;
    let listed: Vec<Listed> = looked.into_iter().map(Listed::from).collect();
    if json {
        print_json(&listed)?;
    } else if listed.is_empty() {
        print("no snapshots yet: a sync that changes something leaves one")?;
    } else {
        print(&table(listed.iter().map(Listed::row), &[1, 3, 4]))?;
    }
    Ok(Exit::Done)
}

/// Puts a snapshot in the place of the journal: the newest sound one, or the one that `which` names.
pub(super) fn restore(config: &Config, which: Option<&str>) -> Result<Exit, Problem> {
    let held = hold(config)?;
    let wanted = |snapshot: &Snapshot| {
        which.is_none_or(|which| snapshot.name == which || snapshot.run.to_string() == which)
    };
    let restored = engine::restore(&held.snapshots, wanted)?;
    for (name, why) in &restored.passed_over {
        output::talk(&format!("warning: passed over {}: {}", sanitize(name), sanitize(why)));
    }
    let Some(from) = restored.from else {
        let why = match (which, restored.passed_over.len()) {
            (_, 1..) => "none of them is sound".to_owned(),
            (Some(which), 0) => format!("there is none of this name or run: {which}"),
            (None, 0) => "there is none".to_owned(),
        };
        let problem = Problem::new(Exit::Usage, "cannot restore the journal from a snapshot").why(why);
        return Err(problem.hint(match which {
            Some(_) => "run \"rollbook journal snapshots\"",
            None => "run \"rollbook journal rebuild\", which makes it anew from the files that are here",
        }));
    };
    print(&format!("the journal is now {}", from.name))?;
    told_aside(&restored.aside)?;
    print(
        "run \"rollbook sync\": it adopts what came after the snapshot and stands under the names it gives, without \
         fetching it again (\"rollbook adopt\" before it finds what was moved since, by hand or by relayout)",
    )?;
    Ok(Exit::Done)
}

/// Begins a new journal, for the next sync to fill from the files and from Apple.
pub(super) fn rebuild(config: &Config) -> Result<Exit, Problem> {
    let held = hold(config)?;
    let rebuilt = engine::rebuild(&held.snapshots)?;
    let (accounts, destinations) = rebuilt.salvaged.accounts();
    let from = rebuilt.from.map_or("the old one".to_owned(), |snapshot| snapshot.name);
    print(&format!(
        "the journal is new; from {from} it knows {} and {}",
        format::counted(accounts as u64, "account"),
        format::counted(destinations as u64, "destination")
    ))?;
    told_aside(&rebuilt.aside)?;
    print(
        "run \"rollbook sync\": it adopts the files that are here, without fetching them again (\"rollbook adopt\" \
         before it finds those under other names too)",
    )?;
    Ok(Exit::Done)
}

fn told_aside(aside: &[PathBuf]) -> Result<(), Problem> {
    aside.iter().try_for_each(|path| print(&format!("put aside: {}", sanitize(&path.to_string_lossy()))))
}

impl Checked {
    fn new(snapshots: &Snapshots, examined: Examination) -> Self {
        let finding = |of: journal::Flaw| Finding { what: of.what, detail: of.detail };
        Self {
            journal: snapshots.journal().to_owned(),
            sound: examined.flaws.is_empty(),
            looked_at: examined.looked_at,
            files: examined.files,
            files_verified: examined.files_verified,
            findings: examined.flaws.into_iter().map(finding).collect(),
        }
    }

    fn to_text(&self) -> String {
        let head = format!("journal  {}", sanitize(&self.journal.to_string_lossy()));
        if self.sound {
            let files = format::counted(self.files, "file");
            let verified = format::count(self.files_verified);
            return format!(
                "{head}\nsound: every page, index and count; {files}, {verified} of them verified"
            );
        }
        let rows = self.findings.iter().map(|of| vec![of.what.to_owned(), of.detail.clone()]);
        format!("{head}\n{}:\n{}", format::counted(self.findings.len() as u64, "finding"), table(rows, &[]))
    }
}

impl Listed {
    fn row(&self) -> Vec<String> {
        let verified = match (&self.trouble, self.files_verified, self.files) {
            (None, Some(verified), Some(files)) => {
                format!("{} of {} verified", format::count(verified), format::counted(files, "file"))
            }
            (trouble, ..) => trouble.clone().unwrap_or_default(),
        };
        vec![
            self.name.clone(),
            format!("run {}", self.run),
            self.run_started_at.map_or_else(String::new, format::moment),
            format::bytes(self.size_bytes),
            verified,
        ]
    }
}

impl From<Looked> for Listed {
    fn from(of: Looked) -> Self {
        let contents = of.contents.as_ref().ok();
        Self {
            run: of.snapshot.run,
            run_started_at: contents.and_then(|contents| contents.run_started_at),
            files: contents.map(|contents| contents.files),
            files_verified: contents.map(|contents| contents.files_verified),
            size_bytes: of.snapshot.size_bytes,
            trouble: of.contents.err(),
            name: of.snapshot.name,
            path: of.snapshot.path,
        }
    }
}
