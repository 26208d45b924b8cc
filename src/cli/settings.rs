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
    /// Those, and the ones about albums.
    Albums,
    /// These, and the one that moves files to where they belong.
    Layout,
    /// Only the one that changes the destination.
    SyncOnly,
    /// None: what stands on a command line is read by every user of the machine.
    Never,
}

/// Whether a value is a path, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathFrom {
    /// It is no path.
    Nowhere,
    /// A relative one begins in the folder that the command was started in.
    Here,
    /// A relative one begins in the destination.
    Destination,
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in the configuration file.
    pub(crate) key: &'static str,
    /// Its one-letter flag.
    pub(crate) short: Option<char>,
    /// Whether it may be given several times: in a file as a list, in the environment with commas.
    pub(crate) many: bool,
    /// Who takes its flag.
    pub(crate) flag: Flag,
    /// Whether it is a path.
    pub(crate) path: PathFrom,
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

/// The words of a setting that may be given several times. Where they come as lines, a comma is part
/// of a word: albums may have one in their name.
pub(crate) fn words(text: &str) -> Vec<&str> {
    let by = if text.contains('\n') { '\n' } else { ',' };
    text.split(by).map(str::trim).filter(|word| !word.is_empty()).collect()
}

const PLAIN: Setting = Setting {
    key: "",
    short: None,
    many: false,
    flag: Flag::Everywhere,
    path: PathFrom::Nowhere,
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
    path: PathFrom::Here,
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
    path: PathFrom::Here,
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
    path: PathFrom::Here,
    value_name: "DIR",
    help: "Folder that receives the photos; {account} in it stands for the account",
    ..PLAIN
};

/// Where journal, session and lock live.
pub(crate) const DATA_DIR: Setting = Setting {
    key: "data-dir",
    path: PathFrom::Here,
    value_name: "DIR",
    help: "Folder of the journal, the session and the lock",
    default_shown: "$XDG_STATE_HOME/rollbook",
    default: Default::Xdg("XDG_STATE_HOME", ".local/state", "rollbook"),
    ..PLAIN
};

/// The configuration file.
pub(crate) const CONFIG: Setting = Setting {
    key: "config",
    path: PathFrom::Here,
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
    help: "Files fetched at the same time, 1 to 64; auto finds out how many pay, and is careful with the \
           service",
    default_shown: THREADS_DEFAULT,
    default: Default::Text(THREADS_DEFAULT),
    ..PLAIN
};

/// The most that comes in a second.
pub(crate) const BANDWIDTH_LIMIT: Setting = Setting {
    key: "bandwidth-limit",
    flag: Flag::Sync,
    value_name: "RATE",
    help: "The most bytes of files a second, of all files and accounts together: 5MB, 800KB",
    ..PLAIN
};

/// Folders below the directory.
pub(crate) const FOLDER_STRUCTURE: Setting = Setting {
    key: "folder-structure",
    flag: Flag::Layout,
    value_name: "TEMPLATE",
    help: "Folders by date, as strftime writes it, with {library}, {kind}, {album} or {camera}; none for one flat folder. A file keeps its path until \"rollbook relayout\"",
    default_shown: "%Y/%m/%d",
    default: Default::Text("%Y/%m/%d"),
    ..PLAIN
};

/// Names of files.
pub(crate) const FILE_NAME: Setting = Setting {
    key: "file-name",
    flag: Flag::Layout,
    value_name: "TEMPLATE",
    help: "Name of a file without its extension: {stem} is the name as imported; dates and facts as in --folder-structure",
    default_shown: "{stem}",
    default: Default::Text("{stem}"),
    ..PLAIN
};

/// The date that templates mean.
pub(crate) const DATE: Setting = Setting {
    key: "date",
    flag: Flag::Layout,
    value_name: "WORD",
    help: "The date of folders and names: captured (on the clock where it was taken) or added (to the library, UTC)",
    default_shown: "captured",
    default: Default::Text("captured"),
    ..PLAIN
};

/// Which libraries.
pub(crate) const LIBRARY: Setting = Setting {
    key: "library",
    flag: Flag::Sync,
    many: true,
    value_name: "NAME",
    help: "Library to keep: primary, shared, all, or a name from \"rollbook list libraries\"; repeatable",
    default_shown: "all",
    default: Default::Text("all"),
    ..PLAIN
};

/// Which albums.
pub(crate) const ALBUM: Setting = Setting {
    key: "album",
    short: Some('a'),
    flag: Flag::Sync,
    many: true,
    value_name: "NAME",
    help: "Keep only what lies in this album, Folder/Album, folder, or Favorites, Videos, Live, Panoramas, Screenshots, Slo-mo, Time-lapse; !NAME leaves it out; repeatable",
    ..PLAIN
};

/// Which file names.
pub(crate) const NAME: Setting = Setting {
    key: "name",
    flag: Flag::Sync,
    many: true,
    value_name: "PATTERN",
    help: "Keep only files whose imported name matches, such as IMG_*.HEIC; !PATTERN leaves them out; repeatable",
    ..PLAIN
};

