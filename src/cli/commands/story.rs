//! `rollbook explain`: the whole story of an asset in plain sentences: what it is, where each of its
//! files stands and why, what happened, and what happens next.
//!
//! Read from the journal alone, also during a run.

use std::path::Path;

use serde::Serialize;

use crate::cli::answer::{print, print_json, table};
use crate::cli::clock::now;
use crate::cli::commands::happened::Line;
use crate::cli::commands::open;
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::format;
use crate::cli::output::sanitize;
use crate::cli::problem::Problem;
use crate::cli::reading_args::ReadingArgs;
use crate::journal::{MATCHES_MAX, Reader, StoryFile, StoryOf, Which};

/// Happenings on a screen. `--json` has them all.
const LINES_SHOWN: usize = 40;

/// The story, for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Story {
    username: String,
    library: String,
    /// Apple's name for it.
    asset: String,
    /// The person's name for it.
    filename: String,
    kind: String,
    captured_at: Option<i64>,
    added_at: Option<i64>,
    favorite: bool,
    hidden: bool,
    removed_at: Option<i64>,
    removed_as: Option<String>,
    files: Vec<File>,
    /// Records of it that cannot be used, or not wholly.
    problems: Vec<RecordProblem>,
    history: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct File {
    rendition: String,
    path: String,
    state: String,
    standing: String,
    size_bytes: u64,
    /// Where it stands, in a sentence.
    says: String,
    /// What happens next, in a sentence.
    next: String,
}

#[derive(Debug, Serialize)]
struct RecordProblem {
    record: String,
    kind: String,
    detail: String,
}

/// Tells the story of every asset that the name may mean, if it is one; else lists them.
pub(super) fn run(config: &Config, args: &ReadingArgs, json: bool) -> Result<Exit, Problem> {
    let reader = Reader::open(&open::journal_is_there(config)?)?;
    let typed = args.asset.as_deref().unwrap_or_default();
    let name = below_directory(config, typed);
    let found = reader.find_assets(&name)?;
    let stories = match found.as_slice() {
        [] => {
            // A record that cannot be used has no asset; it still has a story.
            let problems = problems(&reader, vec![name.clone()])?;
            if problems.is_empty() {
                return Err(unknown(typed));
            }
            let says =
                |of: &RecordProblem| format!("{} cannot be used: {}: {}", of.record, of.kind, of.detail);
            let lines: Vec<String> = problems.iter().map(says).collect();
            let text = lines.iter().map(|line| sanitize(line).into_owned()).collect::<Vec<_>>().join("\n");
            if json {
                print_json(&problems)?
            } else {
                print(&text)?
            }
            return Ok(Exit::Done);
        }
        found => found.iter().map(|of| Story::read(&reader, of)).collect::<Result<Vec<_>, _>>()?,
    };
    match (json, stories.as_slice()) {
        (true, stories) => print_json(&stories)?,
        (_, [story]) => print(&story.to_text())?,
        (_, stories) => print(&several(stories))?,
    }
    Ok(Exit::Done)
}

/// Nothing has this name.
pub(super) fn unknown(name: &str) -> Problem {
    Problem::new(Exit::Usage, format!("cannot find an asset called {name}"))
        .why("no file name, record name or path in the journal is this one")
        .hint("run \"rollbook export --format csv\" to see all names, or \"rollbook sync\" if it is new")
}

/// A path below the directory of an account, as the journal has it; anything else as it is.
fn below_directory(config: &Config, typed: &str) -> String {
    let full = std::path::absolute(typed).unwrap_or_else(|_| Path::new(typed).to_owned());
    let directories = config.accounts.iter().filter_map(|account| account.directory().ok());
    let mut below =
        directories.filter_map(|directory| Some(full.strip_prefix(directory).ok()?.to_str()?.to_owned()));
    below.find(|path| !path.is_empty()).unwrap_or_else(|| typed.trim_start_matches("./").to_owned())
}

