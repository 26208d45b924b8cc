//! Fresh URLs: records looked up by name.

use serde::Serialize;

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::http::now;
use crate::icloud::photos::body::ZoneId;
use crate::icloud::photos::fields::{Extras, desired_keys};
use crate::icloud::photos::read_records;
use crate::icloud::photos::record::{Half, Record, offer};
use crate::icloud::wire;
use crate::model::asset::{OddityKind, Rendition, Zone};
use crate::model::checksum::AppleChecksum;
use crate::model::signed_url::SignedUrl;

/// Most names in one look-up: CloudKit's own limit on records in a request.
pub const LOOKUP_NAMES_MAX: usize = 200;
const ENDPOINT: &str = "records/lookup";

/// What a look-up found.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// Records that are there.
    pub found: Vec<Found>,
    /// Records that are not to be had. Every name asked for stands here or above.
    pub missing: Vec<Missing>,
}

/// One record that is there.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name, as asked for.
    pub record_name: String,
    /// Its files. Originals stand on masters, edits on assets; a file may have changed since.
    pub files: Vec<FreshFile>,
}

/// One record that is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name, as asked for.
    pub record_name: String,
    /// What the service said.
    pub reason: String,
    /// The service itself says that it is not to be had; else the answer left it out, or could not be
    /// read, and the next one may know better.
    pub is_refused: bool,
}

/// A file as the service offers it now.
#[derive(Clone, Debug)]
pub struct FreshFile {
    /// Which file of the asset it is.
    pub rendition: Rendition,
    /// Apple's checksum. Another than before means another file.
    pub checksum: AppleChecksum,
    /// Its length.
    pub size_bytes: u64,
    /// Where to fetch it, for another hour.
    pub url: SignedUrl,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LookupBody<'a> {
    records: Vec<NameWire<'a>>,
    #[serde(rename = "zoneID")]
    zone_id: ZoneId<'a>,
    desired_keys: &'a [&'a str],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NameWire<'a> {
    record_name: &'a str,
}

impl Client {
    /// Looks up records by name: the way to fresh URLs.
    ///
    /// Ask for the master for originals and live movies, and for the asset for edits.
    /// # Errors
    /// [`Error`]. A record that is missing is none.
    /// # Panics
    /// When more than [`LOOKUP_NAMES_MAX`] names are given.
    pub async fn lookup(&self, zone: &Zone, names: &[String]) -> Result<Lookup, Error> {
        assert!(names.len() <= LOOKUP_NAMES_MAX, "a look-up takes {LOOKUP_NAMES_MAX} names at most");
        if names.is_empty() {
            return Ok(Lookup::default());
        }
        // Addresses are all that is wanted.
        let extras = Extras { camera: false, ..self.extras() };
        let answer = self.look_up_raw(zone, names, extras).await?;
        let text = wire::text_of(&answer);
        let answer = read_records(ENDPOINT, &text)?;
        let now = now();
        let mut lookup = Lookup::default();
        for entry in answer.records.into_iter().flatten() {
            match Record::read(entry, String::new) {
                Ok((half, record)) => lookup.found.push(found(half, &record, now)),
                Err(oddity) => {
                    let is_refused = oddity.kind == OddityKind::Refused;
                    let (record_name, reason) = (oddity.record_name, oddity.detail);
                    lookup.missing.push(Missing { record_name, reason, is_refused });
                }
            }
        }
        // An answer may name what nobody asked for, or leave a name out.
        lookup.found.retain(|found| names.contains(&found.record_name));
        lookup.missing.retain(|missing| names.contains(&missing.record_name));
        for name in names {
            let named = lookup.found.iter().any(|found| found.record_name == *name)
                || lookup.missing.iter().any(|missing| missing.record_name == *name);
            if !named {
                let reason = "the answer leaves it out".to_owned();
                lookup.missing.push(Missing { record_name: name.clone(), reason, is_refused: false });
            }
        }
        Ok(lookup)
    }

    /// Looks up records and returns the answer as it came.
    pub(super) async fn look_up_raw(
        &self,
        zone: &Zone,
        names: &[String],
        extras: Extras,
    ) -> Result<Vec<u8>, Error> {
        let records = names.iter().map(|name| NameWire { record_name: name }).collect();
        let body = LookupBody { records, zone_id: zone.into(), desired_keys: &desired_keys(extras) };
        self.call(zone.database, ENDPOINT, &body).await
    }
}

fn found(half: Half, record: &Record<'_>, now: i64) -> Found {
    let carries = |rendition: &Rendition| {
        half == Half::Asset || !matches!(rendition, Rendition::Edited | Rendition::EditedVideo)
    };
    let fresh = |rendition| {
        let offer = offer(record, rendition, now).ok().flatten()?;
        Some(FreshFile { rendition, checksum: offer.checksum, size_bytes: offer.size_bytes, url: offer.url? })
    };
    let files = Rendition::ALL.into_iter().filter(carries).filter_map(fresh).collect();
    Found { record_name: record.name().to_owned(), files }
}
