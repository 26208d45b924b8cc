//! Random histories of the journal against a small model in memory.
//!
//! Whatever is done in whatever order, the rows say what the model says, the tally is a true
//! count, and the history holds legal moves only. A crash is part of the game: claims are dropped
//! and another run begins.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rollbook::journal::{Claim, Error, Journal, Place, Requeue, Seen};
use rollbook::model::asset::{Album, Asset, Database, MediaKind, Offer, Page, Rendition, Zone};
use rollbook::model::change::Member;
use rollbook::model::checksum::{AppleChecksum, Hasher, Proof, Sha256Digest};
use rollbook::model::failure::{Failure, FailureKind};
use rollbook::model::ids::{AccountId, AssetName, FileId, LibraryId, MasterName, RunId};
use rollbook::model::signed_url::SignedUrl;
use rollbook::model::state::{LEGAL_MOVES, State};
use rusqlite::Connection;

const SIZE_BYTES: u64 = 1000;
const NOW: i64 = 1_700_000_000;
const LATER: i64 = NOW + 3600;

#[derive(Clone, Debug)]
enum Step {
    /// A page shows these assets, each with a version of its original, and perhaps a URL.
    Page(Vec<(u8, u8, bool)>),
    Claim(usize),
    /// The following act on one of the claims in hand.
    Progress(usize, u64),
    Verify(usize),
    Fail(usize, bool),
    ExpireUrl(usize),
    Release(usize),
    Restart(usize),
    /// Renews everything that waits for a URL.
    Renew,
    Requeue,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let index = 0_usize..8;
    prop_oneof![
        3 => prop::collection::vec((0_u8..6, 0_u8..3, prop::bool::weighted(0.8)), 1..5).prop_map(Step::Page),
        4 => (1_usize..4).prop_map(Step::Claim),
        2 => (index.clone(), 1..SIZE_BYTES).prop_map(|(i, n)| Step::Progress(i, n)),
        3 => index.clone().prop_map(Step::Verify),
        2 => (index.clone(), any::<bool>()).prop_map(|(i, keep)| Step::Fail(i, keep)),
        1 => index.clone().prop_map(Step::ExpireUrl),
        1 => index.clone().prop_map(Step::Release),
        1 => index.prop_map(Step::Restart),
        1 => Just(Step::Renew),
        1 => Just(Step::Requeue),
        1 => Just(Step::Crash),
    ]
}

/// What the model knows of a file: (asset, version) → where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    state: State,
    offset: u64,
    claimed: bool,
    superseded: bool,
    attempts: u32,
}

type Model = BTreeMap<(String, String), Row>;

struct Game {
    journal: Journal,
    path: std::path::PathBuf,
    account: AccountId,
    library: LibraryId,
    run: RunId,
    claims: Vec<Claim>,
    model: Model,
}

fn asset(name: u8, version: u8, with_url: bool) -> Asset {
    Asset {
        name: AssetName(format!("A{name}")),
        master: MasterName(format!("M{name}")),
        change_tag: format!("{version}"),
        // Two names for six assets: paths collide.
        filename: format!("IMG_{}.JPG", name % 2),
        kind: MediaKind::Photo,
        captured: None,
        added_at_ms: None,
        favorite: false,
        hidden: false,
        deleted: false,
        camera: None,
        offers: vec![Offer {
            rendition: Rendition::Original,
            checksum: AppleChecksum::parse(&format!("c{name}v{version}")),
            size_bytes: SIZE_BYTES,
            uti: "public.jpeg".into(),
            url: with_url.then(|| SignedUrl::kept("http://127.0.0.1/x", LATER)),
        }],
        subtype: None,
        provider_record: b"{}".to_vec(),
    }
}

fn digest() -> Sha256Digest {
    Hasher::default().prefix_sha256()
}

impl Game {
    async fn begin(folder: &Path) -> Self {
        let path = folder.join("journal.db");
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
        Self { journal, path, account, library, run, claims: Vec::new(), model: Model::new() }
    }

    fn key(claim: &Claim) -> (String, String) {
        (claim.file().asset_name.0.clone(), claim.file().checksum.as_str().to_owned())
    }

    fn row(&mut self, claim: &Claim) -> &mut Row {
        self.model.get_mut(&Self::key(claim)).expect("a claim has a row")
    }

    fn take(&mut self, index: usize) -> Option<Claim> {
        if self.claims.is_empty() { None } else { Some(self.claims.swap_remove(index % self.claims.len())) }
    }

