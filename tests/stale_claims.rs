//! A claim that another run has taken over moves nothing any more: each move names its claim.

use rollbook::journal::{Claim, Error, Journal, Place};
use rollbook::model::asset::{Asset, Database, MediaKind, Offer, Page, Rendition, Zone};
use rollbook::model::checksum::{AppleChecksum, Hasher, Proof};
use rollbook::model::failure::{Failure, FailureKind};
use rollbook::model::ids::{AssetName, MasterName};
use rollbook::model::signed_url::SignedUrl;
use rusqlite::Connection;

const NOW: i64 = 1_700_000_000;

fn page() -> Page {
    let asset = Asset {
        name: AssetName("A".into()),
        master: MasterName("M".into()),
        change_tag: "1".into(),
        filename: "IMG.JPG".into(),
        kind: MediaKind::Photo,
        captured: None,
        added_at_ms: None,
        favorite: false,
        hidden: false,
        deleted: false,
        camera: None,
        offers: vec![Offer {
            rendition: Rendition::Original,
            checksum: AppleChecksum::parse("c"),
            size_bytes: 1000,
            uti: "public.jpeg".into(),
            url: Some(SignedUrl::kept("http://127.0.0.1/x", NOW + 3600)),
        }],
        subtype: None,
        provider_record: b"{}".to_vec(),
    };
    Page { assets: vec![asset], ..Page::default() }
}

/// Every ending of a claim.
const MOVES: [&str; 7] =
    ["progressed", "verified", "failed", "url_expired", "restarted", "release", "rename"];

async fn make(journal: &Journal, name: &str, claim: Claim) -> Result<(), Error> {
    let digest = Hasher::default().prefix_sha256();
    match name {
        "progressed" => journal.progressed(claim, NOW, 500, digest, None).await.map(drop),
        "verified" => journal.verified(claim, NOW, digest, Proof::AppleSignature).await.map(drop),
        "failed" => journal.failed(claim, NOW, Failure::new(FailureKind::Network, "x"), true).await,
        "url_expired" => journal.url_expired(claim, NOW, true).await,
        "restarted" => journal.restarted(claim, NOW).await.map(drop),
        "release" => journal.release(claim).await,
        _ => journal.rename(claim, vec!["undated/IMG.JPG".into()]).await.map(drop),
    }
}

#[tokio::test]
async fn a_claim_that_was_taken_over_moves_nothing() {
    for name in MOVES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let journal = Journal::open(&path).unwrap();
        let account = journal.account("u", "1", NOW).await.unwrap();
        let zone = Zone {
            database: Database::Private,
            name: "PrimarySync".into(),
            owner: String::new(),
            kind: String::new(),
        };
        let library = journal.library(account, &zone, None).await.unwrap();
        let run = journal.begin_run(account, NOW).await.unwrap();
        let at = Place { library, run, now: NOW };
        journal.record_page(at, std::sync::Arc::default(), page()).await.unwrap();
        let stale = journal.claim(run, 1, NOW).await.unwrap().claims.pop().unwrap();
        let next = journal.begin_run(account, NOW).await.unwrap();
        let held = journal.take_over_dead(next, 1).await.unwrap().pop().unwrap();

        let row = |path: &std::path::Path| -> String {
            let sql = "SELECT state || offset_bytes || path || attempts || claim_run_id FROM asset_file";
            Connection::open(path).unwrap().query_row(sql, [], |r| r.get(0)).unwrap()
        };
        let before = row(&path);
        let refused = make(&journal, name, stale).await;
        assert!(matches!(refused, Err(Error::LostClaim(_))), "{name}: {refused:?}");
        assert_eq!(row(&path), before, "{name}");
        make(&journal, name, held).await.unwrap();
    }
}
