//! Bandwidth: a limit on the bytes of all files together, whoever fetches them.
//!
//! A bucket that fills at the limit's pace. Whoever took bytes from the network takes them out of it,
//! below its bottom too, and then waits until it is level again before it reads on: so the
//! connection itself slows down, and small files wait no longer for large ones than for each other. One
//! bucket serves all workers and accounts of a run.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much may come at once after a lull, as time at the limit's pace. Longer would be a burst that a
/// person sees in a call or a game, shorter more waking than fetching.
const BURST: Duration = Duration::from_millis(100);

/// A limit in bytes a second, shared by its clones.
#[derive(Clone, Debug)]
pub struct Bandwidth {
    bytes_per_s: NonZeroU64,
    bucket: Arc<Mutex<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    level_bytes: f64,
    at: Instant,
}

impl Bandwidth {
    /// A limit of so many bytes a second.
    #[must_use]
    pub fn new(bytes_per_s: NonZeroU64) -> Self {
        Self { bytes_per_s, bucket: Arc::new(Mutex::new(Bucket { level_bytes: 0.0, at: Instant::now() })) }
    }

    /// The limit.
    #[must_use]
    pub fn bytes_per_s(&self) -> u64 {
        self.bytes_per_s.get()
    }

    /// Takes `bytes` that came, and says how long to wait before more may come.
    pub(super) fn take(&self, bytes: usize) -> Duration {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(self.bytes_per_s.get() as f64, bytes as f64, Instant::now())
    }
}

impl Bucket {
    fn take(&mut self, pace: f64, bytes: f64, now: Instant) -> Duration {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * pace;
        self.at = now;
        self.level_bytes = (self.level_bytes + filled).min(pace * BURST.as_secs_f64()) - bytes;
        Duration::from_secs_f64((-self.level_bytes / pace).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_waited_for_and_a_lull_saves_up_little() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut bucket = Bucket { level_bytes: 0.0, at: start };
        let ms = |wait: Duration| wait.as_millis();
        assert_eq!(ms(bucket.take(1000.0, 500.0, at(0))), 500);
        // Another one, before the first has waited: behind it.
        assert_eq!(ms(bucket.take(1000.0, 500.0, at(100))), 900);
        assert_eq!(ms(bucket.take(1000.0, 0.0, at(1000))), 0);
        // A minute of silence is worth a tenth of a second.
        assert_eq!(ms(bucket.take(1000.0, 1100.0, at(61_000))), 1000);
    }
}
