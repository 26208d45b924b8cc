//! Layers: flag over environment over configuration file over default.
//!
//! In the file, the table of an account comes before what stands above all tables. Each value
//! remembers where it comes from, so that a value that cannot be used is blamed on the right place.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use crate::cli::args::Args;
use crate::cli::config_file::{AccountTable, ConfigFile};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::problem::Problem;
use crate::cli::settings::{self, PathFrom, Setting};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The command line.
    Flag(String),
    /// The environment.
    Variable(String),
    /// The configuration file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
    /// A password, and how it is come by.
    Password(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) | Self::Password(name) => f.write_str(name),
            Self::File(path) => path.display().fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// All layers, and what each says.
pub(crate) struct Layers<'a> {
    args: &'a Args,
    environment: &'a Environment,
    /// The configuration file.
    pub(crate) file: ConfigFile,
}

impl<'a> Layers<'a> {
    /// Reads the configuration file, whose place the other layers say.
    pub(crate) fn new(args: &'a Args, environment: &'a Environment) -> Result<Self, Problem> {
        let mut layers = Self::with_file(args, environment, ConfigFile::default());
        if let Some((path, source)) = layers.find(&settings::CONFIG, None) {
            let asked_for = source != Source::Default;
            layers.file = ConfigFile::read(path.as_ref(), asked_for)?;
        }
        Ok(layers)
    }

    /// The same with a file at hand.
    pub(crate) fn with_file(args: &'a Args, environment: &'a Environment, file: ConfigFile) -> Self {
        Self { args, environment, file }
    }

    /// The value of the uppermost layer that has one, for an account if it has a table. A path is made
    /// whole where that can be done.
    pub(crate) fn find(&self, setting: &Setting, of: Option<&AccountTable>) -> Option<(OsString, Source)> {
        let (said, source) = self.find_said(setting, of)?;
        Some((self.meant(setting, &said).unwrap_or(said), source))
    }

    /// A value as it is meant: a path is the same wherever the next command is started.
    fn meant(&self, setting: &Setting, said: &OsStr) -> Result<OsString, String> {
        match setting.path {
            PathFrom::Nowhere => Ok(said.to_owned()),
            PathFrom::Here => self.environment.whole(said).map(OsString::from),
            PathFrom::Destination => self.environment.expand(text(said)?).map(OsString::from),
        }
    }

    fn find_said(&self, setting: &Setting, of: Option<&AccountTable>) -> Option<(OsString, Source)> {
        let in_file = |value| (value, Source::File(self.file.path.clone()));
        let file = || of.and_then(|table| table.get(setting)).or_else(|| self.file.get(setting)).map(in_file);
        let default = || Some((setting.default(self.environment)?, Source::Default));
        self.said_outside(setting).or_else(file).or_else(default)
    }

    /// The value of the command line, else of the environment.
    pub(crate) fn said_outside(&self, setting: &Setting) -> Option<(OsString, Source)> {
        let flag = || Some((self.args.flags.get(setting.key)?.clone(), Source::Flag(setting.flag_name())));
        let variable = || {
            let name = setting.variable();
            Some((self.environment.get(&name)?.to_owned(), Source::Variable(name)))
        };
        flag().or_else(variable)
    }

    /// Reads a setting, if any layer has it.
    pub(crate) fn read<T>(
        &self,
        setting: &Setting,
        of: Option<&AccountTable>,
        read: impl FnOnce(&OsStr) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        let Some((said, source)) = self.find_said(setting, of) else { return Ok(None) };
        let refused =
            |why| Problem::new(Exit::Usage, format!("cannot use the setting {:?}", setting.key)).why(why);
        if is_empty(setting, &said) {
            return Err(
                refused("it is empty".to_owned()).hint(format!("give {source} a value, or leave it out"))
            );
        }
        let read = self.meant(setting, &said).and_then(|value| read(&value));
        read.map(Some).map_err(|why| {
            refused(why).hint(match source {
                Source::Default => format!("set {} or {}", setting.flag_name(), setting.variable()),
                source => format!("correct it in {source}"),
            })
        })
    }

    /// Reads a setting that has a default, or must be set.
    pub(crate) fn required<T>(
        &self,
        setting: &Setting,
        of: Option<&AccountTable>,
        read: impl FnOnce(&OsStr) -> Result<T, String>,
    ) -> Result<T, Problem> {
        self.read(setting, of, read)?.ok_or_else(|| unset(setting))
    }
}

/// Whether nothing is said: of several words, whether one of them is nothing. A word that is nothing
/// would be no word, and no words would mean everything.
fn is_empty(setting: &Setting, said: &OsStr) -> bool {
    let Some(text) = said.to_str() else { return false };
    if !setting.many {
        return text.is_empty();
    }
    settings::words(text).is_empty() || text.lines().any(|line| line.trim().is_empty())
}

/// The problem of a setting that is needed and not set.
pub(crate) fn unset(setting: &Setting) -> Problem {
    let flag = match setting.short {
        Some(letter) => format!("-{letter}"),
        None => setting.flag_name(),
    };
    let name = match setting.value_name {
        "" => String::new(),
        name => format!(" {name}"),
    };
    Problem::new(Exit::Usage, format!("cannot go on without the setting {:?}", setting.key)).hint(format!(
        "set {flag}{name}, {}, or {} in the configuration file",
        setting.variable(),
        setting.key
    ))
}

/// A value as text.
pub(crate) fn text(value: &OsStr) -> Result<&str, String> {
    value.to_str().ok_or_else(|| "it is not UTF-8".to_owned())
}
