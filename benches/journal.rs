//! The journal alone, through its public door: pages in, claims out, moves.
//!
//! `cargo bench --bench journal [-- WORKLOAD…]` with `pages`, `claim`, `moves`; `ROLLBOOK_BENCH_ROWS=N` for
//! other sizes than 200,000. Everything is durable: the journal knows no other way. CPU seconds are this
//! process's own, so making the pages is measured apart and taken off.
#![expect(clippy::print_stdout, reason = "a bench tells a person what it measured")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use rollbook::journal::{Claim, Journal, PAGES_MAX, Place};
use rollbook::model::asset::{Asset, Captured, Database, MediaKind, Offer, Page, Rendition, Zone};
use rollbook::model::checksum::{AppleChecksum, Hasher, Proof};
use rollbook::model::ids::{AssetName, MasterName, RunId};
use rollbook::model::signed_url::SignedUrl;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use support::{cpu_s, is_wanted, variable};

const NOW: i64 = 1_700_000_000;
/// Assets on a page, as the service gives them.
const PAGE: usize = 100;
/// Rows that a pool of workers claims at a time.
const CLAIMED: usize = 64;
/// Workers that move rows, each waiting until its last move is durable.
const WORKERS: usize = 16;

fn main() {
    let rows = variable("ROLLBOOK_BENCH_ROWS", 200_000);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be made");
    let path = folder.path().join("journal.db");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let journal = Arc::new(Journal::open(&path).expect("a journal"));
        println!("\n{rows} rows");
        let run = pages(&journal, rows).await;
        if is_wanted("claim") || is_wanted("moves") {
            let claims = claim(&journal, run, (rows / 2).min(100_000)).await;
            if is_wanted("moves") {
                moves(&journal, claims).await;
            }
        }
    });
    sizes(&path, rows);
}

/// Makes rows, so many pages to a transaction as the journal takes at most.
async fn pages(journal: &Journal, rows: usize) -> RunId {
    let account = journal.account("u", "1", NOW).await.expect("an account");
    let (name, owner, kind) = ("PrimarySync".to_owned(), String::new(), String::new());
    let zone = Zone { database: Database::Private, name, owner, kind };
    let library = journal.library(account, &zone, None).await.expect("a library");
    let run = journal.begin_run(account, NOW).await.expect("a run");
    let at = Place { library, run, now: NOW };

    let (began, used) = (Instant::now(), cpu_s());
    let (mut made, mut making) = (0, 0.0);
    while made < rows {
        let cpu = cpu_s();
        // As many together as arrive where the network is faster than the disk.
        let together: Vec<Page> =
            (0..PAGES_MAX).map(|n| page(made + n * PAGE)).filter(|page| !page.assets.is_empty()).collect();
        making += cpu_s() - cpu;
        made += together.len() * PAGE;
        let recorded = together.into_iter().map(|page| journal.record_next_page(at, Arc::default(), page));
        try_join_all(recorded).await.expect("rows");
    }
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_s() - used - making);
    println!("  pages   {:.1} µs CPU an asset, {:.0} assets/s", cpu * 1e6 / made as f64, made as f64 / wall);
    run
}

/// Claims rows as a pool of workers does.
async fn claim(journal: &Journal, run: RunId, rows: usize) -> Vec<Claim> {
    let mut claims = Vec::with_capacity(rows);
    let (began, used) = (Instant::now(), cpu_s());
    while claims.len() < rows {
        let claimed = journal.claim(run, CLAIMED, NOW).await.expect("claims");
        assert!(!claimed.claims.is_empty(), "there are rows to claim");
        claims.extend(claimed.claims);
    }
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_s() - used);
    let count = claims.len() as f64;
    println!(
        "  claim   {:.1} µs CPU a row, {:.0} rows/s, {CLAIMED} at a time",
        cpu * 1e6 / count,
        count / wall
    );
    claims
}

