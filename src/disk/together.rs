//! Together: how the bytes of several files become durable at once.
//!
//! On most disks the first sync carries the others along, because their writing began before it: one
//! commit of the file system then holds them all, and each further sync finds little to do. On a disk
//! where a sync takes long (one that turns, a small network store), one sync of the whole file system
//! replaces them. It also waits for what other programs wrote there, so it is used only where it
//! was measured to be worth it.

use std::time::{Duration, Instant};

use crate::disk::error::Error;
use crate::disk::part::PartFile;
use crate::disk::tree::Folder;

/// From this time for one file on, a disk is slow: a fast one takes a tenth of it.
const SLOW_SYNC: Duration = Duration::from_millis(3);
/// Fewer files than this are synced one by one on any disk.
const TOGETHER_MIN: usize = 4;
/// How many groups after a slow one are synced whole before a file is timed again: disks change
/// their mind, when another program is done with them.
const GROUPS_UNTIL_TIMED: u32 = 16;

/// What is known of the disk's speed.
#[derive(Debug, Default)]
pub struct Together {
    /// Groups that may yet be synced whole.
    whole_groups: u32,
}

/// Files of a group that are timed: one of two may have had to wait for something else.
const TIMED: usize = 3;

impl Together {
    /// Makes the bytes of all files durable. The answers are in their order.
    pub(super) fn sync(&mut self, group: &[(&PartFile, &Folder)]) -> Vec<Result<(), Error>> {
        // All are on their way before the first one is waited for.
        group.iter().for_each(|(part, _)| part.begin_writeback());
        if self.whole_groups > 0 && group.len() >= TOGETHER_MIN {
            self.whole_groups -= 1;
            if let Some(synced) = PartFile::sync_file_system(group.iter().map(|(part, _)| *part)) {
                // Whose bytes were lost is not said, so none of them is trusted.
                return group
                    .iter()
                    .map(|_| synced.as_ref().map_or_else(|e| Err(e.again()), |()| Ok(())))
                    .collect();
            }
        }
        let mut times = Vec::with_capacity(group.len());
        let mut answers = Vec::with_capacity(group.len());
        for (place, (part, _)) in group.iter().enumerate() {
            let began = Instant::now();
            answers.push(part.sync());
            times.push(began.elapsed());
            let left = &group[place + 1..];
            if Self::is_slow(&mut times) && left.len() >= TOGETHER_MIN {
                self.whole_groups = GROUPS_UNTIL_TIMED;
                answers.extend(self.sync(left));
                break;
            }
        }
        answers
    }

    /// Whether the files of a group that were timed say that the disk is slow.
    fn is_slow(times: &mut [Duration]) -> bool {
        times.len() == TIMED && {
            times.sort();
            times[TIMED / 2] >= SLOW_SYNC
        }
    }
}
