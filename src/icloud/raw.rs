//! Doors for fuzzing: what would come from the network, as bytes. Built for tests only.

use crate::icloud::auth::session;
use crate::icloud::download;
use crate::icloud::photos;
use crate::model::asset::Page;
use crate::model::change::Changes;
use crate::model::facts::Facts;

/// Reads the answer to a question for records. `None`: it is no JSON.
#[must_use]
pub fn page(answer: &[u8]) -> Option<Page> {
    photos::page_of(answer)
}

/// Reads a property list as the camera's, as words and as a place: what each of these fields makes of it.
#[must_use]
pub fn property_list(list: &[u8]) -> (Option<String>, Facts) {
    photos::list_of(list)
}

/// Reads a `Content-Range`: its first byte, and the length of the whole if it says one.
#[must_use]
pub fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    download::content_range(text)
}

/// Reads an answer of changes. `None`: it is no JSON, or tells of no library.
#[must_use]
pub fn changes(answer: &[u8]) -> Option<Changes> {
    photos::changes_of(answer)
}

/// Opens a session file of the account `u`, and gives what would be saved of it.
#[must_use]
pub fn session(file: &[u8]) -> Vec<u8> {
    session::reopened(file)
}
