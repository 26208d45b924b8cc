//! The settings as meant: what every layer says, put together and read.
//!
//! What is one account's own stands in [`super::account`]. Every value is kept as text too, with
//! its source, so that `rollbook config show` can say both.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::cli::account::{self, Account};
use crate::cli::args::Args;
use crate::cli::choices;
use crate::cli::config_file::ConfigFile;
use crate::cli::environment::Environment;
use crate::cli::interval;
use crate::cli::layers::{Layers, Source, text};
use crate::cli::notify::Notifier;
use crate::cli::problem::Problem;
use crate::cli::settings::{self, Setting};
use crate::cli::shown::{Shown, show};
use crate::cli::typed::{album_views, bandwidth, level, number, sidecars, size, threads, truth};
use crate::engine::{Bandwidth, Deleted, Policy, Threads};
use crate::journal::Missing;
use crate::model::choices::Choices;
use crate::model::views::LinkKind;

/// Every setting, read.
#[derive(Debug)]
pub(crate) struct Config {
    /// The accounts to work for: one, or those of the file's tables.
    pub(crate) accounts: Vec<Account>,
    /// Where journal, session and lock live.
    pub(crate) data_dir: PathBuf,
    /// Files fetched at the same time, for each account.
    pub(crate) threads: Threads,
    /// The most bytes of files a second, of all accounts together.
    pub(crate) bandwidth: Option<Bandwidth>,
    /// Which files, and where they go.
    pub(crate) choices: Arc<Choices>,
    /// Most assets to bring home in one run.
    pub(crate) limit: Option<NonZeroUsize>,
    /// How albums are kept as folders of links, if they are.
    pub(crate) album_views: Option<LinkKind>,
    /// Where those folders are.
    pub(crate) album_directory: PathBuf,
    /// Write the date of capture into JPEGs that have none.
    pub(crate) set_exif_datetime: bool,
    /// Write XMP sidecars.
    pub(crate) sidecars: bool,
    /// Show no bar.
    pub(crate) no_progress_bar: bool,
    /// Bytes that stay free where the files go; `None` for what is usual.
    pub(crate) keep_free_bytes: Option<u64>,
    /// Try every failed file again.
    pub(crate) retry_failed: bool,
    /// List everything again.
    pub(crate) full: bool,
    /// Do not wait for a person.
    pub(crate) no_wait: bool,
    /// What becomes of files that vanish.
    pub(crate) policy: Policy,
    /// Stay, and sync again after this long.
    pub(crate) watch_with_interval: Option<Duration>,
    /// Who hears how a run ended.
    pub(crate) notifier: Notifier,
    /// What is told on standard error.
    pub(crate) log_level: LevelFilter,
    /// Settings that do nothing beside the others: for whoever is about to sync.
    pub(crate) warnings: Vec<String>,
    shown: Vec<Shown>,
}

impl Config {
    /// Puts the layers together.
    ///
    /// # Errors
    /// A problem that names the setting and where its value comes from.
    pub(crate) fn new(args: &Args, environment: &Environment) -> Result<Self, Problem> {
        Self::of(&Layers::new(args, environment)?)
    }

    /// Says whether a configuration file with this text, and nothing beside it, would be taken.
    ///
    /// # Errors
    /// As [`Config::new`], and [`Config::accounts`] if there are several.
    pub(crate) fn try_text(called: &Path, text: &str) -> Result<(), Problem> {
        let args = Args::parse(["rollbook", "config", "show"].map(OsString::from));
        let args = args.expect("the line is one of ours");
        let nowhere = Environment::from_iter([("HOME", "/")]);
        let file = ConfigFile::parse(called, text)?;
        Self::of(&Layers::with_file(&args, &nowhere, file))?.check_apart()
    }

