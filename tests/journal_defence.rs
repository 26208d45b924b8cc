//! A damaged journal is recognised, said plainly, kept, and comes back: from a snapshot, or from the
//! files and Apple. Not a byte of a verified file is fetched for that.
//!
//! One library is synced, photos are added and synced too, and only the snapshot of before is left:
//! so the files on the disk are ahead of it. Then each damage is done to a copy of that journal.

mod support;

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rollbook_sandbox::{Endpoint, Kind, Options};
use rusqlite::Connection;
use support::{Ran, World};

/// A synced world whose journal is two photos ahead of its only snapshot.
struct Pristine {
    world: World,
    /// A copy of the data directory.
    copy: PathBuf,
}

impl Pristine {
    fn new() -> Self {
        let world = World::new(Options { assets: 24, ..Options::default() });
        world.run(&["sync"], 0);
        world.sandbox.library().add_asset(Kind::Jpeg);
        world.sandbox.library().add_asset(Kind::Live);
        world.run(&["sync"], 0);
        let newest = snapshots(&world).pop().unwrap();
        fs::remove_file(newest).unwrap();
        assert_eq!(snapshots(&world).len(), 1);
        let copy = world.data_dir().with_extension("pristine");
        copy_folder(&world.data_dir(), &copy);
        Self { world, copy }
    }

    /// The world as it was before any damage.
    fn again(&self) -> &World {
        fs::remove_dir_all(self.world.data_dir()).unwrap();
        copy_folder(&self.copy, &self.world.data_dir());
        self.world.sandbox.reset_counters();
        &self.world
    }
}

/// Oldest first.
fn snapshots(world: &World) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(world.data_dir().join("snapshots")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn journal_file(world: &World) -> PathBuf {
    world.data_dir().join("journal.db")
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

fn flip(path: &Path, at: u64) {
    let mut byte = [0];
    let mut file = fs::File::open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    overwrite(path, at, &[byte[0] ^ 0xff]);
}

fn len(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

const PAGE: u64 = 4096;

type Harm = fn(&Path);
type Damage = (&'static str, Harm, &'static str);

/// What is done to the file of a journal that was closed, and what a person must read.
const DAMAGES: [Damage; 14] = [
    ("a flip in the magic of the header", |db| flip(db, 3), "not a database"),
    ("a flip in the page size", |db| flip(db, 16), "damaged"),
    ("the head zeroed", |db| overwrite(db, 0, &[0; 512]), "not a database"),
    ("all zeros", |db| fs::write(db, vec![0; len(db) as usize]).unwrap(), "not a database"),
    (
        "a text in its place",
        |db| fs::write(db, "Dear diary,\nnothing\n".repeat(60)).unwrap(),
        "not a database",
    ),
    ("one byte left", |db| truncate(db, 1), "only 1 bytes are left"),
    ("half a header left", |db| truncate(db, 50), "only 50 bytes are left"),
    ("half a page left", |db| truncate(db, PAGE / 2), "malformed"),
    ("one page left", |db| truncate(db, PAGE), "malformed"),
    ("half of the pages left", |db| truncate(db, len(db) / PAGE / 2 * PAGE), "malformed"),
    ("the last page cut", |db| truncate(db, len(db) - PAGE), "malformed"),
    ("a page in the middle overwritten", |db| overwrite(db, middle(db), &[0x5a; PAGE as usize]), ""),
    ("a flip in the type of the last page", |db| flip(db, len(db) - PAGE), ""),
    ("zero length", |db| truncate(db, 0), "missing or empty"),
];

fn truncate(path: &Path, len: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn middle(db: &Path) -> u64 {
    len(db) / PAGE / 2 * PAGE
}

#[test]
fn every_damage_is_recognised_kept_and_cured_without_a_download() {
    let pristine = Pristine::new();
    for (damage, harm, said) in DAMAGES {
        let world = pristine.again();
        let journal = journal_file(world);
        harm(&journal);
        let harmed = fs::read(&journal).unwrap();

        // Recognised, by whoever asks, and nothing done.
        let ran = Ran(world.rollbook(&["sync"]).output().unwrap());
        let told = ran.stderr();
        assert_eq!(ran.0.status.code(), Some(2), "{damage}: {told}");
        assert!(told.contains(said) && told.contains("journal.db"), "{damage}: {told}");
        assert!(told.contains("rollbook journal restore") && told.contains("rebuild"), "{damage}: {told}");
        world.run(&["journal", "check"], 2);
        assert_eq!(fs::read(&journal).unwrap(), harmed, "{damage}: untouched");
        assert!(world.sandbox.counters().requests.is_empty(), "{damage}: nobody was asked");

        // From the snapshot, which the files are ahead of.
        world.run(&["journal", "restore"], 0);
        let aside = aside(world);
        assert_eq!(fs::read(&aside).unwrap(), harmed, "{damage}: put aside whole");
        comes_back(world, damage);

        // From the files and Apple alone.
        let world = pristine.again();
        harm(&journal);
        fs::remove_dir_all(world.data_dir().join("snapshots")).unwrap();
        if !harmed.is_empty() {
            let told = world.run(&["journal", "restore"], 2).stderr();
            assert!(told.contains("rollbook journal rebuild"), "{damage}: {told}");
        }
        world.run(&["journal", "rebuild"], 0);
        comes_back(world, damage);
    }
}

/// The one journal that was put aside.
fn aside(world: &World) -> PathBuf {
    let entries = fs::read_dir(world.data_dir()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("journal-aside-") && name.ends_with(".db")
        })
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop().unwrap()
}

/// The next sync makes everything right, and asks the content host for nothing.
fn comes_back(world: &World, damage: &str) {
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0, "{damage}: nothing is fetched again");
    world.assert_complete();
    world.run(&["journal", "check"], 0);
}

#[test]
fn a_byte_flipped_anywhere_is_cured_or_harmless() {
    let pristine = Pristine::new();
    let size = len(&journal_file(&pristine.world));
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..12 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (world, at) = (pristine.again(), random % size);
        flip(&journal_file(world), at);
        let output = world.rollbook(&["sync"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0..=2)), "byte {at}: {told}");
        assert!(!told.contains("panicked"), "byte {at}: {told}");
        world.run(&["journal", "restore"], 0);
        comes_back(world, &format!("byte {at}"));
    }
}

