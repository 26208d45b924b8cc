//! Cut the power: what was not synced may be gone, wholly, partly, and in any order.
//!
//! A run is killed before its n-th step, and then the log of its steps is played backwards: a write
//! without a sync of its file behind it, a name without a sync of its folder, may be taken back.
//! That is harsher than most file systems: nothing is promised but what was synced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use rollbook_sandbox::Options;

use crate::pool;
use crate::scene::run_with;
use crate::support::World;

/// What a power cut takes of all that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Everything.
    All,
    /// The bytes; names got through before them.
    Bytes,
    /// The names; bytes got through before them.
    Names,
    /// This or that, in no order.
    Some(u64),
    /// As before, and of what is lost some sectors arrived.
    Torn(u64),
}

pub(crate) const LOSSES: [Loss; 5] = [Loss::All, Loss::Bytes, Loss::Names, Loss::Some(1), Loss::Torn(1)];

/// The unit a disk writes.
const SECTOR_BYTES: u64 = 512;

/// One promise, and a rest.
fn library() -> Options {
    Options { assets: 4, large_video_mb: Some(5), ..Options::default() }
}

/// So many small files that groups of them wait.
fn many() -> Options {
    Options { assets: 30, ..Options::default() }
}

/// A disk on which one sync for all is worth it.
const SLOW: &str = "slow-4:sync,slow-4:syncdir";

/// A coin that falls the same way each time.
struct Coin(u64);

impl Coin {
    fn falls(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 1 == 0
    }
}

impl Loss {
    pub(crate) fn seeded(self, n: u64) -> Self {
        let seed = 0x2545_f491_4f6c_dd1d ^ (n << 17);
        match self {
            Self::Some(_) => Self::Some(seed),
            Self::Torn(_) => Self::Torn(seed),
            whole => whole,
        }
    }

    fn coin(self) -> Coin {
        match self {
            Self::Some(seed) | Self::Torn(seed) => Coin(seed),
            _ => Coin(1),
        }
    }

    fn bytes_survive(self, coin: &mut Coin) -> bool {
        match self {
            Self::All | Self::Bytes => false,
            Self::Names => true,
            Self::Some(_) | Self::Torn(_) => coin.falls(),
        }
    }

    fn name_survives(self, coin: &mut Coin) -> bool {
        match self {
            Self::All | Self::Names => false,
            Self::Bytes => true,
            Self::Some(_) | Self::Torn(_) => coin.falls(),
        }
    }
}

/// A durable step as the log has it.
pub(crate) struct Logged {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    more: Vec<String>,
}

/// The steps that were taken; not the points between them, nor the steps that failed.
pub(crate) fn read_log(path: &Path) -> Vec<Logged> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
        .map(|line| {
            let mut fields = line.split('\t').skip(1).map(str::to_owned);
            let (name, path) = (fields.next().unwrap(), fields.next().unwrap().into());
            Logged { name, path, more: fields.collect() }
        })
        .collect()
}

/// Takes back what was not synced, as far as `loss` says.
pub(crate) fn cut_the_power(log: &[Logged], loss: Loss) {
    let coin = &mut loss.coin();
    // Where each path's file is now, after later renames.
    let mut names: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut synced_files: BTreeSet<PathBuf> = BTreeSet::new();
    let mut synced_folders: BTreeSet<PathBuf> = BTreeSet::new();
    // Two workers may make one folder: the second attempt finds it there, and does nothing.
    let mut made = BTreeSet::new();
    let happened = |step: &&Logged| step.name != "mkdir" || made.insert(step.path.clone());
    let log: Vec<&Logged> = log.iter().filter(happened).collect();
    // Backwards: a sync covers what came before it.
    for step in log.into_iter().rev() {
        let now = names.get(&step.path).cloned().unwrap_or_else(|| step.path.clone());
        let folder = step.path.parent().unwrap().to_owned();
        match step.name.as_str() {
            "sync" => {
                synced_files.insert(now);
            }
            "syncdir" => {
                synced_folders.insert(step.path.clone());
            }
            "rename" => {
                let new = PathBuf::from(&step.more[0]);
                let is = names.get(&new).cloned().unwrap_or(new);
                if !synced_folders.contains(&folder) && !loss.name_survives(coin) && is.exists() {
                    fs::rename(&is, &step.path).unwrap();
                    if synced_files.remove(&is) {
                        synced_files.insert(step.path.clone());
                    }
                } else if is.exists() || synced_files.contains(&is) {
                    names.insert(step.path.clone(), is);
                }
            }
            "exchange" => {
                let other = PathBuf::from(&step.more[0]);
                let is = names.get(&other).cloned().unwrap_or_else(|| other.clone());
                if !synced_folders.contains(&folder)
                    && !loss.name_survives(coin)
                    && now.exists()
                    && is.exists()
                {
                    let aside = now.with_extension("aside");
                    for (from, to) in [(&now, &aside), (&is, &now), (&aside, &is)] {
                        fs::rename(from, to).unwrap();
                    }
                    let synced = [synced_files.remove(&now), synced_files.remove(&is)];
                    synced_files.extend(synced[0].then(|| is.clone()));
                    synced_files.extend(synced[1].then(|| now.clone()));
                } else {
                    names.insert(step.path.clone(), is);
                    names.insert(other, now);
                }
            }
            "write" if !synced_files.contains(&now) && !loss.bytes_survive(coin) => {
                lose_write(&now, step.more[0].parse().unwrap(), step.more[1].parse().unwrap(), loss, coin);
            }
            "create" if !synced_folders.contains(&folder) && !loss.name_survives(coin) => {
                let _ = fs::remove_file(&now);
            }
            "mkdir" if !synced_folders.contains(&folder) && !loss.name_survives(coin) => {
                let _ = fs::remove_dir_all(&step.path);
            }
            _ => {}
        }
    }
}

