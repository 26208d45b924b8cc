//! `rollbook login`: sign in once, so that later runs need nobody.
//!
//! While a run waits for a code it holds the lock and the session, and this command brings the
//! code to it ([`bring`]) instead of signing in beside it.

use std::path::Path;

use crate::cli::account::Account;
use crate::cli::answer::print;
use crate::cli::args::Args;
use crate::cli::clock::now;
use crate::cli::commands::open::{self, House, Manner};
use crate::cli::commands::{accounts, bring};
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::handover;
use crate::cli::output::{Style, sanitize};
use crate::cli::password;
use crate::cli::problem::Problem;
use crate::cli::standing::SignIn;
use crate::cli::{explain, person};
use crate::disk::{DataDir, private};
use crate::engine::Stop;
use crate::icloud::{Need, SignInError, icloudpd};
use crate::model::secret::Secret;

/// What does without icloudpd's session.
const LOGIN_HINT: &str = "run \"rollbook login\" without --from-icloudpd";

/// Signs in, by the saved session if it is still good, or brings a code to the run that waits.
pub(super) async fn run(args: &Args, config: &Config, style: Style, stop: Stop) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    if let Some(account) = waiting(config, accounts)? {
        let desk = DataDir::at(&config.data_dir).desk(account.username()?);
        bring::to_waiting_run(desk, args.entry.clone(), &stop).await?;
        return Ok(Exit::Done);
    }
    if args.entry.is_some() && accounts.len() > 1 {
        return Err(Problem::new(Exit::Usage, "cannot tell whose code it is")
            .why("the configuration has several accounts, and no run waits for a code")
            .hint("choose one with --account"));
    }
    let house = open::house(config)?;
    let work = |index: usize| {
        let (account, house, stop) = (&accounts[index], &house, stop.clone());
        let manner = Manner { entry: args.entry.clone(), deliberate: true, ..Manner::default() };
        async move {
            if let Some(folder) = &args.from_icloudpd {
                take_over(house, account, folder)?;
            }
            if args.save {
                save(house, account, manner, &stop).await
            } else {
                open::sign_in(house, account, account.passwords()?, manner, &stop).await?;
                signed_in(house, account)
            }
        }
    };
    Ok(accounts::in_turn(accounts, style, work).await?.exit)
}

/// Makes the tokens that icloudpd keeps for an account ours. They replace a session of ours: a person
/// asked for exactly that.
fn take_over(house: &House, account: &Account, folder: &Path) -> Result<(), Problem> {
    let username = account.username()?;
    let name = icloudpd::session_file(username);
    let path = folder.join(&name);
    let cannot = || {
        let hint =
            format!("name icloudpd's cookie directory (~/.pyicloud unless told otherwise), or {LOGIN_HINT}");
        Problem::new(Exit::Usage, format!("cannot take over a session from {}", path.display())).hint(hint)
    };
    let theirs = private::read_session(folder, &name).map_err(|error| cannot().why(error))?;
    let no_tokens = || cannot().why("it holds no session of icloudpd");
    let ours = icloudpd::convert(username, &theirs).ok_or_else(no_tokens)?;
    let saved = house.data_dir.session(username).save(&ours);
    saved.map_err(|error| explain::system("cannot keep the session", &error))
}

/// The first account for which a run waits for a code.
fn waiting<'a>(config: &Config, accounts: &'a [Account]) -> Result<Option<&'a Account>, Problem> {
    let data_dir = DataDir::at(&config.data_dir);
    for account in accounts {
        if handover::waiting(&data_dir.desk(account.username()?))?.is_some() {
            return Ok(Some(account));
        }
    }
    Ok(None)
}

/// Signs in with a password that is kept afterwards.
async fn save(house: &House, account: &Account, manner: Manner, stop: &Stop) -> Result<(), Problem> {
    let asked = tokio::task::spawn_blocking({
        let account = account.clone();
        move || ask(&account)
    });
    let password = tokio::select! {
        asked = asked => asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?,
        () = stop.requested() => return Err(explain::interrupted()),
    };
    let passwords = account.passwords()?.clone().with_variable(Some(password.clone()));
    open::sign_in(house, account, &passwords, manner, stop).await?;
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
        None if person::is_attended() => password::prompt(passwords.username())
            .map_err(|error| explain::system("cannot ask for the password", &error))?,
        password => password,
    };
    password.ok_or_else(|| SignInError::NeedsPerson(Need::Password).into())
}

fn signed_in(house: &House, account: &Account) -> Result<(), Problem> {
    let username = account.username()?;
    let folder = house.data_dir.path().display();
    print(&format!("signed in as {}; the session is kept in {folder}", sanitize(username)))?;
    let standing = SignIn::read(&house.data_dir, username, now())?;
    for (label, text) in standing.iter().flat_map(|standing| standing.lines(now())) {
        print(&format!("{label}: {text}"))?;
    }
    Ok(())
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
