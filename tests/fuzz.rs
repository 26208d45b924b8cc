//! Fuzzing: bytes that nobody would send, through everything that reads what others wrote.
//!
//! Each target is a plain function over bytes. The driver mutates a small corpus (`fuzz/corpus`) by a
//! seed that it prints when a target panics. A few seconds in each test run;
//! `ROLLBOOK_FUZZ_SECONDS=600 cargo test --test fuzz -- --nocapture` for longer, with
//! `ROLLBOOK_FUZZ_SEED` to begin elsewhere.
#![expect(clippy::print_stdout, reason = "the number of inputs is told")]

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rollbook::icloud::raw;
use rollbook::journal::{Journal, Place};
use rollbook::model::asset::{Asset, Captured, Database, Zone};
use rollbook::model::backoff;
use rollbook::model::checksum::AppleChecksum;
use rollbook::model::choices::Choices;
use rollbook::model::layout::{self, DateOf, FolderTemplate, Layout, LiveMovies, NameTemplate, path_key};
use rollbook::model::signed_url::SignedUrl;
use rusqlite::Connection;

const NOW: i64 = 1_700_000_000;

/// Pieces that readers stumble over.
const WORDS: [&[u8]; 28] = [
    b"[[account]]\n",
    b"password = \"hunter2\"\n",
    b" = ",
    b"true",
    b"\n",
    b"\"\"\"",
    b"null",
    b"{}",
    b"[]",
    b"\"\"",
    b"-1",
    b"1e999",
    b"9223372036854775808",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"../",
    b"/",
    b"\0",
    b"\xe2\x80\xae",
    b"%",
    b"{",
    b"\"fields\":",
    b"\"value\":",
    b"\"size\":",
    b"bytes ",
    b"-",
    b"\"recordName\":\"A1\",",
];

struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % below.max(1)
    }
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    for _ in 0..1 + random.next(6) {
        let at = random.next(bytes.len() + 1);
        let len = 1 + random.next(24);
        let end = (at + len).min(bytes.len());
        match random.next(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.next(8),
            1 if at < bytes.len() => bytes[at] = random.next(256) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            4 => {
                bytes.splice(at..end, WORDS[random.next(WORDS.len())].iter().copied());
            }
            5 => {
                let other = &corpus[random.next(corpus.len())];
                let from = random.next(other.len() + 1);
                let piece = other[from..(from + len * 8).min(other.len())].to_vec();
                bytes.splice(at..end, piece);
            }
            _ => bytes.truncate(at),
        }
    }
}

/// Feeds a target with mutants of its corpus for a while, and says how many.
fn drive(corpus: &str, target: impl Fn(&[u8])) -> u64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(corpus);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    if corpus == "text" {
        let lines = seeds.iter().flat_map(|file| file.split(|byte| *byte == b'\n')).map(<[u8]>::to_vec);
        seeds = lines.collect();
    }
    let number =
        |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let length = Duration::from_secs(number("ROLLBOOK_FUZZ_SECONDS", 2));
    let first = number("ROLLBOOK_FUZZ_SEED", 1);
    let (began, mut tried) = (Instant::now(), 0);
    while began.elapsed() < length {
        let seed = first + tried;
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut bytes = seeds[random.next(seeds.len())].clone();
        // The corpus itself comes first.
        if let Some(seed) = seeds.get(tried as usize) {
            bytes.clone_from(seed);
        } else {
            mutate(&mut bytes, &seeds, &mut random);
        }
        let survived = catch_unwind(AssertUnwindSafe(|| target(&bytes)));
        assert!(survived.is_ok(), "ROLLBOOK_FUZZ_SEED={seed}: {:?}", String::from_utf8_lossy(&bytes));
        tried += 1;
    }
    println!("{tried} inputs of {corpus}");
    tried
}

