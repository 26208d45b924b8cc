//! The bar: how far a run is, for whoever watches a terminal.
//!
//! Shown on standard output if that is a terminal, and nowhere else. Without it a run is silent
//! but for warnings on standard error. What the bar says is made by pure functions; indicatif
//! draws it, ten times a second, whatever the engine counts.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tracing::level_filters::LevelFilter;

use crate::cli::format;
use crate::cli::output::{self, Style, sanitize};
use crate::engine::{Monitor, Notice, Phase, Progress};
use crate::journal::MISMATCHES_MIN;

/// Time between two drawings. Smooth to the eye, and too rare to be felt by the transfers.
const TICK: Duration = Duration::from_millis(100);
/// How long the rate remembers. Long enough to be readable, short enough to follow a stall.
const RATE_MEMORY_SECONDS: f64 = 8.0;
/// The line: the rest of 80 columns is for the numbers.
const TEMPLATE: &str = "[{bar:8}] {numbers}";

/// Watches a run at a terminal, or beside one.
#[derive(Debug)]
pub(crate) struct Bar {
    shared: Arc<Mutex<Watched>>,
    /// `None` where there is no terminal, or nobody wants a bar.
    drawn: Option<ProgressBar>,
    style: Style,
    level: LevelFilter,
}

/// What was last told, and how fast it changes.
#[derive(Debug, Default)]
struct Watched {
    progress: Progress,
    phase: Option<Phase>,
    rate: Rate,
}

impl Bar {
    /// Begins to watch. The bar stands from now until [`Self::finish`].
    pub(crate) fn begin(shown: bool, style: Style, level: LevelFilter) -> Self {
        let shared = Arc::new(Mutex::new(Watched::default()));
        let drawn = shown.then(|| draw(&shared));
        output::set_bar(drawn.clone());
        Self { shared, drawn, style, level }
    }

    /// Takes the bar away. Returns the last counts.
    pub(crate) fn finish(&self) -> Progress {
        output::set_bar(None);
        if let Some(drawn) = &self.drawn {
            drawn.finish_and_clear();
        }
        lock(&self.shared).progress
    }
}

