//! Bringing a code to a run that waits for one: it holds the lock and the session, so `rollbook
//! login` hands the code over instead of signing in beside it.

use std::io;

use crate::cli::answer::print;
use crate::cli::code::{self, Typed};
use crate::cli::exit::Exit;
use crate::cli::handover::{self, Outcome};
use crate::cli::output::{self, sanitize};
use crate::cli::problem::Problem;
use crate::cli::{explain, person};
use crate::disk::Desk;
use crate::engine::Stop;
use crate::icloud::{CodeEntry, CodePrompt};

/// Brings a code to the run that waits at `desk`, or asks for one to bring.
///
/// # Errors
/// A problem when nobody has a code, when it is refused, or when the run is gone.
pub(super) async fn to_waiting_run(desk: Desk, entry: Option<CodeEntry>, stop: &Stop) -> Result<(), Problem> {
    tokio::select! {
        brought = tokio::task::spawn_blocking(move || bring(&desk, entry)) => {
            brought.unwrap_or_else(|_panicked| Err(handover::unanswered()))
        }
        () = stop.requested() => Err(explain::interrupted()),
    }
}

/// Brings codes to the run that waits, until one is accepted.
fn bring(desk: &Desk, entry: Option<CodeEntry>) -> Result<(), Problem> {
    let mut prompt = CodePrompt::default();
    if entry.is_none() {
        output::talk("a run waits for a code; what you type is handed over to it");
    }
    let mut next = entry;
    loop {
        let entry = match next.take() {
            Some(entry) => entry,
            None => ask(&prompt)?,
        };
        match handover::deliver(desk, &entry)? {
            Outcome::Accepted => {
                print("the code was accepted; the run that waited goes on")?;
                return Ok(());
            }
            Outcome::Refused { left } => {
                output::talk(&format!("Apple refused the code ({left} more may be tried)"));
                if left == 0 || !person::is_attended() {
                    return Err(refused());
                }
            }
            Outcome::Sent { phone } => {
                let to = phone.as_deref().map_or_else(|| "the trusted devices".into(), sanitize);
                output::talk(&format!("a code was sent to {to}"));
            }
            Outcome::Choose { phones } => {
                output::talk(&code::choice(phones.iter().map(String::as_str)));
            }
            Outcome::Ended => return Err(handover::unanswered()),
        }
        prompt = CodePrompt::default();
    }
}

/// Asks at the terminal, if there is one.
fn ask(prompt: &CodePrompt) -> Result<CodeEntry, Problem> {
    if !person::is_attended() {
        return Err(Problem::new(Exit::NeedsPerson, "cannot sign in yet")
            .why("a run waits for a code, and nobody is here to type one")
            .hint("run \"rollbook login --code 123456\" with the digits, or \"rollbook login --sms 1\""));
    }
    loop {
        output::talk(&code::question(prompt));
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        read.map_err(|error| explain::system("cannot read from the terminal", &error))?;
        match line.parse().unwrap_or(Typed::Other) {
            Typed::Nothing => return Err(explain::interrupted()),
            Typed::Entry(entry) => return Ok(entry),
            Typed::Other => output::talk("That is not a code of six digits."),
        }
    }
}

fn refused() -> Problem {
    Problem::new(Exit::NeedsPerson, "cannot sign in yet").why("apple refused the code").hint(
        "run \"rollbook login --code 123456\" with the newest code, or \"rollbook login --sms\" for another",
    )
}
