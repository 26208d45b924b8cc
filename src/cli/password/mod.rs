//! The password of an account: never a flag, never in the configuration file, and asked for only
//! when no saved session will do.
//!
//! The first of these that there is:
//!
//! 1. `ROLLBOOK_PASSWORD`,
//! 2. the first line of `password-file`, which nobody else may read,
//! 3. the first line that `password-command` prints,
//! 4. what `rollbook login --save` kept,
//! 5. a person at a terminal ([`prompt`]).
//!
//! The order is by kind, not by layer, so that it can be said in one line. A source that cannot be
//! used is a problem and not a reason to go on to the next: a password that nobody meant is a wrong
//! password, and a few of those lock the account.
//!
//! Passwords are [`Secret`]s from the byte on that they enter, and no argument of any process.

mod command;
mod file;
#[cfg_attr(not(all(feature = "keyring", target_os = "linux")), path = "no_keyring.rs")]
mod keyring;
mod saved;
mod seal;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

pub(crate) use saved::Saved;

use crate::cli::output::sanitize;
use crate::cli::problem::Problem;
use crate::cli::settings;
use crate::model::secret::Secret;

/// How the password of one account is come by.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    username: String,
    variable: Option<Secret>,
    file: Option<PathBuf>,
    command: Option<String>,
    saved: Saved,
    asked: Arc<AtomicBool>,
}

impl Passwords {
    /// Of an account that has nothing but what may be saved.
    pub(crate) fn new(username: &str, data_dir: &Path, key_file: &Path) -> Self {
        Self {
            username: username.to_owned(),
            variable: None,
            file: None,
            command: None,
            saved: Saved::new(username, data_dir, key_file),
            asked: Arc::default(),
        }
    }

    /// With the value of `ROLLBOOK_PASSWORD`, or a password that is in hand already.
    pub(crate) fn with_variable(self, variable: Option<Secret>) -> Self {
        Self { variable, ..self }
    }

    /// With the setting `password-file`.
    pub(crate) fn with_file(self, file: Option<PathBuf>) -> Self {
        Self { file, ..self }
    }

    /// With the setting `password-command`.
    pub(crate) fn with_command(self, command: Option<String>) -> Self {
        Self { command, ..self }
    }

    /// The account they are for.
    pub(crate) fn username(&self) -> &str {
        &self.username
    }

    /// The password in the environment.
    pub(crate) fn variable(&self) -> Option<&Secret> {
        self.variable.as_ref()
    }

    /// The path of the password file.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// The saved password.
    pub(crate) fn saved(&self) -> &Saved {
        &self.saved
    }

    /// The password that needs nobody; `None` when there is no such source. May block.
    ///
    /// # Errors
    /// A problem of the source that would be used.
    pub(crate) fn read(&self) -> Result<Option<Secret>, Problem> {
        self.asked.store(true, Ordering::Relaxed);
        match self.read_configured()? {
            Some(password) => Ok(Some(password)),
            None => self.saved.load(),
        }
    }

    /// Whether a sign-in has asked for one: a saved session needs none.
    pub(crate) fn were_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// As [`Self::read`], without what was saved before.
    pub(crate) fn read_configured(&self) -> Result<Option<Secret>, Problem> {
        match (&self.variable, &self.file, &self.command) {
            (Some(password), ..) => Ok(Some(password.clone())),
            (_, Some(path), _) => file::read(path).map(Some),
            (.., Some(command)) => command::run(command, &self.username).map(Some),
            _ => Ok(None),
        }
    }

    /// `***` if there is a source that needs nobody, and its name.
    pub(crate) fn shown(&self) -> (Option<String>, String) {
        let source = match (&self.variable, &self.file, &self.command) {
            (Some(_), ..) => settings::PASSWORD.variable(),
            (_, Some(_), _) => settings::PASSWORD_FILE.key.to_owned(),
            (.., Some(_)) => settings::PASSWORD_COMMAND.key.to_owned(),
            _ => match self.saved.place() {
                Some(place) => format!("saved in {place}"),
                None => return (None, "asked at a terminal".to_owned()),
            },
        };
        (Some("***".to_owned()), source)
    }

    /// What to do when Apple says that the password is wrong.
    pub(crate) fn correction(&self) -> String {
        match (&self.variable, &self.file, &self.command) {
            (Some(_), ..) => {
                format!("correct {}, then run \"rollbook login\"", settings::PASSWORD.variable())
            }
            (_, Some(path), _) => format!("correct {}, then run \"rollbook login\"", path.display()),
            (.., Some(_)) => "correct what password-command prints, then run \"rollbook login\"".to_owned(),
            _ if self.saved.place().is_some() => {
                "run \"rollbook login --save\" at a terminal to replace the saved password".to_owned()
            }
            _ => "run \"rollbook login\" again, and type the right one".to_owned(),
        }
    }
}

/// Asks for a password at the terminal, unseen. `None`: the person does not want to.
///
/// # Errors
/// When there is no terminal to ask at.
pub(crate) fn prompt(username: &str) -> io::Result<Option<Secret>> {
    /// One question at a time: accounts sign in side by side.
    static ASKING: Mutex<()> = Mutex::new(());
    let _one = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
    let typed = Zeroizing::new(rpassword::prompt_password(format!("Password for {}: ", sanitize(username)))?);
    // An empty line is a person who does not want to, and Apple counts every try.
    Ok((!typed.is_empty()).then(|| Secret::new(typed.as_str())))
}

/// The first line of what a file or a command gives, without its end.
fn first_line(bytes: &[u8]) -> Result<Secret, &'static str> {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok("") => Err("its first line is empty"),
        Ok(text) if text.contains('\0') => Err("its first line is not text"),
        Ok(text) => Ok(Secret::new(text)),
        Err(_) => Err("its first line is not UTF-8"),
    }
}

/// A path as it is typed in a shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@+,:%".contains(c);
    if text.chars().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_and_never_an_empty_one() {
        for text in ["a b#\n", "a b#", "a b#\r\nmore\n", "a b#\n\n"] {
            assert_eq!(first_line(text.as_bytes()).unwrap().expose(), "a b#", "{text:?}");
        }
        for wrong in [&b""[..], b"\n", b"\r\nx", b"\xff\n", b"a\0b\n"] {
            assert!(first_line(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_hint_can_be_pasted_into_a_shell() {
        assert_eq!(quoted(Path::new("/etc/rollbook/pass")), "/etc/rollbook/pass");
        assert_eq!(quoted(Path::new("/my photos/it's")), r"'/my photos/it'\''s'");
    }
}
