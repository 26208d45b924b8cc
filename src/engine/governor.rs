//! The governor: how many files are fetched at the same time.
//!
//! With a number it is that number. With `auto` it starts low and climbs while climbing pays: every
//! second the throughput is compared with what it was one step below. What does not help is taken
//! back, so the line is shared no further than is of use; a refusal (429, 503) or a broken line halves
//! it at once. It never goes above its ceiling.
//!
//! Large files may not hold all places: a quarter is kept for small ones as long as more may come, so
//! that a library of photos does not wait behind four long videos.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where `auto` begins: enough for two round trips to overlap with two bodies.
const START: usize = 4;
/// How long a step is watched before the next one.
const WATCH: Duration = Duration::from_secs(1);
/// What a step must add to the throughput to be kept, in percent of its share. A place among ten that
/// pays in full adds a tenth; half of that is worth having.
const WORTH_PERCENT: f64 = 50.0;
/// Steps for which a number that did not help is left alone.
const REST: u32 = 10;
/// Files from this size on are large: at 3 MB/s a connection they take more than ten seconds.
const LARGE_BYTES: u64 = 32 * 1024 * 1024;
/// What a file costs beside its bytes, as bytes: a round trip at the pace of one connection. So many
/// small files count for what they are.
const FILE_BYTES: f64 = 200_000.0;

/// How many files at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// So many.
    Fixed(std::num::NonZeroUsize),
    /// As many as pay, up to the ceiling.
    Auto {
        /// Never more than this.
        ceiling: std::num::NonZeroUsize,
    },
}

impl Threads {
    /// The most there will ever be.
    #[must_use]
    pub fn ceiling(self) -> usize {
        match self {
            Self::Fixed(threads) | Self::Auto { ceiling: threads } => threads.get(),
        }
    }
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Governor {
    limit: AtomicUsize,
    under_way: AtomicUsize,
    large: AtomicUsize,
    climb: Option<Mutex<Watch>>,
}

/// What came since the last step.
#[derive(Debug)]
struct Watch {
    climb: Climb,
    since: Instant,
    bytes: f64,
    /// All places were taken at some time: else there is nothing to learn.
    was_full: bool,
}

impl Governor {
    pub(super) fn new(threads: Threads) -> Self {
        match threads {
            Threads::Fixed(threads) => Self::with(threads.get(), None),
            Threads::Auto { ceiling } => {
                let climb = Climb::new(ceiling.get());
                Self::with(climb.limit, Some(climb))
            }
        }
    }

    fn with(limit: usize, climb: Option<Climb>) -> Self {
        let watch = |climb| Mutex::new(Watch { climb, since: Instant::now(), bytes: 0.0, was_full: false });
        let (under_way, large) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { limit: AtomicUsize::new(limit), under_way, large, climb: climb.map(watch) }
    }

    /// Files under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    /// Whether all places are taken.
    pub(super) fn is_full(&self) -> bool {
        self.under_way() >= self.limit.load(Ordering::SeqCst)
    }

    /// Whether another large file may begin while small ones may come.
    pub(super) fn has_room_for_large(&self) -> bool {
        let limit = self.limit.load(Ordering::SeqCst);
        self.large.load(Ordering::SeqCst) < (limit - limit.div_ceil(4)).max(1)
    }

    /// Whether a file of this size is large.
    pub(super) fn is_large(size_bytes: u64) -> bool {
        size_bytes >= LARGE_BYTES
    }

    /// A file of this size begins.
    pub(super) fn begun(&self, size_bytes: u64) {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        self.large.fetch_add(usize::from(Self::is_large(size_bytes)), Ordering::SeqCst);
    }

    /// Bytes came. `true`: there is more room than before.
    pub(super) fn received(&self, bytes: usize) -> bool {
        self.saw(bytes as f64)
    }

    /// A file of this size ended, however it did.
    pub(super) fn ended(&self, size_bytes: u64) {
        self.saw(FILE_BYTES);
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        self.large.fetch_sub(usize::from(Self::is_large(size_bytes)), Ordering::SeqCst);
    }

