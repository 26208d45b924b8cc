//! The server: connections in, calls through the faults to the services, replies out.

use crate::body::{Outgoing, Tap};
use crate::counters::{Endpoint, RequestLog};
use crate::fault::{self, What};
use crate::http::{Call, Reply};
use crate::library::Rendition;
use crate::line::Line;
use crate::state::State;
use crate::tls::Tls;
use crate::{auth, cdn, cloudkit, control, setup};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};
use tokio::net::TcpListener;

/// Accepts connections until the task is dropped.
pub(crate) async fn run(listener: TcpListener, state: Arc<State>, tls: Option<Arc<Tls>>) {
    loop {
        // A failed accept concerns one client; the next one may do better.
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).ok();
        let (state, tls) = (state.clone(), tls.clone());
        tokio::spawn(async move {
            let reset = Arc::new(AtomicBool::new(false));
            let line = match tls {
                None => Line::plain(stream, reset.clone()),
                // A client that does not trust the certificate hangs up.
                Some(tls) => match tls.acceptor.accept(stream).await {
                    Ok(stream) => Line::encrypted(stream, reset.clone()),
                    Err(_) => return,
                },
            };
            let line = TokioIo::new(line);
            let serve = service_fn(move |request| respond(state.clone(), reset.clone(), request));
            // A client that hangs up, and a cut on purpose, end here too; neither is news.
            hyper::server::conn::http1::Builder::new().serve_connection(line, serve).await.ok();
        });
    }
}

async fn respond(
    state: Arc<State>,
    reset: Arc<AtomicBool>,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let call =
        Call::new(head.method, head.uri.path(), head.uri.query().unwrap_or_default(), head.headers, body);
    if state.options.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(state.options.latency_ms)).await;
    }
    let tap_release = state.faults.released();
    let flight = (Endpoint::of(&call.path) == Endpoint::Cdn).then(|| state.books.take_off());
    let worker = state.clone();
    // Making a page, or the first checksum of a large video, is work; it must not stop other answers.
    let (reply, sent, delay) =
        tokio::task::spawn_blocking(move || serve(&worker, call)).await.map_err(io::Error::other)?;
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    if reply.manner.is_reset {
        reset.store(true, Ordering::Relaxed);
        return Err(io::Error::other("reset on purpose"));
    }
    Ok(response(reply, Tap { sent, release: tap_release, flight }))
}

type Served = (Reply, Vec<Arc<std::sync::atomic::AtomicU64>>, Option<Duration>);

/// Serves one call: faults before, the service, faults after, the books.
fn serve(state: &State, mut call: Call) -> Served {
    let endpoint = Endpoint::of(&call.path);
    if endpoint == Endpoint::Control {
        return (control::answer(state, &call), Vec::new(), None);
    }
    let found = (endpoint == Endpoint::Cdn).then(|| cdn::find(state, &call));
    let file: Option<(String, Rendition)> = found.as_ref().and_then(|found| found.ok()).and_then(|key| {
        let name = state.library().zone_at(key.zone)?.asset_name(key.entry, state.options.seed);
        Some((name, key.rendition))
    });
    let mut log = entry(endpoint, &call, file.as_ref());
    let names = if endpoint == Endpoint::RecordsLookup {
        call.json().and_then(|body| body["records"].as_array().map(Vec::len)).unwrap_or(0) as u64
    } else {
        0
    };

    let faults = state.faults.take(endpoint, file.as_ref());
    for what in &faults {
        if let What::Change { change } = what {
            state.apply(change);
        }
    }
    let stead = faults.iter().find_map(|what| fault::before(what, &mut call));
    let mut reply = stead.unwrap_or_else(|| match found {
        Some(found) => cdn::answer(state, &call, found),
        None if call.path.starts_with("/appleauth/auth") => auth::answer(state, &call),
        None if call.path.starts_with("/setup/ws/1/") => setup::answer(state, &call),
        None if endpoint.is_cloudkit() => cloudkit::answer(state, &call, endpoint),
        None => Reply::new(404, "text/plain", "there is nothing here"),
    });
    let date = UNIX_EPOCH + Duration::from_secs(state.now_s());
    reply.set("date", &httpdate::fmt_http_date(date));
    faults.iter().for_each(|what| fault::after(what, endpoint, &mut reply));
    let delay = faults.iter().find_map(|what| match what {
        What::Delay { ms } => Some(Duration::from_millis(*ms)),
        _ => None,
    });

    log.is_faulted = !faults.is_empty();
    log.status = if reply.manner.is_reset { 0 } else { reply.status.as_u16() };
    let sent = state.books.enter(log, names);
    if call.method == "HEAD" {
        return (reply, Vec::new(), delay);
    }
    (reply, sent, delay)
}

fn entry(endpoint: Endpoint, call: &Call, file: Option<&(String, Rendition)>) -> RequestLog {
    let start_rank = (endpoint == Endpoint::RecordsQuery).then(|| call.json()).flatten().and_then(|body| {
        let filters = body["query"]["filterBy"].as_array()?;
        filters.iter().find(|filter| filter["fieldName"] == "startRank")?["fieldValue"]["value"].as_u64()
    });
    RequestLog {
        sequence: 0,
        at_ms: 0,
        endpoint,
        method: call.method.to_string(),
        path: call.path.clone(),
        asset_record: file.map(|(name, _)| name.clone()),
        rendition: file.map(|(_, rendition)| *rendition),
        range: (endpoint == Endpoint::Cdn).then(|| call.header("range").map(str::to_owned)).flatten(),
        start_rank,
        status: 0,
        bytes_sent: 0,
        is_faulted: false,
    }
}

fn response(reply: Reply, tap: Tap) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::nothing());
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers.clone();
    let has_body = !matches!(reply.status.as_u16(), 204 | 304);
    if has_body && !reply.manner.is_chunked {
        let len = reply.range.end - reply.range.start;
        response.headers_mut().insert("content-length", len.into());
    }
    if has_body {
        *response.body_mut() = Outgoing::of(reply, tap);
    }
    response
}
