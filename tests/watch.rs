//! One process that syncs again and again: nothing ends it but a signal, nothing it holds grows, and
//! whoever started it knows how it does.

mod support;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use rollbook_sandbox::{Endpoint, Fault, Kind, Obstacle, Options, Rendition, Target, Times, What};
use support::{World, finish, signal, wait_until};

/// A service manager: it started the process and hears how it goes.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { socket, path, folder }
    }

    /// Starts a watch under this manager. Its talk goes to a file.
    fn start(&self, world: &World, args: &[&str], variables: &[(&str, &str)]) -> Child {
        let talk = fs::File::options().create(true).append(true).open(self.talk_path()).unwrap();
        let mut command = world.rollbook(args);
        command.env("NOTIFY_SOCKET", &self.path).envs(variables.iter().copied());
        command.stdout(std::process::Stdio::null()).stderr(talk).spawn().unwrap()
    }

    fn talk_path(&self) -> PathBuf {
        self.folder.path().join("talk")
    }

    fn talk(&self) -> String {
        fs::read_to_string(self.talk_path()).unwrap()
    }

    fn next(&self) -> String {
        let mut heard = [0; 4096];
        let length = self.socket.recv(&mut heard).expect("the service manager hears something");
        String::from_utf8(heard[..length].to_vec()).unwrap()
    }

    /// Listens until something with `words` in it is said.
    fn until(&self, words: &str) -> String {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let heard = self.next();
            if heard.contains(words) {
                return heard;
            }
            assert!(Instant::now() < patience, "waited a minute for: {words}\n{}", self.talk());
        }
    }
}

fn stop(child: Child, code: i32) {
    assert_eq!(stopped(child), Some(code));
}

fn stopped(mut child: Child) -> Option<i32> {
    signal(&child, "TERM");
    child.wait().unwrap().code()
}

