//! What a page says, compared with what the journal knows: a pure plan, carried out elsewhere.
//!
//! Identity of a file is (library, asset, rendition, checksum). An offer whose checksum is known
//! is the same file, whatever else changed; another checksum under the same rendition is another
//! version. A version that was brought home stays where it is and is *superseded*; one that was
//! not has nothing to keep, and its row goes on to the new version.

use crate::model::asset::{Asset, Rendition};
use crate::model::ids::FileId;
use crate::model::state::State;

/// A file row, as far as a comparison needs it.
#[derive(Clone, Debug)]
pub struct KnownFile {
    /// The row.
    pub id: FileId,
    /// Which file of the asset.
    pub rendition: Rendition,
    /// Apple's checksum, as text.
    pub checksum: String,
    /// Where it stands.
    pub state: State,
    /// A worker holds it right now.
    pub claimed: bool,
    /// Apple offers another version, or none, in its place.
    pub superseded: bool,
}

/// One thing to do. Offers are named by their place in [`Asset::offers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Insert a row for this offer.
    Insert {
        /// Which offer.
        offer: usize,
    },
    /// The row goes on to this offer's version, from the start.
    Change {
        /// The row.
        file: FileId,
        /// Which offer.
        offer: usize,
    },
    /// A fresh URL for a row that still wants its bytes.
    Renew {
        /// The row.
        file: FileId,
        /// Which offer.
        offer: usize,
    },
    /// Apple no longer offers this version.
    Supersede {
        /// The row.
        file: FileId,
    },
    /// Apple offers a superseded version again, as after an undone edit.
    Reinstate {
        /// The row.
        file: FileId,
    },
}

/// Plans the steps that bring `known`, the rows of one asset, in line with `asset`.
///
/// A row that a worker holds never goes on to another version under its feet. It may be superseded:
/// then the worker ends what it began, and nobody waits for it.
#[must_use]
pub fn plan(asset: &Asset, known: &[KnownFile]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut continued = Vec::new();
    for (offer, offered) in asset.versions() {
        let same = known
            .iter()
            .find(|k| k.rendition == offered.rendition && k.checksum == offered.checksum.as_str());
        if let Some(file) = same {
            if file.superseded {
                steps.push(Step::Reinstate { file: file.id });
            }
            // It failed because it was gone, as far as anyone knew: it is begun anew.
            if file.superseded && file.state == State::Failed && !file.claimed {
                steps.push(Step::Change { file: file.id, offer });
                continue;
            }
            if file.state != State::Verified && offered.url.is_some() {
                steps.push(Step::Renew { file: file.id, offer });
            }
            continue;
        }
        let unfinished = known.iter().find(|k| {
            k.rendition == offered.rendition && k.state != State::Verified && !k.superseded && !k.claimed
        });
        match unfinished {
            Some(file) => {
                continued.push(file.id);
                steps.push(Step::Change { file: file.id, offer });
            }
            None => steps.push(Step::Insert { offer }),
        }
    }
    let offered = |k: &KnownFile| {
        asset.offers.iter().any(|o| o.rendition == k.rendition && o.checksum.as_str() == k.checksum)
    };
    let gone = known.iter().filter(|k| !k.superseded && !continued.contains(&k.id) && !offered(k));
    steps.extend(gone.map(|k| Step::Supersede { file: k.id }));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::asset::{MediaKind, Offer};
    use crate::model::checksum::AppleChecksum;
    use crate::model::ids::{AssetName, MasterName};

    fn asset(checksums: &[&str]) -> Asset {
        let offer = |checksum: &&str| Offer {
            rendition: Rendition::Original,
            checksum: AppleChecksum::parse(checksum),
            size_bytes: 1,
            uti: String::new(),
            url: None,
        };
        Asset {
            name: AssetName("A".into()),
            master: MasterName("M".into()),
            change_tag: String::new(),
            filename: "a.jpg".into(),
            kind: MediaKind::Photo,
            captured: None,
            added_at_ms: None,
            subtype: None,
            favorite: false,
            hidden: false,
            deleted: false,
            camera: None,
            offers: checksums.iter().map(offer).collect(),
            provider_record: Vec::new(),
        }
    }

    fn known(checksum: &str, state: State) -> KnownFile {
        KnownFile {
            id: FileId(7),
            rendition: Rendition::Original,
            checksum: checksum.into(),
            state,
            claimed: false,
            superseded: false,
        }
    }

    #[test]
    fn each_situation_has_its_step() {
        let file = FileId(7);
        let superseded = |k: KnownFile| KnownFile { superseded: true, ..k };
        let claimed = |k: KnownFile| KnownFile { claimed: true, ..k };
        for (offered, known, steps) in [
            (vec!["x"], vec![], vec![Step::Insert { offer: 0 }]),
            (vec!["x"], vec![known("x", State::Verified)], vec![]),
            (vec!["y"], vec![known("x", State::Pending)], vec![Step::Change { file, offer: 0 }]),
            (
                vec!["y"],
                vec![known("x", State::Verified)],
                vec![Step::Insert { offer: 0 }, Step::Supersede { file }],
            ),
            (
                vec!["y"],
                vec![claimed(known("x", State::Partial))],
                vec![Step::Insert { offer: 0 }, Step::Supersede { file }],
            ),
            (vec!["x"], vec![superseded(known("x", State::Verified))], vec![Step::Reinstate { file }]),
            (
                vec!["x"],
                vec![superseded(known("x", State::Failed))],
                vec![Step::Reinstate { file }, Step::Change { file, offer: 0 }],
            ),
            (vec![], vec![known("x", State::Failed)], vec![Step::Supersede { file }]),
            (vec![], vec![superseded(known("x", State::Verified))], vec![]),
        ] {
            assert_eq!(plan(&asset(&offered), &known), steps);
        }
    }
}
