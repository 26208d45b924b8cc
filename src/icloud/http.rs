//! One request, one answer: what all calls to the services share.
//!
//! Every request passes the host rule before it leaves, every answer updates the session, and
//! one line of `debug` says what happened: method, host, path, status and time, never a query,
//! a cookie or a token. Nothing is retried here.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url, redirect};
use serde::Deserialize;

use crate::fault;
use crate::icloud::auth::session::Session;
use crate::icloud::clock::Clock;
use crate::icloud::endpoints::Endpoints;
use crate::icloud::no_answer::NoAnswer;
use crate::icloud::wire::{self, Lenient, Value};
use crate::model::backoff;

/// The browser we say we are. Apple refuses clients that name none, and very old ones.
pub(super) const USER_AGENT: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0";
/// Time to reach a host at all.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time between two pieces of an answer to a call. A full page takes Apple a few seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer to a call that is read: sixty full pages. More is a fault or an attack.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Most memory that is set aside for an answer before it is there: whoever answers may say anything.
const FIRST_BYTES_MAX: u64 = 1 << 20;
/// Longest body that is searched for words: an error that is longer has none for people.
const SAID_BYTES_MAX: usize = 4096;
/// Most redirects that are followed, all of them to hosts that the rule allows.
const REDIRECTS_MAX: usize = 5;

/// A request to one of the services; may be sent more than once.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// No whole answer came.
#[derive(Clone, Debug)]
pub(super) struct Unreachable {
    pub(super) host: String,
    pub(super) detail: NoAnswer,
    /// Whether another try could help.
    pub(super) passing: bool,
}

/// The client for calls. Bodies of files go through [`super::download`].
pub(super) struct Http {
    endpoints: Endpoints,
    session: Arc<Session>,
    client: RwLock<reqwest::Client>,
    clock: Clock,
}

impl Http {
    /// Prepares connections; none is opened yet.
    pub(super) fn new(endpoints: Endpoints, session: Arc<Session>) -> Result<Self, Unreachable> {
        let client = RwLock::new(client(&endpoints, &session)?);
        Ok(Self { endpoints, session, client, clock: Clock::default() })
    }

    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// This machine's clock against Apple's.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Leaves all open connections behind: one of them may have led to the wrong partition.
    pub(super) fn reconnect(&self) -> Result<(), Unreachable> {
        let fresh = client(&self.endpoints, &self.session)?;
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Sends a call and reads the whole answer.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Unreachable> {
        let host = call.url.host_str().unwrap_or("?").to_owned();
        let began = Instant::now();
        let answer = self.exchange(call, &host).await;
        tracing::debug!(
            method = %call.method,
            host,
            path = call.url.path(),
            status = answer.as_ref().map_or(0, |answer| answer.status),
            ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        let answer = answer?;
        self.session.absorb(&answer.headers);
        self.clock.observe(&answer.headers);
        Ok(answer)
    }

    async fn exchange(&self, call: &Call, host: &str) -> Result<Answer, Unreachable> {
        let forbidden = |error: crate::icloud::error::Forbidden| Unreachable {
            host: host.to_owned(),
            detail: NoAnswer::network(error.to_string()),
            passing: false,
        };
        self.endpoints.check(&call.url).map_err(forbidden)?;
        let broken = |error: reqwest::Error| {
            let may_pass = !error.is_redirect() && !error.is_builder();
            let detail = NoAnswer::of(error);
            Unreachable { host: host.to_owned(), passing: may_pass && detail.is_passing(), detail }
        };
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut request = client.request(call.method.clone(), call.url.clone()).headers(call.headers.clone());
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let mut response = request.send().await.map_err(broken)?;
        // At once, where the length is told: growing copies a page of records five times.
        let told = response.content_length().map_or(0, |bytes| bytes.min(FIRST_BYTES_MAX));
        let mut body = Vec::with_capacity(told as usize);
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let detail = NoAnswer::network(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes"));
                return Err(Unreachable { host: host.to_owned(), detail, passing: false });
            }
            body.extend_from_slice(&chunk);
        }
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer { status: real_status(status, &headers), headers, body })
    }
}

