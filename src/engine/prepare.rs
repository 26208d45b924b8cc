//! Before a transfer: what a crash, or a stranger, left at the file's two names.
//!
//! The recovery table decides ([`crate::model::recovery`]); here each letter is carried out. It
//! runs for every claim, so a row is repaired whenever it is next wanted, and at the start of a
//! run for the claims of dead runs ([`super::recover`]).

use std::sync::Arc;

use crate::disk::standing::Durable;
use crate::disk::undated::Original;
use crate::disk::{self, Destination, Folder, Inspector, PartFile, Place, part};
use crate::engine::held::{self, Body, Held, Part as HeldPart, Sink};
use crate::engine::monitor::Notice;
use crate::engine::place::place;
use crate::engine::run::{Run, off_thread};
use crate::engine::setback::{Setback, Unfinished};
use crate::engine::twin;
use crate::fault;
use crate::journal::{Claim, ClaimedFile};
use crate::model::checksum::{Digests, Hasher, Proof};
use crate::model::failure::FailureKind;
use crate::model::recovery::{self, Case, Final, Part};
use crate::model::state::State;

/// Names tried on disk for one file before giving up: each is one more stranger's file.
const NAMES_MAX: usize = 8;

/// A claim that is ready for bytes.
pub(super) enum Prepared {
    /// Bytes may come; those that are here already are hashed.
    Ready { claim: Claim, sink: Box<Sink> },
    /// The final file stands already and is right: only the journal is behind. Perhaps with a date that we
    /// added, which the journal is told beforehand.
    Standing { claim: Claim, digests: Digests, proof: Proof, is_dated: bool },
}

/// A claim that was looked at when it came.
pub(super) struct Ahead {
    pub(super) claim: Claim,
    /// Where it goes, if it is a small file that is to be fetched whole, fits, and meets nothing at its two names.
    clear: Option<Place>,
}

impl Ahead {
    /// Whether its bytes stay in memory until all of them are here: its way meets no disk until then.
    pub(super) fn meets_no_disk(&self) -> bool {
        self.clear.is_some()
    }
}

/// Looks at the names of many claims at once. What stands there, or does not, is looked at again, one by one
/// and when its turn comes, wherever this does not say that the way is clear; and whoever comes to a name
/// that was clear is met when the part file is made, or when it gets its name.
pub(super) async fn look_ahead(run: &Run, claims: Vec<Claim>) -> Vec<Ahead> {
    let destination = Arc::clone(&run.destination);
    off_thread(move || {
        let mut room_bytes = destination.room().map_or(0, |room| room.for_files());
        let mut inspector = Inspector::new(destination);
        let look = |claim: Claim| {
            let file = claim.file();
            let is_new = file.state == State::Pending && file.twin.is_none();
            let may_be = is_new && held::is_small(file.size_bytes) && file.size_bytes <= room_bytes;
            let clear = may_be.then(|| place(file)).filter(|place| inspector.is_clear(place));
            room_bytes -= clear.as_ref().map_or(0, |_| file.size_bytes);
            Ahead { claim, clear }
        };
        claims.into_iter().map(look).collect()
    })
    .await
}

/// Makes a claim ready: repairs, resumes, or begins anew.
pub(super) async fn prepare(run: &Run, ahead: Ahead) -> Result<Prepared, Unfinished> {
    let Ahead { mut claim, clear } = ahead;
    if let Some(place) = clear {
        let body = Body::new(Arc::clone(&run.destination), place);
        let sink = Box::new(Sink { held: Held::Memory(body), hasher: Hasher::default() });
        return Ok(Prepared::Ready { claim, sink });
    }
    let mut refused = Vec::new();
    loop {
        let (folder, letter, taken, part) = match look_and_begin(run, claim.file()).await {
            Ok(found) => found,
            Err(error) => return Err(claim_meets(run, claim, error)),
        };
        if let Some(part) = part {
            return ready(run, claim, folder, part).await;
        }
        if letter == Case::E {
            match whole(run, claim.file()).await {
                Ok(Some((digests, proof))) => {
                    return Ok(Prepared::Standing { claim, digests, proof, is_dated: false });
                }
                Ok(None) => {}
                Err(error) => return Err(claim_meets(run, claim, error)),
            }
        } else if taken {
            match dated(run, claim.file()).await {
                Ok(Some((Original { digests, dated, dated_bytes, .. }, proof))) => {
                    let intended = run.journal.intend_date(claim.file().id, dated.sha256, dated_bytes);
                    intended.await.map_err(Unfinished::lost)?;
                    return Ok(Prepared::Standing { claim, digests, proof, is_dated: true });
                }
                Err(error) if error.ends_the_run() => return Err(claim_meets(run, claim, error)),
                // Whatever it is, it is not to be read, and stays.
                Ok(None) | Err(_) => {}
            }
        }
        if taken {
            refused.push(claim.file().path.clone());
            claim = move_aside(run, claim, folder, &refused).await?;
            continue;
        }
        return match letter {
            Case::C => resume(run, claim, folder).await,
            Case::D => restart(run, claim, folder, "the part file is missing or short").await,
            _ => begin(run, claim, folder).await,
        };
    }
}

