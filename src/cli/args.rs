//! The command line as typed: a verb, and settings as they stand there, unread.
//!
//! What they mean, together with the other layers, is left to [`super::config`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use clap_complete::Shell;

use crate::cli::code::Code;
use crate::cli::environment::Environment;
use crate::cli::exit::{self, Exit};
use crate::cli::interval;
use crate::cli::kit_args::KitArgs;
use crate::cli::problem::Problem;
use crate::cli::reading_args::{self, ReadingArgs};
use crate::cli::settings::{self, Flag, Setting};
use crate::cli::verb::{is_set, json, switch, verb};
use crate::disk::standing::Bring;
use crate::icloud::CodeEntry;
use crate::model::views::LinkKind;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Sign in and keep the session.
    Login,
    /// Bring everything home.
    Sync,
    /// Say what a sync would fetch.
    Plan,
    /// Make a tree of another tool ours.
    Adopt,
    /// Move files to where the templates want them.
    Relayout,
    /// Print the manual page.
    Man,
    /// Print the completions of a shell.
    Completions,
    /// Say what the journal holds.
    Status,
    /// Say whether the copy is kept up to date.
    Health,
    /// Make folders of links of the albums.
    AlbumsBuild,
    /// Say what lies in which album.
    AlbumsExport,
    /// Balance the books.
    Audit,
    /// Read files back.
    Verify,
    /// Tell the story of an asset.
    Explain,
    /// Say what happened.
    Log,
    /// Write the catalogue.
    Export,
    /// Name what is in the trash.
    TrashList,
    /// Take files out of the trash.
    Undelete,
    /// Fetch again what was deleted here.
    Refetch,
    /// Write a systemd unit.
    ServiceInstall,
    /// Remove it.
    ServiceUninstall,
    /// Name the libraries.
    ListLibraries,
    /// Name the albums.
    ListAlbums,
    /// Show the settings and where each comes from.
    ConfigShow,
    /// Say what an icloudpd command line means here.
    ConfigFromIcloudpd,
    /// Say whether the journal is sound.
    JournalCheck,
    /// List its snapshots.
    JournalSnapshots,
    /// Put a snapshot in its place.
    JournalRestore,
    /// Begin a new one.
    JournalRebuild,
}

/// A command line.
#[derive(Debug)]
pub(crate) struct Args {
    /// What to do.
    pub(crate) verb: Verb,
    /// Whether the answer goes to a program.
    pub(crate) json: bool,
    /// Whether the password is to be kept.
    pub(crate) save: bool,
    /// Whether a kept password is to be removed.
    pub(crate) forget: bool,
    /// The configuration of docker-icloudpd that `config from-icloudpd` is to read.
    pub(crate) conf: Option<PathBuf>,
    /// Where icloudpd keeps its sessions, if one of them is to be taken over.
    pub(crate) from_icloudpd: Option<PathBuf>,
    /// How old the last good run may be for `health`.
    pub(crate) max_age: Option<Duration>,
    /// Which snapshot `journal restore` is to take.
    pub(crate) which: Option<String>,
    /// What `undelete` and `refetch` are about; nothing for all.
    pub(crate) names: Vec<String>,
    /// What kind of unit `service` is about.
    pub(crate) service: ServiceArgs,
    /// What `login` brings to the second factor.
    pub(crate) entry: Option<CodeEntry>,
    /// What `adopt` is to take over, and how.
    pub(crate) adopt: AdoptArgs,
    /// The exit kit that `export` is to make.
    pub(crate) kit: Option<KitArgs>,
    /// How `albums build` is to make links.
    pub(crate) link_kind: Option<LinkKind>,
    /// Whether the answer is to be a table of commas.
    pub(crate) csv: bool,
    /// Whether nothing is to be changed.
    pub(crate) dry_run: bool,
    /// For which shell completions are wanted.
    pub(crate) shell: Option<Shell>,
    /// What the commands take that look at what is here.
    pub(crate) reading: ReadingArgs,
    /// Flags by the name of their setting.
    pub(crate) flags: BTreeMap<&'static str, OsString>,
}

