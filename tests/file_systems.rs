//! Real file systems: reflinks where there are some, and names that stand where letter case, colons and links do not.
//!
//! Each is made in an image and mounted, which takes root and its tools; without, the case says so and is left out.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rollbook_sandbox::Options;
use serde_json::{Value, json};
use support::{World, sha256};
use tempfile::TempDir;

/// A file system in an image.
struct Mounted {
    folder: TempDir,
    device: String,
}

impl Mounted {
    /// Makes and mounts one. `None`: this machine cannot.
    #[expect(clippy::print_stderr, reason = "a test that skips says so")]
    fn new(make: &[&str], mount: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(400 * 1024 * 1024).unwrap();
        fs::create_dir(folder.path().join("mnt")).unwrap();
        let skipped = |what: &str| eprintln!("skipped: {} cannot be tried here: {what}", make[0]);
        let Some(device) = run(&["losetup", "-f", "--show", image.to_str().unwrap()]) else {
            skipped("no loop device");
            return None;
        };
        let mounted = Self { folder, device: device.trim().to_owned() };
        let target = mounted.folder.path().join("mnt");
        let made = run(&[make, &[&mounted.device]].concat()).is_some()
            && run(&[mount, &[&mounted.device, target.to_str().unwrap()]].concat()).is_some();
        if !made {
            skipped("it cannot be made or mounted");
        }
        made.then_some(mounted)
    }

    fn photos(&self) -> PathBuf {
        self.folder.path().join("mnt/photos")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run(&["umount", self.folder.path().join("mnt").to_str().unwrap()]);
        run(&["losetup", "-d", &self.device]);
    }
}