/// Looks at both names. The flag says that something stands under the final one.
pub(super) async fn look(run: &Run, file: &ClaimedFile) -> Result<(Folder, Case, bool), disk::Error> {
    let (place, facts) = (place(file), Facts::of(file));
    run.on_disk(move |destination| look_at(destination, &place, facts)).await
}

/// What the journal says of a file, as far as the recovery table asks.
#[derive(Clone, Copy)]
struct Facts {
    state: State,
    size_bytes: u64,
    offset_bytes: u64,
}

impl Facts {
    fn of(file: &ClaimedFile) -> Self {
        Self { state: file.state, size_bytes: file.size_bytes, offset_bytes: file.offset_bytes }
    }
}

/// Looks, and where nothing is to be repaired begins the part file too: for a small file each way to
/// the disk and back counts.
async fn look_and_begin(
    run: &Run,
    file: &ClaimedFile,
) -> Result<(Folder, Case, bool, Option<PartFile>), disk::Error> {
    let (place, facts) = (place(file), Facts::of(file));
    run.on_disk(move |destination| {
        let (folder, letter, taken) = look_at(destination, &place, facts)?;
        let is_new = !taken && matches!(letter, Case::A | Case::B);
        let part = is_new.then(|| empty_part(destination, &folder, facts.size_bytes)).transpose()?;
        Ok((folder, letter, taken, part))
    })
    .await
}

