//! The configuration file: TOML, one key for each setting, and not a word more.
//!
//! Several accounts stand in tables `[[account]]`, each with its `username`, perhaps a `name` to
//! call it by, and what is its own; everything else stands above them and is for all.
//!
//! A key that means nothing is an error with the nearest key as a hint: a typo that is ignored
//! is a setting that silently is not set. A password is refused.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::cli::exit::Exit;
use crate::cli::problem::Problem;
use crate::cli::settings::{self, PathFrom, Setting};
use crate::cli::typed::apple_name;
use crate::disk;

/// What a configuration file says.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    /// Where it stands.
    pub(crate) path: PathBuf,
    values: BTreeMap<&'static str, OsString>,
    /// The tables of accounts, in their order.
    pub(crate) accounts: Vec<AccountTable>,
}

/// One table `[[account]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountTable {
    /// What people call it.
    pub(crate) name: Option<String>,
    /// What Apple calls it.
    pub(crate) username: String,
    values: BTreeMap<&'static str, OsString>,
}

impl AccountTable {
    /// The value of a setting.
    pub(crate) fn get(&self, setting: &Setting) -> Option<OsString> {
        self.values.get(setting.key).cloned()
    }

    /// What it is called in a line of output.
    pub(crate) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.username)
    }
}

impl ConfigFile {
    /// Reads the file at `path`. One that is not there says nothing, unless it was `asked_for`.
    ///
    /// # Errors
    /// A problem that names the key or the line.
    pub(crate) fn read(path: &Path, asked_for: bool) -> Result<Self, Problem> {
        let text = match disk::private::read_text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !asked_for => String::new(),
            Err(error) => {
                return Err(Problem::new(
                    Exit::Usage,
                    format!("cannot read configuration: {}", path.display()),
                )
                .why(error)
                .hint("set --config or ROLLBOOK_CONFIG to a file that can be read"));
            }
        };
        Self::parse(path, &text)
    }

    /// Reads the text of a file that stands, or is to stand, at `path`.
    ///
    /// # Errors
    /// As [`ConfigFile::read`].
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Problem> {
        let refused = || Problem::new(Exit::Usage, format!("cannot use configuration: {}", path.display()));
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
            // Not the line itself, which could hold a secret.
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            refused().why(format!("line {line}: {}", error.message()))
        })?;
        let tables = table.remove(settings::ACCOUNT.key);
        let read = |table: &Table, place| read_table(table, place).map_err(|e| e.on(refused()));
        let values = read(&table, Place::Top)?;
        let mut accounts = Vec::new();
        for table in account_tables(tables.as_ref()).map_err(|error| error.on(refused()))? {
            let mut table = table.clone();
            let name = take_name(&mut table).map_err(|error| error.on(refused()))?;
            let values = read(&table, Place::Account)?;
            let username = values.get(settings::USERNAME.key).and_then(|name| name.to_str()).map(apple_name);
            let username = username.ok_or_else(|| {
                refused().why("an [[account]] has no username").hint("add: username = \"…\"")
            })?;
            accounts.push(AccountTable { name, username, values });
        }
        let file = Self { path: path.to_owned(), values, accounts };
        file.check_accounts().map_err(|error| error.on(refused()))?;
        Ok(file)
    }

    fn check_accounts(&self) -> Result<(), Refusal> {
        if !self.accounts.is_empty() && self.values.contains_key(settings::USERNAME.key) {
            return Err(Refusal::new("\"username\" stands beside [[account]]")
                .hint("move it into an [[account]] of its own"));
        }
        let mut known: Vec<String> = Vec::new();
        for account in &self.accounts {
            let username = account.username.clone();
            let name = account.name.as_ref().map(|name| name.to_ascii_lowercase());
            for called in std::iter::once(username.clone()).chain(name.filter(|name| *name != username)) {
                if known.contains(&called) {
                    return Err(Refusal::new(format!("two accounts are called {called:?}"))
                        .hint("give each [[account]] its own name and username"));
                }
                known.push(called);
            }
        }
        Ok(())
    }

    /// The value of a setting.
    pub(crate) fn get(&self, setting: &Setting) -> Option<OsString> {
        self.values.get(setting.key).cloned()
    }
}

