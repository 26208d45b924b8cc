//! Together: how the bytes of several files, or the names in several folders, become durable at once.
//!
//! There are two ways: a sync of each, or one of the whole file system. On most disks the first sync of
//! a group carries the others along, and yet each further one waits for the disk to empty its cache. One
//! sync of the whole file system does all that once; but it also waits for what other programs wrote
//! there. Which way is cheaper is the disk's and its neighbours' affair, so both are timed, the cheaper one
//! is used, and the other is tried again now and then.

use std::time::{Duration, Instant};

use crate::disk::error::Error;
use crate::disk::space;

/// Fewer items than this are synced one by one on any disk: a single file has so many folders above it.
const TOGETHER_MIN: usize = 5;
/// From this time for one item on, a disk is slow, and the rest of the group need not find that out one
/// by one: a fast disk takes a tenth of it.
const SLOW_SYNC: Duration = Duration::from_millis(3);
/// Items of a group that are timed for that: one of two may have had to wait for something else.
const TIMED: usize = 3;
/// A group that takes less than this one by one is not worth a trial.
const TRIAL_MIN: Duration = Duration::from_millis(2);
/// What other programs may have waiting to be written when one sync for all is tried: a slow disk writes
/// so much in a second.
const OTHERS_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Groups until the dearer way is tried again: disks change their mind, when another program is done
/// with them. Doubled as long as it stays the dearer one.
const REST_MIN: u32 = 16;
/// See [`REST_MIN`].
const REST_MAX: u32 = 256;

/// What is known of the disk's speed.
#[derive(Debug, Default)]
pub struct Together {
    /// For the bytes of files.
    pub(super) bytes: Ways,
    /// For names in folders.
    pub(super) names: Ways,
}

/// What the two ways cost, as measured last.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// One by one, for each item.
    each: Option<Duration>,
    /// All at once, for a group.
    whole: Option<Duration>,
    /// Groups until the dearer way is tried again.
    rest: u32,
    /// The length of this rest.
    rest_length: u32,
    /// What the last group believed.
    whole_was_cheaper: bool,
}

/// Something that can be made durable alone, or with all others of its file system.
pub(super) trait Durable {
    /// Alone.
    fn sync(&self) -> Result<(), Error>;
    /// With all others. `None`: there is no such thing here, or it does not tell failures.
    fn sync_all(group: &[Self]) -> Option<Result<(), Error>>
    where
        Self: Sized;
    /// All are about to be synced one by one.
    fn expect(_: &[Self])
    where
        Self: Sized,
    {
    }
    /// Bytes of its own that wait to be written.
    fn waiting_bytes(&self) -> u64;
}

impl Ways {
    /// Makes all items durable. The answers are in their order.
    pub(super) fn sync<T: Durable>(&mut self, group: &[T]) -> Vec<Result<(), Error>> {
        let others_wait_little = || {
            let own: u64 = group.iter().map(Durable::waiting_bytes).sum();
            space::unwritten_bytes().is_some_and(|bytes| bytes.saturating_sub(own) <= OTHERS_BYTES_MAX)
        };
        if self.is_for_whole(group.len(), others_wait_little)
            && let Some(synced) = self.sync_whole(group)
        {
            return synced;
        }
        T::expect(group);
        let mut times = Vec::with_capacity(group.len());
        let mut answers = Vec::with_capacity(group.len());
        for (place, item) in group.iter().enumerate() {
            let began = Instant::now();
            answers.push(item.sync());
            times.push(began.elapsed());
            let left = &group[place + 1..];
            if left.len() >= TOGETHER_MIN && self.is_slow(&times, left.len()) {
                let synced = self.sync_whole(left);
                let is_done = synced.is_some();
                answers.extend(synced.into_iter().flatten());
                if is_done {
                    break;
                }
            }
        }
        if let Some(each) = mean_of(&times) {
            self.each = Some(mean(self.each, each));
        }
        answers
    }