/// What kind of unit `service` is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceArgs {
    /// Only show it.
    pub(crate) print: bool,
    /// One of the machine.
    pub(crate) system: bool,
    /// One of this user.
    pub(crate) user: bool,
    /// A timer instead of a process that stays.
    pub(crate) timer: bool,
}

impl Args {
    /// Reads a command line; the first argument is the program's name.
    ///
    /// # Errors
    /// What clap has to say, which may be the help that was asked for.
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = command().try_get_matches_from(args)?;
        let mut path = Vec::new();
        let mut deepest = &matches;
        while let Some((name, below)) = deepest.subcommand() {
            path.push(name);
            deepest = below;
        }
        let verb = match path[..] {
            ["login"] => Verb::Login,
            ["sync"] if is_set(deepest, "dry-run") => Verb::Plan,
            ["sync"] => Verb::Sync,
            ["plan"] => Verb::Plan,
            ["adopt"] => Verb::Adopt,
            ["relayout"] => Verb::Relayout,
            ["man"] => Verb::Man,
            ["completions"] => Verb::Completions,
            ["status"] => Verb::Status,
            ["health"] => Verb::Health,
            ["albums", "build"] => Verb::AlbumsBuild,
            ["albums", "export"] => Verb::AlbumsExport,
            ["audit"] => Verb::Audit,
            ["verify"] => Verb::Verify,
            ["explain"] => Verb::Explain,
            ["log"] => Verb::Log,
            ["export"] => Verb::Export,
            ["trash", "list"] => Verb::TrashList,
            ["undelete"] => Verb::Undelete,
            ["refetch"] => Verb::Refetch,
            ["service", "install"] => Verb::ServiceInstall,
            ["service", "uninstall"] => Verb::ServiceUninstall,
            ["list", "libraries"] => Verb::ListLibraries,
            ["list", "albums"] => Verb::ListAlbums,
            ["config", "show"] => Verb::ConfigShow,
            ["config", "from-icloudpd"] => Verb::ConfigFromIcloudpd,
            ["journal", "check"] => Verb::JournalCheck,
            ["journal", "snapshots"] => Verb::JournalSnapshots,
            ["journal", "restore"] => Verb::JournalRestore,
            ["journal", "rebuild"] => Verb::JournalRebuild,
            _ => unreachable!("clap knows no other verb, and asks for one"),
        };
        let typed = |setting: &'static Setting| {
            let mut values = deepest.try_get_many::<OsString>(setting.key).ok().flatten()?;
            if !setting.many {
                return Some((setting.key, values.next()?.clone()));
            }
            // As lines: each is one word, whatever commas are in it.
            let mut lines = OsString::new();
            values.for_each(|value| lines.extend([value.as_os_str(), OsStr::new("\n")]));
            Some((setting.key, lines))
        };
        let flags = settings::ALL.iter().filter_map(typed).collect();
        Ok(Self {
            verb,
            json: is_set(deepest, "json"),
            save: is_set(deepest, "save"),
            forget: is_set(deepest, "forget"),
            from_icloudpd: deepest.try_get_one::<PathBuf>("from-icloudpd").ok().flatten().cloned(),
            conf: deepest.try_get_one::<PathBuf>("conf").ok().flatten().cloned(),
            max_age: deepest.try_get_one("max-age").ok().flatten().copied(),
            which: deepest.try_get_one::<String>("which").ok().flatten().cloned(),
            names: deepest
                .try_get_many::<String>("name")
                .ok()
                .flatten()
                .map_or_else(Vec::new, |names| names.cloned().collect()),
            service: ServiceArgs {
                print: is_set(deepest, "print"),
                system: is_set(deepest, "system"),
                user: is_set(deepest, "user"),
                timer: is_set(deepest, "timer"),
            },
            entry: entry(deepest),
            adopt: AdoptArgs::read(deepest),
            kit: KitArgs::read(deepest),
            link_kind: deepest.try_get_one::<LinkKind>("as").ok().flatten().copied(),
            csv: is_set(deepest, "csv"),
            dry_run: is_set(deepest, "dry-run"),
            shell: deepest.try_get_one::<Shell>("shell").ok().flatten().copied(),
            reading: ReadingArgs::read(deepest),
            flags,
        })
    }
}