/// What is wrong with the file, and what to do.
struct Refusal {
    why: String,
    hint: Option<String>,
}

impl Refusal {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn on(self, problem: Problem) -> Problem {
        let problem = problem.why(self.why);
        match self.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// Where a key stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Account,
}

fn read_table(table: &Table, place: Place) -> Result<BTreeMap<&'static str, OsString>, Refusal> {
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let setting = find(key, place)?;
        values.insert(setting.key, read_value(setting, value).map_err(Refusal::new)?);
    }
    Ok(values)
}

fn account_tables(value: Option<&Value>) -> Result<Vec<&Table>, Refusal> {
    let wrong = || {
        Refusal::new("\"account\" must be a list of tables")
            .hint("write [[account]] above the keys of each account")
    };
    let Some(value) = value else { return Ok(Vec::new()) };
    value.as_array().ok_or_else(wrong)?.iter().map(|table| table.as_table().ok_or_else(wrong)).collect()
}

/// Takes the name of an account out of its table: it is no setting.
fn take_name(table: &mut Table) -> Result<Option<String>, Refusal> {
    match table.remove("name") {
        None => Ok(None),
        Some(Value::String(name)) if !name.is_empty() && !name.contains('/') => Ok(Some(name)),
        Some(_) => Err(Refusal::new("the name of an account must be text without a slash")),
    }
}

fn find(key: &str, place: Place) -> Result<&'static Setting, Refusal> {
    let known = || {
        let here = move |setting: &&Setting| setting.in_file && (place == Place::Top || setting.per_account);
        settings::ALL.iter().filter(here)
    };
    if let Some(setting) = known().find(|setting| setting.key == key) {
        return Ok(setting);
    }
    if key == settings::PASSWORD.key {
        return Err(Refusal::new("a password in a file ends up in every backup of it").hint(
            "delete the key \"password\"; set ROLLBOOK_PASSWORD, password-file or password-command, or run \
             \"rollbook login --save\" at a terminal",
        ));
    }
    if place == Place::Account && settings::ALL.iter().any(|setting| setting.in_file && setting.key == key) {
        return Err(
            Refusal::new(format!("{key:?} is for all accounts")).hint("move it above the first [[account]]")
        );
    }
    let refusal = Refusal::new(format!("there is no setting {key:?}"));
    // A third of the letters may differ; beyond that a guess would only confuse.
    let nearest = known().map(|setting| (distance(key, setting.key), setting.key)).min();
    Err(match nearest.filter(|(distance, near)| distance * 3 <= near.len()) {
        Some((_, nearest)) => refusal.hint(format!("write {nearest:?} in its place")),
        None => refusal.hint("run \"rollbook config show\" without the file for every setting"),
    })
}

/// Reads a value as the flag would be typed. A path is absolute or begins with `~/`: a relative
/// one would depend on where the program happens to be started.
fn read_value(setting: &Setting, value: &Value) -> Result<OsString, String> {
    let text = match value {
        Value::String(text) if text.is_empty() => return Err(format!("{:?} is empty", setting.key)),
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(date) if setting.value_name == "DATE" => date.to_string(),
        Value::Array(list) if setting.many => {
            if list.iter().any(|word| word.as_str().is_some_and(|word| word.trim().is_empty())) {
                return Err(format!("{:?} holds an empty text", setting.key));
            }
            let words = list.iter().map(|word| word.as_str().map(|word| format!("{word}\n")));
            words
                .collect::<Option<String>>()
                .ok_or_else(|| format!("{:?} must be a list of texts", setting.key))?
        }
        other => return Err(format!("{:?} must be text, not {}", setting.key, other.type_str())),
    };
    if setting.path == PathFrom::Here && !text.starts_with(['/', '~']) {
        return Err(format!("{:?} must be a whole path, or begin with ~/: {text}", setting.key));
    }
    Ok(text.into())
}

