//! The one writer: a thread, a connection, group commit.
//!
//! Operations arrive over a channel. The thread takes what is waiting, runs it in one
//! transaction with a savepoint for each operation, commits, and only then answers: an answer
//! means durable. Only claims may be forgotten by a power cut, and their commits wait for
//! no disk. An operation that fails is rolled back alone; a commit that fails answers every
//! operation of its group with the reason and ends the writer, because what SQLite holds after
//! that is for the next start to find out.
//!
//! One that comes alone needs no savepoint, and pages of a listing have none: under a savepoint SQLite copies each
//! page of the file that it is about to change, which costs such an operation a fifth of its time. In a
//! transaction they come first, and one of them that fails takes the others of it along. And their transaction goes on
//! while more of them come and nobody else does, and waits a moment for the next one: keys of a listing lie all over
//! the file, so each page of the file that is changed by several of them is written once. The first page of a
//! listing is not such an operation, since somebody may wait for its rows. The last one says so, and waits for none; and
//! pages that rest on those before them are a chain: behind one that is refused, none of it is begun.
//!
//! A second writer would make `FULL` slower, not faster: commits queue behind one another's
//! fsync, and SQLite's busy back-off turns that into stalls of a second.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::journal::error::{Error, Trouble};
use crate::journal::schema::keep_log;

/// Most operations in one transaction: past this the wait for the first answer grows and the cost
/// of each no longer falls.
const GROUP_MAX: usize = 256;
/// Most pages of a listing in one transaction: beyond it little is saved. Of a million assets that came as fast as they
/// could be taken, 400 wrote 1.5 million pages of the file where 100 wrote 2.4, and 1,000 a fifth less. Whoever else
/// comes waits for the page that is being made into rows, and for one more that waits already; not for all of them.
pub const PAGES_MAX: usize = 400;
/// How long after its beginning a transaction of pages waits for another one: the time in which a fast service gives
/// enough of them, and nobody minds that rows are late by it.
const PAGES_WAIT: Duration = Duration::from_millis(250);
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
    /// The writer can go on: nothing was begun, or all of it was undone.
    is_past: bool,
}

impl Stop {
    fn because(reason: &str) -> Self {
        Self { reason: reason.to_owned(), trouble: Trouble::Other, is_past: false }
    }

    fn of(connection: &Connection, error: rusqlite::Error) -> Self {
        let error = Error::of(Path::new(connection.path().unwrap_or_default()), error);
        // Busy means that nothing was begun; after anything else the next start has to look.
        let is_past = error.trouble() == Trouble::Busy;
        Self { reason: error.to_string(), trouble: error.trouble(), is_past }
    }

    /// Why the others of a transaction are undone with an operation.
    fn with(refused: &Error) -> Self {
        Self { reason: refused.to_string(), trouble: refused.trouble(), is_past: true }
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
    /// To share it with others of its kind, without a savepoint.
    Page,
    /// The same, and no more of them come for now: their transaction need not wait for another.
    LastPage,
    /// To share it, and not to wait for the disk. A power cut may undo it, and then also all that was
    /// committed after it in the same manner; what is committed durably makes what came before it durable.
    Forgettable,
}

impl Manner {
    fn is_page(self) -> bool {
        matches!(self, Self::Page | Self::LastPage)
    }
}

/// Pages of which each rests on those before it: once one is refused, those behind it are not begun.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain(Arc<AtomicBool>);

impl Chain {
    /// Whether one of them was refused.
    pub(super) fn is_broken(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// An operation of any result type.
trait Operation: Send {
    /// What it wants of its transaction.
    fn manner(&self) -> Manner;
    /// Runs inside the savepoint, or in the transaction itself.
    fn apply(&mut self, connection: &Connection) -> Applied;
    /// Answers, after the group's commit.
    fn answer(self: Box<Self>, committed: Result<(), Stop>);
}

/// What became of an operation before the commit.
enum Applied {
    /// Its changes stand.
    Done,
    /// It failed, and is rolled back: alone where it has a savepoint.
    Refused(Stop),
    /// It met damage: nothing more may be written to this file.
    Damaged,
}

struct Pending<F, T> {
    manner: Manner,
    chain: Option<Chain>,
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
        let Some(run) = self.run.take() else { return Applied::Done };
        if self.chain.as_ref().is_some_and(Chain::is_broken) {
            self.result = Some(Err(Stop::because("what it rests on was refused").into()));
            return Applied::Done;
        }
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| run(connection)))
            .unwrap_or_else(|_| Err(Stop::because("an operation panicked").into()));
        let applied = match &result {
            Ok(_) => Applied::Done,
            Err(error) if error.trouble() == Trouble::Damage => Applied::Damaged,
            Err(error) => Applied::Refused(Stop::with(error)),
        };
        self.result = Some(result);
        applied
    }

