//! Faults on demand: which request goes wrong, how often, and in which way.
//!
//! A fault is taken from the table when a matching request arrives. Several may match one request;
//! all of them then apply, in the order they were added. What each does is in [`apply`].

mod apply;

pub(crate) use apply::{after, before};

use crate::counters::Endpoint;
use crate::library::{Change, Rendition};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// One scripted fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Which requests it strikes.
    #[serde(default)]
    pub on: Target,
    /// How many of them.
    #[serde(default)]
    pub times: Times,
    /// What happens to them.
    pub what: What,
}

impl Fault {
    /// A fault that strikes the next request of a kind.
    pub fn once(endpoint: Endpoint, what: What) -> Self {
        Self { on: Target::of(endpoint), times: Times::Count(1), what }
    }

    /// A fault that strikes every request of a kind.
    pub fn always(endpoint: Endpoint, what: What) -> Self {
        Self { on: Target::of(endpoint), times: Times::Always, what }
    }
}

/// Which requests a fault strikes; what is not named is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    /// The kind of endpoint.
    pub endpoint: Option<Endpoint>,
    /// Content: the asset's record name.
    pub asset_record: Option<String>,
    /// Content: the rendition.
    pub rendition: Option<Rendition>,
    /// Matching requests that are let through first.
    pub skip: u32,
}

impl Target {
    /// All requests of a kind.
    pub fn of(endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), ..Self::default() }
    }

    /// Content of one rendition of one asset.
    pub fn file(asset_record: impl Into<String>, rendition: Rendition) -> Self {
        Self {
            asset_record: Some(asset_record.into()),
            rendition: Some(rendition),
            ..Self::of(Endpoint::Cdn)
        }
    }

    /// Lets so many matching requests through first.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    fn matches(&self, endpoint: Endpoint, file: Option<&(String, Rendition)>) -> bool {
        self.endpoint.is_none_or(|wished| wished == endpoint)
            && self
                .asset_record
                .as_ref()
                .is_none_or(|wished| file.is_some_and(|(record, _)| record == wished))
            && self.rendition.is_none_or(|wished| file.is_some_and(|(_, rendition)| *rendition == wished))
    }
}

/// How often a fault strikes. In JSON: `{"count": 3}` or `"always"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// So many times.
    Count(u32),
    /// Until it is cleared.
    Always,
}

impl Default for Times {
    fn default() -> Self {
        Self::Count(1)
    }
}

