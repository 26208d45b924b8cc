//! Renew: one look-up gives many expired rows their fresh URLs.
//!
//! Asked only when the feed finds no live URL, and only for one batch: a URL that is renewed long
//! before its turn would expire again. No attempt is burned.

use std::time::Instant;

use crate::engine::error::Error;
use crate::engine::library::Library;
use crate::engine::monitor::Notice;
use crate::engine::run::{Run, now};
use crate::fault;
use crate::icloud::{self, LOOKUP_NAMES_MAX, Lookup};
use crate::journal::{Expired, Leftover};
use crate::model::asset::Rendition;
use crate::model::checksum::AppleChecksum;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::AssetName;
use crate::model::layout;
use crate::model::signed_url::SignedUrl;

/// Fresh URLs of one file that the host may refuse, without a byte in between. More of them help
/// nobody: this file's URLs are dead on arrival.
const REFUSED_MAX: u32 = 5;

/// Renews one batch of expired rows. `true`: some row moved, so asking for claims is worth it.
pub(super) async fn renew(run: &Run, libraries: &[Library]) -> bool {
    if run.stop.is_requested() {
        return false;
    }
    let sent = Instant::now();
    match try_renew(run, libraries).await {
        Ok(moved) => moved,
        Err(Error::Service(error)) => run.wait_out(error, sent).await,
        Err(error) => {
            run.halt(error);
            false
        }
    }
}

async fn try_renew(run: &Run, libraries: &[Library]) -> Result<bool, Error> {
    for library in libraries.iter().filter(|library| !run.is_down(library.id)) {
        let expired = run.journal.reader().expired(library.id, LOOKUP_NAMES_MAX).await?;
        if expired.is_empty() {
            continue;
        }
        match renew_batch(run, library, expired).await {
            // Trouble of one library must not keep the others waiting.
            Err(Error::Service(
                why @ (icloud::Error::Denied(_)
                | icloud::Error::Server { .. }
                | icloud::Error::Malformed { .. }),
            )) => run.library_down(library, &why.to_string()),
            renewed => return renewed,
        }
    }
    // Rows of a library that is not there today wait; the status names them.
    Ok(false)
}

async fn renew_batch(run: &Run, library: &Library, expired: Vec<Expired>) -> Result<bool, Error> {
    let mut names: Vec<String> = expired.iter().flat_map(carriers).map(str::to_owned).collect();
    // A small copy may hang on either record: more names than one look-up takes wait for the next.
    names.sort_unstable();
    names.dedup();
    let expired = if names.len() > LOOKUP_NAMES_MAX {
        names.truncate(LOOKUP_NAMES_MAX);
        let asked = |row: &Expired| carriers(row).iter().all(|name| names.iter().any(|asked| asked == name));
        expired.into_iter().filter(asked).collect()
    } else {
        expired
    };
    let lookup = tokio::select! {
        lookup = run.client.lookup(&library.zone, &names) => lookup?,
        () = run.stop.requested() => return Ok(false),
    };
    run.pause.call_through();
    let mut renewed = Vec::new();
    for row in expired {
        match fresh_url(&row, &lookup) {
            Ok(url) => renewed.push((row.id, url)),
            Err(failure) => {
                let told = run.journal.failed_at_rest(run.id, row.id, now(), failure.clone()).await?;
                let Some(asset_complete) = told else { continue };
                if failure.kind == FailureKind::Gone {
                    // Apple's owner deleted or changed it: nothing went wrong here.
                    forget_part(run, &row).await?;
                    run.board.gone(asset_complete, Notice::NoLongerOffered { path: row.path });
                } else {
                    run.board.failed(Notice::FileFailed { path: row.path, failure });
                }
            }
        }
    }
    fault::point("urls-fetched");
    run.journal.urls_renewed(run.id, now(), renewed).await?;
    fault::point("urls-renewed");
    Ok(true)
}

/// Removes the part file of what will not come any more.
async fn forget_part(run: &Run, row: &Expired) -> Result<(), Error> {
    let tag = layout::part_tag(&AssetName(row.asset.clone()), &AppleChecksum::parse(&row.checksum));
    run.clear(vec![Leftover { path: row.path.clone(), tag }]).await
}

/// The records that may carry the file: edits hang on the asset, originals on the master, and small
/// copies on either.
fn carriers(row: &Expired) -> Vec<&str> {
    match row.rendition {
        Rendition::Edited | Rendition::EditedVideo => vec![&row.asset],
        Rendition::Original | Rendition::Alternative | Rendition::LiveVideo => vec![&row.master],
        Rendition::Medium | Rendition::MediumVideo | Rendition::Thumb | Rendition::ThumbVideo => {
            vec![&row.asset, &row.master]
        }
    }
}

fn fresh_url(row: &Expired, lookup: &Lookup) -> Result<SignedUrl, Failure> {
    if row.urls_refused >= REFUSED_MAX {
        let detail = format!("the host refused {REFUSED_MAX} URLs in a row, fresh ones among them");
        return Err(Failure::new(FailureKind::UrlKeepsExpiring, detail));
    }
    let names = carriers(row);
    let name = names[0];
    let found: Vec<_> =
        lookup.found.iter().filter(|found| names.contains(&found.record_name.as_str())).collect();
    if found.is_empty() {
        let missing = lookup.missing.iter().find(|missing| missing.record_name == name);
        let why = missing.map_or("no answer", |missing| missing.reason.as_str());
        // Gone is for good: no run waits for such a file. Only Apple's own word about it is enough.
        let gone = missing.is_some_and(|missing| missing.is_refused);
        let kind = if gone { FailureKind::Gone } else { FailureKind::Server };
        return Err(Failure::new(kind, format!("record {name} cannot be looked up: {why}")));
    }
    let files = found.iter().flat_map(|found| &found.files);
    let mut of_rendition = files.filter(|file| file.rendition == row.rendition).peekable();
    let other_version = of_rendition.peek().is_some();
    match of_rendition.find(|file| file.checksum.as_str() == row.checksum) {
        Some(file) => Ok(file.url.clone()),
        None if other_version => {
            let detail = "Apple has another version by now; the next enumeration takes it up";
            Err(Failure::new(FailureKind::Gone, detail))
        }
        None => {
            Err(Failure::new(FailureKind::Server, format!("record {name} offers no download URL for it")))
        }
    }
}
