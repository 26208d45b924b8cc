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
/// Names that are kept of those that could not be laid out.
const LEFT_NAMED_MAX: usize = 20;

/// Why a name was left to the file that holds it.
const FOREIGN: &str = "a file that is not of this kit stands there";

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
    /// How many files and sidecars could not be laid out.
    pub left: u64,
    /// The first twenty of those: where each was to stand, and why it does not.
    pub left_named: Vec<(String, String)>,
}

impl KitLaidOut {
    fn leave(&mut self, path: String, why: impl ToString) {
        self.left += 1;
        if self.left_named.len() < LEFT_NAMED_MAX {
            self.left_named.push((path, why.to_string()));
        }
    }
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
            Ok(Linked::Foreign) => {
                laid_out.leave(file.path, FOREIGN);
                continue;
            }
            Err(error) if is_for_all(&error) => return Err(error),
            Err(error) => {
                laid_out.leave(file.path, error);
                continue;
            }
        }
        let Some(path) = file.sidecar else { continue };
        let mut picture = asset.picture.clone();
        picture.rendition = file.rendition;
        match view.write(&path, &xmp::sidecar(&picture), xmp::is_ours) {
            Ok(true) => laid_out.sidecars += 1,
            Ok(false) => laid_out.leave(path, FOREIGN),
            Err(error) if is_for_all(&error) => return Err(error),
            Err(error) => laid_out.leave(path, error),
        }
    }
    Ok(())
}

/// Whether the next file would meet the same: another file system, or one that has no such links.
fn is_for_all(error: &disk::Error) -> bool {
    error.ends_the_run() || error.refused_link().is_some()
}
