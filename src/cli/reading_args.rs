//! The command line of the commands that look at what is here: audit, verify, explain, log, export.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgMatches, Command};

use crate::cli::amount::{self, Day};
use crate::cli::interval;
use crate::cli::kit_args::KitArgs;
use crate::cli::verb::{is_set, json, switch, verb};

/// How a catalogue is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// A list that `sha256sum --check` reads.
    #[default]
    Sha256Sum,
    /// A JSON object in each line.
    JsonLines,
    /// Comma-separated values with a head.
    Csv,
}

/// Everything that these commands take.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadingArgs {
    /// Ask Apple nothing.
    pub(crate) offline: bool,
    /// Read the bytes too.
    pub(crate) deep: bool,
    /// Read no more than this.
    pub(crate) bytes_max: Option<u64>,
    /// Begin no file after this time.
    pub(crate) time_max: Option<Duration>,
    /// Files that were checked lately, too.
    pub(crate) all: bool,
    /// Fetch what is damaged at once.
    pub(crate) repair: bool,
    /// The asset that is asked about.
    pub(crate) asset: Option<String>,
    /// The run that is asked about.
    pub(crate) run: Option<i64>,
    /// Nothing before.
    pub(crate) since: Option<Day>,
    /// Nothing after.
    pub(crate) until: Option<Day>,
    /// The latest so many.
    pub(crate) limit: Option<usize>,
    /// How the catalogue is written.
    pub(crate) format: Format,
    /// Where to.
    pub(crate) output: Option<PathBuf>,
}

impl ReadingArgs {
    pub(crate) fn read(matches: &ArgMatches) -> Self {
        fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
            matches.try_get_one::<T>(name).ok().flatten().cloned()
        }
        Self {
            offline: is_set(matches, "offline"),
            deep: is_set(matches, "deep"),
            bytes_max: one(matches, "budget-bytes"),
            time_max: one(matches, "budget-time"),
            all: is_set(matches, "all"),
            repair: is_set(matches, "repair"),
            asset: one(matches, "asset"),
            run: one(matches, "run"),
            since: one(matches, "since"),
            until: one(matches, "until"),
            limit: one(matches, "limit"),
            format: one(matches, "format").unwrap_or_default(),
            output: one(matches, "output"),
        }
    }
}

/// `audit`.
pub(crate) fn audit() -> Command {
    verb("audit", "Set Apple's count, the journal and the disk against each other; name every difference")
        .arg(switch("offline", "Ask Apple nothing: take the count that the last run was told"))
        .arg(switch("deep", "Read every file, and compare its bytes"))
        .arg(json())
}

/// `verify`.
pub(crate) fn verify() -> Command {
    verb("verify", "Read files back and compare them with the journal, the oldest check first")
        .arg(
            value("budget-bytes", "SIZE", "Read no more than this, such as 50GB; one file at least")
                .value_parser(amount::bytes),
        )
        .arg(
            value("budget-time", "TIME", "Begin no file after this time, such as 1h or 30m")
                .value_parser(interval::parse),
        )
        .arg(switch("all", "Read files again that were checked within the last 30 days, too"))
        .arg(switch("repair", "Fetch what is damaged or missing at once, instead of at the next sync"))
        .arg(json())
}

/// `explain`.
pub(crate) fn explain() -> Command {
    verb("explain", "Tell the whole story of an asset")
        .arg(
            Arg::new("asset")
                .value_name("NAME|ID|PATH")
                .value_parser(NonEmptyStringValueParser::new())
                .required(true)
                .help("A file name, Apple's record name, or a path below the directory"),
        )
        .arg(json())
}

/// `log`.
pub(crate) fn log() -> Command {
    verb("log", "Say what happened, oldest first")
        .arg(value("run", "N", "In this run only").value_parser(clap::value_parser!(i64)))
        .arg(
            value("asset", "NAME", "To this asset only: a name, record or path, as for explain")
                .value_parser(NonEmptyStringValueParser::new()),
        )
        .arg(value("since", "DATE", "From this day or moment on, in UTC").value_parser(amount::day))
        .arg(value("until", "DATE", "Up to this day or moment, in UTC").value_parser(amount::day))
        .arg(
            value("limit", "N", "The latest so many lines [default: 100; with --json all]")
                .value_parser(clap::value_parser!(usize)),
        )
        .arg(json())
}

/// `export`.
pub(crate) fn export() -> Command {
    let format = |word: &str| match word {
        "sha256sum" => Ok(Format::Sha256Sum),
        "jsonl" => Ok(Format::JsonLines),
        "csv" => Ok(Format::Csv),
        _ => Err("it is sha256sum, jsonl or csv"),
    };
    verb("export", "Write the catalogue, every file in the order of the paths; or lay the library out")
        .args(KitArgs::args())
        .arg(
            value("format", "sha256sum|jsonl|csv", "A list for \"sha256sum --check\", or everything")
                .required_unless_present("for")
                .value_parser(format),
        )
        .arg(
            value("output", "FILE", "Write it there, whole or not at all [default: standard output]")
                .requires("format")
                .value_parser(clap::value_parser!(PathBuf)),
        )
}

fn value(name: &'static str, value_name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value_name).help(help)
}
