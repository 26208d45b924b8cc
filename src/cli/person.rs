//! The person at the terminal: who knows the password and sees the code (see [`super::code`]).
//!
//! Where the password comes from when nobody is there, see [`crate::cli::password`]. Without a
//! terminal on standard input nobody is asked, and the sign-in says what a person has to do.

use std::io::{self, IsTerminal as _};

use crate::cli::clock::now;
use crate::cli::code::Codes;
use crate::cli::password::{self, Passwords};
use crate::cli::problem::Problem;
use crate::cli::{explain, output};
use crate::icloud::{CodeEntry, CodePrompt, News, Person};
use crate::journal::Reader;
use crate::model::secret::Secret;

/// Asks at the terminal, if there is one.
#[derive(Debug)]
pub(crate) struct AtTerminal {
    passwords: Passwords,
    attended: bool,
    codes: Codes,
    /// Knows until when Apple put off sign-ins. None in a test without a journal.
    governor: Option<Reader>,
}

impl AtTerminal {
    /// A person who signs in, perhaps with a password in hand.
    pub(crate) fn new(passwords: Passwords, codes: Codes, governor: Reader) -> Self {
        Self { passwords, attended: is_attended(), codes, governor: Some(governor) }
    }
}

/// Whether somebody sits at a terminal.
pub(crate) fn is_attended() -> bool {
    io::stdin().is_terminal()
}

impl Person for AtTerminal {
    fn password(&self) -> io::Result<Option<Secret>> {
        // A saved session needs no password and goes on; a password waits until Apple wants one.
        let allowed_at = self.governor.as_ref().map(|of| of.sign_in_allowed_at(now())).transpose();
        if let Some(at) = allowed_at.map_err(Problem::from)?.flatten().filter(|at| *at > now()) {
            return Err(explain::wait_until(at).into());
        }
        match self.passwords.read()? {
            None if self.attended => password::prompt(self.passwords.username()),
            password => Ok(password),
        }
    }

    fn code(&self, prompt: &CodePrompt) -> io::Result<Option<CodeEntry>> {
        self.codes.ask(prompt)
    }

    fn holds_code(&self) -> bool {
        self.codes.in_hand()
    }

    fn tell(&self, news: News) {
        self.codes.tell(&news);
        if let Some(line) = explain::news(&news) {
            output::talk(&line);
            if let News::ApproveOnDevice { .. } = news {
                self.codes.call(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::code::Sources;
    use crate::disk::DataDir;
    use crate::engine::Stop;

    #[test]
    fn nobody_is_asked_where_nobody_is() {
        let folder = tempfile::tempdir().unwrap();
        let codes = || Codes::new(Sources::default(), DataDir::at(folder.path()).desk("u"), Stop::default());
        let passwords = |password| Passwords::new("u", folder.path(), folder.path()).with_variable(password);
        let person = |password| AtTerminal {
            passwords: passwords(password),
            attended: false,
            codes: codes(),
            governor: None,
        };
        assert_eq!(person(None).password().unwrap(), None);
        assert_eq!(person(None).code(&CodePrompt::default()).unwrap(), None);
        assert_eq!(person(Some(Secret::new("p"))).password().unwrap(), Some(Secret::new("p")));
    }
}
