//! An answer for a program that is one long list and a few values after it, written as it comes.
//!
//! `{"NAME": [item, item, …], "more": …}`: one JSON document, and nothing of it is held in memory.

use std::io;

use serde::Serialize;

use crate::cli::output::Long;

/// A document under way.
pub(crate) struct JsonList {
    out: Long,
    name: &'static str,
    items: u64,
    failed: Option<io::Error>,
}

impl JsonList {
    /// Begins a document whose list is called `name`.
    pub(crate) fn begin(name: &'static str) -> Self {
        Self { out: Long::begin(), name, items: 0, failed: None }
    }

    /// Writes one item. What goes wrong is told at the end.
    pub(crate) fn item(&mut self, item: &impl Serialize) {
        let text = serde_json::to_string(item).expect("plain values become JSON");
        let before = match self.items {
            0 => format!("{{\n  \"{}\": [\n    ", self.name),
            _ => ",\n    ".to_owned(),
        };
        self.items += 1;
        let written = self.out.write(before.as_bytes()).and_then(|()| self.out.write(text.as_bytes()));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    /// Writes what comes after the list: the fields of `rest`, which has at least one.
    ///
    /// # Errors
    /// When any of it could not be written.
    pub(crate) fn end(mut self, rest: &impl Serialize) -> io::Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let rest = serde_json::to_string_pretty(rest).expect("plain values become JSON");
        let rest = rest.trim_start_matches('{');
        let before = match self.items {
            0 => format!("{{\n  \"{}\": [],", self.name),
            _ => "\n  ],".to_owned(),
        };
        self.out.write(before.as_bytes())?;
        self.out.write(rest.as_bytes())?;
        self.out.write(b"\n")?;
        self.out.flush()
    }
}
