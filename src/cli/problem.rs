//! What a person reads when it did not work: what, why, and what to do.
//!
//! Errors become problems in [`super::explain`], nowhere else.

use std::fmt;
use std::io;

use crate::cli::exit::Exit;
use crate::cli::output::sanitize;

/// The end of a command, told to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What did not work: `cannot …`.
    pub(crate) what: String,
    /// Why not. May hold a stranger's words: sanitised when shown.
    pub(crate) why: Option<String>,
    /// A command to run, or an exact setting to change.
    pub(crate) hint: Option<String>,
    /// How the program ends.
    pub(crate) exit: Exit,
}

impl Problem {
    /// A problem that explains itself.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { what: what.into(), why: None, hint: None, exit }
    }

    /// Says why.
    pub(crate) fn why(mut self, why: impl fmt::Display) -> Self {
        self.why = Some(why.to_string());
        self
    }

    /// The problem that was made into `error`, if one was.
    pub(crate) fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Says whose problem it is, where there are several accounts.
    pub(crate) fn of(mut self, account: &str) -> Self {
        self.what = format!("{account}: {}", self.what);
        self
    }

    /// What and why, in one line.
    pub(crate) fn in_a_line(&self) -> String {
        match &self.why {
            Some(why) => format!("{}: {why}", self.what),
            None => self.what.clone(),
        }
    }

    /// Says what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", sanitize(&self.what))?;
        for (label, text) in [("why", &self.why), ("hint", &self.hint)] {
            if let Some(text) = text {
                write!(f, "\n  {label}: {}", sanitize(text))?;
            }
        }
        Ok(())
    }
}

/// A problem can be the source of an `io::Error`, and comes back whole through the layers that pass
/// that on: see [`Problem::within`].
impl std::error::Error for Problem {}

impl From<Problem> for io::Error {
    fn from(problem: Problem) -> Self {
        Self::other(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_what_why_and_hint_on_a_line_each() {
        let problem = Problem::new(Exit::NeedsPerson, "cannot sign in")
            .why("apple said:\n\u{1b}[2Jno")
            .hint("run \"rollbook login\", then sync again");
        assert_eq!(
            problem.to_string(),
            "error: cannot sign in\n  why: apple said:\u{fffd}\u{fffd}[2Jno\n  \
             hint: run \"rollbook login\", then sync again"
        );
    }
}