/// Bytes that never reached the disk read as zeros, or the file is shorter.
fn lose_write(path: &Path, offset: u64, len: u64, loss: Loss, coin: &mut Coin) {
    let Ok(mut file) = fs::OpenOptions::new().write(true).open(path) else { return };
    let size = file.metadata().unwrap().len();
    if offset >= size {
        return;
    }
    if let Loss::Torn(_) = loss {
        // The length is there, and every other sector or so.
        let mut at = offset;
        while at < (offset + len).min(size) {
            let sector = SECTOR_BYTES.min(offset + len - at).min(size - at);
            if coin.falls() {
                file.seek(SeekFrom::Start(at)).unwrap();
                file.write_all(&vec![0; sector as usize]).unwrap();
            }
            at += sector;
        }
    } else if offset + len >= size {
        file.set_len(offset).unwrap();
    } else {
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(&vec![0; len as usize]).unwrap();
    }
}

/// Verified rows that have no true file: what a power cut must never bring about.
fn broken_promises(world: &World) -> Vec<String> {
    if world.try_count("1").is_none() {
        return Vec::new();
    }
    let tree = world.tree();
    let journal = world.journal();
    let mut rows = journal.prepare("SELECT path, sha256 FROM v_file WHERE state = 'verified'").unwrap();
    let rows = rows.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?))).unwrap();
    rows.map(Result::unwrap)
        .filter(|(path, sha256)| tree.get(path) != Some(sha256))
        .map(|(path, _)| path)
        .collect()
}

/// Runs with a fault, cuts the power, and names the broken promises.
fn after_a_cut(library: Options, fault: &str, loss: Loss) -> (World, Vec<String>) {
    let world = World::new(library);
    let log = world.log_file();
    run_with(&world, fault, Some(&log));
    cut_the_power(&read_log(&log), loss);
    let broken = broken_promises(&world);
    (world, broken)
}

#[test]
fn a_power_cut_at_any_step_breaks_no_promise_whatever_it_takes() {
    let whole = World::new(library());
    let log = whole.log_file();
    assert_eq!(run_with(&whole, "", Some(&log)), Some(0));
    let steps = read_log(&log).len() as u64;
    assert!(steps > 60);
    // Each step with one kind of loss, the kinds in turn; where names and promises are made, with all.
    let mut jobs = Vec::new();
    for n in 2..=steps + 1 {
        jobs.push((format!("kill:{n}"), LOSSES[(n % 5) as usize].seeded(n)));
    }
    for point in ["promised", "renamed", "group-renamed", "folders-synced", "verified"] {
        jobs.extend(LOSSES.map(|loss| (format!("kill:{point}"), loss.seeded(jobs.len() as u64))));
    }
    let cut = pool::each(
        &jobs,
        |job| format!("{job:?}"),
        |(fault, loss)| {
            let (world, broken) = after_a_cut(library(), fault, *loss);
            assert!(broken.is_empty(), "verified without a true file: {broken:?}");
            world.run(&["sync", "--retry-failed"], 0);
            assert_eq!(world.tree(), whole.tree());
            world.assert_rows_are_true();
        },
    );
    println!("cut the power {cut} times");
    assert!(cut >= 150, "the README says so");
}

#[test]
fn nor_does_it_where_the_whole_file_system_is_synced_at_once() {
    let mut jobs = Vec::new();
    for point in ["syncfs", "group-synced", "group-renamed", "folders-synced", "verified"] {
        for n in 1..=3 {
            let fault = format!("{SLOW},kill:{point}@{n}");
            jobs.extend([Loss::All, Loss::Torn(1)].map(|loss| (fault.clone(), loss.seeded(n))));
        }
    }
    pool::each(
        &jobs,
        |job| format!("{job:?}"),
        |(fault, loss)| {
            let (world, broken) = after_a_cut(many(), fault, *loss);
            assert!(broken.is_empty(), "verified without a true file: {broken:?}");
            world.run(&["sync"], 0);
            world.assert_complete();
        },
    );
    let (_world, broken) = after_a_cut(many(), &format!("{SLOW},skip:syncfs"), Loss::All);
    assert!(!broken.is_empty(), "without it the promise must break");
}

#[test]
fn the_power_cut_is_not_blind_a_missing_sync_is_found_out() {
    for (skipped, loss) in [
        ("sync", Loss::All),
        ("sync", Loss::Bytes),
        ("sync", Loss::Some(7)),
        ("sync", Loss::Torn(7)),
        ("syncdir", Loss::All),
        ("syncdir", Loss::Names),
        ("syncdir", Loss::Some(7)),
    ] {
        let (_world, broken) = after_a_cut(library(), &format!("skip:{skipped}"), loss);
        assert!(!broken.is_empty(), "without {skipped} the promise must break: {loss:?}");
    }
}
