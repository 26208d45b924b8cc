//! The flow of a run. The file names are the stages:
//!
//! `recover` → ( `enumerate` ∥ `work` ) → retry → report, where work is, for each file,
//! `prepare` → `transfer` → `check` → `publish`, and `renew` between them when URLs have run out.
//!
//! Stages share the journal and nothing else that could be lost. Two rules hold everywhere:
//! *bytes before journal* and *publish before verified* (see the crate's head).
//!
//! The engine never prints: it tells a [`Monitor`].

mod adopt;
mod album_views;
mod audit;
mod bandwidth;
mod board;
mod catch_up;
mod check;
mod dates;
mod doubts;
mod enumerate;
mod error;
mod exit_kit;
mod fullness;
mod governor;
mod held;
mod intake;
mod keep;
mod library;
mod met;
mod monitor;
mod pause;
mod place;
mod policy;
mod prepare;
mod publish;
mod recover;
mod relayout;
mod renew;
mod repair;
mod room;
mod run;
mod scrub;
mod setback;
mod settle;
mod sidecars;
mod stop;
mod survey;
mod sweep;
mod transfer;
mod trash;
mod twin;
mod work;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use adopt::{Adopted, Adopting, HowToAdopt, adopt};
pub use album_views::{AlbumViews, AlbumsBuilt, Look, build_albums};
pub use audit::{Asked, Audited, Difference, Inquiry, Kind, Sheet, ask, audit};
pub use bandwidth::Bandwidth;
pub use error::Error;
pub use exit_kit::{KitLaidOut, KitWish, lay_out_kit};
pub use governor::Threads;
pub use keep::{Looked, Rebuilt, Restored, keep_snapshot, rebuild, restore, snapshots};
pub use monitor::{Monitor, Notice, Phase, Progress, Silent};
pub use policy::{Deleted, Policy};
pub use relayout::{Relaid, Relayouting, relayout, relayout_dry};
pub use repair::repair;
pub use scrub::{Bench, FRESH_S, Scrubbed, Wanted, Wrong, scrub};
pub use stop::Stop;
pub use trash::{Stay, Undeleted, undelete};

use crate::disk::Destination;
use crate::disk::space::Room;
use crate::fault;
use crate::icloud::{self, Client};
use crate::journal::{Journal, Requeue, Summary, Tally, Verb};
use crate::model::choices::Choices;
use board::Board;
use doubts::Doubts;
use run::{Run, now};
use tokio::sync::watch;

/// How long the next run waits when Apple asked for it without saying how long.
const WAIT_UNSTATED: Duration = Duration::from_secs(900);

/// What a person chose for a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account, as it signs in.
    pub username: String,
    /// Where the files go.
    pub directory: PathBuf,
    /// Files fetched at the same time.
    pub threads: Threads,
    /// The most bytes of files a second, shared with whoever holds a clone.
    pub bandwidth: Option<Bandwidth>,
    /// Which files, and where they go.
    pub choices: Arc<Choices>,
    /// Most assets to bring home in this run.
    pub limit: Option<NonZeroUsize>,
    /// Bytes that stay free where the files go; `None` for what is usual.
    pub keep_free_bytes: Option<u64>,
    /// Try every failed file again, parked ones too.
    pub retry_failed: bool,
    /// Keep albums as folders of links.
    pub album_views: Option<AlbumViews>,
    /// Whether JPEGs without a date of capture get it.
    pub set_exif_datetime: bool,
    /// Write XMP sidecars beside the files.
    pub sidecars: bool,
    /// What becomes of files that vanish.
    pub policy: Policy,
    /// List every library from end to end instead of asking for its changes.
    pub full: bool,
}

impl Settings {
    /// The same for the file system of a destination: names are no longer than it takes.
    fn at(&self, destination: &Destination) -> Result<Self, Error> {
        let layout = self.choices.layout.clone().within(destination.name_bytes_max()?);
        let choices = Arc::new(Choices { layout, ..(*self.choices).clone() });
        Ok(Self { choices, ..self.clone() })
    }
}

/// What a run works with. The caller holds the run lock of the journal's directory.
pub struct Tools {
    /// The journal.
    pub journal: Arc<Journal>,
    /// A signed-in account.
    pub client: Client,
    /// Where its files go, from [`open_destination`].
    pub destination: Destination,
    /// Who watches.
    pub monitor: Arc<dyn Monitor>,
    /// Who may ask to stop.
    pub stop: Stop,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The last counts.
    pub progress: Progress,
    /// Bytes fetched, those of failed attempts included.
    pub bytes_fetched: u64,
    /// What the journal says at the end.
    pub summary: Summary,
    /// Libraries that could not be listed. Their new photos are not accounted for.
    pub libraries_skipped: u64,
    /// Files of the trash, or due for it, that stay where they are: too many at once, and a person is asked; or
    /// something is in their way.
    pub held_back: u64,
    /// Files that are gone here, and nowhere else: released, or wanted again.
    pub missing: u64,
    /// The run brought home as many assets as it may. The others wait for the next one.
    pub limited: bool,
    /// The run was asked to stop before it was done.
    pub interrupted: bool,
}

