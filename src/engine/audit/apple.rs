//! Apple's side of the sheet: what it counts, what it says changed, and why that is not what the journal
//! holds.

use std::collections::BTreeMap;

use crate::engine::audit::{Audit, Kind, Sheet};
use crate::engine::error::Error;
use crate::icloud::{self, Client, Delta};
use crate::journal::{Library, Reader};
use crate::model::asset::Zone;
use crate::model::ids::{AccountId, LibraryId};
use crate::model::time;

/// What Apple says now of its libraries.
#[derive(Clone, Debug, Default)]
pub struct Asked(Vec<AskedLibrary>);

/// What Apple says of one library.
#[derive(Clone, Debug)]
struct AskedLibrary {
    zone: Zone,
    /// How many assets it holds, visible and hidden; `None` if it does not count.
    count: Option<u64>,
    /// What changed in it since the journal last followed it.
    changed: Changed,
}

/// What is known of the changes of a library since the journal followed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Changed {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// So many assets changed, or at least so many.
    Told { assets: u64, more: bool },
    /// Apple no longer knows the point from which to tell: the listing is older than that.
    TooLongAgo,
    /// Nobody can ask: the library is to be listed anew, so the journal has no point to ask from.
    ToBeListed,
    /// Apple gave no answer.
    NoAnswer,
}

/// Asks Apple for the libraries, their counts, and what changed in them since the last sync: two
/// requests for each. An equal count proves little: one asset may have come for another, or be edited.
///
/// # Errors
/// If Apple cannot be asked. A library that does not count is an answer, not an error.
pub async fn ask(client: &Client, reader: &Reader, account: AccountId) -> Result<Asked, Error> {
    let followed = reader.followed(account)?;
    let mut asked = Vec::new();
    for zone in client.libraries().await?.zones {
        let count = match client.counts(&zone).await {
            Ok(counts) => Some(counts.total()),
            Err(
                icloud::Error::Server { .. } | icloud::Error::Malformed { .. } | icloud::Error::Denied(_),
            ) => None,
            Err(error) => return Err(error.into()),
        };
        let known = followed.iter().find(|of| same(&of.zone, &zone));
        let mut changed = match known.map(|of| (of.id, of.sync_token.clone())) {
            Some((id, Some(token))) => changed_since(client, reader, &zone, id, token).await?,
            Some((_, None)) => Changed::ToBeListed,
            None => Changed::NotAsked,
        };
        if changed == Changed::TooLongAgo
            && known.is_some_and(|of| of.sync_token.is_some() && !of.is_behind)
            && is_named_unchanged(client, reader, account, &zone).await?
        {
            changed = Changed::Told { assets: 0, more: false };
        }
        asked.push(AskedLibrary { zone, count, changed });
    }
    Ok(Asked(asked))
}