/// A page becomes rows, twice the same, and each path is one that any disk takes.
#[test]
fn any_page_becomes_rows_below_the_destination_and_twice_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    let at = begin(&journal, &runtime);
    let reader = Connection::open(&path).unwrap();
    let folders = FolderTemplate::parse("%Y/{camera}").unwrap();
    let by_camera = Layout { folders, ..Layout::default() };
    let choices = Arc::new(Choices { layout: by_camera, ..Choices::default() });
    let tried = drive("page", |bytes| {
        let Some(page) = raw::page(bytes) else { return };
        let names: Vec<String> = page.assets.iter().map(|asset| asset.name.0.clone()).collect();
        let record = |page| runtime.block_on(journal.record_page(at, Arc::clone(&choices), page)).unwrap();
        record(page.clone());
        let once = rows(&reader, &names);
        record(page);
        assert_eq!(rows(&reader, &names), once, "a page that comes twice changes nothing");
        assert_paths(&once);
    });
    assert!(tried > 20);
}

fn rows(reader: &Connection, assets: &[String]) -> Vec<String> {
    let sql = "SELECT path || char(9) || rendition || char(9) || state || char(9) || size_bytes FROM v_file
               WHERE asset = ?1 ORDER BY 1";
    let mut statement = reader.prepare_cached(sql).unwrap();
    let mut rows = Vec::new();
    for asset in assets.iter().collect::<std::collections::BTreeSet<_>>() {
        rows.extend(statement.query_map([asset], |r| r.get::<_, String>(0)).unwrap().map(Result::unwrap));
    }
    rows
}

/// What changed becomes rows, twice the same, whatever came before; and each path is one that any disk takes.
#[test]
fn any_changes_become_rows_below_the_destination_and_twice_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    let at = begin(&journal, &runtime);
    let reader = Connection::open(&path).unwrap();
    let tried = drive("changes", |bytes| {
        let Some(changes) = raw::changes(bytes) else { return };
        let names: Vec<String> = changes
            .page
            .assets
            .iter()
            .map(|asset| asset.name.0.clone())
            .chain(changes.purged.iter().cloned())
            .collect();
        let record = |changes| {
            runtime.block_on(journal.record_changes(at, Arc::default(), changes)).unwrap();
        };
        record(changes.clone());
        let once = rows(&reader, &names);
        record(changes);
        assert_eq!(rows(&reader, &names), once, "changes that come twice change nothing");
        assert_paths(&once);
    });
    assert!(tried > 20);
    drop(journal);
    let examined = rollbook::journal::examine(&path).unwrap();
    assert!(examined.flaws.is_empty(), "{:?}", examined.flaws);
}

/// A session file is taken up, or begun anew; what is saved of it is taken up as it is.
#[test]
fn any_session_file_is_taken_up_or_begun_anew() {
    let parse = |bytes: &[u8]| -> serde_json::Value { serde_json::from_slice(bytes).unwrap() };
    let tried = drive("session", |bytes| {
        let saved = raw::session(bytes);
        let value = parse(&saved);
        assert_eq!(value["username"], "u", "another account's session is none");
        assert!(value["client_id"].is_string());
        let again = parse(&raw::session(&saved));
        for key in ["client_id", "scnt", "session_id", "session_token", "trust_token", "trusted_at"] {
            assert_eq!(again[key], value[key], "{key}");
        }
        if let Some(theirs) = rollbook::icloud::icloudpd::convert("u", bytes) {
            assert_eq!(parse(&raw::session(&theirs))["client_id"], parse(&theirs)["client_id"]);
        }
    });
    assert!(tried > 100);
}

/// A property list is read in no time, and what comes of it is text that a person may see.
#[test]
fn any_property_list_is_read_or_refused() {
    let tried = drive("list", |bytes| {
        let (camera, facts) = raw::property_list(bytes);
        assert!(camera.is_none_or(|name| name.len() <= 128 && !name.chars().any(char::is_control)));
        assert!(facts.keywords.len() <= 1000);
    });
    assert!(tried > 1000);
}

/// What follows the name of a file in that of its part: `.TAG.part`.
const PART_BYTES: usize = 12;