/// The newest.
pub(crate) const RECENT: Setting = Setting {
    key: "recent",
    flag: Flag::Sync,
    value_name: "N|DAYS",
    help: "Keep only the N newest of each library by capture date, or those of the last days, such as 30d",
    ..PLAIN
};

/// When a listing may end.
pub(crate) const UNTIL_FOUND: Setting = Setting {
    key: "until-found",
    flag: Flag::Sync,
    value_name: "N",
    help: "End a listing after N assets in a row that are here already",
    ..PLAIN
};

/// How much at once.
pub(crate) const LIMIT: Setting = Setting {
    key: "limit",
    flag: Flag::Sync,
    value_name: "N",
    help: "Bring home at most N assets in this run",
    ..PLAIN
};

/// Captured at or after.
pub(crate) const CREATED_AFTER: Setting = Setting {
    key: "created-after",
    flag: Flag::Sync,
    value_name: "DATE",
    help: "Keep only what was captured on or after a date (2024-05-31), or within the last days (30d)",
    ..PLAIN
};

/// Captured before.
pub(crate) const CREATED_BEFORE: Setting = Setting {
    key: "created-before",
    flag: Flag::Sync,
    value_name: "DATE",
    help: "Keep only what was captured before a date, or more than so many days ago",
    ..PLAIN
};

/// Added at or after.
pub(crate) const ADDED_AFTER: Setting = Setting {
    key: "added-after",
    flag: Flag::Sync,
    value_name: "DATE",
    help: "Keep only what came into the library on or after a date, or within the last days",
    ..PLAIN
};

/// Added before.
pub(crate) const ADDED_BEFORE: Setting = Setting {
    key: "added-before",
    flag: Flag::Sync,
    value_name: "DATE",
    help: "Keep only what came into the library before a date, or more than so many days ago",
    ..PLAIN
};