fn run(words: &[&str]) -> Option<String> {
    let output = Command::new(words[0]).args(&words[1..]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs rollbook on the mounted directory.
fn rollbook(world: &World, at: &Mounted, args: &[&str], code: i32) -> Output {
    let output = world.rollbook(args).env("ROLLBOOK_DIRECTORY", at.photos()).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    output
}

/// Every file below a folder by path, with its digest and inode; the marker not.
fn files(root: &Path) -> BTreeMap<PathBuf, (String, u64)> {
    let (mut folders, mut found) = (vec![root.to_owned()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != ".rollbook" {
                found.insert(path.clone(), (sha256(&path), fs::metadata(&path).unwrap().ino()));
            }
        }
    }
    found
}

fn sorted(digests: impl Iterator<Item = String>) -> Vec<String> {
    let mut digests: Vec<String> = digests.collect();
    digests.sort();
    digests
}

#[test]
fn albums_of_clones_follow_their_photos_where_files_can_share_their_bytes() {
    for (make, mount) in [
        (&["mkfs.btrfs", "-q"][..], &["mount", "-t", "btrfs"][..]),
        (&["mkfs.xfs", "-q"][..], &["mount", "-t", "xfs"][..]),
    ] {
        let Some(at) = Mounted::new(make, mount) else { continue };
        let world = World::new(Options { assets: 12, undated_jpegs: true, ..Options::default() });
        let library = world.sandbox.library();
        let rome = library.add_album("Rome", None, false);
        library.assets().iter().for_each(|asset| assert!(library.join(&rome, asset)));
        let sync = ["sync", "--album-views", "reflink"];
        rollbook(&world, &at, &sync, 0);
        let check = || {
            let all = files(&at.photos());
            let (albums, photos): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|(path, _)| path.starts_with(at.photos().join("Albums/Rome")));
            let photos: Vec<_> = photos
                .into_iter()
                .filter(|(path, _)| !path.starts_with(at.photos().join("Albums")))
                .collect();
            let digests =
                |files: &[(PathBuf, (String, u64))]| sorted(files.iter().map(|file| file.1.0.clone()));
            assert_eq!(digests(&albums), digests(&photos), "{make:?}");
            assert!(
                albums.iter().all(|a| photos.iter().all(|p| a.1.1 != p.1.1)),
                "clones are files of their own"
            );
        };
        check();
        // Photos that got a date no longer share their bytes with their clones: these are made again.
        rollbook(&world, &at, &[&sync[..], &["--set-exif-datetime"]].concat(), 0);
        assert!(world.count("disk_bytes IS NOT NULL") > 0);
        check();
        rollbook(&world, &at, &["relayout", "--folder-structure", "none"], 0);
        check();
        rollbook(&world, &at, &["audit", "--deep"], 0);
        assert_eq!(
            seen(&world, &at),
            json!({
                "directory": at.photos(), "letter_case": "two", "unicode_form": "two", "refused": [], "no_links": []
            })
        );
    }
}

/// What `status` says of the file system.
fn seen(world: &World, at: &Mounted) -> Value {
    let status = rollbook(world, at, &["status", "--json"], 0);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    status["accounts"][0]["destination"].clone()
}

#[test]
fn every_name_stands_where_case_does_not_count_and_colons_are_refused() {
    let refused = [":", "?", "\"", "<", ">", "|", "*", "\\"];
    let at_end = [".", " "];
    for (make, mount, twins, refused, no_links) in [
        (
            &["mkfs.exfat"][..],
            &["mount.exfat-fuse"][..],
            "one",
            refused.to_vec(),
            &["hardlink", "reflink", "symlink"][..],
        ),
        (
            &["mkfs.ntfs", "-F", "-Q"][..],
            &["lowntfs-3g", "-o", "windows_names,ignore_case"][..],
            "respelled",
            [&refused[..], &at_end[..]].concat(),
            &["reflink"][..],
        ),
    ] {
        let Some(at) = Mounted::new(make, mount) else { continue };
        let world = World::new(Options { assets: 15, odd_records: true, ..Options::default() });
        let library = world.sandbox.library();
        let rome = library.add_album("Rome", None, false);
        library.assets().iter().take(5).for_each(|asset| assert!(library.join(&rome, asset)));
        // Two of the oddities have no address: they stay open, whatever the disk.
        rollbook(&world, &at, &["sync", "--sidecars", "xmp"], 1);
        assert_eq!(
            seen(&world, &at),
            json!({
                "directory": at.photos(), "letter_case": twins, "unicode_form": "two", "refused": refused,
                "no_links": no_links
            })
        );
        let check = |what: &str| {
            let mut on_disk = files(&at.photos());
            let sidecars = on_disk.len();
            on_disk.retain(|path, _| path.extension().is_none_or(|extension| extension != "xmp"));
            assert!(sidecars > on_disk.len(), "there are sidecars");
            let journal = world.journal();
            let mut statement =
                journal.prepare("SELECT path, sha256 FROM v_file WHERE state = 'verified'").unwrap();
            let rows = statement.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get(1)?))).unwrap();
            // lowntfs-3g tells names in small letters.
            let folded = |path: PathBuf| path.to_str().unwrap().to_lowercase();
            let rows: BTreeMap<String, String> = rows
                .map(Result::unwrap)
                .map(|(path, sha256)| (folded(at.photos().join(path)), sha256))
                .collect();
            let on_disk: BTreeMap<String, String> =
                on_disk.into_iter().map(|(path, facts)| (folded(path), facts.0)).collect();
            assert!(rows.len() > 100);
            assert_eq!(on_disk, rows, "{make:?} {what}");
        };
        check("as it came");
        let before = world.sandbox.counters().cdn_bytes;
        rollbook(&world, &at, &["relayout", "--folder-structure", "none"], 0);
        check("in one folder");
        rollbook(&world, &at, &["sync", "--folder-structure", "none", "--sidecars", "xmp"], 1);
        check("after another run");
        assert_eq!(world.sandbox.counters().cdn_bytes, before);
        if !no_links.contains(&"hardlink") {
            rollbook(&world, &at, &["albums", "build", "--as", "hardlink"], 0);
            assert!(at.photos().join("Albums/Rome").exists());
        }
        // Told in small letters, a file is no stranger, and none that is new.
        let audit = rollbook(&world, &at, &["audit", "--json"], 6);
        let audit = String::from_utf8(audit.stdout).unwrap();
        assert!(audit.contains("not-here") && !audit.contains("stranger"), "{make:?}: {audit}");
        let adopted = rollbook(&world, &at, &["adopt", "--dry-run", "--json"], 0);
        let adopted: Value = serde_json::from_slice(&adopted.stdout).unwrap();
        assert!(adopted[0]["already_files"].as_u64() > Some(100), "{adopted}");
        assert_eq!((&adopted[0]["unknown_files"], &adopted[0]["duplicate_files"]), (&json!(0), &json!(0)));
        // A link that cannot be made is refused before anything is asked for.
        let asked = world.sandbox.counters();
        let refused = rollbook(&world, &at, &["sync", "--album-views", "reflink"], 2);
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(told.contains("cannot make a reflink"), "{told}");
        assert_eq!(world.sandbox.counters(), asked);
    }
}

#[test]
fn a_probe_leaves_nothing_fails_nothing_and_is_made_once() {
    let world = World::new(Options { assets: 2, ..Options::default() });
    let folder = world.photos().join(".rollbook-probe");
    let run = |fault: &str, log: Option<&Path>| {
        let mut command = world.rollbook(&["sync"]);
        log.map(|log| command.env("ROLLBOOK_FAULT_LOG", log));
        command.env("ROLLBOOK_FAULT", fault).output().unwrap().status.code()
    };
    let knows = || {
        let status = world.rollbook(&["status", "--json"]).output().unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        let seen = &status["accounts"][0]["destination"];
        assert_eq!(seen["letter_case"].is_null(), seen["no_links"].is_null());
        !seen["letter_case"].is_null()
    };
    assert_eq!(run("kill:probed", None), None);
    assert!(folder.exists(), "killed in the middle");
    assert_eq!(run("28:probe", None), Some(0), "no room to try it, and nothing fails");
    assert!(!folder.exists() && !knows());
    assert_eq!(run("", None), Some(0));
    assert!(!folder.exists() && knows());
    let log = world.log_file();
    assert_eq!(run("", Some(&log)), Some(0));
    assert!(!fs::read_to_string(&log).unwrap().contains("probe"), "what is known is not tried again");
}
