//! What `rollbook status --json` says: the keys are a contract. They are added to, never renamed.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::clock::now;
use crate::cli::exit::Exit;
use crate::cli::standing::SignIn;
use crate::journal::{self, Attempt, Reader, Summary, Verb};
use crate::model::file_system::Twins;
use crate::model::views::LinkKind;

/// The answer: what the journal holds.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// Path of the journal.
    pub(super) journal: PathBuf,
    /// Assets known.
    pub(super) assets: u64,
    /// Of those, assets that still want a file.
    pub(super) assets_open: u64,
    /// Files by standing: the states, then what is out of scope.
    pub(super) files: Vec<Standing>,
    /// Every account of the configuration.
    pub(super) accounts: Vec<OfAccount>,
    /// Every library.
    pub(super) libraries: Vec<Library>,
    /// The last run; null if there was none.
    pub(super) last_run: Option<Run>,
    /// The last audit; null if there was none.
    pub(super) last_audit: Option<Check>,
    /// The last verify; null if there was none.
    pub(super) last_verify: Option<Check>,
    /// Verified files that were never read back since they came home.
    pub(super) never_checked_files: u64,
    /// When the file that waits longest was last read back; null if none ever was.
    pub(super) oldest_check_at: Option<i64>,
    /// Unix seconds until when Apple asked an account to wait, the last of them; null if it did not.
    pub(super) wait_until: Option<i64>,
    /// How the sign-in stands, where there is but one account; null before the first one.
    pub(super) sign_in: Option<SignIn>,
    /// How many problems there are.
    pub(super) problems_total: u64,
    /// Each of them.
    pub(super) problems: Vec<Trouble>,
}

/// What the journal holds of one account.
#[derive(Debug, Serialize)]
pub(super) struct OfAccount {
    /// Its name.
    pub(super) username: String,
    /// Assets known.
    pub(super) assets: u64,
    /// Of those, assets that still want a file.
    pub(super) assets_open: u64,
    /// Files by standing.
    pub(super) files: Vec<Standing>,
    /// Whether a library of it was ever listed to the end.
    pub(super) listed: bool,
    /// Unix seconds until when Apple asked it to wait; null if it did not.
    pub(super) wait_until: Option<i64>,
    /// How its sign-in stands; null before the first one.
    pub(super) sign_in: Option<SignIn>,
    /// Where its files go, and what the file system does there; null before the first sync.
    pub(super) destination: Option<Destination>,
    /// How the last attempt to sync ended, one too that never came to a run; null before the first.
    pub(super) last_attempt: Option<Ended>,
}

/// Where files go. What was not tried there yet is null.
#[derive(Debug, Serialize)]
pub(super) struct Destination {
    /// The directory.
    pub(super) directory: String,
    /// Names that differ in letter case only: `two` files, `one`, or one that is told `respelled`.
    pub(super) letter_case: Option<&'static str>,
    /// Names that differ in Unicode form only, likewise.
    pub(super) unicode_form: Option<&'static str>,
    /// Characters that no name may hold; a dot and a space, if none may end in one.
    pub(super) refused: Option<Vec<char>>,
    /// Links that cannot be made.
    pub(super) no_links: Option<Vec<&'static str>>,
}

/// How an attempt to sync ended.
#[derive(Debug, Serialize)]
pub(super) struct Ended {
    /// When, in Unix seconds.
    pub(super) at: i64,
    /// Its exit code.
    pub(super) exit: u8,
    /// What that means.
    pub(super) means: &'static str,
    /// What was said, if it was a problem.
    pub(super) said: Option<String>,
}

/// Files of one standing.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    /// `verified`, `pending`, `partial`, `expired-url`, `failed`, `excluded`, `released` or
    /// `superseded`.
    pub(super) standing: &'static str,
    /// How many.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// A library.
#[derive(Debug, Serialize)]
pub(super) struct Library {
    /// The account it belongs to.
    pub(super) username: String,
    /// Its zone: `PrimarySync` or `SharedSync-…`.
    pub(super) name: String,
    /// `private` or `shared`.
    pub(super) database: &'static str,
    /// How many assets Apple counts; null if it did not say.
    pub(super) apple_count: Option<u64>,
    /// How many the last complete listing found; null before the first.
    pub(super) enumerated_count: Option<u64>,
    /// When that ended, in Unix seconds.
    pub(super) enumerated_at: Option<i64>,
}

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    /// Its number.
    pub(super) id: i64,
    /// When it began, in Unix seconds.
    pub(super) started_at: i64,
    /// When it ended; null while it lasts, and if it was killed.
    pub(super) ended_at: Option<i64>,
    /// What came of it; `unfinished` while it lasts, and if it was killed.
    pub(super) outcome: String,
    /// Files verified in it.
    pub(super) files_verified: u64,
    /// Bytes it fetched.
    pub(super) bytes_fetched: u64,
}

/// An audit or a verify.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    /// When it ended, in Unix seconds; null while it lasts, and if it was killed.
    pub(super) ended_at: Option<i64>,
    /// `balanced` or `unbalanced`; of a verify `complete`, `incomplete` or `damage found`;
    /// `interrupted`, `halted` or `unfinished`.
    pub(super) outcome: String,
    /// Files that were right.
    pub(super) files: u64,
    /// Bytes read back.
    pub(super) bytes_read: u64,
    /// What was found wrong.
    pub(super) findings: u64,
}

