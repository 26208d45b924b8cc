//! `rollbook plan`: what a sync would fetch, and whether there is room.
//!
//! It lists the library into the journal, so a sync that follows finds its rows made and their
//! paths chosen. It fetches no file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::cli::answer::{print, print_json, table};
use crate::cli::commands::accounts;
use crate::cli::commands::open::{self, Manner};
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::format;
use crate::cli::output::{Style, sanitize};
use crate::cli::problem::Problem;
use crate::cli::together::Together;
use crate::disk::space::Room;
use crate::engine::{self, Settings, Stop, Tools};
use crate::journal::{Summary, Tally};

/// The answer for a program. The keys are a contract: those of an account, summed up, and each.
#[derive(Debug, Serialize)]
struct Plans {
    #[serde(flatten)]
    total: Plan,
    /// Each account.
    accounts: Vec<Plan>,
}

/// What a sync of one account would fetch, or of all.
#[derive(Clone, Debug, Serialize)]
struct Plan {
    /// The account; null in the sum of several.
    username: Option<String>,
    /// Assets in all libraries.
    assets: u64,
    /// Files that are here and verified.
    verified_files: u64,
    /// Their bytes.
    verified_bytes: u64,
    /// Files that a sync would fetch, or go on fetching.
    fetch_files: u64,
    /// Their bytes, as if none were begun.
    fetch_bytes: u64,
    /// Of `fetch_files`, those that failed in an earlier run.
    failed_files: u64,
    /// Where they would go; null in the sum of several.
    directory: Option<PathBuf>,
    /// Bytes that this user may still write there; in the sum, where there is least room.
    free_bytes: u64,
    /// Of those, bytes that stay free.
    kept_bytes: u64,
    /// Whether the others suffice. Of several on one disk, whether they suffice for all.
    enough: bool,
}

/// Lists the libraries, and says what is missing here.
pub(super) async fn run(config: &Config, style: Style, stop: Stop, json: bool) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    let settings = engine_settings(config, accounts)?;
    let house = open::house(config)?;
    let together = Together::over(config, accounts, style);
    let ended = accounts::side_by_side(accounts, style, &stop, |index, stop| {
        let (account, settings) = (&accounts[index], &settings[index]);
        let (house, together) = (&house, &together);
        async move {
            let manner = Manner::default();
            let opened = open::destination_and_client(house, account, settings, manner, &stop).await;
            together.signed_in();
            let (destination, client) = opened?;
            let (journal, monitor) = (Arc::clone(&house.journal), together.monitor(index));
            let tools = Tools { journal, client, destination, monitor, stop };
            let outcome = engine::plan(tools, settings).await;
            together.ended(index);
            let plan = outcome?;
            if plan.interrupted {
                return Err(explain::interrupted());
            }
            Ok(Plan::new(&plan.summary, plan.room, settings))
        }
    });
    let ended = ended.await;
    together.finish();
    let ended = ended?;
    if json {
        print_json(&Plans { total: Plan::sum(&ended.answers), accounts: ended.answers })?;
    } else {
        let several = accounts.len() > 1;
        let head = |plan: &Plan| plan.username.as_deref().map(sanitize).unwrap_or_default().into_owned();
        let text = |plan: &Plan| {
            if several { format!("{}\n{}", head(plan), plan.to_text()) } else { plan.to_text() }
        };
        print(&ended.answers.iter().map(text).collect::<Vec<_>>().join("\n\n"))?;
    }
    Ok(ended.exit)
}

impl Plan {
    fn new(summary: &Summary, room: Room, settings: &Settings) -> Self {
        let fetch = summary.open();
        Self {
            username: Some(settings.username.clone()),
            assets: summary.assets,
            verified_files: summary.verified.files,
            verified_bytes: summary.verified.bytes,
            fetch_files: fetch.files,
            fetch_bytes: fetch.bytes,
            failed_files: summary.failed.files,
            directory: Some(settings.directory.clone()),
            free_bytes: room.free_bytes,
            kept_bytes: room.kept_bytes,
            enough: room.for_files() >= fetch.bytes,
        }
    }

