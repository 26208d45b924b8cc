//! The iCloud client against the sandbox: real sign-in, real listings, real bytes, real faults.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rollbook::icloud::{
    Client, CodeEntry, CodePrompt, Credentials, Endpoints, Error, FetchError, Index, Need,
    Options as ClientOptions, Person, SessionStore, SignInError, Wanted,
};
use rollbook::model::asset::{Asset, Database, Oddity, OddityKind, Offer, Rendition, Zone};
use rollbook::model::checksum::{Hasher, Proof};
use rollbook::model::secret::Secret;
use rollbook_sandbox::{Endpoint, Fault, Kind, Options, Protocol, Sandbox, Target, Times, What};

/// A session file in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Option<Vec<u8>>>>);

impl SessionStore for Memory {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().expect("a quiet lock").clone())
    }
    fn save(&self, bytes: &[u8]) -> io::Result<()> {
        *self.0.lock().expect("a quiet lock") = Some(bytes.to_vec());
        Ok(())
    }
}

/// Somebody who knows a password and reads codes off a device.
struct Somebody {
    password: Option<String>,
    sandbox: Arc<Sandbox>,
    wrong_codes: u32,
    asked: AtomicU32,
}

impl Person for Somebody {
    fn password(&self) -> io::Result<Option<Secret>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(self.password.clone().map(Secret::new))
    }
    fn code(&self, prompt: &CodePrompt) -> io::Result<Option<CodeEntry>> {
        if self.password.is_none() {
            return Ok(None);
        }
        let right = self.sandbox.two_factor_code();
        let code = if prompt.refused < self.wrong_codes { "999999".to_owned() } else { right };
        Ok(Some(CodeEntry::Code(Secret::new(code))))
    }
}

fn start(options: Options) -> Arc<Sandbox> {
    Arc::new(Sandbox::start(options))
}

fn owner(sandbox: &Arc<Sandbox>) -> Somebody {
    let password = Some(sandbox.password().to_owned());
    Somebody { password, sandbox: Arc::clone(sandbox), wrong_codes: 0, asked: AtomicU32::new(0) }
}

async fn sign_in_as(
    sandbox: &Arc<Sandbox>,
    store: &Memory,
    person: Arc<Somebody>,
) -> Result<Client, SignInError> {
    let endpoints = Endpoints::at(&sandbox.endpoint()).expect("loopback");
    let username = sandbox.username().to_owned();
    let credentials = Credentials { username, store: Box::new(store.clone()), person, deliberate: false };
    let options = ClientOptions { stall_after: Duration::from_millis(300), ..ClientOptions::of(&endpoints) };
    Client::sign_in(endpoints, credentials, options).await
}

async fn sign_in(sandbox: &Arc<Sandbox>) -> Client {
    let person = Arc::new(owner(sandbox));
    sign_in_as(sandbox, &Memory::default(), person).await.expect("signed in")
}

async fn primary(client: &Client) -> Zone {
    client.libraries().await.expect("libraries").zones.remove(0)
}

/// Walks a whole library.
async fn walk(client: &Client, zone: &Zone) -> Result<(Vec<Asset>, Vec<Oddity>), Error> {
    let mut listing = client.listing(zone, Index::Visible);
    let (mut assets, mut oddities) = (Vec::new(), Vec::new());
    while let Some(page) = listing.next().await? {
        assets.extend(page.assets);
        oddities.extend(page.oddities);
    }
    Ok((assets, oddities))
}

/// The same with pages asked for ahead, as soon as that may be.
async fn walk_ahead(client: &Client, zone: &Zone) -> Result<Vec<Asset>, Error> {
    let count = client.count(zone).await?;
    let mut listing = client.listing(zone, Index::Visible);
    let mut assets = Vec::new();
    while let Some(page) = listing.next().await? {
        assets.extend(page.assets);
        listing.look_ahead(count);
    }
    Ok(assets)
}

type Files = BTreeSet<(String, String, String, u64)>;

