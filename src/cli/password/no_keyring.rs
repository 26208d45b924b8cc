//! Stands in for the keyring where the program is built without one.

use crate::model::secret::Secret;

/// Nothing.
pub(super) fn load(_: &str) -> Result<Option<Secret>, String> {
    Ok(None)
}

/// Refuses: the caller keeps it in a file.
pub(super) fn save(_: &str, _: &Secret) -> bool {
    false
}

/// Has nothing to forget.
pub(super) fn forget(_: &str) -> bool {
    false
}