/// What goes wrong. In JSON: `{"kind": "cut_after", "bytes": 100}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// The request is not served; this answer comes instead.
    Answer {
        /// The status.
        status: u16,
        /// `Retry-After`, as seconds or as a date, sane or not.
        #[serde(default)]
        retry_after: Option<String>,
        /// `Content-Type`; empty for none.
        #[serde(default)]
        content_type: String,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// A redirect to another address.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The address.
        location: String,
    },
    /// The connection is reset before any header.
    Reset,
    /// The answer is served late.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The whole length is declared; the connection ends after so many bytes.
    CutAfter {
        /// Bytes of body that are sent.
        bytes: u64,
    },
    /// As [`What::CutAfter`], but in chunks and without a declared length.
    ChunkedCut {
        /// Bytes of body that are sent.
        bytes: u64,
    },
    /// The whole body, in chunks and without a declared length.
    Chunked,
    /// After so many bytes nothing more is sent for a while.
    StallAfter {
        /// Bytes of body before the stall.
        bytes: u64,
        /// Length of the stall; without it, until [`Faults::release`](crate::Faults::release).
        #[serde(default)]
        hold_ms: Option<u64>,
    },
    /// The body comes slowly.
    Drip {
        /// Bytes per second.
        bytes_per_s: u64,
    },
    /// The right length, one bit wrong.
    FlipBit {
        /// The byte of the file, not of the answer: a resumed request that starts later is whole.
        offset: u64,
    },
    /// The body ends early and the declared length agrees with it.
    Truncate {
        /// Bytes that are missing at the end.
        bytes: u64,
    },
    /// Zero bytes follow the body and the declared length agrees with it.
    Extend {
        /// Bytes that are added.
        bytes: u64,
    },
    /// The `Range` header is not looked at: 200 and the whole file.
    IgnoreRange,
    /// 206 whose `Content-Range` lies.
    WrongContentRange {
        /// Added to the start that is stated.
        #[serde(default)]
        start_shift: i64,
        /// Added to the total that is stated.
        #[serde(default)]
        total_shift: i64,
    },
    /// 206 that says it holds several parts.
    Multipart,
    /// 206, with a `Content-Range`, to a request that named no range.
    Unasked206,
    /// The body is compressed, and says so.
    Gzip,
    /// The body breaks off in the middle of its JSON, with a length that agrees.
    MalformedJson,
    /// Every other byte of the texts in the body's JSON is none that UTF-8 has.
    InvalidUtf8,
    /// One value in the body's JSON is another one.
    Spoil {
        /// Where, as a JSON pointer: `/records/0/fields`.
        pointer: String,
        /// What stands there now.
        value: serde_json::Value,
    },
    /// CloudKit: 200 with an error inside; in `changes/zone` inside every zone.
    CloudKitError {
        /// `serverErrorCode`.
        code: String,
        /// `reason`.
        #[serde(default)]
        reason: String,
        /// `retryAfter`, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// CloudKit: no records, though there are some behind.
    EmptyPage,
    /// CloudKit: the page before the one asked for.
    RepeatedPage,
    /// CloudKit: every so manieth record is left out, counted from the first.
    MissingRecords {
        /// 1 leaves out all, 2 every other one.
        every: usize,
    },
    /// CloudKit: the records in reverse order.
    ReversedRecords,
    /// CloudKit: every record twice.
    DoubledRecords,
    /// The answer as it was, headers and body, under another status: a 412 that still opens a session.
    Restatus {
        /// The status.
        status: u16,
    },
    /// The library changes at this very moment, before the request is served.
    Change {
        /// The change.
        change: Change,
    },
    /// Status 200 whatever was answered, and this in `X-Apple-I-Rscd`.
    Rscd {
        /// The real status.
        code: u16,
    },
}

impl What {
    /// A bare status.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, retry_after: None, content_type: "text/html".into(), body: String::new() }
    }

    /// A status with `Retry-After`.
    pub fn retry_after(status: u16, retry_after: impl Into<String>) -> Self {
        let body = "<html><body>Service temporarily unavailable</body></html>".into();
        Self::Answer { status, retry_after: Some(retry_after.into()), content_type: "text/html".into(), body }
    }

    /// An answer with a body.
    pub fn body(status: u16, content_type: impl Into<String>, body: impl Into<String>) -> Self {
        Self::Answer { status, retry_after: None, content_type: content_type.into(), body: body.into() }
    }

    /// CloudKit's "come back later", inside 200.
    pub fn cloudkit(code: impl Into<String>) -> Self {
        Self::CloudKitError { code: code.into(), reason: "scripted".into(), retry_after: None }
    }
}

/// The faults still to come.
#[derive(Debug)]
pub(crate) struct FaultTable {
    waiting: Mutex<Vec<Fault>>,
    release: watch::Sender<u64>,
}

impl Default for FaultTable {
    fn default() -> Self {
        Self { waiting: Mutex::default(), release: watch::Sender::new(0) }
    }
}

impl FaultTable {
    pub(crate) fn add(&self, fault: Fault) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// Forgets all faults, and lets stalled answers go on.
    pub(crate) fn clear(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.release();
    }

    pub(crate) fn release(&self) {
        self.release.send_modify(|count| *count += 1);
    }

    pub(crate) fn released(&self) -> watch::Receiver<u64> {
        self.release.subscribe()
    }

    /// Faults that have not struck as often as they should.
    pub(crate) fn waiting(&self) -> Vec<Fault> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what strikes this request.
    pub(crate) fn take(&self, endpoint: Endpoint, file: Option<&(String, Rendition)>) -> Vec<What> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = Vec::new();
        waiting.retain_mut(|fault| {
            if !fault.on.matches(endpoint, file) {
                return true;
            }
            if fault.on.skip > 0 {
                fault.on.skip -= 1;
                return true;
            }
            struck.push(fault.what.clone());
            match &mut fault.times {
                Times::Always => true,
                Times::Count(left) => {
                    *left = left.saturating_sub(1);
                    *left > 0
                }
            }
        });
        struck
    }
}