/// Whether the database, asked from where the last sync asked it, does not name the library: then nothing
/// changed in it, although the library's own token is void.
async fn is_named_unchanged(
    client: &Client,
    reader: &Reader,
    account: AccountId,
    zone: &Zone,
) -> Result<bool, Error> {
    let Some(token) = reader.database_token(account, zone.database)? else { return Ok(false) };
    match client.changed_libraries(zone.database, Some(&token.sync_token)).await {
        Ok(changed) => Ok(!changed.zones.iter().any(|named| same(named, zone))),
        Err(icloud::Error::Server { .. } | icloud::Error::Malformed { .. } | icloud::Error::Denied(_)) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// What changed in a library since a token, to the first page with an asset on it. Albums, and what the
/// journal never held, are no assets of ours.
async fn changed_since(
    client: &Client,
    reader: &Reader,
    zone: &Zone,
    library: LibraryId,
    token: String,
) -> Result<Changed, Error> {
    let mut walk = client.zone_changes(zone, token);
    loop {
        match walk.next().await {
            Ok(Delta::Page(page)) => {
                let assets = page.assets() as u64 + reader.present_among(library, page.purged())?;
                if assets > 0 || !page.more {
                    return Ok(Changed::Told { assets, more: page.more });
                }
            }
            Ok(Delta::TokenVoid(_)) => return Ok(Changed::TooLongAgo),
            Err(
                icloud::Error::Server { .. } | icloud::Error::Malformed { .. } | icloud::Error::Denied(_),
            ) => return Ok(Changed::NoAnswer),
            Err(error) => return Err(error.into()),
        }
    }
}

impl Audit {
    /// Apple's count against the journal's.
    pub(super) fn counts(
        &mut self,
        libraries: &[Library],
        sheets: &mut BTreeMap<LibraryId, Sheet>,
        hiding: &BTreeMap<LibraryId, u64>,
        asked: Option<Asked>,
    ) -> Result<(), Error> {
        let since = self.reader.last_listing(self.account)?;
        let since = since.map_or_else(|| "the last run".to_owned(), |run| format!("run {run}"));
        let online = asked.is_some();
        let mut asked = asked.unwrap_or_default().0;
        let followed = self.reader.followed(self.account)?;
        for library in libraries {
            let Some(sheet) = sheets.get_mut(&library.id) else { continue };
            let name = sheet.library.clone();
            if sheet.enumerated.is_none() {
                let reason = "it was not listed to its end yet: run \"rollbook sync\"".to_owned();
                self.tell(Some(&mut *sheet), Kind::NotListed, None, name.clone(), reason);
            }
            let mut changed = Changed::NotAsked;
            if online {
                let place = asked.iter().position(|of| same(&of.zone, &library.zone));
                let Some(place) = place else {
                    let reason = "the account no longer has this library; what is here stays".to_owned();
                    self.tell(Some(&mut *sheet), Kind::Left, None, name, reason);
                    continue;
                };
                let of = asked.swap_remove(place);
                (sheet.apple_count, sheet.asked_now, changed) = (of.count, true, of.changed);
            }
            let hiding = hiding.get(&library.id).copied().unwrap_or_default();
            let Some(reason) = count_reason(sheet, changed, hiding, &since) else { continue };
            let recounted_at = followed.iter().find(|of| of.id == library.id).and_then(|of| of.recounted_at);
            if let Some(at) = recounted_at.filter(|_| !online)
                && self.reader.changed_since(library.id, at)?
            {
                let reason = format!(
                    "Apple's count is of {}, and the library changed since: audit without --offline asks anew",
                    time::moment(at)
                );
                self.tell(Some(sheet), Kind::CountOld, None, name, reason);
            } else {
                self.tell(Some(sheet), Kind::Count, None, name, reason);
            }
        }
        for AskedLibrary { zone, count, .. } in asked {
            let count = count.map_or_else(|| "an unknown number of".to_owned(), |count| count.to_string());
            let reason = format!("{count} assets in a library that was never listed: run \"rollbook sync\"");
            self.tell(None, Kind::NotListed, None, zone.name, reason);
        }
        Ok(())
    }
}

/// Why Apple's count is not the journal's, or what an equal one hides; `None` if nothing is to be said.
/// `changed`: what did so in the library since the journal followed it, if Apple told.
fn count_reason(sheet: &Sheet, changed: Changed, hiding: u64, since: &str) -> Option<String> {
    let held = sheet.assets.present;
    let Some(apple) = sheet.apple_count else {
        return Some("Apple did not say how many assets it holds; ask again later".to_owned());
    };
    // Records that cannot be used are counted by Apple, and named one by one.
    if (held..=held + hiding).contains(&apple) {
        return match changed {
            Changed::NotAsked | Changed::Told { assets: 0, .. } => None,
            Changed::Told { assets, more } => {
                let at_least = if more { "at least " } else { "" };
                let changes = if assets == 1 { "change" } else { "changes" };
                Some(format!(
                    "{at_least}{assets} {changes} in iCloud since {since}, not seen yet: run \"rollbook sync\""
                ))
            }
            // An equal count proves little: one asset may have come for another, or be edited.
            Changed::TooLongAgo => Some(format!(
                "the counts are equal, but Apple no longer says what changed since {since}: the listing is older \
                 than that; run \"rollbook sync --full\""
            )),
            Changed::ToBeListed => Some(
                "the counts are equal, but this library is to be listed anew before its changes can be asked for: \
                 the next \"rollbook sync\" that wants it does so"
                    .to_owned(),
            ),
            Changed::NoAnswer => Some(format!(
                "the counts are equal, but Apple did not say what changed since {since}; ask again later"
            )),
        };
    }
    let (number, is_ahead) = if apple > held { (apple - held, true) } else { (held - apple, false) };
    let why = match (changed, is_ahead) {
        (Changed::Told { assets: 0, .. }, true) => {
            format!("{number} missing from the journal, and nothing changed since {since}")
        }
        (Changed::Told { assets: 0, .. }, false) => {
            format!("{number} that Apple does not count, and nothing changed since {since}")
        }
        (Changed::Told { .. }, true) => format!("{number} newer in iCloud since {since}"),
        (Changed::Told { .. }, false) => format!("{number} fewer in iCloud since {since}"),
        (_, true) => format!("{number} missing from the journal"),
        (_, false) => format!("{number} that Apple does not count"),
    };
    Some(format!("Apple counts {apple}, the journal holds {held}: {why}: run \"rollbook sync\""))
}

fn same(one: &Zone, other: &Zone) -> bool {
    (one.database, &one.name, &one.owner) == (other.database, &other.name, &other.owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::AssetCount;

    #[test]
    fn a_count_balances_exactly_or_is_a_reason() {
        let sheet = |apple, held| Sheet {
            apple_count: apple,
            asked_now: true,
            assets: AssetCount { present: held, ..AssetCount::default() },
            ..Sheet::default()
        };
        let reason = |apple, held, changed: Option<u64>, hiding| {
            let told = |assets| Changed::Told { assets, more: assets > 100 };
            let changed = changed.map_or(Changed::NotAsked, told);
            count_reason(&sheet(apple, held), changed, hiding, "run 12")
        };
        assert_eq!(reason(Some(60), 60, None, 0), None);
        assert_eq!(reason(Some(60), 60, Some(0), 0), None);
        assert_eq!(reason(Some(62), 60, None, 2), None);
        let unknown = |changed| count_reason(&sheet(Some(60), 60), changed, 0, "run 12");
        for (reason, says) in [
            (unknown(Changed::TooLongAgo), "the listing is older than that; run \"rollbook sync --full\""),
            (unknown(Changed::ToBeListed), "the next \"rollbook sync\" that wants it"),
            (unknown(Changed::NoAnswer), "did not say what changed since run 12; ask again later"),
            (reason(Some(63), 60, Some(3), 0), "3 newer in iCloud since run 12"),
            (reason(Some(58), 60, Some(2), 0), "2 fewer in iCloud since run 12"),
            (reason(Some(60), 59, Some(0), 0), "1 missing from the journal, and nothing changed"),
            (reason(Some(60), 61, Some(0), 9), "1 that Apple does not count"),
            (reason(Some(63), 60, None, 2), "3 missing from the journal"),
            (reason(Some(60), 60, Some(2), 0), "2 changes in iCloud since run 12, not seen yet"),
            (reason(Some(61), 60, Some(200), 1), "at least 200 changes in iCloud since run 12"),
            (reason(None, 60, None, 0), "did not say"),
        ] {
            assert!(reason.as_ref().is_some_and(|reason| reason.contains(says)), "{says}: {reason:?}");
        }
    }
}
