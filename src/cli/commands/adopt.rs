//! `rollbook adopt`: files that another tool downloaded become ours, where they stand.
//!
//! It asks Apple only if the library was never listed. Details stand in the view `v_adoption`. Exit code 1 when
//! something kept files from coming into place.

use std::sync::Arc;

use serde::Serialize;

use crate::cli::account::Account;
use crate::cli::answer::{print, print_json, table};
use crate::cli::args::Args;
use crate::cli::commands::accounts;
use crate::cli::commands::open::{self, House, Manner};
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::format;
use crate::cli::output::{Style, sanitize};
use crate::cli::problem::Problem;
use crate::cli::together::Together;
use crate::engine::{self, Adopted, Adopting, HowToAdopt, Settings, Stop, Tools};
use crate::model::adoption::Outcome;

/// Files named to a person; a program gets all of them.
const LINES_SHOWN: usize = 20;

/// The answer for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Answer {
    username: String,
    dry_run: bool,
    /// Files that are ours now; those that would be, in a dry run.
    adopted_files: u64,
    adopted_bytes: u64,
    /// Files that were ours before.
    already_files: u64,
    duplicate_files: u64,
    altered_files: u64,
    unknown_files: u64,
    unreadable_files: u64,
    /// Files that something keeps from coming into place: the next run tries again.
    blocked_files: u64,
    /// What a sync still fetches.
    fetch_files: u64,
    fetch_bytes: u64,
    /// Files that somebody should look at.
    files: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    local_path: String,
    outcome: &'static str,
    /// The file of ours that it is once more, or should have been.
    path: Option<String>,
    detail: Option<String>,
}

/// Looks through the trees of all accounts.
pub(super) async fn run(args: &Args, config: &Config, style: Style, stop: Stop) -> Result<Exit, Problem> {
    if let Some(tree) = args.adopt.directory.as_ref().filter(|tree| !tree.is_dir()) {
        return Err(Problem::new(Exit::Usage, "cannot adopt what is not there")
            .why(format!("it is no folder: {}", tree.display()))
            .hint("name the folder that holds the other tool's photos"));
    }
    let accounts = config.accounts()?;
    if args.adopt.directory.is_some() && accounts.len() > 1 {
        return Err(Problem::new(Exit::Usage, "cannot tell whose photos these are")
            .why("the configuration has several accounts")
            .hint("choose one with --account"));
    }
    let settings = engine_settings(config, accounts)?;
    let house = open::house(config)?;
    let how = HowToAdopt {
        directory: args.adopt.directory.clone(),
        bring: args.adopt.bring,
        dry_run: args.adopt.dry_run,
    };
    let together = Together::over(config, accounts, style);
    let ended = accounts::side_by_side(accounts, style, &stop, |index, stop| {
        let (account, settings, how) = (&accounts[index], &settings[index], how.clone());
        let (house, together) = (&house, &together);
        async move {
            let adopted = adopt(house, account, settings, together, index, how.clone(), stop).await;
            together.ended(index);
            Ok(Answer::new(&settings.username, how.dry_run, adopted?))
        }
    });
    let ended = ended.await;
    together.finish();
    let ended = ended?;
    if args.json {
        print_json(&ended.answers)?;
    } else {
        for answer in &ended.answers {
            let head = if accounts.len() > 1 { format!("{}\n", answer.username) } else { String::new() };
            print(&format!("{head}{}", answer.to_text()))?;
        }
    }
    let blocked = ended.answers.iter().any(|answer| answer.blocked_files > 0);
    Ok(Exit::most_urgent([ended.exit, if blocked { Exit::FilesOpen } else { Exit::Done }]))
}

