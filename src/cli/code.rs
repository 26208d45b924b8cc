//! The code of the second factor: who may bring it, and how long we wait.
//!
//! A code comes from whoever is first: the command line (`login --code`), the terminal, another
//! process (`login --code` while a run waits), or a file that a person wrote. A run that nobody
//! watches waits for a day, says so once, and goes on as soon as a code comes.

use std::io::{self, BufRead as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::handover::{Notice, Outcome, Request};
use crate::cli::notify::{Event, Notifier};
use crate::cli::output::{self, sanitize};
use crate::cli::{format, handover};
use crate::disk::{Desk, Waiting};
use crate::engine::Stop;
use crate::icloud::{CodeEntry, CodePrompt, News, Phone};
use crate::model::secret::Secret;

/// How long a run waits for a code when nobody watches it. A day: whoever looks after it sees it
/// once, and a job that a scheduler starts anew does not hang for ever.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Time between two looks at what was left for us. Short enough to obey a signal at once.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where codes may come from in this run.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// What the command line brought.
    pub(crate) in_hand: Option<CodeEntry>,
    /// How long to wait when there is no terminal; `None` for not at all.
    pub(crate) wait_max: Option<Duration>,
    /// Whether somebody sits at a terminal.
    pub(crate) attended: bool,
}

/// Who is called when nobody is there.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// How.
    pub(crate) notifier: Notifier,
    /// For which account.
    pub(crate) username: String,
}

/// Asks for codes.
#[derive(Debug)]
pub(crate) struct Codes {
    sources: Sources,
    call: Call,
    desk: Desk,
    stop: Stop,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_hand: Option<CodeEntry>,
    waiting: Option<Waiting>,
    /// Until when; fixed with the first question.
    until: Option<Instant>,
    /// Codes that were refused when the last question was put.
    refused: u32,
    /// The request that wants a reply.
    owed: Option<String>,
    /// A line that somebody may still type.
    terminal: Option<Receiver<io::Result<String>>>,
    /// Whether an unreadable code file was complained about.
    complained: bool,
}

impl Codes {
    /// Codes from these sources.
    pub(crate) fn new(mut sources: Sources, desk: Desk, stop: Stop) -> Self {
        let state = State { in_hand: sources.in_hand.take(), ..State::default() };
        Self { sources, call: Call::default(), desk, stop, state: Mutex::new(state) }
    }

    /// The same, with somebody to call when nobody is there.
    pub(crate) fn calling(mut self, call: Call) -> Self {
        self.call = call;
        self
    }

    /// Calls a person who does not sit at the terminal.
    pub(crate) fn call(&self, said: String) {
        if !self.sources.attended {
            self.call.notifier.tell(&self.call.username, Event::PersonNeeded { said });
        }
    }

    /// Whether the command line brought something.
    pub(crate) fn in_hand(&self) -> bool {
        self.state().in_hand.is_some()
    }

    /// Asks for a code, or for a way to get one. `None`: nobody brings one.
    ///
    /// # Errors
    /// [`io::ErrorKind::Interrupted`] when the run is asked to stop.
    pub(crate) fn ask(&self, prompt: &CodePrompt) -> io::Result<Option<CodeEntry>> {
        // Said once: a prompt goes on counting what was refused, whatever was asked since.
        let refused_before = std::mem::replace(&mut self.state().refused, prompt.refused);
        let is_news = prompt.refused > refused_before;
        let prompt = &CodePrompt { refused: if is_news { prompt.refused } else { 0 }, ..prompt.clone() };
        let asked_elsewhere = self.state().owed.is_some();
        self.reply_to(prompt);
        if !asked_elsewhere && !self.sources.attended && is_news && self.state().waiting.is_some() {
            let left = prompt.tries_max.saturating_sub(prompt.refused);
            output::talk(&format!("Apple refused the code ({left} more may be tried)"));
        }
        if let Some(entry) = self.state().in_hand.take() {
            return Ok(Some(entry));
        }
        if self.sources.attended {
            output::talk(&question(prompt));
        } else if prompt.phone.is_none() && !prompt.phones.is_empty() {
            output::talk(&choice(prompt.phones.iter().map(|phone| phone.number.as_str())));
        }
        if !self.sources.attended && self.sources.wait_max.is_none() {
            return Ok(None);
        }
        self.begin_waiting()?;
        self.wait()
    }

