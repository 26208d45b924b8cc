//! The proof of the crash contract, in tables: what may go wrong, at which point, and what must be
//! true after it. One file for each kind of fault; they share this binary.
//!
//! The rollbook under test has fault points (feature `faults`, see `src/fault.rs`): each system call
//! that changes the disk and each commit of the journal is a numbered step, and the engine names
//! the points it reaches between them.

#![expect(clippy::print_stdout, reason = "each matrix tells how many faults it injected")]

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod disk;
mod keeping;
mod kill;
mod moving;
mod network;
mod order;
mod owners;
mod pool;
mod power;
mod scene;
mod service;
