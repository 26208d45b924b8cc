//! One account: its name, where its photos go, whom to ask, and how its password is come by.
//!
//! The configuration file may hold one account, by its plain keys, or several, each in a table
//! `[[account]]`. Then a flag or variable that says what only one account can have is refused as
//! soon as it would reach two: a password that is sent for the wrong account is a wrong password,
//! and a few of those lock it.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::cli::config_file::AccountTable;
use crate::cli::exit::Exit;
use crate::cli::layers::{Layers, Source, text, unset};
use crate::cli::password::Passwords;
use crate::cli::problem::Problem;
use crate::cli::settings::{self, Setting};
use crate::cli::shown::{Shown, show};
use crate::cli::typed::apple_name;
use crate::icloud::{Endpoints, Region};
use crate::model::secret::Secret;

/// What stands for the account in a directory or the path of a password file.
const PLACE_OF_ACCOUNT: &str = "{account}";

/// One account, as meant.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    username: Option<String>,
    /// Its table, where there are tables.
    table: Option<AccountTable>,
    directory: Option<PathBuf>,
    /// Whom to talk to.
    pub(crate) endpoints: Endpoints,
    passwords: Passwords,
}

/// Reads the accounts that a run is for.
pub(crate) fn read(layers: &Layers<'_>, data_dir: &Path, key_file: &Path) -> Result<Vec<Account>, Problem> {
    let new = |table: Option<&AccountTable>| Account::new(layers, table, data_dir, key_file);
    let wanted = layers.said_outside(&settings::ACCOUNT);
    if layers.file.accounts.is_empty() {
        let account = new(None)?;
        return match wanted {
            Some((name, source)) if !account.is_called(&name) => {
                Err(no_such_account(&name, &source, std::slice::from_ref(&account)))
            }
            _ => Ok(vec![account]),
        };
    }
    let accounts: Vec<Account> =
        layers.file.accounts.iter().map(|table| new(Some(table))).collect::<Result<_, _>>()?;
    // With tables, the name of an account says which of them.
    let Some((name, source)) = wanted.or_else(|| layers.said_outside(&settings::USERNAME)) else {
        return Ok(accounts);
    };
    match accounts.iter().find(|account| account.is_called(&name)) {
        Some(account) => Ok(vec![account.clone()]),
        None => Err(no_such_account(&name, &source, &accounts)),
    }
}

fn no_such_account(name: &OsStr, source: &Source, known: &[Account]) -> Problem {
    let known: Vec<&str> = known.iter().map(Account::label).filter(|label| !label.is_empty()).collect();
    let problem = Problem::new(Exit::Usage, format!("cannot find the account {}", name.to_string_lossy()))
        .hint(format!("correct it in {source}, or add an [[account]] to the configuration file"));
    if known.is_empty() { problem } else { problem.why(format!("known are: {}", known.join(", "))) }
}

/// Refuses accounts that share what is one account's own. `albums`: their folder, as each destination has it.
pub(crate) fn check_apart(accounts: &[Account], albums: &Path) -> Result<(), Problem> {
    let shared = |what: String, one: &Account, other: &Account| {
        Problem::new(Exit::Usage, format!("cannot use {what} for two accounts"))
            .why(format!("{} and {} would share it", one.label(), other.label()))
            .hint("set it in each [[account]] of the configuration file, or choose one with --account")
    };
    for (index, one) in accounts.iter().enumerate() {
        for other in &accounts[index + 1..] {
            if one.passwords.variable().is_some() {
                return Err(shared(settings::PASSWORD.variable(), one, other));
            }
            if let Some(path) = one.passwords.file().filter(|path| other.passwords.file() == Some(path)) {
                return Err(shared(format!("the password file {}", path.display()), one, other));
            }
            if let (Some(mine), Some(theirs)) = (&one.directory, &other.directory)
                && (mine.starts_with(theirs) || theirs.starts_with(mine))
            {
                let mut problem = shared(format!("the directory {}", mine.display()), one, other);
                problem.hint = Some(format!(
                    "set --directory to a path with {PLACE_OF_ACCOUNT} in it, or directory in each [[account]]"
                ));
                return Err(problem);
            }
            if let (Some(mine), Some(theirs)) = (&one.directory, &other.directory)
                && resolved(&mine.join(albums)) == resolved(&theirs.join(albums))
            {
                let mut problem = shared(format!("the album-directory {}", albums.display()), one, other);
                problem.hint = Some(
                    "set --album-directory to a folder below each --directory, or choose an account with --account"
                        .to_owned(),
                );
                return Err(problem);
            }
        }
    }
    Ok(())
}