    async fn play(&mut self, step: Step) {
        match step {
            Step::Page(assets) => self.page(assets).await,
            Step::Claim(limit) => self.claim(limit).await,
            Step::Progress(index, offset) => {
                let Some(claim) = self.take(index) else { return };
                let promised = claim.file().offset_bytes;
                let progressed = self.journal.progressed(claim, NOW, offset, digest(), None).await;
                match progressed {
                    Ok(claim) => {
                        let row = self.row(&claim);
                        (row.state, row.offset) = (State::Partial, offset);
                        self.claims.push(claim);
                    }
                    // A promise is never taken back: the claim went with the refusal.
                    Err(error) => {
                        assert!(matches!(error, Error::LostClaim(_)) && offset < promised, "{error}");
                    }
                }
            }
            Step::Verify(index) => {
                let Some(claim) = self.take(index) else { return };
                let row = self.row(&claim);
                *row = Row { state: State::Verified, offset: 0, claimed: false, attempts: 0, ..row.clone() };
                self.journal.verified(claim, NOW, digest(), Proof::AppleSignature).await.unwrap();
            }
            Step::Fail(index, keep) => {
                let Some(claim) = self.take(index) else { return };
                let row = self.row(&claim);
                (row.state, row.claimed, row.attempts) = (State::Failed, false, row.attempts + 1);
                row.offset = if keep { row.offset } else { 0 };
                let failure = Failure::new(FailureKind::Network, "x");
                self.journal.failed(claim, NOW, failure, keep).await.unwrap();
            }
            Step::ExpireUrl(index) => {
                let Some(claim) = self.take(index) else { return };
                let row = self.row(&claim);
                (row.state, row.claimed) = (State::ExpiredUrl, false);
                self.journal.url_expired(claim, NOW, true).await.unwrap();
            }
            Step::Release(index) => {
                let Some(claim) = self.take(index) else { return };
                self.row(&claim).claimed = false;
                self.journal.release(claim).await.unwrap();
            }
            Step::Restart(index) => {
                let Some(claim) = self.take(index) else { return };
                let row = self.row(&claim);
                (row.state, row.offset) = (State::Pending, 0);
                let claim = self.journal.restarted(claim, NOW).await.unwrap();
                self.claims.push(claim);
            }
            Step::Renew => self.renew().await,
            Step::Requeue => {
                for row in
                    self.model.values_mut().filter(|row| row.state == State::Failed && row.attempts < 10)
                {
                    row.state = State::resting_at(row.offset);
                }
                // Long after every wait between attempts is over.
                self.journal.requeue(self.run, NOW + 1_000_000, Requeue::Due).await.unwrap();
            }
            Step::Crash => self.crash().await,
        }
    }

    async fn page(&mut self, assets: Vec<(u8, u8, bool)>) {
        let mut by_name = BTreeMap::new();
        by_name.extend(assets.into_iter().map(|(name, version, url)| (name, (version, url))));
        for (name, (version, with_url)) in &by_name {
            self.expect_offer(&format!("A{name}"), &format!("c{name}v{version}"), *with_url);
        }
        let assets = by_name.into_iter().map(|(name, (version, url))| asset(name, version, url)).collect();
        let page = Page { assets, ..Page::default() };
        let at = Place { library: self.library, run: self.run, now: NOW };
        self.journal.record_page(at, Arc::default(), page).await.unwrap();
    }

    /// The rules of reconciling, said a second time and differently.
    fn expect_offer(&mut self, name: &str, checksum: &str, with_url: bool) {
        let this = (name.to_owned(), checksum.to_owned());
        let others: Vec<_> = self.model.keys().filter(|k| k.0 == name && **k != this).cloned().collect();
        if let Some(row) = self.model.get_mut(&this) {
            // What failed and was given up is begun anew when it is offered again.
            if row.superseded && row.state == State::Failed {
                (row.state, row.offset, row.attempts) = (State::Pending, 0, 0);
            }
            row.superseded = false;
            if row.state == State::ExpiredUrl && with_url {
                row.state = State::resting_at(row.offset);
            }
        } else {
            // An unfinished version in nobody's hands goes on as the new one.
            let unfinished = others.iter().find(|key| {
                let row = &self.model[*key];
                row.state != State::Verified && !row.superseded && !row.claimed
            });
            if let Some(key) = unfinished {
                self.model.remove(key);
            }
            let row =
                Row { state: State::Pending, offset: 0, claimed: false, superseded: false, attempts: 0 };
            self.model.insert(this.clone(), row);
        }
        for (key, row) in &mut self.model {
            // One in a worker's hands too: it ends what it began, and nobody waits for it.
            if key.0 == name && *key != this {
                row.superseded = true;
            }
        }
    }