    fn answer(self: Box<Self>, committed: Result<(), Stop>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(Stop::because("an operation was not run").into()),
            // Why it failed itself says more.
            (Err(_), Some(Err(error))) => Err(error),
            (Err(stop), _) => Err(stop.into()),
        };
        if let (Err(_), Some(chain)) = (&result, &self.chain) {
            chain.0.store(true, Ordering::SeqCst);
        }
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
        let waiting = Waiting::new(operations, PAGES_WAIT)?;
        let ended_by = Arc::default();
        let of_thread = Arc::clone(&ended_by);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || serve(connection, waiting, &of_thread))?;
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

    /// Runs the `operation` of a page together with those of others, and returns when it is durable.
    pub(super) async fn run_page<T, F>(&self, operation: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.hand_over(Manner::Page, operation).await
    }

    /// Runs `operation` in the next group, and returns when it is committed: a power cut may undo it.
    pub(super) async fn run_forgettable<T, F>(&self, operation: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.hand_over(Manner::Forgettable, operation).await
    }

    /// Hands over the `operation` of a page of `chain`, to run after those before it and together with them. Whether
    /// it is durable can be asked later.
    pub(super) async fn begin_page<T, F>(&self, chain: &Chain, operation: F) -> Result<Begun<T>, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.begin(Manner::Page, Some(chain.clone()), operation).await
    }

    /// Says that no page comes for now, so that those handed over wait for none. Returns when they are durable, or
    /// refused.
    pub(super) async fn no_more_pages(&self) -> Result<(), Error> {
        self.hand_over(Manner::LastPage, |_| Ok(())).await
    }

    async fn hand_over<T, F>(&self, manner: Manner, operation: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.begin(manner, None, operation).await?.durable().await
    }

    async fn begin<T, F>(&self, manner: Manner, chain: Option<Chain>, operation: F) -> Result<Begun<T>, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let ended_by = Arc::clone(&self.ended_by);
        let (answer, answered) = oneshot::channel();
        let begun = Begun { answered, ended_by };
        let pending = Pending { manner, chain, run: Some(operation), result: None, answer };
        match &self.queue {
            Some(queue) if queue.send(Box::new(pending)).await.is_ok() => Ok(begun),
            _ => Err(begun.stopped()),
        }
    }
}

/// An operation that was handed over.
#[derive(Debug)]
pub(super) struct Begun<T> {
    answered: oneshot::Receiver<Result<T, Error>>,
    ended_by: Arc<OnceLock<Stop>>,
}

impl<T> Begun<T> {
    /// Waits until it is durable.
    pub(super) async fn durable(mut self) -> Result<T, Error> {
        match (&mut self.answered).await {
            Ok(answer) => answer,
            Err(_) => Err(self.stopped()),
        }
    }

