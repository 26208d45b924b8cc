//! Relayout: files move to where another layout wants them. Nothing is fetched, and Apple is not asked.
//!
//! Intents are committed, files renamed, folders synced, and then the rows get their new paths: some
//! hundred files at a time. A kill at any step leaves intents, and [`finish`] ends them at the next
//! start: a file is under one of its two names, and the row says which. Where a folder lets nobody see
//! under which, the intent waits, and nothing else waits for it.

use std::sync::Arc;

use crate::disk::relocate::{Relocated, Which};
use crate::disk::{self, Destination, Place};
use crate::engine::album_views::follow_views;
use crate::engine::error::Error;
use crate::engine::run::off_thread;
use crate::engine::stop::Stop;
use crate::journal::{Journal, Relocation};
use crate::model::ids::{AccountId, AssetId, FileId};
use crate::model::layout::Layout;
use crate::model::xmp;

/// Assets whose files move together: a commit and the syncs of their folders are shared, and a stop is
/// obeyed between two groups.
const GROUP_ASSETS: usize = 200;
/// Names tried for one file when strangers have them.
const NAMES_MAX: usize = 8;

/// What a relayout works with. The caller holds the run lock.
pub struct Relayouting {
    /// The journal.
    pub journal: Arc<Journal>,
    /// Where the account's files are.
    pub destination: Destination,
    /// Who may ask to stop.
    pub stop: Stop,
}

/// What was moved.
#[derive(Debug, Default)]
pub struct Relaid {
    /// Files, from where and to where: those that moved, or in a dry run would.
    pub moves: Vec<(String, String)>,
    /// Files that are still to come, and will come to another path.
    pub promised: u64,
    /// Files that are not where the journal says, whose every name was taken, or that have a link, a file
    /// or a closed folder in their way. They keep their row.
    pub left: Vec<String>,
    /// What the system said of them, of sidecars that could not go along, and of folders that stay.
    pub refused: Vec<disk::Error>,
    /// Files that an unfinished run holds: sync first, then they can move.
    pub held: u64,
    /// Files that stay because nobody asked yet which camera took them: sync first, then they can move.
    pub camera_unasked: u64,
    /// Files that stay for the same reason, and no sync asks: gone from iCloud, or left out by choice.
    pub camera_unknown: u64,
    /// Folders that were empty then, and are gone.
    pub folders_removed: u64,
    /// Someone asked to stop before it was done.
    pub interrupted: bool,
}

/// Says what a relayout would move.
///
/// # Errors
/// If the journal cannot be read.
pub async fn relayout_dry(journal: &Journal, account: AccountId, layout: &Layout) -> Result<Relaid, Error> {
    let planned = journal.plan_moves_dry(account, layout.clone()).await?;
    Ok(Relaid {
        moves: planned.moves.into_iter().map(|relocation| (relocation.from, relocation.to)).collect(),
        promised: planned.promised,
        held: planned.held,
        camera_unasked: planned.camera_unasked,
        camera_unknown: planned.camera_unknown,
        ..Relaid::default()
    })
}

/// Moves every file of an account to where the layout wants it.
///
/// # Errors
/// What ends it early. What is moved stays moved, and the next relayout goes on.
pub async fn relayout(tools: Relayouting, account: AccountId, layout: &Layout) -> Result<Relaid, Error> {
    let Relayouting { journal, destination, stop } = tools;
    let destination = Arc::new(destination);
    let mut relaid = Relaid::default();
    let mover = Mover { journal: &journal, destination: &destination, account };
    let mut after = AssetId(0);
    loop {
        if stop.is_requested() {
            relaid.interrupted = true;
            break;
        }
        let planned = journal.plan_moves(account, layout.clone(), after, GROUP_ASSETS).await?;
        relaid.promised += planned.promised;
        relaid.held += planned.held;
        relaid.camera_unasked += planned.camera_unasked;
        relaid.camera_unknown += planned.camera_unknown;
        mover.carry_out(planned.moves, &mut relaid).await?;
        match planned.last {
            Some(last) => after = last,
            None => break,
        }
    }
    relaid.folders_removed = tidy(&journal, &destination, account, &mut relaid.refused).await?;
    if !relaid.moves.is_empty() && !relaid.interrupted {
        let refused = follow_views(&journal, &destination, account, &stop).await?;
        refused.into_iter().next().map_or(Ok(()), Err)?;
    }
    Ok(relaid)
}

/// Ends what a relayout left when it was killed: before anything else looks at the files. What cannot be ended
/// waits, and the next relayout says why.
pub(super) async fn finish(
    journal: &Journal,
    destination: Destination,
    account: AccountId,
) -> Result<Destination, Error> {
    let moves = journal.unfinished_moves(account).await?;
    let destination = Arc::new(destination);
    let mover = Mover { journal, destination: &destination, account };
    let mut relaid = Relaid::default();
    mover.carry_out(moves, &mut relaid).await?;
    tidy(journal, &destination, account, &mut relaid.refused).await?;
    for error in relaid.refused {
        tracing::debug!("{error}");
    }
    Ok(Arc::into_inner(destination).expect("every move has ended"))
}