    /// The service asks to wait, or the line is broken.
    pub(super) fn refused(&self) {
        let Some(watch) = &self.climb else { return };
        let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.climb.back_off();
        self.begin_again(&mut watch);
    }

    fn saw(&self, bytes: f64) -> bool {
        let Some(watch) = &self.climb else { return false };
        let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.bytes += bytes;
        watch.was_full |= self.is_full();
        let watched = watch.since.elapsed();
        if watched < WATCH {
            return false;
        }
        if watch.was_full {
            let pace = watch.bytes / watched.as_secs_f64();
            watch.climb.step(pace);
        }
        self.begin_again(&mut watch)
    }

    fn begin_again(&self, watch: &mut Watch) -> bool {
        (watch.since, watch.bytes, watch.was_full) = (Instant::now(), 0.0, false);
        self.limit.swap(watch.climb.limit, Ordering::SeqCst) < watch.climb.limit
    }
}

/// The climb itself, without a clock.
#[derive(Debug)]
struct Climb {
    limit: usize,
    ceiling: usize,
    /// The number one step below, and the throughput there; none right after a start or a fall.
    below: Option<(usize, f64)>,
    /// Steps until the next attempt.
    rest: u32,
    /// No step has failed yet: steps are halves of the number, not ones.
    is_young: bool,
}

impl Climb {
    fn new(ceiling: usize) -> Self {
        Self { limit: START.min(ceiling), ceiling, below: None, rest: 0, is_young: true }
    }

    /// A watch is over, in which so much came a second.
    fn step(&mut self, pace: f64) {
        if let Some((limit, before)) = self.below.take() {
            let share = (self.limit - limit) as f64 / limit as f64;
            if pace < before * (1.0 + share * WORTH_PERCENT / 100.0) {
                self.limit = limit;
                self.is_young = false;
                self.rest = REST;
                return;
            }
        }
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        let stride = if self.is_young { self.limit.div_ceil(2) } else { 1 };
        let next = (self.limit + stride).min(self.ceiling);
        if next > self.limit {
            self.below = Some((self.limit, pace));
            self.limit = next;
        }
    }

    fn back_off(&mut self) {
        self.limit = (self.limit / 2).max(1);
        (self.below, self.is_young, self.rest) = (None, false, REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Climbs for a while where throughput is `pace(number)`.
    fn climbed(ceiling: usize, steps: usize, pace: impl Fn(usize) -> f64) -> Climb {
        let mut climb = Climb::new(ceiling);
        for _ in 0..steps {
            climb.step(pace(climb.limit));
            assert!((1..=ceiling).contains(&climb.limit));
        }
        climb
    }

    #[test]
    fn it_climbs_while_that_pays_and_rests_where_it_does_not() {
        let held_to_3_mb_each = |ceiling| climbed(ceiling, 40, |number| number as f64 * 3e6).limit;
        assert_eq!((held_to_3_mb_each(64), held_to_3_mb_each(10), held_to_3_mb_each(2)), (64, 10, 2));
        // A line that ten connections fill.
        let narrow = climbed(64, 40, |number| (number as f64).min(10.0) * 3e6);
        assert!((8..=12).contains(&narrow.limit), "{}", narrow.limit);
        // One that a single connection fills.
        assert_eq!(climbed(64, 9, |_| 3e6).limit, START);
    }

    #[test]
    fn a_refusal_halves_it_and_it_comes_back_slowly() {
        let mut climb = climbed(64, 20, |number| number as f64);
        climb.back_off();
        assert_eq!(climb.limit, 32);
        for _ in 0..REST {
            climb.step(climb.limit as f64);
        }
        assert_eq!(climb.limit, 32);
        climb.step(32.0);
        assert_eq!(climb.limit, 33);
        for _ in 0..10 {
            climb.back_off();
        }
        assert_eq!(climb.limit, 1);
    }
}
