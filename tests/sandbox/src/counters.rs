//! What was asked for: counters by kind of endpoint, and a bounded log in order.

use crate::library::Rendition;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Entries the log keeps. Enough for a thousand assets with faults; a benchmark drops the oldest.
const LOG_MAX: usize = 20_000;

/// A kind of endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `signin/init`.
    SigninInit,
    /// `signin/complete`.
    SigninComplete,
    /// Codes, phones and trust.
    SecondFactor,
    /// The rest of the identity service.
    AuthOther,
    /// `setup/ws/1/validate`.
    Validate,
    /// `setup/ws/1/accountLogin`.
    AccountLogin,
    /// The rest of account set-up.
    SetupOther,
    /// `zones/list`.
    ZonesList,
    /// `records/query`.
    RecordsQuery,
    /// `internal/records/query/batch`.
    QueryBatch,
    /// `records/lookup`.
    RecordsLookup,
    /// `records/modify`.
    RecordsModify,
    /// `changes/database`.
    ChangesDatabase,
    /// `changes/zone`.
    ChangesZone,
    /// Content.
    Cdn,
    /// The control surface; neither counted nor faulted.
    Control,
    /// Anything else.
    Unknown,
}

impl Endpoint {
    /// The kind a path belongs to.
    pub(crate) fn of(path: &str) -> Self {
        if let Some(rest) = path.strip_prefix("/appleauth/auth") {
            return match rest {
                "/signin/init" => Self::SigninInit,
                "/signin/complete" => Self::SigninComplete,
                "" | "/" => Self::SecondFactor,
                _ if rest.starts_with("/verify/") || rest.starts_with("/2sv/") => Self::SecondFactor,
                _ => Self::AuthOther,
            };
        }
        if let Some(rest) = path.strip_prefix("/setup/ws/1/") {
            return match rest {
                "validate" => Self::Validate,
                "accountLogin" => Self::AccountLogin,
                _ => Self::SetupOther,
            };
        }
        match path {
            _ if path.starts_with("/_sandbox/") => Self::Control,
            _ if path.starts_with("/B/") => Self::Cdn,
            _ if path.ends_with("/zones/list") => Self::ZonesList,
            _ if path.ends_with("/internal/records/query/batch") => Self::QueryBatch,
            _ if path.ends_with("/records/query") => Self::RecordsQuery,
            _ if path.ends_with("/records/lookup") => Self::RecordsLookup,
            _ if path.ends_with("/records/modify") => Self::RecordsModify,
            _ if path.ends_with("/changes/database") => Self::ChangesDatabase,
            _ if path.ends_with("/changes/zone") || path.ends_with("/records/changes") => Self::ChangesZone,
            _ => Self::Unknown,
        }
    }

    /// Whether this is a CloudKit call.
    pub(crate) fn is_cloudkit(self) -> bool {
        matches!(
            self,
            Self::ZonesList
                | Self::RecordsQuery
                | Self::QueryBatch
                | Self::RecordsLookup
                | Self::RecordsModify
                | Self::ChangesDatabase
                | Self::ChangesZone
        )
    }
}

/// Totals since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Requests by kind of endpoint; what was never asked for is absent.
    pub requests: BTreeMap<Endpoint, u64>,
    /// Names in all `records/lookup` requests.
    pub names_looked_up: u64,
    /// Content requests with a `Range` header.
    pub cdn_ranged: u64,
    /// Bytes of content sent, in answers to requests that came since then.
    pub cdn_bytes: u64,
    /// Content answers that are under way.
    pub cdn_at_once: u64,
    /// Most content answers that were under way at the same time.
    pub cdn_at_once_max: u64,
    /// Faults that were injected.
    pub faults: u64,
}

impl Counters {
    /// Requests of one kind.
    pub fn of(&self, endpoint: Endpoint) -> u64 {
        self.requests.get(&endpoint).copied().unwrap_or(0)
    }

    /// All requests to the identity service.
    pub fn auth(&self) -> u64 {
        use Endpoint::{AuthOther, SecondFactor, SigninComplete, SigninInit};
        [SigninInit, SigninComplete, SecondFactor, AuthOther].map(|endpoint| self.of(endpoint)).iter().sum()
    }

