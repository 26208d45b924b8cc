//! `rollbook export --for`: the exit kit, made from the journal and from links.

use crate::cli::answer::print;
use crate::cli::commands::{accounts, albums, open};
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::exit::Exit;
use crate::cli::format;
use crate::cli::kit_args::KitArgs;
use crate::cli::output::{self, Style, sanitize};
use crate::cli::problem::Problem;
use crate::engine::{self, KitLaidOut, KitWish, Stop};

/// Lays out the library of an account; of several, each in a folder of its own.
pub(super) async fn run(kit: &KitArgs, config: &Config, style: Style, stop: Stop) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    let settings = engine_settings(config, accounts)?;
    let house = open::house(config)?;
    let several = accounts.len() > 1;
    let ended = accounts::side_by_side(accounts, style, &stop, |index, stop| {
        let (account, settings, house) = (&accounts[index], &settings[index], &house);
        async move {
            let id = albums::known(house.journal.reader(), &settings.username)?;
            let destination = engine::open_destination(&house.journal, settings).await?;
            let directory = if several { kit.directory.join(account.label()) } else { kit.directory.clone() };
            let wish = KitWish { importer: kit.importer, directory: directory.clone(), kind: kit.kind };
            let laid_out = engine::lay_out_kit(&house.journal, destination, id, wish, &stop).await?;
            let (files, sidecars) =
                (format::counted(laid_out.files, "file"), format::counted(laid_out.sidecars, "sidecar"));
            print(&format!("{files} and {sidecars} in {}", sanitize(&directory.display().to_string())))?;
            for line in left(&laid_out) {
                output::talk(&style.paint(&line));
            }
            Ok(match (stop.is_requested(), laid_out.left) {
                (true, _) => Exit::Interrupted,
                (false, 0) => Exit::Done,
                (false, _) => Exit::FilesOpen,
            })
        }
    });
    let ended = ended.await?;
    Ok(Exit::most_urgent(ended.answers.into_iter().chain([ended.exit])))
}

/// What could not be laid out, and why.
fn left(laid_out: &KitLaidOut) -> Vec<String> {
    let named = laid_out.left_named.iter();
    let mut lines: Vec<String> = named
        .map(|(path, why)| format!("warning: not laid out: {}: {}", sanitize(path), sanitize(why)))
        .collect();
    let more = laid_out.left - lines.len() as u64;
    if more > 0 {
        lines.push(format!("warning: and {} more not laid out", format::count(more)));
    }
    lines
}