/// Moves claimed rows to verified: each worker has one move under way.
async fn moves(journal: &Arc<Journal>, claims: Vec<Claim>) {
    let count = claims.len();
    let digest = Hasher::default().prefix_sha256();
    let mut shares: Vec<Vec<Claim>> = (0..WORKERS).map(|_| Vec::new()).collect();
    for (n, claim) in claims.into_iter().enumerate() {
        shares[n % WORKERS].push(claim);
    }
    let (began, used) = (Instant::now(), cpu_s());
    let workers: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let journal = Arc::clone(journal);
            tokio::spawn(async move {
                let mut waits = Vec::with_capacity(share.len());
                for claim in share {
                    let asked = Instant::now();
                    journal.verified(claim, NOW, digest, Proof::AppleSignature).await.expect("a move");
                    waits.push(asked.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits: Vec<Duration> = Vec::with_capacity(count);
    for worker in workers {
        waits.extend(worker.await.expect("a worker"));
    }
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_s() - used);
    waits.sort();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "  moves   {:.0}/s by {WORKERS} workers, {:.1} µs CPU; waited {:.2} ms (median), {:.2} ms (99 %), {:.1} ms (most)",
        count as f64 / wall,
        cpu * 1e6 / count as f64,
        at(0.5),
        at(0.99),
        at(1.0),
    );
}

/// What a million such rows weigh: provider records and addresses apart.
fn sizes(path: &Path, rows: usize) {
    let journal = Connection::open(path).expect("the journal");
    let pages = |object: &str| -> f64 {
        let sql = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ?1 AND aggregate = 1";
        journal.query_row(sql, [object], |row| row.get::<_, f64>(0)).unwrap_or(f64::NAN)
    };
    let whole: f64 = std::fs::metadata(path).map_or(0.0, |found| found.len() as f64);
    let (records, addresses) = (pages("provider_page"), pages("signed_url"));
    let of_million = |bytes: f64| bytes / rows as f64;
    println!(
        "  size    {:.0} MB for a million rows, beside provider records {:.0} MB, addresses {:.0} MB",
        of_million(whole - records - addresses),
        of_million(records),
        of_million(addresses)
    );
    let mut statement = journal
        .prepare(
            "SELECT name, sum(pgsize) FROM dbstat WHERE aggregate = 1 GROUP BY name ORDER BY 2 DESC LIMIT 12",
        )
        .expect("dbstat is built in");
    let objects = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, f64>(1)?)));
    for object in objects.expect("sizes") {
        let (name, bytes) = object.expect("a size");
        println!("    {name:<40}{:>8.1}", of_million(bytes));
    }
}

/// The page that begins at asset `from`; the newest comes first.
fn page(from: usize) -> Page {
    Page { assets: (from..from + PAGE).map(asset).collect(), ..Page::default() }
}

fn asset(number: usize) -> Asset {
    let random = Sha256::digest(number.to_le_bytes());
    let hex: String = random.iter().map(|byte| format!("{byte:02X}")).collect();
    let checksum = format!("A{}", &hex[..27]);
    let name = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]);
    let at_ms = (NOW - number as i64 * 300) * 1000;
    let url = format!(
        "https://cvws.icloud-content.com/B/{checksum}{hex}/${{f}}?o={hex}{hex}&v=1&x=3&a={hex}{hex}{hex}&e={}&k={}&fl=&r={name}&ckc=com.apple.photos.cloud&ckz=PrimarySync&y=1&p=61&s={hex}",
        NOW + 3600,
        &hex[..22]
    );
    Asset {
        master: MasterName(checksum.clone()),
        change_tag: format!("{:x}/{:x}", number % 4096, number % 127),
        filename: format!("IMG_{:04}.HEIC", number % 10_000),
        kind: MediaKind::Photo,
        captured: Some(Captured { at_ms, offset_seconds: Some(7200) }),
        added_at_ms: Some(at_ms + 90_000),
        favorite: number.is_multiple_of(11),
        hidden: false,
        deleted: false,
        camera: None,
        subtype: Some(0),
        provider_record: record(&name, &checksum, &hex, at_ms).into_bytes(),
        offers: vec![Offer {
            rendition: Rendition::Original,
            checksum: AppleChecksum::parse(&checksum),
            size_bytes: 2_000_000 + number as u64 % 1_000_000,
            uti: "public.heic".into(),
            url: Some(SignedUrl::kept(url, NOW + 3600)),
        }],
        name: AssetName(name),
    }
}

