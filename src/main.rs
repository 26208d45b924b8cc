//! Parse, run, exit.

use std::process::ExitCode;

use rollbook::cli::{self, Environment};

fn main() -> ExitCode {
    cli::run(std::env::args_os(), Environment::of_process()).into()
}
