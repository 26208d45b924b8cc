//! Reading columns, by name or by place: words become types, and an unknown word is an error, never a guess.

use rusqlite::types::Type;
use rusqlite::{Row, RowIndex};

use crate::journal::error::Error;
use crate::model::asset::{Database, Rendition};
use crate::model::checksum::Sha256Digest;
use crate::model::state::State;

/// Reads a state.
pub(super) fn state(row: &Row<'_>, column: impl RowIndex) -> Result<State, Error> {
    word(row, column, "state", State::parse)
}

/// Reads a rendition.
pub(super) fn rendition(row: &Row<'_>, column: impl RowIndex) -> Result<Rendition, Error> {
    word(row, column, "rendition", Rendition::parse)
}

/// Reads a database name.
pub(super) fn database(row: &Row<'_>, column: impl RowIndex) -> Result<Database, Error> {
    word(row, column, "database", |w| {
        [Database::Private, Database::Shared].into_iter().find(|d| d.as_str() == w)
    })
}

/// Reads a length or an offset in bytes.
pub(super) fn bytes(row: &Row<'_>, column: impl RowIndex) -> Result<u64, Error> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Error::UnknownWord { what: "size", value: value.to_string() })
}

/// Reads a digest, if there is one.
pub(super) fn digest(row: &Row<'_>, column: impl RowIndex) -> Result<Option<Sha256Digest>, Error> {
    let blob: Option<Vec<u8>> = row.get(column)?;
    let Some(blob) = blob else { return Ok(None) };
    let bytes = blob.try_into().map_err(|_| {
        rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, "a digest has 32 bytes".into())
    })?;
    Ok(Some(Sha256Digest(bytes)))
}

fn word<T>(
    row: &Row<'_>,
    column: impl RowIndex,
    what: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Error> {
    let value: String = row.get(column)?;
    parse(&value).ok_or(Error::UnknownWord { what, value })
}

/// A length or an offset as SQLite holds it.
///
/// A size beyond `i64::MAX` cannot be a file; it is capped rather than wrapped.
pub(super) fn int(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
