//! `rollbook trash list`, `undelete` and `refetch`: files that went away, and how they come back.
//!
//! None of them asks Apple. `undelete` moves files of the trash to where they were; `refetch` lets the
//! next sync fetch what was deleted here.

use std::path::Path;

use serde::Serialize;

use crate::cli::account::Account;
use crate::cli::answer::{print, print_json, table};
use crate::cli::clock::now;
use crate::cli::commands::open;
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::exit::Exit;
use crate::cli::output::{self, sanitize};
use crate::cli::problem::Problem;
use crate::cli::{explain, format};
use crate::disk::DataDir;
use crate::engine::{self, Stay, Undeleted};
use crate::journal::{Reader, Wanted};

/// A file of the trash, for a program. The keys are a contract: they are added to, never renamed.
#[derive(Debug, Serialize)]
struct Held {
    /// The account it belongs to.
    account: String,
    /// Where it was, relative to the destination.
    path: String,
    /// Where it is, relative to the destination.
    trash_path: String,
    /// Its length.
    size_bytes: u64,
    /// Since when, in Unix seconds; null while a killed run left it on its way.
    trashed_at: Option<i64>,
}

/// Lists what is in the trash.
pub(super) fn list(config: &Config, json: bool) -> Result<Exit, Problem> {
    let path = DataDir::at(&config.data_dir).journal_path();
    let there = path.try_exists().map_err(|error| explain::system("cannot look for the journal", &error))?;
    let mut held = Vec::new();
    if there {
        let reader = Reader::open(&path)?;
        for account in config.accounts()? {
            let Some(id) = reader.account_id(account.username()?)? else { continue };
            held.extend(reader.trash(id)?.into_iter().map(|file| Held {
                account: account.label().to_owned(),
                path: file.path,
                trash_path: file.trash_path.unwrap_or_default(),
                size_bytes: file.size_bytes,
                trashed_at: file.trashed_at,
            }));
        }
    }
    if json {
        print_json(&held)?;
    } else if held.is_empty() {
        print("the trash is empty")?;
    } else {
        let since = |at: Option<i64>| at.map_or_else(|| "on its way".to_owned(), format::moment);
        let rows =
            held.iter().map(|of| vec![of.path.clone(), format::bytes(of.size_bytes), since(of.trashed_at)]);
        print(&table(rows, &[1]))?;
    }
    Ok(Exit::Done)
}

/// Moves files of the trash to where they were.
pub(super) async fn undelete(config: &Config, names: &[String]) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    let settings = engine_settings(config, accounts)?;
    let house = open::house(config)?;
    let mut all = Undeleted::default();
    for settings in &settings {
        for wanted in wanted(names, &settings.directory) {
            let destination = engine::open_destination(&house.journal, settings).await?;
            let done = engine::undelete(&house.journal, destination, &settings.username, wanted).await?;
            all.files += done.files;
            all.missing += done.missing;
            all.replaced.extend(done.replaced);
            all.stay.extend(done.stay);
        }
    }
    if all.missing == 0 && all.stay.is_empty() {
        return found(all.files, names, "back in its place", "back in their places");
    }
    Err(not_all_back(&all))
}

/// Files did not come back: which, and why.
fn not_all_back(done: &Undeleted) -> Problem {
    let mut why = vec![format!("{} back in place", format::counted(done.files, "file"))];
    if done.missing > 0 {
        why.push("the others were taken away by other hands".to_owned());
    }
    if !done.replaced.is_empty() {
        why.push(format!("something else stands at, and was left at, {}", format::named(&done.replaced)));
    }
    let stay: Vec<String> = done.stay.iter().map(|Stay { path, why }| format!("{path} ({why})")).collect();
    if !stay.is_empty() {
        why.push(format!("still in the trash: {}", format::named(&stay)));
    }
    let (what, hint) = match done.missing {
        0 => (
            format!("cannot move {} out of the trash", format::counted(stay.len() as u64, "file")),
            "mend that, or put the files by hand where \"rollbook trash list\" says that they were; then run undelete \
             again",
        ),
        missing => (
            format!("cannot find {} in the trash", format::counted(missing, "file")),
            "put them where \"rollbook trash list\" says that they were, and run undelete again",
        ),
    };
    Problem::new(Exit::FilesOpen, what).why(why.join("; ")).hint(hint)
}

/// Lets the next sync fetch what was deleted here.
pub(super) async fn refetch(config: &Config, names: &[String]) -> Result<Exit, Problem> {
    let accounts: &[Account] = config.accounts()?;
    let house = open::house(config)?;
    let (mut files, mut gone, mut left_out) = (0, Vec::new(), Vec::new());
    for account in accounts {
        let nowhere = Path::new("");
        for wanted in wanted(names, account.directory().map_or(nowhere, |directory| directory)) {
            let refetched = house.journal.refetch(account.username()?, wanted, now()).await?;
            files += refetched.files;
            gone.extend(refetched.gone);
            left_out.extend(refetched.left_out);
        }
    }
    let only_left_out = files == 0 && !names.is_empty() && !left_out.is_empty();
    if files > 0 || (gone.is_empty() && !only_left_out) {
        found(files, names, "to come with the next sync", "to come with the next sync")?;
    }
    if !left_out.is_empty() {
        output::talk(&format!(
            "note: {} left out by your choices stay away: {}",
            format::counted(left_out.len() as u64, "file"),
            sanitize(&format::named(&left_out))
        ));
    }
    if gone.is_empty() {
        return Ok(if only_left_out { Exit::FilesOpen } else { Exit::Done });
    }
    let lost = format::counted(gone.len() as u64, "file");
    Err(Problem::new(Exit::FilesOpen, format!("cannot bring back {lost}: iCloud no longer has such bytes"))
        .why(format::named(&gone))
        .hint(
            "put a copy of your own in its place, and the next sync knows it; or restore the photo from \
             Recently Deleted, sync, and refetch it then",
        ))
}

/// What the command line names: nothing is all of it. A path below the destination counts from there.
fn wanted(names: &[String], directory: &Path) -> Vec<Wanted> {
    if names.is_empty() {
        return vec![Wanted::All];
    }
    let relative = |name: &String| {
        let below = std::path::absolute(name).ok();
        let below =
            below.as_deref().and_then(|path| path.strip_prefix(directory).ok()).and_then(Path::to_str);
        let below = below.filter(|path| !path.is_empty() && !directory.as_os_str().is_empty());
        Wanted::Named(below.unwrap_or(name).to_owned())
    };
    names.iter().map(relative).collect()
}

fn found(files: u64, names: &[String], one: &str, more: &str) -> Result<Exit, Problem> {
    if files == 0 && !names.is_empty() {
        return Err(Problem::new(Exit::Usage, "cannot find such a file among those that went away")
            .why(names.join(", "))
            .hint("run \"rollbook trash list\" for the trash, \"rollbook status\" for the rest"));
    }
    print(&format!("{} {}", format::counted(files, "file"), if files == 1 { one } else { more }))?;
    Ok(Exit::Done)
}
