//! `rollbook config show`: every setting, its value, and where it comes from.

use serde::Serialize;

use crate::cli::commands::{print, print_json, table};
use crate::cli::config::{Config, Shown};
use crate::cli::exit::Exit;
use crate::cli::problem::Problem;

/// A setting, for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// Its name.
    setting: &'a str,
    /// Its value as it would be typed; null when it has none. A password is `***`.
    value: Option<&'a str>,
    /// The flag, the variable, the path of the configuration file, or `default`.
    source: String,
}

impl<'a> From<&'a Shown> for Line<'a> {
    fn from(of: &'a Shown) -> Self {
        Self { setting: of.key, value: of.value.as_deref(), source: of.source.to_string() }
    }
}

/// Shows the settings.
pub(super) fn show(config: &Config, json: bool) -> Result<Exit, Problem> {
    if json {
        print_json(&config.shown.iter().map(Line::from).collect::<Vec<_>>())?;
    } else {
        let head = ["setting", "value", "source"].map(str::to_owned).to_vec();
        print(&table(std::iter::once(head).chain(config.shown.iter().map(row)), &[]))?;
    }
    Ok(Exit::Done)
}

fn row(of: &Shown) -> Vec<String> {
    let (value, source) = match &of.value {
        Some(value) => (value.clone(), of.source.to_string()),
        None => ("-".to_owned(), "not set".to_owned()),
    };
    vec![of.key.to_owned(), value, source]
}
