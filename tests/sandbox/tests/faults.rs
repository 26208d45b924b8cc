//! Faults: each goes wrong in its own way, and only as often as it was told to.
#![expect(unreachable_pub, reason = "a test says what it claims by its name")]

mod client;

use client::{Answer, Client};
use rollbook_sandbox::{Endpoint, Fault, Options, Rendition, Sandbox, Target, Times, What};
use serde_json::json;

struct Scene {
    sandbox: Sandbox,
    client: Client,
    url: String,
    whole: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let sandbox =
            Sandbox::start(Options { assets: 1, mean_size_bytes: Some(40_000), ..Options::default() });
        let mut client = Client::signed_in(&sandbox);
        let url =
            client.list()[0]["fields"]["resOriginalRes"]["value"]["downloadURL"].as_str().unwrap().to_owned();
        let whole = client.send("GET", &url, &[], &[]).unwrap().body;
        Self { sandbox, client, url, whole }
    }

    fn get(&mut self, what: What, range: Option<&str>) -> std::io::Result<Answer> {
        self.sandbox.faults().add(Fault::once(Endpoint::Cdn, what));
        let headers: Vec<(&str, &str)> = range.map(|range| ("range", range)).into_iter().collect();
        self.client.send("GET", &self.url, &headers, &[])
    }
}

#[test]
fn content_breaks_in_every_way() {
    let mut scene = Scene::new();
    let whole = scene.whole.clone();
    let size = whole.len();

    let cut = scene.get(What::CutAfter { bytes: 1_000 }, None).unwrap();
    assert_eq!(cut.header("content-length").unwrap(), size.to_string());
    assert_eq!(cut.body, whole[..1_000]);

    let chunked = scene.get(What::ChunkedCut { bytes: 1_000 }, None).unwrap();
    assert_eq!(chunked.header("transfer-encoding"), Some("chunked"));
    assert!(!chunked.body.ends_with(b"0\r\n\r\n"));

    let flipped = scene.get(What::FlipBit { offset: 5_000 }, Some("bytes=4000-")).unwrap();
    let wrong: Vec<usize> = (4_000..size).filter(|at| flipped.body[at - 4_000] != whole[*at]).collect();
    assert_eq!(wrong, [5_000]);

    let short = scene.get(What::Truncate { bytes: 10 }, None).unwrap();
    assert_eq!(
        (short.header("content-length").unwrap().parse(), short.body.len()),
        (Ok(size - 10), size - 10)
    );
    assert_eq!(scene.get(What::Extend { bytes: 10 }, None).unwrap().body.len(), size + 10);

    let ignored = scene.get(What::IgnoreRange, Some("bytes=10-")).unwrap();
    assert_eq!((ignored.status, ignored.body.len()), (200, size));

    let lie =
        scene.get(What::WrongContentRange { start_shift: -1, total_shift: 5 }, Some("bytes=10-")).unwrap();
    assert_eq!(lie.header("content-range").unwrap(), format!("bytes 9-{}/{}", size - 2, size + 5));

    let unasked = scene.get(What::Unasked206, None).unwrap();
    assert_eq!((unasked.status, unasked.body.len()), (206, size));

    let gzip = scene.get(What::Gzip, None).unwrap();
    assert_eq!((gzip.header("content-encoding"), &gzip.body[..2]), (Some("gzip"), &[0x1f, 0x8b][..]));

    assert!(scene.get(What::Reset, None).is_err());
    let stalled = scene.get(What::StallAfter { bytes: 500, hold_ms: Some(30) }, None).unwrap();
    assert_eq!(stalled.body, whole);
    let dripped = scene.get(What::Drip { bytes_per_s: 400_000 }, None).unwrap();
    assert_eq!(dripped.body, whole);
    let late = scene.get(What::retry_after(503, "1000000000"), None).unwrap();
    assert_eq!((late.status, late.header("retry-after")), (503, Some("1000000000")));
    assert_eq!(scene.get(What::body(200, "text/html", "<html>"), None).unwrap().body, b"<html>");
    let moved =
        scene.get(What::Redirect { status: 302, location: "http://127.0.0.1:1/x".into() }, None).unwrap();
    assert_eq!(moved.header("location"), Some("http://127.0.0.1:1/x"));

    assert!(scene.sandbox.faults().waiting().is_empty());
    let log = scene.sandbox.log();
    let cut = log.iter().find(|entry| entry.is_faulted).unwrap();
    assert_eq!((cut.bytes_sent, cut.rendition), (1_000, Some(Rendition::Original)));
    assert!(log.iter().any(|entry| entry.status == 0), "the reset is in the log");
}

