//! The intake: bytes from the network go to the disk and through both hashes, in one pass.
//!
//! Chunks are gathered to a piece, and a piece is hashed and written off the async threads while
//! the next one comes in: neither waits for the other, and there is never more than one piece of
//! each in memory. A file that is less than a piece is hashed where it came in.

use std::time::Instant;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::disk::{self, part::PIECE_BYTES};
use crate::engine::held::{Held, Sink};
use crate::engine::run::off_thread;
use crate::model::checksum::Sha256Digest;

/// Where a body goes.
pub(super) struct Intake {
    place: Place,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    /// Bytes taken so far, gathered ones included.
    received: u64,
    last_durable: (u64, Instant),
}

/// The sink is here, at work off-thread, or lost to an error of the disk.
enum Place {
    Here(Box<Sink>),
    Working(JoinHandle<(Box<Sink>, Result<(), disk::Error>)>),
    Lost,
}

impl Intake {
    pub(super) fn new(sink: Box<Sink>) -> Self {
        let received = sink.held.len();
        Self {
            place: Place::Here(sink),
            gathered: Vec::new(),
            gathered_bytes: 0,
            received,
            last_durable: (received, Instant::now()),
        }
    }

    /// Bytes taken so far: where the next request begins.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Bytes and time since the last promise.
    pub(super) fn since_durable(&self) -> (u64, std::time::Duration) {
        let (bytes, at) = self.last_durable;
        (self.received - bytes, at.elapsed())
    }

    /// Takes a chunk. Waits only while the piece before is still being written.
    pub(super) async fn take(&mut self, chunk: Bytes) -> Result<(), disk::Error> {
        self.received += chunk.len() as u64;
        self.gathered_bytes += chunk.len();
        self.gathered.push(chunk);
        if self.gathered_bytes >= PIECE_BYTES { self.hand_over().await } else { Ok(()) }
    }

    /// Starts over: the bytes so far are worth nothing.
    pub(super) async fn restart(&mut self) -> Result<(), disk::Error> {
        self.gathered.clear();
        self.gathered_bytes = 0;
        let mut sink = self.idle().await?;
        let (sink, cut) = off_thread(move || {
            let cut = sink.restart();
            (sink, cut)
        })
        .await;
        self.place = Place::Here(sink);
        self.received = 0;
        self.last_durable = (0, Instant::now());
        cut
    }

    /// Makes all bytes durable, and with `named` the name of the part too. Gives the digest of the bytes.
    pub(super) async fn make_durable(&mut self, named: bool) -> Result<Sha256Digest, disk::Error> {
        self.hand_over().await?;
        let sink = self.idle().await?;
        let sink = off_thread(move || sink.make_durable(named)).await?;
        let prefix = sink.hasher.prefix_sha256();
        self.place = Place::Here(Box::new(sink));
        self.last_durable = (self.received, Instant::now());
        Ok(prefix)
    }

    /// Waits until all bytes are written, and gives the sink back.
    pub(super) async fn finish(mut self) -> Result<Box<Sink>, disk::Error> {
        self.hand_over().await?;
        self.idle().await
    }

    async fn hand_over(&mut self) -> Result<(), disk::Error> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let mut sink = self.idle().await?;
        let piece = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        if let Held::Memory(_) = sink.held {
            let taken = sink.take(piece);
            self.place = Place::Here(sink);
            return taken;
        }
        self.place = Place::Working(tokio::task::spawn_blocking(move || {
            let written = sink.take(piece);
            (sink, written)
        }));
        Ok(())
    }

    /// Takes the sink out, once it is idle. An error of its last piece comes out here.
    async fn idle(&mut self) -> Result<Box<Sink>, disk::Error> {
        match std::mem::replace(&mut self.place, Place::Lost) {
            Place::Here(sink) => Ok(sink),
            Place::Working(work) => match work.await {
                Ok((sink, written)) => written.map(|()| sink),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            Place::Lost => Err(disk::Error::lost()),
        }
    }
}
