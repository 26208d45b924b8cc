//! Signals: the first one asks the run to stop, the second one ends it on the spot.
//!
//! Both are safe: what is durable is in the journal, and the next run goes on from there. A
//! hang-up counts among them, except for a run that stays and watches: there it means *now*, as
//! daemons have it, unless it sits at a terminal that may go away.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli::exit::Exit;
use crate::cli::{output, person};
use crate::engine::Stop;

/// What a hang-up means.
#[derive(Debug)]
pub(crate) enum HangUp {
    /// Stop.
    Stops,
    /// Run now. The number grows with each.
    Wakes(watch::Sender<u64>),
}

impl HangUp {
    /// One that wakes, and where that is heard. At a terminal it stops, and wakes nobody.
    pub(crate) fn that_wakes() -> (Self, watch::Receiver<u64>) {
        let (sender, receiver) = watch::channel(0);
        (if person::is_attended() { Self::Stops } else { Self::Wakes(sender) }, receiver)
    }
}

/// Listens from now on, for as long as the runtime lives.
///
/// # Errors
/// When the system does not let us listen.
pub(crate) fn watch(stop: Stop, hang_up: HangUp) -> io::Result<()> {
    let mut signals = Signals::new(hang_up)?;
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
    meaning: HangUp,
}

impl Signals {
    fn new(meaning: HangUp) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            meaning,
        })
    }

    /// Waits for a signal that asks to stop.
    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => match &self.meaning {
                    HangUp::Stops => return,
                    HangUp::Wakes(wakes) => wakes.send_modify(|times| *times += 1),
                },
            }
        }
    }
}