fn several(stories: &[Story]) -> String {
    let rows = stories.iter().map(|of| {
        let captured = of.captured_at.map_or_else(|| "undated".to_owned(), format::moment);
        let path = of.files.first().map_or_else(String::new, |file| file.path.clone());
        vec![of.filename.clone(), captured, path, of.asset.clone()]
    });
    let more = if stories.len() == MATCHES_MAX { ", the first of them" } else { "" };
    format!(
        "{} have this name{more}; ask by path or record name:\n{}",
        format::counted(stories.len() as u64, "asset"),
        table(rows, &[])
    )
}

fn problems(reader: &Reader, names: Vec<String>) -> Result<Vec<RecordProblem>, Problem> {
    let found = reader.record_problems(&names)?;
    Ok(found.into_iter().map(|(record, kind, detail)| RecordProblem { record, kind, detail }).collect())
}

impl Story {
    fn read(reader: &Reader, of: &StoryOf) -> Result<Self, Problem> {
        let files = reader.files_of(of.asset_id)?;
        let which = Which { assets: Some(vec![of.asset_id]), limit: usize::MAX, ..Which::default() };
        Ok(Self {
            username: of.username.clone(),
            library: of.library.clone(),
            asset: of.asset.clone(),
            filename: of.filename.clone(),
            kind: of.kind.clone(),
            captured_at: of.captured_at,
            added_at: of.added_at,
            favorite: of.favorite,
            hidden: of.hidden,
            removed_at: of.removed_at,
            removed_as: of.removed_as.clone(),
            files: files.iter().map(|file| File::new(file, of, now())).collect(),
            problems: problems(reader, of.records.clone())?,
            history: reader.happenings(&which)?.into_iter().map(Line::from).collect(),
        })
    }

    fn to_text(&self) -> String {
        let mut parts = vec![self.head()];
        for file in &self.files {
            parts.push(format!(
                "{} {} ({})\n  {}\n  Next: {}",
                file.rendition,
                sanitize(&file.path),
                format::bytes(file.size_bytes),
                sanitize(&file.says),
                file.next
            ));
        }
        if self.files.is_empty() {
            parts.push("The journal has no file of it.".to_owned());
        }
        for of in &self.problems {
            parts.push(
                sanitize(&format!(
                    "Of its records, {} cannot be used: {}: {}",
                    of.record, of.kind, of.detail
                ))
                .into_owned(),
            );
        }
        let shown = &self.history[self.history.len().saturating_sub(LINES_SHOWN)..];
        let rows = shown.iter().map(|line| {
            let run = line.run_id.map_or_else(String::new, |run| format!("run {run}"));
            let what = line.rendition.clone().unwrap_or_else(|| "in iCloud".to_owned());
            let event = match (&line.from_state, &line.to_state) {
                (Some(from), Some(to)) => format!("{}: {from} to {to}", line.event),
                _ => line.event.clone(),
            };
            vec![format::moment(line.at), run, what, event, line.says()]
        });
        let mut happened = "What happened:".to_owned();
        let hidden = self.history.len() - shown.len();
        if hidden > 0 {
            happened.push_str(&format!("\n… {hidden} earlier lines: --json has them all"));
        }
        if !shown.is_empty() {
            happened.push_str(&format!("\n{}", table(rows, &[])));
            parts.push(happened);
        }
        parts.join("\n\n")
    }

    fn head(&self) -> String {
        let mut text =
            format!("{} is a {} in {} of {}", self.filename, self.kind, self.library, self.username);
        if let Some(at) = self.captured_at {
            text.push_str(&format!(", taken {}", format::moment(at)));
        }
        if let Some(at) = self.added_at {
            text.push_str(&format!(", added {}", format::moment(at)));
        }
        text.push('.');
        for (is, word) in [(self.favorite, "a favourite"), (self.hidden, "hidden")] {
            if is {
                text.push_str(&format!(" It is {word}."));
            }
        }
        if let Some(at) = self.removed_at {
            let how = match self.removed_as.as_deref() {
                Some("recently-deleted") => "is in Recently Deleted in iCloud",
                Some("moved") => "was moved to another library in iCloud",
                _ => "is gone from iCloud",
            };
            text.push_str(&format!(" It {how}, seen {}; what is here stays.", format::moment(at)));
        }
        let files = format::counted(self.files.len() as u64, "file");
        text.push_str(&format!("\nApple calls it {}. It has {files}.", self.asset));
        text.lines().map(|line| sanitize(line).into_owned()).collect::<Vec<_>>().join("\n")
    }
}

