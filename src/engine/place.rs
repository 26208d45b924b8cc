//! Where a claimed file belongs on the disk.

use crate::disk::Place;
use crate::journal::ClaimedFile;
use crate::model::layout;

/// Its path, and the tag of its part file.
pub(super) fn place(file: &ClaimedFile) -> Place {
    Place { path: file.path.clone(), tag: layout::part_tag(&file.asset_name, &file.checksum) }
}
