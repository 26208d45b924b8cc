//! One execution: what every stage needs, and the one place where a run is ended early.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::disk::{self, Destination, Place};
use crate::engine::bandwidth::Bandwidth;
use crate::engine::board::Board;
use crate::engine::doubts::Doubts;
use crate::engine::error::Error;
use crate::engine::fullness::Fullness;
use crate::engine::governor::{Governor, Threads};
use crate::engine::library::Library;
use crate::engine::monitor::Notice;
use crate::engine::pause::Pause;
use crate::engine::stop::Stop;
use crate::icloud::{self, Client};
use crate::journal::{Journal, Leftover};
use crate::model::ids::{AccountId, LibraryId, RunId};

/// Waits that are shorter are left out, and are part of the next: waking up costs too.
const WAIT_MIN: Duration = Duration::from_millis(5);

/// What every stage of a run shares.
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) account: AccountId,
    pub(super) journal: Arc<Journal>,
    pub(super) client: Client,
    pub(super) destination: Arc<Destination>,
    pub(super) board: Board,
    pub(super) doubts: Arc<Doubts>,
    pub(super) stop: Stop,
    pub(super) pause: Pause,
    pub(super) fullness: Fullness,
    pub(super) threads: Threads,
    pub(super) governor: Governor,
    bandwidth: Option<Bandwidth>,
    /// Rang when there may be new work: rows were added, a transfer ended, enumeration ended.
    pub(super) bell: Notify,
    /// Set once the rows of the first page are claimable.
    pub(super) first_page: AtomicBool,
    /// Set once a modification time could not be set: one word about it is enough.
    pub(super) untimed: AtomicBool,
    /// True once the first transfer was answered, or there was nothing to transfer.
    pub(super) underway: watch::Sender<bool>,
    /// Libraries that cannot be listed or looked up in this run.
    down: Mutex<HashSet<LibraryId>>,
    halted: Mutex<Option<Error>>,
}

impl Run {
    #[expect(clippy::too_many_arguments, reason = "each is another part of the run")]
    pub(super) fn new(
        id: RunId,
        account: AccountId,
        journal: Arc<Journal>,
        client: Client,
        destination: Destination,
        board: Board,
        doubts: Doubts,
        stop: Stop,
        threads: Threads,
        bandwidth: Option<Bandwidth>,
    ) -> Self {
        Self {
            id,
            account,
            journal,
            client,
            destination: Arc::new(destination),
            board,
            doubts: Arc::new(doubts),
            stop,
            pause: Pause::default(),
            fullness: Fullness::default(),
            threads,
            governor: Governor::new(threads),
            bandwidth,
            bell: Notify::new(),
            first_page: AtomicBool::new(false),
            untimed: AtomicBool::new(false),
            underway: watch::Sender::new(false),
            down: Mutex::default(),
            halted: Mutex::new(None),
        }
    }

    /// Ends the run early: keeps the first reason, and asks every stage to stop.
    pub(super) fn halt(&self, error: impl Into<Error>) {
        let mut halted = self.halted.lock().unwrap_or_else(PoisonError::into_inner);
        halted.get_or_insert_with(|| error.into());
        self.stop.request();
    }

    /// The reason for which the run was ended early, if it was.
    pub(super) fn take_halt(&self) -> Option<Error> {
        self.halted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Begins a pause for everybody, if `why` is something that waiting can cure and the wait is
    /// not too long. `sent` is when the refused request left. Gives the length.
    pub(super) fn pause_for(&self, why: &icloud::Error, sent: Instant) -> Option<Duration> {
        let asked = match why {
            icloud::Error::Throttled { retry_after } => *retry_after,
            icloud::Error::Offline { .. } => None,
            _ => return None,
        };
        let (length, is_new) = self.pause.begin(asked, sent)?;
        if is_new {
            self.governor.refused();
            let seconds = length.as_secs().max(1);
            self.board.notice(Notice::Waiting { seconds, why: why.to_string() });
        }
        Some(length)
    }

    /// Waits out what waiting can cure, and ends the run for anything else. `true`: try again.
    pub(super) async fn wait_out(&self, why: icloud::Error, sent: Instant) -> bool {
        match self.pause_for(&why, sent) {
            Some(length) => self.sleep(length).await,
            None => {
                self.halt(why);
                false
            }
        }
    }

    /// Counts bytes of a file that came, and waits as long as the limit wants before more may come.
    pub(super) async fn received(&self, bytes: usize) {
        self.board.received(bytes as u64);
        if self.governor.received(bytes) {
            self.bell.notify_one();
        }
        let wait = self.bandwidth.as_ref().map(|bandwidth| bandwidth.take(bytes)).unwrap_or_default();
        if wait >= WAIT_MIN {
            self.sleep(wait).await;
        }
    }

    /// Asks until there is an answer, through pauses that Apple or the network imposes.
    pub(super) async fn through_pauses<T>(
        &self,
        mut ask: impl AsyncFnMut() -> Result<T, icloud::Error>,
    ) -> Result<T, Error> {
        loop {
            let sent = Instant::now();
            match ask().await {
                Ok(answer) => {
                    self.pause.call_through();
                    return Ok(answer);
                }
                Err(why) => match self.pause_for(&why, sent) {
                    Some(length) => {
                        self.sleep(length).await;
                    }
                    None => return Err(why.into()),
                },
            }
        }
    }

    /// Leaves a library alone for the rest of the run, and says so once.
    pub(super) fn library_down(&self, library: &Library, why: &str) {
        if self.down.lock().unwrap_or_else(PoisonError::into_inner).insert(library.id) {
            let library = library.zone.name.clone();
            self.board.library_skipped(Notice::LibrarySkipped { library, why: why.to_owned() });
        }
    }

    pub(super) fn is_down(&self, library: LibraryId) -> bool {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).contains(&library)
    }

    /// Sleeps, unless someone asks to stop. `false`: someone did.
    pub(super) async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            () = self.stop.requested() => false,
        }
    }

    /// Runs disk work off the async threads.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Destination) -> Result<T, disk::Error> + Send + 'static,
    ) -> Result<T, disk::Error> {
        let destination = Arc::clone(&self.destination);
        off_thread(move || work(&destination)).await
    }

    /// Removes part files that nobody waits for. One that cannot be removed now is tried again by the
    /// next run.
    pub(super) async fn clear(&self, leftovers: Vec<Leftover>) -> Result<(), Error> {
        let mut removed = Vec::with_capacity(leftovers.len());
        for leftover in leftovers {
            let place = Place { path: leftover.path.clone(), tag: leftover.tag.clone() };
            let gone = self.on_disk(move |destination| destination.folder(&place)?.remove_part()).await;
            removed.extend(gone.is_ok().then_some(leftover));
        }
        if removed.is_empty() {
            return Ok(());
        }
        Ok(self.journal.cleared(self.account, removed).await?)
    }

    /// The root of the destination, for messages.
    pub(super) fn directory(&self) -> &Path {
        self.destination.directory()
    }
}

/// Runs blocking work, and passes a panic on to the caller instead of hiding it.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(tokio::task::spawn_blocking(work)).await
}

/// Waits for a task, and passes a panic on.
pub(super) async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The clock on the wall, in Unix seconds.
pub(super) fn now() -> i64 {
    let since = crate::fault::clock().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
