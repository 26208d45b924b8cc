//! The one writer: a thread, a connection, group commit.
//!
//! Operations arrive over a channel. The thread takes what is waiting, runs it in one
//! transaction with a savepoint for each operation, commits, and only then answers: an answer
//! means durable. One that comes alone needs no savepoint, and a page of a listing always comes alone:
//! under a savepoint SQLite copies each page of the file that it is about to change, which costs such
//! an operation a fifth of its time. Only claims may be forgotten by a power cut, and their commits wait for
//! no disk. An operation that fails is rolled back alone; a commit that fails answers every
//! operation of its group with the reason and ends the writer, because what SQLite holds after
//! that is for the next start to find out.
//!
//! A second writer would make `FULL` slower, not faster: commits queue behind one another's
//! fsync, and SQLite's busy back-off turns that into stalls of a second.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::journal::error::{Error, Trouble};
use crate::journal::schema::keep_log;

/// Most operations in one transaction: past this the wait for the first answer grows and the cost
/// of each no longer falls.
const GROUP_MAX: usize = 256;
/// Most operations waiting. Beyond it callers wait, so memory stays flat.
const QUEUE_MAX: usize = 1024;
/// What a fault point may be told: the disk fails.
const EIO: i32 = 5;
/// What a fault point may be told: the structure is damaged.
const EUCLEAN: i32 = 117;

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Why the writer ended.
#[derive(Clone, Debug)]
struct Stop {
    reason: String,
    trouble: Trouble,
}

impl Stop {
    fn because(reason: &str) -> Self {
        Self { reason: reason.to_owned(), trouble: Trouble::Other }
    }

    fn of(connection: &Connection, error: rusqlite::Error) -> Self {
        let error = Error::of(Path::new(connection.path().unwrap_or_default()), error);
        Self { reason: error.to_string(), trouble: error.trouble() }
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        Self::WriterStopped { reason: stop.reason, trouble: stop.trouble }
    }
}

/// What an operation wants of its transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// To share it.
    Shared,
    /// To have it for itself.
    Alone,
    /// To share it, and not to wait for the disk. A power cut may undo it, and then also all that was
    /// committed after it in the same manner; what is committed durably makes what came before it durable.
    Forgettable,
}

/// An operation of any result type.
trait Operation: Send {
    /// What it wants of its transaction.
    fn manner(&self) -> Manner;
    /// Runs inside the savepoint, or alone in the transaction.
    fn apply(&mut self, connection: &Connection) -> Applied;
    /// Answers, after the group's commit.
    fn answer(self: Box<Self>, committed: Result<(), Stop>);
}

/// What became of an operation before the commit.
enum Applied {
    /// Its changes stand.
    Done,
    /// It failed, and is rolled back alone.
    Refused,
    /// It met damage: nothing more may be written to this file.
    Damaged,
}

struct Pending<F, T> {
    manner: Manner,
    run: Option<F>,
    result: Option<Result<T, Error>>,
    answer: Answer<T>,
}

impl<F, T> Operation for Pending<F, T>
where
    F: FnOnce(&Connection) -> Result<T, Error> + Send,
    T: Send,
{
    fn manner(&self) -> Manner {
        self.manner
    }

    fn apply(&mut self, connection: &Connection) -> Applied {
        let Some(run) = self.run.take() else { return Applied::Refused };
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| run(connection)))
            .unwrap_or_else(|_| Err(Stop::because("an operation panicked").into()));
        let applied = match &result {
            Ok(_) => Applied::Done,
            Err(error) if error.trouble() == Trouble::Damage => Applied::Damaged,
            Err(_) => Applied::Refused,
        };
        self.result = Some(result);
        applied
    }

    fn answer(self: Box<Self>, committed: Result<(), Stop>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(Stop::because("an operation was not run").into()),
            (Err(stop), _) => Err(stop.into()),
        };
        // Nobody waits for a dropped future: the operation is durable all the same.
        let _ = self.answer.send(result);
    }
}

/// The door to the writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Operation>>>,
    thread: Option<JoinHandle<()>>,
    /// What ended it, for whoever comes later: the first cause is the one that can be cured.
    ended_by: Arc<OnceLock<Stop>>,
}

