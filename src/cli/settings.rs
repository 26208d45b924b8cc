//! Every setting, once: its name, what it means, and its default.
//!
//! The name is the key in the configuration file, and with two dashes the flag; in capitals and
//! with `ROLLBOOK_` in front it is the environment variable. Layers are put together in
//! [`super::config`].

use std::ffi::OsString;

use crate::cli::environment::Environment;

/// Files fetched at the same time unless told otherwise.
///
/// Where each connection is held to 3 MB/s and a round trip takes 60 ms, files come in proportion to
/// this number: measured, 6 a second with 5, 13 with 10, 25 with 20 and 45 with 40. Ten fill a line
/// of 240 Mbit/s; more is for people with a faster one.
pub(crate) const THREADS_DEFAULT: &str = "10";
/// Most files fetched at the same time. Beyond it a connection waits for its turn at the content
/// hosts, and file descriptors of a small system run out.
pub(crate) const THREADS_MAX: usize = 64;

/// Which commands take the flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    /// Every command.
    Everywhere,
    /// Every command, unseen in the short help: for tests and the demo.
    Hidden,
    /// Commands that enumerate and fetch.
    Sync,
    /// Only the one that changes the destination.
    SyncOnly,
    /// None: what stands on a command line is read by every user of the machine.
    Never,
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in the configuration file.
    pub(crate) key: &'static str,
    /// Its one-letter flag.
    pub(crate) short: Option<char>,
    /// Who takes its flag.
    pub(crate) flag: Flag,
    /// What its value is, in the help. Empty for a switch.
    pub(crate) value_name: &'static str,
    /// What it means.
    pub(crate) help: &'static str,
    /// Its default, in the help. Empty when there is none.
    pub(crate) default_shown: &'static str,
    /// Whether the configuration file may hold it.
    pub(crate) in_file: bool,
    /// Whether an `[[account]]` table of that file may hold it.
    pub(crate) per_account: bool,
    default: Default,
}