    async fn claim(&mut self, limit: usize) {
        let claimed = self.journal.claim(self.run, limit, NOW).await.unwrap();
        assert!(claimed.claims.len() <= limit);
        for claim in claimed.claims {
            let row = self.row(&claim);
            assert!(!row.claimed && !row.superseded, "handed out twice, or out of scope");
            assert!(matches!(row.state, State::Pending | State::Partial));
            row.claimed = true;
            self.claims.push(claim);
        }
        // Rows without a URL were moved on the way; which ones depends on the order of rows.
        for ((name, checksum), state) in self.states() {
            if state == State::ExpiredUrl {
                let row = self.model.get_mut(&(name, checksum)).unwrap();
                assert!(matches!(row.state, State::Pending | State::Partial | State::ExpiredUrl));
                row.state = State::ExpiredUrl;
            }
        }
    }

    async fn renew(&mut self) {
        let expired = self.journal.reader().expired(self.library, 100).await.unwrap();
        let url = SignedUrl::kept("http://127.0.0.1/y", LATER);
        let renewed: Vec<(FileId, SignedUrl)> = expired.iter().map(|row| (row.id, url.clone())).collect();
        for row in expired {
            let row = self.model.get_mut(&(row.asset, row.checksum)).unwrap();
            assert!(row.state == State::ExpiredUrl && !row.superseded);
            row.state = State::resting_at(row.offset);
        }
        self.journal.urls_renewed(self.run, NOW, renewed).await.unwrap();
    }

    async fn crash(&mut self) {
        self.claims.clear();
        self.run = self.journal.begin_run(self.account, NOW).await.unwrap();
        loop {
            let dead = self.journal.take_over_dead(self.run, 2).await.unwrap();
            if dead.is_empty() {
                return;
            }
            for claim in dead {
                self.row(&claim).claimed = false;
                self.journal.release(claim).await.unwrap();
            }
        }
    }

