//! `rollbook login`: sign in once, so that later runs need nobody.

use std::io::{self, IsTerminal as _};

use crate::cli::account::Account;
use crate::cli::args::Args;
use crate::cli::commands::open::{self, House};
use crate::cli::commands::{accounts, print};
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::output::{Style, sanitize};
use crate::cli::password;
use crate::cli::problem::Problem;
use crate::engine::Stop;
use crate::icloud::{Need, SignInError};
use crate::model::secret::Secret;

/// Signs in, by the saved session if it is still good.
pub(super) async fn run(args: &Args, config: &Config, style: Style, stop: Stop) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    let house = open::house(config)?;
    let work = |index: usize| {
        let (account, stop) = (&accounts[index], stop.clone());
        let house = &house;
        async move {
            if args.save { save(house, account, &stop).await } else { login(house, account, &stop).await }
        }
    };
    Ok(accounts::in_turn(accounts, style, work).await?.exit)
}

async fn login(house: &House, account: &Account, stop: &Stop) -> Result<(), Problem> {
    open::sign_in(house, account, account.passwords()?, stop).await?;
    signed_in(house, account)
}

/// Signs in with a password that is kept afterwards.
async fn save(house: &House, account: &Account, stop: &Stop) -> Result<(), Problem> {
    let asked = tokio::task::spawn_blocking({
        let account = account.clone();
        move || ask(&account)
    });
    let password = tokio::select! {
        asked = asked => asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?,
        () = stop.requested() => return Err(explain::interrupted()),
    };
    let passwords = account.passwords()?.clone().with_variable(Some(password.clone()));
    open::sign_in(house, account, &passwords, stop).await?;
    signed_in(house, account)?;
    let saving = tokio::task::spawn_blocking({
        let saved = passwords.saved().clone();
        move || saved.save(&password)
    });
    let kept = saving.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    if !passwords.were_asked() {
        // Proving it would cost a code, and Apple counts sign-ins.
        print("the session was still good, so Apple was not asked whether the password is right")?;
    }
    print(&kept.to_string())
}

/// The password that is to be kept: from a source other than what is kept already, or typed.
fn ask(account: &Account) -> Result<Secret, Problem> {
    let passwords = account.passwords()?;
    let password = match passwords.read_configured()? {
        None if io::stdin().is_terminal() => password::prompt(passwords.username())
            .map_err(|error| explain::system("cannot ask for the password", &error))?,
        password => password,
    };
    password.ok_or_else(|| SignInError::NeedsPerson(Need::Password).into())
}

fn signed_in(house: &House, account: &Account) -> Result<(), Problem> {
    let username = sanitize(account.username()?);
    print(&format!("signed in as {username}; the session is kept in {}", house.data_dir.path().display()))
}

/// Removes what `--save` kept.
pub(super) fn forget(config: &Config) -> Result<Exit, Problem> {
    for account in &config.accounts {
        let username = account.username()?;
        let removed = account.passwords()?.saved().forget()?;
        let said = if removed { "the kept password is removed" } else { "no password was kept" };
        print(&format!("{}: {said}; the session stays as it is", sanitize(username)))?;
    }
    Ok(Exit::Done)
}
