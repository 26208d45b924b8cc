//! Doors for fuzzing: what would come from the network, as bytes. Built for tests only.

use crate::icloud::download;
use crate::icloud::photos;
use crate::model::asset::Page;

/// Reads the answer to a question for records. `None`: it is no JSON.
#[must_use]
pub fn page(answer: &[u8]) -> Option<Page> {
    photos::page_of(answer)
}

/// Reads a `Content-Range`: its first byte, and the length of the whole if it says one.
#[must_use]
pub fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    download::content_range(text)
}
