//! What a person's settings mean to the engine.

use std::sync::Arc;

use crate::cli::account::Account;
use crate::cli::config::Config;
use crate::cli::problem::Problem;
use crate::engine::{AlbumViews, Settings};

/// What the engine needs to know of each account.
pub(crate) fn engine_settings(config: &Config, accounts: &[Account]) -> Result<Vec<Settings>, Problem> {
    let of = |account: &Account| {
        Ok(Settings {
            username: account.username()?.to_owned(),
            directory: account.directory()?.clone(),
            threads: config.threads,
            bandwidth: config.bandwidth.clone(),
            choices: Arc::clone(&config.choices),
            limit: config.limit,
            keep_free_bytes: config.keep_free_bytes,
            retry_failed: config.retry_failed,
            album_views: config
                .album_views
                .map(|kind| AlbumViews { kind, directory: config.album_directory.clone() }),
            sidecars: config.sidecars,
            set_exif_datetime: config.set_exif_datetime,
            policy: config.policy.clone(),
            full: config.full,
        })
    };
    accounts.iter().map(of).collect()
}
