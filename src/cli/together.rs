//! One bar for several accounts: it shows the sum of what each is doing.
//!
//! The bar begins when the last sign-in has ended, so that it never stands over a question.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::level_filters::LevelFilter;

use crate::cli::account::Account;
use crate::cli::bar::Bar;
use crate::cli::config::Config;
use crate::cli::output::{self, Style};
use crate::engine::{Monitor, Notice, Phase, Progress};

/// Watches the runs of all accounts.
#[derive(Debug)]
pub(crate) struct Together {
    /// Whether a bar is wanted, once nobody is asked any more.
    shown: bool,
    style: Style,
    level: LevelFilter,
    /// What each account is called; nothing where there is but one.
    labels: Vec<Option<String>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bar: Bar,
    signing_in: usize,
    progress: Vec<Progress>,
}

impl Together {
    /// Watches the runs of all accounts; with a bar, if there is a terminal and it is wanted.
    pub(crate) fn over(config: &Config, accounts: &[Account], style: Style) -> Arc<Self> {
        let labels: Vec<&str> = accounts.iter().map(Account::label).collect();
        Self::begin(!config.no_progress_bar && output::is_terminal(), style, config.log_level, &labels)
    }

    /// The same without a bar.
    pub(crate) fn quietly_over(config: &Config, accounts: &[Account], style: Style) -> Arc<Self> {
        let labels: Vec<&str> = accounts.iter().map(Account::label).collect();
        Self::begin(false, style, config.log_level, &labels)
    }

    /// Begins to watch, without a bar yet.
    fn begin(shown: bool, style: Style, level: LevelFilter, labels: &[&str]) -> Arc<Self> {
        let several = labels.len() > 1;
        let state = State {
            bar: Bar::begin(false, style, level),
            signing_in: labels.len(),
            progress: vec![Progress::default(); labels.len()],
        };
        let labels = labels.iter().map(|label| several.then(|| (*label).to_owned())).collect();
        Arc::new(Self { shown, style, level, labels, state: Mutex::new(state) })
    }

    /// The sign-in of one account has ended, in either way.
    pub(crate) fn signed_in(&self) {
        let mut state = self.lock();
        state.signing_in = state.signing_in.saturating_sub(1);
        if state.signing_in == 0 && self.shown {
            state.bar = Bar::begin(true, self.style, self.level);
            state.bar.progress(sum(&state.progress));
        }
    }

    /// A monitor for the account at `index`.
    pub(crate) fn monitor(self: &Arc<Self>, index: usize) -> Arc<dyn Monitor> {
        Arc::new(One { together: Arc::clone(self), index })
    }

    /// The account at `index` has ended. Returns its last counts.
    pub(crate) fn ended(&self, index: usize) -> Progress {
        let mut state = self.lock();
        let last = state.progress[index];
        state.progress[index].enumerated = true;
        state.bar.progress(sum(&state.progress));
        if self.labels.len() == 1 {
            // So that nothing is drawn between the last line and the shell's prompt.
            state.bar.finish();
        }
        last
    }

    /// What an account is called in a line; nothing where there is but one.
    pub(crate) fn prefix(&self, index: usize) -> String {
        self.labels[index].as_ref().map_or_else(String::new, |label| format!("{label}: "))
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.lock().bar.finish();
    }

    /// Numbers that are whole at every moment: a panic elsewhere breaks none.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches one of the accounts.
struct One {
    together: Arc<Together>,
    index: usize,
}

impl Monitor for One {
    fn phase(&self, phase: Phase) {
        self.together.lock().bar.phase(phase);
    }

    fn progress(&self, progress: Progress) {
        let mut state = self.together.lock();
        state.progress[self.index] = progress;
        state.bar.progress(sum(&state.progress));
    }

    fn notice(&self, notice: Notice) {
        let prefix = self.together.prefix(self.index);
        self.together.lock().bar.notice_of(&prefix, &notice);
    }
}

fn sum(all: &[Progress]) -> Progress {
    let of = |number: fn(&Progress) -> u64| all.iter().map(number).sum();
    Progress {
        assets_total: of(|one| one.assets_total),
        assets_done: of(|one| one.assets_done),
        bytes_total: of(|one| one.bytes_total),
        bytes_done: of(|one| one.bytes_done),
        files_verified: of(|one| one.files_verified),
        files_failed: of(|one| one.files_failed),
        enumerated: all.iter().all(|one| one.enumerated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_final_only_when_every_account_is_listed_or_has_ended() {
        let style = Style::of(&crate::cli::Environment::default());
        let together = Together::begin(false, style, LevelFilter::ERROR, &["a", "b"]);
        let listed = Progress { assets_total: 3, assets_done: 1, enumerated: true, ..Progress::default() };
        together.monitor(0).progress(listed);
        assert!(!sum(&together.lock().progress).enumerated);
        together.ended(1);
        assert_eq!(sum(&together.lock().progress), listed);
        assert_eq!((together.ended(0), together.prefix(1).as_str()), (listed, "b: "));
    }
}
