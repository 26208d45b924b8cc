//! `rollbook sync --watch-with-interval`: one process that syncs again and again.
//!
//! Every account has a loop of its own, so that one that waits for a code holds up no other. Each
//! run is a whole one: it takes the lock, opens the journal, checks the destination and the
//! session, and gives all of it back. While everybody sleeps the lock is free, so a `rollbook
//! sync` by hand, a `login` or a restored journal are as welcome as ever.
//!
//! Nothing ends the loop but a signal. What went wrong is said, noted in the journal (`rollbook
//! health` reads it), and tried again.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::future;
use tokio::sync::watch;

use crate::cli::account::Account;
use crate::cli::clock::now;
use crate::cli::commands::open::{self, House};
use crate::cli::commands::sync::{self, One};
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::output::{self, Style};
use crate::cli::problem::Problem;
use crate::cli::together::Together;
use crate::cli::{code, format, interval};
use crate::disk::ServiceManager;
use crate::engine::{Settings, Stop};

/// Longest sleep after a run that time may cure: no network, a destination that is away, another
/// run. A quarter of an hour is soon enough for a person and rare enough for Apple.
const RETRY_MAX: Duration = Duration::from_secs(15 * 60);
/// Time between two looks at the clock on the wall, which goes on while the machine is suspended.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// What is wished of the process.
pub(super) struct Wishes {
    /// How long to sleep between two runs, about.
    pub(super) interval: Duration,
    /// End.
    pub(super) stop: Stop,
    /// Run now.
    pub(super) wakes: watch::Receiver<u64>,
}

/// Syncs every account until someone asks to stop.
pub(super) async fn run(
    config: &Config,
    environment: &Environment,
    style: Style,
    wishes: Wishes,
) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    let settings = engine_settings(config, accounts)?;
    let manager = Arc::new(ServiceManager::at(environment.get("NOTIFY_SOCKET")));
    let board = Board::new(&manager, accounts);
    let watch =
        Watch { config, accounts, style, interval: wishes.interval, houses: Houses::default(), board };
    manager.tell("READY=1");
    let beating = tokio::spawn(beat(manager, watchdog(environment), wishes.stop.clone()));
    let loops = settings.into_iter().enumerate();
    let loops =
        loops.map(|(index, settings)| watch.keep(index, settings, &wishes.stop, wishes.wakes.clone()));
    let ended = future::join_all(loops).await;
    // The loops end because they were asked to, and so does this.
    let _ = beating.await;
    Ok(Exit::most_urgent(ended))
}

/// What the loops share.
struct Watch<'a> {
    config: &'a Config,
    accounts: &'a [Account],
    style: Style,
    interval: Duration,
    houses: Houses,
    board: Board,
}

/// How a run ended, and before when Apple wants no other.
struct Ended {
    exit: Exit,
    allowed_at: Option<i64>,
}

impl Watch<'_> {
    /// The loop of one account.
    async fn keep(
        &self,
        index: usize,
        mut settings: Settings,
        stop: &Stop,
        mut wakes: watch::Receiver<u64>,
    ) -> Exit {
        loop {
            self.board.says(index, "syncing".to_owned());
            let ended = self.once(index, &settings, stop).await;
            if stop.is_requested() {
                return when_stopped(ended.exit);
            }
            // Wanted once, not with every run.
            settings.retry_failed = false;
            let sleep = self.sleep_after(&ended);
            let at = format::moment(now().saturating_add_unsigned(sleep.as_secs()));
            let label = self.label(index);
            let why = match ended.allowed_at {
                Some(_) => "Apple asks to wait; ",
                None => "",
            };
            output::talk(&format!("{label}{why}next run at {at}"));
            self.board.says(index, format!("{why}asleep until {at}"));
            tokio::select! {
                () = sleep_through(sleep) => {}
                () = woken(&mut wakes) => output::talk(&format!("{label}woken by a signal")),
                () = stop.requested() => return Exit::Done,
            }
        }
    }

    /// One run, told to its end.
    async fn once(&self, index: usize, settings: &Settings, all: &Stop) -> Ended {
        // A run's wish to stop is its own: it makes it itself when it cannot go on.
        let stop = Stop::default();
        let run = self.sync(index, settings, stop.clone());
        tokio::pin!(run);
        let ended = tokio::select! {
            ended = &mut run => ended,
            () = all.requested() => {
                stop.request();
                run.await
            }
        };
        // Whatever still listens to it may go.
        stop.request();
        let (outcome, allowed_at) = ended;
        let exit = outcome.unwrap_or_else(|problem| {
            let exit = problem.exit;
            let problem = match self.accounts.len() {
                1 => problem,
                _ => problem.of(self.accounts[index].label()),
            };
            if exit != Exit::Interrupted {
                output::talk(&self.style.paint(&problem.to_string()));
            }
            exit
        });
        Ended { exit, allowed_at }
    }

    async fn sync(
        &self,
        index: usize,
        settings: &Settings,
        stop: Stop,
    ) -> (Result<Exit, Problem>, Option<i64>) {
        let house = match self.houses.enter(self.config).await {
            Ok(house) => house,
            Err(problem) => {
                sync::tell_of(&problem, &self.config.notifier, &self.accounts[index], &stop).await;
                return (Err(problem), None);
            }
        };
        let wait_max = (!self.config.no_wait).then_some(code::WAIT_MAX);
        // A bar of several accounts would begin and end with the first of them.
        let together = match self.accounts.len() {
            1 => Together::over(self.config, self.accounts, self.style),
            _ => Together::quietly_over(self.config, self.accounts, self.style),
        };
        let one = One { account: &self.accounts[index], settings, index, wait_max };
        let outcome = sync::sync_account(&house, one, &together, self.style, stop.clone()).await;
        together.finish();
        let outcome = match outcome {
            Ok(exit) if !stop.is_requested() => open::keep_snapshot(&house).await.map(|()| exit),
            ended => ended,
        };
        let allowed_at = house.journal.reader().next_allowed_at(&settings.username, now()).ok().flatten();
        self.houses.leave(house).await;
        (outcome, allowed_at.filter(|at| *at > now()))
    }

    fn sleep_after(&self, ended: &Ended) -> Duration {
        let interval = match ended.exit {
            Exit::Destination | Exit::Wait | Exit::Busy => self.interval.min(RETRY_MAX),
            _ => self.interval,
        };
        let sleep = interval::spread(interval, interval::dice());
        match ended.allowed_at {
            // Not a second before, and not all at the same one.
            Some(at) => {
                let left = Duration::from_secs(at.saturating_sub(now()).max(0).unsigned_abs());
                let after = RETRY_MAX.min(left).mul_f64(interval::dice() / 10.0);
                if ended.exit == Exit::Wait { left + after } else { sleep.max(left + after) }
            }
            None => sleep,
        }
    }

    fn label(&self, index: usize) -> String {
        match self.accounts {
            [_] => String::new(),
            accounts => format!("{}: ", output::sanitize(accounts[index].label())),
        }
    }
}

