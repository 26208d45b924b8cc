//! A line of the log, in tables and in JSON: a move, a note, what an asset did in iCloud, or where a run began.

use serde::Serialize;

use crate::cli::format;
use crate::journal::Happening;
use crate::model::events;

/// A line, for a program. The keys are a contract.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// Unix seconds.
    pub(super) at: i64,
    /// In which run; null for what a person did in `sqlite3`.
    pub(super) run_id: Option<i64>,
    /// What happened: an event, or `run begun` and `run ended`.
    pub(super) event: String,
    /// Apple's name for the asset; null for a run.
    pub(super) asset: Option<String>,
    /// The person's name for it; null for a run.
    pub(super) filename: Option<String>,
    /// The file; null where it is about an asset in iCloud, or a run.
    pub(super) path: Option<String>,
    /// Which file of the asset.
    pub(super) rendition: Option<String>,
    /// The state before.
    pub(super) from_state: Option<String>,
    /// The state after.
    pub(super) to_state: Option<String>,
    /// More about it.
    pub(super) detail: Option<String>,
}

impl Line {
    pub(super) fn row(&self) -> Vec<String> {
        let run = self.run_id.map_or_else(String::new, |run| format!("run {run}"));
        let what = self.path.clone().or_else(|| self.filename.clone()).unwrap_or_default();
        vec![format::moment(self.at), run, self.event.clone(), what, self.says()]
    }

    /// More about it; where that is a word or nothing, what the event means.
    pub(super) fn says(&self) -> String {
        match (&self.detail, events::sentence(&self.event)) {
            (None, sentence) => sentence.unwrap_or_default().to_owned(),
            (Some(detail), Some(sentence)) if !detail.contains(' ') => format!("{sentence} ({detail})"),
            (Some(detail), _) => detail.clone(),
        }
    }
}

impl From<Happening> for Line {
    fn from(of: Happening) -> Self {
        Self {
            at: of.at,
            run_id: of.run_id,
            event: of.event,
            asset: Some(of.asset),
            filename: Some(of.filename),
            path: of.path,
            rendition: of.rendition,
            from_state: of.from_state,
            to_state: of.to_state,
            detail: of.detail,
        }
    }
}
