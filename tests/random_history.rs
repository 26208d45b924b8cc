//! A random life of a library, and a kill now and then: after all of it tree and journal are the truth.
//!
//! The history comes from a seed. Between runs a handful of changes happens; every other run is
//! killed before a random durable step, and the next one goes on. No byte comes twice but what a kill
//! took back.

mod support;

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt as _;

use rollbook_sandbox::{Change, Kind, Options};
use support::World;

/// Changes in all.
const CHANGES: u64 = 300;
/// Runs between which they happen.
const ROUNDS: u64 = 24;

/// A small generator: what matters is that a seed gives the same history every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// One change, if it can happen.
fn happen(world: &World, dice: &mut Dice) -> bool {
    let library = world.sandbox.library();
    let record = dice.of(&library.assets()).clone();
    let albums = library.albums();
    let change = match dice.below(20) {
        0..4 => Change::Add {
            kind: *dice.of(&[Kind::Live, Kind::Jpeg, Kind::Video, Kind::Edited, Kind::RawJpeg]),
        },
        4..7 => Change::Edit { record },
        7 => Change::Revert { record },
        8 => Change::Delete { record },
        9..11 => Change::Restore { record },
        11 => Change::Purge { record },
        12 => Change::Favorite { record, is_favorite: dice.below(2) == 0 },
        13 => Change::Hide { record },
        14 => Change::Unhide { record },
        15 => Change::Rename { record, filename: format!("Photo {}.JPG", dice.below(1000)) },
        16 => Change::Redate { record, captured_ms: 1_000_000_000_000 + dice.below(1 << 39) as i64 },
        17 => Change::MoveToShared { record },
        18 if albums.len() < 4 => Change::AddAlbum { name: "Album".into(), parent: None, is_folder: false },
        _ if albums.is_empty() => return false,
        18 => Change::Leave { album: dice.of(&albums).record.clone(), record },
        _ => Change::Join { album: dice.of(&albums).record.clone(), record },
    };
    library.apply(&change).is_some()
}

fn live(seed: u64) {
    let mut dice = Dice(seed);
    let world = World::new(Options {
        seed,
        assets: 40,
        shared_zone: true,
        change_page_cap: 20,
        split_changes: seed.is_multiple_of(2),
        ..Options::default()
    });
    let mut versions: HashMap<String, u64> = HashMap::new();
    let mut kills = 0;
    let mut changes = 0;
    for round in 0..ROUNDS {
        let wanted = CHANGES * (round + 1) / ROUNDS;
        while changes < wanted {
            changes += u64::from(happen(&world, &mut dice));
        }
        if dice.below(6) == 0 {
            world.sandbox.library().void_tokens();
        }
        for file in world.sandbox.truth() {
            versions.insert(file.checksum, file.size);
        }
        if dice.below(2) == 0 {
            let n = 1 + dice.below(if round == 0 { 200 } else { 60 });
            let output =
                world.rollbook(&["sync"]).env("ROLLBOOK_FAULT", format!("kill:{n}")).output().unwrap();
            assert!(output.status.success() || output.status.signal() == Some(9), "{output:?}");
            kills += u64::from(output.status.signal().is_some());
            continue;
        }
        world.run(&["sync"], 0);
        world.assert_follows();
    }
    world.run(&["sync"], 0);
    world.assert_follows();
    assert!(kills > 3, "{kills} kills of {ROUNDS} runs");

    // Every version of every file at most once; a kill may take back what was in flight.
    let all: u64 = versions.values().sum();
    let largest = versions.values().max().copied().unwrap_or_default();
    let fetched = world.sandbox.counters().cdn_bytes;
    let in_flight = kills * 10 * largest;
    assert!(fetched <= all + in_flight, "{fetched} bytes came, of {all}, with {kills} kills");

    // And then nothing more.
    let before = world.inventory();
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    let counters = world.sandbox.counters();
    let asked: u64 = counters.requests.values().sum::<u64>() - counters.setup();
    assert!(asked <= 2, "{counters:?}");
    assert_eq!(world.inventory(), before);
    // And the books balance, with Apple's count and every file looked at.
    world.run(&["audit", "--deep"], 0);
}

/// Lives of some seeds, two at a time.
fn lives(seeds: impl Iterator<Item = u64>) {
    let seeds: Vec<u64> = seeds.collect();
    for pair in seeds.chunks(2) {
        std::thread::scope(|scope| {
            for seed in pair {
                // Its name stands in the message of a panic.
                let thread = std::thread::Builder::new().name(format!("seed {seed}"));
                thread.spawn_scoped(scope, move || live(*seed)).unwrap();
            }
        });
    }
}

#[test]
fn a_random_life_with_kills_ends_in_the_truth() {
    lives(3..5);
}

#[test]
#[ignore = "takes minutes; for whoever changes how changes are followed"]
fn many_random_lives_with_kills_end_in_the_truth() {
    lives(10..40);
}
