//! The environment as a value, so that a test or the demo can bring its own.
//!
//! It also makes a path whole: a path that was typed must mean the same place to the next command,
//! wherever that is started. Only [`Environment::of_process`] looks at the real one, once, from `main`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// Variables, the home that relative defaults are made from, and the folder that the command was
/// started in.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    home: Option<PathBuf>,
    here: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        // Falls back to the user database where HOME is not set, as under some service managers.
        Self {
            variables: std::env::vars_os().collect(),
            home: std::env::home_dir(),
            here: std::env::current_dir().ok(),
        }
    }

    /// The same with one variable set: what a caller wants to say by itself.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// A variable. An empty one counts as unset.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A folder of the XDG specification: the variable if it is an absolute path, else below home.
    pub(crate) fn xdg(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let given = self.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        given.or_else(|| Some(self.home()?.join(below_home)))
    }

    /// The home folder.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from).or_else(|| self.home.clone())
    }

    /// A path that was typed, made whole: `~/` is home, and a relative one begins in the folder that
    /// the command was started in. Links and `..` stay: what they lead to may change.
    ///
    /// # Errors
    /// A sentence that says why it names no place, or none that can be written down: the journal and
    /// a unit hold text.
    pub(crate) fn whole(&self, typed: &OsStr) -> Result<PathBuf, String> {
        let text = typed.to_str().ok_or("it is not UTF-8: rename that folder, or name a link to it")?;
        let path = self.expand(text)?;
        let here = || self.here.clone().ok_or("it is not a whole path, and the folder you are in is gone");
        let path = if path.is_absolute() { path } else { here()?.join(path) };
        match path.to_str() {
            Some(_) => Ok(path.components().collect()),
            None => {
                Err("the folder that it is in is not UTF-8: rename that folder, or name a link to it"
                    .to_owned())
            }
        }
    }

    /// `~/` is what a shell would have made of it, had it seen it.
    pub(crate) fn expand(&self, text: &str) -> Result<PathBuf, String> {
        if !text.starts_with('~') {
            return Ok(text.into());
        }
        let below = match text.strip_prefix("~/") {
            Some(below) => below,
            None if text == "~" => "",
            None => {
                return Err(format!(
                    "only ~/ is read as a home; write the whole path, or ./{text} for a folder of that name"
                ));
            }
        };
        let home =
            self.home().ok_or("there is no home here for ~/ to mean: set HOME, or write the whole path")?;
        Ok(home.join(below))
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    /// Holds these variables and no other; home is `HOME` among them.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, home: None, here: None }
    }
}

impl fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_path_means_the_same_place_wherever_the_next_command_starts() {
        let mut environment: Environment = [("HOME", "/home/u")].into_iter().collect();
        environment.here = Some("/here".into());
        for (typed, whole) in [
            ("/a/b/", "/a/b"),
            ("/a/./b/../c", "/a/b/../c"),
            ("~", "/home/u"),
            ("~/a", "/home/u/a"),
            ("a", "/here/a"),
            ("./~x", "/here/~x"),
            ("../a", "/here/../a"),
            (".", "/here"),
        ] {
            assert_eq!(environment.whole(typed.as_ref()), Ok(whole.into()), "{typed}");
        }
        for wrong in [OsStr::new("~x/a"), OsStr::from_bytes(b"/a/\xff")] {
            assert!(environment.whole(wrong).is_err(), "{}", wrong.display());
        }
        environment.here = Some(OsStr::from_bytes(b"/\xff").into());
        assert!(environment.whole("a".as_ref()).is_err());
        assert!(Environment::default().whole("~/a".as_ref()).is_err());
        assert!(Environment::default().whole("a".as_ref()).is_err());
    }
}
