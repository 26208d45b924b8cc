//! Libraries of many assets: enumerating them, coming back to them, asking about them.
//!
//! `cargo bench --bench library [-- WORKLOAD…]` with `cold`, `again`; `ROLLBOOK_BENCH_ASSETS=N` for other
//! sizes than 100,000 (a million wants 8 GB of memory for the sandbox).
#![expect(clippy::print_stdout, reason = "a bench tells a person what it measured")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use rollbook_sandbox::Options;
use support::{Table, World, before, is_wanted, journal_bytes, measure, only, rounds, variable};

fn main() {
    let assets = variable("ROLLBOOK_BENCH_ASSETS", 100_000);
    let mut world = World::new(Options {
        assets: u32::try_from(assets).expect("at most four billion"),
        mix: only("jpeg"),
        mean_size_bytes: Some(1_000),
        ..Options::default()
    });
    // The first walk lets the sandbox compute its checksums.
    let warm = world.fresh();
    world.sign_in(&warm);
    measure(&mut plan(&world, None, &warm));

    let mut table = Table::new(format!("{assets} assets"), "assets", assets as f64);
    let mut bytes = 0;
    for _ in 0..rounds().min(3) {
        let home = world.fresh();
        world.sign_in(&home);
        table.add("cold enumeration", measure(&mut plan(&world, None, &home)));
        bytes = journal_bytes(&home);
        if is_wanted("again") {
            table.add("all listed again", measure(plan(&world, None, &home).arg("--full")));
            table.add("nothing changed", measure(&mut plan(&world, None, &home)));
        }
        table.add("status", measure(&mut world.rollbook(&home, &["status"])));
        if let Some(program) = before() {
            let home = world.fresh();
            world.sign_in_by(&program, &home);
            table.add("cold enumeration, before", measure(&mut plan(&world, Some(&program), &home)));
        }
    }
    table.print();
    println!("  journal: {:.0} bytes an asset", bytes as f64 / assets as f64);
}

fn plan(world: &World, program: Option<&Path>, home: &Path) -> Command {
    let args = ["plan", "--no-progress-bar"];
    let mut command = match program {
        Some(program) => world.program(program, home, &args),
        None => world.rollbook(home, &args),
    };
    command.stderr(Stdio::null());
    command
}
