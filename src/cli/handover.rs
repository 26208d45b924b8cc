//! Handing a code over to the run that waits for one.
//!
//! The run holds the lock and the session, so a second process cannot sign in beside it. It leaves
//! a request at the [`Desk`], and the run answers what Apple said.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::problem::Problem;
use crate::disk::Desk;
use crate::icloud::CodeEntry;
use crate::model::secret::Secret;

/// How long the run may take to answer: it may have to prove the password again, on a slow line.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(120);
/// Time between two looks for the answer.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the one who waits says about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// Since when, in Unix seconds.
    pub(crate) since: i64,
    /// Until when, in Unix seconds; `None` at a terminal, where it waits as long as the person.
    pub(crate) until: Option<i64>,
    /// The process that waits.
    pub(crate) pid: u32,
}

impl Notice {
    /// Of somebody who waits from now on.
    pub(crate) fn now(wait_max: Option<Duration>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let until = wait_max.map(|wait| seconds(since.saturating_add(wait)));
        Self { since: seconds(since), until, pid: std::process::id() }
    }
}

/// What another process asks of the one who waits. No `Debug`: it may hold a code.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    /// Names the request, so that its reply finds the one who asked.
    pub(crate) id: String,
    /// What it wants.
    pub(crate) want: Want,
}

/// A [`CodeEntry`], as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Want {
    /// Here is the code.
    Code(String),
    /// Ask the devices for one.
    Push,
    /// Send one by text message.
    Sms(Option<usize>),
}

/// What became of a request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// The request's name.
    pub(crate) id: String,
    /// What came of it.
    pub(crate) outcome: Outcome,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The code was right.
    Accepted,
    /// The code was wrong.
    Refused {
        /// How many more may be tried.
        left: u32,
    },
    /// A code is on its way.
    Sent {
        /// To which number; `None` for the devices.
        phone: Option<String>,
    },
    /// There are several phones.
    Choose {
        /// Their numbers.
        phones: Vec<String>,
    },
    /// The sign-in ended without an answer to it.
    Ended,
}

impl From<Want> for CodeEntry {
    fn from(want: Want) -> Self {
        match want {
            Want::Code(code) => Self::Code(Secret::new(code)),
            Want::Push => Self::Push,
            Want::Sms(nth) => Self::Sms(nth),
        }
    }
}

impl From<&CodeEntry> for Want {
    fn from(entry: &CodeEntry) -> Self {
        match entry {
            CodeEntry::Code(code) => Self::Code(code.expose().to_owned()),
            CodeEntry::Push => Self::Push,
            CodeEntry::Sms(nth) => Self::Sms(*nth),
        }
    }
}

/// What is written to the desk.
pub(crate) fn bytes(of: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(of).expect("plain values become JSON")
}

/// What was read from the desk; `None` if it makes no sense.
pub(crate) fn read<T: DeserializeOwned>(bytes: Option<Vec<u8>>) -> Option<T> {
    serde_json::from_slice(&bytes?).ok()
}

/// Who waits for a code, if anybody does.
///
/// # Errors
/// A problem when the desk cannot be read.
pub(crate) fn waiting(desk: &Desk) -> Result<Option<Notice>, Problem> {
    let notice = desk.waiting().map_err(|error| explain::system("cannot see whether a run waits", &error))?;
    Ok(read(notice))
}

/// Brings something to the one who waits, and returns what came of it. Blocks.
///
/// # Errors
/// A problem when nobody answers.
pub(crate) fn deliver(desk: &Desk, entry: &CodeEntry) -> Result<Outcome, Problem> {
    let broken = |error| explain::system("cannot hand the code over", &error);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = format!("{}-{}", std::process::id(), since.as_nanos());
    desk.put_request(&bytes(&Request { id: id.clone(), want: entry.into() })).map_err(broken)?;
    let until = Instant::now() + ANSWER_WAIT_MAX;
    loop {
        // Asked first: who answers and leaves has answered before the second look.
        let gone = desk.waiting().map_err(broken)?.is_none();
        if let Some(reply) = read::<Reply>(desk.take_reply().map_err(broken)?)
            && reply.id == id
        {
            return Ok(reply.outcome);
        }
        if gone || Instant::now() >= until {
            // Not left behind for the next one who waits.
            let _ = desk.take_request();
            return Err(unanswered());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Nobody said what became of the code.
pub(crate) fn unanswered() -> Problem {
    Problem::new(Exit::NeedsPerson, "cannot say whether the code was accepted")
        .why("the run that waited for it ended, or does not answer")
        .hint("look at \"rollbook status\", then run \"rollbook login\" again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DataDir;

    #[test]
    fn a_request_is_answered_by_the_one_who_waits_and_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let desk = DataDir::at(folder.path()).desk("u");
        let code = CodeEntry::Code(Secret::new("123456"));
        assert!(deliver(&desk, &code).is_err(), "nobody waits");

        let waiting = desk.wait(&bytes(&Notice::now(None))).unwrap();
        let asked = {
            let (desk, code) = (desk.clone(), code.clone());
            std::thread::spawn(move || deliver(&desk, &code))
        };
        let request = loop {
            if let Some(request) = read::<Request>(desk.take_request().unwrap()) {
                break request;
            }
            std::thread::yield_now();
        };
        assert_eq!(CodeEntry::from(request.want), code);
        desk.put_reply(&bytes(&Reply { id: request.id, outcome: Outcome::Accepted })).unwrap();
        assert_eq!(asked.join().unwrap().unwrap(), Outcome::Accepted);
        drop(waiting);
    }
}
