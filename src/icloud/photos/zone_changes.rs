//! What changed in one library since a token, page by page.
//!
//! A page brings records of every type. Photos come as halves, and often only the half that
//! changed: a favourite is a change of the asset, a new name one of the master. The other half is
//! looked up, so a page is whole by itself and nothing waits across pages or runs.
//!
//! Empty pages with more behind them are usual. Only `moreComing` ends the walk; a token that no
//! longer moves ends it too, as an error.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::http::now;
use crate::icloud::photos::albums::{self, Placed};
use crate::icloud::photos::answer::Entry;
use crate::icloud::photos::body::ZoneId;
use crate::icloud::photos::fields::{Key, RecordWire, desired_keys};
use crate::icloud::photos::lookup::LOOKUP_NAMES_MAX;
use crate::icloud::photos::pairing::Pairing;
use crate::icloud::photos::{Refusal, Verdict, by_code, read, read_records};
use crate::icloud::wire::{self, Lenient, List, Value};
use crate::model::asset::{OddityKind, Zone};
use crate::model::change::{Changes, Member};

/// Records on a page: the most that the service gives.
const PAGE_RECORDS: u32 = 200;
/// How often in a row a page may be empty and its token the one before. Dozens of empty pages in a
/// row are usual, but each has a token of its own.
const STANDSTILLS_MAX: u32 = 20;
/// Fields beside those of photos: of albums, and of what lies in them.
const ALBUM_KEYS: [&str; 6] = ["albumNameEnc", "albumType", "parentId", "position", "itemId", "containerId"];
const ENDPOINT: &str = "changes/zone";

/// A walk through the changes of a library. It owns its place; after an error it stands where it
/// was, and may be asked again.
#[derive(Debug)]
pub struct ZoneChanges {
    client: Client,
    zone: Zone,
    token: String,
    standstills: u32,
}

/// What a question for changes brought.
#[derive(Debug)]
pub enum Delta {
    /// A page, some of it perhaps half: see [`ZoneChanges::complete`].
    Page(Box<ChangedPage>),
    /// The service no longer knows the token, or it is one of another kind: list the library anew.
    TokenVoid(String),
}

/// A page of changes, as it came.
#[derive(Debug)]
pub struct ChangedPage {
    changes: Changes,
    /// Masters and assets, as text.
    halves: Vec<Box<str>>,
    lone_masters: Vec<String>,
    /// How many of the halves are assets.
    assets: usize,
    /// Whether more pages are to come.
    pub more: bool,
}

impl ChangedPage {
    /// Masters that came without an asset: a change of theirs concerns every asset that points to
    /// them.
    #[must_use]
    pub fn lone_masters(&self) -> &[String] {
        &self.lone_masters
    }

    /// How many assets it is about, at least. Those of [`ChangedPage::purged`] are not counted.
    #[must_use]
    pub fn assets(&self) -> usize {
        self.assets + self.lone_masters.len()
    }

    /// Names of records that are gone for good, of whatever type.
    #[must_use]
    pub fn purged(&self) -> &[String] {
        &self.changes.purged
    }
}

#[derive(Serialize)]
struct ZonesBody<'a> {
    zones: [ZoneBody<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ZoneBody<'a> {
    #[serde(rename = "zoneID")]
    zone_id: ZoneId<'a>,
    sync_token: &'a str,
    results_limit: u32,
    desired_keys: Vec<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ZonesAnswer<'a> {
    #[serde(borrow)]
    zones: List<Lenient<ZoneAnswer<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ZoneAnswer<'a> {
    #[serde(borrow)]
    records: List<&'a RawValue>,
    #[serde(borrow)]
    sync_token: Value<'a>,
    #[serde(borrow)]
    more_coming: Value<'a>,
    #[serde(borrow)]
    server_error_code: Value<'a>,
    #[serde(borrow)]
    reason: Value<'a>,
    #[serde(borrow)]
    retry_after: Value<'a>,
}

impl Client {
    /// Begins a walk through what changed in a library since `sync_token`, which a listing or an
    /// earlier walk gave.
    #[must_use]
    pub fn zone_changes(&self, zone: &Zone, sync_token: String) -> ZoneChanges {
        ZoneChanges { client: self.clone(), zone: zone.clone(), token: sync_token, standstills: 0 }
    }

    /// Looks up assets by name: as they are now, or gone.
    ///
    /// # Errors
    /// [`Error`]. An asset that is gone is none.
    /// # Panics
    /// When more than [`LOOKUP_NAMES_MAX`] names are given.
    pub async fn look_up_assets(&self, zone: &Zone, names: &[String]) -> Result<Changes, Error> {
        assert!(names.len() <= LOOKUP_NAMES_MAX, "a look-up takes {LOOKUP_NAMES_MAX} names at most");
        let mut changes = Changes::default();
        let mut pairing = Pairing::of(self.extras());
        self.look_up_into(zone, names, &mut pairing, &mut changes).await?;
        self.look_up_masters(zone, &mut pairing, &mut changes).await?;
        Ok(changes)
    }

