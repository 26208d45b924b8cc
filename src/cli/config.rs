//! The settings as meant: flags over environment over configuration file over defaults.
//!
//! Each value remembers where it comes from, so that `rollbook config show` can say so, and so
//! that a value that cannot be used is blamed on the right place.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use crate::cli::args::Args;
use crate::cli::config_file::ConfigFile;
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::problem::Problem;
use crate::cli::settings::{self, Setting};
use crate::icloud::{Endpoints, Region};
use crate::model::layout::FolderTemplate;
use crate::model::secret::Secret;

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
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File(path) => path.display().fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting, its value as text, and where that comes from.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Its name.
    pub(crate) key: &'static str,
    /// Its value; `None` when it has none.
    pub(crate) value: Option<String>,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// Every setting, read.
#[derive(Debug)]
pub(crate) struct Config {
    username: Option<String>,
    directory: Option<PathBuf>,
    /// The password, if the environment holds it.
    pub(crate) password: Option<Secret>,
    /// Where journal, session and lock live.
    pub(crate) data_dir: PathBuf,
    /// Whom to talk to.
    pub(crate) endpoints: Endpoints,
    /// Files fetched at the same time.
    pub(crate) threads: NonZeroUsize,
    /// Folders below the directory.
    pub(crate) folders: FolderTemplate,
    /// Show no bar.
    pub(crate) no_progress_bar: bool,
    /// Do not wait for a person.
    pub(crate) no_wait: bool,
    /// Try every failed file again.
    pub(crate) retry_failed: bool,
    /// What is told on standard error.
    pub(crate) log_level: LevelFilter,
    /// All of it as text.
    pub(crate) shown: Vec<Shown>,
}

impl Config {
    /// Puts the layers together.
    ///
    /// # Errors
    /// A problem that names the setting and where its value comes from.
    pub(crate) fn new(args: &Args, environment: &Environment) -> Result<Self, Problem> {
        let layers = Layers::new(args, environment)?;
        let region = layers.required(&settings::DOMAIN, |value| region(text(value)?))?;
        let endpoint = layers.read(&settings::ENDPOINT, |value| {
            Endpoints::at(text(value)?).map_err(|forbidden| forbidden.to_string())
        })?;
        Ok(Self {
            username: layers.read(&settings::USERNAME, |value| text(value).map(str::to_owned))?,
            directory: layers.read(&settings::DIRECTORY, |value| Ok(PathBuf::from(value)))?,
            password: layers.read(&settings::PASSWORD, |value| text(value).map(Secret::new))?,
            data_dir: layers.required(&settings::DATA_DIR, |value| Ok(PathBuf::from(value)))?,
            endpoints: endpoint.unwrap_or_else(|| Endpoints::of(region)),
            threads: layers.required(&settings::THREADS_NUM, |value| threads(text(value)?))?,
            folders: layers
                .required(&settings::FOLDER_STRUCTURE, |value| FolderTemplate::parse(text(value)?))?,
            no_progress_bar: layers.required(&settings::NO_PROGRESS_BAR, |value| truth(text(value)?))?,
            no_wait: layers.required(&settings::NO_WAIT, |value| truth(text(value)?))?,
            retry_failed: layers.required(&settings::RETRY_FAILED, |value| truth(text(value)?))?,
            log_level: layers.required(&settings::LOG_LEVEL, |value| level(text(value)?))?,
            shown: layers.shown(),
        })
    }

    /// The account.
    ///
    /// # Errors
    /// A problem when none is set.
    pub(crate) fn username(&self) -> Result<&str, Problem> {
        self.username.as_deref().ok_or_else(|| unset(&settings::USERNAME))
    }

    /// The destination.
    ///
    /// # Errors
    /// A problem when none is set.
    pub(crate) fn directory(&self) -> Result<&PathBuf, Problem> {
        self.directory.as_ref().ok_or_else(|| unset(&settings::DIRECTORY))
    }
}

struct Layers<'a> {
    args: &'a Args,
    environment: &'a Environment,
    file: ConfigFile,
}

impl<'a> Layers<'a> {
    fn new(args: &'a Args, environment: &'a Environment) -> Result<Self, Problem> {
        let mut layers = Self { args, environment, file: ConfigFile::default() };
        if let Some((path, source)) = layers.find(&settings::CONFIG) {
            let asked_for = source != Source::Default;
            layers.file = ConfigFile::read(path.as_ref(), asked_for, environment)?;
        }
        Ok(layers)
    }

    /// The value of the uppermost layer that has one.
    fn find(&self, setting: &Setting) -> Option<(OsString, Source)> {
        let flag = || Some((self.args.flags.get(setting.key)?.clone(), Source::Flag(setting.flag_name())));
        let variable = || {
            let name = setting.variable();
            Some((self.environment.get(&name)?.to_owned(), Source::Variable(name)))
        };
        let file = || Some((self.file.get(setting)?, Source::File(self.file.path.clone())));
        let default = || Some((setting.default(self.environment)?, Source::Default));
        flag().or_else(variable).or_else(file).or_else(default)
    }

    fn read<T>(
        &self,
        setting: &Setting,
        read: impl FnOnce(&OsStr) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        let Some((value, source)) = self.find(setting) else { return Ok(None) };
        let read = if value.is_empty() { Err("it is empty".to_owned()) } else { read(&value) };
        read.map(Some).map_err(|why| {
            let what = format!("cannot use the setting {:?}", setting.key);
            Problem::new(Exit::Usage, what).why(why).hint(format!("correct it in {source}"))
        })
    }

    fn required<T>(
        &self,
        setting: &Setting,
        read: impl FnOnce(&OsStr) -> Result<T, String>,
    ) -> Result<T, Problem> {
        self.read(setting, read)?.ok_or_else(|| unset(setting))
    }

