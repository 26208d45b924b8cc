//! The counts of a run, kept in one place and shown to the monitor after each change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::monitor::{Monitor, Notice, Phase, Progress};
use crate::journal::{Seen, Summary};

/// Counts, and whoever watches them.
pub(super) struct Board {
    counts: Mutex<Counts>,
    monitor: Arc<dyn Monitor>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    progress: Progress,
    /// Assets in the journal. Apple's count may be ahead of it, or behind.
    assets_known: u64,
    assets_announced: u64,
    bytes_fetched: u64,
    libraries_skipped: u64,
    held_back: u64,
    missing: u64,
    limited: bool,
}

impl Board {
    pub(super) fn new(monitor: Arc<dyn Monitor>) -> Self {
        Self { counts: Mutex::default(), monitor }
    }

    /// What the journal held when the run began.
    pub(super) fn begin(&self, summary: &Summary) {
        self.change(|counts| {
            counts.assets_known = summary.assets;
            counts.progress.assets_done = summary.assets.saturating_sub(summary.assets_open);
            counts.progress.bytes_total = summary.open().bytes;
        });
    }

    /// Apple says that it holds so many assets in one more library.
    pub(super) fn announced(&self, assets: u64) {
        self.change(|counts| counts.assets_announced += assets);
    }

    /// A page became rows.
    pub(super) fn seen(&self, seen: &Seen) {
        self.change(|counts| {
            let known = counts.assets_known + seen.assets_new;
            counts.assets_known = known.saturating_add_signed(-seen.assets_gone);
            let done = &mut counts.progress.assets_done;
            *done = done.saturating_add_signed(seen.assets_done_change);
            counts.progress.bytes_total += seen.bytes_new;
        });
    }

    /// Every library is listed: from here the journal's count is the total.
    pub(super) fn enumerated(&self) {
        self.change(|counts| {
            counts.assets_announced = 0;
            counts.progress.enumerated = true;
        });
    }

    /// Bytes came in.
    pub(super) fn received(&self, bytes: u64) {
        self.change(|counts| {
            counts.bytes_fetched += bytes;
            counts.progress.bytes_done += bytes;
        });
    }

    /// Bytes that need not come: they stood in a part file, or in a file that was adopted.
    pub(super) fn already_home(&self, bytes: u64) {
        self.change(|counts| counts.progress.bytes_done += bytes);
    }

    /// Bytes that came and must come again.
    pub(super) fn discarded(&self, bytes: u64) {
        self.change(|counts| {
            let done = &mut counts.progress.bytes_done;
            *done = done.saturating_sub(bytes);
        });
    }

    /// A file is verified, and perhaps its asset with it.
    pub(super) fn verified(&self, asset_complete: bool) {
        self.change(|counts| {
            counts.progress.files_verified += 1;
            counts.progress.assets_done += u64::from(asset_complete);
        });
    }

    /// Apple no longer offers a file; perhaps its asset waits for nothing else.
    pub(super) fn gone(&self, asset_complete: bool, notice: Notice) {
        self.change(|counts| counts.progress.assets_done += u64::from(asset_complete));
        self.monitor.notice(notice);
    }

    /// A file failed.
    pub(super) fn failed(&self, notice: Notice) {
        self.change(|counts| counts.progress.files_failed += 1);
        self.monitor.notice(notice);
    }

    /// The retry pass takes files back that had failed.
    pub(super) fn requeued(&self, files: u64) {
        self.change(|counts| {
            let failed = &mut counts.progress.files_failed;
            *failed = failed.saturating_sub(files);
        });
    }

    /// Files that were thought to be here are wanted again, and so many assets are not done.
    pub(super) fn wanted_again(&self, assets: u64, bytes: u64) {
        self.change(|counts| {
            let progress = &mut counts.progress;
            progress.assets_done = progress.assets_done.saturating_sub(assets);
            progress.bytes_total += bytes;
        });
    }

    /// A library cannot be listed.
    pub(super) fn library_skipped(&self, notice: Notice) {
        self.change(|counts| counts.libraries_skipped += 1);
        self.monitor.notice(notice);
    }

    /// Files stay where they are that were to go, or to come back.
    pub(super) fn held_back(&self, files: u64, notice: Notice) {
        self.change(|counts| counts.held_back += files);
        self.monitor.notice(notice);
    }

    /// Files are gone here.
    pub(super) fn missing(&self, files: u64, notice: Notice) {
        self.change(|counts| counts.missing += files);
        self.monitor.notice(notice);
    }

    pub(super) fn missing_files(&self) -> u64 {
        self.lock().missing
    }

    pub(super) fn held_back_files(&self) -> u64 {
        self.lock().held_back
    }

    /// The run begins no more assets: it has as many as it may.
    pub(super) fn limited(&self) {
        self.lock().limited = true;
    }

    pub(super) fn is_limited(&self) -> bool {
        self.lock().limited
    }

    pub(super) fn libraries_skipped(&self) -> u64 {
        self.lock().libraries_skipped
    }

    pub(super) fn phase(&self, phase: Phase) {
        self.monitor.phase(phase);
    }

    pub(super) fn notice(&self, notice: Notice) {
        self.monitor.notice(notice);
    }

    pub(super) fn progress(&self) -> Progress {
        self.lock().progress
    }

    pub(super) fn bytes_fetched(&self) -> u64 {
        self.lock().bytes_fetched
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        let progress = {
            let mut counts = self.lock();
            change(&mut counts);
            let total = counts.assets_known.max(counts.assets_announced);
            let progress = &mut counts.progress;
            progress.assets_total = total.max(progress.assets_done);
            progress.bytes_total = progress.bytes_total.max(progress.bytes_done);
            *progress
        };
        self.monitor.progress(progress);
    }

    /// A panic elsewhere must not take the counts with it: they are plain numbers.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
