//! The exit kit: the whole library laid out by links, with sidecars, for another program to import.
//!
//! It is made from the journal alone, costs no room, and can be made again at any time: what stands right
//! stays, and what is somebody else's is never replaced.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::links::{Linked, View};
use crate::disk::{self, Destination};
use crate::engine::error::Error;
use crate::engine::run::off_thread;
use crate::engine::stop::Stop;
use crate::icloud;
use crate::journal::{Journal, Reader};
use crate::model::ids::{AccountId, AssetId};
use crate::model::kit::{Importer, Kit, KitAsset};
use crate::model::views::LinkKind;
use crate::model::xmp;

/// Assets laid out at a time.
const PAGE: usize = 256;
/// Foreign files that are named.
const FOREIGN_MAX: usize = 20;

/// What is to be laid out.
#[derive(Clone, Debug)]
pub struct KitWish {
    /// For whom.
    pub importer: Importer,
    /// Where.
    pub directory: PathBuf,
    /// How links are made.
    pub kind: LinkKind,
}

/// What was laid out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KitLaidOut {
    /// Files that stand in the kit.
    pub files: u64,
    /// Sidecars beside them.
    pub sidecars: u64,
    /// Names that somebody else's file holds, at most twenty.
    pub foreign: Vec<String>,
}

/// Lays the account's library out.
///
/// # Errors
/// What the disk or the journal says; what stands already stays, and the next call goes on.
pub async fn lay_out_kit(
    journal: &Arc<Journal>,
    destination: Destination,
    account: AccountId,
    wish: KitWish,
    stop: &Stop,
) -> Result<KitLaidOut, Error> {
    let (reader, stop) = (journal.reader().clone(), stop.clone());
    off_thread(move || lay_out(&reader, &destination, account, &wish, &stop)).await
}

fn lay_out(
    reader: &Reader,
    destination: &Destination,
    account: AccountId,
    wish: &KitWish,
    stop: &Stop,
) -> Result<KitLaidOut, Error> {
    let view = View::open(&wish.directory)?;
    if view.directory().starts_with(destination.real_directory()?) {
        return Err(Error::KitInDestination { folder: wish.directory.clone() });
    }
    let albums = reader.album_paths(account)?;
    let (mut kit, mut laid_out) = (Kit::new(wish.importer), KitLaidOut::default());
    let mut after = AssetId(0);
    while !stop.is_requested() {
        let page = reader.kit_page(account, &albums, after, PAGE)?;
        let Some(last) = page.last else { break };
        after = last;
        for (mut asset, record) in page.assets {
            asset.picture.facts = icloud::facts(&record);
            lay_out_asset(&view, destination, wish.kind, &mut kit, &asset, &mut laid_out)?;
        }
    }
    laid_out.foreign.truncate(FOREIGN_MAX);
    Ok(laid_out)
}

fn lay_out_asset(
    view: &View,
    destination: &Destination,
    kind: LinkKind,
    kit: &mut Kit,
    asset: &KitAsset,
    laid_out: &mut KitLaidOut,
) -> Result<(), disk::Error> {
    for file in kit.place(asset) {
        match view.link(destination, &file.media, &file.path, kind) {
            Ok(Linked::Stands(_)) => laid_out.files += 1,
            // Somebody else's file, or the photo itself is gone: that is for others to find and say.
            Ok(Linked::Foreign)
            | Err(disk::Error::InTheWay { .. } | disk::Error::Io { action: "read file", .. }) => {
                laid_out.foreign.push(file.path);
                continue;
            }
            Err(error) => return Err(error),
        }
        if let Some(path) = file.sidecar {
            let mut picture = asset.picture.clone();
            picture.rendition = file.rendition;
            if view.write(&path, &xmp::sidecar(&picture), xmp::is_ours)? {
                laid_out.sidecars += 1;
            } else {
                laid_out.foreign.push(path);
            }
        }
    }
    Ok(())
}
