//! `rollbook health`: whether the copy is kept up to date, in the exit code. For a monitor or a
//! container's health check; it reads the journal and the data directory, and asks nobody else.
//!
//! A file that fails again and again is no matter of health: `status` names it. What counts is
//! that runs finish, and that no person is waited for.

use std::time::Duration;

use serde::Serialize;

use crate::cli::answer::{print, print_json, table};
use crate::cli::clock::now;
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::problem::Problem;
use crate::cli::standing::SignIn;
use crate::cli::{explain, format};
use crate::disk::DataDir;
use crate::journal::{Attempt, Pulse, Reader};

/// The answer for a program. The keys are a contract: they are added to, never renamed.
#[derive(Debug, Serialize)]
struct Health {
    /// `alive`, `stale` or `needs-person`: of all accounts, the one that wants most.
    health: &'static str,
    /// How long ago the last sign of life may be, in seconds.
    max_age_s: u64,
    /// Every account.
    accounts: Vec<OfAccount>,
}

/// How one account does.
#[derive(Debug, Serialize)]
struct OfAccount {
    /// Its name.
    username: String,
    /// `alive`, `stale` or `needs-person`.
    health: &'static str,
    /// Unix seconds when a run last finished; null if none ever did.
    finished_at: Option<i64>,
    /// Unix seconds when a run that has not finished last brought a file on; null if none did.
    moved_at: Option<i64>,
    /// Unix seconds of the last attempt; null before the first.
    attempted_at: Option<i64>,
    /// Its exit code.
    attempt_exit: Option<u8>,
    /// What was said, if it was a problem; or what a person has to do.
    said: Option<String>,
}

/// How an account does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Alive,
    Stale,
    NeedsPerson,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Stale => "stale",
            Self::NeedsPerson => "needs-person",
        }
    }

    fn exit(self) -> Exit {
        match self {
            Self::Alive => Exit::Done,
            Self::Stale => Exit::FilesOpen,
            Self::NeedsPerson => Exit::NeedsPerson,
        }
    }
}

/// Says how it does.
pub(super) fn run(config: &Config, max_age: Duration, json: bool) -> Result<Exit, Problem> {
    let data_dir = DataDir::at(&config.data_dir);
    let path = data_dir.journal_path();
    let there = path.try_exists().map_err(|error| explain::system("cannot look for the journal", &error))?;
    let reader = if there { Some(Reader::open(&path)?) } else { None };
    let mut usernames: Vec<String> =
        config.accounts.iter().filter_map(|account| account.username().ok().map(str::to_owned)).collect();
    if let (Some(reader), true) = (&reader, usernames.is_empty()) {
        usernames = reader.usernames()?;
    }
    let mut accounts = Vec::new();
    for username in usernames {
        let pulse = reader.as_ref().map(|reader| reader.pulse(&username)).transpose()?.unwrap_or_default();
        let sign_in = SignIn::read(&data_dir, &username, now())?;
        accounts.push(judge(username, pulse, sign_in, max_age));
    }
    let exit = match accounts.as_slice() {
        [] => Exit::FilesOpen,
        accounts => Exit::most_urgent(accounts.iter().map(|(state, _)| state.exit())),
    };
    let health = [State::NeedsPerson, State::Stale].into_iter().find(|state| state.exit() == exit);
    let answer = Health {
        health: health.unwrap_or(State::Alive).word(),
        max_age_s: max_age.as_secs(),
        accounts: accounts.into_iter().map(|(_, account)| account).collect(),
    };
    if json {
        print_json(&answer)?;
    } else {
        print(&answer.to_text())?;
    }
    Ok(exit)
}

fn judge(username: String, pulse: Pulse, sign_in: Option<SignIn>, max_age: Duration) -> (State, OfAccount) {
    let Pulse { finished_at, moved_at, attempt } = pulse;
    let of_sign_in = sign_in.filter(|of| of.waiting_since.is_some() || of.password_refused_at.is_some());
    let asked = of_sign_in.and_then(|of| of.lines(now()).into_iter().next()).map(|(_, text)| text);
    let needs_person = attempt.as_ref().is_some_and(|attempt| attempt.exit == Exit::NeedsPerson.code());
    let last = finished_at.max(moved_at);
    let fresh = last.is_some_and(|at| now().saturating_sub(at) <= max_age.as_secs().cast_signed());
    let state = match (asked.is_some() || needs_person, fresh) {
        (true, _) => State::NeedsPerson,
        (false, true) => State::Alive,
        (false, false) => State::Stale,
    };
    let (at, exit, said) = match attempt {
        Some(Attempt { at, exit, said }) => (Some(at), Some(exit), said),
        None => (None, None, None),
    };
    let account = OfAccount {
        username,
        health: state.word(),
        finished_at,
        moved_at,
        attempted_at: at,
        attempt_exit: exit,
        said: asked.or(said),
    };
    (state, account)
}

impl Health {
    fn to_text(&self) -> String {
        if self.accounts.is_empty() {
            return "stale  no run has finished yet".to_owned();
        }
        table(self.accounts.iter().map(OfAccount::row), &[])
    }
}

impl OfAccount {
    fn row(&self) -> Vec<String> {
        let last = match self.finished_at.max(self.moved_at) {
            None => "no run has finished yet".to_owned(),
            Some(at) => {
                let age = format::wait(now().saturating_sub(at).max(0).unsigned_abs());
                let what = if Some(at) == self.finished_at { "a run finished" } else { "a file came" };
                format!("{what} {age} ago")
            }
        };
        let said = self.said.clone().unwrap_or_default();
        vec![self.health.to_owned(), self.username.clone(), last, said]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_finish_are_life_and_a_person_who_is_needed_comes_first() {
        let day = Duration::from_secs(86_400);
        let attempt = |exit| Some(Attempt { at: now(), exit, said: None });
        let judged = |pulse: Pulse, sign_in| judge("a".to_owned(), pulse, sign_in, day).0;
        let finished = |ago: i64| Pulse { finished_at: Some(now() - ago), ..Pulse::default() };
        assert_eq!(judged(Pulse::default(), None), State::Stale);
        assert_eq!(judged(finished(3_600), None), State::Alive);
        assert_eq!(judged(finished(90_000), None), State::Stale);
        assert_eq!(judged(Pulse { moved_at: Some(now() - 5), ..finished(90_000) }, None), State::Alive);
        assert_eq!(judged(Pulse { attempt: attempt(1), ..finished(0) }, None), State::Alive);
        assert_eq!(judged(Pulse { attempt: attempt(5), ..finished(90_000) }, None), State::Stale);
        assert_eq!(judged(Pulse { attempt: attempt(3), ..finished(0) }, None), State::NeedsPerson);
        let waiting = SignIn { waiting_since: Some(0), ..SignIn::default() };
        assert_eq!(judged(finished(0), Some(waiting)), State::NeedsPerson);
    }
}
