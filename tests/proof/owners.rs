//! What is not ours to read or write, and what is no file at all, at every place where a file or a folder of
//! ours belongs: the run says which, harms nothing, hangs on nothing, and goes on when it is put right.
//!
//! Root may read everything, so as root the program under test becomes nobody (`setpriv`); where neither
//! works, the test says so and is left out.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use rollbook_sandbox::{Endpoint, Options};

use crate::pool;
use crate::scene::{LARGE_MB, is_part};
use crate::support::{World, wait_until};

/// Who the program runs as.
const NOBODY: u32 = 65_534;

#[derive(Clone, Copy, Debug)]
enum Who {
    /// We are root: the program becomes nobody.
    Nobody,
    /// We are somebody who may not read what has no permissions.
    Ourselves,
}

/// How the program can be kept from reading files, or why not.
fn who() -> Result<Who, String> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Ok(Who::Ourselves);
    }
    let mut trial = as_nobody(Path::new(env!("CARGO_BIN_EXE_rollbook")));
    match trial.arg("--version").output() {
        Ok(output) if output.status.success() => Ok(Who::Nobody),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("setpriv: {error}")),
    }
}

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let id = NOBODY.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(program);
    command
}

impl Who {
    /// Runs, and gives the exit code with what was said.
    fn run(self, world: &World, args: &[&str]) -> (i32, String) {
        let plain = world.rollbook(args);
        let mut command = match self {
            Self::Nobody => as_nobody(Path::new(plain.get_program())),
            Self::Ourselves => Command::new(plain.get_program()),
        };
        command.args(plain.get_args()).env_clear();
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let said = world.log_file();
        let file = fs::File::create(&said).unwrap();
        let mut run = command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        wait_until(&format!("{args:?} to end"), || run.try_wait().unwrap().is_some());
        let said = fs::read_to_string(said).unwrap();
        (run.wait().unwrap().code().unwrap_or_else(|| panic!("killed: {said}")), said)
    }

    /// Gives everything to whoever the program runs as.
    fn gives(self, folder: &Path) {
        if matches!(self, Self::Nobody) {
            chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    self.gives(&path)
                } else {
                    chown(&path, Some(NOBODY), Some(NOBODY)).unwrap()
                }
            }
        }
    }
}

/// Where something is out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Final,
    Part,
    Folder,
    Destination,
    Marker,
    Journal,
    Log,
    Session,
    Snapshot,
    Snapshots,
    DataDir,
}

impl At {
    fn path(self, world: &World) -> PathBuf {
        let first = |wanted: fn(&str) -> bool| {
            let tree = world.tree();
            world.photos().join(tree.keys().find(|path| wanted(path)).expect("it is there"))
        };
        let within = |folder: PathBuf, begins: &str| {
            let mut paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let begins_so = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(begins);
            paths.find(begins_so).expect("it is there")
        };
        match self {
            Self::Final => first(|path| !is_part(path)),
            Self::Part => first(is_part),
            Self::Folder => first(|_| true).parent().unwrap().to_owned(),
            Self::Destination => world.photos(),
            Self::Marker => world.photos().join(".rollbook"),
            Self::Journal => world.data_dir().join("journal.db"),
            Self::Log => world.data_dir().join("journal.db-wal"),
            Self::Session => within(world.data_dir(), "session-"),
            Self::Snapshot => within(world.data_dir().join("snapshots"), "journal-"),
            Self::Snapshots => world.data_dir().join("snapshots"),
            Self::DataDir => world.data_dir(),
        }
    }
}

/// How a `sync` ends meanwhile.
const CLOSED: [(At, &[i32]); 11] = [
    // A verified file is not opened: it stands there.
    (At::Final, &[0]),
    // The folder is ours, so a part that cannot be read gives way to a new one.
    (At::Part, &[0]),
    (At::Folder, &[1, 4]),
    // What is there already may be ours all the same.
    (At::Destination, &[0, 4]),
    (At::Marker, &[4]),
    (At::Journal, &[2, 4]),
    (At::Log, &[2, 4]),
    (At::Session, &[2, 4]),
    // A snapshot is a convenience.
    (At::Snapshot, &[0]),
    (At::Snapshots, &[0]),
    (At::DataDir, &[0, 2, 4]),
];

/// A run that was killed with a promise made: a final file, a part file, a log, a session; and a snapshot of
/// the run before.
fn world(who: Who) -> World {
    let world = World::new(Options { assets: 3, large_video_mb: Some(LARGE_MB), ..Options::default() });
    world.run(&["sync", "--skip-videos"], 0);
    let killed = world.rollbook(&["sync"]).env("ROLLBOOK_FAULT", "kill:promised").output().unwrap();
    assert!(killed.status.code().is_none());
    who.gives(world.photos().parent().unwrap());
    world
}

/// What was done to it, to be undone.
struct Closed {
    path: PathBuf,
    mode: u32,
    owner: u32,
}

impl Closed {
    fn close(path: PathBuf, to_root: bool) -> Self {
        let meta = fs::metadata(&path).unwrap();
        let closed = Self { path, mode: meta.mode() & 0o7777, owner: meta.uid() };
        // Somebody else's, as others leave it; or without any permission.
        let mode = match (to_root, meta.is_dir()) {
            (false, _) => 0,
            (true, true) => 0o755,
            (true, false) => 0o600,
        };
        if to_root {
            chown(&closed.path, Some(0), Some(0)).unwrap();
        }
        fs::set_permissions(&closed.path, fs::Permissions::from_mode(mode)).unwrap();
        closed
    }

