//! Why a file could not be brought home, as its row says it.
//!
//! A failure belongs to one file. What concerns the whole run (Apple asks to wait, the session
//! ended, the disk is full) is not a failure: it burns no attempt and leaves the row as it was.

use std::fmt;

/// The kind of a failure. Its text form stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The connection broke, again and again.
    Network,
    /// The body stopped flowing.
    Stalled,
    /// The content host answered with an error status.
    Server,
    /// The content host broke the rules of HTTP ranges, or encoded the body.
    BadAnswer,
    /// The body ended early or ran long.
    WrongLength,
    /// The length is right and the bytes are not: Apple's checksum does not match.
    WrongBytes,
    /// Apple no longer has this file.
    Gone,
    /// Fresh URLs keep expiring before they can be used.
    UrlKeepsExpiring,
    /// This file cannot be written where it belongs.
    Disk,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Network,
        Self::Stalled,
        Self::Server,
        Self::BadAnswer,
        Self::WrongLength,
        Self::WrongBytes,
        Self::Gone,
        Self::UrlKeepsExpiring,
        Self::Disk,
    ];

    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Stalled => "stalled",
            Self::Server => "server",
            Self::BadAnswer => "bad-answer",
            Self::WrongLength => "wrong-length",
            Self::WrongBytes => "wrong-bytes",
            Self::Gone => "gone",
            Self::UrlKeepsExpiring => "url-keeps-expiring",
            Self::Disk => "disk",
        }
    }

    /// Reads the word in the journal.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether the retry pass of the same run should try once more with a fresh URL.
    #[must_use]
    pub fn worth_a_second_try(self) -> bool {
        !matches!(self, Self::Gone)
    }
}

/// One failed attempt: the kind, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// What was seen, in words. Never contains a URL.
    pub detail: String,
}

impl Failure {
    /// A failure of `kind`, with what was seen.
    #[must_use]
    pub fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.detail)
    }
}