    fn shown(&self) -> Vec<Shown> {
        let show = |setting: &'static Setting| {
            let (value, source) = self.find(setting).unzip();
            let value = match setting.key {
                // Never the password itself: this output is what people paste into reports.
                key if key == settings::PASSWORD.key => value.map(|_| "***".to_owned()),
                _ => value.map(|value| value.to_string_lossy().into_owned()),
            };
            Shown { key: setting.key, value, source: source.unwrap_or(Source::Default) }
        };
        settings::ALL.iter().map(show).collect()
    }
}

fn unset(setting: &Setting) -> Problem {
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

fn text(value: &OsStr) -> Result<&str, String> {
    value.to_str().ok_or_else(|| "it is not UTF-8".to_owned())
}

fn region(text: &str) -> Result<Region, String> {
    match text {
        "com" => Ok(Region::Com),
        "cn" => Ok(Region::Cn),
        other => Err(format!("it is com or cn, not {other:?}")),
    }
}

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= settings::THREADS_MAX);
    number.ok_or_else(|| format!("it is a number from 1 to {}, not {text:?}", settings::THREADS_MAX))
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("it is true or false, not {text:?}")),
    }
}

fn level(text: &str) -> Result<LevelFilter, String> {
    match text {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        other => Err(format!("it is error, warn, info or debug, not {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    fn args(line: &[&OsStr]) -> Args {
        let line = ["rollbook", "sync"].map(OsStr::new).into_iter().chain(line.iter().copied());
        Args::parse(line.map(OsStr::to_owned)).unwrap()
    }

    fn config(flags: &str, variables: &[(&str, &str)]) -> Result<Config, Problem> {
        let flags: Vec<&OsStr> = flags.split_whitespace().map(OsStr::new).collect();
        let environment = [("HOME", "/home/u")].iter().chain(variables).copied().collect();
        Config::new(&args(&flags), &environment)
    }

    #[test]
    fn the_uppermost_layer_that_says_something_wins_and_is_named() {
        let mut written = tempfile::NamedTempFile::new().unwrap();
        write!(written, "threads-num = 2").unwrap();
        let path = written.path().to_owned();
        let file = ("ROLLBOOK_CONFIG", path.to_str().unwrap());
        let variable = ("ROLLBOOK_THREADS_NUM", "3");
        let empty = ("ROLLBOOK_THREADS_NUM", "");
        for (flags, variables, threads, source) in [
            ("", vec![], 10, Source::Default),
            ("", vec![empty], 10, Source::Default),
            ("", vec![file], 2, Source::File(path.clone())),
            ("", vec![file, empty], 2, Source::File(path.clone())),
            ("", vec![file, variable], 3, Source::Variable(variable.0.to_owned())),
            ("--threads-num 4", vec![], 4, Source::Flag("--threads-num".to_owned())),
            ("--threads-num 4", vec![file, variable], 4, Source::Flag("--threads-num".to_owned())),
        ] {
            let config = config(flags, &variables).unwrap();
            let shown = config.shown.iter().find(|shown| shown.key == "threads-num").unwrap();
            assert_eq!((config.threads.get(), &shown.source), (threads, &source));
            assert_eq!(shown.value.as_deref(), Some(threads.to_string().as_str()));
        }
    }

    #[test]
    fn a_wrong_value_is_blamed_on_the_layer_it_stands_in() {
        for (flags, variables, hint) in [
            ("--threads-num 0", vec![], "correct it in --threads-num"),
            ("", vec![("ROLLBOOK_THREADS_NUM", "65")], "correct it in ROLLBOOK_THREADS_NUM"),
            ("--domain de", vec![], "correct it in --domain"),
            ("--directory=", vec![], "correct it in --directory"),
            ("--folder-structure /x", vec![], "correct it in --folder-structure"),
            ("--no-progress-bar=perhaps", vec![], "correct it in --no-progress-bar"),
            ("--log-level loud", vec![], "correct it in --log-level"),
            ("--endpoint http://example.com", vec![], "correct it in --endpoint"),
        ] {
            let problem = config(flags, &variables).unwrap_err();
            assert_eq!((problem.exit, problem.hint.as_deref()), (Exit::Usage, Some(hint)));
        }
        let problem = config("--config /nowhere/x.toml", &[]).unwrap_err();
        assert_eq!(problem.what, "cannot read configuration: /nowhere/x.toml");
    }

    #[test]
    fn defaults_follow_xdg_and_relative_xdg_folders_are_ignored() {
        assert_eq!(config("", &[]).unwrap().data_dir, PathBuf::from("/home/u/.local/state/rollbook"));
        let state = |value| config("", &[("XDG_STATE_HOME", value)]).unwrap().data_dir;
        assert_eq!(state("/s"), PathBuf::from("/s/rollbook"));
        assert_eq!(state("s"), PathBuf::from("/home/u/.local/state/rollbook"));
    }

    #[test]
    fn a_path_need_not_be_unicode() {
        let raw = OsStr::from_bytes(b"/photos/\xff");
        let config = Config::new(&args(&[OsStr::new("-d"), raw]), &[("HOME", "/h")].into_iter().collect());
        assert_eq!(config.unwrap().directory().unwrap().as_os_str(), raw);
    }

    #[test]
    fn a_password_is_never_shown() {
        let config = config("", &[("ROLLBOOK_PASSWORD", "hunter2")]).unwrap();
        assert_eq!(config.password.as_ref().map(Secret::expose), Some("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_needed_and_not_set_says_how_to_set_it() {
        let problem = config("", &[]).unwrap().directory().unwrap_err().clone();
        let hint = "set -d DIR, ROLLBOOK_DIRECTORY, or directory in the configuration file";
        assert_eq!(problem.hint.as_deref(), Some(hint));
    }
}
