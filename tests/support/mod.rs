//! What the scenario tests share: the real binary, a sandbox, and the truth to compare with.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rollbook_sandbox::{Options, Sandbox, TruthFile};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// A sandbox, a data directory and a destination: one person's world.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    folder: TempDir,
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        Self { sandbox: Sandbox::start(options), folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn photos(&self) -> PathBuf {
        self.folder.path().join("photos")
    }

    /// Gives photos other names, all at once: so also each other's.
    pub(crate) fn shuffle(&self, moves: &[(impl AsRef<Path>, impl AsRef<Path>)]) {
        let aside = |number: usize| self.photos().join(format!("moving-{number}"));
        for (number, (from, _)) in moves.iter().enumerate() {
            fs::rename(self.photos().join(from), aside(number)).unwrap();
        }
        for (number, (_, to)) in moves.iter().enumerate() {
            let to = self.photos().join(to);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::rename(aside(number), to).unwrap();
        }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file for the log of durable steps.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.path().join("steps.log")
    }

    pub(crate) fn journal(&self) -> Connection {
        Connection::open(self.data_dir().join("journal.db")).unwrap()
    }

    /// The binary with everything in its environment, as a scheduler would start it.
    pub(crate) fn rollbook(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollbook"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("ROLLBOOK_USERNAME", self.sandbox.username())
            .env("ROLLBOOK_PASSWORD", self.sandbox.password())
            .env("ROLLBOOK_DIRECTORY", self.photos())
            .env("ROLLBOOK_DATA_DIR", self.data_dir())
            .env("ROLLBOOK_ENDPOINT", self.sandbox.endpoint())
            .stdin(Stdio::null());
        command
    }

    /// Runs to the end and checks the exit code.
    pub(crate) fn run(&self, args: &[&str], code: i32) -> Ran {
        let output = self.rollbook(args).output().unwrap();
        let ran = Ran(output);
        assert_eq!(ran.0.status.code(), Some(code), "rollbook {args:?}\n{}{}", ran.stdout(), ran.stderr());
        ran
    }

    /// Starts a run and leaves it going.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.rollbook(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Every file of the tree by path, with its digest; part files included, the marker not.
    pub(crate) fn tree(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        walk(&self.photos(), &self.photos(), &mut files);
        files.remove(".rollbook");
        files
    }

    /// The tree without part files: what stands under final names.
    pub(crate) fn published(&self) -> BTreeMap<String, String> {
        let mut files = self.tree();
        files.retain(|path, _| !path.ends_with(".part"));
        files
    }

    /// Asserts that no byte was asked for of files that were here, as [`World::published`] told then.
    pub(crate) fn assert_not_asked_for(&self, here: &BTreeMap<String, String>, when: &str) {
        let mut truth = self.sandbox.truth();
        truth.retain(|file| here.values().any(|sha256| *sha256 == file.sha256));
        for request in self.sandbox.log() {
            let is_of = |file: &TruthFile| {
                request.asset_record.as_ref() == Some(&file.asset_record)
                    && request.rendition == Some(file.rendition)
            };
            let again = truth.iter().find(|file| is_of(file));
            assert!(again.is_none(), "{when}: {again:?} was here, and was asked for");
        }
    }

    /// The one part file of a path: `PATH.TAG.part`.
    pub(crate) fn part_of(&self, path: &str) -> PathBuf {
        let parts: Vec<String> =
            self.tree().into_keys().filter(|p| p.starts_with(path) && p.ends_with(".part")).collect();
        assert_eq!(parts.len(), 1, "one part of {path}: {parts:?}");
        self.photos().join(&parts[0])
    }

    /// Asserts promise 1 and 4: the tree holds each file of the truth once, and nothing else, and
    /// every row is verified by Apple's own signature.
    pub(crate) fn assert_complete(&self) {
        let mut tree: Vec<String> = self.tree().into_values().collect();
        let mut truth: Vec<String> = self.sandbox.truth().into_iter().map(|file| file.sha256).collect();
        tree.sort();
        truth.sort();
        assert_eq!(tree.len(), truth.len(), "files in the tree, files in the truth");
        assert_eq!(tree, truth);
        let unproved: i64 = self.count("state <> 'verified' OR verified_by <> 'apple-signature'");
        assert_eq!(unproved, 0, "rows without proof");
        self.assert_rows_are_true();
    }

    /// Asserts invariant 1: a verified row has its file, with the size and digest it says.
    pub(crate) fn assert_rows_are_true(&self) {
        let journal = self.journal();
        let tree = self.tree();
        let mut statement = journal
            .prepare("SELECT path, sha256 FROM v_file WHERE state = 'verified' AND released_at IS NULL")
            .unwrap();
        let rows = statement.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?))).unwrap();
        for row in rows {
            let (path, sha256) = row.unwrap();
            assert_eq!(tree.get(&path), Some(&sha256), "{path}");
        }
        self.assert_journal_is_sound();
    }

    /// Asserts what `rollbook journal check` looks at.
    pub(crate) fn assert_journal_is_sound(&self) {
        let examined = rollbook::journal::examine(&self.data_dir().join("journal.db")).unwrap();
        assert!(examined.flaws.is_empty(), "{:?}", examined.flaws);
    }

    /// Bytes that the journal says need not come again: those of verified files, and promised ones.
    pub(crate) fn bytes_kept(&self) -> u64 {
        if self.try_count("1").is_none() {
            return 0;
        }
        let sql = "SELECT coalesce(sum(done_bytes), 0) FROM v_file";
        self.journal().query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap() as u64
    }

    /// Rows of `asset_file` for which `condition` holds.
    pub(crate) fn count(&self, condition: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM asset_file WHERE {condition}");
        self.journal().query_row(&sql, [], |r| r.get(0)).unwrap()
    }
}