fn listed_files(assets: &[Asset]) -> Files {
    let file = |asset: &Asset, offer: &Offer| {
        let rendition = offer.rendition.as_str().to_owned();
        (asset.name.0.clone(), rendition, offer.checksum.as_str().to_owned(), offer.size_bytes)
    };
    assets.iter().flat_map(|asset| asset.offers.iter().map(move |offer| file(asset, offer))).collect()
}

fn true_files(sandbox: &Sandbox, zone: &str) -> Files {
    let listed =
        |file: &rollbook_sandbox::TruthFile| file.zone == zone && !file.is_deleted && !file.is_hidden;
    let truth = sandbox.truth().into_iter().filter(listed);
    truth.map(|f| (f.asset_record, word(f.rendition).to_owned(), f.checksum, f.size)).collect()
}

fn word(rendition: rollbook_sandbox::Rendition) -> &'static str {
    use rollbook_sandbox::Rendition as R;
    match rendition {
        R::Original => Rendition::Original.as_str(),
        R::OriginalAlt => Rendition::Alternative.as_str(),
        R::OriginalVidCompl => Rendition::LiveVideo.as_str(),
        R::JPEGFull => Rendition::Edited.as_str(),
        R::VidFull => Rendition::EditedVideo.as_str(),
        other => panic!("a preview in the truth: {other:?}"),
    }
}

