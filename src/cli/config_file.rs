//! The configuration file: TOML, one key for each setting, and not a word more.
//!
//! A key that means nothing is an error with the nearest key as a hint: a typo that is ignored
//! is a setting that silently is not set. A password is refused.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::problem::Problem;
use crate::cli::settings::{self, Setting};
use crate::disk;

/// What a configuration file says.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    /// Where it stands.
    pub(crate) path: PathBuf,
    values: BTreeMap<&'static str, OsString>,
}

impl ConfigFile {
    /// Reads the file at `path`. One that is not there says nothing, unless it was `asked_for`.
    ///
    /// # Errors
    /// A problem that names the key or the line.
    pub(crate) fn read(path: &Path, asked_for: bool, environment: &Environment) -> Result<Self, Problem> {
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
        Self::parse(path, &text, environment)
    }

    fn parse(path: &Path, text: &str, environment: &Environment) -> Result<Self, Problem> {
        let refused = || Problem::new(Exit::Usage, format!("cannot use configuration: {}", path.display()));
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            // Not the line itself, which could hold a secret.
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            refused().why(format!("line {line}: {}", error.message()))
        })?;
        let mut values = BTreeMap::new();
        for (key, value) in &table {
            let setting = find(key).map_err(|unknown| match unknown {
                Unknown::Password => refused()
                    .why("a password in a file ends up in every backup of it")
                    .hint("delete the key \"password\"; set ROLLBOOK_PASSWORD, or run \"rollbook login\" at a terminal"),
                Unknown::Key(nearest) => {
                    let problem = refused().why(format!("there is no setting {key:?}"));
                    match nearest {
                        Some(nearest) => problem.hint(format!("write {nearest:?} in its place")),
                        None => problem.hint("run \"rollbook config show\" without the file for every setting"),
                    }
                }
            })?;
            let value = read_value(setting, value, environment).map_err(|why| refused().why(why))?;
            values.insert(setting.key, value);
        }
        Ok(Self { path: path.to_owned(), values })
    }

    /// The value of a setting.
    pub(crate) fn get(&self, setting: &Setting) -> Option<OsString> {
        self.values.get(setting.key).cloned()
    }
}

enum Unknown {
    Password,
    /// No such key; the nearest one, if any is near.
    Key(Option<&'static str>),
}

fn find(key: &str) -> Result<&'static Setting, Unknown> {
    let known = || settings::ALL.iter().filter(|setting| setting.in_file);
    if let Some(setting) = known().find(|setting| setting.key == key) {
        return Ok(setting);
    }
    if key == settings::PASSWORD.key {
        return Err(Unknown::Password);
    }
    // A third of the letters may differ; beyond that a guess would only confuse.
    let nearest = known().map(|setting| (distance(key, setting.key), setting.key)).min();
    Err(Unknown::Key(nearest.filter(|(distance, near)| distance * 3 <= near.len()).map(|(_, near)| near)))
}

/// Reads a value as the flag would be typed. A path is absolute or begins with `~/`: a relative
/// one would depend on where the program happens to be started.
fn read_value(setting: &Setting, value: &Value, environment: &Environment) -> Result<OsString, String> {
    let text = match value {
        Value::String(text) if text.is_empty() => return Err(format!("{:?} is empty", setting.key)),
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        other => return Err(format!("{:?} must be text, not {}", setting.key, other.type_str())),
    };
    if setting.value_name != "DIR" {
        return Ok(text.into());
    }
    match (text.strip_prefix("~/"), environment.home()) {
        (Some(below), Some(home)) => Ok(home.join(below).into()),
        _ if Path::new(&text).is_absolute() => Ok(text.into()),
        _ => Err(format!("{:?} must be a whole path, or begin with ~/: {text}", setting.key)),
    }
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
        let environment = [("HOME", "/home/u")].into_iter().collect();
        ConfigFile::parse(Path::new("/c.toml"), text, &environment)
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
        assert_eq!(file.get(&settings::DIRECTORY).unwrap(), "/home/u/Photos");
        assert_eq!(file.get(&settings::THREADS_NUM).unwrap(), "3");
        assert_eq!(file.get(&settings::NO_PROGRESS_BAR).unwrap(), "true");
        assert_eq!(file.get(&settings::USERNAME), None);
        for wrong in ["directory = 'Photos'", "username = ['a']", "username = ''", "[username]\nx = 1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