    /// Hears what became of a code.
    pub(crate) fn tell(&self, news: &News) {
        match news {
            News::CodeAccepted => {
                self.reply(Outcome::Accepted);
                let waited = self.state().waiting.take().is_some();
                if waited {
                    output::talk("the code was accepted");
                }
            }
            News::CodeSent { phone: Some(phone) } => output::talk(&sent(phone)),
            _ => {}
        }
    }

    fn begin_waiting(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.waiting.is_some() {
            return Ok(());
        }
        let wait_max = self.sources.wait_max.filter(|_| !self.sources.attended);
        state.until = wait_max.map(|wait| Instant::now() + wait);
        let notice = Notice::now(wait_max);
        state.waiting = Some(self.desk.wait(&handover::bytes(&notice))?);
        drop(state);
        if let Some(until) = notice.until {
            let said = format!(
                "waiting for a code until {}: run \"rollbook login --code 123456\" in another shell, or write the \
                 six digits to {} (\"rollbook login --sms\" sends a text message)",
                format::moment(until),
                sanitize(&self.desk.code_path().to_string_lossy())
            );
            output::talk(&said);
            self.call(said);
        }
        Ok(())
    }

    fn wait(&self) -> io::Result<Option<CodeEntry>> {
        let until = self.state().until;
        loop {
            if self.stop.is_requested() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if let Some(request) = handover::read::<Request>(self.desk.take_request()?) {
                self.state().owed = Some(request.id);
                return Ok(Some(request.want.into()));
            }
            if let Some(code) = self.left_code() {
                return Ok(Some(CodeEntry::Code(code)));
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(None);
            }
            match self.typed()? {
                Some(Typed::Nothing) => return Ok(None),
                Some(Typed::Entry(entry)) => return Ok(Some(entry)),
                // Not sent: each code that Apple refuses counts against the account.
                Some(Typed::Other) => output::talk("That is not a code of six digits."),
                None => {}
            }
        }
    }

    /// The code that a person wrote to the file, if it is one.
    fn left_code(&self) -> Option<Secret> {
        let read = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<Code>().ok();
        match self.desk.take_code(|bytes| read(bytes).is_some()) {
            Ok(bytes) => bytes.as_deref().and_then(read).map(|code| code.0),
            Err(error) => {
                if !std::mem::replace(&mut self.state().complained, true) {
                    let path = self.desk.code_path().to_string_lossy();
                    output::talk(&format!("warning: cannot take the code in {}: {error}", sanitize(&path)));
                }
                None
            }
        }
    }

