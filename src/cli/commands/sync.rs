//! `rollbook sync`: the main job, watched by a bar and ended by one line.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli::account::Account;
use crate::cli::answer::print;
use crate::cli::clock::now;
use crate::cli::commands::accounts;
use crate::cli::commands::open::{self, House, Manner};
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::exit::Exit;
use crate::cli::notify::{Event, Notifier};
use crate::cli::output::{self, Style};
use crate::cli::problem::Problem;
use crate::cli::together::Together;
use crate::cli::{code, format};
use crate::engine::{self, Progress, Report, Settings, Stop, Tools};
use crate::journal::Attempt;

/// Brings home what is not here yet, of all accounts side by side.
pub(super) async fn run(config: &Config, style: Style, stop: Stop) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    let settings = engine_settings(config, accounts)?;
    let house = match open::house(config) {
        Ok(house) => house,
        Err(problem) => {
            for account in accounts {
                tell_of(&problem, &config.notifier, account, &stop).await;
            }
            return Err(problem);
        }
    };
    let wait_max = (!config.no_wait).then_some(code::WAIT_MAX);
    let together = Together::over(config, accounts, style);
    let ended = accounts::side_by_side(accounts, style, &stop, |index, stop| {
        let one = One { account: &accounts[index], settings: &settings[index], index, wait_max };
        sync_account(&house, one, &together, style, stop)
    });
    let ended = ended.await;
    together.finish();
    if !stop.is_requested() {
        // Whoever asked to stop does not wait for this.
        open::keep_snapshot(&house).await?;
    }
    let ended = ended?;
    Ok(Exit::most_urgent(ended.answers.into_iter().chain([ended.exit])))
}

/// One of the accounts of a run.
pub(super) struct One<'a> {
    pub(super) account: &'a Account,
    pub(super) settings: &'a Settings,
    pub(super) index: usize,
    /// How long to wait for a code that nobody is there to type.
    pub(super) wait_max: Option<Duration>,
}

/// Syncs one account, and notes in the journal how that ended.
pub(super) async fn sync_account(
    house: &House,
    one: One<'_>,
    together: &Arc<Together>,
    style: Style,
    stop: Stop,
) -> Result<Exit, Problem> {
    let username = one.account.username()?;
    let ended = bring_home(house, one, together, style, stop.clone()).await;
    let (exit, said, problem) = match &ended {
        Ok((exit, summary)) => (*exit, summary.clone(), None),
        Err(problem) => (problem.exit, problem.in_a_line(), Some(problem.in_a_line())),
    };
    // A run that was stopped says nothing about what the account needs.
    if exit != Exit::Interrupted {
        let before = house.journal.reader().pulse(username).ok().and_then(|pulse| pulse.attempt);
        let attempt = Attempt { at: now(), exit: exit.code(), said: problem };
        // What ended the run is told already, where that is why.
        if let (Err(error), Ok(_)) = (house.journal.attempted(username, attempt).await, &ended) {
            output::talk(&format!("warning: cannot note how the run ended: {error}"));
        }
        let event = Event::RunEnded { exit, before: before.map(|before| before.exit), said };
        house.notifier.told(username, event, &stop).await;
    }
    ended.map(|(exit, _)| exit)
}

/// Tells of a run that could not even begin.
pub(super) async fn tell_of(problem: &Problem, notifier: &Notifier, account: &Account, stop: &Stop) {
    if let (Ok(username), false) = (account.username(), problem.exit == Exit::Interrupted) {
        let event = Event::RunEnded { exit: problem.exit, before: None, said: problem.in_a_line() };
        notifier.told(username, event, stop).await;
    }
}

/// Returns the exit code and the summary.
async fn bring_home(
    house: &House,
    one: One<'_>,
    together: &Arc<Together>,
    style: Style,
    stop: Stop,
) -> Result<(Exit, String), Problem> {
    let began = Instant::now();
    let manner = Manner { wait_max: one.wait_max, ..Manner::default() };
    let opened = open::destination_and_client(house, one.account, one.settings, manner, &stop).await;
    together.signed_in();
    let (destination, client) = opened?;
    let tools = Tools {
        journal: Arc::clone(&house.journal),
        client,
        destination,
        monitor: together.monitor(one.index),
        stop,
    };
    let outcome = engine::sync(tools, one.settings).await;
    let progress = together.ended(one.index);
    let prefix = together.prefix(one.index);
    match outcome {
        Ok(report) => {
            let summary = if report.interrupted || report.libraries_skipped > 0 { so_far } else { whole };
            let line = summary(&report.progress, report.bytes_fetched, began.elapsed());
            print(&format!("{prefix}{line}"))?;
            for line in remarks(&prefix, &report) {
                output::talk(&style.paint(&line));
            }
            Ok((exit(&report), line))
        }
        Err(error) => {
            // What was done before stays done, and is worth a line.
            if progress != Progress::default() {
                let line = so_far(&progress, progress.bytes_done, began.elapsed());
                print(&format!("{prefix}{line}"))?;
            }
            Err(error.into())
        }
    }
}

