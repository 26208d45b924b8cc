//! What a fault does: some change the request, some the reply, some only how it is sent.

use super::What;
use crate::counters::Endpoint;
use crate::http::{Call, Reply};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::StatusCode;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

/// Changes a request before it is served, or answers it in the service's stead.
pub(crate) fn before(what: &What, call: &mut Call) -> Option<Reply> {
    match what {
        What::Answer { status, retry_after, content_type, body } => {
            let mut reply = Reply::new(*status, "", body.as_bytes());
            if !content_type.is_empty() {
                reply.set("content-type", content_type);
            }
            if let Some(retry_after) = retry_after {
                reply.set("retry-after", retry_after);
            }
            Some(reply)
        }
        What::Redirect { status, location } => Some(Reply::empty(*status).with("location", location)),
        What::Reset => {
            let mut reply = Reply::empty(200);
            reply.manner.is_reset = true;
            Some(reply)
        }
        What::IgnoreRange => {
            call.headers.remove("range");
            None
        }
        What::RepeatedPage => {
            step_back(call);
            None
        }
        _ => None,
    }
}

/// Changes a reply, or how it is sent.
pub(crate) fn after(what: &What, endpoint: Endpoint, reply: &mut Reply) {
    let len = reply.range.end - reply.range.start;
    match what {
        What::CutAfter { bytes } => reply.manner.cut_after = Some(*bytes),
        What::ChunkedCut { bytes } => {
            reply.manner.cut_after = Some(*bytes);
            reply.manner.is_chunked = true;
        }
        What::Chunked => reply.manner.is_chunked = true,
        What::StallAfter { bytes, hold_ms } => {
            reply.manner.stall = Some((*bytes, hold_ms.map(Duration::from_millis)))
        }
        What::Drip { bytes_per_s } => reply.manner.rate = Some(*bytes_per_s),
        What::FlipBit { offset } => {
            reply.manner.flips.extend(offset.checked_sub(reply.range.start).filter(|at| *at < len));
        }
        What::Truncate { bytes } => reply.range.end -= (*bytes).min(len),
        What::Extend { bytes } => {
            let extra = usize::try_from(*bytes).unwrap_or(0);
            let mut body = part(reply);
            body.resize(body.len() + extra, 0);
            reply.set_body(body);
        }
        What::WrongContentRange { start_shift, total_shift } => lie(reply, *start_shift, *total_shift),
        What::Unasked206 => {
            reply.status = StatusCode::PARTIAL_CONTENT;
            let range = &reply.range;
            let text =
                format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), reply.content.len());
            reply.set("content-range", &text);
        }
        What::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            let packed =
                gzip.write_all(&part(reply)).and_then(|()| gzip.finish()).expect("memory can be written");
            reply.set_body(packed);
            reply.set("content-encoding", "gzip");
        }
        What::MalformedJson => reply.range.end -= len / 3 + 1,
        What::Multipart => {
            if reply.status == StatusCode::PARTIAL_CONTENT {
                reply.set("content-type", "multipart/byteranges; boundary=x");
            }
        }
        What::InvalidUtf8 => {
            let mut body = part(reply);
            let texts = body.iter_mut().filter(|byte| byte.is_ascii_lowercase());
            texts.step_by(2).for_each(|byte| *byte = 0xff);
            reply.set_body(body);
        }
        What::Spoil { pointer, value } => {
            let Some(mut body) = reply.body_json() else { return };
            if let Some(place) = body.pointer_mut(pointer) {
                *place = value.clone();
            }
            reply.set_body(body.to_string());
        }
        What::CloudKitError { code, reason, retry_after } => {
            let mut error = json!({"serverErrorCode": code, "reason": reason});
            if let Some(seconds) = retry_after {
                error["retryAfter"] = (*seconds).into();
            }
            fail_inside(reply, endpoint, &error);
        }
        What::EmptyPage => with_records(reply, Vec::clear),
        What::MissingRecords { every } => with_records(reply, |records| {
            let mut at = 0;
            records.retain(|_| {
                at += 1;
                (at - 1) % (*every).max(1) != 0
            });
        }),
        What::ReversedRecords => with_records(reply, |records| records.reverse()),
        What::DoubledRecords => with_records(reply, |records| {
            *records = records.drain(..).flat_map(|record| [record.clone(), record]).collect();
        }),
        What::Restatus { status } => {
            reply.status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        }
        What::Rscd { code } => {
            reply.status = StatusCode::OK;
            reply.set("x-apple-i-rscd", &code.to_string());
        }
        What::Answer { .. }
        | What::Redirect { .. }
        | What::Reset
        | What::Delay { .. }
        | What::IgnoreRange
        | What::RepeatedPage
        | What::Change { .. } => {}
    }
}

/// The bytes that would be sent.
fn part(reply: &Reply) -> Vec<u8> {
    let mut body = vec![0; usize::try_from(reply.range.end - reply.range.start).expect("a small body")];
    reply.content.read(reply.range.start, &mut body);
    body
}

fn lie(reply: &mut Reply, start_shift: i64, total_shift: i64) {
    if reply.status != StatusCode::PARTIAL_CONTENT {
        return;
    }
    let range = &reply.range;
    let start = range.start.saturating_add_signed(start_shift);
    let end = (range.end - 1).saturating_add_signed(start_shift);
    let total = reply.content.len().saturating_add_signed(total_shift);
    reply.set("content-range", &format!("bytes {start}-{end}/{total}"));
}

fn fail_inside(reply: &mut Reply, endpoint: Endpoint, error: &Value) {
    let held = reply.body_json().unwrap_or_default();
    let body = match (endpoint, held["zones"].as_array()) {
        (Endpoint::ChangesZone, Some(zones)) => {
            let failed = |zone: &Value| {
                let mut failed = error.clone();
                failed["zoneID"] = zone["zoneID"].clone();
                failed
            };
            json!({"zones": zones.iter().map(failed).collect::<Vec<_>>()})
        }
        _ => error.clone(),
    };
    reply.status = StatusCode::OK;
    reply.set_body(body.to_string());
}

/// Changes every list of records in an answer.
fn with_records(reply: &mut Reply, change: impl Fn(&mut Vec<Value>)) {
    let Some(mut body) = reply.body_json() else { return };
    if let Some(records) = body["records"].as_array_mut() {
        change(records);
    }
    for zone in body["zones"].as_array_mut().into_iter().flatten() {
        if let Some(records) = zone["records"].as_array_mut() {
            change(records);
        }
    }
    // Looking a missing key up left a null behind; answers have none.
    if let Some(map) = body.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    reply.set_body(body.to_string());
}

/// Asks for the page before the one that was asked for.
fn step_back(call: &mut Call) {
    let Some(mut body) = call.json() else { return };
    let limit = body["resultsLimit"].as_u64().unwrap_or(200) / 2;
    for filter in body["query"]["filterBy"].as_array_mut().into_iter().flatten() {
        if filter["fieldName"] == "startRank" {
            let start = filter["fieldValue"]["value"].as_u64().unwrap_or(0);
            filter["fieldValue"]["value"] = start.saturating_sub(limit).into();
        }
    }
    call.body = body.to_string().into();
}
