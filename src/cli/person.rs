//! The person at the terminal: who knows the password and sees the code (see [`super::code`]).
//!
//! The password comes from `ROLLBOOK_PASSWORD`, else it is typed, unseen. Without a terminal on
//! standard input nobody is asked, and the sign-in says what a person has to do.

use std::io::{self, IsTerminal as _};

use crate::cli::code::Codes;
use crate::cli::{explain, output};
use crate::icloud::{CodeEntry, CodePrompt, News, Person};
use crate::model::secret::Secret;

/// Asks at the terminal, if there is one.
#[derive(Debug)]
pub(crate) struct AtTerminal {
    username: String,
    password: Option<Secret>,
    attended: bool,
    codes: Codes,
}

impl AtTerminal {
    /// A person who signs in as `username`, perhaps with the password in hand.
    pub(crate) fn new(username: &str, password: Option<Secret>, codes: Codes) -> Self {
        Self { username: username.to_owned(), password, attended: is_attended(), codes }
    }
}

/// Whether somebody sits at a terminal.
pub(crate) fn is_attended() -> bool {
    io::stdin().is_terminal()
}

impl Person for AtTerminal {
    fn password(&self) -> io::Result<Option<Secret>> {
        match &self.password {
            Some(password) => Ok(Some(password.clone())),
            None if self.attended => {
                let prompt = format!("Password for {}: ", output::sanitize(&self.username));
                let typed = rpassword::prompt_password(prompt)?;
                // An empty line is a person who does not want to, and Apple counts every try.
                Ok((!typed.is_empty()).then(|| Secret::new(typed)))
            }
            None => Ok(None),
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
        let person =
            |password| AtTerminal { username: "u".to_owned(), password, attended: false, codes: codes() };
        assert_eq!(person(None).password().unwrap(), None);
        assert_eq!(person(None).code(&CodePrompt::default()).unwrap(), None);
        assert_eq!(person(Some(Secret::new("p"))).password().unwrap(), Some(Secret::new("p")));
    }
}