    fn of(layers: &Layers<'_>) -> Result<Self, Problem> {
        let data_dir: PathBuf =
            layers.required(&settings::DATA_DIR, None, |value| Ok(PathBuf::from(value)))?;
        // Where there is no home, as in a container, the data directory is the only place of our own.
        let key_file = layers
            .read(&settings::KEY_FILE, None, |value| Ok(PathBuf::from(value)))?
            .unwrap_or_else(|| data_dir.join("key"));
        let accounts = account::read(layers, &data_dir, &key_file)?;
        let shown = shown(layers, &accounts);
        let choices = choices::read(layers)?;
        let policy = policy(layers)?;
        let mut warnings = idle_trash(layers, &policy);
        warnings.extend(emptied_album(&choices));
        Ok(Self {
            accounts,
            data_dir,
            threads: layers.required(&settings::THREADS_NUM, None, |value| threads(text(value)?))?,
            bandwidth: layers.read(&settings::BANDWIDTH_LIMIT, None, |value| bandwidth(text(value)?))?,
            choices: Arc::new(choices),
            limit: choices::one(layers, &settings::LIMIT, |word| {
                let count = choices::count(word)?;
                Ok(NonZeroUsize::new(usize::try_from(count).unwrap_or(usize::MAX))
                    .unwrap_or(NonZeroUsize::MIN))
            })?,
            album_views: layers.required(&settings::ALBUM_VIEWS, None, |value| album_views(text(value)?))?,
            album_directory: layers
                .required(&settings::ALBUM_DIRECTORY, None, |value| Ok(PathBuf::from(value)))?,
            set_exif_datetime: layers
                .required(&settings::SET_EXIF_DATETIME, None, |value| truth(text(value)?))?,
            sidecars: layers.required(&settings::SIDECARS, None, |value| sidecars(text(value)?))?,
            no_progress_bar: layers
                .required(&settings::NO_PROGRESS_BAR, None, |value| truth(text(value)?))?,
            keep_free_bytes: layers.read(&settings::KEEP_FREE, None, |value| size(text(value)?))?,
            retry_failed: layers.required(&settings::RETRY_FAILED, None, |value| truth(text(value)?))?,
            full: layers.required(&settings::FULL, None, |value| truth(text(value)?))?,
            no_wait: layers.required(&settings::NO_WAIT, None, |value| truth(text(value)?))?,
            policy,
            warnings,
            watch_with_interval: layers
                .read(&settings::WATCH_WITH_INTERVAL, None, |value| interval::parse(text(value)?))?,
            notifier: layers
                .read(&settings::NOTIFY_COMMAND, None, |value| Ok(Notifier::new(Some(text(value)?))))?
                .unwrap_or_default(),
            log_level: layers.required(&settings::LOG_LEVEL, None, |value| level(text(value)?))?,
            shown,
        })
    }

    /// All of it as text. Looks for saved passwords, which may take a moment.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let mut shown = self.shown.clone();
        for line in shown.iter_mut().filter(|line| line.key == settings::PASSWORD.key) {
            let own = |account: &&Account| line.account.as_ref().is_none_or(|label| account.label() == label);
            if let Some(account) = self.accounts.iter().find(own) {
                let (value, source) = account.show_password();
                (line.value, line.source) = (value, Source::Password(source));
            }
        }
        shown
    }

    /// The accounts, after a look at whether they can be worked for side by side.
    ///
    /// # Errors
    /// A problem when one has no name, or two would share what is one account's own.
    pub(crate) fn accounts(&self) -> Result<&[Account], Problem> {
        self.accounts.iter().try_for_each(|account| account.username().map(|_| ()))?;
        self.check_apart()?;
        Ok(&self.accounts)
    }

    fn check_apart(&self) -> Result<(), Problem> {
        account::check_apart(&self.accounts, &self.album_directory)
    }
}

/// What is for all accounts, then what is one account's own.
fn shown(layers: &Layers<'_>, accounts: &[Account]) -> Vec<Shown> {
    let several = !layers.file.accounts.is_empty();
    let own = |setting: &Setting| setting.per_account || setting.key == settings::PASSWORD.key;
    let for_all = |setting: &&'static Setting| !several || !own(setting);
    let mut lines = Vec::new();
    for setting in settings::ALL.iter().filter(for_all) {
        lines.push(match accounts {
            [account] if own(setting) => account.show(layers, setting, None),
            _ => show(layers.find(setting, None), setting, None),
        });
    }
    for account in accounts.iter().filter(|_| several) {
        let label = Some(account.label().to_owned());
        let settings = settings::ALL.iter().filter(|setting| own(setting));
        lines.extend(settings.map(|setting| account.show(layers, setting, label.clone())));
    }
    lines
}

/// What becomes of files that vanish.
fn policy(layers: &Layers<'_>) -> Result<Policy, Problem> {
    let missing_files = |text: &str| match text {
        "release" => Ok(Missing::Released),
        "refetch" => Ok(Missing::Refetched),
        _ => Err(format!("it is release or refetch, not {text:?}")),
    };
    let deleted = |text: &str| match text {
        "keep" => Ok(Deleted::Kept),
        "trash" => Ok(Deleted::Trashed),
        _ => Err(format!("it is keep or trash, not {text:?}")),
    };
    Ok(Policy {
        missing_files: layers
            .required(&settings::MISSING_FILES, None, |value| missing_files(text(value)?))?,
        allow_missing: layers.read(&settings::ALLOW_MISSING, None, |value| number(text(value)?))?,
        check_files: layers.required(&settings::CHECK_FILES, None, |value| truth(text(value)?))?,
        deleted: layers.required(&settings::DELETED, None, |value| deleted(text(value)?))?,
        trash_days: layers.read(&settings::TRASH_DAYS, None, |value| number(text(value)?))?,
        allow_deletions: layers.read(&settings::ALLOW_DELETIONS, None, |value| number(text(value)?))?,
    })
}

