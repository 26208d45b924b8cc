//! The log: what the program tells about itself, on standard error.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::cli::output;

/// Writes log lines up to `level` from now on, above the bar.
///
/// Only our own: what other crates log could hold headers, and headers hold cookies.
pub(crate) fn begin(level: LevelFilter) {
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| AboveBar);
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let subscriber = tracing_subscriber::registry().with(ours).with(lines);
    // The first one stays: a second run in the same process (tests, the demo) keeps its level.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Standard error, with the bar out of the way. One write is one line: the layer buffers.
struct AboveBar;

impl Write for AboveBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        output::above_bar(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