    /// Looks up records; the halves go to `pairing`, the names of those that are gone to `changes`.
    async fn look_up_into(
        &self,
        zone: &Zone,
        names: &[String],
        pairing: &mut Pairing,
        changes: &mut Changes,
    ) -> Result<(), Error> {
        let answer = self.look_up_raw(zone, names, self.extras()).await?;
        let text = wire::text_of(&answer);
        let mut halves = read_records("records/lookup", &text)?.records.unwrap_or_default();
        halves.retain(|entry| {
            let gone = entry.wire.as_ref().ok().and_then(gone);
            changes.purged.extend(gone.map(str::to_owned));
            gone.is_none()
        });
        pairing.take(halves, "look-up", now(), &mut changes.page);
        Ok(())
    }

    /// Looks up the masters that assets wait for. An asset whose master is not to be had is named.
    async fn look_up_masters(
        &self,
        zone: &Zone,
        pairing: &mut Pairing,
        changes: &mut Changes,
    ) -> Result<(), Error> {
        while pairing.waiting_assets() > 0 {
            let mut names = pairing.wanted_masters();
            names.truncate(LOOKUP_NAMES_MAX);
            let mut found = Changes::default();
            self.look_up_into(zone, &names, pairing, &mut found).await?;
            changes.page.assets.append(&mut found.page.assets);
            let reasons = found.page.oddities;
            pairing.give_up(&names, &reasons, &mut changes.page);
            let of_assets = reasons.into_iter().filter(|oddity| !names.contains(&oddity.record_name));
            changes.page.oddities.extend(of_assets);
        }
        Ok(())
    }
}

impl ZoneChanges {
    /// Fetches the next page. Nothing is behind one that says `more: false`.
    ///
    /// # Errors
    /// [`Error`]; the walk stands where it was. [`Error::Throttled`] and
    /// [`crate::icloud::Denial::NoSuchZone`] may stand inside an answer for this library alone.
    pub async fn next(&mut self) -> Result<Delta, Error> {
        let body = ZonesBody {
            zones: [ZoneBody {
                zone_id: (&self.zone).into(),
                sync_token: &self.token,
                results_limit: PAGE_RECORDS,
                desired_keys: desired_keys(self.client.extras()).into_iter().chain(ALBUM_KEYS).collect(),
            }],
        };
        let answer = self.client.call(self.zone.database, ENDPOINT, &body).await?;
        let text = wire::text_of(&answer);
        let answer: Lenient<ZonesAnswer<'_>> = read(ENDPOINT, &text)?;
        let zone = answer.zones.items().first().ok_or_else(|| malformed("no zones"))?;
        if let Some(code) = zone.server_error_code.name() {
            return refused(code, zone);
        }
        let records = zone.records.0.as_deref().ok_or_else(|| malformed("no records"))?;
        let token = zone.sync_token.name().ok_or_else(|| malformed("no sync token"))?;
        let stands = records.is_empty() && token == self.token;
        // Where it does not say whether more is to come, the walk ends when it moves no more.
        let more = zone.more_coming.flag().unwrap_or(!stands);
        let stands = more && stands;
        self.standstills = if stands { self.standstills + 1 } else { 0 };
        if self.standstills >= STANDSTILLS_MAX {
            return Err(malformed("more is coming, without end"));
        }
        let mut page = sort(records);
        page.more = more;
        page.changes.page.sync_token = Some(token.to_owned());
        self.token = token.to_owned();
        Ok(Delta::Page(Box::new(page)))
    }

    /// Looks up the halves that are missing on a page. `assets` are the names of known assets that
    /// point to its [`ChangedPage::lone_masters`].
    ///
    /// # Errors
    /// [`Error`]; the page is as it was.
    pub async fn complete(&self, page: &ChangedPage, assets: &[String]) -> Result<Changes, Error> {
        let mut changes = page.changes.clone();
        let mut pairing = Pairing::of(self.client.extras());
        let halves = page.halves.iter().map(|raw| Entry::of(raw)).collect();
        pairing.take(halves, "changes", now(), &mut changes.page);
        for names in assets.chunks(LOOKUP_NAMES_MAX) {
            let mut found = Changes::default();
            self.client.look_up_into(&self.zone, names, &mut pairing, &mut found).await?;
            changes.page.assets.append(&mut found.page.assets);
            // What is refused or gone here has a change of its own, on this page or a later one.
            found.page.oddities.retain(|oddity| oddity.kind != OddityKind::Refused);
            changes.page.oddities.append(&mut found.page.oddities);
        }
        self.client.look_up_masters(&self.zone, &mut pairing, &mut changes).await?;
        // A master for which there is no asset yet: it is looked up when one comes.
        Ok(changes)
    }
}

