//! The person at the terminal: who knows the password and sees the code.
//!
//! Where the password comes from when nobody is there, see [`crate::cli::password`]. Without a
//! terminal on standard input nobody is asked, and the sign-in says what a person has to do.

use std::io::{self, BufRead as _, IsTerminal as _};

use crate::cli::output;
use crate::cli::password::{self, Passwords};
use crate::icloud::{CodePrompt, Person};
use crate::model::secret::Secret;

/// Asks at the terminal, if there is one.
#[derive(Debug)]
pub(crate) struct AtTerminal {
    passwords: Passwords,
    attended: bool,
}

impl AtTerminal {
    /// A person who signs in, perhaps with a password in hand.
    pub(crate) fn new(passwords: Passwords) -> Self {
        Self { passwords, attended: io::stdin().is_terminal() }
    }
}

impl Person for AtTerminal {
    fn password(&self) -> io::Result<Option<Secret>> {
        match self.passwords.read()? {
            None if self.attended => password::prompt(self.passwords.username()),
            password => Ok(password),
        }
    }

    fn code(&self, prompt: CodePrompt) -> io::Result<Option<Secret>> {
        if !self.attended {
            return Ok(None);
        }
        if prompt.refused > 0 {
            output::talk(&format!(
                "Apple refused that code ({} of {} tries).",
                prompt.refused, prompt.tries_max
            ));
        }
        loop {
            output::talk("Type the six digits that a trusted device shows, then Enter (empty to give up):");
            let mut line = String::new();
            if io::stdin().lock().read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match code(&line) {
                Typed::Nothing => return Ok(None),
                Typed::Code(code) => return Ok(Some(Secret::new(code))),
                // Not sent: each code that Apple refuses counts against the account.
                Typed::Other => output::talk("That is not a code of six digits."),
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Nothing,
    Code(String),
    Other,
}

/// Reads a code as people type it: `123456`, `123 456`, `123-456`.
fn code(line: &str) -> Typed {
    let digits: String = line.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    match digits.len() {
        0 => Typed::Nothing,
        6 if digits.bytes().all(|b| b.is_ascii_digit()) => Typed::Code(digits),
        _ => Typed::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it_and_anything_else_is_not_sent() {
        for line in ["123456\n", " 123 456", "123-456\r\n"] {
            assert_eq!(code(line), Typed::Code("123456".to_owned()));
        }
        assert_eq!((code("\n"), code("12345"), code("12345a")), (Typed::Nothing, Typed::Other, Typed::Other));
    }

    #[test]
    fn nobody_is_asked_where_nobody_is() {
        let nowhere = Path::new("/nowhere");
        let passwords = |password| Passwords::new("u", nowhere, nowhere).with_variable(password);
        let person = |password| AtTerminal { passwords: passwords(password), attended: false };
        assert_eq!(person(None).password().unwrap(), None);
        assert_eq!(person(None).code(CodePrompt { refused: 0, tries_max: 3 }).unwrap(), None);
        assert_eq!(person(Some(Secret::new("p"))).password().unwrap(), Some(Secret::new("p")));
    }
}
