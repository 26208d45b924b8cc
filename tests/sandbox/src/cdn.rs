//! Content: signed addresses, ranges, and no second chance after the hour.

use crate::checksum;
use crate::encode::base64url;
use crate::http::{Call, Reply};
use crate::library::FileKey;
use crate::media::Content;
use crate::state::State;
use crate::url::{self, Refusal};
use hyper::StatusCode;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

/// What is sent, with status 200, to whom has no cookies.
const NO_COOKIES: &str = "error: no session";

/// Finds the file a request means.
pub(crate) fn find(state: &State, call: &Call) -> Result<FileKey, Refusal> {
    let locator = call.path.split('/').nth(2).unwrap_or_default();
    let generation = state.url_generation.load(Ordering::Relaxed);
    let parameter = |name: &str| call.parameter(name).map(str::to_owned);
    url::check(&state.signer, locator, parameter, state.now_s(), generation)
}

/// Answers a call to `/B/…`.
pub(crate) fn answer(state: &State, call: &Call, found: Result<FileKey, Refusal>) -> Reply {
    // Behind a proxy the cookies belong to another domain than the content; a browser sends none.
    let is_proxied = state.facade(call).cookie_domain.is_some();
    if !is_proxied && !state.identity.is_signed_in(&state.signer, call) {
        return Reply::new(200, "text/plain", NO_COOKIES);
    }
    if !is_proxied && !state.identity.may_read_protected(state, call) {
        return Reply::new(423, "text/plain", "Missing PCS cookies");
    }
    let key = match found {
        Ok(key) => key,
        Err(Refusal::Forged) => return Reply::new(403, "text/plain", "Forbidden"),
        Err(Refusal::Expired) => return Reply::new(410, "text/plain", "Gone"),
    };
    let content = state.library().content(&key, &state.options);
    let Some(content) = content else { return Reply::new(404, "text/plain", "Not Found") };
    if !matches!(call.method.as_str(), "GET" | "HEAD") {
        return Reply::new(405, "text/plain", "Method Not Allowed");
    }
    let mut reply = serve(state, call, content);
    reply.manner.rate = state.options.bandwidth;
    reply
}

fn serve(state: &State, call: &Call, content: Content) -> Reply {
    let size = content.len();
    let etag = state.options.etag.then(|| format!("\"{}\"", base64url(&checksum::sha256(&content)[..12])));
    let is_same = call.header("if-range").is_none_or(|condition| Some(condition) == etag.as_deref());
    let mut reply = Reply::new(200, "application/octet-stream", "")
        .with("accept-ranges", "bytes")
        .with("last-modified", &httpdate::fmt_http_date(SystemTime::now()));
    if let Some(etag) = &etag {
        reply.set("etag", etag);
    }
    match call.header("range").filter(|_| is_same).map(|range| parse_range(range, size)) {
        None | Some(Asked::Whole) => reply.range = 0..size,
        Some(Asked::Part(range)) => {
            reply.status = StatusCode::PARTIAL_CONTENT;
            reply.set("content-range", &format!("bytes {}-{}/{size}", range.start, range.end - 1));
            reply.range = range;
        }
        Some(Asked::Nothing) => {
            reply.status = StatusCode::RANGE_NOT_SATISFIABLE;
            reply.set("content-range", &format!("bytes */{size}"));
            return reply;
        }
    }
    reply.content = content;
    reply
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// Unreadable or of several parts: the header is ignored, as it may be.
    Whole,
    Part(Range<u64>),
    /// Nothing of the file lies in it.
    Nothing,
}

fn parse_range(header: &str, size: u64) -> Asked {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), _) if first >= size => Asked::Nothing,
        (Ok(first), Ok(last)) if last >= first => Asked::Part(first..size.min(last + 1)),
        (Ok(first), Err(_)) if last.is_empty() => Asked::Part(first..size),
        (Err(_), Ok(0)) if first.is_empty() => Asked::Nothing,
        (Err(_), Ok(suffix)) if first.is_empty() => Asked::Part(size.saturating_sub(suffix)..size),
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        assert_eq!(parse_range("bytes=0-", 10), Asked::Part(0..10));
        assert_eq!(parse_range("bytes=4-", 10), Asked::Part(4..10));
        assert_eq!(parse_range("bytes=4-4", 10), Asked::Part(4..5));
        assert_eq!(parse_range("bytes=4-99", 10), Asked::Part(4..10));
        assert_eq!(parse_range("bytes=-3", 10), Asked::Part(7..10));
        assert_eq!(parse_range("bytes=10-", 10), Asked::Nothing);
        assert_eq!(parse_range("bytes=-0", 10), Asked::Nothing);
        assert_eq!(parse_range("bytes=5-4", 10), Asked::Whole);
        assert_eq!(parse_range("bytes=0-1,3-4", 10), Asked::Whole);
        assert_eq!(parse_range("lines=1-2", 10), Asked::Whole);
    }
}