/// A run that is killed while the large file is under way leaves a log behind.
fn killed() -> World {
    let options =
        Options { assets: 6, large_video_mb: Some(20), bandwidth: Some(8_000_000), ..Options::default() };
    let world = World::new(options);
    let mut run = world.spawn(&["sync"]);
    support::wait_until("a promise", || world.try_count("state = 'partial'").unwrap_or(0) > 0);
    run.kill().unwrap();
    run.wait().unwrap();
    world
}

#[test]
fn a_log_that_is_lost_or_torn_costs_no_verified_byte() {
    let harms: [(&str, Harm); 5] = [
        ("log lost", |db| fs::remove_file(db.with_extension("db-wal")).unwrap()),
        ("shared memory lost", |db| fs::remove_file(db.with_extension("db-shm")).unwrap()),
        ("log cut in half", |db| {
            let log = db.with_extension("db-wal");
            truncate(&log, len(&log) / 2);
        }),
        ("a flip in the log", |db| {
            let log = db.with_extension("db-wal");
            flip(&log, len(&log) / 3);
        }),
        ("log zeroed", |db| {
            let log = db.with_extension("db-wal");
            fs::write(&log, vec![0; len(&log) as usize]).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let world = killed();
        let here = world.published();
        harm(&journal_file(&world));
        world.sandbox.reset_counters();
        world.run(&["sync"], 0);
        world.assert_complete();
        world.assert_not_asked_for(&here, what);
        world.run(&["journal", "check"], 0);
    }
}

#[test]
fn a_run_that_was_not_closed_is_checked_and_damage_in_the_middle_is_found() {
    let pristine = Pristine::new();
    let world = pristine.again();
    world.journal().execute("UPDATE run SET ended_at = NULL WHERE run_id = 2", []).unwrap();
    world.run(&["plan"], 0);
    let world = pristine.again();
    let journal = journal_file(world);
    world.journal().execute("UPDATE run SET ended_at = NULL WHERE run_id = 2", []).unwrap();
    // A page of an index: a run could go a long way before it meets that.
    let page = root_of(world, "asset_by_master");
    flip(&journal, (page - 1) * PAGE);
    let told = world.run(&["sync"], 2).stderr();
    assert!(told.contains("damaged"), "{told}");
    assert!(world.sandbox.counters().requests.is_empty());
}

fn root_of(world: &World, name: &str) -> u64 {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    world.journal().query_row(sql, [name], |row| row.get::<_, i64>(0)).unwrap() as u64
}

#[test]
fn what_the_disk_says_while_the_journal_is_written_ends_the_run_and_the_next_one_checks() {
    // Error number, exit code, and what is said. 117: what SQLite calls malformed.
    for (errno, code, said) in [(5, 4, "disk I/O error"), (28, 4, "full"), (117, 2, "damaged")] {
        for nth in [3, 9] {
            let world = World::new(Options { assets: 12, ..Options::default() });
            let mut command = world.rollbook(&["sync"]);
            let output = command.env("ROLLBOOK_FAULT", format!("{errno}:commit@{nth}")).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{errno} at {nth}: {told}");
            assert!(told.contains(said) && told.contains("journal.db"), "{errno} at {nth}: {told}");
            let here = world.published();
            world.sandbox.reset_counters();
            world.run(&["sync"], 0);
            world.assert_complete();
            world.assert_not_asked_for(&here, &format!("{errno} at {nth}"));
        }
    }
}

#[test]
fn a_person_who_holds_the_journal_is_waited_for_and_then_named() {
    let world = World::new(Options { assets: 30, bandwidth: Some(200_000), ..Options::default() });
    let run = world.spawn(&["sync"]);
    support::wait_until("files", || world.try_count("state = 'verified'").unwrap_or(0) > 0);
    let person = world.journal();
    person.busy_timeout(Duration::from_secs(30)).unwrap();
    person.execute_batch("BEGIN IMMEDIATE").unwrap();
    let told = support::finish(run, 7).stderr();
    assert!(told.contains("close the sqlite3 shell"), "{told}");
    let here = world.published();
    drop(person);
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    world.assert_complete();
    world.assert_not_asked_for(&here, "after a person let go");
}

#[test]
fn a_snapshot_is_one_private_file_without_addresses_and_only_where_something_happened() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new(Options { assets: 8, ..Options::default() });
    // Listed and not fetched: every address is still in the journal.
    world.run(&["plan"], 0);
    let addresses: i64 =
        world.journal().query_row("SELECT count(*) FROM signed_url", [], |row| row.get(0)).unwrap();
    assert!(addresses > 0 && snapshots(&world).is_empty());
    // No file comes, so the addresses stay.
    let ended = world.rollbook(&["sync"]).env("ROLLBOOK_FAULT", "13:create").output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let made = snapshots(&world);
    let [made] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(made.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let bytes = fs::read(made).unwrap();
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(!holds(b"http://") && !holds(b"https://"), "no address, not even a deleted one");
    // One more for each run that brings something, three in all, and none for one that does not.
    for round in 1..=4 {
        world.run(&["sync", "--retry-failed"], 0);
        world.run(&["sync"], 0);
        assert_eq!(snapshots(&world).len(), (round + 1).min(3), "round {round}");
        world.sandbox.library().add_asset(Kind::Jpeg);
    }
    let listed = world.run(&["journal", "snapshots", "--json"], 0).stdout();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert!(listed[0]["run"].as_i64() > listed[1]["run"].as_i64(), "newest first");
}

#[test]
fn a_snapshot_that_cannot_be_written_is_a_warning_and_no_failure() {
    for step in ["snapshot", "snapshot-sync", "snapshot-rename"] {
        let world = World::new(Options { assets: 4, ..Options::default() });
        let output = world.rollbook(&["sync"]).env("ROLLBOOK_FAULT", format!("28:{step}")).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{step}: {told}");
        assert!(told.contains("no snapshot of the journal"), "{step}: {told}");
        assert!(told.contains("os error 28") && told.contains("snapshots"), "{step}: {told}");
        world.assert_complete();
        assert!(snapshots(&world).iter().all(|path| !path.ends_with("new.db")), "{step}");
        world.run(&["journal", "snapshots"], 0);
    }
}

#[test]
fn an_old_snapshot_put_in_place_by_hand_is_caught_up_with() {
    let pristine = Pristine::new();
    let world = pristine.again();
    fs::copy(&snapshots(world)[0], journal_file(world)).unwrap();
    comes_back(world, "by hand");
    // A snapshot is passed over where it is no longer sound, and the one before it is taken.
    let world = pristine.again();
    world.sandbox.library().add_asset(Kind::Jpeg);
    world.run(&["sync"], 0);
    let [_, newest] = snapshots(world).try_into().unwrap();
    overwrite(&newest, middle(&newest), &[0x5a; PAGE as usize]);
    let ran = world.run(&["journal", "restore"], 0);
    assert!(ran.stderr().contains("passed over"), "{}", ran.stderr());
    comes_back(world, "the older snapshot");
    // A run of a snapshot is a name for it; one that is not there is said.
    let told = world.run(&["journal", "restore", "no-such"], 2).stderr();
    assert!(told.contains("rollbook journal snapshots"), "{told}");
    world.run(&["journal", "restore", "1"], 0);
    comes_back(world, "by run");
}

#[test]
fn a_check_finds_what_no_page_tells() {
    let pristine = Pristine::new();
    let lies: [(&str, &str, &str); 10] = [
        ("a run that never was", "UPDATE asset_file SET moved_run_id = 77 WHERE file_id = 2", "names a run that is not there"),
        (
            "an asset with two rows",
            "INSERT INTO asset (library_id, record_name, master_name, change_tag, filename, kind, favorite, hidden)
             SELECT library_id, record_name, master_name, change_tag, filename, kind, favorite, hidden
             FROM asset WHERE asset_id = 2",
            "has 2 rows in library",
        ),
        (
            "a version with two rows",
            "INSERT INTO asset_file (asset_id, library_id, rendition, checksum, size_bytes, uti, path, path_key)
             SELECT asset_id, library_id, rendition, checksum, size_bytes, uti, 'elsewhere', 1
             FROM asset_file WHERE file_id = 2",
            "is a version of edited that has 2 rows",
        ),
        (
            "a verified row that nobody moved",
            "INSERT INTO asset_file (asset_id, library_id, rendition, checksum, size_bytes, uti, path, path_key, state,
                 event, sha256, verified_by, verified_at)
             SELECT asset_id, library_id, rendition, 'c', size_bytes, uti, 'elsewhere', 1, 'verified', 'verified',
                 sha256, verified_by, verified_at FROM asset_file WHERE file_id = 2",
            "its history says pending",
        ),
        ("a tally", "UPDATE tally SET files = files + 1 WHERE standing = 'verified'", "tally"),
        ("an asset's open files", "UPDATE asset SET files_open = 1 WHERE asset_id = 3", "open files"),
        ("a trigger gone", "DROP TRIGGER asset_file_stays", "asset_file_stays is gone"),
        (
            "a state that nobody moved to",
            "DROP TRIGGER asset_file_history;
             UPDATE asset_file SET state = 'pending', event = 'lost', sha256 = NULL, verified_by = NULL,
                 verified_at = NULL WHERE file_id = 2",
            "its history says verified",
        ),
        (
            "an illegal move",
            "INSERT INTO history (file_id, at, event, from_state, to_state)
             VALUES (1, 0, 'failed', 'verified', 'verified')",
            "no legal move",
        ),
        (
            "a reference to nothing",
            "PRAGMA foreign_keys = OFF; UPDATE asset SET library_id = 77 WHERE asset_id = 2",
            "reference",
        ),
    ];
    for (lie, sql, said) in lies {
        let world = pristine.again();
        world.run(&["journal", "check"], 0);
        world.journal().execute_batch(sql).unwrap();
        let answer = world.run(&["journal", "check", "--json"], 2).stdout();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["sound"], false, "{lie}");
        assert!(answer["findings"].to_string().contains(said), "{lie}: {answer}");
    }
}