/// Removes the folders that files moved out of and that are empty now. Says how many.
async fn tidy(
    journal: &Journal,
    destination: &Arc<Destination>,
    account: AccountId,
    refused: &mut Vec<disk::Error>,
) -> Result<u64, Error> {
    let reader = journal.reader().clone();
    let folders = off_thread(move || reader.emptied(account)).await?;
    if folders.is_empty() {
        return Ok(0);
    }
    let destination = Arc::clone(destination);
    let (removed, stay) = off_thread(move || {
        let mut stay = Vec::new();
        // The deepest first: what is above may be empty then.
        let removed = folders.iter().try_fold(0, |sum, folder| match destination.remove_if_empty(folder) {
            Ok(removed) => Ok(sum + removed),
            Err(error) if error.ends_the_run() => Err(error),
            Err(error) => {
                stay.push(error);
                Ok(sum)
            }
        });
        removed.map(|removed| (removed, stay))
    })
    .await?;
    refused.extend(stay);
    journal.forget_emptied(account).await?;
    Ok(removed)
}

struct Mover<'a> {
    journal: &'a Journal,
    destination: &'a Arc<Destination>,
    account: AccountId,
}

impl Mover<'_> {
    /// Renames, syncs, and then tells the rows.
    async fn carry_out(&self, moves: Vec<Relocation>, relaid: &mut Relaid) -> Result<(), Error> {
        let mut moves: Vec<(Relocation, Vec<String>)> = moves.into_iter().map(|m| (m, Vec::new())).collect();
        while !moves.is_empty() {
            let destination = Arc::clone(self.destination);
            let (outcomes, returned) = off_thread(move || (rename_all(&destination, &moves), moves)).await;
            let Renamed { outcomes, refused } = outcomes?;
            relaid.refused.extend(refused);
            let (mut moved, mut left, mut again): (Vec<FileId>, Vec<FileId>, Vec<_>) = Default::default();
            for ((mut relocation, mut refused), outcome) in returned.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Unknown => relaid.left.push(relocation.from),
                    Outcome::Known(Relocated::Done) => {
                        moved.push(relocation.file);
                        relaid.moves.push((relocation.from, relocation.to));
                    }
                    Outcome::Known(Relocated::NameTaken) if refused.len() + 1 < NAMES_MAX => {
                        refused.push(relocation.to);
                        let tried = refused.clone();
                        relocation.to =
                            self.journal.move_elsewhere(self.account, relocation.file, tried).await?;
                        again.push((relocation, refused));
                    }
                    Outcome::Known(Relocated::NameTaken | Relocated::Missing) | Outcome::Stayed => {
                        left.push(relocation.file);
                        relaid.left.push(relocation.from);
                    }
                }
            }
            self.journal.finish_moves(moved, left).await?;
            moves = again;
        }
        Ok(())
    }
}

/// What became of a group, in its order, and what the system said against some.
#[derive(Default)]
struct Renamed {
    outcomes: Vec<Outcome>,
    refused: Vec<disk::Error>,
}

/// What became of one move.
enum Outcome {
    /// This.
    Known(Relocated),
    /// Something is in the way: it is where it was.
    Stayed,
    /// Something is in the way, and whether it moved before a crash cannot be seen. Its intent stays.
    Unknown,
}

/// Takes a sidecar along. One that cannot go is written anew by the next run; says why it cannot.
fn follow(destination: &Destination, from: &Place, to: &Place) -> Option<disk::Error> {
    let beside = |place: &Place| Place { path: format!("{}{}", place.path, xmp::SUFFIX), ..place.clone() };
    destination.relocate(&beside(from), &beside(to), Which::Final).err()
}

/// Renames a group, and makes all of its names durable.
fn rename_all(
    destination: &Destination,
    moves: &[(Relocation, Vec<String>)],
) -> Result<Renamed, disk::Error> {
    let place =
        |relocation: &Relocation, path: &String| Place { path: path.clone(), tag: relocation.tag.clone() };
    let (mut renamed, mut moved) = (Renamed::default(), Vec::new());
    for (relocation, _) in moves {
        let (from, to) = (place(relocation, &relocation.from), place(relocation, &relocation.to));
        let which = if relocation.is_whole { Which::Final } else { Which::Part };
        let outcome = destination.relocate(&from, &to, which);
        match outcome {
            Ok(outcome) => {
                if outcome == Relocated::Done {
                    moved.extend([relocation.to.as_str(), relocation.from.as_str()]);
                    if relocation.has_sidecar {
                        renamed.refused.extend(follow(destination, &from, &to));
                    }
                }
                renamed.outcomes.push(Outcome::Known(outcome));
            }
            Err(error) if error.ends_the_run() => return Err(error),
            // A link in the way, or no permission.
            Err(error) => {
                renamed.refused.push(error);
                let stayed = destination.has_stayed(&from, &to, which);
                renamed.outcomes.push(if stayed { Outcome::Stayed } else { Outcome::Unknown });
            }
        }
    }
    destination.settle(moved.into_iter())?;
    Ok(renamed)
}
