//! Fault points: where a test makes the world fail, step by step.
//!
//! Every durable step passes here first: each system call that changes the disk, and each commit
//! of the journal. Between them the engine names the points it has reached. In a shipped binary all
//! of that is nothing. Built with the feature `faults`, as the tests are, seven variables speak to it:
//!
//! - `ROLLBOOK_FAULT_LOG=FILE`: each step is written there before it is taken, one line of
//!   tab-separated fields: number, name, path, and what else matters (offset and length of a write,
//!   the new name of a rename). What a power cut may undo can be worked out from it. Points stand
//!   between the steps, with `-` for a number; a step that was made to fail has `!` before it. Behind a
//!   sync of a whole file system stand the syncs of files that it took the place of, with the same number.
//! - `ROLLBOOK_FAULT=WHAT:WHICH`, or several with commas. `WHICH` is `N`, the n-th step; `N+`, all from
//!   there on; `NAME`, all steps or points of that name; `NAME@N`, the n-th of that name. `WHAT` is
//!   `kill`: the process ends there, as by `kill -9`; `stop`: it is stopped there once, until it gets
//!   `SIGCONT`; a number: the step fails with that error number; `skip`: a sync is left out, which no
//!   test of a power cut may forgive; `slow-MS`: steps of a `NAME` that are no writes or renames take so
//!   many milliseconds more, and no two of them at once, as on a disk that turns.
//! - `ROLLBOOK_FAULT_CLOCK=SECONDS`: the clock on the wall is so much ahead; `SECONDS@N` from the
//!   n-th step on.
//! - `ROLLBOOK_FAULT_NAME_MAX=N`: every file system says that a name has at most so many bytes.
//! - `ROLLBOOK_FAULT_FS=NUMBER`: every file system says that it is the one of this number (`statfs`).
//! - `ROLLBOOK_FAULT_GROUP=N`: at most so many files are published together.
//! - `ROLLBOOK_FAULT_HASTE=N`: whoever waits for the network or for an answer waits only the n-th part.

#[cfg(feature = "faults")]
pub(crate) use on::{
    clock, covered, exchange, file_system, group, haste, name_max, point, relocate, rename, step, write,
};

#[cfg(not(feature = "faults"))]
pub(crate) use off::{
    clock, covered, exchange, file_system, group, haste, name_max, point, relocate, rename, step, write,
};

#[cfg(not(feature = "faults"))]
mod off {
    use std::io;
    use std::path::Path;
    use std::time::SystemTime;

    /// Passes.
    #[inline]
    pub(crate) fn step(_: &'static str, _: &Path) -> io::Result<bool> {
        Ok(true)
    }

    /// Passes.
    #[inline]
    pub(crate) fn write(_: &Path, _: u64, _: u64) -> io::Result<bool> {
        Ok(true)
    }

    /// Passes.
    #[inline]
    pub(crate) fn rename(_: &Path, _: &str) -> io::Result<bool> {
        Ok(true)
    }

    /// Passes.
    #[inline]
    pub(crate) fn exchange(_: &Path, _: &str) -> io::Result<bool> {
        Ok(true)
    }

    /// Passes.
    #[inline]
    pub(crate) fn relocate(_: &Path, _: &Path) -> io::Result<bool> {
        Ok(true)
    }

