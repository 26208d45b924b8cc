//! Transfer: from a claim to a whole part file.
//!
//! Bytes before journal: the part file is made durable, then its offset is committed, every
//! [`PROMISE_BYTES`] or [`PROMISE_EVERY`]. A broken connection is taken up again from the bytes
//! in hand; what cannot be taken up keeps them for the next attempt.

use std::time::{Duration, Instant};

use crate::disk;
use crate::engine::held::Sink;
use crate::engine::intake::Intake;
use crate::engine::run::{Run, now};
use crate::engine::setback::{Setback, Unfinished};
use crate::fault;
use crate::icloud::{self, Body, FetchError, Wanted};
use crate::journal::Claim;
use crate::model::backoff;
use crate::model::failure::{Failure, FailureKind};

/// A crash costs at most this many bytes of a file. Small, because the bytes must go to the disk
/// anyway: a promise adds one grouped commit.
const PROMISE_BYTES: u64 = 4 * 1024 * 1024;
/// On a slow line a promise is due after this time, so that a run that is stopped often gets on.
const PROMISE_EVERY: Duration = Duration::from_secs(5);
/// Fewer new bytes than this are not worth a commit.
const PROMISE_MIN_BYTES: u64 = 256 * 1024;

/// What a request must bring to count as getting on. A connection that breaks after each byte would
/// otherwise hold a worker for days.
const GROUND_BYTES_MIN: u64 = 16 * 1024;

/// All bytes of a file. Nothing is proved yet.
pub(super) struct Whole {
    pub(super) claim: Claim,
    pub(super) sink: Box<Sink>,
}

/// Fetches what is missing.
pub(super) async fn transfer(run: &Run, claim: Claim, sink: Box<Sink>) -> Result<Whole, Unfinished> {
    let etag = claim.file().etag.clone();
    let mut transfer = Transfer { run, claim: Some(claim), etag, intake: Intake::new(sink) };
    run.board.already_home(transfer.intake.received());
    let outcome = transfer.fetch_all().await;
    let Transfer { claim, mut intake, etag, .. } = transfer;
    if outcome.is_err() && !run.stop.is_requested() {
        // Counted again when the row is next claimed and its prefix is found good.
        run.board.discarded(intake.received());
    }
    let Some(claim) = claim else {
        return Err(Unfinished::without_claim(outcome.err().unwrap_or(Setback::Released)));
    };
    match outcome {
        Ok(()) => match intake.finish() {
            Ok(sink) => Ok(Whole { claim, sink }),
            Err(error) => Err(Unfinished::new(claim, disk_setback(error))),
        },
        Err(setback) if keeps_bytes(&setback) => {
            // What came is kept: made durable and promised before the row lets go.
            match promise(run, claim, &mut intake, etag).await {
                Ok(claim) => Err(Unfinished::new(claim, setback)),
                Err(unfinished) => Err(unfinished),
            }
        }
        Err(setback) => Err(Unfinished::new(claim, setback)),
    }
}

fn keeps_bytes(setback: &Setback) -> bool {
    match setback {
        Setback::UrlExpired { .. } | Setback::Released => true,
        Setback::Failed { failure, keep_part } => *keep_part && failure.kind != FailureKind::Disk,
        // None of its bytes came, or none can be made durable.
        Setback::NoRoom | Setback::Full(_) | Setback::Halted(_) => false,
    }
}

/// Makes the bytes durable and then commits the offset. Nothing new, nothing done.
async fn promise(
    run: &Run,
    claim: Claim,
    intake: &mut Intake,
    etag: Option<String>,
) -> Result<Claim, Unfinished> {
    if intake.received() <= claim.file().offset_bytes {
        return Ok(claim);
    }
    // With the first promise the name of the part must last too.
    let is_first = claim.file().offset_bytes == 0;
    match intake.make_durable(is_first).await {
        Ok(prefix) => {
            fault::point("part-synced");
            let promised = run.journal.progressed(claim, now(), intake.received(), prefix, etag).await;
            fault::point("promised");
            promised.map_err(Unfinished::lost)
        }
        // After a failed sync the bytes are not to be trusted, whatever a second one says.
        Err(error) => Err(Unfinished::new(claim, disk_setback(error))),
    }
}

