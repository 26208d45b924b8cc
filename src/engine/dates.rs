//! Dates: at the end of a run, JPEGs without a date of capture get it, if a person asked for that.
//!
//! Only what is verified is touched: its bytes came, matched Apple's checksum and stood under their name
//! before. They are read once more, compared with the digest in the journal, and replaced by the same with
//! a date: intent, new file durable beside the old one, exchange of names, folder durable, row. A kill at any
//! step leaves an intent, and [`finish`] ends it at the next start, before anything looks at the files.
//!
//! A hard link in a view of albums would keep the old bytes. So it goes first, told in the journal as one to be
//! made again, and is made again at the end of the run, or of the next. Links of others keep a file as it is.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::disk::redate::{Look, Read, Standing};
use crate::disk::undated::JPEG_BYTES_MAX;
use crate::disk::{Destination, Place};
use crate::engine::album_views;
use crate::engine::error::Error;
use crate::engine::monitor::Notice;
use crate::engine::run::{Run, now, off_thread};
use crate::fault;
use crate::journal::{DateLook, Journal, Undated};
use crate::model::checksum::Sha256Digest;
use crate::model::exif::{self, Dated};
use crate::model::ids::{AccountId, FileId};

/// Files looked at between two commits of what was found.
const PAGE: usize = 64;

/// Why a file with other names is left.
const LINKED: &str = "other links lead to it, which keep the bytes they have";

/// What is to be done with a file.
enum Step {
    Replace(Box<Read>, Vec<u8>),
    Remember(DateLook),
    /// It has so many names.
    Linked(u64),
    /// It is not what the journal says: that is for others to find and say.
    Skip,
    /// It cannot be read now. The next run looks again.
    Closed(String),
}

/// Adds the date to every verified JPEG that has none.
pub(super) async fn write(run: &Run) -> Result<(), Error> {
    let (mut after, mut written) = (FileId(0), 0_u64);
    let mut closed: BTreeMap<String, u64> = BTreeMap::new();
    while !run.stop.is_requested() {
        let (reader, account) = (run.journal.reader().clone(), run.account);
        let due = off_thread(move || reader.undated(account, after, PAGE)).await?;
        let Some(last) = due.last() else { break };
        after = last.file;
        let mut looks = Vec::new();
        for file in due {
            if run.stop.is_requested() {
                break;
            }
            let id = file.file;
            let path = file.path.clone();
            match look_behind_albums(run, file).await? {
                Step::Replace(read, bytes) => written += u64::from(replace(run, id, *read, bytes).await?),
                Step::Remember(found) => {
                    if let DateLook::Left(why) = found {
                        let text = format!("{path} got no date of capture: {why}");
                        run.board.notice(Notice::Note(text));
                    }
                    looks.push((id, found));
                }
                Step::Linked(_) => {
                    run.board.notice(Notice::Note(format!("{path} got no date of capture: {LINKED}")));
                    looks.push((id, DateLook::Left(LINKED)));
                }
                Step::Closed(why) => *closed.entry(why).or_default() += 1,
                Step::Skip => {}
            }
        }
        run.journal.date_looked(looks).await?;
    }
    for (why, files) in closed {
        run.board.notice(Notice::Undated { files, why });
    }
    if written > 0 {
        let what = if written == 1 { "1 photo" } else { &format!("{written} photos") };
        run.board.notice(Notice::Note(format!("the date of capture was added to {what}")));
    }
    Ok(())
}

/// Looks at a file, and where only links of albums are in the way takes these away for a while.
async fn look_behind_albums(run: &Run, file: Undated) -> Result<Step, Error> {
    let (id, again) = (file.file, file.clone());
    match run.on_disk(move |destination| look(destination, &file)).await? {
        Step::Linked(names) if album_views::let_go(run, id, names).await? => {
            Ok(run.on_disk(move |destination| look(destination, &again)).await?)
        }
        step => Ok(step),
    }
}

/// Ends what a killed run left.
pub(super) async fn finish(
    journal: &Journal,
    destination: Destination,
    account: AccountId,
) -> Result<Destination, Error> {
    let reader = journal.reader().clone();
    let rewrites = off_thread(move || reader.unfinished_dates(account)).await?;
    let mut destination = destination;
    for rewrite in rewrites {
        let file = rewrite.file;
        let (returned, standing) = off_thread(move || {
            let place = Place { path: rewrite.path, tag: rewrite.tag };
            let standing = destination.settle_own(&place, rewrite.from, rewrite.to);
            (destination, standing)
        })
        .await;
        destination = returned;
        match standing? {
            Standing::New => journal.date_written(None, now(), file).await?,
            Standing::Old | Standing::Other => journal.date_given_up(file).await?,
        }
    }
    Ok(destination)
}

/// Reads a file, and works out what it is to become.
fn look(destination: &Destination, file: &Undated) -> Result<Step, crate::disk::Error> {
    let place = Place { path: file.path.clone(), tag: file.tag.clone() };
    let read = match destination.read_own(&place, file.sha256, JPEG_BYTES_MAX) {
        Ok(Look::Ours(read)) => read,
        Ok(Look::Other) => return Ok(Step::Skip),
        Ok(Look::TooLong) => return Ok(Step::Remember(DateLook::Left("it is too large to be read whole"))),
        Err(error) if error.ends_the_run() => return Err(error),
        Err(error) => return Ok(Step::Closed(error.to_string())),
    };
    Ok(match exif::date(&read.bytes, file.captured) {
        Dated::Has => Step::Remember(DateLook::Has),
        Dated::Left(why) => Step::Remember(DateLook::Left(why)),
        Dated::Written(_) if read.names() > 1 => Step::Linked(read.names()),
        Dated::Written(bytes) => Step::Replace(read, bytes),
    })
}

/// Replaces a file by the same with a date. `false`: another file came to its place, or the disk said no.
async fn replace(run: &Run, file: FileId, read: Read, bytes: Vec<u8>) -> Result<bool, Error> {
    let sha256 = Sha256Digest(Sha256::digest(&bytes).into());
    run.journal.intend_date(file, sha256, bytes.len() as u64).await?;
    fault::point("date-intended");
    let replaced = run.on_disk(move |destination| destination.replace_own(&read, bytes)).await;
    match replaced {
        Ok(true) => {
            fault::point("date-replaced");
            run.journal.date_written(Some(run.id), now(), file).await?;
            Ok(true)
        }
        Ok(false) => {
            run.journal.date_given_up(file).await?;
            Ok(false)
        }
        // The intent stays: the next start looks which of the two stands there.
        Err(error) => Err(error.into()),
    }
}