    /// Passes.
    #[inline]
    pub(crate) fn point(_: &'static str) {}

    /// The number of a file system, as it is.
    #[inline]
    pub(crate) fn file_system(magic: u32) -> u32 {
        magic
    }

    /// Passes.
    #[inline]
    pub(crate) fn covered(_: &'static str, _: &Path) {}

    /// The size of a group, as it is.
    #[inline]
    pub(crate) fn group(max: usize) -> usize {
        max
    }

    /// The length of a name, as it is.
    #[inline]
    pub(crate) fn name_max(bytes: u64) -> u64 {
        bytes
    }

    /// The length of a wait, as it is.
    #[inline]
    pub(crate) fn haste(wait: std::time::Duration) -> std::time::Duration {
        wait
    }

    /// The clock on the wall.
    #[inline]
    pub(crate) fn clock() -> SystemTime {
        SystemTime::now()
    }
}

#[cfg(feature = "faults")]
mod on {
    use std::collections::HashMap;
    use std::fs::File;
    use std::io::{self, Write as _};
    use std::path::Path;
    use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
    use std::time::{Duration, SystemTime};

    use rustix::process::{Signal, getpid, kill_process};

    /// What is to fail, where it is written down, and how many steps were taken.
    struct Script {
        log: Option<File>,
        faults: Vec<Fault>,
        clock: Option<(i64, u64)>,
        steps: u64,
        of_name: HashMap<&'static str, u64>,
    }

    struct Fault {
        what: What,
        which: Which,
    }

    enum What {
        Kill,
        Stop,
        Skip,
        Slow(Duration),
        Error(i32),
    }

    enum Which {
        Nth(u64),
        From(u64),
        Named(String),
        NthNamed(String, u64),
        Never,
    }

    /// `None` if nobody speaks to it: then each step costs as much as in a shipped binary, and benches tell
    /// the truth about that one.
    fn script() -> Option<MutexGuard<'static, Script>> {
        static SCRIPT: OnceLock<Option<Mutex<Script>>> = OnceLock::new();
        let script = SCRIPT.get_or_init(|| {
            let spoken = ["ROLLBOOK_FAULT", "ROLLBOOK_FAULT_LOG", "ROLLBOOK_FAULT_CLOCK"];
            spoken.iter().find(|name| std::env::var_os(name).is_some())?;
            let open = |path| File::options().create(true).append(true).open(path);
            let faults = std::env::var("ROLLBOOK_FAULT").unwrap_or_default();
            Some(Mutex::new(Script {
                log: std::env::var_os("ROLLBOOK_FAULT_LOG").and_then(|path| open(path).ok()),
                faults: faults.split(',').filter(|text| !text.is_empty()).map(fault).collect(),
                clock: std::env::var("ROLLBOOK_FAULT_CLOCK").ok().map(|text| jump(&text)),
                steps: 0,
                of_name: HashMap::new(),
            }))
        });
        script.as_ref().map(|script| script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fault(text: &str) -> Fault {
        let (what, which) = text.split_once(':').expect("ROLLBOOK_FAULT is WHAT:WHICH");
        let what = match what {
            "kill" => What::Kill,
            "stop" => What::Stop,
            "skip" => What::Skip,
            slow if slow.starts_with("slow-") => {
                What::Slow(Duration::from_millis(slow["slow-".len()..].parse().expect("slow-MS")))
            }
            errno => What::Error(errno.parse().expect("an error number")),
        };
        let from = which.strip_suffix('+').and_then(|n| n.parse().ok());
        let which = match (which.parse(), from, which.split_once('@')) {
            (Ok(n), ..) => Which::Nth(n),
            (_, Some(n), _) => Which::From(n),
            (.., Some((name, n))) => Which::NthNamed(name.to_owned(), n.parse().expect("NAME@N")),
            _ => Which::Named(which.to_owned()),
        };
        Fault { what, which }
    }

    fn jump(text: &str) -> (i64, u64) {
        let (seconds, step) = text.split_once('@').unwrap_or((text, "0"));
        (seconds.parse().expect("seconds"), step.parse().expect("SECONDS@N"))
    }

    /// The number of a file system, or that of another one.
    pub(crate) fn file_system(magic: u32) -> u32 {
        let said = std::env::var("ROLLBOOK_FAULT_FS").ok();
        said.map_or(magic, |said| said.parse().expect("the number of a file system"))
    }

    /// Passes a durable step, or fails as the script says. `false`: leave it out.
    pub(crate) fn step(name: &'static str, path: &Path) -> io::Result<bool> {
        wait_for_slow_disk(name);
        script().map_or(Ok(true), |mut script| script.pass(name, path, ""))
    }

    /// A slow disk does one thing at a time; who wants nothing slow of it need not wait.
    fn wait_for_slow_disk(name: &'static str) {
        static DISK: Mutex<()> = Mutex::new(());
        let Some(by) = script().and_then(|script| script.slow(name)) else { return };
        let _one = DISK.lock().unwrap_or_else(PoisonError::into_inner);
        std::thread::sleep(by);
    }

    /// Passes a write of `len` bytes at `offset`.
    pub(crate) fn write(path: &Path, offset: u64, len: u64) -> io::Result<bool> {
        let more = || format!("\t{offset}\t{len}");
        script().map_or(Ok(true), |mut script| script.pass("write", path, &more()))
    }

    /// Passes a rename to `new`, a name in the same folder.
    pub(crate) fn rename(old: &Path, new: &str) -> io::Result<bool> {
        relocate(old, &old.with_file_name(new))
    }

    /// Passes an exchange of a name with `other` in the same folder.
    pub(crate) fn exchange(one: &Path, other: &str) -> io::Result<bool> {
        let more = || format!("\t{}", one.with_file_name(other).display());
        script().map_or(Ok(true), |mut script| script.pass("exchange", one, &more()))
    }

    /// Passes a rename to a path in perhaps another folder.
    pub(crate) fn relocate(old: &Path, new: &Path) -> io::Result<bool> {
        script().map_or(Ok(true), |mut script| script.pass("rename", old, &format!("\t{}", new.display())))
    }

    /// Notes that the engine has got here.
    pub(crate) fn point(name: &'static str) {
        let Some(mut script) = script() else { return };
        // A point cannot fail, and has nothing to leave out.
        let _ = script.strike(name, 0);
        script.note(&format!("-\t{name}\t-")).unwrap_or_default();
    }

    /// Notes that the step before did the work of this one too.
    pub(crate) fn covered(name: &'static str, path: &Path) {
        let Some(mut script) = script() else { return };
        let line = format!("{}\t{name}\t{}", script.steps, path.display());
        script.note(&line).unwrap_or_default();
    }

    /// The size of a group, or a smaller one.
    pub(crate) fn group(max: usize) -> usize {
        let wanted = std::env::var("ROLLBOOK_FAULT_GROUP").ok().and_then(|n| n.parse().ok());
        wanted.map_or(max, |n: usize| n.clamp(1, max))
    }

    /// The length of a name, or one that is said to be the longest.
    pub(crate) fn name_max(bytes: u64) -> u64 {
        std::env::var("ROLLBOOK_FAULT_NAME_MAX").ok().and_then(|n| n.parse().ok()).unwrap_or(bytes)
    }

    /// The length of a wait, or a part of it.
    pub(crate) fn haste(wait: Duration) -> Duration {
        let part = std::env::var("ROLLBOOK_FAULT_HASTE").ok().and_then(|n| n.parse().ok());
        part.map_or(wait, |n: u32| wait / n.max(1))
    }

    /// The clock on the wall, or the one that the script has in its place.
    pub(crate) fn clock() -> SystemTime {
        let now = SystemTime::now();
        let Some(script) = script() else { return now };
        let Some((seconds, _)) = script.clock.filter(|(_, step)| script.steps >= *step) else { return now };
        let distance = Duration::from_secs(seconds.unsigned_abs());
        let there = if seconds < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
        there.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    impl Script {
        fn pass(&mut self, name: &'static str, path: &Path, more: &str) -> io::Result<bool> {
            self.steps += 1;
            let number = self.steps;
            match self.strike(name, number) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => {
                    self.note(&format!("!{number}\t{name}\t{}", path.display()))?;
                    return Err(error);
                }
            }
            self.note(&format!("{number}\t{name}\t{}{more}", path.display()))?;
            Ok(true)
        }

        /// How much longer a step of this name takes.
        fn slow(&self, name: &str) -> Option<Duration> {
            self.faults.iter().find_map(|fault| match (&fault.what, &fault.which) {
                (What::Slow(by), Which::Named(wanted)) if wanted == name => Some(*by),
                _ => None,
            })
        }

        fn strike(&mut self, name: &'static str, number: u64) -> io::Result<bool> {
            let of_name = self.of_name.entry(name).or_default();
            *of_name += 1;
            for fault in self.faults.iter_mut().filter(|fault| fault.which.is(number, name, *of_name)) {
                match fault.what {
                    What::Kill => end(),
                    What::Skip => return Ok(false),
                    // Was waited for, without the lock of the script.
                    What::Slow(_) => {}
                    What::Error(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    What::Stop => {
                        fault.which = Which::Never;
                        stop();
                    }
                }
            }
            Ok(true)
        }

        /// One write: the line is whole in the file even if the process ends right after it.
        fn note(&mut self, line: &str) -> io::Result<()> {
            self.log.as_mut().map_or(Ok(()), |log| log.write_all(format!("{line}\n").as_bytes()))
        }
    }

    impl Which {
        fn is(&self, number: u64, name: &str, of_name: u64) -> bool {
            match self {
                Self::Nth(n) => number == *n,
                Self::From(n) => number >= *n,
                Self::Named(wanted) => name == wanted,
                Self::NthNamed(wanted, n) => name == wanted && of_name == *n,
                Self::Never => false,
            }
        }
    }

    /// Stops the process. The signal goes to whichever thread the system likes: this one waits until
    /// it has been taken, and then stands still with the others.
    fn stop() {
        let _ = kill_process(getpid(), Signal::STOP);
        let is_pending = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
            let pending = pending.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            pending.unwrap_or_default() & (1 << (Signal::STOP.as_raw() - 1)) != 0
        };
        while is_pending() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the process as `kill -9` does: nothing is flushed, dropped or answered.
    fn end() -> ! {
        let _ = kill_process(getpid(), Signal::KILL);
        std::process::abort()
    }
}