/// A finished run.
pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}

fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, files);
        } else if path.is_file() {
            let name: OsString = path.strip_prefix(root).unwrap().into();
            // A run may be on, and give it another name this very moment.
            match fs::read(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                read => drop(files.insert(name.into_string().unwrap(), digest(&read.unwrap()))),
            }
        }
    }
}

pub(crate) fn sha256(path: &Path) -> String {
    digest(&fs::read(path).unwrap())
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits for a signal from the outside world, never for a time.
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < patience, "waited a minute for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl World {
    /// As [`World::count`], while a run may be in the middle of making the journal.
    pub(crate) fn try_count(&self, condition: &str) -> Option<i64> {
        let sql = format!("SELECT count(*) FROM asset_file WHERE {condition}");
        Connection::open(self.data_dir().join("journal.db")).ok()?.query_row(&sql, [], |r| r.get(0)).ok()
    }
}

impl World {
    /// How often an event stands in the history.
    pub(crate) fn history(&self, event: &str) -> i64 {
        let sql = "SELECT count(*) FROM v_history WHERE event = ?1";
        self.journal().query_row(sql, [event], |r| r.get(0)).unwrap()
    }
}

/// Waits for a run that was spawned, and checks the exit code.
pub(crate) fn finish(run: Child, code: i32) -> Ran {
    let ran = Ran(run.wait_with_output().unwrap());
    assert_eq!(ran.0.status.code(), Some(code), "{}{}", ran.stdout(), ran.stderr());
    ran
}

/// Sends a signal by name, as a person or a service manager would.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Asks a run to stop and waits for it.
pub(crate) fn terminate(child: &mut Child) {
    signal(child, "TERM");
    child.wait().unwrap();
}

/// The word of the journal for a rendition of the sandbox.
fn word_of(rendition: rollbook_sandbox::Rendition) -> &'static str {
    use rollbook_sandbox::Rendition;
    match rendition {
        Rendition::Original => "original",
        Rendition::OriginalAlt => "alternative",
        Rendition::OriginalVidCompl => "live-video",
        Rendition::JPEGFull => "edited",
        Rendition::VidFull => "edited-video",
        other => panic!("not a file worth keeping: {other:?}"),
    }
}

/// One file as both sides describe it: library, asset, its name, its flags and date, the rendition
/// and the digest of its bytes.
type Line = (String, String, String, (bool, bool), i64, String, String);

impl World {
    /// As [`World::assert_equals_truth`], and the books balance.
    pub(crate) fn assert_follows(&self) {
        self.assert_equals_truth();
        self.run(&["audit", "--offline"], 0);
    }

    /// Asserts that tree and journal are the library as it is now: every current file of every asset
    /// that is not deleted is here and verified, and every row says what the library says. Any other
    /// file in the tree is a version that was current once.
    pub(crate) fn assert_equals_truth(&self) {
        let mut truth: Vec<Line> = self
            .sandbox
            .truth()
            .into_iter()
            .filter(|file| !file.is_deleted)
            .map(|file| {
                let flags = (file.is_favorite, file.is_hidden);
                let rendition = word_of(file.rendition).to_owned();
                (file.zone, file.asset_record, file.filename, flags, file.captured_ms, rendition, file.sha256)
            })
            .collect();
        let journal = self.journal();
        let mut statement = journal
            .prepare(
                "SELECT zone_name, record_name, filename, favorite, hidden, captured_ms, rendition,
                        coalesce(lower(hex(sha256)), standing)
                 FROM asset_file f JOIN asset a USING (asset_id) JOIN library l ON l.library_id = f.library_id
                 WHERE removed_at IS NULL AND superseded_at IS NULL",
            )
            .unwrap();
        let line = |r: &rusqlite::Row<'_>| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, (r.get(3)?, r.get(4)?), r.get(5)?, r.get(6)?, r.get(7)?))
        };
        let mut rows: Vec<Line> = statement.query_map([], line).unwrap().map(Result::unwrap).collect();
        truth.sort();
        rows.sort();
        let missing: Vec<_> = truth.iter().filter(|line| !rows.contains(line)).collect();
        let surplus: Vec<_> = rows.iter().filter(|line| !truth.contains(line)).collect();
        let mut statement =
            journal.prepare("SELECT name || ': ' || kind || ': ' || detail FROM v_problem").unwrap();
        let problems: Vec<String> =
            statement.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "missing: {missing:#?}\nsurplus: {surplus:#?}\nproblems: {problems:#?}"
        );
        self.assert_rows_are_true();
        let tree = self.tree();
        assert_eq!(self.count("state = 'verified'"), tree.len() as i64, "every file is a row: {tree:#?}");
        assert_eq!(self.count("state <> 'verified' AND superseded_at IS NULL"), 0, "nothing is open");
    }

    /// How often an event stands in the histories of assets.
    pub(crate) fn told(&self, event: &str) -> i64 {
        let sql = "SELECT count(*) FROM asset_history WHERE event = ?1";
        self.journal().query_row(sql, [event], |r| r.get(0)).unwrap()
    }

    /// Inode and change time of everything in the tree: any write shows.
    pub(crate) fn inventory(&self) -> BTreeMap<String, (u64, i64, i64)> {
        use std::os::unix::fs::MetadataExt as _;
        fn look(folder: &Path, found: &mut BTreeMap<String, (u64, i64, i64)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                found.insert(path.to_string_lossy().into(), (meta.ino(), meta.ctime(), meta.ctime_nsec()));
                if meta.is_dir() {
                    look(&path, found);
                }
            }
        }
        let mut found = BTreeMap::new();
        look(&self.photos(), &mut found);
        found
    }
}