impl Report {
    /// Files that are not here, other than those that only wait for the next run.
    #[must_use]
    pub fn files_amiss(&self) -> u64 {
        if self.limited { self.summary.failed.files } else { self.summary.open().files }
    }
}

/// What a sync would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the journal says after a full enumeration.
    pub summary: Summary,
    /// The room at the destination.
    pub room: Room,
    /// The enumeration was asked to stop before it was done.
    pub interrupted: bool,
}

/// Brings the destination in line with the library: every file in scope verified, or named with
/// its reason.
///
/// # Errors
/// What ends the run early. Everything durable stays, and the next run goes on from there.
pub async fn sync(tools: Tools, settings: &Settings) -> Result<Report, Error> {
    let settings = &settings.at(&tools.destination)?;
    let run = Arc::new(begin(tools, settings, Verb::Sync).await?);
    if let Err(error) = sync_all(&run, settings).await {
        run.halt(error);
    }
    close(&run, settings).await
}

/// Closes a run, and says what came of it: a report, or what ended it early.
async fn close(run: &Run, settings: &Settings) -> Result<Report, Error> {
    let no_room = room::settle(run).await;
    let halted = run.take_halt();
    let report = end(run, settings, halted.is_some()).await;
    match halted.or(no_room.map(Error::Disk)) {
        Some(error) => {
            remember_wait(run, settings, &error).await;
            Err(error)
        }
        None => report,
    }
}

async fn sync_all(run: &Arc<Run>, settings: &Settings) -> Result<(), Error> {
    run.board.phase(Phase::Recovering);
    recover::recover(run).await?;
    trash::recover(run).await?;
    fault::point("recovered");
    run.journal.apply_choices(run.account, Arc::clone(&settings.choices), now()).await?;
    fault::point("choices-applied");
    sweep::sweep(run, settings).await?;
    let which = if settings.retry_failed { Requeue::All } else { Requeue::Due };
    run.journal.requeue(run.id, now(), which).await?;
    fault::point("due-requeued");
    let known = summary(run, settings).await?;
    run.board.begin(&known);
    let warned = room::forecast(run, &known).await;

    run.board.phase(Phase::Syncing);
    let surveyed = unless_stopped(run, survey::survey(run, settings.full)).await?;
    let Some(survey) = surveyed else { return Ok(()) };
    let (enumerating, watched) = watch::channel(true);
    let listing = async {
        enumerate::enumerate(run, &survey, &settings.choices).await;
        enumerating.send_replace(false);
        run.bell.notify_one();
        if !warned && let Ok(known) = summary(run, settings).await {
            room::forecast(run, &known).await;
        }
    };
    tokio::join!(listing, work::work(run, &survey.libraries, settings.limit, watched.clone()));

    if run.stop.is_requested() || run.fullness.is_full() {
        return Ok(());
    }
    let wanted = trash::bring_back(run).await?;
    if settings.limit.is_some() {
        // A second attempt would begin as many assets again.
        return beside(run, settings).await;
    }
    // The second attempt: what failed goes back in line without a URL, so each gets a fresh one.
    let requeued = run.journal.requeue(run.id, now(), Requeue::FailedInThisRun).await?;
    fault::point("failed-requeued");
    if requeued > 0 || wanted > 0 {
        run.board.phase(Phase::Retrying);
        run.board.requeued(requeued as u64);
        work::work(run, &survey.libraries, settings.limit, watched).await;
    }
    beside(run, settings).await
}

/// The trash, and what stands beside the photos: from the journal, when everything else is done.
async fn beside(run: &Run, settings: &Settings) -> Result<(), Error> {
    if !run.stop.is_requested() {
        trash::tidy(run, settings).await?;
    }
    if settings.set_exif_datetime && !run.stop.is_requested() {
        dates::write(run).await?;
    }
    if settings.sidecars && !run.stop.is_requested() {
        sidecars::write(run).await?;
    }
    if let Some(views) = settings.album_views.as_ref().filter(|_| !run.stop.is_requested()) {
        let (journal, destination) = (&run.journal, &run.destination);
        let built = build_albums(journal, destination, run.account, views, Look::AtNone, &run.stop).await?;
        for path in built.foreign {
            run.board
                .notice(Notice::Note(format!("{path} is a file of somebody else, not a link of an album")));
        }
    }
    let (reader, account) = (run.journal.reader().clone(), run.account);
    if !run.stop.is_requested() && run::off_thread(move || reader.has_links_to_make(account)).await? {
        for refused in
            album_views::follow_views(&run.journal, &run.destination, run.account, &run.stop).await?
        {
            run.board.notice(Notice::ViewStays { why: refused.to_string() });
        }
    }
    Ok(())
}