fn disk_setback(error: disk::Error) -> Setback {
    Setback::of_disk(error, false)
}

struct Transfer<'a> {
    run: &'a Run,
    /// `None` only after the journal refused a promise and kept the claim.
    claim: Option<Claim>,
    etag: Option<String>,
    intake: Intake,
}

impl Transfer<'_> {
    fn claim(&self) -> &Claim {
        self.claim.as_ref().expect("a transfer holds its claim until the journal refuses it")
    }

    fn size_bytes(&self) -> u64 {
        self.claim().file().size_bytes
    }

    /// Requests, again and again while it makes sense, until all bytes are here.
    async fn fetch_all(&mut self) -> Result<(), Setback> {
        let mut waits = backoff::quick_waits();
        let mut farthest = self.intake.received();
        while self.intake.received() < self.size_bytes() || self.size_bytes() == 0 {
            let sent = Instant::now();
            let error = match self.fetch_once().await? {
                Ok(()) if self.intake.received() >= self.size_bytes() => return Ok(()),
                Ok(()) => {
                    let (received, size_bytes) = (self.intake.received(), self.size_bytes());
                    let detail = format!("the body ended after {received} of {size_bytes} bytes");
                    Failure::new(FailureKind::WrongLength, detail)
                }
                Err(error) => self.judge(error, sent).await?,
            };
            // Only new ground counts: a host that makes us start over and over must not look like
            // one that gets on.
            if self.intake.received() >= farthest + GROUND_BYTES_MIN {
                farthest = self.intake.received();
                waits = backoff::quick_waits();
            }
            let Some(wait) = waits.next() else {
                return Err(Setback::Failed { failure: error, keep_part: true });
            };
            if !self.run.sleep(wait).await {
                return Err(Setback::Released);
            }
        }
        Ok(())
    }

    /// One request and its body. The outer error ends the transfer, the inner one this request.
    async fn fetch_once(&mut self) -> Result<Result<(), FetchError>, Setback> {
        if self.run.stop.is_requested() {
            return Err(Setback::Released);
        }
        let Some(url) = self.claim().url().filter(|url| url.expires_at() > now()) else {
            return Err(Setback::UrlExpired { refused: false });
        };
        let wanted =
            Wanted { from: self.intake.received(), size_bytes: self.size_bytes(), etag: self.etag.clone() };
        let opened = tokio::select! {
            opened = self.run.client.get(url, &wanted) => opened,
            () = self.run.stop.requested() => return Err(Setback::Released),
        };
        self.run.underway.send_if_modified(|underway| !std::mem::replace(underway, true));
        let mut body = match opened {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        if body.start() != self.intake.received() {
            // The host ignored the range and sends everything: quietly from the start.
            self.run.board.discarded(self.intake.received());
            self.start_over().await?;
        }
        self.etag = body.etag().map(str::to_owned);
        self.receive(&mut body).await
    }

    async fn receive(&mut self, body: &mut Body) -> Result<Result<(), FetchError>, Setback> {
        loop {
            let chunk = tokio::select! {
                chunk = body.chunk() => chunk,
                () = self.run.stop.requested() => return Err(Setback::Released),
            };
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            let bytes = chunk.len();
            self.intake.take(chunk).map_err(disk_setback)?;
            self.run.received(bytes).await;
            if self.intake.received() > self.size_bytes() {
                let detail = format!("the body is longer than the {} bytes of the record", self.size_bytes());
                return Err(Setback::spoiled(FailureKind::WrongLength, detail));
            }
            self.promise_if_due().await?;
        }
    }

    async fn promise_if_due(&mut self) -> Result<(), Setback> {
        let (bytes, time) = self.intake.since_durable();
        let due = bytes >= PROMISE_BYTES || (bytes >= PROMISE_MIN_BYTES && time >= PROMISE_EVERY);
        if !due || self.intake.received() == self.size_bytes() {
            return Ok(());
        }
        let claim = self.claim.take().expect("a transfer holds its claim until the journal refuses it");
        match promise(self.run, claim, &mut self.intake, self.etag.clone()).await {
            Ok(claim) => {
                self.claim = Some(claim);
                Ok(())
            }
            Err(unfinished) => {
                let (claim, setback) = unfinished.into_parts();
                self.claim = claim;
                Err(setback)
            }
        }
    }

    /// Forgets the bytes so far; where the journal promised some, it hears of it first.
    async fn start_over(&mut self) -> Result<(), Setback> {
        if self.claim().file().offset_bytes > 0 {
            let claim = self.claim.take().expect("a transfer holds its claim until the journal refuses it");
            let restarted = self.run.journal.restarted(claim, now()).await;
            self.claim = Some(restarted.map_err(Setback::halted)?);
        }
        self.intake.restart().await.map_err(disk_setback)
    }

    /// Decides what an interrupted request means: `Err` ends the transfer, `Ok` is worth a wait
    /// and another request.
    async fn judge(&mut self, error: FetchError, sent: Instant) -> Result<Failure, Setback> {
        let detail = error.to_string();
        match error {
            FetchError::UrlExpired { .. } => Err(Setback::UrlExpired { refused: true }),
            FetchError::SessionExpired { .. } => Err(self.sign_in_again(detail, sent).await),
            FetchError::Throttled { retry_after, .. } => {
                if self.run.pause.refused_alone(self.claim().file().id) {
                    return Err(Setback::failed(FailureKind::Server, detail));
                }
                Err(self.pause(icloud::Error::Throttled { retry_after }, sent))
            }
            FetchError::Offline { host, detail } => {
                Err(self.pause(icloud::Error::Offline { host, detail }, sent))
            }
            FetchError::NotFound { .. } => Err(Setback::failed(FailureKind::Server, detail)),
            FetchError::Forbidden(_) => Err(Setback::failed(FailureKind::BadAnswer, detail)),
            FetchError::Server { .. } => Ok(Failure::new(FailureKind::Server, detail)),
            FetchError::Network { .. } => Ok(Failure::new(FailureKind::Network, detail)),
            FetchError::Stalled { .. } => Ok(Failure::new(FailureKind::Stalled, detail)),
            FetchError::BadAnswer { .. } => {
                if self.intake.received() > 0 {
                    // Perhaps it is only the range that this host gets wrong.
                    self.run.board.discarded(self.intake.received());
                    self.start_over().await?;
                }
                Ok(Failure::new(FailureKind::BadAnswer, detail))
            }
        }
    }

    /// The content host refuses the session: one sign-in for all, and then a fresh URL, because
    /// the old one was signed for the old session.
    async fn sign_in_again(&self, refusal: String, sent: Instant) -> Setback {
        if !self.run.pause.may_sign_in(self.run.client.sign_ins()) {
            return Setback::failed(FailureKind::Server, format!("{refusal}, right after a fresh sign-in"));
        }
        tokio::select! {
            signed_in = self.run.client.reauthenticate() => match signed_in {
                Ok(()) => Setback::UrlExpired { refused: true },
                // Apple may put a sign-in off, or the network be away: a pause like any other.
                Err(error) => self.pause(error.into(), sent),
            },
            () = self.run.stop.requested() => Setback::Released,
        }
    }

    /// Everybody waits, and this file goes back in line. Too long a wait ends the run.
    fn pause(&self, why: icloud::Error, sent: Instant) -> Setback {
        match self.run.pause_for(&why, sent) {
            Some(_) => Setback::Released,
            None => Setback::halted(why),
        }
    }
}