fn runs(world: &World) -> i64 {
    let sql = "SELECT count(*) FROM v_run WHERE outcome <> 'unfinished'";
    world.journal().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Open files and threads of a process: what leaks grows.
fn holds(child: &Child) -> (usize, usize) {
    let count = |what: &str| fs::read_dir(format!("/proc/{}/{what}", child.id())).unwrap().count();
    (count("fd"), count("task"))
}

/// Memory of a process, in KiB.
fn memory_kib(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn it_stays_runs_when_woken_lets_others_in_while_it_sleeps_and_ends_when_asked() {
    let world = World::new(Options { assets: 8, ..Options::default() });
    let manager = Manager::new();
    let watch = manager.start(&world, &["sync", "--watch-with-interval", "1d"], &[]);
    assert_eq!(manager.next(), "READY=1");
    assert_eq!(manager.next(), "STATUS=syncing");
    assert!(manager.next().starts_with("STATUS=asleep until 20"));
    world.assert_complete();
    world.run(&["health"], 0);

    world.sandbox.library().add_asset(Kind::Live);
    signal(&watch, "HUP");
    manager.until("STATUS=asleep");
    world.assert_complete();
    assert_eq!(runs(&world), 2);

    // While it sleeps nothing is held.
    world.sandbox.library().add_asset(Kind::Live);
    world.run(&["sync"], 0);
    world.run(&["status"], 0);
    world.assert_complete();

    stop(watch, 0);
    manager.until("STOPPING=1");
    assert_eq!(runs(&world), 3);
}

#[test]
fn many_runs_hold_no_more_than_few() {
    let world = World::new(Options { assets: 8, ..Options::default() });
    let manager = Manager::new();
    let watch = manager.start(&world, &["sync", "--watch-with-interval", "3600"], &[]);
    let again = |times: u32| {
        for _ in 0..times {
            signal(&watch, "HUP");
            manager.until("STATUS=asleep");
        }
    };
    manager.until("STATUS=asleep");
    again(20);
    let (held, memory) = (holds(&watch), memory_kib(&watch));
    again(40);
    assert_eq!(runs(&world), 61);
    let (files, threads) = holds(&watch);
    assert!(files <= held.0 && threads <= held.1 + 2, "{held:?}, then {files} and {threads}");
    let grown = memory_kib(&watch).saturating_sub(memory);
    assert!(grown < 4096, "{grown} KiB more after 40 runs that did nothing");
    stop(watch, 0);
}

#[test]
fn it_runs_again_by_itself_and_a_watchdog_is_fed() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    let manager = Manager::new();
    let variables = [("ROLLBOOK_WATCH_WITH_INTERVAL", "1"), ("WATCHDOG_USEC", "400000")];
    let watch = manager.start(&world, &["sync"], &variables);
    for _ in 0..3 {
        manager.until("STATUS=asleep");
    }
    manager.until("WATCHDOG=1");
    assert!(matches!(stopped(watch), Some(0 | 130)), "asleep, or in the middle of a run");
    assert!(runs(&world) >= 3);
}

#[test]
fn a_signal_in_the_middle_of_a_run_ends_it_with_all_that_is_done() {
    let large =
        Options { assets: 2, large_video_mb: Some(40), bandwidth: Some(4_000_000), ..Options::default() };
    let world = World::new(large);
    let manager = Manager::new();
    let watch = manager.start(&world, &["sync", "--watch-with-interval", "1h"], &[]);
    wait_until("a promise of the large video", || world.try_count("state = 'partial'") == Some(1));
    stop(watch, 130);
    manager.until("STOPPING=1");
    assert!(world.bytes_kept() > 0);
}

#[test]
fn no_network_no_destination_and_no_person_are_waited_out() {
    let world = World::new(Options { assets: 5, ..Options::default() });
    let manager = Manager::new();
    let watch = manager.start(&world, &["sync", "--watch-with-interval", "1s"], &[]);
    manager.until("STATUS=asleep");
    let told = |words: &str| wait_until(words, || manager.talk().contains(words));
    let new_run = || {
        let before = runs(&world);
        wait_until("a run that finishes", || runs(&world) > before);
        world.sandbox.library().add_asset(Kind::Jpeg);
        let want = world.sandbox.truth().len();
        wait_until("the new photo", || world.published().len() == want);
    };

    let (photos, away) = (world.photos(), world.photos().with_file_name("unmounted"));
    fs::rename(&photos, &away).unwrap();
    told("destination is absent");
    assert!(!photos.exists(), "nothing is made in its place");
    fs::rename(&away, &photos).unwrap();
    new_run();

    world.sandbox.faults().add(Fault::always(Endpoint::Validate, What::Reset));
    told("cannot sign in");
    world.sandbox.faults().clear();
    new_run();

    world.sandbox.set_obstacle(Obstacle::Locked);
    world.sandbox.expire_sessions();
    wait_until("health that names a person", || {
        world.rollbook(&["health"]).output().unwrap().status.code() == Some(3)
    });
    manager.until("STATUS=asleep");
    // Refused again and again, it is stopped like any other: whoever stops it wanted that.
    assert!(matches!(stopped(watch), Some(0 | 130)), "asleep, or in the middle of a run");
    world.assert_rows_are_true();
}

#[test]
fn a_poisoned_photo_holds_up_neither_the_loop_nor_the_listing_nor_the_health() {
    let world = World::new(Options { assets: 6, ..Options::default() });
    let poisoned = world.sandbox.library().assets()[0].clone();
    let on = Target::file(poisoned, Rendition::Original);
    world.sandbox.faults().add(Fault { on, times: Times::Always, what: What::status(500) });
    let manager = Manager::new();
    let watch = manager.start(&world, &["sync", "--watch-with-interval", "1h"], &[]);
    manager.until("STATUS=asleep");
    assert_eq!(world.count("state = 'failed'"), 1);
    let listed = || -> (i64, i64) {
        let sql = "SELECT enumerated_at, enumerated_count FROM library";
        world.journal().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert_eq!(listed().1, 6);
    world.sandbox.library().add_asset(Kind::Jpeg);
    signal(&watch, "HUP");
    manager.until("STATUS=asleep");
    assert_eq!(world.count("state <> 'verified'"), 1, "the new one is here, the poisoned one is not");
    let ran = world.run(&["health", "--json"], 0);
    assert!(ran.stdout().contains("\"health\": \"alive\"") && ran.stdout().contains("\"attempt_exit\": 1"));
    stop(watch, 0);
}

#[test]
fn when_apple_asks_to_wait_nothing_is_asked_before_it_may() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    world.run(&["sync"], 0);
    for endpoint in [Endpoint::ChangesDatabase, Endpoint::ZonesList] {
        world.sandbox.faults().add(Fault::always(endpoint, What::retry_after(503, "3000")));
    }
    let manager = Manager::new();
    let watch = manager.start(&world, &["sync", "--watch-with-interval", "1s"], &[]);
    manager.until("STATUS=Apple asks to wait; asleep until");
    let asked = world.sandbox.counters().requests;
    // Not even when woken.
    signal(&watch, "HUP");
    manager.until("STATUS=Apple asks to wait; asleep until");
    assert_eq!(world.sandbox.counters().requests, asked);
    assert_eq!(manager.talk().matches("Apple asks to wait; next run at").count(), 2);
    stop(watch, 0);
}

#[test]
fn in_a_container_the_environment_is_enough_without_home_name_or_terminal() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    let world = World::new(Options { assets: 3, ..Options::default() });
    let volumes = tempfile::tempdir().unwrap();
    fs::set_permissions(volumes.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (photos, data_dir) = (volumes.path().join("photos"), volumes.path().join("config"));
    let mut command = world.rollbook(&["sync"]);
    command.env_remove("HOME").env("ROLLBOOK_DIRECTORY", &photos).env("ROLLBOOK_DATA_DIR", &data_dir);
    // A user that no database knows; only root may become one, and only where it may read the program.
    let mut stranger = world.rollbook(&["--version"]);
    if stranger.uid(54_321).gid(54_321).output().is_ok() {
        command.uid(54_321).gid(54_321);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(photos.join(".rollbook").exists() && data_dir.join("journal.db").exists());
}

#[test]
fn the_umask_decides_who_may_read_the_photos_and_nobody_else_the_data() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = World::new(Options { assets: 3, ..Options::default() });
    let program = world.rollbook(&[]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "umask 027; exec \"$0\" sync"]).arg(program.get_program()).env_clear();
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(shell.output().unwrap().status.success());
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path: String =
        world.journal().query_row("SELECT path FROM v_file LIMIT 1", [], |row| row.get(0)).unwrap();
    let photo = world.photos().join(path);
    assert_eq!((mode(photo.clone()), mode(photo.parent().unwrap().to_owned())), (0o640, 0o750));
    assert_eq!((mode(world.data_dir()), mode(world.data_dir().join("journal.db"))), (0o700, 0o600));
}

#[test]
fn health_says_alive_stale_and_whom_it_waits_for() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    world.run(&["health"], 1);
    world.run(&["sync"], 0);
    assert!(world.run(&["health"], 0).stdout().starts_with("alive"));
    let journal = world.journal();
    journal
        .execute_batch("UPDATE run SET started_at = started_at - 7200, ended_at = ended_at - 7200")
        .unwrap();
    world.run(&["health"], 0);
    assert!(world.run(&["health", "--max-age", "1h"], 1).stdout().starts_with("stale"));
    finish(world.spawn(&["health", "--max-age", "x"]), 2);
}
