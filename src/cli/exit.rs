//! How the program ends, in one number. Scripts rely on these: a meaning never changes.

use std::process::ExitCode;

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything in scope is verified, or the question was answered.
    Done = 0,
    /// The run finished, and some files are not here.
    FilesOpen = 1,
    /// The command line, the configuration or the data directory cannot be used.
    Usage = 2,
    /// A person must sign in, or change a setting of the account.
    NeedsPerson = 3,
    /// The destination is absent, read-only or full.
    Destination = 4,
    /// Apple asks to wait, or cannot be reached.
    Wait = 5,
    /// The audit does not balance.
    Unbalanced = 6,
    /// Another run holds the journal.
    Busy = 7,
    /// A signal asked the run to stop: 128 + SIGINT, as shells count.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// The codes as `--help` lists them.
pub(crate) const HELP: &str = "\
Exit codes:
    0  everything in scope is verified
    1  finished, some files failed
    2  usage or configuration
    3  a person must sign in
    4  destination absent, read-only or full
    5  Apple asks to wait, or offline
    6  the audit does not balance
    7  another run holds the journal
  130  interrupted";