impl std::fmt::Debug for dyn Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Operation")
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (queue, operations) = mpsc::channel(QUEUE_MAX);
        let ended_by = Arc::default();
        let of_thread = Arc::clone(&ended_by);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || serve(connection, operations, &of_thread))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), ended_by })
    }

    /// Runs `operation` in the next group, and returns when it is durable.
    ///
    /// Once handed over it runs even if the caller goes away.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.hand_over(Manner::Shared, operation).await
    }

    /// Runs a large `operation` in a transaction of its own, and returns when it is durable.
    pub(super) async fn run_alone<T, F>(&self, operation: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.hand_over(Manner::Alone, operation).await
    }

    /// Runs `operation` in the next group, and returns when it is committed: a power cut may undo it.
    pub(super) async fn run_forgettable<T, F>(&self, operation: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.hand_over(Manner::Forgettable, operation).await
    }

    async fn hand_over<T, F>(&self, manner: Manner, operation: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let ended_by = || self.ended_by.get().cloned().unwrap_or_else(|| Stop::because("it is closed"));
        let stopped = || Error::from(ended_by());
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        let (answer, answered) = oneshot::channel();
        let pending = Pending { manner, run: Some(operation), result: None, answer };
        queue.send(Box::new(pending)).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    /// Waits until everything handed over is durable.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    mut connection: Connection,
    mut operations: mpsc::Receiver<Box<dyn Operation>>,
    ended_by: &OnceLock<Stop>,
) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    let mut held: Option<Box<dyn Operation>> = None;
    let mut waits_for_disk = true;
    while let Some(first) = held.take().or_else(|| operations.blocking_recv()) {
        let mut is_open = first.manner() != Manner::Alone;
        group.push(first);
        while is_open
            && group.len() < GROUP_MAX
            && let Ok(next) = operations.try_recv()
        {
            if next.manner() == Manner::Alone {
                is_open = false;
                held = Some(next);
            } else {
                group.push(next);
            }
        }
        let must_wait = group.iter().any(|operation| operation.manner() != Manner::Forgettable);
        let ready = wait_for_disk(&connection, must_wait, &mut waits_for_disk);
        let committed = ready.and_then(|()| commit(&mut connection, &mut group));
        let committed = committed.map_err(|error| Stop::of(&connection, error));
        // Busy means that nothing was begun; after anything else the next start has to look.
        let fatal = committed.clone().err().filter(|stop| stop.trouble != Trouble::Busy);
        // Before anybody is answered: who hears of it may come again at once.
        fatal.iter().for_each(|stop| drop(ended_by.set(stop.clone())));
        for operation in group.drain(..) {
            operation.answer(committed.clone());
        }
        if let Some(stop) = fatal {
            if stop.trouble == Trouble::Damage {
                // What stands in the log stays there, for whoever looks at the damage.
                let _ = keep_log(&connection, true);
            }
            return;
        }
    }
    // A clean end leaves a small WAL behind, so the next open is quick and a copy is whole.
    let _ = connection.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);");
}

/// Whether the next commit returns when it is durable.
fn wait_for_disk(connection: &Connection, wanted: bool, now: &mut bool) -> Result<(), rusqlite::Error> {
    if wanted != *now {
        let level = if wanted { "FULL" } else { "NORMAL" };
        connection.pragma_update(None, "synchronous", level)?;
        *now = wanted;
    }
    Ok(())
}

fn commit(connection: &mut Connection, mut group: &mut [Box<dyn Operation>]) -> Result<(), rusqlite::Error> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let [operation] = group {
        match operation.apply(&transaction) {
            Applied::Done => {}
            // Its answer is its own error; nothing of it stays.
            Applied::Refused => return transaction.rollback(),
            Applied::Damaged => return Err(failure(rusqlite::ffi::SQLITE_CORRUPT)),
        }
        group = &mut [];
    }
    for operation in group {
        let savepoint = transaction.savepoint()?;
        match operation.apply(&savepoint) {
            Applied::Done => savepoint.commit()?,
            Applied::Refused => savepoint.finish()?,
            Applied::Damaged => return Err(failure(rusqlite::ffi::SQLITE_CORRUPT)),
        }
    }
    passes("commit")?;
    transaction.commit()?;
    // Durable, and nobody knows yet.
    passes("committed")
}

/// A fault point of the journal: it fails as SQLite does when the system says so.
fn passes(step: &'static str) -> Result<(), rusqlite::Error> {
    use rusqlite::ffi::{SQLITE_CORRUPT, SQLITE_FULL, SQLITE_IOERR};
    let passed = crate::fault::step(step, Path::new("journal"));
    passed.map(drop).map_err(|error| {
        failure(match error.raw_os_error() {
            Some(EIO) => SQLITE_IOERR,
            Some(EUCLEAN) => SQLITE_CORRUPT,
            _ => SQLITE_FULL,
        })
    })
}

fn failure(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}
