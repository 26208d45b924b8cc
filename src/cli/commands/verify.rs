//! `rollbook verify`: files are read back, the oldest check first, within a budget.
//!
//! Exit code 1 when a file is damaged, missing or unreadable, unless `--repair` brought it home.

use std::cell::RefCell;
use std::sync::Arc;

use serde::Serialize;

use crate::cli::account::Account;
use crate::cli::answer::print;
use crate::cli::commands::accounts;
use crate::cli::commands::open::{self, House, Manner};
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::exit::Exit;
use crate::cli::json_list::JsonList;
use crate::cli::output::{self, Style, sanitize};
use crate::cli::problem::Problem;
use crate::cli::reading_args::ReadingArgs;
use crate::cli::together::Together;
use crate::cli::{explain, format};
use crate::engine::{self, Scrubbed, Settings, Stop, Tools, Wanted, Wrong};

/// What is wrong with a file, for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Line {
    username: String,
    /// Apple's name for the asset.
    asset: String,
    path: String,
    /// `damaged`, `missing`, `replaced` or `unreadable`.
    kind: &'static str,
    /// What was seen.
    detail: String,
    /// The name that a damaged file has now; null for the others.
    kept_as: Option<String>,
}

/// The rest of the answer for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Answer {
    /// Every account.
    accounts: Vec<OfAccount>,
}

#[derive(Debug, Serialize)]
struct OfAccount {
    username: String,
    files_read: u64,
    bytes_read: u64,
    /// Files with something wrong.
    findings_total: u64,
    /// Of those, files that are wanted again.
    files_lost: u64,
    /// Of the findings, files that are not there: without `--repair`, the next sync looks for them; with it,
    /// those that had been moved are none.
    files_missing: u64,
    /// Files that somebody moved to the places of others, and that are known there now. Nothing is wrong with them.
    files_moved: u64,
    /// Of the findings, files that could not be read: they stay verified.
    files_unreadable: u64,
    /// Files that `--repair` brought home; null without it.
    files_repaired: Option<u64>,
    /// Bytes that came for them.
    bytes_fetched: u64,
    /// Files of the account that are not here: they wait for a sync, or Apple no longer has them.
    files_open: u64,
    /// Files that are due and were not read.
    files_due: u64,
    /// Files in the trash: `audit --deep` reads those.
    files_in_trash: u64,
    interrupted: bool,
}

/// Reads back the files of every account.
pub(super) async fn run(
    config: &Config,
    args: &ReadingArgs,
    style: Style,
    stop: Stop,
    json: bool,
) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    let settings = engine_settings(config, accounts)?;
    open::journal_is_there(config)?;
    let house = open::house(config)?;
    let together = Together::over(config, accounts, style);
    let list = json.then(|| RefCell::new(JsonList::begin("findings")));
    let ended = accounts::in_turn(accounts, style, async |index| {
        let settings = &settings[index];
        let wanted = Wanted { bytes_max: args.bytes_max, time_max: args.time_max, all: args.all };
        let bench = open::bench(&house, settings, stop.clone()).await?;
        let told = |wrong: Wrong| tell(list.as_ref(), &settings.username, wrong);
        let scrubbed = engine::scrub(bench, &wanted, told).await?;
        let mut answer = OfAccount::new(&house, settings, &scrubbed)?;
        if args.repair && !stop.is_requested() {
            repair(&house, &accounts[index], settings, &together, (index, stop.clone()), &mut answer).await?;
        }
        if list.is_none() {
            print(&answer.to_text(&together.prefix(index)))?;
        }
        Ok(answer)
    });
    let ended = ended.await;
    together.finish();
    let ended = ended?;
    let exits: Vec<Exit> = ended.answers.iter().map(OfAccount::exit).collect();
    if let Some(list) = list {
        let written = list.into_inner().end(&Answer { accounts: ended.answers });
        written.map_err(|error| explain::output(&error))?;
    }
    Ok(Exit::most_urgent(exits.into_iter().chain([ended.exit])))
}

/// A finding is told when it is made: a scrub may go on for hours.
fn tell(list: Option<&RefCell<JsonList>>, username: &str, wrong: Wrong) {
    let Wrong { asset, path, damage } = wrong;
    let line = Line {
        username: username.to_owned(),
        asset,
        path,
        kind: damage.kind.as_str(),
        detail: damage.detail,
        kept_as: damage.kept_as,
    };
    match list {
        Some(list) => list.borrow_mut().item(&line),
        None => {
            let kept = line.kept_as.map_or_else(String::new, |kept_as| format!("; kept as {kept_as}"));
            let text = format!("{}: {}: {}{kept}", line.kind, line.path, line.detail);
            // A reader that went away must not end the scrub; the journal has it all.
            let _ = output::data(&sanitize(&text));
        }
    }
}

