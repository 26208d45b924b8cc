//! `rollbook plan`: what a sync would fetch, and whether there is room.
//!
//! It lists the library into the journal, so a sync that follows finds its rows made and their
//! paths chosen. It fetches no file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::cli::commands::{open, print, print_json, sync, table};
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::format;
use crate::cli::output::{Style, sanitize};
use crate::cli::problem::Problem;
use crate::engine::{self, Monitor, Stop, Tools};
use crate::journal::{Summary, Tally};

/// The answer for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Plan {
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
    /// Where they would go.
    directory: PathBuf,
    /// Bytes that this user may still write there.
    free_bytes: u64,
    /// Whether they suffice.
    enough: bool,
}

/// Lists the library, and says what is missing here.
pub(super) async fn run(config: &Config, style: Style, stop: Stop, json: bool) -> Result<Exit, Problem> {
    let settings = sync::settings(config)?;
    let open = open::open(config, &settings.username, &stop).await?;
    let bar = Arc::new(sync::begin_bar(config, style));
    let monitor: Arc<dyn Monitor> = Arc::clone(&bar) as _;
    let tools = Tools { journal: open.journal, client: open.client, monitor, stop };
    let outcome = engine::plan(tools, &settings).await;
    bar.finish();
    let plan = outcome?;
    if plan.interrupted {
        return Err(explain::interrupted());
    }
    let plan = Plan::new(&plan.summary, plan.free_bytes, &settings.directory);
    if json {
        print_json(&plan)?
    } else {
        print(&plan.to_text())?
    }
    Ok(Exit::Done)
}

impl Plan {
    fn new(summary: &Summary, free_bytes: u64, directory: &Path) -> Self {
        let fetch = summary.open();
        Self {
            assets: summary.assets,
            verified_files: summary.verified.files,
            verified_bytes: summary.verified.bytes,
            fetch_files: fetch.files,
            fetch_bytes: fetch.bytes,
            failed_files: summary.failed.files,
            directory: directory.to_owned(),
            free_bytes,
            enough: free_bytes > fetch.bytes,
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
        format!("{}\nin {}", table(rows, &[1, 2]), sanitize(&self.directory.to_string_lossy()))
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
        let plan = Plan::new(&summary, 1_000_000, Path::new("/nowhere/yet"));
        assert_eq!((plan.fetch_files, plan.failed_files, plan.enough), (92, 2, false));
        let text = plan.to_text();
        assert!(text.contains("92 files") && text.contains("2 of them failed before"), "{text}");
        assert!(text.contains("NOT ENOUGH") && text.ends_with("in /nowhere/yet"), "{text}");
    }
}
