//! Sending a reply: content to frames, at the pace and to the end that its manner asks for.

use crate::counters::Flight;
use crate::http::Reply;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Bytes made at a time.
const CHUNK_BYTES: u64 = 64 * 1024;
/// Bodies up to here are sent in one piece if nothing special is asked for.
const WHOLE_BYTES: u64 = 256 * 1024;
/// Frames made ahead of the socket.
const FRAMES_AHEAD: usize = 2;
/// Steps per second of a paced body.
const STEPS_PER_S: u64 = 20;

/// The body of an HTTP response.
pub(crate) struct Outgoing {
    frames: Frames,
    /// Content is under way until this is dropped.
    _flight: Option<Flight>,
}

enum Frames {
    Whole(Option<Bytes>),
    Piped(mpsc::Receiver<Result<Bytes, io::Error>>),
}

/// Where a body's progress is told, and where stalled bodies wait.
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) sent: Vec<Arc<AtomicU64>>,
    pub(crate) release: watch::Receiver<u64>,
    /// Content under way; it is so until its body is dropped.
    pub(crate) flight: Option<Flight>,
}

impl Outgoing {
    /// No body at all.
    pub(crate) fn nothing() -> Self {
        Self { frames: Frames::Whole(None), _flight: None }
    }

    /// The body of a reply. Must be called within the runtime.
    pub(crate) fn of(reply: Reply, mut tap: Tap) -> Self {
        let flight = tap.flight.take();
        let manner = &reply.manner;
        let is_plain = manner.cut_after.is_none()
            && manner.stall.is_none()
            && manner.rate.is_none()
            && !manner.is_chunked;
        let len = reply.range.end - reply.range.start;
        if is_plain && len <= WHOLE_BYTES {
            tap.count(len);
            return Self { frames: Frames::Whole(Some(chunk(&reply, 0, len))), _flight: flight };
        }
        let (sender, receiver) = mpsc::channel(FRAMES_AHEAD);
        tokio::spawn(pump(reply, tap, sender));
        Self { frames: Frames::Piped(receiver), _flight: flight }
    }
}

impl Tap {
    fn count(&self, bytes: u64) {
        self.sent.iter().for_each(|counter| {
            counter.fetch_add(bytes, Ordering::Relaxed);
        });
    }
}

/// Makes the frames; ends early when the client has gone.
async fn pump(reply: Reply, mut tap: Tap, sender: mpsc::Sender<Result<Bytes, io::Error>>) {
    let manner = &reply.manner;
    let len = reply.range.end - reply.range.start;
    let end = manner.cut_after.map_or(len, |cut| cut.min(len));
    let step = manner.rate.map_or(CHUNK_BYTES, |rate| (rate / STEPS_PER_S).clamp(1, CHUNK_BYTES));
    let mut stall = manner.stall;
    let mut at = 0;
    while at < end {
        let mut take = step.min(end - at);
        if let Some((after, hold)) = stall {
            if at >= after {
                stall = None;
                tokio::select! {
                    () = wait(hold, &mut tap.release) => {}
                    () = sender.closed() => return,
                }
                continue;
            }
            take = take.min(after - at);
        }
        if sender.send(Ok(chunk(&reply, at, take))).await.is_err() {
            return;
        }
        if stall.is_some_and(|(after, _)| at + take >= after.min(end)) {
            // Whoever sees in the books how far it got may release it before it waits.
            tap.release.mark_unchanged();
        }
        tap.count(take);
        at += take;
        if let Some(rate) = manner.rate {
            tokio::time::sleep(Duration::from_secs_f64(take as f64 / rate.max(1) as f64)).await;
        }
    }
    if let Some((_, hold)) = stall {
        tokio::select! {
            () = wait(hold, &mut tap.release) => {}
            () = sender.closed() => return,
        }
    }
    if end < len || manner.cut_after.is_some() {
        // What was sent must reach the client before the connection is given up.
        tokio::time::sleep(Duration::from_millis(20)).await;
        sender.send(Err(io::Error::other("cut on purpose"))).await.ok();
    }
}

async fn wait(hold: Option<Duration>, release: &mut watch::Receiver<u64>) {
    match hold {
        Some(hold) => tokio::time::sleep(hold).await,
        None => {
            release.changed().await.ok();
        }
    }
}

fn chunk(reply: &Reply, at: u64, len: u64) -> Bytes {
    let mut out = vec![0; usize::try_from(len).expect("a chunk fits in memory")];
    reply.content.read(reply.range.start + at, &mut out);
    for flip in reply.manner.flips.iter().filter(|flip| (at..at + len).contains(flip)) {
        out[usize::try_from(flip - at).expect("inside the chunk")] ^= 1;
    }
    out.into()
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.get_mut().frames {
            Frames::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Frames::Piped(frames) => {
                frames.poll_recv(context).map(|frame| frame.map(|frame| frame.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.frames, Frames::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.frames {
            Frames::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            // The declared length is the business of the `Content-Length` header alone.
            Frames::Piped(_) => SizeHint::default(),
        }
    }
}
