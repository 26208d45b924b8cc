//! Survey: which libraries there are, and what each of them needs.
//!
//! The cheap first question: one request for each database tells which libraries changed since the
//! last run. Its token is kept only when all that it named is in the journal, so a run that is cut
//! short is told again.

use crate::engine::error::Error;
use crate::engine::library::{Library, Need};
use crate::engine::monitor::Notice;
use crate::engine::run::{Run, now, off_thread};
use crate::icloud;
use crate::journal::Followed;
use crate::model::asset::{Database, Zone};

/// How often Apple's count is compared with ours, and an account without a shared library asked
/// whether it has one by now. Changes say all there is to say; this is for what they miss, and once
/// a day costs a run by the hour one request in twenty-four.
const RECOUNT_EVERY_S: i64 = 24 * 3600;

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Every library that is known or new.
    pub(super) libraries: Vec<Library>,
    /// What to ask each database with next time.
    pub(super) tokens: Vec<(Database, String)>,
}

/// Asks what there is to do. `full`: everything is to be listed again, whatever changed.
pub(super) async fn survey(run: &Run, full: bool) -> Result<Survey, Error> {
    let (reader, account) = (run.journal.reader().clone(), run.account);
    let (followed, token) = off_thread(move || {
        Ok::<_, crate::journal::Error>((
            reader.followed(account)?,
            reader.database_token(account, Database::Private)?,
        ))
    })
    .await?;
    match token {
        Some(token) if !full && !followed.is_empty() => changed(run, followed, token.sync_token).await,
        _ => all(run, followed, full).await,
    }
}

/// The first time, or on request: asks for every library by name.
async fn all(run: &Run, followed: Vec<Followed>, full: bool) -> Result<Survey, Error> {
    // The tokens come first: what changes from here on is named next time.
    let mut survey = Survey::default();
    for database in [Database::Private, Database::Shared] {
        survey.tokens.extend(ask(run, database, None).await?.map(|(_, token)| (database, token)));
    }
    let found = run.client.libraries().await?;
    for why in found.warnings {
        run.board.notice(Notice::Note(why));
    }
    for zone in found.zones {
        let known = followed.iter().find(|known| is_same(&known.zone, &zone));
        let token = known.and_then(|known| known.sync_token.clone()).filter(|_| !full);
        let id = run.journal.library(run.account, &zone, None).await?;
        survey.libraries.push(Library {
            id,
            zone,
            need: token.map_or(Need::Listing, Need::Changes),
            recount: false,
            behind: known.is_some_and(|known| known.is_behind),
        });
    }
    Ok(survey)
}

/// Asks which libraries changed since the last time.
async fn changed(run: &Run, followed: Vec<Followed>, token: String) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    let mut named: Vec<Zone> = Vec::new();
    if let Some((zones, token)) = ask(run, Database::Private, Some(token)).await? {
        named.extend(zones);
        survey.tokens.push((Database::Private, token));
    }
    let (reader, account) = (run.journal.reader().clone(), run.account);
    let shared = off_thread(move || reader.database_token(account, Database::Shared)).await?;
    let has_shared = followed.iter().any(|known| known.zone.database == Database::Shared);
    let asked_at = shared.as_ref().map(|token| token.asked_at);
    if has_shared || is_due(asked_at) {
        let token = shared.map(|token| token.sync_token);
        if let Some((zones, token)) = ask(run, Database::Shared, token).await? {
            // A library that stands in both databases is taken from the private one.
            let private = |zone: &Zone| {
                let known = followed.iter().map(|known| &known.zone);
                known
                    .chain(&named)
                    .any(|other| other.database == Database::Private && other.name == zone.name)
            };
            let new: Vec<Zone> = zones.into_iter().filter(|zone| !private(zone)).collect();
            named.extend(new);
            survey.tokens.push((Database::Shared, token));
        }
    }
    for known in followed {
        let was_named = named.iter().position(|zone| is_same(zone, &known.zone));
        let need = match (known.sync_token, was_named) {
            (None, _) => Need::Listing,
            (Some(_), _) if known.wants_another_reading => Need::Listing,
            (Some(token), Some(_)) => Need::Changes(token),
            (Some(token), None) if known.is_behind => Need::Changes(token),
            (Some(_), None) => Need::Nothing,
        };
        if let Some(place) = was_named {
            named.remove(place);
        }
        let recount = need != Need::Listing && is_due(known.recounted_at);
        let behind = known.is_behind;
        survey.libraries.push(Library { id: known.id, zone: known.zone, need, recount, behind });
    }
    for zone in named {
        let id = run.journal.library(run.account, &zone, None).await?;
        survey.libraries.push(Library { id, zone, need: Need::Listing, recount: false, behind: false });
    }
    Ok(survey)
}

/// Asks a database which libraries changed. `None`: the shared one will not say.
async fn ask(
    run: &Run,
    database: Database,
    token: Option<String>,
) -> Result<Option<(Vec<Zone>, String)>, Error> {
    let mut answer = run.client.changed_libraries(database, token.as_deref()).await;
    if token.is_some()
        && matches!(answer, Err(icloud::Error::Server { .. } | icloud::Error::Malformed { .. }))
    {
        // The token is void: every library is named, and each is followed by its own.
        answer = run.client.changed_libraries(database, None).await;
    }
    match answer {
        Ok(changed) => Ok(Some((changed.zones, changed.sync_token))),
        // A failure of the shared database does not cost the private one.
        Err(
            error @ (icloud::Error::Server { .. }
            | icloud::Error::Malformed { .. }
            | icloud::Error::Denied(_)),
        ) if database == Database::Shared => {
            run.board.notice(Notice::Note(format!("cannot ask for shared libraries: {error}")));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn is_same(one: &Zone, other: &Zone) -> bool {
    (one.database, &one.name, &one.owner) == (other.database, &other.name, &other.owner)
}

fn is_due(last_at: Option<i64>) -> bool {
    // A time ahead of now comes from a clock that was wrong.
    last_at.is_none_or(|at| !(0..RECOUNT_EVERY_S).contains(&now().saturating_sub(at)))
}