/// A path without `..`, by its words alone: what links lead to is not asked.
fn resolved(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut above, component| {
        match component {
            Component::ParentDir => drop(above.pop()),
            other => above.push(other),
        }
        above
    })
}

impl Account {
    fn new(
        layers: &Layers<'_>,
        table: Option<&AccountTable>,
        data_dir: &Path,
        key_file: &Path,
    ) -> Result<Self, Problem> {
        let username = match table {
            Some(table) => Some(table.username.clone()),
            None => layers.read(&settings::USERNAME, None, |value| text(value).map(apple_name))?,
        };
        let label =
            table.map_or(username.as_deref(), |table| Some(table.label())).unwrap_or_default().to_owned();
        let path = |setting| layers.read(setting, table, |value| Ok(placed(value, &label)));
        let password = layers.read(&settings::PASSWORD, None, |value| text(value).map(Secret::new))?;
        let command =
            layers.read(&settings::PASSWORD_COMMAND, table, |value| text(value).map(str::to_owned))?;
        let passwords = Passwords::new(username.as_deref().unwrap_or_default(), data_dir, key_file)
            .with_variable(password)
            .with_file(path(&settings::PASSWORD_FILE)?)
            .with_command(command);
        let region = layers.required(&settings::DOMAIN, table, |value| region(text(value)?))?;
        let endpoint = layers.read(&settings::ENDPOINT, table, |value| {
            Endpoints::at(text(value)?).map_err(|forbidden| forbidden.to_string())
        })?;
        Ok(Self {
            directory: path(&settings::DIRECTORY)?,
            endpoints: endpoint.unwrap_or_else(|| Endpoints::of(region)),
            table: table.cloned(),
            username,
            passwords,
        })
    }

    /// The name that Apple knows it by.
    ///
    /// # Errors
    /// A problem when none is set.
    pub(crate) fn username(&self) -> Result<&str, Problem> {
        self.username.as_deref().ok_or_else(|| unset(&settings::USERNAME))
    }

    /// What it is called here: the name of its table, else its username, else nothing.
    pub(crate) fn label(&self) -> &str {
        match &self.table {
            Some(table) => table.label(),
            None => self.username.as_deref().unwrap_or_default(),
        }
    }

    /// The destination.
    ///
    /// # Errors
    /// A problem when none is set.
    pub(crate) fn directory(&self) -> Result<&PathBuf, Problem> {
        self.directory.as_ref().ok_or_else(|| match &self.table {
            Some(_) => unset(&settings::DIRECTORY).of(self.label()),
            None => unset(&settings::DIRECTORY),
        })
    }

    /// How its password is come by.
    ///
    /// # Errors
    /// A problem when it has no username.
    pub(crate) fn passwords(&self) -> Result<&Passwords, Problem> {
        self.username()?;
        Ok(&self.passwords)
    }

    /// Where its password would come from, for people.
    pub(crate) fn show_password(&self) -> (Option<String>, String) {
        self.passwords.shown()
    }

    /// A setting of it, for people; never the password.
    pub(crate) fn show(
        &self,
        layers: &Layers<'_>,
        setting: &'static Setting,
        account: Option<String>,
    ) -> Shown {
        if setting.key == settings::PASSWORD.key {
            return show(None, setting, account);
        }
        let placed = |(value, source): (std::ffi::OsString, Source)| match setting.key {
            key if key == settings::DIRECTORY.key || key == settings::PASSWORD_FILE.key => {
                (placed(&value, self.label()).into(), source)
            }
            _ => (value, source),
        };
        let found = match &self.table {
            // Outside of its table a username only chooses.
            Some(table) if setting.key == settings::USERNAME.key => {
                Some((table.username.clone().into(), Source::File(layers.file.path.clone())))
            }
            table => layers.find(setting, table.as_ref()),
        };
        show(found.map(placed), setting, account)
    }

    fn is_called(&self, name: &OsStr) -> bool {
        let is_it = |known: Option<&str>| known.is_some_and(|known| name.eq_ignore_ascii_case(known));
        is_it(self.username.as_deref()) || is_it(self.table.as_ref().and_then(|table| table.name.as_deref()))
    }
}

/// A path with the account's name in its place.
fn placed(value: &OsStr, label: &str) -> PathBuf {
    match value.to_str() {
        // A name with a slash in it would be a folder of somebody else's choosing.
        Some(text) => text.replace(PLACE_OF_ACCOUNT, &label.replace('/', "_")).into(),
        None => value.into(),
    }
}

fn region(text: &str) -> Result<Region, String> {
    match text {
        "com" => Ok(Region::Com),
        "cn" => Ok(Region::Cn),
        other => Err(format!("it is com or cn, not {other:?}")),
    }
}
