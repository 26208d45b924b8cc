//! Bytes of one file: a GET with a range, checked strictly.
//!
//! HTTP/1.1 only: for bodies HTTP/2 costs a third more CPU. No content encoding: a range counts
//! bytes of the file, not of a compressed form. There is no total time limit, but a watchdog: a
//! body that makes no progress while we wait for it is [`FetchError::Stalled`]. The time that the
//! caller takes between chunks does not count.
//!
//! Whether the bytes are the right ones, and all of them, is for the caller to check: a 200 proves
//! nothing here, the content host answers one with an error page of 17 bytes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap};
use reqwest::header::{IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};

use crate::icloud::Client;
use crate::icloud::error::FetchError;
use crate::icloud::http::{self, Http, Unreachable};
use crate::icloud::no_answer::NoAnswer;
use crate::icloud::wire;
use crate::model::backoff;
use crate::model::signed_url::SignedUrl;

/// What counts as progress within the stall time. At half a kilobyte a second even a photo
/// takes longer than its URL lives.
const PROGRESS_BYTES_MIN: u64 = 16 * 1024;

/// Which bytes of a file are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The first byte; 0 for the whole file.
    pub from: u64,
    /// The length of the whole file, as its record says.
    pub size_bytes: u64,
    /// The strong ETag under which the bytes before `from` came, if the host gave one then.
    pub etag: Option<String>,
}

/// The connections that bodies come over.
pub(super) struct Downloads {
    client: reqwest::Client,
    stall_after: Duration,
}

impl Downloads {
    pub(super) fn new(http: &Http, stall_after: Duration) -> Result<Self, Unreachable> {
        let home = http.endpoints().home_origin();
        let headers = http::headers([
            ("accept-encoding", "identity"),
            ("origin", &home),
            ("referer", &format!("{home}/")),
        ]);
        let builder = http::builder(http.endpoints(), http.session()).http1_only();
        let built = builder.default_headers(headers).build();
        let client = built.map_err(|error| Unreachable {
            host: "this machine".to_owned(),
            detail: NoAnswer::of(error),
            passing: false,
        })?;
        Ok(Self { client, stall_after })
    }
}

/// Bytes on their way. Dropping it closes the connection.
pub struct Body {
    start: u64,
    etag: Option<String>,
    response: Response,
    host: String,
    watchdog: Watchdog,
}

impl std::fmt::Debug for Body {
    /// Leaves out the response, which would print its signed URL.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("host", &self.host).field("start", &self.start).finish_non_exhaustive()
    }
}

impl Body {
    /// The offset of the first byte that comes: as wanted, or 0 when the host sends the whole file
    /// again. Then what is already there has to be thrown away.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// How many bytes the host says will come, if it says so. A length that contradicts the record
    /// is for the caller to judge; that all of them came is checked here.
    #[must_use]
    pub fn declared_bytes(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The file's ETag, if it is a strong one: only that can guard a later range.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// Waits for the next bytes; `None` when the host says that it has sent all.
    ///
    /// # Errors
    /// [`FetchError::Network`] when the connection breaks before that, [`FetchError::Stalled`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let Some(patience) = self.watchdog.patience() else { return Err(self.watchdog.stalled(&self.host)) };
        let began = Instant::now();
        let chunk = match tokio::time::timeout(patience, self.response.chunk()).await {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(network(&self.host, error)),
            Err(_elapsed) => return Err(self.watchdog.stalled(&self.host)),
        };
        if let Some(bytes) = &chunk {
            self.watchdog.saw(bytes.len(), began.elapsed());
        }
        Ok(chunk)
    }
}

/// Tells a slow body from one that will never end.
#[derive(Clone, Copy, Debug)]
struct Watchdog {
    stall_after: Duration,
    /// Waiting time and bytes since the last progress.
    waited: Duration,
    bytes: u64,
}

impl Watchdog {
    fn new(stall_after: Duration) -> Self {
        Self { stall_after, waited: Duration::ZERO, bytes: 0 }
    }

    /// How much longer to wait; `None` when that time is over.
    fn patience(&self) -> Option<Duration> {
        self.stall_after.checked_sub(self.waited).filter(|left| !left.is_zero())
    }