/// The name of a record that is no more.
fn gone<'r>(record: &'r RecordWire<'_>) -> Option<&'r str> {
    let is_gone = matches!(record.server_error_code.name(), Some("NOT_FOUND" | "UNKNOWN_ITEM"));
    record.record_name.name().filter(|_| is_gone || record.deleted.is_set())
}

/// Sorts the records of a page by what they mean.
fn sort(records: &[&RawValue]) -> ChangedPage {
    let mut page = ChangedPage {
        changes: Changes::default(),
        halves: Vec::new(),
        lone_masters: Vec::new(),
        assets: 0,
        more: false,
    };
    let mut pointed_at = std::collections::HashSet::new();
    let mut masters = Vec::new();
    for raw in records.iter().map(|raw| raw.get()) {
        let record = Entry::of(raw).wire.unwrap_or_default();
        let name = record.record_name.name();
        if record.deleted.is_set() {
            page.changes.purged.extend(name.map(str::to_owned));
            continue;
        }
        match record.record_type.text() {
            Some("CPLMaster") => {
                masters.extend(name.map(str::to_owned));
                page.halves.push(raw.into());
            }
            Some("CPLAsset") => {
                if let Value::Object(master) = record.fields.value(Key::MasterRef) {
                    pointed_at.extend(master.record_name.name().map(str::to_owned));
                }
                page.assets += 1;
                page.halves.push(raw.into());
            }
            Some("CPLAlbum") => match albums::placed(&record, None) {
                Placed::Here(album) => page.changes.albums.push(album),
                Placed::Gone(name) => page.changes.purged.push(name),
                Placed::Elsewhere => {}
            },
            Some("CPLContainerRelation") => page.changes.members.extend(member(&record)),
            // Faces, memories, suggestions and whatever comes next are none of ours.
            Some(_) if name.is_some() && record.server_error_code.name().is_none() => {}
            // An error in place of a record is named, and so is what cannot be told to be none of ours.
            _ => page.halves.push(raw.into()),
        }
    }
    page.lone_masters = masters.into_iter().filter(|name| !pointed_at.contains(name)).collect();
    page
}

/// Reads a membership.
pub(super) fn member(record: &RecordWire<'_>) -> Option<Member> {
    let fields = &record.fields;
    let mut member = Member::gone(record.record_name.name()?).or_else(|| {
        let (asset, album) = (fields.value(Key::ItemId).name()?, fields.value(Key::ContainerId).name()?);
        Some(Member { album: album.to_owned(), asset: asset.to_owned(), position: None, present: false })
    })?;
    member.present = !fields.value(Key::IsDeleted).is_set() && !record.deleted.is_set();
    member.position = fields.value(Key::Position).number();
    Some(member)
}

/// What an error inside the answer calls for.
fn refused(code: &str, zone: &ZoneAnswer<'_>) -> Result<Delta, Error> {
    let refusal = Refusal {
        server_error_code: zone.server_error_code.clone(),
        reason: zone.reason.clone(),
        retry_after: zone.retry_after.clone(),
    };
    match by_code(ENDPOINT, 200, code, &refusal) {
        Verdict::Passing(_, error) => Err(error),
        Verdict::Final(Error::Server { said, .. }) => Ok(Delta::TokenVoid(said)),
        Verdict::Final(error) => Err(error),
        Verdict::Good | Verdict::SessionRefused => {
            Err(Error::Server { endpoint: ENDPOINT, status: 200, said: code.to_owned() })
        }
    }
}

fn malformed(detail: &str) -> Error {
    Error::Malformed { endpoint: ENDPOINT, detail: detail.to_owned() }
}

/// Reads an answer of changes, whose halves nobody looks up, for fuzzing.
#[cfg(feature = "faults")]
pub(in crate::icloud) fn changes_of(answer: &[u8]) -> Option<Changes> {
    let text = wire::text_of(answer);
    let answer: Lenient<ZonesAnswer<'_>> = serde_json::from_str(&text).ok()?;
    let page = sort(answer.zones.items().first()?.records.0.as_deref()?);
    let mut changes = page.changes;
    let mut pairing = Pairing::default();
    let halves = page.halves.iter().map(|raw| Entry::of(raw)).collect();
    pairing.take(halves, "changes", now(), &mut changes.page);
    pairing.finish(&mut changes.page);
    Some(changes)
}