    /// All requests to account set-up.
    pub fn setup(&self) -> u64 {
        [Endpoint::Validate, Endpoint::AccountLogin, Endpoint::SetupOther]
            .map(|endpoint| self.of(endpoint))
            .iter()
            .sum()
    }
}

/// One request and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct RequestLog {
    /// Counts up from 1, over resets too.
    pub sequence: u64,
    /// When it came, in milliseconds since the start.
    pub at_ms: u64,
    /// The kind of endpoint.
    pub endpoint: Endpoint,
    /// The method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// Content: the asset's record name.
    pub asset_record: Option<String>,
    /// Content: the rendition.
    pub rendition: Option<Rendition>,
    /// Content: the `Range` header as sent.
    pub range: Option<String>,
    /// `records/query`: the rank the page starts at.
    pub start_rank: Option<u64>,
    /// The answer's status; 0 if the connection was reset instead.
    pub status: u16,
    /// Bytes of body sent so far.
    pub bytes_sent: u64,
    /// Whether a fault changed the answer.
    pub is_faulted: bool,
}

/// The books.
#[derive(Debug)]
pub(crate) struct Books {
    inner: Mutex<Inner>,
    flights: Arc<Flights>,
    began: Instant,
}

impl Default for Books {
    fn default() -> Self {
        Self { inner: Mutex::default(), flights: Arc::default(), began: Instant::now() }
    }
}

/// Content answers under way, and the most there ever were.
#[derive(Debug, Default)]
struct Flights {
    now: AtomicU64,
    max: AtomicU64,
}

/// One content answer, from its request until its body is sent or given up.
#[derive(Debug)]
pub(crate) struct Flight(Arc<Flights>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug, Default)]
struct Inner {
    counters: Counters,
    /// A new one for each reset: an answer that began before it, perhaps for a client that is dead, does not
    /// count after it.
    cdn_bytes: Arc<AtomicU64>,
    sequence: u64,
    log: VecDeque<(RequestLog, Arc<AtomicU64>)>,
}

impl Books {
    /// Counts one content answer as under way for as long as what this returns lives.
    pub(crate) fn take_off(&self) -> Flight {
        let now = self.flights.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.flights.max.fetch_max(now, Ordering::SeqCst);
        Flight(self.flights.clone())
    }

    /// Enters a request; returns where the bytes of its body are to be counted.
    pub(crate) fn enter(&self, mut entry: RequestLog, names_looked_up: u64) -> Vec<Arc<AtomicU64>> {
        let sent = Arc::new(AtomicU64::new(0));
        let mut counted = vec![sent.clone()];
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        *inner.counters.requests.entry(entry.endpoint).or_default() += 1;
        inner.counters.names_looked_up += names_looked_up;
        inner.counters.cdn_ranged += u64::from(entry.range.is_some());
        inner.counters.faults += u64::from(entry.is_faulted);
        if entry.endpoint == Endpoint::Cdn {
            counted.push(inner.cdn_bytes.clone());
        }
        inner.sequence += 1;
        entry.sequence = inner.sequence;
        entry.at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if inner.log.len() == LOG_MAX {
            inner.log.pop_front();
        }
        inner.log.push_back((entry, sent));
        counted
    }

    pub(crate) fn counters(&self) -> Counters {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counters = inner.counters.clone();
        counters.cdn_bytes = inner.cdn_bytes.load(Ordering::Relaxed);
        drop(inner);
        counters.cdn_at_once = self.flights.now.load(Ordering::SeqCst);
        counters.cdn_at_once_max = self.flights.max.load(Ordering::SeqCst);
        counters
    }

    pub(crate) fn log(&self) -> Vec<RequestLog> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = |(entry, sent): &(RequestLog, Arc<AtomicU64>)| RequestLog {
            bytes_sent: sent.load(Ordering::Relaxed),
            ..entry.clone()
        };
        inner.log.iter().map(whole).collect()
    }

    /// Sets the counters to zero and empties the log.
    pub(crate) fn reset(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.counters = Counters::default();
        inner.log.clear();
        inner.cdn_bytes = Arc::default();
        self.flights.max.store(0, Ordering::SeqCst);
    }
}