#[test]
fn a_newer_schema_and_a_strangers_database_are_refused_and_left_alone() {
    let pristine = Pristine::new();
    let world = pristine.again();
    world.journal().pragma_update(None, "user_version", 9).unwrap();
    for verb in [&["sync"][..], &["status"], &["plan"], &["journal", "check"]] {
        let told = world.run(verb, 2).stderr();
        assert!(told.contains("schema version 9") && told.contains("update rollbook"), "{verb:?}: {told}");
    }
    let world = pristine.again();
    let journal = journal_file(world);
    fs::remove_file(&journal).unwrap();
    Connection::open(&journal).unwrap().execute_batch("CREATE TABLE diary (day, text)").unwrap();
    let theirs = fs::read(&journal).unwrap();
    for verb in [&["sync"][..], &["status"], &["journal", "check"]] {
        let told = world.run(verb, 2).stderr();
        assert!(told.contains("not a rollbook journal"), "{verb:?}: {told}");
    }
    assert_eq!(fs::read(&journal).unwrap(), theirs);
    assert!(world.sandbox.counters().requests.is_empty());
}

#[test]
fn a_rebuilt_journal_knows_its_destination_and_takes_no_bare_mount_point() {
    let pristine = Pristine::new();
    let world = pristine.again();
    let away = world.photos().with_extension("away");
    fs::rename(world.photos(), &away).unwrap();
    fs::create_dir(world.photos()).unwrap();
    // The index of a table is enough damage; accounts can be read.
    let page = root_of(world, "asset_by_master");
    flip(&journal_file(world), (page - 1) * PAGE);
    world.run(&["journal", "rebuild"], 0);
    world.run(&["sync"], 4);
    // Nothing of the old one can be read: the snapshot knows.
    let world = pristine.again();
    truncate(&journal_file(world), 0);
    world.run(&["journal", "rebuild"], 0);
    world.run(&["sync"], 4);
    assert_eq!(fs::read_dir(world.photos()).unwrap().count(), 0);
    fs::remove_dir(world.photos()).unwrap();
    fs::rename(&away, world.photos()).unwrap();
    comes_back(world, "mounted again");
}

