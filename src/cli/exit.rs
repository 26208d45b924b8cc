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

    /// What it says, in the words of [`HELP`] and the README.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Done => "everything in scope is verified",
            Self::FilesOpen => "finished, some files failed",
            Self::Usage => "usage or configuration",
            Self::NeedsPerson => "a person must sign in",
            Self::Destination => "destination absent, read-only or full",
            Self::Wait => "Apple asks to wait, or offline",
            Self::Unbalanced => "the audit does not balance",
            Self::Busy => "another run holds the journal",
            Self::Interrupted => "interrupted",
        }
    }

    /// The code of this number.
    pub(crate) fn of(code: u8) -> Option<Self> {
        URGENCY.into_iter().find(|exit| exit.code() == code)
    }
}

impl Exit {
    /// The most urgent of several, where several accounts ended each in its own way: what a person
    /// asked for, then what only a person can cure, then what the next run may cure.
    pub(crate) fn most_urgent(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().min_by_key(|exit| URGENCY.iter().position(|of| of == exit)).unwrap_or(Self::Done)
    }
}

/// The most urgent first, as [`HELP`] says it.
const URGENCY: [Exit; 9] = [
    Exit::Interrupted,
    Exit::NeedsPerson,
    Exit::Usage,
    Exit::Destination,
    Exit::Unbalanced,
    Exit::FilesOpen,
    Exit::Wait,
    Exit::Busy,
    Exit::Done,
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// The codes as `--help` lists them.
pub(crate) const HELP: &str = "\
Exit codes:
    0  everything in scope is verified, or waits for the next run
    1  finished, some files failed
    2  usage or configuration
    3  a person must sign in
    4  destination absent, read-only or full
    5  Apple asks to wait, or offline
    6  the audit does not balance
    7  another run holds the journal
  130  interrupted
With several accounts, the first of these that one of them ends with: 130, 3, 2, 4, 6, 1, 5, 7, 0.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_code_is_the_one_of_all_and_the_help_says_the_order() {
        assert_eq!(Exit::most_urgent([]), Exit::Done);
        assert_eq!(Exit::most_urgent([Exit::Done, Exit::FilesOpen, Exit::NeedsPerson]), Exit::NeedsPerson);
        assert_eq!(Exit::most_urgent([Exit::Wait, Exit::Done]), Exit::Wait);
        for exit in URGENCY {
            assert!(HELP.contains(&format!("{:>5}  {}", exit.code(), exit.words())), "{exit:?}");
            assert_eq!(Exit::of(exit.code()), Some(exit));
        }
        let order: Vec<String> = URGENCY.iter().map(|exit| exit.code().to_string()).collect();
        assert!(HELP.ends_with(&format!("{}.", order.join(", "))));
    }
}