    fn saw(&mut self, bytes: usize, waited: Duration) {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.bytes >= PROGRESS_BYTES_MIN {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
    }

    fn stalled(&self, host: &str) -> FetchError {
        FetchError::Stalled { host: host.to_owned(), waited: self.stall_after, bytes_min: PROGRESS_BYTES_MIN }
    }
}

impl Client {
    /// Asks the content host for a file, or the rest of it. Never retries.
    ///
    /// Returns when the headers are there and make sense.
    /// # Errors
    /// [`FetchError`]: see its variants for who has to act.
    pub async fn get(&self, url: &SignedUrl, wanted: &Wanted) -> Result<Body, FetchError> {
        let url = self.shared.http.endpoints().permit(url.expose())?;
        let host = url.host_str().unwrap_or("?").to_owned();
        let generation = self.generation();
        let began = Instant::now();
        let downloads = &self.shared.downloads;
        let request = ranged(downloads.client.get(url), wanted);
        let sent = tokio::time::timeout(downloads.stall_after, request.send()).await;
        let response = match sent {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(network(&host, error)),
            Err(_elapsed) => Err(Watchdog::new(downloads.stall_after).stalled(&host)),
        };
        tracing::debug!(
            method = "GET",
            // Not the path: it holds the checksum of the file, and the query signs for it.
            host,
            from = wanted.from,
            status = response.as_ref().map_or(0, |response| response.status().as_u16()),
            ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        let response = response?;
        if is_error_text(&response, wanted) && !self.is_session_good(generation).await {
            return Err(FetchError::SessionExpired { host, status: response.status().as_u16() });
        }
        let start = accept(response.status().as_u16(), response.headers(), wanted, &host);
        if matches!(start, Err(FetchError::SessionExpired { .. })) {
            self.note_refused(generation);
        }
        let etag = strong_etag(response.headers());
        Ok(Body { start: start?, etag, response, host, watchdog: Watchdog::new(downloads.stall_after) })
    }
}

fn ranged(request: RequestBuilder, wanted: &Wanted) -> RequestBuilder {
    if wanted.from == 0 {
        return request;
    }
    let request = request.header(RANGE, format!("bytes={}-", wanted.from));
    // A weak ETag does not promise the same bytes; hosts answer it with the whole file.
    match wanted.etag.as_deref().filter(|etag| is_strong(etag)) {
        Some(etag) => request.header(IF_RANGE, etag),
        None => request,
    }
}

/// Reads status and headers; returns the offset at which the body starts.
fn accept(status: u16, headers: &HeaderMap, wanted: &Wanted, host: &str) -> Result<u64, FetchError> {
    let host = host.to_owned();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let bad = |host, detail: String| Err(FetchError::BadAnswer { host, detail });
    match status {
        200 | 206 => {}
        403 | 410 => return Err(FetchError::UrlExpired { status }),
        401 | 421 | 423 | 450 => return Err(FetchError::SessionExpired { host, status }),
        429 | 503 => {
            let retry_after = backoff::retry_after(text(RETRY_AFTER), http::now());
            return Err(FetchError::Throttled { host, retry_after });
        }
        400 | 404 => return Err(FetchError::NotFound { host, status }),
        416 => return bad(host, format!("there is no byte {} (status 416)", wanted.from)),
        500..=599 => return Err(FetchError::Server { host, status }),
        _ => return bad(host, format!("unexpected status {status}")),
    }
    let encoding = text(CONTENT_ENCODING);
    if !(encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")) {
        return bad(host, format!("the body is encoded: {}", wire::shortened(encoding)));
    }
    if status == 200 {
        return Ok(0);
    }
    if wanted.from == 0 {
        return bad(host, "a part (status 206) where the whole was asked for".to_owned());
    }
    if text(CONTENT_TYPE).trim_start().to_ascii_lowercase().starts_with("multipart/") {
        return bad(host, "several parts in one body".to_owned());
    }
    let range = text(CONTENT_RANGE);
    match parse_content_range(range) {
        Some(ContentRange { start, total })
            if start == wanted.from && total.is_none_or(|t| t == wanted.size_bytes) =>
        {
            Ok(start)
        }
        _ => bad(host, format!("wrong Content-Range: {:?}", wire::shortened(range))),
    }
}

/// Whether a 200 may be an error in words: without good cookies the content host answers one of
/// 17 bytes. So may a captive portal, so the session is asked before it is blamed.
fn is_error_text(response: &Response, wanted: &Wanted) -> bool {
    /// Longest text that may be such an error. A photo this small would be an icon.
    const ERROR_BYTES_MAX: u64 = 256;
    response.status() == StatusCode::OK
        && response
            .content_length()
            .is_some_and(|length| length <= ERROR_BYTES_MAX && length < wanted.size_bytes)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ContentRange {
    start: u64,
    /// `None` for `*`.
    total: Option<u64>,
}

/// Reads `bytes 5-9/10`. The last byte must fit between start and total.
fn parse_content_range(text: &str) -> Option<ContentRange> {
    let (unit, range) = text.trim().split_once(' ')?;
    let (span, total) = range.trim().split_once('/')?;
    let (start, end) = span.split_once('-')?;
    let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?;
    let (start, end): (u64, u64) = (number(start)?, number(end)?);
    let total = if total == "*" { None } else { Some(number(total)?) };
    let fits = unit.eq_ignore_ascii_case("bytes") && start <= end && total.is_none_or(|total| end < total);
    fits.then_some(ContentRange { start, total })
}

/// For fuzzing.
#[cfg(feature = "faults")]
pub(super) fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    parse_content_range(text).map(|range| (range.start, range.total))
}

fn strong_etag(headers: &HeaderMap) -> Option<String> {
    headers.get(ETAG)?.to_str().ok().filter(|etag| is_strong(etag)).map(str::to_owned)
}

fn is_strong(etag: &str) -> bool {
    etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"')
}

fn network(host: &str, error: reqwest::Error) -> FetchError {
    let (host, redirected, unconnected) = (host.to_owned(), error.is_redirect(), error.is_connect());
    let detail = NoAnswer::of(error);
    match (redirected, unconnected) {
        (true, _) => FetchError::BadAnswer { host, detail: detail.to_string() },
        (_, true) => FetchError::Offline { host, detail },
        _ => FetchError::Network { host, detail: detail.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_strictly() {
        let read = |text| parse_content_range(text).map(|range| (range.start, range.total));
        assert_eq!(read("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(read("Bytes 5-9/*"), Some((5, None)));
        for bad in [
            "",
            "bytes",
            "bytes */10",
            "bytes 5-9",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes -5/10",
            "bytes 5-/10",
            "bytes +5-9/10",
            "items 5-9/10",
            "bytes 5-9/x",
            "bytes 5-9/99999999999999999999",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    /// Status, wanted offset, a header, and the start of the body or the kind of the refusal.
    #[test]
    fn every_answer_has_one_meaning() {
        let matrix = [
            (200, 0, ("x", ""), Ok(0)),
            (200, 5, ("x", ""), Ok(0)),
            (200, 0, ("content-encoding", "gzip"), Err("BadAnswer")),
            (200, 0, ("content-encoding", "Identity"), Ok(0)),
            (200, 0, ("content-length", "10"), Ok(0)),
            (423, 0, ("x", ""), Err("SessionExpired")),
            (206, 5, ("content-range", "bytes 5-9/10"), Ok(5)),
            (206, 5, ("content-range", "bytes 5-9/*"), Ok(5)),
            (206, 5, ("content-range", "bytes 4-9/10"), Err("BadAnswer")),
            (206, 5, ("content-range", "bytes 5-9/11"), Err("BadAnswer")),
            (206, 5, ("x", ""), Err("BadAnswer")),
            (206, 5, ("content-type", "multipart/byteranges; boundary=x"), Err("BadAnswer")),
            (206, 0, ("content-range", "bytes 0-9/10"), Err("BadAnswer")),
            (204, 0, ("x", ""), Err("BadAnswer")),
            (416, 5, ("x", ""), Err("BadAnswer")),
            (401, 0, ("x", ""), Err("SessionExpired")),
            (403, 0, ("x", ""), Err("UrlExpired")),
            (404, 0, ("x", ""), Err("NotFound")),
            (410, 0, ("x", ""), Err("UrlExpired")),
            (429, 0, ("retry-after", "7"), Err("Throttled")),
            (502, 0, ("x", ""), Err("Server")),
        ];
        for (status, from, (name, value), expected) in matrix {
            let headers = http::headers([(name, value)]);
            let wanted = Wanted { from, size_bytes: 10, etag: None };
            let found = accept(status, &headers, &wanted, "cdn.example");
            match (&found, expected) {
                (Ok(start), Ok(wanted)) => assert_eq!(*start, wanted, "{status} {value}"),
                (Err(error), Err(kind)) => {
                    assert!(format!("{error:?}").starts_with(kind), "{status} {value}: {error:?}");
                }
                _ => panic!("{status} {value}: {found:?}"),
            }
        }
    }

    #[test]
    fn only_a_strong_etag_guards_a_range() {
        assert!(is_strong("\"abc\""));
        assert!(!is_strong("W/\"abc\"") && !is_strong("\"\"") && !is_strong("abc"));
    }

    #[test]
    fn dripping_is_not_progress_and_waiting_for_the_caller_is_no_stall() {
        let mut watchdog = Watchdog::new(Duration::from_secs(30));
        watchdog.saw(1, Duration::from_secs(29));
        assert_eq!(watchdog.patience(), Some(Duration::from_secs(1)));
        watchdog.saw(16 * 1024, Duration::from_millis(10));
        assert_eq!(watchdog.patience(), Some(Duration::from_secs(30)));
        for _ in 0..30 {
            watchdog.saw(10, Duration::from_secs(1));
        }
        assert_eq!(watchdog.patience(), None);
    }
}
