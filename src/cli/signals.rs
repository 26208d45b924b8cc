//! Signals: the first one asks the run to stop, the second one ends it on the spot.
//!
//! Both are safe: what is durable is in the journal, and the next run goes on from there.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::exit::Exit;
use crate::cli::output;
use crate::engine::Stop;

/// Listens from now on, for as long as the runtime lives.
///
/// # Errors
/// When the system does not let us listen.
pub(crate) fn watch(stop: Stop) -> io::Result<()> {
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        output::talk("stopping; what is done is kept (once more to quit at once)");
        stop.request();
        signals.next().await;
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
    Ok(())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