impl Args {
    /// Makes those paths whole that are no settings.
    ///
    /// # Errors
    /// A problem that names the argument.
    pub(crate) fn with_whole_paths(mut self, environment: &Environment) -> Result<Self, Problem> {
        for (name, path) in [
            ("TREE", self.adopt.directory.as_mut()),
            ("--to", self.kit.as_mut().map(|kit| &mut kit.directory)),
            ("--from-icloudpd", self.from_icloudpd.as_mut()),
            ("--output", self.reading.output.as_mut()),
        ] {
            let Some(path) = path else { continue };
            *path = environment.whole(path.as_os_str()).map_err(|why| {
                let what = format!("cannot use {name}: {}", path.display());
                Problem::new(Exit::Usage, what).why(why).hint(format!("correct {name}"))
            })?;
        }
        Ok(self)
    }
}

/// What `adopt` is to take over, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdoptArgs {
    /// The tree; the destination itself if none is named.
    pub(crate) directory: Option<PathBuf>,
    /// How files from elsewhere come into the destination.
    pub(crate) bring: Option<Bring>,
    /// Adopt nothing.
    pub(crate) dry_run: bool,
}

impl AdoptArgs {
    fn read(matches: &ArgMatches) -> Self {
        let bring = match (is_set(matches, "link"), is_set(matches, "copy")) {
            (true, _) => Some(Bring::Link),
            (_, true) => Some(Bring::Copy),
            _ => None,
        };
        let directory = matches.try_get_one::<PathBuf>("tree").ok().flatten().cloned();
        Self { directory, bring, dry_run: is_set(matches, "dry-run") }
    }

    fn command() -> Command {
        verb("adopt", "Take over files that another tool downloaded, by their content, where they stand")
            .arg(
                Arg::new("tree")
                    .value_name("TREE")
                    .value_parser(clap::value_parser!(PathBuf))
                    .help("Where to look, in the destination or elsewhere [default: the destination]"),
            )
            .arg(switch("link", "Bring files from elsewhere into the destination, as hard links"))
            .arg(
                switch("copy", "The same as copies, which share their bytes where the file system can")
                    .conflicts_with("link"),
            )
            .arg(switch("dry-run", "Say what would be adopted, and adopt nothing"))
            .arg(json())
    }
}

