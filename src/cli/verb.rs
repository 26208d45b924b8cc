//! Verbs and their switches, as all files that describe command lines make them.

use clap::{Arg, ArgAction, ArgMatches, Command};

/// Whether a switch is set; not so, too, where the verb has none of that name.
pub(super) fn is_set(matches: &ArgMatches, name: &str) -> bool {
    matches.try_get_one::<bool>(name).ok().flatten().is_some_and(|set| *set)
}

/// A verb.
pub(super) fn verb(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).disable_help_subcommand(true).after_help("")
}

/// The switch of every verb that answers programs.
pub(super) fn json() -> Arg {
    switch("json", "Answer in JSON, with stable keys")
}

/// A flag without a value.
pub(super) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