/// Enumerates into the journal and fetches nothing.
///
/// # Errors
/// What ends the enumeration early.
pub async fn plan(tools: Tools, settings: &Settings) -> Result<Plan, Error> {
    let settings = &settings.at(&tools.destination)?;
    let run = begin(tools, settings, Verb::Plan).await?;
    run.underway.send_replace(true);
    let listed = async {
        run.journal.apply_choices(run.account, Arc::clone(&settings.choices), now()).await?;
        run.board.begin(&summary(&run, settings).await?);
        run.board.phase(Phase::Syncing);
        if let Some(survey) = unless_stopped(&run, survey::survey(&run, settings.full)).await? {
            enumerate::enumerate(&run, &survey, &settings.choices).await;
        }
        Ok::<(), Error>(())
    };
    if let Err(error) = listed.await {
        run.halt(error);
    }
    let halted = run.take_halt();
    let report = end(&run, settings, halted.is_some()).await;
    if let Some(error) = halted {
        remember_wait(&run, settings, &error).await;
        return Err(error);
    }
    let Report { summary, interrupted, .. } = report?;
    Ok(Plan { summary, interrupted, room: run.on_disk(|destination| destination.room()).await? })
}

/// Opens the account's destination, and ends what a killed relayout, or a killed change of dates, left
/// there. Comes before signing in: where nothing can be written, nobody is asked for anything.
///
/// # Errors
/// [`crate::disk::Error::Absent`] and its kin.
pub async fn open_destination(journal: &Journal, settings: &Settings) -> Result<Destination, Error> {
    let known = journal.reader().destination(&settings.username)?;
    let (expected, remembered) = known.map(|of| (of.id, of.file_system)).unzip();
    let directory = settings.directory.clone();
    let wanted = settings.album_views.as_ref().map(|views| views.kind);
    let opened = run::off_thread(move || {
        let opened = Destination::open(&directory, expected.as_deref())?;
        Ok::<_, crate::disk::Error>(opened.acquainted(remembered.unwrap_or_default(), wanted))
    });
    let opened = opened.await?.keeping(settings.keep_free_bytes);
    match journal.reader().known_account(&settings.username)? {
        Some((account, _)) => {
            let opened = relayout::finish(journal, opened, account).await?;
            dates::finish(journal, opened, account).await
        }
        None => Ok(opened),
    }
}

/// Remembers the destination, and opens the run.
async fn begin(tools: Tools, settings: &Settings, verb: Verb) -> Result<Run, Error> {
    let Tools { journal, client, destination, monitor, stop } = tools;
    let account = journal.account(&settings.username, &client.dsid(), now()).await?;
    let (id, file_system) = (destination.id(), destination.file_system());
    journal.add_destination(account, id, destination.directory(), file_system, now()).await?;
    fault::point("destination-kept");
    client.ask_for_previews(settings.choices.renditions.previews());
    client.ask_for_cameras(settings.choices.layout.uses_camera());
    let id = journal.begin_run_for(account, verb, now()).await?;
    fault::point("run-begun");
    let doubts = Doubts::of(journal.doubted(id).await?);
    Ok(Run::new(
        id,
        account,
        journal,
        client,
        destination,
        Board::new(monitor),
        doubts,
        stop,
        settings.threads,
        settings.bandwidth.clone(),
    ))
}

/// What the journal holds of this account.
async fn summary(run: &Run, settings: &Settings) -> Result<Summary, Error> {
    let (reader, username) = (run.journal.reader().clone(), settings.username.clone());
    Ok(run::off_thread(move || reader.summary(Some(&username))).await?)
}

/// Waits for an answer of the service, but not longer than someone asks to stop.
async fn unless_stopped<T>(
    run: &Run,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<Option<T>, Error> {
    tokio::select! {
        answer = answer => answer.map(Some),
        () = run.stop.requested() => Ok(None),
    }
}

/// Closes the run's row, whatever came of it.
async fn end(run: &Run, settings: &Settings, halted: bool) -> Result<Report, Error> {
    let progress = run.board.progress();
    let interrupted = run.stop.is_requested();
    let summary = summary(run, settings).await?;
    let report = Report {
        progress,
        bytes_fetched: run.board.bytes_fetched(),
        summary,
        libraries_skipped: run.board.libraries_skipped(),
        held_back: run.board.held_back_files(),
        missing: run.board.missing_files(),
        limited: run.board.is_limited(),
        interrupted,
    };
    let outcome = match (halted, interrupted, report.files_amiss() + report.libraries_skipped) {
        (true, ..) => "halted",
        (_, true, _) => "interrupted",
        (.., 0) if report.limited => "limited",
        (.., 0) => "complete",
        _ => "incomplete",
    };
    let done = Tally { files: progress.files_verified, bytes: report.bytes_fetched };
    fault::point("run-ending");
    run.journal.end_run(run.id, now(), outcome, done).await?;
    fault::point("run-ended");
    Ok(report)
}

/// Apple's wish to wait outlives the process: a restart loop must not ask again and again.
async fn remember_wait(run: &Run, settings: &Settings, error: &Error) {
    if let Error::Service(icloud::Error::Throttled { retry_after }) = error {
        let wait = retry_after.unwrap_or(WAIT_UNSTATED);
        let until = now().saturating_add(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX));
        let told = run.journal.wait_until(&settings.username, until, now()).await;
        if let Err(error) = told {
            tracing::warn!("cannot remember Apple's wish to wait: {error}");
        }
    }
}
