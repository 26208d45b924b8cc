//! `rollbook login`: sign in once, so that later runs need nobody.

use crate::cli::commands::{open, print};
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::output::sanitize;
use crate::cli::problem::Problem;
use crate::engine::Stop;

/// Signs in, by the saved session if it is still good.
pub(super) async fn run(config: &Config, stop: Stop) -> Result<Exit, Problem> {
    let username = config.username()?;
    open::open(config, username, &stop).await?;
    print(&format!(
        "signed in as {}; the session is kept in {}",
        sanitize(username),
        config.data_dir.display()
    ))?;
    Ok(Exit::Done)
}