impl File {
    fn new(of: &StoryFile, asset: &StoryOf, now: i64) -> Self {
        let (says, next) = says(of, asset, now);
        Self {
            rendition: of.rendition.clone(),
            path: of.path.clone(),
            state: of.state.clone(),
            standing: of.standing.clone(),
            size_bytes: of.size_bytes,
            says,
            next,
        }
    }
}

/// Where a file stands, and what happens next.
fn says(of: &StoryFile, asset: &StoryOf, now: i64) -> (String, String) {
    let nothing = || "nothing.".to_owned();
    let (says, next) = match of.state.as_str() {
        "verified" => (verified(of), nothing()),
        "partial" => (
            format!("Begun: {} of it are here, in a part file.", format::bytes(of.offset_bytes)),
            "the next sync goes on from there.".to_owned(),
        ),
        "failed" => failed(of, now),
        "expired-url" => (
            "Its address at Apple ran out before its bytes were here.".to_owned(),
            "the next sync asks for a fresh one.".to_owned(),
        ),
        _ => ("Nothing of it is here yet.".to_owned(), "the next sync fetches it.".to_owned()),
    };
    if let Some(rule) = of.excluded_by.as_ref().filter(|_| of.state != "verified") {
        return (
            format!("Left out by choice: {rule}. {says}"),
            format!("nothing, until you leave out {rule}."),
        );
    }
    if let Some(path) = &of.trash_path {
        let since = of
            .trashed_at
            .map_or_else(|| "on its way".to_owned(), |at| format!("since {}", format::moment(at)));
        return (
            format!("In the trash, {since}: {path}."),
            "it stays there, as long as --trash-days lets it; \"rollbook undelete\" brings it back."
                .to_owned(),
        );
    }
    if let Some(at) = of.released_at {
        let says = format!("You moved or deleted it here, seen {}.", format::moment(at));
        return (says, "nothing: it is left alone; \"rollbook refetch\" wants it again.".to_owned());
    }
    if let Some(at) = of.superseded_at {
        let why = format!("Apple has offered another version, or none, since {}.", format::moment(at));
        return (format!("{says} {why}"), nothing());
    }
    if let Some(run) = of.claimed_by_run {
        return (says, format!("run {run} is fetching it, or was killed while it did."));
    }
    if asset.removed_at.is_some() && of.state != "verified" {
        return (says, "the next sync asks whether Apple still has it.".to_owned());
    }
    (says, next)
}

fn verified(of: &StoryFile) -> String {
    let how = match of.verified_by.as_deref() {
        Some("apple-signature") => "its bytes matched Apple's own checksum",
        Some("sha256") => "its bytes matched the SHA-256 that Apple gave",
        _ => "by its length only: Apple's checksum of it proves nothing",
    };
    let at = of.verified_at.map_or_else(String::new, |at| format!(" since {}", format::moment(at)));
    let checked = of
        .checked_at
        .map_or_else(|| "never since".to_owned(), |at| format!("last on {}", format::moment(at)));
    format!("Here and verified{at}: {how}. Read back {checked}.")
}

fn failed(of: &StoryFile, now: i64) -> (String, String) {
    let (kind, detail) = of.error.clone().unwrap_or_default();
    let attempts = format::counted(of.attempts, "failed attempt");
    let next = match of.retry_at {
        None => "given up: run \"rollbook sync --retry-failed\".".to_owned(),
        Some(at) if at <= now => "the next sync tries it again.".to_owned(),
        Some(at) => format!("it is tried again by a sync after {}.", format::moment(at)),
    };
    (format!("Failed: {kind}: {detail} ({attempts})."), next)
}