    /// What was typed within the time between two looks.
    fn typed(&self) -> io::Result<Option<Typed>> {
        if !self.sources.attended {
            std::thread::sleep(LOOK_EVERY);
            return Ok(None);
        }
        let mut state = self.state();
        let terminal = state.terminal.take().unwrap_or_else(read_line);
        match terminal.recv_timeout(LOOK_EVERY) {
            Ok(line) => Ok(Some(line?.parse().unwrap_or(Typed::Other))),
            Err(RecvTimeoutError::Timeout) => {
                state.terminal = Some(terminal);
                Ok(None)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(Some(Typed::Nothing)),
        }
    }

    /// Tells who made the last request what came of it, as the next question shows.
    fn reply_to(&self, prompt: &CodePrompt) {
        let numbers = || prompt.phones.iter().map(|phone| phone.number.clone()).collect();
        self.reply(match &prompt.phone {
            _ if prompt.refused > 0 => {
                Outcome::Refused { left: prompt.tries_max.saturating_sub(prompt.refused) }
            }
            None if !prompt.phones.is_empty() => Outcome::Choose { phones: numbers() },
            phone => Outcome::Sent { phone: phone.as_ref().map(|phone| phone.number.clone()) },
        });
    }

    fn reply(&self, outcome: Outcome) {
        let Some(id) = self.state().owed.take() else { return };
        // Whoever asked hears nothing then, and says so after a while.
        let _ = self.desk.put_reply(&handover::bytes(&handover::Reply { id, outcome }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Codes {
    fn drop(&mut self) {
        self.reply(Outcome::Ended);
    }
}

/// Reads one line on a thread of its own: nothing can end a read from a terminal.
fn read_line() -> Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        // The end of input is an empty line: somebody who does not want to.
        let _ = sender.send(read.map(|_| line));
    });
    receiver
}

/// What a person at a terminal is asked.
pub(crate) fn question(prompt: &CodePrompt) -> String {
    let mut lines = Vec::new();
    if prompt.refused > 0 {
        let (refused, tries) = (prompt.refused, prompt.tries_max);
        lines.push(format!("Apple refused that code ({refused} of {tries} tries)."));
    }
    if prompt.phone.is_none() && !prompt.phones.is_empty() {
        lines.push(choice(prompt.phones.iter().map(|phone| phone.number.as_str())));
    }
    let shown = match &prompt.phone {
        Some(phone) => format!("that came to {}", sanitize(&phone.number)),
        None => "that a trusted device shows".to_owned(),
    };
    lines.push(format!(
        "Type the six digits {shown}, then Enter (\"push\" asks the devices for a new code, \"sms\" sends a text \
         message, empty gives up):"
    ));
    lines.join("\n")
}

/// The phones that a text message may go to.
pub(crate) fn choice<'a>(numbers: impl Iterator<Item = &'a str>) -> String {
    let lines = numbers.enumerate().map(|(index, number)| format!("  {}  {}", index + 1, sanitize(number)));
    let lines: Vec<String> = lines.collect();
    format!(
        "Phones that a code can be sent to (choose one with its number, as in \"sms 1\"):\n{}",
        lines.join("\n")
    )
}

/// Where a code was sent.
fn sent(phone: &Phone) -> String {
    format!("a code was sent to {}", sanitize(&phone.number))
}

/// Six digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) Secret);

impl std::str::FromStr for Code {
    type Err = String;

    /// Reads a code as people write it: `123456`, `123 456`, `123-456`.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        match digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()) {
            true => Ok(Self(Secret::new(digits))),
            false => Err("a code has six digits".to_owned()),
        }
    }
}

/// What a person typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Nothing,
    Entry(CodeEntry),
    Other,
}

impl std::str::FromStr for Typed {
    type Err = std::convert::Infallible;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let line = line.trim().to_ascii_lowercase();
        let nth = line.strip_prefix("sms").map(str::trim);
        Ok(match (line.as_str(), nth) {
            ("", _) => Self::Nothing,
            ("push", _) => Self::Entry(CodeEntry::Push),
            ("sms", _) => Self::Entry(CodeEntry::Sms(None)),
            (_, Some(nth)) => nth.parse().map_or(Self::Other, |nth| Self::Entry(CodeEntry::Sms(Some(nth)))),
            (code, _) => code.parse().map_or(Self::Other, |Code(code)| Self::Entry(CodeEntry::Code(code))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DataDir;

    fn typed(line: &str) -> Typed {
        line.parse().unwrap()
    }

    #[test]
    fn a_code_is_read_as_people_type_it_and_anything_else_is_not_sent() {
        for line in ["123456\n", " 123 456", "123-456\r\n"] {
            assert_eq!(typed(line), Typed::Entry(CodeEntry::Code(Secret::new("123456"))));
        }
        assert_eq!(
            (typed("\n"), typed("12345"), typed("12345a")),
            (Typed::Nothing, Typed::Other, Typed::Other)
        );
        assert_eq!(typed("SMS"), Typed::Entry(CodeEntry::Sms(None)));
        assert_eq!(typed("sms 2\n"), Typed::Entry(CodeEntry::Sms(Some(2))));
        assert_eq!((typed("push"), typed("sms x")), (Typed::Entry(CodeEntry::Push), Typed::Other));
    }

    #[test]
    fn nobody_is_asked_where_nobody_is_and_a_code_in_hand_is_given_once() {
        let folder = tempfile::tempdir().unwrap();
        let code = CodeEntry::Code(Secret::new("123456"));
        let sources = Sources { in_hand: Some(code.clone()), ..Sources::default() };
        let codes = Codes::new(sources, DataDir::at(folder.path()).desk("u"), Stop::default());
        assert!(codes.in_hand());
        assert_eq!(codes.ask(&CodePrompt::default()).unwrap(), Some(code));
        assert_eq!(codes.ask(&CodePrompt::default()).unwrap(), None);
        assert!(!codes.in_hand());
    }
}
