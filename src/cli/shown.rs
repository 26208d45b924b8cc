//! A setting as `rollbook config show` shows it.

use std::ffi::OsString;

use crate::cli::layers::Source;
use crate::cli::settings::{self, Setting};

/// A setting, its value as text, and where that comes from.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// The account it is for; `None` where it is for all, or there is but one.
    pub(crate) account: Option<String>,
    /// Its name.
    pub(crate) key: &'static str,
    /// Its value; `None` when it has none.
    pub(crate) value: Option<String>,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// A setting as it is found.
pub(crate) fn show(
    found: Option<(OsString, Source)>,
    setting: &'static Setting,
    account: Option<String>,
) -> Shown {
    let (value, source) = found.unzip();
    let value = value.map(|value| value.to_string_lossy().into_owned());
    let value = value.map(|value| if setting.many { settings::words(&value).join(", ") } else { value });
    Shown { account, key: setting.key, value, source: source.unwrap_or(Source::Default) }
}