#[derive(Debug)]
enum Default {
    None,
    Text(&'static str),
    /// An XDG variable, the folder below home in its stead, and the path below that.
    Xdg(&'static str, &'static str, &'static str),
}

impl Setting {
    /// The flag, with its dashes.
    pub(crate) fn flag_name(&self) -> String {
        format!("--{}", self.key)
    }

    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("ROLLBOOK_{}", self.key.replace('-', "_").to_ascii_uppercase())
    }

    /// The default, if there is one here.
    pub(crate) fn default(&self, environment: &Environment) -> Option<OsString> {
        match self.default {
            Default::None => None,
            Default::Text(text) => Some(text.into()),
            Default::Xdg(variable, below_home, path) => {
                Some(environment.xdg(variable, below_home)?.join(path).into())
            }
        }
    }
}

const PLAIN: Setting = Setting {
    key: "",
    short: None,
    flag: Flag::Everywhere,
    value_name: "",
    help: "",
    default_shown: "",
    in_file: true,
    per_account: false,
    default: Default::None,
};

/// The account.
pub(crate) const USERNAME: Setting = Setting {
    key: "username",
    per_account: true,
    short: Some('u'),
    value_name: "NAME",
    help: "Apple account, usually an e-mail address",
    ..PLAIN
};

/// Its password.
pub(crate) const PASSWORD: Setting = Setting {
    key: "password",
    flag: Flag::Never,
    in_file: false,
    help: "Password of the account, for runs without a terminal",
    ..PLAIN
};

/// A file that holds it.
pub(crate) const PASSWORD_FILE: Setting = Setting {
    key: "password-file",
    per_account: true,
    value_name: "FILE",
    help: "File whose first line is the password; nobody else may read it",
    ..PLAIN
};

/// A command that prints it.
pub(crate) const PASSWORD_COMMAND: Setting = Setting {
    key: "password-command",
    per_account: true,
    value_name: "CMD",
    help: "Shell command whose first line of output is the password; it finds the account in \
           ROLLBOOK_USERNAME",
    ..PLAIN
};

/// The key of a saved password.
pub(crate) const KEY_FILE: Setting = Setting {
    key: "key-file",
    value_name: "FILE",
    help: "Key of the passwords that \"rollbook login --save\" keeps",
    default_shown: "$XDG_CONFIG_HOME/rollbook/key",
    default: Default::Xdg("XDG_CONFIG_HOME", ".config", "rollbook/key"),
    ..PLAIN
};

/// One account of several.
pub(crate) const ACCOUNT: Setting = Setting {
    key: "account",
    value_name: "NAME",
    help: "The one account to work for, of those in the configuration file",
    default_shown: "all of them",
    in_file: false,
    ..PLAIN
};

/// The destination.
pub(crate) const DIRECTORY: Setting = Setting {
    key: "directory",
    per_account: true,
    short: Some('d'),
    value_name: "DIR",
    help: "Folder that receives the photos; {account} in it stands for the account",
    ..PLAIN
};

/// Where journal, session and lock live.
pub(crate) const DATA_DIR: Setting = Setting {
    key: "data-dir",
    value_name: "DIR",
    help: "Folder of the journal, the session and the lock",
    default_shown: "$XDG_STATE_HOME/rollbook",
    default: Default::Xdg("XDG_STATE_HOME", ".local/state", "rollbook"),
    ..PLAIN
};

/// The configuration file.
pub(crate) const CONFIG: Setting = Setting {
    key: "config",
    value_name: "FILE",
    help: "Configuration file (TOML)",
    default_shown: "$XDG_CONFIG_HOME/rollbook/config.toml",
    default: Default::Xdg("XDG_CONFIG_HOME", ".config", "rollbook/config.toml"),
    in_file: false,
    ..PLAIN
};

/// The region of the account.
pub(crate) const DOMAIN: Setting = Setting {
    key: "domain",
    per_account: true,
    value_name: "com|cn",
    help: "Where the account lives: cn for mainland China",
    default_shown: "com",
    default: Default::Text("com"),
    ..PLAIN
};

/// Another place to find the services.
pub(crate) const ENDPOINT: Setting = Setting {
    key: "endpoint",
    per_account: true,
    flag: Flag::Hidden,
    value_name: "URL",
    help: "Base URL of a stand-in for Apple's services; nothing else is talked to",
    ..PLAIN
};

/// Files at a time.
pub(crate) const THREADS_NUM: Setting = Setting {
    key: "threads-num",
    flag: Flag::Sync,
    value_name: "N",
    help: "Files fetched at the same time, 1 to 64",
    default_shown: THREADS_DEFAULT,
    default: Default::Text(THREADS_DEFAULT),
    ..PLAIN
};

/// Folders below the directory.
pub(crate) const FOLDER_STRUCTURE: Setting = Setting {
    key: "folder-structure",
    flag: Flag::Sync,
    value_name: "TEMPLATE",
    help: "Folders by capture date, as strftime writes it, or none for one flat folder; a file keeps \
           the path it was first given",
    default_shown: "%Y/%m/%d",
    default: Default::Text("%Y/%m/%d"),
    ..PLAIN
};

/// No bar, even at a terminal.
pub(crate) const NO_PROGRESS_BAR: Setting = Setting {
    key: "no-progress-bar",
    flag: Flag::Sync,
    help: "Show no bar, only one line at the end (as when standard output is not a terminal)",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// Whether to stay, and how long to sleep between two runs.
pub(crate) const WATCH_WITH_INTERVAL: Setting = Setting {
    key: "watch-with-interval",
    flag: Flag::SyncOnly,
    value_name: "TIME",
    help: "Stay, and sync again this long after each run, a tenth more or less: 3600, 90m, 1h, 2d",
    ..PLAIN
};

/// Another chance for everything that failed.
pub(crate) const RETRY_FAILED: Setting = Setting {
    key: "retry-failed",
    flag: Flag::Sync,
    help: "Try every failed file again now, those that were given up too",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// A listing from end to end.
pub(crate) const FULL: Setting = Setting {
    key: "full",
    flag: Flag::Sync,
    help: "List every library from end to end instead of asking for changes; fetches nothing again",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// Whether to wait for a person.
pub(crate) const NO_WAIT: Setting = Setting {
    key: "no-wait",
    flag: Flag::Sync,
    help: "End with exit code 3 when a code is needed and there is no terminal, instead of waiting a day for one",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// How much is told on standard error.
pub(crate) const LOG_LEVEL: Setting = Setting {
    key: "log-level",
    value_name: "LEVEL",
    help: "What is told on standard error: error, warn, info or debug",
    default_shown: "warn",
    default: Default::Text("warn"),
    ..PLAIN
};

/// All of them, in the order in which they are shown.
pub(crate) static ALL: [Setting; 19] = [
    ACCOUNT,
    USERNAME,
    PASSWORD,
    PASSWORD_FILE,
    PASSWORD_COMMAND,
    KEY_FILE,
    DIRECTORY,
    DATA_DIR,
    CONFIG,
    DOMAIN,
    ENDPOINT,
    THREADS_NUM,
    FOLDER_STRUCTURE,
    NO_PROGRESS_BAR,
    NO_WAIT,
    WATCH_WITH_INTERVAL,
    RETRY_FAILED,
    FULL,
    LOG_LEVEL,
];