    fn stopped(&self) -> Error {
        self.ended_by.get().cloned().unwrap_or_else(|| Stop::because("it is closed")).into()
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

/// What was handed over and is not begun.
struct Waiting {
    operations: mpsc::Receiver<Box<dyn Operation>>,
    pages: VecDeque<Box<dyn Operation>>,
    others: Vec<Box<dyn Operation>>,
    /// How long after its beginning a transaction of pages waits for another one.
    patience: Duration,
    /// Ends such a wait.
    clock: Runtime,
}

impl Waiting {
    fn new(operations: mpsc::Receiver<Box<dyn Operation>>, patience: Duration) -> std::io::Result<Self> {
        let clock = Builder::new_current_thread().enable_time().build()?;
        Ok(Self { operations, pages: VecDeque::new(), others: Vec::new(), patience, clock })
    }

    /// Waits for the next group: all that is there, pages first. But others wait for one page at most, and those that
    /// do not wait for the disk for none: workers stand still until they have their claims. `None` when no more will
    /// come.
    fn group(&mut self) -> Option<Vec<Box<dyn Operation>>> {
        self.look();
        if self.pages.is_empty() && self.others.is_empty() {
            let first = self.operations.blocking_recv()?;
            self.add(first);
            self.look();
        }
        let pages = match &self.others[..] {
            [] => self.pages.len(),
            others if others.iter().all(|other| other.manner() == Manner::Forgettable) => 0,
            _ => self.pages.len().min(1),
        };
        Some(self.pages.drain(..pages).chain(self.others.drain(..)).collect())
    }

    /// Gives another page for a group of pages, unless somebody else waits. Waits for one until `latest`.
    fn another_page(&mut self, latest: Instant) -> Option<Box<dyn Operation>> {
        self.look();
        if self.pages.is_empty() && self.others.is_empty() {
            let next = async { timeout_at(latest, self.operations.recv()).await };
            let next = self.clock.block_on(next).ok().flatten()?;
            self.add(next);
        }
        if self.others.is_empty() { self.pages.pop_front() } else { None }
    }

    /// Takes what is there.
    fn look(&mut self) {
        while self.pages.len() + self.others.len() < GROUP_MAX
            && let Ok(next) = self.operations.try_recv()
        {
            self.add(next);
        }
    }

    fn add(&mut self, operation: Box<dyn Operation>) {
        match operation.manner() {
            Manner::Page | Manner::LastPage => self.pages.push_back(operation),
            Manner::Shared | Manner::Forgettable => self.others.push(operation),
        }
    }
}

fn serve(mut connection: Connection, mut waiting: Waiting, ended_by: &OnceLock<Stop>) {
    let mut waits_for_disk = true;
    while let Some(mut group) = waiting.group() {
        let must_wait = group.iter().any(|operation| operation.manner() != Manner::Forgettable);
        let ready = wait_for_disk(&connection, must_wait, &mut waits_for_disk);
        let ended = ready.and_then(|()| commit(&mut connection, &mut group, &mut waiting));
        let committed = ended.unwrap_or_else(|error| Err(Stop::of(&connection, error)));
        let fatal = committed.clone().err().filter(|stop| !stop.is_past);
        // Before anybody is answered: who hears of it may come again at once.
        fatal.iter().for_each(|stop| drop(ended_by.set(stop.clone())));
        for operation in group {
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
    // A clean end leaves a small WAL behind, so the next open is quick and a copy is whole. No `PRAGMA optimize`:
    // what it counts at one moment would decide how rows are found at all later ones.
    let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);");
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

/// Runs a group in one transaction, and commits it. A group of pages takes in those that come meanwhile.
fn commit(
    connection: &mut Connection,
    group: &mut Vec<Box<dyn Operation>>,
    waiting: &mut Waiting,
) -> Result<Result<(), Stop>, rusqlite::Error> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let is_alone = group.len() == 1;
    let latest = Instant::now() + waiting.patience;
    let mut next = 0;
    while let Some(operation) = group.get_mut(next) {
        let manner = operation.manner();
        let is_page = manner.is_page();
        let applied = if is_page || is_alone {
            operation.apply(&transaction)
        } else {
            let savepoint = transaction.savepoint()?;
            let applied = operation.apply(&savepoint);
            match applied {
                Applied::Done => savepoint.commit()?,
                Applied::Refused(_) if !savepoint.is_autocommit() => savepoint.finish()?,
                Applied::Refused(_) | Applied::Damaged => {}
            }
            applied
        };
        match applied {
            // On a full disk SQLite may have undone the whole transaction by itself.
            Applied::Refused(why) if is_page || is_alone || transaction.is_autocommit() => {
                transaction.finish()?;
                group.drain(next + 1..).for_each(|other| waiting.add(other));
                return Ok(Err(why));
            }
            Applied::Done | Applied::Refused(_) => {}
            Applied::Damaged => return Err(failure(rusqlite::ffi::SQLITE_CORRUPT)),
        }
        next += 1;
        // The last one is a page: then all are.
        if manner == Manner::Page && next == group.len() && next < PAGES_MAX {
            group.extend(waiting.another_page(latest));
        }
    }
    passes("commit")?;
    transaction.commit()?;
    // Durable, and nobody knows yet.
    passes("committed")?;
    Ok(Ok(()))
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use rusqlite::Error as Sql;

    type Answered<T> = oneshot::Receiver<Result<T, Error>>;

    fn send<T: Send + 'static>(
        queue: &mpsc::Sender<Box<dyn Operation>>,
        manner: Manner,
        operation: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Answered<T> {
        send_in(queue, None, manner, operation)
    }

    fn send_in<T: Send + 'static>(
        queue: &mpsc::Sender<Box<dyn Operation>>,
        chain: Option<&Chain>,
        manner: Manner,
        operation: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Answered<T> {
        let (answer, answered) = oneshot::channel();
        let pending = Pending { manner, chain: chain.cloned(), run: Some(operation), result: None, answer };
        queue.try_send(Box::new(pending)).unwrap();
        answered
    }

    fn add(row: i64) -> impl FnOnce(&Connection) -> Result<(), Error> + Send + 'static {
        move |connection| Ok(connection.execute("INSERT INTO t VALUES (?1)", [row]).map(drop)?)
    }

    fn count(connection: &Connection) -> Result<i64, Sql> {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
    }

    /// A file that others can look into while it is written to.
    fn table_in(folder: &Path) -> (PathBuf, Connection) {
        let path = folder.join("t.db");
        let connection = Connection::open(&path).unwrap();
        let sql = "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY)";
        connection.execute_batch(sql).unwrap();
        (path, connection)
    }

    #[test]
    fn a_page_that_is_refused_takes_only_pages_with_it() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY)").unwrap();
        let (queue, operations) = mpsc::channel(QUEUE_MAX);
        let mut first = send(&queue, Manner::Page, add(1));
        let again = queue.clone();
        let mut twice = send(&queue, Manner::Page, move |connection| {
            let beside = send(&again, Manner::Shared, add(2));
            add(1)(connection).map(|()| beside)
        });
        let mut later = send(&queue, Manner::Page, |connection| Ok(count(connection)?));
        drop(queue);
        serve(connection, Waiting::new(operations, Duration::ZERO).unwrap(), &OnceLock::new());
        assert!(matches!(first.try_recv().unwrap(), Err(Error::WriterStopped { .. })));
        let refused = twice.try_recv().unwrap().unwrap_err();
        assert!(refused.to_string().contains("UNIQUE"), "{refused}");
        assert_eq!(later.try_recv().unwrap().unwrap(), 0, "the first page is undone, and a page comes first");
    }