    fn open(&self) {
        // A part file may have given way to another one meanwhile.
        if self.path.exists() {
            chown(&self.path, Some(self.owner), Some(self.owner)).unwrap();
            fs::set_permissions(&self.path, fs::Permissions::from_mode(self.mode)).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_read_or_written_is_named_and_waited_for() {
    let who = match who() {
        Ok(who) => who,
        Err(why) => return println!("left out, nobody to be: {why}"),
    };
    let owners: &[bool] = if matches!(who, Who::Nobody) { &[false, true] } else { &[false] };
    let mut jobs = Vec::new();
    for (at, codes) in CLOSED {
        jobs.extend(owners.iter().map(|to_root| (at, *to_root, codes)));
    }
    let name = |(at, to_root, _): &(At, bool, &[i32])| format!("{at:?}, of root: {to_root}");
    let tried = pool::each(&jobs, name, |(at, to_root, codes)| {
        let world = world(who);
        let before = world.published();
        let closed = Closed::close(at.path(&world), *to_root);
        world.sandbox.reset_counters();
        let (code, said) = who.run(&world, &["sync"]);
        assert!(codes.contains(&code), "ends with {code}, not {codes:?}: {said}");
        if code != 0 {
            // SQLite says of its log only that.
            let word = if *at == At::Log { "unable to open database file" } else { "ermission denied" };
            assert!(said.contains(word), "the system's word: {said}");
            let name = closed.path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(code == 1 || said.contains(&name), "{name} is named: {said}");
        }
        closed.open();
        who.gives(world.photos().parent().unwrap());
        let (code, said) = who.run(&world, &["sync", "--retry-failed"]);
        assert_eq!(code, 0, "{said}");
        world.assert_complete();
        let after = world.published();
        assert!(before.iter().all(|(path, sha256)| after.get(path) == Some(sha256)), "what was here is here");
        world.assert_not_asked_for(&before, "opened again");
    });
    println!("closed {tried} things");
    assert!(tried >= CLOSED.len());
}

#[test]
fn a_verified_file_that_cannot_be_read_is_unreadable_and_not_lost() {
    let who = match who() {
        Ok(who) => who,
        Err(why) => return println!("left out, nobody to be: {why}"),
    };
    let world = world(who);
    who.run(&world, &["sync"]);
    let closed = Closed::close(At::Final.path(&world), false);
    world.sandbox.reset_counters();
    let (code, said) = who.run(&world, &["verify"]);
    assert_eq!(code, 1, "{said}");
    assert_eq!(world.count("state <> 'verified'"), 0, "not being read is no damage");
    closed.open();
    let (code, said) = who.run(&world, &["verify"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);
    world.assert_complete();
}

/// What is no file and no folder.
#[derive(Clone, Copy, Debug)]
enum Oddity {
    Pipe,
    Socket,
    /// `/dev/zero` by another name: reading it never ends.
    Device,
}

impl Oddity {
    /// `false`: this machine does not let us make one.
    fn put(self, path: &Path) -> bool {
        let made = |command: &mut Command| command.status().is_ok_and(|status| status.success());
        match self {
            Self::Pipe => made(Command::new("mkfifo").arg(path)),
            Self::Socket => std::os::unix::net::UnixListener::bind(path).is_ok(),
            Self::Device => made(Command::new("mknod").arg(path).args(["c", "1", "5"])),
        }
    }
}

#[test]
fn what_is_no_file_hangs_nothing_and_stays_where_it_is() {
    // At the place of a part it makes way, since the name is ours; elsewhere it stays.
    const PLACES: [(At, &[i32]); 6] = [
        (At::Part, &[0, 1]),
        (At::Final, &[0, 1]),
        (At::Folder, &[1, 4]),
        (At::Marker, &[4]),
        (At::Journal, &[2, 4]),
        (At::Session, &[0, 2, 4]),
    ];
    let mut jobs = Vec::new();
    for (at, codes) in PLACES {
        jobs.extend([Oddity::Pipe, Oddity::Socket, Oddity::Device].map(|oddity| (at, oddity, codes)));
    }
    let name = |(at, oddity, _): &(At, Oddity, &[i32])| format!("{oddity:?} for {at:?}");
    let tried = pool::each(&jobs, name, |(at, oddity, codes)| {
        let world = world(Who::Ourselves);
        let path = at.path(&world);
        let away = world.photos().with_file_name("away");
        fs::rename(&path, &away).unwrap();
        if !oddity.put(&path) {
            return println!("left out, cannot be made here: {oddity:?}");
        }
        let (code, said) = Who::Ourselves.run(&world, &["sync"]);
        assert!(codes.contains(&code), "ends with {code}, not {codes:?}: {said}");
        if *at == At::Journal {
            for verb in [&["status"][..], &["list"], &["journal", "check"], &["plan"]] {
                let (code, said) = Who::Ourselves.run(&world, verb);
                assert!(matches!(code, 2 | 4), "{verb:?} ends with {code}: {said}");
            }
        }
        let stays = fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        assert!(stays || matches!(at, At::Part | At::Session), "it stays");
        if stays {
            fs::remove_file(&path).unwrap();
        }
        if !path.exists() {
            fs::rename(&away, &path).unwrap();
        }
        let (code, said) = Who::Ourselves.run(&world, &["sync", "--retry-failed"]);
        assert_eq!(code, 0, "{said}");
        world.assert_rows_are_true();
        assert_eq!(world.count("state <> 'verified' AND released_at IS NULL"), 0);
    });
    println!("put {tried} things that are no files");
}
