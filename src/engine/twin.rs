//! Twins: bytes that stand here already under another name are copied, not fetched.
//!
//! A photo that moves to the shared library, and a duplicate, have the master of another asset, and
//! so the same files. The copy is proved by Apple's checksum like any download, and where it cannot
//! be made, or is not what it should be, the download begins from nothing.

use crate::disk;
use crate::engine::held::Part;
use crate::engine::run::Run;
use crate::journal::ClaimedFile;
use crate::model::checksum::{Hasher, Proof};

/// Fills an empty part file from the file's twin, if it has one and its bytes are right. Gives the hasher of
/// what it holds.
///
/// # Errors
/// If the part file cannot be emptied again after a copy that went wrong.
pub(super) async fn copy(
    run: &Run,
    file: &ClaimedFile,
    mut part: Part,
) -> Result<(Part, Hasher), disk::Error> {
    let twin = file.twin.clone().filter(|_| file.size_bytes > 0);
    let Some(twin) = twin else { return Ok((part, Hasher::default())) };
    let (checksum, size_bytes, stop) = (file.checksum.clone(), file.size_bytes, run.stop.clone());
    run.on_disk(move |destination| {
        let mut hasher = Hasher::default();
        let filled = destination.standing(&twin).and_then(|mut standing| {
            standing.copy_into(&mut part.file, &mut hasher, || !stop.is_requested())
        });
        // A length alone is no proof of a file that anyone may have changed.
        let is_right = filled.is_ok()
            && part.file.len() == size_bytes
            && checksum.prove(&hasher.clone().finish()).is_some_and(|proof| proof != Proof::Length);
        if !is_right {
            part.file.cut(0)?;
            hasher = Hasher::default();
        }
        Ok((part, hasher))
    })
    .await
}