    #[test]
    fn behind_a_page_that_is_refused_no_other_of_its_chain_is_begun() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY)").unwrap();
        let (queue, operations) = mpsc::channel(QUEUE_MAX);
        let chain = Chain::default();
        let [mut first, mut again, mut behind] =
            [1, 1, 2].map(|row| send_in(&queue, Some(&chain), Manner::Page, add(row)));
        let mut of_nobody = send(&queue, Manner::Page, add(3));
        let mut later = send(&queue, Manner::LastPage, |connection| Ok(count(connection)?));
        drop(queue);
        serve(connection, Waiting::new(operations, Duration::ZERO).unwrap(), &OnceLock::new());
        assert!(chain.is_broken());
        for refused in [&mut first, &mut again, &mut behind] {
            assert!(refused.try_recv().unwrap().is_err());
        }
        of_nobody.try_recv().unwrap().unwrap();
        assert_eq!(later.try_recv().unwrap().unwrap(), 1);
    }

    #[test]
    fn others_wait_for_one_page_at_most() {
        for (manner, rows_before) in [(Manner::Shared, 1), (Manner::Forgettable, 0)] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY)").unwrap();
            let (queue, operations) = mpsc::channel(QUEUE_MAX);
            let mut pages = [1, 2, 3].map(|row| send(&queue, Manner::Page, add(row)));
            let mut other = send(&queue, manner, |connection| Ok(count(connection)?));
            drop(queue);
            serve(connection, Waiting::new(operations, Duration::ZERO).unwrap(), &OnceLock::new());
            assert_eq!(other.try_recv().unwrap().unwrap(), rows_before);
            pages.iter_mut().for_each(|page| page.try_recv().unwrap().unwrap());
        }
    }

    #[test]
    fn a_disk_that_is_full_amid_a_transaction_is_called_full() {
        for manner in [Manner::Page, Manner::Shared] {
            let connection = Connection::open_in_memory().unwrap();
            let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE wide (bytes); PRAGMA max_page_count = 4";
            connection.execute_batch(sql).unwrap();
            let (queue, operations) = mpsc::channel(QUEUE_MAX);
            let mut first = send(&queue, manner, add(1));
            let mut large = send(&queue, manner, |connection| {
                Ok(connection.execute("INSERT INTO wide VALUES (zeroblob(100000))", [])?)
            });
            let mut later = send(&queue, manner, |connection| Ok(count(connection)?));
            drop(queue);
            serve(connection, Waiting::new(operations, Duration::ZERO).unwrap(), &OnceLock::new());
            assert_eq!(first.try_recv().unwrap().unwrap_err().trouble(), Trouble::Full);
            assert_eq!(large.try_recv().unwrap().unwrap_err().trouble(), Trouble::Full);
            assert_eq!(later.try_recv().unwrap().unwrap(), 0, "SQLite has undone all of it");
        }
    }

    #[test]
    fn pages_share_a_transaction_until_somebody_else_comes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = table_in(folder.path());
        let (queue, operations) = mpsc::channel(QUEUE_MAX);
        // How many rows others see when an operation runs, and what comes while it does.
        let seen_by_others = move || count(&Connection::open(&path).unwrap()).unwrap();
        let (again, see) = (queue.clone(), seen_by_others.clone());
        let first = send(&queue, Manner::Page, move |connection| {
            add(1)(connection)?;
            let (more, sees) = (again.clone(), see.clone());
            let second = send(&again, Manner::Page, move |connection| {
                add(2)(connection)?;
                let seen = sees();
                let third = send(&more, Manner::Page, {
                    let sees = sees.clone();
                    move |_| Ok(sees())
                });
                Ok((seen, third, send(&more, Manner::Shared, move |_| Ok(sees()))))
            });
            Ok((see(), second))
        });
        drop(queue);
        serve(connection, Waiting::new(operations, Duration::ZERO).unwrap(), &OnceLock::new());
        fn got<T>(mut answered: Answered<T>) -> T {
            answered.try_recv().unwrap().unwrap()
        }
        let (seen_by_first, second) = got(first);
        let (seen_by_second, third, other) = got(second);
        assert_eq!((seen_by_first, seen_by_second), (0, 0), "both are in one transaction");
        assert_eq!((got(third), got(other)), (2, 2), "it ended when somebody else came");
    }

    #[test]
    fn a_page_waits_for_the_next_one_until_somebody_else_comes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = table_in(folder.path());
        let (queue, operations) = mpsc::channel(QUEUE_MAX);
        let (begun, begins) = std::sync::mpsc::channel();
        let begins_second = begun.clone();
        let mut first = send(&queue, Manner::Page, move |connection| {
            begun.send(()).unwrap();
            add(1)(connection)
        });
        let minute = Duration::from_secs(60);
        let writer = std::thread::spawn(move || {
            serve(connection, Waiting::new(operations, minute).unwrap(), &OnceLock::new());
        });
        begins.recv().unwrap();
        let seen_by_others = move || count(&Connection::open(&path).unwrap()).unwrap();
        let second = send(&queue, Manner::Page, move |_| {
            begins_second.send(()).unwrap();
            Ok(seen_by_others())
        });
        begins.recv().unwrap();
        assert!(first.try_recv().is_err(), "nobody else came");
        send(&queue, Manner::Shared, |_| Ok(())).blocking_recv().unwrap().unwrap();
        first.blocking_recv().unwrap().unwrap();
        assert_eq!(second.blocking_recv().unwrap().unwrap(), 0, "both were in one transaction");
        // Nor does the last one, although it comes behind others and with somebody else.
        let (begun, begins) = std::sync::mpsc::channel();
        let (go, goes) = std::sync::mpsc::channel();
        let first = send(&queue, Manner::Shared, move |_| {
            begun.send(()).unwrap();
            goes.recv().unwrap();
            Ok(())
        });
        begins.recv().unwrap();
        let pages = [2, 3].map(|row| send(&queue, Manner::Page, add(row)));
        let last = send(&queue, Manner::LastPage, |_| Ok(()));
        let other = send(&queue, Manner::Shared, |_| Ok(()));
        let sent = Instant::now();
        go.send(()).unwrap();
        first.blocking_recv().unwrap().unwrap();
        other.blocking_recv().unwrap().unwrap();
        pages.into_iter().for_each(|page| page.blocking_recv().unwrap().unwrap());
        last.blocking_recv().unwrap().unwrap();
        assert!(sent.elapsed() < minute / 2, "nobody was waited for");
        drop(queue);
        writer.join().unwrap();
    }

    #[test]
    fn a_page_that_nobody_follows_waits_no_longer_than_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = table_in(folder.path());
        let (queue, operations) = mpsc::channel(QUEUE_MAX);
        let page = send(&queue, Manner::Page, add(1));
        let waiting = Waiting::new(operations, Duration::from_millis(1)).unwrap();
        let writer = std::thread::spawn(move || serve(connection, waiting, &OnceLock::new()));
        page.blocking_recv().unwrap().unwrap();
        assert_eq!(count(&Connection::open(&path).unwrap()).unwrap(), 1, "it is durable, and more may come");
        drop(queue);
        writer.join().unwrap();
    }
}