/// A line of `v_problem`.
#[derive(Debug, Serialize)]
pub(super) struct Trouble {
    /// The path of a file, or the name of a record.
    pub(super) name: String,
    /// What kind of problem.
    pub(super) kind: String,
    /// What was seen.
    pub(super) detail: String,
}

impl Status {
    /// Reads the journal at `path`, with at most so many problems by name.
    pub(super) fn read(path: &Path, usernames: &[&str], problems_max: usize) -> Result<Self, journal::Error> {
        let reader = Reader::open(path)?;
        let summary = reader.summary(None)?;
        let problems_total = reader.problems_total()?;
        let problems_max = problems_max.min(usize::try_from(problems_total).unwrap_or(usize::MAX));
        let known = reader.libraries()?;
        let lines = known.iter().map(|of| reader.line(of.id, i64::MIN)).collect::<Result<Vec<_>, _>>()?;
        let libraries: Vec<Library> = known.into_iter().map(Library::from).collect();
        let accounts = usernames.iter().map(|username| OfAccount::read(&reader, username, &libraries));
        let accounts = accounts.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            journal: path.to_owned(),
            assets: summary.assets,
            assets_open: summary.assets_open,
            files: standings(&summary),
            libraries,
            last_run: reader.last_run()?.map(Run::from),
            last_audit: reader.last_run_for(Verb::Audit)?.map(Check::from),
            last_verify: reader.last_run_for(Verb::Verify)?.map(Check::from),
            never_checked_files: lines.iter().map(|line| line.never_checked).sum(),
            oldest_check_at: lines.iter().filter_map(|line| line.oldest_check_at).min(),
            wait_until: accounts.iter().filter_map(|account| account.wait_until).max(),
            accounts,
            sign_in: None,
            problems_total,
            problems: reader.problems(problems_max)?.into_iter().map(Trouble::from).collect(),
        })
    }
}

/// Files by standing, those with none too.
pub(super) fn standings(summary: &Summary) -> Vec<Standing> {
    let standing =
        |(standing, of): (_, journal::Tally)| Standing { standing, files: of.files, bytes: of.bytes };
    [
        ("verified", summary.verified),
        ("pending", summary.pending),
        ("partial", summary.partial),
        ("expired-url", summary.expired_url),
        ("failed", summary.failed),
        ("excluded", summary.excluded),
        ("released", summary.released),
        ("superseded", summary.superseded),
    ]
    .map(standing)
    .into()
}

impl OfAccount {
    fn read(reader: &Reader, username: &str, libraries: &[Library]) -> Result<Self, journal::Error> {
        let summary = reader.summary(Some(username))?;
        let mut own = libraries.iter().filter(|library| library.username == username);
        Ok(Self {
            username: username.to_owned(),
            assets: summary.assets,
            assets_open: summary.assets_open,
            files: standings(&summary),
            listed: own.any(|library| library.enumerated_at.is_some()),
            wait_until: reader.next_allowed_at(username, now())?,
            sign_in: None,
            destination: reader.destination(username)?.map(Destination::from),
            last_attempt: reader.pulse(username)?.attempt.map(Ended::from),
        })
    }
}

impl From<journal::KnownDestination> for Destination {
    fn from(of: journal::KnownDestination) -> Self {
        let seen = of.file_system;
        let is_known = seen.device.is_some();
        Self {
            directory: of.directory,
            letter_case: seen.letter_case.map(Twins::as_str),
            unicode_form: seen.unicode_form.map(Twins::as_str),
            refused: is_known.then(|| seen.refused.chars().collect()),
            no_links: is_known.then(|| seen.no_links.into_iter().map(LinkKind::as_str).collect()),
        }
    }
}

impl From<Attempt> for Ended {
    fn from(of: Attempt) -> Self {
        let means = Exit::of(of.exit).map_or("unknown", Exit::words);
        Self { at: of.at, exit: of.exit, means, said: of.said }
    }
}

impl From<journal::Library> for Library {
    fn from(of: journal::Library) -> Self {
        Self {
            username: of.username,
            name: of.zone.name,
            database: of.zone.database.as_str(),
            apple_count: of.apple_count,
            enumerated_count: of.enumerated_count,
            enumerated_at: of.enumerated_at,
        }
    }
}

impl From<journal::Run> for Run {
    fn from(of: journal::Run) -> Self {
        Self {
            id: of.id,
            started_at: of.started_at,
            ended_at: of.ended_at,
            outcome: of.outcome,
            files_verified: of.files_done,
            bytes_fetched: of.bytes_fetched,
        }
    }
}

impl From<journal::Run> for Check {
    fn from(of: journal::Run) -> Self {
        Self {
            ended_at: of.ended_at,
            outcome: of.outcome,
            files: of.files_done,
            bytes_read: of.bytes_read,
            findings: of.findings,
        }
    }
}

impl From<journal::Problem> for Trouble {
    fn from(of: journal::Problem) -> Self {
        Self { name: of.name, kind: of.kind, detail: of.detail }
    }
}