#[tokio::test]
async fn every_kind_of_sign_in_works_and_a_saved_session_spares_the_next() {
    let salt = [&[0, 0][..], &[7; 14]].concat();
    for protocol in [Protocol::S2k, Protocol::S2kFo] {
        let sandbox = start(Options { protocol, salt: salt.clone(), two_factor: true, ..Options::default() });
        let store = Memory::default();
        let person = Arc::new(Somebody { wrong_codes: 2, ..owner(&sandbox) });
        let client = sign_in_as(&sandbox, &store, person).await.expect("signed in");
        assert_eq!(client.dsid(), "123456789");
        sandbox.reset_counters();

        let nobody = Arc::new(Somebody { password: None, ..owner(&sandbox) });
        sign_in_as(&sandbox, &store, nobody).await.expect("the session is kept");
        assert_eq!((sandbox.counters().auth(), sandbox.counters().setup()), (0, 1));
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_codes_three_times() {
    let sandbox = start(Options { two_factor: true, ..Options::default() });
    let wrong = Arc::new(Somebody { password: Some("wrong".to_owned()), ..owner(&sandbox) });
    let refused = sign_in_as(&sandbox, &Memory::default(), wrong).await;
    assert!(matches!(refused, Err(SignInError::WrongPassword)), "{refused:?}");
    assert_eq!(sandbox.counters().of(Endpoint::SigninComplete), 1);

    let clumsy = Arc::new(Somebody { wrong_codes: 9, ..owner(&sandbox) });
    let refused = sign_in_as(&sandbox, &Memory::default(), clumsy).await;
    assert!(matches!(refused, Err(SignInError::WrongCode)), "{refused:?}");

    let nobody = Arc::new(Somebody { password: None, ..owner(&sandbox) });
    let refused = sign_in_as(&sandbox, &Memory::default(), nobody).await;
    assert!(matches!(refused, Err(SignInError::NeedsPerson(Need::Password))), "{refused:?}");
}

#[tokio::test]
async fn what_apple_says_at_sign_in_is_told_apart() {
    let json = |body: &str| What::body(409, "application/json", body);
    let locked = r#"{"serviceErrors":[{"code":"-20209","message":"This Apple Account has been locked."}]}"#;
    let account = |member: &str| {
        let info = r#""dsInfo":{"dsid":"1","hsaVersion":2,"isWebAccessAllowed":false}"#;
        What::body(200, "application/json", format!("{{{info}{member}}}"))
    };
    let matrix = [
        (Endpoint::SigninComplete, json(r#"{"fsaChallenge":{}}"#), "SecurityKeyNeeded"),
        (Endpoint::SigninComplete, What::body(403, "application/json", locked), "Locked(\"This Apple"),
        (Endpoint::SigninComplete, What::retry_after(503, "7"), "Throttled { retry_after: Some(7s)"),
        (Endpoint::SigninInit, What::retry_after(429, "9"), "Throttled { retry_after: Some(9s)"),
        (Endpoint::AccountLogin, account(r#","termsUpdateNeeded":true"#), "TermsNeeded"),
        (Endpoint::AccountLogin, account(r#","domainToUse":"iCloud.com.cn""#), "WrongRegion"),
        (Endpoint::AccountLogin, account(""), "AccessOff"),
        (Endpoint::AccountLogin, What::Rscd { code: 421 }, "AccessOff"),
        (Endpoint::SigninInit, What::MalformedJson, "Malformed"),
    ];
    for (endpoint, what, expected) in matrix {
        let sandbox = start(Options { assets: 1, ..Options::default() });
        sandbox.faults().add(Fault::once(endpoint, what));
        let person = Arc::new(owner(&sandbox));
        let refused = sign_in_as(&sandbox, &Memory::default(), person).await.map(|_| ());
        assert!(format!("{refused:?}").starts_with(&format!("Err({expected}")), "{expected}: {refused:?}");
    }
}

#[tokio::test]
async fn a_device_that_nobody_touches_is_not_waited_for_for_ever() {
    let sandbox = start(Options { advanced_data_protection: true, assets: 1, ..Options::default() });
    let endpoints = Endpoints::at(&sandbox.endpoint()).expect("loopback");
    let options = ClientOptions {
        consent_poll: Duration::from_millis(10),
        consent_wait_max: Duration::from_millis(60),
        ..ClientOptions::default()
    };
    let credentials = Credentials {
        username: sandbox.username().to_owned(),
        store: Box::new(Memory::default()),
        person: Arc::new(owner(&sandbox)),
        deliberate: false,
    };
    let refused = Client::sign_in(endpoints, credentials, options).await.map(|_| ());
    assert!(matches!(refused, Err(SignInError::ConsentMissing { .. })), "{refused:?}");
    let asked = sandbox.log().iter().filter(|r| r.path.ends_with("/enableDeviceConsentForPCS")).count();
    assert_eq!(asked, 1, "one question on the device, however often we look");
}

#[tokio::test]
async fn libraries_counts_and_albums_are_read() {
    let sandbox = start(Options { shared_zone: true, ..Options::default() });
    let client = sign_in(&sandbox).await;
    let libraries = client.libraries().await.expect("libraries");
    assert_eq!(libraries.zones[0].name, "PrimarySync");
    assert_eq!((libraries.zones.len(), libraries.warnings.len()), (2, 0));
    for zone in &libraries.zones {
        assert!(client.indexing_finished(zone).await.expect("a state"));
        let (assets, oddities) = walk(&client, zone).await.expect("a listing");
        assert_eq!(oddities, []);
        assert_eq!(listed_files(&assets), true_files(&sandbox, &zone.name));
        assert_eq!(client.count(zone).await.expect("a count"), assets.len() as u64);
    }
    let albums = client.albums(&libraries.zones[0]).await.expect("albums");
    assert_eq!(albums.iter().map(|album| album.name.as_str()).collect::<Vec<_>>(), ["Sommer / Überblick"]);

    let on = Target::of(Endpoint::ZonesList).after(1);
    sandbox.faults().add(Fault { on, ..Fault::once(Endpoint::ZonesList, What::cloudkit("INTERNAL_ERROR")) });
    let libraries = client.libraries().await.expect("the private database is enough");
    assert!(!libraries.zones.is_empty() && libraries.warnings.len() == 1, "{libraries:?}");
}

/// Faults that pass when the page is asked for again.
fn passing() -> [What; 7] {
    [
        What::status(500),
        What::Reset,
        What::CutAfter { bytes: 1000 },
        What::cloudkit("TRY_AGAIN_LATER"),
        What::retry_after(503, "0"),
        What::Rscd { code: 401 },
        What::status(421),
    ]
}

/// Pages that are not as they should be.
fn odd() -> [What; 6] {
    [
        What::EmptyPage,
        What::RepeatedPage,
        What::MissingRecords { every: 2 },
        What::ReversedRecords,
        What::DoubledRecords,
        What::MalformedJson,
    ]
}

#[tokio::test]
async fn a_listing_survives_whatever_happens_to_its_pages() {
    // What is retried waits in between, so it strikes one page; what is odd strikes each in turn.
    let passing = passing().into_iter().map(|what| (what, 1));
    let odd = odd().into_iter().flat_map(|what| (0..3).map(move |page| (what.clone(), page)));
    let sandbox = start(Options { assets: 260, mean_size_bytes: Some(500), ..Options::default() });
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    let truth = true_files(&sandbox, &zone.name);
    for (what, page) in passing.chain(odd) {
        let on = Target::of(Endpoint::RecordsQuery).after(page);
        sandbox.faults().add(Fault { on, ..Fault::once(Endpoint::RecordsQuery, what.clone()) });
        let (assets, _) = walk(&client, &zone).await.expect("a listing");
        let listed = listed_files(&assets);
        let lost: Vec<_> = truth.symmetric_difference(&listed).take(3).collect();
        assert!(lost.is_empty(), "{what:?} at page {page}: {} of {}: {lost:?}", listed.len(), truth.len());
        assert_eq!(sandbox.faults().waiting(), [], "{what:?} at page {page} did not strike");
    }
}

#[tokio::test]
async fn pages_that_are_asked_for_ahead_survive_the_same() {
    let options = Options { assets: 260, page_cap: 30, mean_size_bytes: Some(500), ..Options::default() };
    let sandbox = start(options);
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    let truth = true_files(&sandbox, &zone.name);
    for what in passing().into_iter().chain(odd()) {
        // One of those that are under way together.
        let on = Target::of(Endpoint::RecordsQuery).after(3);
        sandbox.faults().add(Fault { on, ..Fault::once(Endpoint::RecordsQuery, what.clone()) });
        let listed = listed_files(&walk_ahead(&client, &zone).await.expect("a listing"));
        let lost: Vec<_> = truth.symmetric_difference(&listed).take(3).collect();
        assert!(lost.is_empty(), "{what:?}: {} of {}: {lost:?}", listed.len(), truth.len());
        assert_eq!(sandbox.faults().waiting(), [], "{what:?} did not strike");
    }
}

#[tokio::test]
async fn pages_are_under_way_together_each_of_them_once_and_none_before_the_first() {
    let options = Options { assets: 260, page_cap: 30, mean_size_bytes: Some(500), ..Options::default() };
    let sandbox = start(options);
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    let count = client.count(&zone).await.expect("a count");
    let ranks = || -> Vec<u64> { sandbox.log().iter().filter_map(|request| request.start_rank).collect() };
    sandbox.reset_counters();
    let mut listing = client.listing(&zone, Index::Visible);
    listing.next().await.expect("a page").expect("a first page");
    // A page that is older than the first one's token could hide a change.
    assert_eq!(ranks(), [0]);
    listing.look_ahead(count);
    // The second page does not come before the three behind it are asked for.
    let stall = What::StallAfter { bytes: 100, hold_ms: None };
    let second = Target::of(Endpoint::RecordsQuery);
    sandbox.faults().add(Fault { on: second, ..Fault::once(Endpoint::RecordsQuery, stall) });
    let walking = tokio::spawn(async move { while listing.next().await.expect("a page").is_some() {} });
    while ranks().len() < 5 {
        assert!(!walking.is_finished(), "a page that stalls ends no walk");
        tokio::task::yield_now().await;
    }
    // It may not stall yet, only be on its way there.
    while !walking.is_finished() {
        sandbox.faults().release();
        tokio::task::yield_now().await;
    }
    walking.await.expect("a walk");
    let mut asked = ranks();
    asked.sort_unstable();
    let mut once = asked.clone();
    once.dedup();
    assert_eq!(asked, once, "no page was asked for twice");
    // Nine full pages that overlap by one, and the empty one that ends them.
    assert_eq!(asked.len() as u64, 1 + (count - 30).div_ceil(29) + 1);
}

#[tokio::test]
async fn a_healthy_listing_asks_for_each_page_once() {
    let sandbox = start(Options { assets: 260, mean_size_bytes: Some(500), ..Options::default() });
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    sandbox.reset_counters();
    let (assets, oddities) = walk(&client, &zone).await.expect("a listing");
    assert_eq!((assets.len() as u64, oddities), (client.count(&zone).await.expect("a count"), vec![]));
    // Three pages, the empty one that ends them, and no look-up.
    let counters = sandbox.counters();
    assert_eq!(counters.of(Endpoint::RecordsQuery), 4);
    assert_eq!(counters.of(Endpoint::RecordsLookup), 0);
}

#[tokio::test]
async fn assets_that_move_up_during_a_walk_are_not_stepped_over() {
    move_up(false).await;
}

#[tokio::test]
async fn assets_that_move_up_under_pages_asked_for_ahead_are_not_stepped_over() {
    move_up(true).await;
}

async fn move_up(ahead: bool) {
    let sandbox = start(Options { assets: 420, mean_size_bytes: Some(500), ..Options::default() });
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    let mut listing = client.listing(&zone, Index::Visible);
    let mut assets = listing.next().await.expect("a page").expect("a first page").assets;
    if ahead {
        listing.look_ahead(client.count(&zone).await.expect("a count"));
    }
    let second = listing.next().await.expect("a page").expect("a second page").assets;
    // All of the second page and a part of the first: also the asset that the third would begin with.
    for asset in second.iter().chain(&assets[20..60]) {
        assert!(sandbox.library().delete_asset(asset.name.as_str()));
    }
    sandbox.library().add_asset(Kind::Jpeg);
    assets.extend(second);
    while let Some(page) = listing.next().await.expect("a page") {
        assets.extend(page.assets);
    }
    let listed = listed_files(&assets);
    let lost = true_files(&sandbox, &zone.name).difference(&listed).count();
    assert!(lost <= 1, "only the asset that was added may be missing: {lost}");
}

#[tokio::test]
async fn an_error_leaves_a_listing_where_it_was() {
    let sandbox = start(Options { assets: 150, mean_size_bytes: Some(500), ..Options::default() });
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    let mut listing = client.listing(&zone, Index::Visible);
    let mut assets = listing.next().await.expect("a page").expect("a first page").assets;
    for what in [What::MalformedJson, What::cloudkit("BAD_REQUEST"), What::retry_after(503, "3600")] {
        let times = Times::Count(if what == What::MalformedJson { 2 } else { 1 });
        sandbox.faults().add(Fault { times, ..Fault::once(Endpoint::RecordsQuery, what) });
        let error = listing.next().await.expect_err("a fault");
        let named = ["Malformed", "Server", "Throttled"].iter().any(|n| format!("{error:?}").starts_with(n));
        assert!(named, "{error:?}");
    }
    while let Some(page) = listing.next().await.expect("a page") {
        assets.extend(page.assets);
    }
    assert_eq!(listed_files(&assets), true_files(&sandbox, &zone.name));
}

#[tokio::test]
async fn odd_records_cost_themselves_only_and_are_named() {
    let sandbox = start(Options { assets: 30, odd_records: true, ..Options::default() });
    let client = sign_in(&sandbox).await;
    let zones = client.libraries().await.expect("libraries").zones;
    assert_eq!(zones.len(), 1, "a zone that is no library, or a deleted one: {zones:?}");
    let zone = zones[0].clone();
    let (assets, oddities) = walk(&client, &zone).await.expect("a listing");
    let by_name: BTreeMap<_, _> = assets.iter().map(|asset| (asset.name.as_str(), asset)).collect();
    let named: BTreeSet<_> = oddities.iter().map(|oddity| oddity.record_name.as_str()).collect();
    let listed = listed_files(&assets);
    for file in sandbox.truth().into_iter().filter(|file| !file.is_deleted && !file.is_hidden) {
        let rendition = word(file.rendition).to_owned();
        let odd = file.odd.clone().unwrap_or_default();
        let told = named.contains(file.asset_record.as_str()) || named.contains(file.master_record.as_str());
        let key = (file.asset_record.clone(), rendition.clone(), file.checksum.clone(), file.size);
        // A field that is absent or null says that there is no such file: nothing to be told.
        let unsaid = odd.starts_with("resJPEGFullRes ") && rendition == "edited";
        let reworded = odd.starts_with("checksum");
        assert!(
            listed.contains(&key) || told || unsaid || reworded,
            "{odd}: {rendition} is not accounted for"
        );
        if let Some(asset) = by_name.get(file.asset_record.as_str()) {
            let as_named = asset.filename == file.filename || file.filename.is_empty();
            assert!(as_named, "{odd}: {} is not {}", asset.filename, file.filename);
            assert!(!asset.filename.is_empty(), "{odd}");
        }
    }
    let kinds: BTreeSet<_> = oddities.iter().map(|oddity| oddity.kind.as_str()).collect();
    let expected = [
        OddityKind::Refused,
        OddityKind::OrphanMaster,
        OddityKind::MissingMaster,
        OddityKind::NoFiles,
        OddityKind::UnusableFile,
    ];
    for kind in expected {
        assert!(kinds.contains(kind.as_str()), "{} in {kinds:?}", kind.as_str());
    }
    for asset in &assets {
        let record = std::str::from_utf8(&asset.provider_record).expect("UTF-8");
        assert!(!record.contains("downloadURL") && !record.contains("/B/"), "{record}");
        assert!(serde_json::from_str::<serde_json::Value>(record).is_ok(), "{record}");
    }
    assert!(oddities.iter().all(|oddity| !oddity.detail.contains("http")));
}

#[tokio::test]
async fn an_expired_session_is_renewed_once_for_all_who_wait() {
    let sandbox = start(Options { assets: 5, ..Options::default() });
    let store = Memory::default();
    let person = Arc::new(owner(&sandbox));
    let client = sign_in_as(&sandbox, &store, Arc::clone(&person)).await.expect("signed in");
    let zone = primary(&client).await;
    sandbox.expire_sessions();
    sandbox.reset_counters();
    let counts = futures::future::join_all((0..8).map(|_| client.count(&zone))).await;
    assert!(counts.iter().all(|count| matches!(count, Ok(5))), "{counts:?}");
    assert_eq!(sandbox.counters().of(Endpoint::SigninComplete), 1);
    assert_eq!(person.asked.load(Ordering::Relaxed), 2);
    client.reauthenticate().await.expect("nothing to do");
    assert_eq!(sandbox.counters().of(Endpoint::SigninComplete), 1);

    let nobody = Arc::new(Somebody { password: None, ..owner(&sandbox) });
    let client = sign_in_as(&sandbox, &store, Arc::clone(&nobody)).await.expect("signed in");
    sandbox.expire_sessions();
    let counts = futures::future::join_all((0..8).map(|_| client.count(&zone))).await;
    assert!(counts.iter().all(|count| matches!(count, Err(Error::NeedsPerson(_)))), "{counts:?}");
    assert_eq!(nobody.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_body_that_is_refused_is_renewed_by_its_caller() {
    let sandbox = start(Options { assets: 1, ..Options::default() });
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    let (assets, _) = walk(&client, &zone).await.expect("a listing");
    sandbox.reset_counters();
    sandbox.faults().add(Fault::once(Endpoint::Cdn, What::status(401)));
    let offer = &assets[0].offers[0];
    let refused = fetch(&client, offer, 0, &[]).await;
    assert!(matches!(refused, Err(FetchError::SessionExpired { status: 401, .. })), "{refused:?}");
    let renewed = futures::future::join_all((0..4).map(|_| client.reauthenticate())).await;
    assert!(renewed.iter().all(Result::is_ok), "{renewed:?}");
    // The token still stood, so no password was needed.
    let counters = sandbox.counters();
    assert_eq!((counters.of(Endpoint::AccountLogin), counters.auth()), (1, 0));
    assert!(is_proven(offer, &fetch(&client, offer, 0, &[]).await.expect("a body")));
}

#[tokio::test]
async fn one_call_tells_that_nothing_changed() {
    let sandbox = start(Options { assets: 2, shared_zone: true, ..Options::default() });
    let client = sign_in(&sandbox).await;
    let first = client.changed_libraries(Database::Private, None).await.expect("changes");
    assert!(first.zones.iter().any(|zone| zone.name == "PrimarySync"), "{first:?}");
    let idle = client.changed_libraries(Database::Private, Some(&first.sync_token)).await.expect("changes");
    assert_eq!(idle.zones, []);
    let asset = sandbox.library().assets().remove(0);
    assert!(sandbox.library().set_favorite(&asset, true));
    let busy = client.changed_libraries(Database::Private, Some(&idle.sync_token)).await.expect("changes");
    assert_eq!(busy.zones.len(), 1);
    let void = client.changed_libraries(Database::Private, Some("nonsense")).await;
    assert!(matches!(void, Err(Error::Server { .. })), "{void:?}");
}

#[tokio::test]
async fn a_session_that_ends_again_and_again_is_not_renewed_for_ever() {
    let sandbox = start(Options { assets: 5, ..Options::default() });
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    for _ in 0..6 {
        sandbox.expire_cookies();
        client.count(&zone).await.expect("a renewed session");
    }
    sandbox.expire_cookies();
    let refused = client.count(&zone).await;
    assert!(format!("{refused:?}").contains("KeepsEnding { times: 6 }"), "{refused:?}");
}

#[tokio::test]
async fn a_session_that_stays_refused_ends_the_call() {
    let sandbox = start(Options { assets: 1, ..Options::default() });
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    sandbox.faults().add(Fault::always(Endpoint::QueryBatch, What::status(421)));
    let refused = client.count(&zone).await;
    assert!(matches!(refused, Err(Error::SessionExpired { .. })), "{refused:?}");
    sandbox.faults().clear();
    sandbox.faults().add(Fault::once(Endpoint::QueryBatch, What::cloudkit("ACCESS_DENIED")));
    let refused = client.count(&zone).await;
    assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
}

/// Fetches what is wanted of a file; the bytes before `from` are given.
async fn fetch(client: &Client, offer: &Offer, from: usize, had: &[u8]) -> Result<Vec<u8>, FetchError> {
    let url = offer.url.as_ref().expect("a URL");
    let wanted = Wanted { from: from as u64, size_bytes: offer.size_bytes, etag: None };
    let mut body = client.get(url, &wanted).await?;
    assert!(body.declared_bytes().is_none_or(|bytes| body.start() + bytes <= offer.size_bytes + 9));
    let mut bytes = had[..usize::try_from(body.start()).expect("a small file")].to_vec();
    while let Some(chunk) = body.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn is_proven(offer: &Offer, bytes: &[u8]) -> bool {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    offer.checksum.prove(&hasher.finish()) == Some(Proof::AppleSignature)
}

#[tokio::test]
async fn bytes_come_whole_resumed_and_again_after_the_url_died() {
    let sandbox = start(Options { assets: 12, mean_size_bytes: Some(60_000), ..Options::default() });
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    let (assets, _) = walk(&client, &zone).await.expect("a listing");
    for asset in &assets {
        for offer in &asset.offers {
            let whole = fetch(&client, offer, 0, &[]).await.expect("a body");
            assert!(is_proven(offer, &whole));
            let half = whole.len() / 2;
            assert_eq!(fetch(&client, offer, half, &whole).await.expect("the rest"), whole);
            sandbox.faults().add(Fault::once(Endpoint::Cdn, What::IgnoreRange));
            assert_eq!(fetch(&client, offer, half, &whole).await.expect("all again"), whole);
        }
    }
    sandbox.expire_urls();
    let (asset, offer) = (&assets[0], &assets[0].offers[0]);
    let dead = fetch(&client, offer, 0, &[]).await;
    assert!(matches!(dead, Err(FetchError::UrlExpired { status: 410 })), "{dead:?}");

    let names = [asset.master.0.clone(), "no-such-record".to_owned()];
    let lookup = client.lookup(&zone, &names).await.expect("a look-up");
    assert_eq!(lookup.missing[0].record_name, "no-such-record");
    assert!(lookup.missing[0].reason.starts_with("NOT_FOUND"));
    let fresh = lookup.found[0].files.iter().find(|file| file.rendition == offer.rendition).expect("a file");
    assert_eq!(fresh.checksum, offer.checksum);
    let offer = Offer { url: Some(fresh.url.clone()), ..offer.clone() };
    assert!(is_proven(&offer, &fetch(&client, &offer, 0, &[]).await.expect("a body")));
}

#[tokio::test]
async fn every_fault_of_the_content_host_has_a_name() {
    let sandbox = start(Options { assets: 3, mean_size_bytes: Some(90_000), ..Options::default() });
    let client = sign_in(&sandbox).await;
    let zone = primary(&client).await;
    let (assets, _) = walk(&client, &zone).await.expect("a listing");
    let offer = &assets[0].offers[0];
    let whole = fetch(&client, offer, 0, &[]).await.expect("a body");
    let foreign = "http://203.0.113.1/B/x".to_owned();
    let matrix = [
        (0, What::CutAfter { bytes: 20_000 }, "Network"),
        (0, What::ChunkedCut { bytes: 20_000 }, "Network"),
        (0, What::Reset, "Network"),
        (0, What::StallAfter { bytes: 20_000, hold_ms: None }, "Stalled"),
        (0, What::StallAfter { bytes: 0, hold_ms: None }, "Stalled"),
        (0, What::Drip { bytes_per_s: 100 }, "Stalled"),
        (0, What::Gzip, "BadAnswer"),
        (0, What::Unasked206, "BadAnswer"),
        (9, What::WrongContentRange { start_shift: 1, total_shift: 0 }, "BadAnswer"),
        (9, What::WrongContentRange { start_shift: 0, total_shift: 1 }, "BadAnswer"),
        (0, What::Redirect { status: 302, location: foreign }, "BadAnswer"),
        (0, What::status(401), "SessionExpired"),
        (0, What::status(403), "UrlExpired"),
        (0, What::status(404), "NotFound"),
        (0, What::status(416), "BadAnswer"),
        (0, What::status(502), "Server"),
        (0, What::retry_after(503, "30"), "Throttled"),
    ];
    for (from, what, expected) in matrix {
        sandbox.faults().add(Fault::once(Endpoint::Cdn, what.clone()));
        let answer = fetch(&client, offer, from, &whole).await;
        assert!(format!("{answer:?}").starts_with(&format!("Err({expected}")), "{what:?}: {answer:?}");
        assert!(!format!("{answer:?}").contains("/B/"), "{what:?}: {answer:?}");
        sandbox.faults().clear();
        assert_eq!(fetch(&client, offer, from, &whole).await.expect("the next try"), whole, "after {what:?}");
    }
    for what in
        [What::Chunked, What::FlipBit { offset: 5 }, What::Truncate { bytes: 9 }, What::Extend { bytes: 9 }]
    {
        sandbox.faults().add(Fault::once(Endpoint::Cdn, what.clone()));
        let bytes = fetch(&client, offer, 0, &[]).await.expect("a body that only its checksum can tell");
        assert_eq!(is_proven(offer, &bytes), what == What::Chunked, "{what:?}");
    }
}