/// How a watch ends that was asked to: interrupted if that cut a run short, and else well. How its last
/// run ended of itself is said, and noted for `status` and `health`, like that of every run before.
fn when_stopped(run: Exit) -> Exit {
    match run {
        Exit::Interrupted => Exit::Interrupted,
        _ => Exit::Done,
    }
}

/// Sleeps until the clock on the wall, or our own, has gone on by `length`: the one goes on while
/// the machine is suspended, the other is never set back.
async fn sleep_through(length: Duration) {
    let (began, due) = (Instant::now(), now().saturating_add_unsigned(length.as_secs()));
    loop {
        let left = length.saturating_sub(began.elapsed());
        if left.is_zero() || (now() >= due && length >= LOOK_EVERY) {
            return;
        }
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
    }
}

/// Waits for a signal that says *now*. One that came during a run counts.
async fn woken(wakes: &mut watch::Receiver<u64>) {
    if wakes.changed().await.is_err() {
        // Nobody can wake us.
        future::pending::<()>().await;
    }
}

/// Tells the service manager that we live, as often as it asked for, and that we stop.
async fn beat(manager: Arc<ServiceManager>, every: Option<Duration>, stop: Stop) {
    loop {
        tokio::select! {
            () = stop.requested() => return manager.tell("STOPPING=1\nSTATUS=stopping"),
            () = tokio::time::sleep(every.unwrap_or(LOOK_EVERY)) => {
                if every.is_some() {
                    manager.tell("WATCHDOG=1");
                }
            }
        }
    }
}

/// Half the time after which the service manager takes us for dead, if it does.
fn watchdog(environment: &Environment) -> Option<Duration> {
    let number = |name| environment.get(name)?.to_str()?.parse::<u64>().ok();
    if number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|usec| *usec > 0).map(|usec| Duration::from_micros(usec / 2))
}

/// The house that is open while any account is at work, and no longer.
#[derive(Default)]
struct Houses(tokio::sync::Mutex<Weak<House>>);

impl Houses {
    /// Opens the house, or enters the one that is open.
    async fn enter(&self, config: &Config) -> Result<Arc<House>, Problem> {
        let mut open = self.0.lock().await;
        if let Some(house) = open.upgrade() {
            return Ok(house);
        }
        let house = Arc::new(open::house(config)?);
        *open = Arc::downgrade(&house);
        Ok(house)
    }

    /// Leaves it. The last one closes it before anyone can open it anew.
    async fn leave(&self, house: Arc<House>) {
        let _door = self.0.lock().await;
        drop(house);
    }
}

/// What each account is doing, in one line for the service manager.
struct Board {
    manager: Arc<ServiceManager>,
    labels: Vec<String>,
    lines: Mutex<Vec<String>>,
}

impl Board {
    fn new(manager: &Arc<ServiceManager>, accounts: &[Account]) -> Self {
        let label = |account: &Account| match accounts.len() {
            1 => String::new(),
            _ => format!("{}: ", output::sanitize(account.label())),
        };
        let labels: Vec<String> = accounts.iter().map(label).collect();
        let lines = Mutex::new(vec!["starting".to_owned(); labels.len()]);
        Self { manager: Arc::clone(manager), labels, lines }
    }

    fn says(&self, index: usize, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines[index] = line;
        let all: Vec<String> =
            self.labels.iter().zip(lines.iter()).map(|(label, line)| format!("{label}{line}")).collect();
        self.manager.tell(&format!("STATUS={}", all.join("; ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_ends_well_unless_it_cut_a_run_short() {
        for run in [Exit::Done, Exit::FilesOpen, Exit::NeedsPerson, Exit::Destination, Exit::Wait, Exit::Busy]
        {
            assert_eq!(when_stopped(run), Exit::Done, "{run:?}");
        }
        assert_eq!(when_stopped(Exit::Interrupted), Exit::Interrupted);
    }
}