#[test]
fn nothing_is_put_in_place_of_a_journal_that_a_run_holds() {
    let world = World::new(Options { assets: 40, bandwidth: Some(100_000), ..Options::default() });
    let mut run = world.spawn(&["sync"]);
    support::wait_until("the run to fetch", || world.sandbox.counters().of(Endpoint::Cdn) > 0);
    for verb in ["check", "restore", "rebuild"] {
        world.run(&["journal", verb], 7);
    }
    world.run(&["journal", "snapshots"], 0);
    support::terminate(&mut run);
}

#[test]
fn a_journal_on_another_machine_is_warned_of_by_name() {
    // Numbers of linux/magic.h: NFS, CIFS, Ceph; and two that are local, ext4 and tmpfs.
    let numbers = [
        (0x6969_u32, "(NFS)"),
        (0xff53_4d42, "(CIFS)"),
        (0x00c3_6400, "(Ceph)"),
        (0xef53, ""),
        (0x0102_1994, ""),
    ];
    let world = World::new(Options { assets: 2, ..Options::default() });
    world.run(&["sync"], 0);
    for (number, name) in numbers {
        for verb in [&["sync"][..], &["plan"], &["journal", "check"]] {
            let output = world.rollbook(verb).env("ROLLBOOK_FAULT_FS", number.to_string()).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{told}");
            let warned = told.contains("lies on a network file system");
            assert_eq!(warned, !name.is_empty(), "{number:x}: {told}");
            assert!(told.contains(name), "{number:x}: {told}");
        }
    }
}