    fn states(&self) -> Vec<((String, String), State)> {
        let connection = Connection::open(&self.path).unwrap();
        let mut statement = connection.prepare("SELECT asset, apple_checksum, state FROM v_file").unwrap();
        let rows = statement
            .query_map([], |r| Ok(((r.get(0)?, r.get(1)?), State::parse(&r.get::<_, String>(2)?).unwrap())));
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The whole journal against the whole model.
    fn check(&self) {
        let connection = Connection::open(&self.path).unwrap();
        let mut statement = connection
            .prepare(
                "SELECT a.record_name, checksum, state, offset_bytes, claim_run_id IS NOT NULL,
                        superseded_at IS NOT NULL, attempts
                 FROM asset_file JOIN asset a USING (asset_id)",
            )
            .unwrap();
        let rows = statement
            .query_map([], |r| {
                let row = Row {
                    state: State::parse(&r.get::<_, String>(2)?).unwrap(),
                    offset: r.get::<_, i64>(3)?.unsigned_abs(),
                    claimed: r.get(4)?,
                    superseded: r.get(5)?,
                    attempts: r.get(6)?,
                };
                Ok(((r.get(0)?, r.get(1)?), row))
            })
            .unwrap();
        let found: Model = rows.map(Result::unwrap).collect();
        assert_eq!(found, self.model);

        let drift: i64 = connection
            .query_row(
                "SELECT count(*) FROM tally t WHERE standing NOT IN ('assets', 'assets-open') AND files <>
                     (SELECT count(*) FROM asset_file f WHERE f.library_id = t.library_id AND f.standing = t.standing)",
                [],
                |r| r.get(0),
            )
            .unwrap();
        assert_eq!(drift, 0, "the tally is a true count");
        let drift: i64 = connection
            .query_row(
                "SELECT count(*) FROM asset a WHERE files_open <>
                     (SELECT count(*) FROM asset_file f WHERE f.asset_id = a.asset_id AND f.is_open)",
                [],
                |r| r.get(0),
            )
            .unwrap();
        assert_eq!(drift, 0, "files_open is a true count");
        let mut statement =
            connection.prepare("SELECT DISTINCT from_state, event, to_state FROM history").unwrap();
        let word = |r: &rusqlite::Row<'_>, i| r.get::<_, String>(i);
        let moves = statement.query_map([], |r| Ok((word(r, 0)?, word(r, 1)?, word(r, 2)?))).unwrap();
        for found in moves.map(Result::unwrap) {
            let legal = LEGAL_MOVES
                .iter()
                .any(|(f, e, t)| (f.as_str(), e.as_str(), t.as_str()) == (&found.0, &found.1, &found.2));
            assert!(legal, "{found:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_leaves_the_journal_as_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let mut game = Game::begin(folder.path()).await;
            for step in steps {
                game.play(step).await;
                game.check();
            }
        });
    }
}

/// No constraint holds this: it rests on the look before each insert, whatever transaction the page is in.
#[tokio::test]
async fn an_asset_that_is_met_again_is_one_row_and_so_is_each_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let game = Game::begin(folder.path()).await;
    let journal = &game.journal;
    let met = |name| {
        let mut asset = asset(name, 0, true);
        // Smaller copies come unasked where the service gives whole records.
        asset.offers.push(Offer { rendition: Rendition::Thumb, ..asset.offers[0].clone() });
        asset
    };
    let page = || Page { assets: vec![met(1), met(2), met(1)], ..Page::default() };
    let zone = Zone {
        database: Database::Private,
        name: "SharedSync".into(),
        owner: String::new(),
        kind: String::new(),
    };
    let other = journal.library(game.account, &zone, None).await.unwrap();
    for library in [game.library, other] {
        let at = Place { library, run: game.run, now: NOW };
        let pages = (0..3).map(|_| journal.record_next_page(at, Arc::default(), page()));
        let (first, others, end) = futures::join!(
            journal.record_page(at, Arc::default(), page()),
            futures::future::try_join_all(pages),
            journal.no_more_pages(),
        );
        let seen: Vec<Seen> = others.unwrap().into_iter().chain([first.unwrap()]).collect();
        assert_eq!(seen.iter().map(|seen| (seen.assets_new, seen.files_new)).max(), Some((2, 4)));
        assert_eq!(seen.iter().map(|seen| seen.files_new).sum::<u64>(), 4);
        end.unwrap();
    }
    drop(game);
    let examined = rollbook::journal::examine(&folder.path().join("journal.db")).unwrap();
    assert!(examined.flaws.is_empty(), "{:?}", examined.flaws);
    assert_eq!(examined.files, 8);
}

/// A page of members changes leaves all over the file: one commit for each page writes the index again and again.
#[tokio::test]
async fn the_steps_of_an_album_listing_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let game = Game::begin(folder.path()).await;
    let journal = &game.journal;
    let at = Place { library: game.library, run: game.run, now: NOW };
    let member = |n: u32| Member {
        album: "album".into(),
        asset: format!("{}-{n}", n % 7),
        position: Some(n.into()),
        present: true,
    };
    let album = Album {
        record_name: "album".into(),
        name: "Album".into(),
        parent: None,
        folder: false,
        position: None,
    };
    let before = commits(&game.path);
    // Nothing is committed while somebody else writes, so no step waits for the one before it.
    let other = Connection::open(&game.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut listing = journal.album_listing();
    listing.album(at, album).await.unwrap();
    for page in 0..40 {
        listing.members(at, (0..5).map(|n| member(page * 5 + n)).collect()).await.unwrap();
    }
    let named = (1..200).map(|n| member(n).asset.into()).collect();
    listing.members_are(at, "album".into(), named).await.unwrap();
    listing.albums_are(at, ["album".into()].into()).await.unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    listing.end().await.unwrap();
    let made = commits(&game.path) - before;
    assert!((1..=2).contains(&made), "{made} commits");
    let members =
        "SELECT count(*), count(removed_at), min(iif(removed_at, asset_name, NULL)) FROM album_asset";
    let found: (i64, i64, String) =
        other.query_row(members, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(found, (200, 1, "0-0".into()));
}

/// Commits in the log of a journal: the frames that end one say how long the file is then.
fn commits(journal: &Path) -> usize {
    let log = std::fs::read(journal.with_extension("db-wal")).unwrap();
    let frames = log.get(32..).unwrap_or_default().chunks_exact(24 + 4096);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}
