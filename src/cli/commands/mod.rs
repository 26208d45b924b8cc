//! One file for each verb. Here is what they share: a runtime, and how an answer is printed.

mod accounts;
mod adopt;
mod albums;
mod audit;
mod bring;
mod config;
mod exit_kit;
mod export;
mod health;
mod journal;
mod list;
mod log;
mod login;
mod open;
mod plan;
mod relayout;
mod service;
mod status;
mod story;
mod sync;
mod trash;
mod verify;
mod watch;

use std::future::Future;
use std::time::{Duration, UNIX_EPOCH};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::cli::args::{self, Args, Verb};
use crate::cli::config::Config;
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::output::{self, Style, sanitize};
use crate::cli::problem::Problem;
use crate::cli::signals::{self, HangUp};
use crate::engine::Stop;

/// Fewest threads of the runtime: one that computes checksums must not keep the network waiting.
const WORKERS_MIN: usize = 2;
/// How long a thread that still waits for a person may hold up the end.
const SHUTDOWN_MAX: Duration = Duration::from_millis(200);

/// Does what the verb says.
pub(super) fn run(
    args: &Args,
    config: &Config,
    environment: &Environment,
    style: Style,
) -> Result<Exit, Problem> {
    match args.verb {
        Verb::ConfigShow => config::show(config, args.json),
        Verb::Status => status::run(config, args.json),
        Verb::ServiceInstall => service::install(args, config, environment),
        Verb::ServiceUninstall => service::uninstall(args, environment),
        Verb::TrashList => trash::list(config, args.json),
        Verb::Undelete => block_on(|_| trash::undelete(config, &args.names)),
        Verb::Refetch => block_on(|_| trash::refetch(config, &args.names)),
        Verb::Health => health::run(config, args.max_age.unwrap_or_default(), args.json),
        Verb::JournalCheck => journal::check(config, args.json),
        Verb::JournalSnapshots => journal::snapshots(config, args.json),
        Verb::JournalRestore => journal::restore(config, args.which.as_deref()),
        Verb::JournalRebuild => journal::rebuild(config),
        Verb::Explain => story::run(config, &args.reading, args.json),
        Verb::Log => log::run(config, &args.reading, args.json),
        Verb::Export => match &args.kit {
            Some(kit) => block_on(|stop| exit_kit::run(kit, config, style, stop)),
            None => export::run(config, &args.reading),
        },
        Verb::Audit => block_on(|stop| audit::run(config, &args.reading, style, stop, args.json)),
        Verb::Verify => block_on(|stop| verify::run(config, &args.reading, style, stop, args.json)),
        Verb::Login if args.forget => login::forget(config),
        Verb::Login => block_on(|stop| login::run(args, config, style, stop)),
        Verb::Sync => match config.watch_with_interval {
            None => block_on(|stop| sync::run(config, style, stop)),
            Some(interval) => {
                let (hang_up, wakes) = HangUp::that_wakes();
                block_on_with(hang_up, |stop| {
                    watch::run(config, environment, style, watch::Wishes { interval, stop, wakes })
                })
            }
        },
        Verb::Plan => block_on(|stop| plan::run(config, style, stop, args.json)),
        Verb::Relayout => block_on(|stop| relayout::run(args, config, stop)),
        Verb::Man => {
            let page = args::manual().map_err(|error| explain::system("cannot write the manual", &error))?;
            print(page.trim_end()).map(|()| Exit::Done)
        }
        Verb::Completions => {
            let shell = args.shell.expect("clap asks for the shell");
            print(args::completions(shell).trim_end()).map(|()| Exit::Done)
        }
        Verb::Adopt => block_on(|stop| adopt::run(args, config, style, stop)),
        Verb::AlbumsBuild => block_on(|stop| albums::build(args, config, style, stop)),
        Verb::AlbumsExport => albums::export(config, args),
        Verb::ListLibraries => block_on(|stop| list::libraries(config, style, stop, args.json)),
        Verb::ListAlbums => block_on(|stop| list::albums(config, style, stop, args.json)),
    }
}

/// Runs a command on a runtime of its own, with an ear for signals.
fn block_on<F>(command: impl FnOnce(Stop) -> F) -> Result<Exit, Problem>
where
    F: Future<Output = Result<Exit, Problem>>,
{
    block_on_with(HangUp::Stops, command)
}

/// The same, where a hang-up may mean something else.
fn block_on_with<F>(hang_up: HangUp, command: impl FnOnce(Stop) -> F) -> Result<Exit, Problem>
where
    F: Future<Output = Result<Exit, Problem>>,
{
    let workers = std::thread::available_parallelism().map_or(WORKERS_MIN, usize::from).max(WORKERS_MIN);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(|error| explain::system("cannot start", &error))?;
    let done = runtime.block_on(async {
        let stop = Stop::default();
        let listening = signals::watch(stop.clone(), hang_up);
        listening.map_err(|error| explain::system("cannot listen to signals", &error))?;
        command(stop).await
    });
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    done
}

/// Prints an answer on standard output.
pub(super) fn print(text: &str) -> Result<(), Problem> {
    output::data(text).map_err(|error| explain::system("cannot write to standard output", &error))
}

/// Prints an answer for a program.
fn print_json(answer: &impl Serialize) -> Result<(), Problem> {
    print(&serde_json::to_string_pretty(answer).expect("plain values become JSON"))
}

/// Lays out rows in columns, without lines. `right` names the columns of numbers.
fn table(rows: impl IntoIterator<Item = Vec<String>>, right: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for row in rows {
        table.add_row(row.iter().map(|cell| sanitize(cell)));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index == 0 { 0 } else { 1 }, 1));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The clock on the wall, in Unix seconds.
pub(crate) fn now() -> i64 {
    let since = crate::fault::clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_and_is_harmless() {
        let rows = [["verified", "9 files"], ["a\x1b[2J", "1,000 files"]];
        let table = table(rows.map(|row| row.map(str::to_owned).to_vec()), &[1]);
        assert_eq!(table, "verified      9 files\na\u{fffd}[2J     1,000 files");
    }
}