/// The way in from icloudpd.
fn from_icloudpd_line() -> Command {
    verb("from-icloudpd", "Print the configuration that does what an icloudpd command line does")
        .arg(
            Arg::new("conf")
                .long("conf")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Read the icloudpd.conf of docker-icloudpd instead"),
        )
        .arg(
            Arg::new("name")
                .value_name("COMMAND LINE")
                .num_args(1..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .required_unless_present("conf")
                .help("As it is typed, in quotes or not: icloudpd --directory /photos --size original"),
        )
}

/// Albums as folders, and as a list.
fn albums() -> Command {
    let kind = |typed: &str| LinkKind::parse(typed).ok_or("it is hardlink, reflink or symlink");
    verb("albums", "Look at the albums as folders, or as a list")
        .subcommand_required(true)
        .subcommand(
            verb("build", "Make the folders of links that --album-views keeps, and mend what is missing")
                .arg(
                    Arg::new("as")
                        .long("as")
                        .value_name("KIND")
                        .value_parser(kind)
                        .help("hardlink, reflink or symlink [default: that of --album-views, else hardlink]"),
                )
                .args(flags(&[Flag::Albums]))
                .arg(json()),
        )
        .subcommand(
            verb("export", "Say what lies in which album, whether it is here or not")
                .arg(switch("csv", "Answer as comma-separated values").conflicts_with("json"))
                .arg(json()),
        )
}

/// The manual page: every verb with its flags.
pub(crate) fn manual() -> std::io::Result<String> {
    let mut root = command();
    root.build();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(root.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    verbs(&root, &mut page)?;
    man.render_options_section(&mut page)?;
    man.render_extra_section(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// A part of the manual page for each verb, those below others under their full name.
fn verbs(above: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    use std::io::Write as _;
    for verb in above.get_subcommands() {
        let name = verb.get_bin_name().unwrap_or(verb.get_name());
        // The settings of every command stand once, at the end.
        let own = verb.clone().mut_args(|arg| {
            let hide = arg.is_global_set();
            arg.hide(hide)
        });
        let own = own.disable_help_flag(true);
        let man = clap_mangen::Man::new(own);
        writeln!(page, ".SH {}", name.to_uppercase())?;
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(page, "{about}.")?;
        let mut options = Vec::new();
        man.render_options_section(&mut options)?;
        let options = String::from_utf8_lossy(&options).replace(".SH OPTIONS\n", "");
        page.extend_from_slice(options.replace(".SH SETTINGS", ".SS Settings").as_bytes());
        verbs(verb, page)?;
    }
    Ok(())
}

/// What `completions SHELL` prints.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "rollbook", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The help that a bare `rollbook` prints.
pub(crate) fn help() -> String {
    command().render_help().to_string()
}

/// What `--code` or `--sms` brings.
fn entry(matches: &ArgMatches) -> Option<CodeEntry> {
    if let Some(Code(code)) = matches.try_get_one::<Code>("code").ok().flatten() {
        return Some(CodeEntry::Code(code.clone()));
    }
    let mut numbers = matches.try_get_many::<usize>("sms").ok().flatten()?;
    Some(CodeEntry::Sms(numbers.next().copied()))
}

fn command() -> Command {
    let sync = |verb: Command| verb.args(flags(&[Flag::Layout, Flag::Sync, Flag::Albums]));
    let list = |name, about| verb(name, about).arg(json());
    Command::new("rollbook")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps a complete local copy of an iCloud Photos library, and can prove it")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .args(flags(&[Flag::Everywhere, Flag::Hidden]).map(|flag| flag.global(true)))
        .subcommand(
            verb("login", "Sign in and keep the session, so that later runs need nobody")
                .arg(switch("save", "Keep the password too, encrypted, for when the session ends"))
                .arg(
                    switch("forget", "Remove the kept password, and do nothing else")
                        .conflicts_with_all(["save", "code", "sms"]),
                )
                .args(login()),
        )
        .subcommand(
            sync(verb("sync", "Bring home every file that is not here yet, and verify it"))
                .args(flags(&[Flag::SyncOnly]))
                .arg(switch("dry-run", "Say what a sync would fetch, and fetch nothing (the same as plan)"))
                .arg(json().requires("dry-run")),
        )
        .subcommand(sync(verb("plan", "Say what a sync would fetch, and whether there is room")).arg(json()))
        .subcommand(sync(AdoptArgs::command()))
        .subcommand(albums())
        .subcommand(
            verb("relayout", "Move the files to where the templates want them; fetches nothing")
                .args(flags(&[Flag::Layout]))
                .arg(switch("dry-run", "Say what would move, and move nothing"))
                .arg(json()),
        )
        .subcommand(
            verb("status", "Say what the journal holds; asks nobody else, also during a run").arg(json()),
        )
        .subcommand(reading_args::audit())
        .subcommand(reading_args::verify().args(flags(&[Flag::Sync])))
        .subcommand(reading_args::explain())
        .subcommand(reading_args::log())
        .subcommand(reading_args::export())
        .subcommand(
            verb("health", "Say in the exit code whether the copy is kept up to date; asks nobody else")
                .arg(max_age())
                .arg(json()),
        )
        .subcommand(
            verb("trash", "Look at files whose photo is gone from iCloud")
                .subcommand_required(true)
                .subcommand(list("list", "Name every file of the trash")),
        )
        .subcommand(verb("undelete", "Move files of the trash back to where they were").args(which()))
        .subcommand(verb("refetch", "Let the next sync fetch again what was deleted here").args(which()))
        .subcommand(
            verb("service", "Keep the copy up to date by systemd")
                .subcommand_required(true)
                .subcommand(
                    sync(verb("install", "Write a hardened unit with the settings of this command line"))
                        .args(flags(&[Flag::SyncOnly]))
                        .arg(switch("print", "Print the unit, and write nothing"))
                        .args(managers())
                        .arg(switch("timer", "Start a run again and again, by a timer"))
                        .arg(
                            switch("watch", "Stay and watch, in one process (the default)")
                                .conflicts_with("timer"),
                        ),
                )
                .subcommand(verb("uninstall", "Stop it and remove the unit").args(managers())),
        )
        .subcommand(
            verb("list", "Name what the account holds")
                .subcommand_required(true)
                .subcommand(list("libraries", "Name the libraries and how many assets each holds"))
                .subcommand(list("albums", "Name the albums of every library")),
        )
        .subcommand(
            verb("config", "Look at the settings")
                .subcommand_required(true)
                .subcommand(list("show", "Show every setting, its value, and where it comes from"))
                .subcommand(from_icloudpd_line()),
        )
        .subcommand(journal())
        .subcommand(verb("man", "Print the manual page of rollbook, for man -l"))
        .subcommand(
            verb("completions", "Print the completions of a shell").arg(
                Arg::new("shell")
                    .value_name("SHELL")
                    .required(true)
                    .value_parser(clap::value_parser!(Shell))
                    .help("The shell"),
            ),
        )
        .after_help(
            "A setting is its flag, else its environment variable, else its key in the configuration\n\
             file (the name of the flag without dashes), else its default: see rollbook config show.\n\
             The password is never a flag. It is the first of: ROLLBOOK_PASSWORD, --password-file,\n\
             --password-command, what \"rollbook login --save\" kept, what is typed at a terminal.",
        )
        .after_long_help(exit::HELP)
}

/// What a person does about the journal itself.
fn journal() -> Command {
    verb("journal", "Check the journal, list its snapshots, or put another in its place")
        .subcommand_required(true)
        .subcommand(verb("check", "Look at every page, index and count; exit code 2 if one is wrong").arg(json()))
        .subcommand(verb("snapshots", "List the snapshots that syncs have left").arg(json()))
        .subcommand(
            verb("restore", "Put a snapshot in the place of the journal, which is put aside").arg(
                Arg::new("which").value_name("WHICH").value_parser(NonEmptyStringValueParser::new()).help(
                    "Name or run of a snapshot, as \"rollbook journal snapshots\" lists it [default: the newest \
                     sound one]",
                ),
            ),
        )
        .subcommand(verb(
            "rebuild",
            "Put the journal aside and begin a new one, which the next sync fills from the files that are here",
        ))
}

/// Which files, by name; all of them only if that is said.
fn which() -> [Arg; 2] {
    [
        Arg::new("name")
            .value_name("PATH|NAME")
            .num_args(1..)
            .value_parser(NonEmptyStringValueParser::new())
            .required_unless_present("all")
            .help("A path, a folder, or the name of a photo"),
        switch("all", "All of them").conflicts_with("name"),
    ]
}

/// Whose systemd it is about.
fn managers() -> [Arg; 2] {
    [
        switch("system", "That of the machine (the default for root)").conflicts_with("user"),
        switch("user", "Your own (the default for anyone else)"),
    ]
}

/// Two days: one missed night is no alarm, two are.
fn max_age() -> Arg {
    Arg::new("max-age")
        .long("max-age")
        .value_name("TIME")
        .value_parser(interval::parse)
        .default_value("2d")
        .help("How long ago the last finished run may be")
}

/// How a code comes with the command line. It is good once and for minutes, so unlike a password
/// it may be seen there.
fn login() -> [Arg; 3] {
    [
        Arg::new("from-icloudpd")
            .long("from-icloudpd")
            .value_name("DIR")
            .value_parser(clap::value_parser!(PathBuf))
            .conflicts_with_all(["forget", "code", "sms"])
            .help("Take over the session that icloudpd keeps in DIR (its cookie directory), without a code"),
        Arg::new("code")
            .long("code")
            .value_name("CODE")
            .value_parser(str::parse::<Code>)
            .help("Six digits that a trusted device shows; also brings them to a run that waits"),
        Arg::new("sms")
            .long("sms")
            .value_name("N")
            .num_args(0..=1)
            .value_parser(clap::value_parser!(usize))
            .conflicts_with("code")
            .help("Send the code to the N-th trusted phone; without N list the phones, if there are several"),
    ]
}

/// The flags of all settings of these kinds.
fn flags(kinds: &'static [Flag]) -> impl Iterator<Item = Arg> {
    let all = settings::ALL.iter().enumerate().filter(|(_, setting)| kinds.contains(&setting.flag));
    all.map(|(place, setting)| flag(setting).display_order(place))
}

fn flag(setting: &'static Setting) -> Arg {
    let default = match setting.default_shown {
        "" => String::new(),
        shown => format!(" [default: {shown}]"),
    };
    let flag = Arg::new(setting.key)
        .long(setting.key)
        .value_parser(clap::value_parser!(OsString))
        .help_heading("Settings")
        .hide(setting.flag == Flag::Hidden)
        .action(if setting.many { ArgAction::Append } else { ArgAction::Set })
        .help(format!("{} [env: {}]{default}", setting.help, setting.variable()));
    let flag = match setting.short {
        Some(letter) => flag.short(letter),
        None => flag,
    };
    match setting.value_name {
        // A switch, which `--flag=false` turns off again when the file turned it on.
        "" => flag
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true)
            .value_name("true|false"),
        name => flag.value_name(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::parse(std::iter::once("rollbook").chain(line.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn the_command_is_well_formed_and_names_variable_and_default_of_every_flag() {
        command().debug_assert();
        let mut sync = command();
        let sync = sync.find_subcommand_mut("sync").unwrap().render_long_help().to_string();
        assert!(sync.contains("[env: ROLLBOOK_THREADS_NUM] [default: 10]"), "{sync}");
        assert!(!help().contains("--endpoint") && !help().contains("ROLLBOOK_PASSWORD]"));
    }

    #[test]
    fn settings_may_stand_before_or_after_the_verb() {
        for line in ["-u a@b.c sync --threads-num 3", "sync --threads-num=3 --username a@b.c"] {
            let args = parse(line).unwrap();
            assert_eq!((args.verb, args.flags["username"].to_str()), (Verb::Sync, Some("a@b.c")));
            assert_eq!(args.flags["threads-num"], "3");
        }
    }

    #[test]
    fn a_switch_needs_no_value_and_takes_none_by_accident() {
        assert_eq!(parse("sync --no-progress-bar").unwrap().flags["no-progress-bar"], "true");
        assert_eq!(parse("sync --no-progress-bar=false").unwrap().flags["no-progress-bar"], "false");
        assert!(parse("sync --no-progress-bar false").is_err());
    }

    #[test]
    fn verbs_are_read_and_a_dry_run_is_a_plan() {
        assert_eq!(parse("sync --dry-run --json").unwrap().verb, Verb::Plan);
        assert_eq!(parse("list albums --json").unwrap().verb, Verb::ListAlbums);
        assert!(parse("config show --json").unwrap().json && !parse("status").unwrap().json);
        for (line, entry) in [
            ("login", None),
            ("login --sms", Some(CodeEntry::Sms(None))),
            ("login --sms 2", Some(CodeEntry::Sms(Some(2)))),
            ("login --code 012-345", Some(CodeEntry::Code(Secret::new("012345")))),
        ] {
            assert_eq!(parse(line).unwrap().entry, entry, "{line}");
        }
        for wrong in ["login --code 12345", "login --sms --code 123456", "sync --code 123456"] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
        for wrong in ["", "list", "sink", "sync --json", "login --password x", "login --threads-num 3"] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
