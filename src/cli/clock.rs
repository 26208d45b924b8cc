//! The clock on the wall.

use std::time::UNIX_EPOCH;

use crate::fault;

/// Now, in Unix seconds.
pub(crate) fn now() -> i64 {
    let since = fault::clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
