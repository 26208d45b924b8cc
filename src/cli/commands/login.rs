//! `rollbook login`: sign in once, so that later runs need nobody.
//!
//! While a run waits for a code it holds the lock and the session, and this command brings the
//! code to it instead of signing in beside it.

use std::io;

use crate::cli::code::{self, Typed};
use crate::cli::commands::{now, open, print};
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::handover::{self, Outcome};
use crate::cli::output::{self, sanitize};
use crate::cli::problem::Problem;
use crate::cli::standing::SignIn;
use crate::cli::{explain, person};
use crate::disk::{DataDir, Desk};
use crate::engine::Stop;
use crate::icloud::{CodeEntry, CodePrompt};

/// Signs in, by the saved session if it is still good, or brings a code to the run that waits.
pub(super) async fn run(config: &Config, stop: Stop, entry: Option<CodeEntry>) -> Result<Exit, Problem> {
    let username = config.username()?;
    let desk = DataDir::at(&config.data_dir).desk(username);
    if handover::waiting(&desk)?.is_some() {
        return tokio::select! {
            brought = tokio::task::spawn_blocking(move || bring(&desk, entry)) => {
                brought.unwrap_or_else(|_panicked| Err(handover::unanswered()))
            }
            () = stop.requested() => Err(explain::interrupted()),
        };
    }
    let manner = open::Manner { entry, deliberate: true, ..open::Manner::default() };
    open::open_as(config, username, &stop, manner).await?;
    print(&format!(
        "signed in as {}; the session is kept in {}",
        sanitize(username),
        config.data_dir.display()
    ))?;
    let standing = SignIn::read(&DataDir::at(&config.data_dir), username, now())?;
    for (label, text) in standing.iter().flat_map(|standing| standing.lines(now())) {
        print(&format!("{label}: {text}"))?;
    }
    Ok(Exit::Done)
}

/// Brings codes to the run that waits, until one is accepted.
fn bring(desk: &Desk, entry: Option<CodeEntry>) -> Result<Exit, Problem> {
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
                return Ok(Exit::Done);
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
