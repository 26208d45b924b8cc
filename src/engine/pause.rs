//! A pause for the whole run: Apple asks to wait, or the network is away.
//!
//! It concerns no single file, so it burns no attempt: claims are given back and nobody takes new
//! ones until it is over. Each pause in a row is longer; a file that comes home ends the row.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// First pause when nobody says how long.
const FIRST: Duration = Duration::from_secs(2);
/// Longest pause within a run. A longer wait is for the next run: the journal remembers it.
const LONGEST: Duration = Duration::from_secs(300);
/// Pauses in a row after which the run ends: about five minutes of nothing but refusals.
const IN_A_ROW_MAX: u32 = 7;

/// When the run may go on.
#[derive(Debug, Default)]
pub(super) struct Pause(Mutex<Row>);

#[derive(Debug, Default)]
struct Row {
    until: Option<Instant>,
    in_a_row: u32,
}

impl Pause {
    /// Begins a pause, or joins the one that is on. Gives its length and whether it is a new one,
    /// or `None` when the run should end instead.
    pub(super) fn begin(&self, asked: Option<Duration>) -> Option<(Duration, bool)> {
        let mut row = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(until) = row.until.filter(|until| *until > now) {
            return Some((until - now, false));
        }
        let length = asked.unwrap_or(FIRST * 2_u32.saturating_pow(row.in_a_row));
        if length > LONGEST || row.in_a_row >= IN_A_ROW_MAX {
            return None;
        }
        row.in_a_row += 1;
        row.until = Some(now + length);
        Some((length, true))
    }

    /// What is left of the pause.
    pub(super) fn left(&self) -> Option<Duration> {
        let row = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        row.until.and_then(|until| until.checked_duration_since(Instant::now())).filter(|d| !d.is_zero())
    }

    /// A file came home: the next pause starts short again.
    pub(super) fn over(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).in_a_row = 0;
    }
}
