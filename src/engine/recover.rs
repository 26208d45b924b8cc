//! Recover: what dead runs held is looked at before anything else, by the table of
//! [`crate::model::recovery`].
//!
//! Only claimed rows can have been touched, so their number is bounded by the workers of one run,
//! and a start after a crash costs the same at any size of the journal.

use crate::engine::error::Error;
use crate::engine::place::place;
use crate::engine::prepare::{look, whole};
use crate::engine::publish::Published;
use crate::engine::run::{Run, now, off_thread};
use crate::fault;
use crate::journal::Claim;
use crate::model::recovery::Case;

/// Dead claims taken over at once.
const BATCH: usize = 64;

/// Repairs what dead runs left.
pub(super) async fn recover(run: &Run) -> Result<(), Error> {
    loop {
        let dead = run.journal.take_over_dead(run.id, BATCH).await?;
        if dead.is_empty() {
            break;
        }
        fault::point("taken-over");
        for claim in dead {
            repair(run, claim).await?;
            fault::point("repaired");
        }
    }
    let (reader, account) = (run.journal.reader().clone(), run.account);
    let leftovers = off_thread(move || reader.leftovers(account)).await?;
    run.clear(leftovers).await
}

async fn repair(run: &Run, claim: Claim) -> Result<(), Error> {
    let place = place(claim.file());
    let gathered = run.on_disk(move |destination| destination.folder(&place)?.gather_part()).await;
    let found = match gathered {
        Ok(()) => look(run, claim.file()).await,
        Err(error) => Err(error),
    };
    let found = match found {
        Ok(found) => found,
        Err(error) if error.ends_the_run() && !error.is_about_room() => {
            run.journal.release(claim).await?;
            return Err(error.into());
        }
        // This file's trouble is told when its turn comes.
        Err(_) => return Ok(run.journal.release(claim).await?),
    };
    let (folder, letter, _) = found;
    match letter {
        // Died between the rename and the commit, perhaps: the bytes tell.
        Case::E => match whole(run, claim.file()).await {
            Ok(Some((digests, proof))) => {
                fault::point("found-standing");
                Published::found_standing(claim, digests, proof).record(run).await;
                Ok(())
            }
            _ => Ok(run.journal.release(claim).await?),
        },
        // Nothing was promised of this part.
        Case::B => {
            let _ = off_thread(move || folder.remove_part()).await;
            fault::point("part-removed");
            Ok(run.journal.release(claim).await?)
        }
        // The promise is broken; the row should not say otherwise.
        Case::D => {
            let claim = run.journal.restarted(claim, now()).await?;
            fault::point("promise-dropped");
            Ok(run.journal.release(claim).await?)
        }
        // A and C go on when their turn comes. Claims exist on pending and partial rows only.
        Case::A | Case::C | Case::F | Case::G | Case::H => Ok(run.journal.release(claim).await?),
    }
}