/// Whatever a template, a name, a library and an album hold, the path stays below the destination.
#[test]
fn any_template_filled_with_anything_gives_a_path_below_the_destination() {
    let sample = raw::page(ONE_OF_EACH).expect("a page").assets.remove(0);
    let tried = drive("layout", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split('\n');
        let mut line = || lines.next().unwrap_or_default();
        let (folders, names) = (FolderTemplate::parse(line()), NameTemplate::parse(line()));
        let (filename, zone, album) = (line().to_owned(), line(), line());
        let (at_ms, offset) = (line().parse().ok(), line().parse().ok());
        let camera = Some(line().to_owned());
        let captured = at_ms.map(|at_ms| Captured { at_ms, offset_seconds: offset });
        let asset = Asset { filename, captured, added_at_ms: at_ms, camera, ..sample.clone() };
        for (date, live_movies, name_bytes_max) in
            [(DateOf::Captured, LiveMovies::Suffix, 255), (DateOf::Added, LiveMovies::SameStem, 143)]
        {
            let layout = Layout {
                folders: folders.clone().unwrap_or_default(),
                names: names.clone().unwrap_or_default(),
                date,
                live_movies,
                ..Layout::default()
            };
            let layout = layout.within(name_bytes_max as u64);
            let (folder, stems) = layout.stems(&asset, zone, Some(album));
            for stem in stems.take(4) {
                for offer in &asset.offers {
                    let name = layout.file_name(&stem, &asset, offer);
                    let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                    assert!(name.len() + PART_BYTES <= name_bytes_max, "{} bytes: {name:?}", name.len());
                    assert_safe(&path);
                    for other in layout::other_paths(&path, &asset.name).take(3) {
                        assert_safe(&other);
                    }
                }
            }
        }
    });
    assert!(tried > 100);
}

/// An asset with an original, a movie and an edit.
const ONE_OF_EACH: &[u8] = include_bytes!("fuzz/corpus/page/plain.json");

/// A path that any disk takes, below any destination.
fn assert_safe(path: &str) {
    assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255), "{path:?}");
    assert!(!path.starts_with('/') && !path.chars().any(char::is_control), "{path:?}");
}

/// Paths of rows: each safe, and no two of them one file on some disk.
fn assert_paths(rows: &[String]) {
    let mut keys = BTreeMap::new();
    for path in rows.iter().map(|row| row.split('\t').next().unwrap()) {
        assert_safe(path);
        assert!(keys.insert(path_key(path), path).is_none(), "{path:?} twice");
    }
}

/// An account with a library, in a run.
fn begin(journal: &Journal, runtime: &tokio::runtime::Runtime) -> Place {
    let zone = Zone {
        database: Database::Private,
        name: "PrimarySync".into(),
        owner: String::new(),
        kind: String::new(),
    };
    let (library, run) = runtime.block_on(async {
        let account = journal.account("u", "1", NOW).await.unwrap();
        let library = journal.library(account, &zone, None).await.unwrap();
        (library, journal.begin_run(account, NOW).await.unwrap())
    });
    Place { library, run, now: NOW }
}

/// A configuration is used, or refused with a reason or a cure.
#[test]
fn any_configuration_is_used_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let trouble = rollbook::cli::configuration_reader(&file);
    let tried = drive("config", |bytes| {
        fs::write(&file, bytes).unwrap();
        if let Some(problem) = trouble() {
            assert!(problem.starts_with("error: cannot"), "{problem}");
            assert!(problem.contains("why: ") || problem.contains("hint: "), "{problem}");
            assert!(!problem.contains("hunter2"), "a password is never shown: {problem}");
        }
    });
    assert!(tried > 20);
}

/// Headers, addresses, checksums and templates are text that somebody else wrote.
#[test]
fn any_text_is_read_or_refused() {
    let tried = drive("text", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Some((start, total)) = raw::content_range(&text) {
            assert!(total.is_none_or(|total| start < total));
        }
        if let Some(wait) = backoff::retry_after(&text, NOW) {
            assert!(wait <= backoff::RETRY_AFTER_MAX);
        }
        let url = SignedUrl::issued(&*text, NOW);
        assert!((NOW..=NOW + 24 * 3600).contains(&url.expires_at()), "{}", url.expires_at());
        let _ = AppleChecksum::parse(&text);
        let _ = FolderTemplate::parse(&text);
        let _ = NameTemplate::parse(&text);
    });
    assert!(tried > 1000);
}
