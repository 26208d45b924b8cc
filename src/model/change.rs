//! What happened to a library since a point in its history. Facts read from records, not yet rows.

use crate::model::asset::{Album, Page};

/// Some changes: a page of the history, or what a look-up said.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Assets as they are now, with both their records; and records that cannot be used.
    pub page: Page,
    /// Names of records that are gone for good, of whichever type.
    pub purged: Vec<String>,
    /// Albums and folders as they are now.
    pub albums: Vec<Album>,
    /// Assets that lie in an album now, or no longer.
    pub members: Vec<Member>,
}

/// One asset's place in one album.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The album's record name.
    pub album: String,
    /// The asset's record name.
    pub asset: String,
    /// Its place in the album, if the service gave one.
    pub position: Option<i64>,
    /// Whether it lies there.
    pub present: bool,
}

impl Member {
    /// Reads the name of a membership, `ASSET-IN-ALBUM`: all that is left of one that is gone.
    #[must_use]
    pub fn gone(record_name: &str) -> Option<Self> {
        let (asset, album) = record_name.split_once("-IN-")?;
        (!asset.is_empty() && !album.is_empty()).then(|| Self {
            album: album.to_owned(),
            asset: asset.to_owned(),
            position: None,
            present: false,
        })
    }
}

/// How many assets the service counts in a library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Neither hidden nor deleted.
    pub visible: u64,
    /// Hidden. 0 where the service keeps no such count.
    pub hidden: u64,
}

impl Counts {
    /// What a complete copy holds.
    #[must_use]
    pub fn total(self) -> u64 {
        self.visible + self.hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_membership_says_who_left_what() {
        let gone = Member::gone("A-1-IN-B-2").expect("a membership");
        assert_eq!((gone.asset.as_str(), gone.album.as_str(), gone.present), ("A-1", "B-2", false));
        assert_eq!((Member::gone("A-1"), Member::gone("-IN-B"), Member::gone("A-IN-")), (None, None, None));
    }
}