#[test]
fn a_row_that_a_person_took_away_is_missed_by_the_name_of_its_asset() {
    let world = World::new(Options { assets: 4, ..Options::default() });
    world.run(&["sync"], 0);
    let journal = world.journal();
    let asset: String = journal
        .query_row("SELECT record_name FROM asset WHERE stem IS NULL LIMIT 1", [], |row| row.get(0))
        .unwrap();
    let sql = format!(
        "PRAGMA foreign_keys = OFF; DROP TRIGGER asset_file_stays;
         DELETE FROM asset_file WHERE rendition = 'original'
             AND asset_id = (SELECT asset_id FROM asset WHERE record_name = '{asset}')"
    );
    journal.execute_batch(&sql).unwrap();
    for verb in [&["sync", "--full"][..], &["relayout"]] {
        let told = world.run(verb, 2).stderr();
        assert!(told.contains(&asset) && told.contains("rollbook journal check"), "{verb:?}: {told}");
    }
    let found = world.run(&["journal", "check"], 2).stdout();
    assert!(found.contains("asset_file_stays is gone"), "{found}");
}

#[test]
fn what_came_after_a_snapshot_and_moved_is_found_as_the_restore_says() {
    const FLAT: [&str; 2] = ["--folder-structure", "none"];
    let world = World::new(Options { assets: 8, ..Options::default() });
    world.run(&["sync", "--limit", "2"], 0);
    world.run(&["sync"], 0);
    world.run(&[&["relayout"], &FLAT[..]].concat(), 0);
    let told = world.run(&["journal", "restore", "1"], 0).stdout();
    assert!(
        told.contains("under the names it gives") && told.contains("\"rollbook adopt\" before it"),
        "{told}"
    );
    assert!(world.count("state <> 'verified'") > 0, "rows of files that the snapshot was still to get");
    world.sandbox.reset_counters();
    world.run(&[&["adopt"], &FLAT[..]].concat(), 0);
    world.run(&[&["sync"], &FLAT[..]].concat(), 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);
    world.assert_complete();
}
