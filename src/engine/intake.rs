//! The intake: bytes from the network go through both hashes and to the disk, in one pass.
//!
//! Chunks are gathered to a piece, and a piece is hashed and written where it came in, while it is in the processor's
//! cache. A file that goes to the disk has a thread of its own for that (see [`work`](super::work)): a disk that stalls
//! holds up that file, and no network. Meanwhile the next bytes gather in the buffers of the connection. (Only a small
//! file that came so slowly that it had to be promised half-way writes its rest where it came in.)

use std::time::Instant;

use bytes::Bytes;

use crate::disk::{self, part::PIECE_BYTES};
use crate::engine::held::Sink;
use crate::engine::run::off_thread;
use crate::model::checksum::Sha256Digest;

/// Where a body goes.
pub(super) struct Intake {
    /// `None`: lost to an error of the disk.
    sink: Option<Box<Sink>>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    /// Bytes taken so far, gathered ones included.
    received: u64,
    last_durable: (u64, Instant),
}

impl Intake {
    pub(super) fn new(sink: Box<Sink>) -> Self {
        let received = sink.held.len();
        Self {
            sink: Some(sink),
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

    /// Takes a chunk. Blocks where it makes a piece full that goes to the disk.
    pub(super) fn take(&mut self, chunk: Bytes) -> Result<(), disk::Error> {
        self.received += chunk.len() as u64;
        self.gathered_bytes += chunk.len();
        self.gathered.push(chunk);
        if self.gathered_bytes >= PIECE_BYTES { self.pass_on() } else { Ok(()) }
    }

    /// Starts over: the bytes so far are worth nothing.
    pub(super) async fn restart(&mut self) -> Result<(), disk::Error> {
        self.gathered.clear();
        self.gathered_bytes = 0;
        let mut sink = self.sink()?;
        let (sink, cut) = off_thread(move || {
            let cut = sink.restart();
            (sink, cut)
        })
        .await;
        self.sink = Some(sink);
        self.received = 0;
        self.last_durable = (0, Instant::now());
        cut
    }

    /// Makes all bytes durable, and with `named` the name of the part too. Gives the digest of the bytes.
    pub(super) async fn make_durable(&mut self, named: bool) -> Result<Sha256Digest, disk::Error> {
        self.pass_on()?;
        let sink = self.sink()?;
        let sink = off_thread(move || sink.make_durable(named)).await?;
        let prefix = sink.hasher.prefix_sha256();
        self.sink = Some(Box::new(sink));
        self.last_durable = (self.received, Instant::now());
        Ok(prefix)
    }

    /// Passes on what is gathered, and gives the sink back.
    pub(super) fn finish(mut self) -> Result<Box<Sink>, disk::Error> {
        self.pass_on()?;
        self.sink()
    }

    /// Passes on what is gathered. After an error the sink is lost.
    fn pass_on(&mut self) -> Result<(), disk::Error> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let mut sink = self.sink()?;
        self.gathered_bytes = 0;
        sink.take(std::mem::take(&mut self.gathered))?;
        self.sink = Some(sink);
        Ok(())
    }

    /// Takes the sink out.
    fn sink(&mut self) -> Result<Box<Sink>, disk::Error> {
        self.sink.take().ok_or_else(disk::Error::lost)
    }
}
