//! Fault points: where a test makes the world fail, step by step.
//!
//! Every durable step passes here first: each system call that changes the disk, and each commit
//! of the journal. In a shipped binary that is nothing at all. Built with the feature `faults`, as
//! the tests are, two variables speak to it:
//!
//! - `ROLLBOOK_FAULT_LOG=FILE`: each step is written there before it is taken, one line of
//!   tab-separated fields: number, name, path, and what else matters (offset and length of a write,
//!   the new name of a rename). What a power cut may undo can be worked out from it.
//! - `ROLLBOOK_FAULT=kill:N` ends the process before its N-th step, as `kill -9` does;
//!   `ERRNO:N`, `ERRNO:N+` or `ERRNO:NAME` lets that step, all from there on, or all of that name
//!   fail with that error number; `skip:NAME` leaves out a sync of that name, which no test of a
//!   power cut may forgive.

#[cfg(feature = "faults")]
pub(crate) use on::{rename, step, write};

#[cfg(not(feature = "faults"))]
pub(crate) use off::{rename, step, write};

#[cfg(not(feature = "faults"))]
mod off {
    use std::io;
    use std::path::Path;

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
}

#[cfg(feature = "faults")]
mod on {
    use std::fs::File;
    use std::io::{self, Write as _};
    use std::path::Path;
    use std::sync::{Mutex, OnceLock, PoisonError};

    /// What is to fail, where it is written down, and how many steps were taken.
    struct Script {
        log: Option<File>,
        fault: Option<Fault>,
        steps: u64,
    }

    enum Fault {
        Kill(u64),
        Skip(String),
        Error(i32, Which),
    }

    enum Which {
        Nth(u64),
        From(u64),
        Named(String),
    }

    fn script() -> &'static Mutex<Script> {
        static SCRIPT: OnceLock<Mutex<Script>> = OnceLock::new();
        SCRIPT.get_or_init(|| {
            let open = |path| File::options().create(true).append(true).open(path);
            let log = std::env::var_os("ROLLBOOK_FAULT_LOG").and_then(|path| open(path).ok());
            let fault = std::env::var("ROLLBOOK_FAULT").ok().map(|text| parse(&text));
            Mutex::new(Script { log, fault, steps: 0 })
        })
    }

    fn parse(text: &str) -> Fault {
        let (what, which) = text.split_once(':').expect("ROLLBOOK_FAULT is WHAT:WHICH");
        match what {
            "kill" => Fault::Kill(which.parse().expect("kill:N")),
            "skip" => Fault::Skip(which.to_owned()),
            errno => {
                let which = match (which.parse(), which.strip_suffix('+').map(str::parse)) {
                    (Ok(n), _) => Which::Nth(n),
                    (_, Some(Ok(n))) => Which::From(n),
                    _ => Which::Named(which.to_owned()),
                };
                Fault::Error(errno.parse().expect("an error number"), which)
            }
        }
    }

    /// Passes a durable step, or fails as the script says. `false`: leave it out.
    pub(crate) fn step(name: &'static str, path: &Path) -> io::Result<bool> {
        pass(name, path, "")
    }

    /// Passes a write of `len` bytes at `offset`.
    pub(crate) fn write(path: &Path, offset: u64, len: u64) -> io::Result<bool> {
        pass("write", path, &format!("\t{offset}\t{len}"))
    }

    /// Passes a rename to `new`, a name in the same folder.
    pub(crate) fn rename(old: &Path, new: &str) -> io::Result<bool> {
        pass("rename", old, &format!("\t{}", old.with_file_name(new).display()))
    }

    fn pass(name: &str, path: &Path, more: &str) -> io::Result<bool> {
        let mut script = script().lock().unwrap_or_else(PoisonError::into_inner);
        script.steps += 1;
        let number = script.steps;
        match &script.fault {
            Some(Fault::Kill(n)) if *n == number => end(),
            Some(Fault::Skip(skipped)) if skipped == name => return Ok(false),
            Some(Fault::Error(errno, which)) if which.strikes(number, name) => {
                return Err(io::Error::from_raw_os_error(*errno));
            }
            _ => {}
        }
        if let Some(log) = &mut script.log {
            // One write: the line is whole in the file even if the process ends right after it.
            log.write_all(format!("{number}\t{name}\t{}{more}\n", path.display()).as_bytes())?;
        }
        Ok(true)
    }

    impl Which {
        fn strikes(&self, number: u64, name: &str) -> bool {
            match self {
                Self::Nth(n) => number == *n,
                Self::From(n) => number >= *n,
                Self::Named(wanted) => name == wanted,
            }
        }
    }

    /// Ends the process as `kill -9` does: nothing is flushed, dropped or answered.
    fn end() -> ! {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort()
    }
}