fn look_at(
    destination: &Destination,
    place: &Place,
    facts: Facts,
) -> Result<(Folder, Case, bool), disk::Error> {
    let folder = destination.folder_for_part(place)?;
    let r#final = folder.final_fact(facts.size_bytes)?;
    let part = Part::measure(folder.part_len()?, facts.offset_bytes);
    Ok((folder, recovery::case(facts.state, part, r#final), r#final != Final::None))
}

/// An empty part file, if there is room for the whole.
fn empty_part(destination: &Destination, folder: &Folder, size_bytes: u64) -> Result<PartFile, disk::Error> {
    folder.remove_part()?;
    destination.room()?.check(&folder.part_path(), size_bytes)?;
    PartFile::create(folder, size_bytes)
}

/// Reads the file under the final name. `Some` if it is ours: its bytes match Apple's checksum, and
/// it is made durable, whoever wrote it.
///
/// A checksum of unknown shape proves by length alone, and a length is no proof that a stranger's
/// file is ours. Such a file is ours only if its digest is the one that the journal promised
/// before the file was published.
pub(super) async fn whole(run: &Run, file: &ClaimedFile) -> Result<Option<(Digests, Proof)>, disk::Error> {
    let (place, rendition, checksum) = (place(file), file.rendition, file.checksum.clone());
    let (doubts, stop) = (Arc::clone(&run.doubts), run.stop.clone());
    let promised = file.prefix.filter(|_| file.offset_bytes == file.size_bytes);
    run.on_disk(move |destination| {
        let folder = destination.folder(&place)?;
        let mut hasher = Hasher::default();
        let mut found = folder.open_final()?;
        let reading = |source| disk::Error::reading(&folder.final_path(), source);
        part::hash(&mut found, None, &mut hasher, || !stop.is_requested()).map_err(reading)?;
        let digests = hasher.finish();
        let ours = |proof: &Proof| *proof != Proof::Length || promised == Some(digests.sha256);
        let proof = doubts.prove(rendition, &checksum, &digests).filter(ours);
        if proof.is_some() {
            part::sync_whole(&found, &folder.final_path()).map_err(reading)?;
            folder.remove_part()?;
            folder.make_durable()?;
        }
        Ok(proof.map(|proof| (digests, proof)))
    })
    .await
}

/// Sees through a date that we added to the file under the final name, before the journal was lost. `Some`
/// if it is ours: what remains matches Apple's checksum, and it is made durable.
async fn dated(run: &Run, file: &ClaimedFile) -> Result<Option<(Original, Proof)>, disk::Error> {
    let (place, rendition, checksum) = (place(file), file.rendition, file.checksum.clone());
    let (doubts, size_bytes) = (Arc::clone(&run.doubts), file.size_bytes);
    run.on_disk(move |destination| {
        let Some(jpeg) = destination.dated_jpeg(&place.path)? else { return Ok(None) };
        let proof = |of: &Original| doubts.prove(rendition, &checksum, &of.digests);
        let found = jpeg.original(size_bytes, |of| proof(of).is_some_and(|proof| proof != Proof::Length))?;
        let Some(found) = found else { return Ok(None) };
        destination.standing(&place.path)?.make_durable(&Durable::default())?;
        destination.folder(&place)?.remove_part()?;
        Ok(proof(&found).map(|proof| (found, proof)))
    })
    .await
}

/// Case C: the promised prefix must be what was promised, before a request leaves.
async fn resume(run: &Run, claim: Claim, folder: Folder) -> Result<Prepared, Unfinished> {
    let (offset_bytes, promised) = (claim.file().offset_bytes, claim.file().prefix);
    let (stop, destination, size_bytes) =
        (run.stop.clone(), Arc::clone(&run.destination), claim.file().size_bytes);
    let (folder, resumed) = off_thread(move || {
        let mut hasher = Hasher::default();
        let resumed = PartFile::resume(&folder, offset_bytes, &mut hasher, || !stop.is_requested()).and_then(
            |mut part| {
                let good = Some(hasher.prefix_sha256()) == promised;
                // Only a prefix of ours is cut: anything else is looked at and left.
                if good {
                    part.cut(offset_bytes)?;
                    let has_bytes = part.allocated_bytes().max(offset_bytes);
                    let needed_bytes = size_bytes.saturating_sub(has_bytes);
                    destination.room()?.check(&folder.part_path(), needed_bytes)?;
                }
                Ok(good.then_some((part, hasher)))
            },
        );
        (folder, resumed)
    })
    .await;
    match resumed {
        Ok(Some((file, hasher))) => {
            fault::point("prefix-trusted");
            let held = Held::Part(HeldPart { folder, file });
            Ok(Prepared::Ready { claim, sink: Box::new(Sink { held, hasher }) })
        }
        Ok(None) => restart(run, claim, folder, "the part file is not what was written").await,
        Err(error) if error.is_about_room() || error.ends_the_run() || run.stop.is_requested() => {
            Err(claim_meets(run, claim, error))
        }
        Err(error) => restart(run, claim, folder, &error.to_string()).await,
    }
}

/// Case D: the promise is broken, so the row says so first, and then begins anew.
async fn restart(run: &Run, claim: Claim, folder: Folder, why: &str) -> Result<Prepared, Unfinished> {
    let path = claim.file().path.clone();
    run.board.notice(Notice::Restarted { path, why: why.to_owned() });
    let claim = run.journal.restarted(claim, super::run::now()).await.map_err(Unfinished::lost)?;
    fault::point("restarted");
    begin(run, claim, folder).await
}

/// Cases A and B: an empty part file, in place of whatever part stood there.
async fn begin(run: &Run, claim: Claim, folder: Folder) -> Result<Prepared, Unfinished> {
    let size_bytes = claim.file().size_bytes;
    let destination = Arc::clone(&run.destination);
    let (folder, part) = off_thread(move || {
        let part = empty_part(&destination, &folder, size_bytes);
        (folder, part)
    })
    .await;
    match part {
        Ok(part) => ready(run, claim, folder, part).await,
        Err(error) => Err(claim_meets(run, claim, error)),
    }
}

/// An empty part file is there: what stands here already is copied, and the rest may come.
async fn ready(run: &Run, claim: Claim, folder: Folder, part: PartFile) -> Result<Prepared, Unfinished> {
    fault::point("part-created");
    match twin::copy(run, claim.file(), HeldPart { folder, file: part }).await {
        Ok((part, hasher)) => {
            Ok(Prepared::Ready { claim, sink: Box::new(Sink { held: Held::Part(part), hasher }) })
        }
        Err(error) => Err(claim_meets(run, claim, error)),
    }
}

/// A stranger's file holds the name: it stays, and ours takes another.
async fn move_aside(
    run: &Run,
    claim: Claim,
    folder: Folder,
    refused: &[String],
) -> Result<Claim, Unfinished> {
    if refused.len() >= NAMES_MAX {
        let detail = format!("{NAMES_MAX} names are taken by other files, the last: {}", claim.file().path);
        return Err(Unfinished::new(claim, Setback::failed(FailureKind::Disk, detail)));
    }
    if let Err(error) = off_thread(move || folder.remove_part()).await {
        return Err(claim_meets(run, claim, error));
    }
    let mut claim = claim;
    if claim.file().offset_bytes > 0 {
        claim = run.journal.restarted(claim, super::run::now()).await.map_err(Unfinished::lost)?;
    }
    let claim = run.journal.rename(claim, refused.to_vec()).await.map_err(Unfinished::lost)?;
    fault::point("moved-aside");
    let taken = refused.last().cloned().unwrap_or_default();
    run.board.notice(Notice::NameTaken { taken, instead: claim.file().path.clone() });
    Ok(claim)
}

/// The disk said no: for this file, or for all of them.
fn claim_meets(run: &Run, claim: Claim, error: disk::Error) -> Unfinished {
    let setback = if run.stop.is_requested() { Setback::Released } else { Setback::of_disk(error, true) };
    Unfinished::new(claim, setback)
}