/// Settings of a trash to which nothing goes.
fn idle_trash(layers: &Layers<'_>, policy: &Policy) -> Vec<String> {
    let idle = [&settings::TRASH_DAYS, &settings::ALLOW_DELETIONS];
    let is_idle =
        |setting: &&&Setting| policy.deleted == Deleted::Kept && layers.find(setting, None).is_some();
    let line = |setting: &&Setting| {
        let flag = setting.flag_name();
        format!("warning: {flag} is about the trash, and nothing goes there without --deleted trash")
    };
    idle.iter().filter(is_idle).map(line).collect()
}

/// An album of Photos' own that another setting empties.
fn emptied_album(choices: &Choices) -> Option<String> {
    let (album, switch) = choices.selection.emptied_album()?;
    Some(format!(
        "warning: --{switch} leaves out all that lies in {album}: nothing comes, unless an album of your own has that name"
    ))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io::Write as _;
    use std::os::unix::ffi::OsStrExt as _;

    use crate::cli::exit::Exit;
    use crate::model::secret::Secret;

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
            let shown = config.shown().into_iter().find(|shown| shown.key == "threads-num").unwrap();
            assert_eq!((config.threads.ceiling(), &shown.source), (threads, &source));
            assert_eq!(shown.value.as_deref(), Some(threads.to_string().as_str()));
        }
    }

    #[test]
    fn a_wrong_value_is_blamed_on_the_layer_it_stands_in() {
        for (flags, variables, hint) in [
            ("--threads-num 0", vec![], "correct it in --threads-num"),
            ("", vec![("ROLLBOOK_THREADS_NUM", "65")], "correct it in ROLLBOOK_THREADS_NUM"),
            ("--domain de", vec![], "correct it in --domain"),
            ("--directory ~bob/x", vec![], "correct it in --directory"),
            ("--folder-structure /x", vec![], "correct it in --folder-structure"),
            ("--no-progress-bar=perhaps", vec![], "correct it in --no-progress-bar"),
            ("--log-level loud", vec![], "correct it in --log-level"),
            ("--endpoint http://example.com", vec![], "correct it in --endpoint"),
            (
                "--skip-videos",
                vec![("ROLLBOOK_SKIP_PHOTOS", "true")],
                "drop or correct one of them, in --skip-videos or in ROLLBOOK_SKIP_PHOTOS",
            ),
            (
                "--created-after 2024-06-01 --created-before 2024-05-01",
                vec![],
                "drop or correct one of them, in --created-after or in --created-before",
            ),
            (
                "--live-photos video --skip-live-photos",
                vec![],
                "drop or correct one of them, in --live-photos or in --skip-live-photos",
            ),
            ("--album Rome --album !Rome", vec![], "correct it in --album"),
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
    fn settings_that_do_nothing_beside_the_others_are_told() {
        let warnings = |flags| config(flags, &[]).unwrap().warnings.len();
        assert_eq!(
            (warnings(""), warnings("--trash-days 30"), warnings("--trash-days 30 --deleted trash")),
            (0, 1, 0)
        );
        assert_eq!(
            (warnings("--skip-videos --album Videos"), warnings("--skip-videos --album Rome")),
            (1, 0)
        );
    }

    #[test]
    fn a_path_that_is_not_unicode_is_refused_at_the_door() {
        for flag in ["-d", "--data-dir"] {
            let line = args(&[OsStr::new(flag), OsStr::from_bytes(b"/photos/\xff")]);
            let problem = Config::new(&line, &[("HOME", "/h")].into_iter().collect()).unwrap_err();
            assert!(problem.why.as_deref().is_some_and(|why| why.contains("UTF-8")), "{problem}");
        }
    }

    #[test]
    fn what_is_empty_is_refused_and_never_means_everything() {
        let typed =
            |flag: &str| Config::new(&args(&[OsStr::new(flag)]), &[("HOME", "/h")].into_iter().collect());
        for flag in ["--album=", "--album= ", "--library=", "--name=", "--size=", "--directory=", "--recent="]
        {
            let problem = typed(flag).unwrap_err();
            let name = flag.split('=').next().unwrap();
            let hint = format!("give {name} a value, or leave it out");
            assert_eq!((problem.exit, problem.hint), (Exit::Usage, Some(hint)), "{flag}");
        }
        let one_of_two = config("--album Rome", &[("ROLLBOOK_NAME", " , ")]).unwrap_err();
        assert_eq!(one_of_two.hint.as_deref(), Some("give ROLLBOOK_NAME a value, or leave it out"));
        assert!(config("--album Rome --album=", &[]).is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        let config = config("-u a", &[("ROLLBOOK_PASSWORD", "hunter2")]).unwrap();
        let given = config.accounts[0].passwords().unwrap().read().unwrap();
        assert_eq!(given.as_ref().map(Secret::expose), Some("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_needed_and_not_set_says_how_to_set_it() {
        let problem = config("", &[]).unwrap().accounts[0].directory().unwrap_err().clone();
        let hint = "set -d DIR, ROLLBOOK_DIRECTORY, or directory in the configuration file";
        assert_eq!(problem.hint.as_deref(), Some(hint));
    }
}
