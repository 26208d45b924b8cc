//! `rollbook config`: every setting, its value, and where it comes from; and what icloudpd's mean here.

use std::path::Path;

use serde::Serialize;

use crate::cli::answer::{print, print_json, table};
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::icloudpd;
use crate::cli::layers::Source;
use crate::cli::problem::Problem;
use crate::cli::shown::Shown;
use crate::disk::private;

/// A setting, for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// The account it is for; null where it is for all, or there is but one.
    account: Option<&'a str>,
    /// Its name.
    setting: &'a str,
    /// Its value as it would be typed; null when it has none. A password is `***`.
    value: Option<&'a str>,
    /// The flag, the variable, the path of the configuration file, or `default`; for the password,
    /// where it would be taken from.
    source: String,
}

impl<'a> From<&'a Shown> for Line<'a> {
    fn from(of: &'a Shown) -> Self {
        Self {
            account: of.account.as_deref(),
            setting: of.key,
            value: of.value.as_deref(),
            source: of.source.to_string(),
        }
    }
}

/// Prints what an icloudpd command line, or the configuration of docker-icloudpd, means here; and says so
/// if no command would take that.
pub(super) fn from_icloudpd(conf: Option<&Path>, words: &[String]) -> Result<Exit, Problem> {
    let page = match (conf, words) {
        (Some(path), _) => {
            let text = private::read_text(path).map_err(|error| {
                Problem::new(Exit::Usage, format!("cannot read {}", path.display())).why(error)
            })?;
            icloudpd::translate_docker(&text)
        }
        // In quotes it is one word.
        (None, [line]) => icloudpd::translate(&icloudpd::split(line)),
        (None, words) => icloudpd::translate(words),
    };
    print(&page)?;
    match Config::try_text(Path::new("the page above"), &page) {
        Ok(()) => Ok(Exit::Done),
        Err(problem) => Err(Problem::new(Exit::Usage, "cannot use what icloudpd was told as it is")
            .why(problem.in_a_line())
            .hint("correct that flag or key, or the page above before you keep it")),
    }
}

/// Shows the settings.
pub(super) fn show(config: &Config, json: bool) -> Result<Exit, Problem> {
    let shown = config.shown();
    if json {
        print_json(&shown.iter().map(Line::from).collect::<Vec<_>>())?;
    } else {
        let head = ["setting", "value", "source"].map(str::to_owned).to_vec();
        print(&table(std::iter::once(head).chain(shown.iter().map(row)), &[]))?;
    }
    Ok(Exit::Done)
}

fn row(of: &Shown) -> Vec<String> {
    let (value, source) = match (&of.value, &of.source) {
        (Some(value), source) => (value.clone(), source.to_string()),
        (None, Source::Password(source)) => ("-".to_owned(), source.clone()),
        (None, _) => ("-".to_owned(), "not set".to_owned()),
    };
    let key = match &of.account {
        Some(account) => format!("{account}: {}", of.key),
        None => of.key.to_owned(),
    };
    vec![key, value, source]
}