/// Both records of an asset, in the shape and length of the service's own.
fn record(name: &str, checksum: &str, hex: &str, at_ms: i64) -> String {
    let field =
        |name: &str, value: &str, kind: &str| format!(r#""{name}":{{"value":{value},"type":"{kind}"}}"#);
    let zone =
        r#"{"zoneName":"PrimarySync","ownerRecordName":"_5a4d8b0c6e1f","zoneType":"REGULAR_CUSTOM_ZONE"}"#;
    let stamp =
        format!(r#"{{"timestamp":{at_ms},"userRecordName":"_5a4d8b0c6e1f","deviceID":"{}"}}"#, &hex[..36]);
    let envelope = |name: &str, kind: &str, fields: &[String]| {
        format!(
            r#"{{"recordName":"{name}","recordType":"{kind}","fields":{{{}}},"pluginFields":{{}},"recordChangeTag":"1s2g","created":{stamp},"modified":{stamp},"deleted":false,"zoneID":{zone}}}"#,
            fields.join(",")
        )
    };
    let reference = format!(r#"{{"recordName":"{checksum}","action":"DELETE_SELF","zoneID":{zone}}}"#);
    let file = |size: u64| {
        format!(
            r#"{{"fileChecksum":"{checksum}","size":{size},"wrappingKey":"{}==","referenceChecksum":"AQ{}"}}"#,
            &hex[..22],
            &hex[22..48]
        )
    };
    let place = "YnBsaXN0MDDYAQIDBAUGBwgJCgsMDQ4PEFZjb3Vyc2VVc3BlZWRTYWx0U2xvblNsYXRXdmVydEFjY1dob3J6QWNjWXRpbWVzdGFtcA";
    let asset = [
        field("masterRef", &reference, "REFERENCE"),
        field("assetDate", &at_ms.to_string(), "TIMESTAMP"),
        field("addedDate", &(at_ms + 90_000).to_string(), "TIMESTAMP"),
        field("timeZoneOffset", "7200", "INT64"),
        field("timeZoneNameEnc", "\"RXVyb3BlL0Jlcmxpbg==\"", "ENCRYPTED_BYTES"),
        field("isFavorite", "0", "INT64"),
        field("isHidden", "0", "INT64"),
        field("assetSubtypeV2", "0", "INT64"),
        field("orientation", "1", "INT64"),
        field("duration", "0", "INT64"),
        field("burstFlags", "0", "INT64"),
        field("assetHDRType", "0", "INT64"),
        field("locationEnc", &format!("\"{place}{}\"", &hex[..40]), "ENCRYPTED_BYTES"),
    ];
    let master = [
        field("filenameEnc", "\"SU1HXzAwMDEuSEVJQw==\"", "ENCRYPTED_BYTES"),
        field("itemType", "\"public.heic\"", "STRING"),
        field("dataClassType", "1", "INT64"),
        field("originalOrientation", "1", "INT64"),
        field("resOriginalRes", &file(2_000_000 + at_ms.unsigned_abs() % 999_999), "ASSETID"),
        field("resOriginalFileType", "\"public.heic\"", "STRING"),
        field("resOriginalWidth", "4032", "INT64"),
        field("resOriginalHeight", "3024", "INT64"),
    ];
    let (asset, master) = (envelope(name, "CPLAsset", &asset), envelope(checksum, "CPLMaster", &master));
    format!(r#"{{"asset":{asset},"master":{master}}}"#)
}