/// How many letters to insert, delete or replace to turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, Problem> {
        ConfigFile::parse(Path::new("/c.toml"), text)
    }

    #[test]
    fn a_typo_is_refused_with_the_nearest_key_and_nonsense_without() {
        for (typo, hint) in [
            ("threads_num = 3", "write \"threads-num\" in its place"),
            ("usrname = 'a'", "write \"username\" in its place"),
            ("Directory = '/x'", "write \"directory\" in its place"),
            ("xyzzy = 1", "run \"rollbook config show\" without the file for every setting"),
        ] {
            let problem = parse(typo).unwrap_err();
            assert_eq!((problem.exit, problem.hint.as_deref()), (Exit::Usage, Some(hint)), "{typo}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let problem = parse("username = 'a'\npassword = 'hunter2'").unwrap_err();
        assert!(problem.hint.as_deref().unwrap().contains("ROLLBOOK_PASSWORD"));
        assert!(!problem.to_string().contains("hunter2"));
        let problem = parse("username = 'a'\npassword = hunter2").unwrap_err();
        assert!(problem.why.as_deref().unwrap().starts_with("line 2:"), "{problem}");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }

    #[test]
    fn values_become_what_a_flag_would_say() {
        let file = parse("directory = '~/Photos'\nthreads-num = 3\nno-progress-bar = true").unwrap();
        assert_eq!(file.get(&settings::DIRECTORY).unwrap(), "~/Photos");
        assert_eq!(file.get(&settings::THREADS_NUM).unwrap(), "3");
        assert_eq!(file.get(&settings::NO_PROGRESS_BAR).unwrap(), "true");
        assert_eq!(file.get(&settings::USERNAME), None);
        let file = parse("created-after = 2024-05-31\ncreated-before = 2024-06-01T18:00:00").unwrap();
        assert_eq!(file.get(&settings::CREATED_AFTER).unwrap(), "2024-05-31");
        assert_eq!(file.get(&settings::CREATED_BEFORE).unwrap(), "2024-06-01T18:00:00");
        for wrong in [
            "username = 2024-05-31",
            "directory = 'Photos'",
            "username = ['a']",
            "username = ''",
            "album = ['']",
            "[username]\nx = 1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn accounts_stand_in_tables_and_what_is_for_all_above_them() {
        let file = parse(
            "threads-num = 3\n[[account]]\nname = 'me'\nusername = 'a@b.c'\npassword-file = '~/p'\n\
             [[account]]\nusername = 'd@e.f'",
        )
        .unwrap();
        let [me, other] = file.accounts.as_slice() else { panic!("{file:?}") };
        assert_eq!((me.label(), other.label()), ("me", "d@e.f"));
        assert_eq!(me.get(&settings::PASSWORD_FILE).unwrap(), "~/p");
        assert_eq!(
            (other.get(&settings::PASSWORD_FILE), file.get(&settings::THREADS_NUM).is_some()),
            (None, true)
        );
    }

    #[test]
    fn tables_that_cannot_be_told_apart_or_hold_too_much_are_refused() {
        for (text, hint) in [
            ("username = 'a'\n[[account]]\nusername = 'b'", "move it into an [[account]] of its own"),
            ("[[account]]\nname = 'x'", "add: username = \"…\""),
            ("[[account]]\nusername = 'a'\nthreads-num = 1", "move it above the first [[account]]"),
            (
                "[[account]]\nusername = 'a'\n[[account]]\nusername = 'A'",
                "give each [[account]] its own name and username",
            ),
            (
                "[[account]]\nusername = 'a'\n[[account]]\nusername = 'b'\nname = 'a'",
                "give each [[account]] its own name and username",
            ),
            ("[account]\nusername = 'a'", "write [[account]] above the keys of each account"),
            ("[[account]]\nusrname = 'a'", "write \"username\" in its place"),
        ] {
            let problem = parse(text).unwrap_err();
            assert_eq!((problem.exit, problem.hint.as_deref()), (Exit::Usage, Some(hint)), "{text}");
        }
        let problem = parse("[[account]]\nusername = 'a'\npassword = 'hunter2'").unwrap_err();
        assert!(problem.hint.as_deref().unwrap().contains("login --save"), "{problem}");
        assert!(!problem.to_string().contains("hunter2"));
    }
}