impl Bar {
    /// Tells a notice of the account that `prefix` names.
    pub(crate) fn notice_of(&self, prefix: &str, notice: &Notice) {
        let (level, line) = told(prefix, notice);
        // Someone who watches the bar sees notes too; a log that nobody watches is kept short.
        let shown = if self.drawn.is_some() { self.level.max(LevelFilter::INFO) } else { self.level };
        if level <= shown && self.level > LevelFilter::ERROR {
            output::talk(&self.style.paint(&line));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Monitor for Bar {
    fn phase(&self, phase: Phase) {
        lock(&self.shared).phase = Some(phase);
    }

    fn progress(&self, progress: Progress) {
        let before = std::mem::replace(&mut lock(&self.shared).progress, progress);
        let Some(drawn) = &self.drawn else { return };
        // Bytes change with every piece of every body; only these two move the bar itself.
        if before.assets_total != progress.assets_total {
            drawn.set_length(progress.assets_total.max(1));
        }
        if before.assets_done != progress.assets_done {
            drawn.set_position(progress.assets_done.min(progress.assets_total));
        }
    }

    fn notice(&self, notice: Notice) {
        self.notice_of("", &notice);
    }
}

/// Puts a bar on standard output.
fn draw(shared: &Arc<Mutex<Watched>>) -> ProgressBar {
    let watched = Arc::clone(shared);
    let began = Instant::now();
    let numbers = move |_: &ProgressState, line: &mut dyn std::fmt::Write| {
        let mut watched = lock(&watched);
        let done = watched.progress.bytes_done;
        watched.rate.observe(began.elapsed().as_secs_f64(), done);
        let _ = line.write_str(&numbers(&watched.progress, watched.phase, watched.rate.bytes_per_second()));
    };
    let style = ProgressStyle::with_template(TEMPLATE)
        .expect("the template is well formed")
        .with_key("numbers", numbers)
        .progress_chars("=> ");
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stdout()).with_style(style);
    bar.enable_steady_tick(TICK);
    bar
}

/// The numbers beside the bar: assets, bytes, rate, time left.
fn numbers(progress: &Progress, phase: Option<Phase>, bytes_per_second: Option<f64>) -> String {
    let Progress { assets_total, bytes_total, enumerated, .. } = *progress;
    let assets_done = progress.assets_done.min(assets_total);
    let bytes_done = progress.bytes_done.min(bytes_total);
    let mut line = match phase {
        None => return "starting".to_owned(),
        Some(Phase::Syncing) => String::new(),
        Some(Phase::Recovering) => "checking what is here  ".to_owned(),
        Some(Phase::Retrying) => "second try  ".to_owned(),
        Some(Phase::Adopting) => "reading  ".to_owned(),
    };
    let noun = if phase == Some(Phase::Adopting) { "files" } else { "assets" };
    let _ = write!(line, "{} of {} {noun}", format::count(assets_done), format::count(assets_total));
    let _ = write!(line, "  {}", format::bytes(bytes_done));
    // Until the listing has ended the total still grows, and would promise an end too early.
    if enumerated {
        let _ = write!(line, " of {}", format::bytes(bytes_total));
    }
    if let Some(rate) = bytes_per_second.filter(|rate| *rate >= 1.0) {
        let _ = write!(line, "  {}/s", format::bytes(rate as u64));
        let left = (bytes_total - bytes_done) as f64 / rate;
        if enumerated && left > 0.0 {
            let _ = write!(line, "  {} left", format::wait(left.ceil() as u64));
        }
    }
    if progress.files_failed > 0 {
        let _ = write!(line, "  {} failed", format::count(progress.files_failed));
    }
    line
}

/// How much a notice matters, and its line.
fn told(prefix: &str, notice: &Notice) -> (LevelFilter, String) {
    let line = |word: &str, text: String| format!("{word}: {}{}", sanitize(prefix), sanitize(&text));
    let warning = |text: String| (LevelFilter::WARN, line("warning", text));
    let note = |text: String| (LevelFilter::INFO, line("note", text));
    match notice {
        Notice::FileFailed { path, failure } => warning(format!("{path}: {failure}")),
        Notice::NoLongerOffered { path } => note(format!("{path} is no longer in iCloud as it was")),
        Notice::NameTaken { taken, instead } => {
            note(format!("{taken} is a file of somebody else; ours is {instead}"))
        }
        Notice::Restarted { path, why } => warning(format!("{path} begins again: {why}")),
        Notice::ChecksumsDoubted { rendition } => warning(format!(
            "the first {MISMATCHES_MIN} files of the kind \"{}\" all came whole, and not one matches Apple's checksum; \
             from now on such files are checked by their length, and their rows say so",
            rendition.as_str()
        )),
        Notice::NothingMeant { word } => warning(format!(
            "{word} names nothing in iCloud; \"rollbook list albums\" and \"rollbook list libraries\" show what there is"
        )),
        Notice::LibrarySkipped { library, why } => warning(format!("library {library} is left out: {why}")),
        Notice::ListedAgain { library, why } => {
            warning(format!("library {library} is listed again from end to end: {why}"))
        }
        Notice::Relocated { files } => {
            note(format!("{} moved here; the new places are known", format::counted(*files, "file")))
        }
        Notice::Missing { files, refetched: true } => {
            warning(format!("{} deleted here; they come again", format::counted(*files, "file")))
        }
        Notice::Missing { files, refetched: false } => warning(format!(
            "{} deleted here, and will stay away; \"rollbook refetch --all\" brings them back",
            format::counted(*files, "file")
        )),
        Notice::Closed { files, why } => warning(format!(
            "{} not looked at: {why}; put the folder itself there, or mount it there: a link is not followed",
            format::counted(*files, "file")
        )),
        Notice::Trashed { files } => warning(format!(
            "{} gone from iCloud, now in the trash; \"rollbook undelete --all\" brings them back",
            format::counted(*files, "file")
        )),
        Notice::StillInTrash { files } => note(format!(
            "{} known again: in the trash; \"rollbook trash list\" names what it holds",
            format::counted(*files, "file")
        )),
        Notice::PutBack { files } => {
            note(format!("{} back from the trash: iCloud has them again", format::counted(*files, "file")))
        }
        Notice::Purged { files } => {
            note(format!("{} removed from the trash for good", format::counted(*files, "file")))
        }
        Notice::ChangedInTrash { path } => warning(format!(
            "{path} is not what came from iCloud, and is not removed: it is yours to move or delete"
        )),
        Notice::Stay { paths, why } => warning(format!(
            "{} of the trash, or due for it, stay where they are: {why}; the next sync tries again: {}",
            format::counted(paths.len() as u64, "file"),
            format::named(paths)
        )),
        Notice::ManyDeleted { files, most } => warning(format!(
            "{} gone from iCloud at once, more than the {most} that may be; they stay here. If that is right, \
             run \"rollbook sync --allow-deletions {files}\"",
            format::counted(*files, "file")
        )),
        Notice::Waiting { seconds, why } => warning(format!("waiting for {}: {why}", format::wait(*seconds))),
        Notice::NoRoomForAll { open_bytes, room_bytes, kept_bytes, directory } => warning(format!(
            "{} are still to come, and there is room for {} in {} ({} stay free): what fits comes now, the rest \
             when there is room",
            format::bytes(*open_bytes),
            format::bytes(*room_bytes),
            directory.display(),
            format::bytes(*kept_bytes)
        )),
        Notice::Untimed { why } => warning(format!("files keep the time of their download: {why}")),
        Notice::Undated { files, why } => {
            warning(format!("{} got no date of capture: {why}", format::counted(*files, "file")))
        }
        Notice::ViewStays { why } => warning(format!("links of albums stay as they are: {why}")),
        Notice::Note(text) => note(text.clone()),
    }
}

/// Bytes a second, smoothed. Pure: the caller brings the time.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    seconds: f64,
    bytes: u64,
    smoothed: f64,
    /// How much of `smoothed` is observation: it starts at nothing and nears 1.
    weight: f64,
}

impl Rate {
    /// Takes in that `bytes` were home after `seconds`.
    fn observe(&mut self, seconds: f64, bytes: u64) {
        let passed = seconds - self.seconds;
        if passed <= 0.0 {
            return;
        }
        // A file that begins again takes its bytes back; that is no negative speed.
        let speed = bytes.saturating_sub(self.bytes) as f64 / passed;
        let keep = (-passed / RATE_MEMORY_SECONDS).exp();
        self.smoothed = self.smoothed * keep + speed * (1.0 - keep);
        self.weight = self.weight * keep + (1.0 - keep);
        (self.seconds, self.bytes) = (seconds, bytes);
    }

