//! The state machine of an asset file. Read this first.
//!
//! | from ↓ to →     | pending            | partial     | verified | failed | expired-url |
//! |-----------------|--------------------|-------------|----------|--------|-------------|
//! | **pending**     | changed            | progressed  | verified, adopted | failed | url_expired |
//! | **partial**     | restarted, changed | progressed  | verified, adopted | failed | url_expired |
//! | **verified**    | lost               | –           | .        | –      | –           |
//! | **failed**      | requeued, changed  | requeued    | adopted  | .      | –           |
//! | **expired-url** | url_renewed, changed | url_renewed | adopted | failed | .          |
//!
//! In words: *verified comes only from bytes in hand; failed must be requeued before it is
//! fetched again; an expired URL is not a failure and burns no attempt.* A file that another tool
//! brought home, and that stands proved where it is, is adopted from any state. A verified file whose photo is edited at Apple does
//! not change: the new version is a new row, and this one is superseded where it stands.
//!
//! "In flight" is not a state. It is a claim on a pending or partial row, so a crash leaves a dead
//! claim and never a state that lies. What a crash leaves beside the row is the second table,
//! [`super::recovery`].

use std::fmt;

/// Where a file stands. Its text form is what `sqlite3` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing of it is promised to be on disk. New rows start here.
    Pending,
    /// The first `offset_bytes` bytes are durable in the part file, and their digest is known.
    Partial,
    /// Stands under its final name; its bytes matched Apple's checksum.
    Verified,
    /// The last attempt failed, and the row says why.
    Failed,
    /// The signed URL ran out before the bytes were home. Wants a fresh one, nothing else.
    ExpiredUrl,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Partial, Self::Verified, Self::Failed, Self::ExpiredUrl];

    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Partial => "partial",
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::ExpiredUrl => "expired-url",
        }
    }

    /// Reads the word in the journal.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Where a row at rest goes when its bytes are wanted again: on from the promised offset, or
    /// from the start.
    #[must_use]
    pub fn resting_at(offset_bytes: u64) -> Self {
        if offset_bytes == 0 { Self::Pending } else { Self::Partial }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to a file. Each has one function in the journal's `moves`, and no other code
/// sets a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// By transfer: more bytes of the part file are durable.
    Progressed,
    /// By publish or recovery: proved, under its final name, and the name is durable.
    Verified,
    /// By `adopt`: another tool's file was read, proved, and made durable where it stands.
    Adopted,
    /// By a worker that gave up, or by renewal when Apple no longer has the file.
    Failed,
    /// By claim or transfer: the URL has run out, or is about to.
    UrlExpired,
    /// By renewal or enumeration: a fresh URL came.
    UrlRenewed,
    /// By the retry pass, or a later run when the row is due.
    Requeued,
    /// By transfer or recovery: the part file is not what was promised.
    Restarted,
    /// By `verify`: its bytes are others. By the sweep, or `refetch`: it is gone here, and the person
    /// wants it again.
    Lost,
    /// By enumeration: Apple has another version, and this one was never brought home.
    Changed,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 10] = [
        Self::Progressed,
        Self::Verified,
        Self::Adopted,
        Self::Failed,
        Self::UrlExpired,
        Self::UrlRenewed,
        Self::Requeued,
        Self::Restarted,
        Self::Lost,
        Self::Changed,
    ];

    /// The word in the journal's history.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Progressed => "progressed",
            Self::Verified => "verified",
            Self::Adopted => "adopted",
            Self::Failed => "failed",
            Self::UrlExpired => "url_expired",
            Self::UrlRenewed => "url_renewed",
            Self::Requeued => "requeued",
            Self::Restarted => "restarted",
            Self::Lost => "lost",
            Self::Changed => "changed",
        }
    }
}

/// A legal move: from, by which event, to.
pub type Move = (State, Event, State);

/// Every legal move, and no other. The table `legal_move` of the journal holds the same rows.
pub const LEGAL_MOVES: [Move; 23] = {
    use Event as E;
    use State as S;
    [
        (S::Pending, E::Changed, S::Pending),
        (S::Pending, E::Progressed, S::Partial),
        (S::Pending, E::Verified, S::Verified),
        (S::Pending, E::Adopted, S::Verified),
        (S::Pending, E::Failed, S::Failed),
        (S::Pending, E::UrlExpired, S::ExpiredUrl),
        (S::Partial, E::Restarted, S::Pending),
        (S::Partial, E::Changed, S::Pending),
        (S::Partial, E::Progressed, S::Partial),
        (S::Partial, E::Verified, S::Verified),
        (S::Partial, E::Adopted, S::Verified),
        (S::Partial, E::Failed, S::Failed),
        (S::Partial, E::UrlExpired, S::ExpiredUrl),
        (S::Verified, E::Lost, S::Pending),
        (S::Failed, E::Requeued, S::Pending),
        (S::Failed, E::Changed, S::Pending),
        (S::Failed, E::Requeued, S::Partial),
        (S::Failed, E::Adopted, S::Verified),
        (S::ExpiredUrl, E::UrlRenewed, S::Pending),
        (S::ExpiredUrl, E::Changed, S::Pending),
        (S::ExpiredUrl, E::UrlRenewed, S::Partial),
        (S::ExpiredUrl, E::Failed, S::Failed),
        (S::ExpiredUrl, E::Adopted, S::Verified),
    ]
};
