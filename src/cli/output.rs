//! The two streams: data on standard output, talk on standard error.
//!
//! Both scroll above the bar while one is shown. A reader that went away (`rollbook status |
//! head`) is no error; a full disk behind a redirection is.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

use crate::cli::environment::Environment;

/// The bar on the terminal, if one is shown. A process has one terminal, so this is one static.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Writes data and a line end to standard output, above the bar.
///
/// # Errors
/// When it cannot be written, unless the reader went away.
pub(crate) fn data(text: &str) -> io::Result<()> {
    let write = || {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush())
    };
    match above_bar(write) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A long answer, written to standard output piece by piece as it is found.
///
/// No bar is shown meanwhile. A reader that went away is no error: [`Long::is_wanted`] says so.
pub(crate) struct Long {
    out: Box<dyn io::Write + Send>,
    wanted: bool,
}

impl Long {
    /// Begins one on standard output.
    pub(crate) fn begin() -> Self {
        Self::to(io::stdout())
    }

    /// Begins one anywhere.
    pub(crate) fn to(out: impl io::Write + Send + 'static) -> Self {
        Self { out: Box::new(io::BufWriter::with_capacity(64 * 1024, out)), wanted: true }
    }

    /// Whether anybody still reads it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Writes a piece.
    ///
    /// # Errors
    /// When it cannot be written, unless the reader went away.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.out.write_all(bytes);
        self.forgive(written)
    }

    /// Hands over what is still kept back.
    ///
    /// # Errors
    /// As [`Long::write`].
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.forgive(flushed)
    }

    fn forgive(&mut self, written: io::Result<()>) -> io::Result<()> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.wanted = false;
                Ok(())
            }
            written => written,
        }
    }
}

/// Writes a line of talk to standard error, above the bar.
pub(crate) fn talk(text: &str) {
    above_bar(|| {
        // Nobody is left to tell that nobody listens.
        let _ = writeln!(io::stderr().lock(), "{text}");
    });
}

/// Clears the bar while `write` writes to the terminal, then draws it again.
pub(crate) fn above_bar<R>(write: impl FnOnce() -> R) -> R {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Says which bar stands on the terminal from now on.
pub(crate) fn set_bar(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// How the word at the head of a line of talk is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    color: bool,
}

impl Style {
    /// Colour if standard error is a terminal that has some, and nobody asked for none.
    pub(crate) fn of(environment: &Environment) -> Self {
        let dumb = environment.get("TERM").is_some_and(|term| term == "dumb");
        Self { color: environment.get("NO_COLOR").is_none() && !dumb && io::stderr().is_terminal() }
    }

    /// `line` with its first word up to the colon in bold red or yellow.
    pub(crate) fn paint<'a>(self, line: &'a str) -> Cow<'a, str> {
        let color = if line.starts_with("error:") { "1;31" } else { "1;33" };
        match line.split_once(':') {
            Some((word, rest)) if self.color && matches!(word, "error" | "warning") => {
                format!("\x1b[{color}m{word}:\x1b[0m{rest}").into()
            }
            _ => line.into(),
        }
    }
}

/// Makes a stranger's text harmless to a terminal: no control character, nothing that reverses
/// the direction of reading.
pub(crate) fn sanitize(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(harmful) { text.replace(harmful, "\u{fffd}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_of_a_file_name_reaches_the_terminal() {
        assert_eq!(
            sanitize("a\x1b]0;owned\x07b\r\nc\u{9b}2J"),
            "a\u{fffd}]0;owned\u{fffd}b\u{fffd}\u{fffd}c\u{fffd}2J"
        );
        assert_eq!(sanitize("photo\u{202e}gpj.exe"), "photo\u{fffd}gpj.exe");
        assert!(matches!(sanitize("Été 2024 🏖.HEIC"), Cow::Borrowed(_)));
    }

    #[test]
    fn only_the_word_in_front_is_coloured_and_none_without_colour() {
        assert_eq!(Style { color: true }.paint("error: a: b"), "\x1b[1;31merror:\x1b[0m a: b");
        assert_eq!(Style { color: true }.paint("plain: a"), "plain: a");
        assert_eq!(Style { color: false }.paint("warning: a"), "warning: a");
    }
}
