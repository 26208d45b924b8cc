//! Everything a person sees: arguments, settings, the bar, problems, exit codes.
//!
//! `args` is the command line as typed, `config` and `account` what it means together with the
//! environment and the configuration file (`layers`), `engine_settings` what that means below. How a
//! password is come by: `password`. One file of `commands` serves each verb, on a `runtime`, and gives
//! its `answer`. An error of any layer becomes a problem in `explain`: what, why, and what to do.
//!
//! This is the only module that prints: data on standard output, talk on standard error.

mod account;
mod amount;
mod answer;
mod args;
mod bar;
mod choices;
mod clock;
mod code;
mod commands;
mod config;
mod config_file;
mod engine_settings;
mod environment;
mod exit;
mod explain;
mod format;
mod handover;
mod icloudpd;
mod interval;
mod json_list;
mod kit_args;
mod layers;
mod log;
mod notify;
mod output;
mod password;
mod person;
mod problem;
mod reading_args;
mod runtime;
mod settings;
mod shown;
mod signals;
mod standing;
mod together;
mod typed;
mod unit;
mod verb;

use std::ffi::OsString;

pub use environment::Environment;
pub use exit::Exit;

use args::Args;
use config::Config;
use output::Style;
use problem::Problem;

/// Reads the configuration file at `file` as any command would, each time it is called, and gives what a
/// person would read of it. A door for fuzzing; built for tests only.
///
/// # Panics
/// If the line of the command cannot be read.
#[cfg(feature = "faults")]
pub fn configuration_reader(file: &std::path::Path) -> impl Fn() -> Option<String> {
    let line = [OsString::from("rollbook"), "config".into(), "show".into(), "--config".into(), file.into()];
    let args = Args::parse(line).expect("the line is one of ours");
    let environment = Environment::from_iter([("HOME", "/home/anna")]);
    move || {
        let config = Config::new(&args, &environment).and_then(|config| config.accounts().map(|_| ()));
        config.err().map(|problem| problem.to_string())
    }
}

/// Runs a command line, and prints what it has to say. The first argument is the program's name.
///
/// Blocks until it is done, on a runtime of its own: call it from a thread that is in none.
pub fn run(args: impl IntoIterator<Item = OsString>, environment: Environment) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let style = Style::of(&environment);
    let done = if args.len() > 1 { answer(args, &environment, style) } else { bare() };
    done.unwrap_or_else(|problem| {
        output::talk(&style.paint(&problem.to_string()));
        problem.exit
    })
}

/// A bare `rollbook` is a question: what can it do?
fn bare() -> Result<Exit, Problem> {
    answer::print(args::help().trim_end())?;
    Ok(Exit::Done)
}

fn answer(args: Vec<OsString>, environment: &Environment, style: Style) -> Result<Exit, Problem> {
    let args = match Args::parse(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version go to standard output and are no error.
            let _ = error.print();
            return Ok(if error.use_stderr() { Exit::Usage } else { Exit::Done });
        }
    };
    let args = args.with_whole_paths(environment)?;
    let config = Config::new(&args, environment)?;
    log::begin(config.log_level);
    commands::run(&args, &config, environment, style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_an_answer_and_a_mistake_is_not() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        for (line, exit) in [
            ("", Exit::Done),
            ("--version", Exit::Done),
            ("sync --help", Exit::Done),
            ("config show --json", Exit::Done),
            ("sink", Exit::Usage),
            ("list", Exit::Usage),
            ("sync", Exit::Usage),
            ("status", Exit::Usage),
            ("config show --domain de", Exit::Usage),
        ] {
            let environment = Environment::default().with("HOME", folder.path());
            let args = std::iter::once("rollbook").chain(line.split_whitespace()).map(OsString::from);
            assert_eq!(run(args, environment), exit, "rollbook {line}");
        }
    }
}