    /// All at once. Whose bytes were lost is not said, so after a failure none is trusted.
    fn sync_whole<T: Durable>(&mut self, group: &[T]) -> Option<Vec<Result<(), Error>>> {
        let began = Instant::now();
        let synced = T::sync_all(group)?;
        self.whole = Some(mean(self.whole, began.elapsed()));
        let answer = |_| synced.as_ref().map_or_else(|e| Err(e.again()), |()| Ok(()));
        Some(group.iter().map(answer).collect())
    }

    /// Which way a group goes: the cheaper one, or the other to see whether it still is. `may_try` says
    /// whether others have so little to be written that a trial is no risk.
    fn is_for_whole(&mut self, items: usize, may_try: impl FnOnce() -> bool) -> bool {
        let Some(each) = self.each.filter(|_| items >= TOGETHER_MIN) else { return false };
        let one_by_one = each * items as u32;
        let Some(whole) = self.whole else { return one_by_one >= TRIAL_MIN && may_try() };
        let is_cheaper = whole < one_by_one;
        if is_cheaper != self.whole_was_cheaper {
            (self.whole_was_cheaper, self.rest_length, self.rest) = (is_cheaper, REST_MIN, REST_MIN);
        }
        self.rest = self.rest.saturating_sub(1);
        if self.rest > 0 {
            return is_cheaper;
        }
        self.rest_length = (self.rest_length * 2).clamp(REST_MIN, REST_MAX);
        self.rest = self.rest_length;
        !is_cheaper && one_by_one >= TRIAL_MIN && may_try()
    }

    /// Whether the items that were timed say that the disk is slow, and one sync for those that are left
    /// is not known to be slower.
    fn is_slow(&self, times: &[Duration], left: usize) -> bool {
        if times.len() != TIMED {
            return false;
        }
        let mut times = times.to_vec();
        times.sort();
        let each = times[TIMED / 2];
        each >= SLOW_SYNC && self.whole.is_none_or(|whole| whole < each * left as u32)
    }
}

fn mean(before: Option<Duration>, now: Duration) -> Duration {
    before.map_or(now, |before| (before + now) / 2)
}

fn mean_of(times: &[Duration]) -> Option<Duration> {
    times.iter().sum::<Duration>().checked_div(times.len() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Groups of 64 of so many that are synced whole, where that takes so long.
    fn whole_groups(ways: &mut Ways, groups: usize, whole: Duration) -> usize {
        let go = |_: &usize| {
            let is_whole = ways.is_for_whole(64, || true);
            ways.whole = if is_whole { Some(mean(ways.whole, whole)) } else { ways.whole };
            is_whole
        };
        (0..groups).filter(go).count()
    }

    #[test]
    fn a_slow_disk_is_found_out_within_a_group() {
        let mut ways = Ways::default();
        assert!(ways.is_slow(&[10 * MS; 3], 17));
        assert!(!ways.is_slow(&[MS, MS, 200 * MS], 17), "one of two may have had to wait");
        ways.whole = Some(500 * MS);
        assert!(!ways.is_slow(&[10 * MS; 3], 17), "all at once takes longer");
    }

    #[test]
    fn the_cheaper_way_is_taken_and_the_other_one_tried_more_and_more_seldom() {
        let known = || Ways { each: Some(MS), ..Ways::default() };
        let cheap = whole_groups(&mut known(), 1000, 3 * MS);
        assert!((980..1000).contains(&cheap), "{cheap}");
        let dear = whole_groups(&mut known(), 1000, 100 * MS);
        assert!((2..=8).contains(&dear), "{dear}");
        // Where others write much, where nothing is known, and for few, there is no trial.
        assert!(!known().is_for_whole(64, || false));
        assert!(!Ways::default().is_for_whole(64, || true));
        assert!(!known().is_for_whole(TOGETHER_MIN - 1, || true));
    }
}
