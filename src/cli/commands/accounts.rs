//! Several accounts in one run: each ends in its own way, and none holds up another.

use std::future::Future;

use futures::future;

use crate::cli::account::Account;
use crate::cli::exit::Exit;
use crate::cli::output::{self, Style};
use crate::cli::problem::Problem;
use crate::engine::Stop;

/// What became of every account.
pub(super) struct Ended<T> {
    /// What those answered that did not end with a problem, in their order.
    pub(super) answers: Vec<T>,
    /// The most urgent exit code of the problems.
    pub(super) exit: Exit,
}

/// Works for all accounts at the same time.
///
/// With several, a problem is told as soon as it is there, with the name of its account, and the
/// others go on.
///
/// # Errors
/// The problem, where there is but one account.
pub(super) async fn side_by_side<T, F>(
    accounts: &[Account],
    style: Style,
    stop: &Stop,
    work: impl Fn(usize, Stop) -> F,
) -> Result<Ended<T>, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    if accounts.len() == 1 {
        return Ok(Ended { answers: vec![work(0, stop.clone()).await?], exit: Exit::Done });
    }
    let all = accounts.iter().enumerate().map(async |(index, account)| {
        let done = work(index, of_its_own(stop)).await;
        done.map_err(|problem| tell(problem, account, style))
    });
    Ok(settle(future::join_all(all).await))
}

/// Works for all accounts one after the other: where a person is asked.
///
/// # Errors
/// The problem, where there is but one account.
pub(super) async fn in_turn<T, F>(
    accounts: &[Account],
    style: Style,
    work: impl Fn(usize) -> F,
) -> Result<Ended<T>, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    if accounts.len() == 1 {
        return Ok(Ended { answers: vec![work(0).await?], exit: Exit::Done });
    }
    let mut done = Vec::new();
    for (index, account) in accounts.iter().enumerate() {
        done.push(work(index).await.map_err(|problem| tell(problem, account, style)));
    }
    Ok(settle(done))
}

fn tell(problem: Problem, account: &Account, style: Style) -> Exit {
    let exit = problem.exit;
    output::talk(&style.paint(&problem.of(account.label()).to_string()));
    exit
}

fn settle<T>(done: Vec<Result<T, Exit>>) -> Ended<T> {
    let mut answers = Vec::new();
    let mut exits = Vec::new();
    for done in done {
        match done {
            Ok(answer) => answers.push(answer),
            Err(exit) => exits.push(exit),
        }
    }
    Ended { answers, exit: Exit::most_urgent(exits) }
}

/// A wish to stop that follows `stop`. The engine makes it too when a run cannot go on, and what
/// ends the run of one account must not end those of the others.
fn of_its_own(stop: &Stop) -> Stop {
    let (own, stop) = (Stop::default(), stop.clone());
    let follower = own.clone();
    tokio::spawn(async move {
        stop.requested().await;
        follower.request();
    });
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_stops_one_account_stops_no_other_and_what_stops_all_stops_each() {
        let all = Stop::default();
        let (one, other) = (of_its_own(&all), of_its_own(&all));
        one.request();
        assert!(!all.is_requested() && !other.is_requested());
        all.request();
        other.requested().await;
    }
}