async fn adopt(
    house: &House,
    account: &Account,
    settings: &Settings,
    together: &Arc<Together>,
    index: usize,
    how: HowToAdopt,
    stop: Stop,
) -> Result<Adopted, Problem> {
    let username = &settings.username;
    let known = house.journal.reader().known_account(username)?;
    let id = match known {
        Some((id, true)) => {
            together.signed_in();
            id
        }
        _ => {
            let listed = list(house, account, settings, together, index, &stop).await;
            listed?;
            let known = house.journal.reader().known_account(username)?;
            known.expect("an account that was listed has a row").0
        }
    };
    let tools = Adopting {
        journal: Arc::clone(&house.journal),
        destination: engine::open_destination(&house.journal, settings).await?,
        monitor: together.monitor(index),
        stop,
    };
    let adopted = engine::adopt(tools, id, username, how).await?;
    if adopted.interrupted { Err(explain::interrupted()) } else { Ok(adopted) }
}

/// Lists the library first, as `plan` does.
async fn list(
    house: &House,
    account: &Account,
    settings: &Settings,
    together: &Arc<Together>,
    index: usize,
    stop: &Stop,
) -> Result<(), Problem> {
    let opened = open::destination_and_client(house, account, settings, Manner::default(), stop).await;
    together.signed_in();
    let (destination, client) = opened?;
    let (journal, monitor) = (Arc::clone(&house.journal), together.monitor(index));
    let tools = Tools { journal, client, destination, monitor, stop: stop.clone() };
    let plan = engine::plan(tools, settings).await?;
    if plan.interrupted { Err(explain::interrupted()) } else { Ok(()) }
}

impl Answer {
    fn new(username: &str, dry_run: bool, adopted: Adopted) -> Self {
        let files = |outcome| adopted.of(outcome).files;
        let ours = if dry_run { Outcome::Adoptable } else { Outcome::Adopted };
        Self {
            username: username.to_owned(),
            dry_run,
            adopted_files: files(ours),
            adopted_bytes: adopted.of(ours).bytes,
            already_files: files(Outcome::Already),
            duplicate_files: files(Outcome::Duplicate),
            altered_files: files(Outcome::Altered),
            unknown_files: files(Outcome::Unknown),
            unreadable_files: files(Outcome::Unreadable),
            blocked_files: files(Outcome::Blocked),
            fetch_files: adopted.to_fetch.files,
            fetch_bytes: adopted.to_fetch.bytes,
            files: adopted
                .lines
                .into_iter()
                .map(|line| Line {
                    local_path: line.local_path,
                    outcome: line.outcome.as_str(),
                    path: line.path,
                    detail: line.detail,
                })
                .collect(),
        }
    }

    fn to_text(&self) -> String {
        let row = |name: &str, files: u64, remark: String| {
            vec![name.to_owned(), format::counted(files, "file"), remark]
        };
        let ours = if self.dry_run { "would be adopted" } else { "adopted" };
        let mut rows = vec![row(ours, self.adopted_files, format::bytes(self.adopted_bytes))];
        for (name, files, remark) in [
            ("ours already", self.already_files, ""),
            ("duplicates", self.duplicate_files, "the bytes of another file of ours; they stay"),
            ("altered", self.altered_files, "name and date of a photo, other bytes: a tool wrote into them"),
            ("unknown", self.unknown_files, "nothing that iCloud lists; they stay"),
            ("unreadable", self.unreadable_files, ""),
            ("blocked", self.blocked_files, "something is in the way; the same command tries again"),
        ] {
            if files > 0 {
                rows.push(row(name, files, remark.to_owned()));
            }
        }
        rows.push(row("still to fetch", self.fetch_files, format::bytes(self.fetch_bytes)));
        let mut text = table(rows, &[1]);
        for line in self.files.iter().take(LINES_SHOWN) {
            text.push('\n');
            text.push_str(&sanitize(&line.to_text()));
        }
        if self.files.len() > LINES_SHOWN {
            text.push_str("\n… and more: the view v_adoption of the journal names them all");
        }
        if self.altered_files > 0 {
            text.push_str(
                "\naltered files stay as they are; \"rollbook sync\" fetches the original beside each of them",
            );
        }
        text
    }
}

impl Line {
    fn to_text(&self) -> String {
        let Self { local_path, outcome, path, detail } = self;
        let of = path.as_ref().map(|path| format!(" ({path})")).unwrap_or_default();
        let why = detail.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{outcome}: {local_path}{of}{why}")
    }
}
