//! Requests and replies as the rest of the sandbox sees them.
//!
//! A reply holds a [`Content`] and a range of it, so a gigabyte and an error text travel the same
//! road, and faults (module [`crate::fault`]) are changes of a reply like any other.

use crate::encode::percent_decoded;
use crate::media::Content;
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;
use std::ops::Range;
use std::time::Duration;

/// One request, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, path: &str, query: &str, headers: HeaderMap, body: Bytes) -> Self {
        let query = query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (!name.is_empty()).then(|| (percent_decoded(name), percent_decoded(value)))
        });
        Self { method, path: percent_decoded(path), query: query.collect(), headers, body }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a cookie, its quotes taken off.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all("cookie").iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(held, _)| *held == name).map(|(_, value)| value.trim_matches('"'))
    }

    /// The body as JSON, whatever its declared type.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// What is sent back, and how.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    pub(crate) range: Range<u64>,
    pub(crate) manner: Manner,
}

/// How a body is sent, where it is not simply sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// Nothing is sent; the connection is reset.
    pub(crate) is_reset: bool,
    /// The connection ends after so many bytes, whatever was declared.
    pub(crate) cut_after: Option<u64>,
    /// After so many bytes nothing is sent for a while; without a duration, until released.
    pub(crate) stall: Option<(u64, Option<Duration>)>,
    /// Bytes per second.
    pub(crate) rate: Option<u64>,
    /// Bytes of the body, counted from its start, that have one bit flipped.
    pub(crate) flips: Vec<u64>,
    /// Sent in chunks, without a declared length.
    pub(crate) is_chunked: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let content = Content::from_bytes(body);
        let mut reply = Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: HeaderMap::new(),
            range: 0..content.len(),
            content,
            manner: Manner::default(),
        };
        if !kind.is_empty() {
            reply.set("content-type", kind);
        }
        reply
    }

    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        let text = serde_json::to_vec(body).expect("what we answer can be written as JSON");
        Self::new(status, "application/json; charset=UTF-8", text)
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::new(status, "", "")
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn add_cookie(&mut self, cookie: &str) {
        if let Ok(value) = HeaderValue::from_str(cookie) {
            self.headers.append("set-cookie", value);
        }
    }

    /// The body as JSON, for faults that change an answer.
    pub(crate) fn body_json(&self) -> Option<Value> {
        serde_json::from_slice(&self.content.to_vec()).ok()
    }

    /// Replaces the body and keeps the rest.
    pub(crate) fn set_body(&mut self, body: impl Into<Vec<u8>>) {
        self.content = Content::from_bytes(body);
        self.range = 0..self.content.len();
    }
}