impl Answer {
    /// How long the service asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        backoff::retry_after(self.headers.get("retry-after")?.to_str().ok()?, now())
    }

    /// Whether the service asks to wait.
    pub(super) fn is_throttled(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// Whether the service failed in a way that often passes.
    pub(super) fn is_server_fault(&self) -> bool {
        matches!(self.status, 500 | 502 | 504)
    }

    /// What the service said, in few words.
    ///
    /// Of JSON only the members made for people: others may be tokens.
    pub(super) fn said(&self) -> String {
        let text = wire::text_of(&self.body[..self.body.len().min(SAID_BYTES_MAX)]);
        if !text.trim_start().starts_with(['{', '[']) {
            return wire::shortened(&text);
        }
        let words: Lenient<Words<'_>> = serde_json::from_str(&text).unwrap_or_default();
        let words = [&words.server_error_code, &words.error, &words.reason, &words.message];
        wire::shortened(&words.into_iter().filter_map(|word| word.name()).collect::<Vec<_>>().join(" "))
    }
}

/// What JSON answers say to people.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Words<'a> {
    #[serde(borrow)]
    server_error_code: Value<'a>,
    #[serde(borrow)]
    error: Value<'a>,
    #[serde(borrow)]
    reason: Value<'a>,
    #[serde(borrow)]
    message: Value<'a>,
}

/// `X-Apple-I-Rscd` can carry the real status under a 200.
fn real_status(status: u16, headers: &HeaderMap) -> u16 {
    let inner = headers.get("x-apple-i-rscd").and_then(|value| value.to_str().ok()?.parse::<u16>().ok());
    match inner {
        Some(inner @ 400..=599) if (200..300).contains(&status) => inner,
        _ => status,
    }
}

/// What both clients share: identity, cookies, trust, and where a redirect may lead.
pub(super) fn builder(endpoints: &Endpoints, session: &Session) -> reqwest::ClientBuilder {
    // Ignored when it is there already: whoever came first chose the same.
    let _already = rustls::crypto::ring::default_provider().install_default();
    let allowed = endpoints.clone();
    let follow = move |attempt: redirect::Attempt<'_>| {
        if attempt.previous().len() > REDIRECTS_MAX {
            return attempt.error("too many redirects");
        }
        match allowed.check(attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(forbidden) => attempt.error(forbidden),
        }
    };
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .cookie_provider(Arc::clone(&session.jar))
        .redirect(redirect::Policy::custom(follow))
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT);
    // A sandbox needs no trust roots, and a bare container has none; nor has a proxy a say in
    // what stays on this machine.
    if endpoints.is_plain_loopback() { builder.tls_certs_only([]).no_proxy() } else { builder }
}

fn client(endpoints: &Endpoints, session: &Session) -> Result<reqwest::Client, Unreachable> {
    let built = builder(endpoints, session).read_timeout(fault::haste(READ_TIMEOUT)).build();
    built.map_err(|error| Unreachable {
        host: "this machine".to_owned(),
        detail: NoAnswer::of(error),
        passing: false,
    })
}

/// A time in Unix seconds, as HTTP writes it.
pub(super) fn date(at: i64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at.max(0).unsigned_abs()))
}

/// Headers from pairs; a value that is none is left out.
pub(super) fn headers<const N: usize>(pairs: [(&'static str, &str); N]) -> HeaderMap {
    let pair = |(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?));
    pairs.into_iter().filter_map(pair).collect()
}

/// The Unix second now.
pub(super) fn now() -> i64 {
    let since = fault::clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_message_holds_words_and_no_tokens() {
        let said = |body: &str| Answer { status: 421, headers: HeaderMap::new(), body: body.into() }.said();
        let body = r#"{"success":false,"error":"Missing X cookie","trustTokens":["SECRET"]}"#;
        assert_eq!(said(body), "Missing X cookie");
        assert_eq!(said("{\"broken\":\"SECRET"), "");
        assert_eq!(said("<html>\n  try   later</html>"), "<html> try later</html>");
    }

    #[test]
    fn the_real_status_may_stand_in_a_header() {
        let real = |status, inner| real_status(status, &headers([("x-apple-i-rscd", inner)]));
        assert_eq!(
            (real(200, "409"), real(200, "200"), real(200, "x"), real(503, "401")),
            (409, 200, 200, 503)
        );
    }
}