/// No videos.
pub(crate) const SKIP_VIDEOS: Setting = Setting {
    key: "skip-videos",
    flag: Flag::Sync,
    help: "Leave out videos; the movies of Live Photos are no videos",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// No photos.
pub(crate) const SKIP_PHOTOS: Setting = Setting {
    key: "skip-photos",
    flag: Flag::Sync,
    help: "Leave out photos, Live Photos among them",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// No movies of Live Photos.
pub(crate) const SKIP_LIVE_PHOTOS: Setting = Setting {
    key: "skip-live-photos",
    flag: Flag::Sync,
    help: "Leave out the movies of Live Photos: the same as --live-photos image",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// Nothing hidden.
pub(crate) const SKIP_HIDDEN: Setting = Setting {
    key: "skip-hidden",
    flag: Flag::Sync,
    help: "Leave out what is hidden in Photos",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// Favourites.
pub(crate) const FAVORITES: Setting = Setting {
    key: "favorites",
    flag: Flag::Sync,
    help: "Keep only favourites",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// Which sizes.
pub(crate) const SIZE: Setting = Setting {
    key: "size",
    flag: Flag::Sync,
    many: true,
    value_name: "SIZE",
    help: "Sizes to keep: original, adjusted (edited), alternative, medium, thumb; a photo that has none of them gives its original; repeatable",
    default_shown: "original,adjusted,alternative",
    default: Default::Text("original,adjusted,alternative"),
    ..PLAIN
};

/// Which of a RAW pair.
pub(crate) const RAW: Setting = Setting {
    key: "raw",
    flag: Flag::Sync,
    value_name: "WORD",
    help: "Of a RAW and JPEG pair: both, raw or jpeg",
    default_shown: "both",
    default: Default::Text("both"),
    ..PLAIN
};

/// Which half of a Live Photo.
pub(crate) const LIVE_PHOTOS: Setting = Setting {
    key: "live-photos",
    flag: Flag::Sync,
    value_name: "WORD",
    help: "Of a Live Photo: both, image or video",
    default_shown: "both",
    default: Default::Text("both"),
    ..PLAIN
};

/// Names of Live Photo movies.
pub(crate) const LIVE_PHOTO_MOV_FILENAME_POLICY: Setting = Setting {
    key: "live-photo-mov-filename-policy",
    flag: Flag::Layout,
    value_name: "WORD",
    help: "Name of the movie of a HEIC Live Photo: original (IMG_0001.MOV) or suffix (IMG_0001_HEVC.MOV)",
    default_shown: "original",
    default: Default::Text("original"),
    ..PLAIN
};

/// Small files that say what iCloud knows of a photo.
pub(crate) const SIDECARS: Setting = Setting {
    key: "sidecars",
    flag: Flag::Sync,
    value_name: "xmp|none",
    help: "Write what iCloud knows of a photo beside it, as NAME.EXT.xmp: date, place, title, description, \
           keywords, favourite, albums; kept up to date, and the photo itself is never written to",
    default_shown: "none",
    default: Default::Text("none"),
    ..PLAIN
};

/// The date in the file itself.
pub(crate) const SET_EXIF_DATETIME: Setting = Setting {
    key: "set-exif-datetime",
    flag: Flag::Sync,
    help: "Add the date of capture to JPEGs that have none, once they are verified; the journal keeps the digest \
           of the bytes that came and that of the file",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// Albums as folders of links.
pub(crate) const ALBUM_VIEWS: Setting = Setting {
    key: "album-views",
    flag: Flag::Albums,
    value_name: "KIND",
    help: "Keep albums as folders of links to the one copy of each photo: none, hardlink, reflink or symlink",
    default_shown: "none",
    default: Default::Text("none"),
    ..PLAIN
};

/// Where they are.
pub(crate) const ALBUM_DIRECTORY: Setting = Setting {
    key: "album-directory",
    flag: Flag::Albums,
    path: PathFrom::Destination,
    value_name: "DIR",
    help: "Folder of the albums; below --directory unless it is absolute",
    default_shown: "Albums",
    default: Default::Text("Albums"),
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

/// Who is told.
pub(crate) const NOTIFY_COMMAND: Setting = Setting {
    key: "notify-command",
    flag: Flag::SyncOnly,
    value_name: "CMD",
    help: "Shell command to run when a run has ended and when a person is waited for; it finds what happened in \
           ROLLBOOK_EVENT, ROLLBOOK_EXIT, ROLLBOOK_EXIT_BEFORE and ROLLBOOK_MESSAGE",
    ..PLAIN
};

/// Room for others.
pub(crate) const KEEP_FREE: Setting = Setting {
    key: "keep-free",
    flag: Flag::Sync,
    value_name: "SIZE",
    help: "Room that stays free where the photos go, such as 2GB",
    default_shown: "1 % of the disk, at most 200MB",
    ..PLAIN
};

/// Files that were deleted here.
pub(crate) const MISSING_FILES: Setting = Setting {
    key: "missing-files",
    flag: Flag::SyncOnly,
    value_name: "release|refetch",
    help: "Verified files that you deleted here: they stay away, or come again",
    default_shown: "release",
    default: Default::Text("release"),
    ..PLAIN
};

/// How many of those at once.
pub(crate) const ALLOW_MISSING: Setting = Setting {
    key: "allow-missing",
    flag: Flag::SyncOnly,
    value_name: "N",
    help: "Stop and ask when more files than this are gone here at once",
    default_shown: "50, or 5 %",
    ..PLAIN
};

/// Look at all of them.
pub(crate) const CHECK_FILES: Setting = Setting {
    key: "check-files",
    flag: Flag::SyncOnly,
    help: "Look now whether every verified file stands where it should; else each run looks at some, and at all \
           once a week",
    default_shown: "false",
    default: Default::Text("false"),
    ..PLAIN
};

/// Files whose photo is gone from iCloud.
pub(crate) const DELETED: Setting = Setting {
    key: "deleted",
    flag: Flag::SyncOnly,
    value_name: "keep|trash",
    help: "Files of photos that are gone from iCloud: they stay, or go to .rollbook-trash in the destination",
    default_shown: "keep",
    default: Default::Text("keep"),
    ..PLAIN
};

/// How long the trash keeps them.
pub(crate) const TRASH_DAYS: Setting = Setting {
    key: "trash-days",
    flag: Flag::SyncOnly,
    value_name: "N",
    help: "Remove files from the trash for good after so many days; unset, they stay",
    ..PLAIN
};

/// How many may go at once.
pub(crate) const ALLOW_DELETIONS: Setting = Setting {
    key: "allow-deletions",
    flag: Flag::SyncOnly,
    value_name: "N",
    help: "Move nothing to the trash and ask when more files than this would go at once",
    default_shown: "50, or 5 %",
    ..PLAIN
};

/// Another chance for everything that failed.
pub(crate) const RETRY_FAILED: Setting = Setting {
    key: "retry-failed",
    flag: Flag::Sync,
    help: "Try every failed file again now, those that were given up too: these once in such a run",
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
pub(crate) static ALL: &[Setting] = &[
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
    BANDWIDTH_LIMIT,
    FOLDER_STRUCTURE,
    FILE_NAME,
    DATE,
    LIBRARY,
    ALBUM,
    NAME,
    RECENT,
    UNTIL_FOUND,
    LIMIT,
    CREATED_AFTER,
    CREATED_BEFORE,
    ADDED_AFTER,
    ADDED_BEFORE,
    SKIP_VIDEOS,
    SKIP_PHOTOS,
    SKIP_LIVE_PHOTOS,
    SKIP_HIDDEN,
    FAVORITES,
    SIZE,
    RAW,
    LIVE_PHOTOS,
    LIVE_PHOTO_MOV_FILENAME_POLICY,
    SIDECARS,
    SET_EXIF_DATETIME,
    ALBUM_VIEWS,
    ALBUM_DIRECTORY,
    NO_PROGRESS_BAR,
    NO_WAIT,
    WATCH_WITH_INTERVAL,
    NOTIFY_COMMAND,
    KEEP_FREE,
    MISSING_FILES,
    ALLOW_MISSING,
    CHECK_FILES,
    DELETED,
    TRASH_DAYS,
    ALLOW_DELETIONS,
    RETRY_FAILED,
    FULL,
    LOG_LEVEL,
];
