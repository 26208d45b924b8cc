//! Repair: fetches what the journal wants already, without asking what is new in iCloud.
//!
//! For files that were lost: their rows wait like any other, only nothing has to be listed for them.
//! Files that are missing are looked for first, as by every sync; what is nowhere is wanted again, for
//! that is what a repair was asked for. Addresses come from a look-up, as for every row whose own have run out.

use std::sync::Arc;

use crate::engine::error::Error;
use crate::engine::library::{Library, Need};
use crate::engine::monitor::Phase;
use crate::engine::run::{Run, now};
use crate::engine::{Policy, Report, Settings, Tools, begin, close, recover, summary, sweep, work};
use crate::journal::{Missing, Requeue, Verb};
use tokio::sync::watch;

/// Brings home every file of the account that the journal wants and that Apple still has.
///
/// # Errors
/// What ends the run early. Everything durable stays.
pub async fn repair(tools: Tools, settings: &Settings) -> Result<Report, Error> {
    let run = Arc::new(begin(tools, settings, Verb::Sync).await?);
    if let Err(error) = fetch(&run, settings).await {
        run.halt(error);
    }
    close(&run, settings).await
}

async fn fetch(run: &Arc<Run>, settings: &Settings) -> Result<(), Error> {
    run.board.phase(Phase::Recovering);
    recover::recover(run).await?;
    let policy = Policy { missing_files: Missing::Refetched, check_files: true, ..settings.policy.clone() };
    sweep::sweep(run, &Settings { policy, ..settings.clone() }).await?;
    run.board.begin(&summary(run, settings).await?);
    run.board.phase(Phase::Syncing);
    let libraries = run.journal.reader().libraries()?.into_iter();
    let libraries: Vec<Library> = libraries
        .filter(|of| of.username == settings.username)
        .map(|of| Library { id: of.id, zone: of.zone, need: Need::Nothing, recount: false, behind: false })
        .collect();
    run.board.enumerated();
    // Nothing is being listed: what is claimable now is all there will be.
    let (_, listing) = watch::channel(false);
    work::work(run, &libraries, None, listing.clone()).await;
    if run.stop.is_requested() {
        return Ok(());
    }
    let requeued = run.journal.requeue(run.id, now(), Requeue::FailedInThisRun).await?;
    if requeued > 0 {
        run.board.phase(Phase::Retrying);
        run.board.requeued(requeued as u64);
        work::work(run, &libraries, None, listing).await;
    }
    Ok(())
}
