//! A pause for the whole run: Apple asks to wait, or the network is away.
//!
//! It concerns no single file, so it burns no attempt: claims are given back and nobody takes new
//! ones until it is over. Each pause in a row is longer; whatever gets through ends the row.
//!
//! A single file that is refused while others get through is another matter: after a few times it
//! is that file's failure, or it would hold up the run for ever.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fault;
use crate::model::ids::FileId;

/// First pause when nobody says how long.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause within a run. A longer wait is for the next run: the journal remembers it.
const LONGEST: Duration = Duration::from_secs(300);
/// Pauses in a row after which the run ends: about four minutes of nothing but refusals.
const IN_A_ROW_MAX: u32 = 9;
/// Refusals of one file, with other files getting through between them, that make it that file's
/// failure.
const ALONE_MAX: u32 = 3;
/// Sign-ins in a row, for refusals of the content host, without a file getting through. More help
/// nobody, and Apple counts sign-ins.
const SIGN_INS_MAX: u32 = 2;

/// When the run may go on, and who was refused.
#[derive(Debug, Default)]
pub(super) struct Pause(Mutex<Row>);

#[derive(Debug, Default)]
struct Row {
    began: Option<Instant>,
    until: Option<Instant>,
    in_a_row: u32,
    /// Files that got through in this run.
    through: u64,
    /// For a refused file: how often, and how many others were through the last time.
    refused: HashMap<FileId, (u32, u64)>,
    sign_ins: u32,
    /// The last sign-in that was refused.
    sign_in: Option<u64>,
}

impl Pause {
    /// Begins a pause for a request that left at `sent`, or joins the one that is on. Gives its
    /// length and whether it is a new one, or `None` when the run should end instead.
    pub(super) fn begin(&self, asked: Option<Duration>, sent: Instant) -> Option<(Duration, bool)> {
        let mut row = self.row();
        let now = Instant::now();
        // What left before the last pause began says nothing new.
        if row.began.is_some_and(|began| sent <= began) || row.until.is_some_and(|until| until > now) {
            return Some((
                row.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now)),
                false,
            ));
        }
        let own = fault::haste(FIRST) * 2_u32.saturating_pow(row.in_a_row);
        let length = asked.unwrap_or_default().max(own);
        if asked.is_some_and(|asked| asked > LONGEST) || row.in_a_row >= IN_A_ROW_MAX {
            return None;
        }
        row.in_a_row += 1;
        (row.began, row.until) = (Some(now), Some(now + length));
        Some((length, true))
    }

    /// Notes that a file was refused. `true`: it is the file, because others get through.
    pub(super) fn refused_alone(&self, file: FileId) -> bool {
        let mut row = self.row();
        let through = row.through;
        let (times, before) = row.refused.entry(file).or_insert((0, through));
        *times = if *before == through { (*times).max(1) } else { *times + 1 };
        *before = through;
        *times >= ALONE_MAX
    }

    /// Whether one more sign-in for the content host's sake makes sense, after the one of this
    /// number was refused. All who were under way are refused together: they count as one.
    pub(super) fn may_sign_in(&self, refused: u64) -> bool {
        let mut row = self.row();
        if row.sign_in.replace(refused) != Some(refused) {
            row.sign_ins += 1;
        }
        row.sign_ins <= SIGN_INS_MAX
    }

    /// What is left of the pause.
    pub(super) fn left(&self) -> Option<Duration> {
        let until = self.row().until;
        until.and_then(|until| until.checked_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// A file came home: the next pause starts short again.
    pub(super) fn file_through(&self) {
        let mut row = self.row();
        row.through += 1;
        row.sign_ins = 0;
        row.in_a_row = 0;
    }

    /// A call to the service got through.
    pub(super) fn call_through(&self) {
        self.row().in_a_row = 0;
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_join_and_end_the_run_at_last() {
        let pause = Pause::default();
        let sent = Instant::now();
        let (length, is_new) = pause.begin(Some(Duration::ZERO), sent).unwrap();
        assert!(is_new && length >= FIRST, "zero seconds are not a pause");
        assert!(!pause.begin(None, Instant::now()).unwrap().1, "a second refusal joins");
        assert!(pause.begin(Some(LONGEST * 2), sent).is_some(), "an old refusal says nothing new");
        assert!(Pause::default().begin(Some(LONGEST * 2), sent).is_none(), "too long for this run");
    }

    #[test]
    fn a_crowd_that_is_refused_together_asks_for_one_sign_in() {
        let pause = Pause::default();
        assert!((0..20).all(|_| pause.may_sign_in(1)));
        assert!((0..20).all(|_| pause.may_sign_in(2)));
        assert!(!pause.may_sign_in(3), "signing in does not help");
        pause.file_through();
        assert!(pause.may_sign_in(4));
    }

    #[test]
    fn a_file_that_is_refused_while_others_get_through_is_found_out() {
        let pause = Pause::default();
        let file = FileId(1);
        for _ in 0..10 {
            assert!(!pause.refused_alone(file), "everybody is refused: it is not this file");
        }
        pause.file_through();
        assert!(!pause.refused_alone(file));
        pause.file_through();
        assert!(pause.refused_alone(file));
    }
}