    fn bytes_per_second(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.smoothed / self.weight)
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use crate::model::failure::{Failure, FailureKind};

    use super::*;

    const HALF: Progress = Progress {
        assets_total: 60,
        assets_done: 42,
        bytes_total: 14_200_000,
        bytes_done: 9_100_000,
        files_verified: 70,
        files_failed: 0,
        enumerated: true,
    };

    #[test]
    fn the_numbers_say_assets_bytes_rate_and_time_left() {
        let line = numbers(&HALF, Some(Phase::Syncing), Some(2_550_000.0));
        assert_eq!(line, "42 of 60 assets  9.10 MB of 14.2 MB  2.55 MB/s  2 s left");
        let listing = Progress { enumerated: false, files_failed: 2, ..HALF };
        assert_eq!(
            numbers(&listing, Some(Phase::Retrying), Some(2_550_000.0)),
            "second try  42 of 60 assets  9.10 MB  2.55 MB/s  2 failed"
        );
        assert_eq!(numbers(&Progress::default(), None, None), "starting");
    }

    #[test]
    fn the_numbers_never_overshoot_and_fit_eighty_columns() {
        let over = Progress { assets_done: 61, bytes_done: u64::MAX, ..HALF };
        assert_eq!(
            numbers(&over, Some(Phase::Syncing), Some(1e6)),
            "60 of 60 assets  14.2 MB of 14.2 MB  1.00 MB/s"
        );
        let long = Progress {
            assets_total: 123_456,
            assets_done: 100_000,
            bytes_total: 999_400_000_000,
            bytes_done: 99_900_000_000,
            ..HALF
        };
        assert!("[========] ".len() + numbers(&long, Some(Phase::Syncing), Some(9.5e6)).len() <= 80);
    }

    #[test]
    fn the_rate_settles_at_once_follows_a_stall_and_is_never_negative() {
        let mut rate = Rate::default();
        assert_eq!(rate.bytes_per_second(), None);
        (1..=20).for_each(|second| rate.observe(f64::from(second), 1000 * second as u64));
        assert!((rate.bytes_per_second().unwrap() - 1000.0).abs() < 1e-6);
        rate.observe(60.0, 5000);
        assert!((0.0..10.0).contains(&rate.bytes_per_second().unwrap()));
    }

    #[test]
    fn a_notice_is_one_harmless_line() {
        let failure = Failure::new(FailureKind::WrongBytes, "not\nwhat \u{1b}[1mApple said");
        let (level, line) = told("", &Notice::FileFailed { path: "2024/a\rb.JPG".to_owned(), failure });
        assert_eq!(level, LevelFilter::WARN);
        assert_eq!(line, "warning: 2024/a\u{fffd}b.JPG: wrong-bytes: not\u{fffd}what \u{fffd}[1mApple said");
        let waiting = Notice::Waiting { seconds: 90, why: "apple asks to wait".to_owned() };
        let (level, line) = told("a@b.c: ", &waiting);
        assert_eq!(
            (level, line.as_str()),
            (LevelFilter::WARN, "warning: a@b.c: waiting for 1 min 30 s: apple asks to wait")
        );
    }
}
