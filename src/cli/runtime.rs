//! What a command runs on that waits for anything: an asynchronous runtime, with an ear for signals.

use std::future::Future;
use std::time::Duration;

use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::problem::Problem;
use crate::cli::signals::{self, HangUp};
use crate::engine::Stop;

/// Fewest threads of the runtime: one that computes checksums must not keep the network waiting.
const WORKERS_MIN: usize = 2;
/// Most threads beside these: one for each file under way, and what such a file waits for, of all accounts together.
const BESIDE_MAX: usize = 4096;
/// How long a thread that still waits for a person may hold up the end.
const SHUTDOWN_MAX: Duration = Duration::from_millis(200);

/// Runs a command on a runtime of its own, with an ear for signals.
pub(crate) fn block_on<F>(command: impl FnOnce(Stop) -> F) -> Result<Exit, Problem>
where
    F: Future<Output = Result<Exit, Problem>>,
{
    block_on_with(HangUp::Stops, command)
}

/// The same, where a hang-up may mean something else.
pub(crate) fn block_on_with<F>(hang_up: HangUp, command: impl FnOnce(Stop) -> F) -> Result<Exit, Problem>
where
    F: Future<Output = Result<Exit, Problem>>,
{
    let workers = std::thread::available_parallelism().map_or(WORKERS_MIN, usize::from).max(WORKERS_MIN);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(BESIDE_MAX)
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