#[test]
fn a_stall_waits_until_it_is_released() {
    let mut scene = Scene::new();
    scene.sandbox.faults().add(Fault::once(Endpoint::Cdn, What::StallAfter { bytes: 100, hold_ms: None }));
    let Scene { sandbox, client, url, whole } = &mut scene;
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| client.send("GET", url, &[], &[]).unwrap());
        while !sandbox.log().iter().any(|entry| entry.is_faulted && entry.bytes_sent == 100) {
            std::thread::yield_now();
        }
        assert!(!reader.is_finished());
        sandbox.faults().release();
        assert_eq!(reader.join().unwrap().body, *whole);
    });
}

#[test]
fn pages_break_in_every_way() {
    let sandbox = Sandbox::start(Options { assets: 150, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let index = "CPLAssetAndMasterByAssetDateWithoutHiddenOrDeleted";
    let mut page = |what: What, start: u64| {
        sandbox.faults().add(Fault::once(Endpoint::RecordsQuery, what));
        client.page(index, start)
    };
    let count = |page: &serde_json::Value| page["records"].as_array().map_or(0, Vec::len);
    assert_eq!(count(&page(What::EmptyPage, 0)), 0);
    assert_eq!(count(&page(What::MissingRecords { every: 2 }, 0)), 100);
    assert_eq!(count(&page(What::DoubledRecords, 0)), 400);
    let first = page(What::ReversedRecords, 0);
    let again = page(What::RepeatedPage, 100);
    assert_eq!(first["records"][199]["recordName"], again["records"][0]["recordName"]);
    assert_eq!(page(What::cloudkit("TRY_AGAIN_LATER"), 0)["serverErrorCode"], "TRY_AGAIN_LATER");
}

#[test]
fn a_fault_strikes_what_it_names_and_as_often_as_it_says() {
    let sandbox = Sandbox::start(Options { assets: 3, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let records = client.list();
    let asset = sandbox.truth()[0].asset_record.clone();
    let on = Target::file(&asset, Rendition::Original).after(1);
    sandbox.faults().add(Fault { on, times: Times::Count(2), what: What::status(500) });
    let urls: Vec<&str> = records
        .iter()
        .filter_map(|record| record["fields"]["resOriginalRes"]["value"]["downloadURL"].as_str())
        .collect();
    let mut status = |at: usize| client.send("GET", urls[at], &[], &[]).unwrap().status;
    assert_eq!([status(0), status(1), status(0), status(0), status(0)], [200, 200, 500, 500, 200]);
}

#[test]
fn faults_come_in_over_http_too() {
    let sandbox = Sandbox::start(Options::default());
    let mut client = Client::signed_in(&sandbox);
    let control = |name: &str| format!("{}/_sandbox/{name}", sandbox.endpoint());
    let faults = json!([
        {"on": {"endpoint": "zones_list"}, "times": {"count": 2}, "what": {"kind": "rscd", "code": 401}},
        {"on": {"endpoint": "records_query"}, "times": "always", "what": {"kind": "answer", "status": 429, "retry_after": "7"}},
    ]);
    assert_eq!(
        client.send("POST", &control("faults"), &[], faults.to_string().as_bytes()).unwrap().status,
        200
    );
    assert_eq!(client.ck("zones/list", &json!({})).header("x-apple-i-rscd"), Some("401"));
    for _ in 0..3 {
        let answer = client.ck("records/query", &json!({}));
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    }
    let truth = client.send("GET", &control("truth"), &[], &[]).unwrap().json();
    assert_eq!(truth.as_array().unwrap().len(), sandbox.truth().len());
    let change = json!({"do": "add", "kind": "live"}).to_string();
    assert_eq!(client.send("POST", &control("library"), &[], change.as_bytes()).unwrap().status, 200);
    assert_eq!(sandbox.library().assets().len(), 61);
    assert_eq!(sandbox.counters().of(Endpoint::Control), 0);
}