    /// All accounts as one. Whether they share a disk is not known, so the least room has to do.
    fn sum(all: &[Self]) -> Self {
        if let [one] = all {
            return one.clone();
        }
        let of = |number: fn(&Self) -> u64| all.iter().map(number).sum();
        let fetch_bytes = of(|one| one.fetch_bytes);
        let free_bytes = all.iter().map(|one| one.free_bytes).min().unwrap_or_default();
        let kept_bytes = all.iter().map(|one| one.kept_bytes).max().unwrap_or_default();
        Self {
            username: None,
            assets: of(|one| one.assets),
            verified_files: of(|one| one.verified_files),
            verified_bytes: of(|one| one.verified_bytes),
            fetch_files: of(|one| one.fetch_files),
            fetch_bytes,
            failed_files: of(|one| one.failed_files),
            directory: None,
            free_bytes,
            kept_bytes,
            enough: free_bytes.saturating_sub(kept_bytes) >= fetch_bytes,
        }
    }

    fn to_text(&self) -> String {
        let row = |name: &str, number: String, size: String, remark: &str| {
            vec![name.to_owned(), number, size, remark.to_owned()]
        };
        let files = |tally: Tally| (format::counted(tally.files, "file"), format::bytes(tally.bytes));
        let (verified, verified_size) =
            files(Tally { files: self.verified_files, bytes: self.verified_bytes });
        let (fetch, fetch_size) = files(Tally { files: self.fetch_files, bytes: self.fetch_bytes });
        let failed = match self.failed_files {
            0 => String::new(),
            failed => format!("{} of them failed before", format::count(failed)),
        };
        let room = if self.enough { "enough" } else { "NOT ENOUGH" };
        let rows = [
            row("in iCloud", format::counted(self.assets, "asset"), String::new(), ""),
            row("here and verified", verified, verified_size, ""),
            row("to fetch", fetch, fetch_size, &failed),
            row("free space", String::new(), format::bytes(self.free_bytes), room),
        ];
        let directory = self.directory.as_deref().unwrap_or(Path::new("")).to_string_lossy();
        format!("{}\nin {}", table(rows, &[1, 2]), sanitize(&directory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_counts_everything_open_and_says_whether_there_is_room() {
        let tally = |files, bytes| Tally { files, bytes };
        let summary = Summary {
            assets: 60,
            pending: tally(90, 1_000_000),
            failed: tally(2, 1000),
            verified: tally(5, 2000),
            ..Summary::default()
        };
        let settings = Settings {
            username: "a@b.c".to_owned(),
            directory: PathBuf::from("/nowhere/yet"),
            threads: engine::Threads::Fixed(std::num::NonZeroUsize::MIN),
            bandwidth: None,
            choices: Arc::default(),
            limit: None,
            keep_free_bytes: None,
            policy: engine::Policy::default(),
            retry_failed: false,
            sidecars: false,
            set_exif_datetime: false,
            album_views: None,
            full: false,
        };
        let room = Room { free_bytes: 1_100_000, kept_bytes: 100_000 };
        let plan = Plan::new(&summary, room, &settings);
        let total = Plan::sum(&[plan.clone(), Plan { free_bytes: 5_000_000, ..plan.clone() }]);
        assert_eq!((total.fetch_files, total.free_bytes, total.enough), (184, 1_100_000, false));
        assert_eq!((plan.fetch_files, plan.failed_files, plan.enough), (92, 2, false));
        let text = plan.to_text();
        assert!(text.contains("92 files") && text.contains("2 of them failed before"), "{text}");
        assert!(text.contains("NOT ENOUGH") && text.ends_with("in /nowhere/yet"), "{text}");
    }
}
