//! The wish to stop: from a person, or from a stage that cannot go on.
//!
//! Nothing is cancelled under way. Every stage looks here at its next step, makes what it holds
//! durable, gives its claims back, and returns.

use tokio::sync::watch;

/// A wish that every stage can see. Clones share it; once made it stays.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    /// Asks everyone to stop.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether anyone asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until someone asks.
    pub async fn requested(&self) {
        // The sender lives as long as self, so this ends only when the value turns true.
        let _ = self.0.subscribe().wait_for(|stop| *stop).await;
    }
}
