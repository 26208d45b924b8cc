//! Room: what a run does when the destination fills up.
//!
//! Some room stays free, for whoever else lives on that disk. A file that does not fit is put aside
//! for the rest of the run, untouched and without an attempt counted, and smaller ones go on. When
//! the system itself says that the disk is full, nothing more is begun; what is on its way comes to
//! its end, and what is proved is published. A later run, or the next one of a watch, goes on alone.

use std::path::Path;

use crate::disk::{self, space::Room};
use crate::engine::monitor::Notice;
use crate::engine::run::Run;
use crate::journal::{Claim, Summary};

/// Warns, with figures, when not all that is known to be open fits. `true`: it was said.
pub(super) async fn forecast(run: &Run, summary: &Summary) -> bool {
    let open = summary.open();
    let Ok(room) = run.on_disk(|destination| destination.room()).await else { return false };
    let short = open.bytes > room.for_files();
    if short {
        run.board.notice(Notice::NoRoomForAll {
            open_bytes: open.bytes,
            room_bytes: room.for_files(),
            kept_bytes: room.kept_bytes,
            directory: run.directory().to_owned(),
        });
    }
    short
}

/// Gives back what was put aside. Says what the run could not do for want of room, if anything.
pub(super) async fn settle(run: &Run) -> Option<disk::Error> {
    let (said, aside) = run.fullness.take();
    let files = aside.len() as u64;
    let left = |claim: &Claim| claim.file().size_bytes - claim.file().offset_bytes;
    let needed_bytes = aside.iter().map(left).sum();
    // Side by side, so that they share commits.
    let released = aside.into_iter().map(|claim| run.journal.release(claim));
    if let Err(error) = futures::future::try_join_all(released).await {
        run.halt(error);
    }
    if said.is_some() || files == 0 {
        return said;
    }
    let room = run.on_disk(|destination| destination.room()).await.unwrap_or_default();
    Some(no_room(run.directory(), files, needed_bytes, room))
}

fn no_room(directory: &Path, files: u64, needed_bytes: u64, room: Room) -> disk::Error {
    let Room { free_bytes, kept_bytes } = room;
    disk::Error::NoRoom { path: directory.to_owned(), files, needed_bytes, free_bytes, kept_bytes }
}