fn exit(report: &Report) -> Exit {
    match report {
        Report { interrupted: true, .. } => Exit::Interrupted,
        report if report.files_amiss() == 0 && report.libraries_skipped == 0 && report.held_back == 0 => {
            Exit::Done
        }
        _ => Exit::FilesOpen,
    }
}

/// A run that came to its end, in one line: `60 assets, 97 files verified (14.2 MB fetched), 0 failed, 3.1 s`.
fn whole(progress: &Progress, bytes_fetched: u64, took: Duration) -> String {
    let did = match (progress.files_verified, bytes_fetched) {
        (0, 0) => "nothing new".to_owned(),
        _ => brought(progress, bytes_fetched),
    };
    summary(progress, &did, took)
}

/// The same of a run that did not see everything: what else is new, and what would fail, nobody knows.
fn so_far(progress: &Progress, bytes_fetched: u64, took: Duration) -> String {
    format!("so far: {}", summary(progress, &brought(progress, bytes_fetched), took))
}

fn brought(progress: &Progress, bytes_fetched: u64) -> String {
    let files = format::counted(progress.files_verified, "file");
    format!("{files} verified ({} fetched)", format::bytes(bytes_fetched))
}

fn summary(progress: &Progress, did: &str, took: Duration) -> String {
    let Progress { assets_total, files_failed, .. } = *progress;
    let done = progress.assets_done.min(assets_total);
    let mut line = String::new();
    if done < assets_total {
        let _ = write!(line, "{} of ", format::count(done));
    }
    let (assets, failed) = (format::counted(assets_total, "asset"), format::count(files_failed));
    let _ = write!(line, "{assets}, {did}, {failed} failed, {}", format::duration(took));
    line
}

/// What the summary leaves open, and where to look.
fn remarks(prefix: &str, report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let files = report.files_amiss();
    if report.limited && !report.interrupted {
        let waiting = format::counted(report.summary.open().files - files, "file");
        lines.push(format!(
            "note: {prefix}{waiting} more to come: this run brought as much as --limit allows, \"rollbook sync\" goes on"
        ));
    }
    if report.interrupted {
        let left = format::counted(report.summary.open().files, "file");
        lines.push(format!(
            "{prefix}stopped with {left} known and not here yet; \"rollbook sync\" goes on from there"
        ));
    } else if files > 0 {
        let open = format::counted(files, "file");
        lines.push(format!(
            "warning: {prefix}{open} not here yet; \"rollbook status\" says why, \"rollbook sync\" goes on"
        ));
    }
    let problems = report.summary.record_problems;
    if problems > 0 {
        let records = format::counted(problems, "record");
        lines.push(format!(
            "warning: {prefix}{records} of Apple's cannot be used; \"rollbook status\" names them"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_was_done_in_one_line() {
        let took = Duration::from_millis(3100);
        let progress =
            Progress { assets_total: 60, assets_done: 60, files_verified: 97, ..Progress::default() };
        assert_eq!(
            whole(&progress, 14_200_000, took),
            "60 assets, 97 files verified (14.2 MB fetched), 0 failed, 3.1 s"
        );
        let progress = Progress { assets_done: 58, files_failed: 2, ..progress };
        assert_eq!(
            whole(&progress, 14_000_000, took),
            "58 of 60 assets, 97 files verified (14.0 MB fetched), 2 failed, 3.1 s"
        );
        let progress = Progress { assets_total: 1, assets_done: 1, ..Progress::default() };
        assert_eq!(whole(&progress, 0, took), "1 asset, nothing new, 0 failed, 3.1 s");
        assert_eq!(
            so_far(&progress, 0, took),
            "so far: 1 asset, 0 files verified (0 B fetched), 0 failed, 3.1 s"
        );
    }

    #[test]
    fn a_run_ends_with_zero_only_if_nothing_is_open() {
        let mut report = Report::default();
        assert_eq!((exit(&report), remarks("", &report).len()), (Exit::Done, 0));
        report.summary.record_problems = 2;
        assert_eq!((exit(&report), remarks("", &report).len()), (Exit::Done, 1));
        report.summary.expired_url.files = 1;
        assert_eq!((exit(&report), remarks("", &report).len()), (Exit::FilesOpen, 2));
        let limited = Report { limited: true, ..report };
        assert_eq!((exit(&limited), remarks("", &limited).len()), (Exit::Done, 2));
        report.interrupted = true;
        assert_eq!((exit(&report), remarks("", &report).len()), (Exit::Interrupted, 2));
    }
}