/// Fetches what is wanted again.
async fn repair(
    house: &House,
    account: &Account,
    settings: &Settings,
    together: &Arc<Together>,
    (index, stop): (usize, Stop),
    answer: &mut OfAccount,
) -> Result<(), Problem> {
    answer.files_repaired = Some(0);
    if answer.files_open + answer.files_missing == 0 {
        return Ok(());
    }
    let manner = Manner::default();
    let opened = open::destination_and_client(house, account, settings, manner, &stop).await;
    together.signed_in();
    let (destination, client) = opened?;
    let (journal, monitor) = (Arc::clone(&house.journal), together.monitor(index));
    let report = engine::repair(Tools { journal, client, destination, monitor, stop }, settings).await;
    together.ended(index);
    let report = report?;
    answer.files_repaired = Some(report.progress.files_verified);
    answer.bytes_fetched = report.bytes_fetched;
    answer.files_missing = report.missing;
    answer.interrupted |= report.interrupted;
    answer.files_open = report.summary.open().files;
    Ok(())
}

impl OfAccount {
    fn new(house: &House, settings: &Settings, of: &Scrubbed) -> Result<Self, Problem> {
        let summary = house.journal.reader().summary(Some(&settings.username))?;
        Ok(Self {
            username: settings.username.clone(),
            files_read: of.read.files,
            bytes_read: of.read.bytes,
            findings_total: of.read.findings,
            files_lost: of.lost,
            files_missing: of.missing,
            files_moved: of.moved,
            files_unreadable: of.read.findings - of.lost - of.missing,
            files_repaired: None,
            bytes_fetched: 0,
            files_open: summary.open().files,
            files_due: of.due_left,
            files_in_trash: of.in_trash,
            interrupted: of.interrupted,
        })
    }

    fn exit(&self) -> Exit {
        match self.interrupted {
            true => Exit::Interrupted,
            false if self.files_unreadable > 0 || (self.wanted() > 0 && !self.is_repaired()) => {
                Exit::FilesOpen
            }
            false => Exit::Done,
        }
    }

    /// Findings that a repair can mend.
    fn wanted(&self) -> u64 {
        self.files_lost + self.files_missing
    }

    fn is_repaired(&self) -> bool {
        self.files_repaired.is_some_and(|repaired| repaired >= self.wanted())
    }

    fn to_text(&self, prefix: &str) -> String {
        let read = format!(
            "{prefix}{} read back ({}), {} wrong",
            format::counted(self.files_read, "file"),
            format::bytes(self.bytes_read),
            format::count(self.findings_total)
        );
        let mut parts = vec![read];
        if self.files_moved > 0 {
            let moved = format::counted(self.files_moved, "file");
            parts.push(format!("{moved} moved here, and known there now"));
        }
        match self.files_repaired {
            Some(repaired) if self.wanted() > 0 || repaired > 0 => parts.push(format!(
                "{} fetched again ({})",
                format::counted(repaired, "file"),
                format::bytes(self.bytes_fetched)
            )),
            None if self.files_lost > 0 => {
                parts.push("\"rollbook sync\" fetches what Apple still has".to_owned());
            }
            _ => {}
        }
        if self.files_missing > 0 && self.files_repaired.is_none() {
            parts.push(
                "\"rollbook sync\" looks where the missing ones are, and does what --missing-files says"
                    .to_owned(),
            );
        }
        if self.files_repaired.is_some() && self.wanted() > 0 && !self.is_repaired() {
            parts.push("what did not come is named by \"rollbook status\"".to_owned());
        }
        if self.files_due > 0 {
            let due = format::counted(self.files_due, "file");
            parts.push(format!("{due} not read yet; \"rollbook verify\" goes on there"));
        } else if self.files_read + self.findings_total == 0 {
            parts.push("all were checked within the last 30 days; --all reads them again".to_owned());
        }
        if self.files_in_trash > 0 {
            let held = format::counted(self.files_in_trash, "file");
            parts.push(format!("{held} in the trash not read: that is for \"rollbook audit --deep\""));
        }
        parts.join("; ")
    }
}
