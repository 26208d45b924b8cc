//! One file for each verb, and here the way to each.

mod accounts;
mod adopt;
mod albums;
mod audit;
mod bring;
mod config;
mod exit_kit;
mod export;
mod happened;
mod health;
mod journal;
mod list;
mod log;
mod login;
mod open;
mod plan;
mod relayout;
mod service;
mod status;
mod story;
mod sync;
mod trash;
mod verify;
mod watch;

use crate::cli::answer::print;
use crate::cli::args::{self, Args, Verb};
use crate::cli::config::Config;
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::output::{self, Style};
use crate::cli::problem::Problem;
use crate::cli::runtime::{block_on, block_on_with};
use crate::cli::signals::HangUp;

/// Does what the verb says.
pub(super) fn run(
    args: &Args,
    config: &Config,
    environment: &Environment,
    style: Style,
) -> Result<Exit, Problem> {
    if matches!(args.verb, Verb::Sync | Verb::Plan | Verb::ConfigShow) {
        config.warnings.iter().for_each(|warning| output::talk(&style.paint(warning)));
    }
    match args.verb {
        Verb::ConfigShow => config::show(config, args.json),
        Verb::ConfigFromIcloudpd => config::from_icloudpd(args.conf.as_deref(), &args.names),
        Verb::Status => status::run(config, args.json),
        Verb::ServiceInstall => service::install(args, config, environment),
        Verb::ServiceUninstall => service::uninstall(args, environment),
        Verb::TrashList => trash::list(config, args.json),
        Verb::Undelete => block_on(|_| trash::undelete(config, &args.names)),
        Verb::Refetch => block_on(|_| trash::refetch(config, &args.names)),
        Verb::Health => health::run(config, args.max_age.unwrap_or_default(), args.json),
        Verb::JournalCheck => journal::check(config, args.json),
        Verb::JournalSnapshots => journal::snapshots(config, args.json),
        Verb::JournalRestore => journal::restore(config, args.which.as_deref()),
        Verb::JournalRebuild => journal::rebuild(config),
        Verb::Explain => story::run(config, &args.reading, args.json),
        Verb::Log => log::run(config, &args.reading, args.json),
        Verb::Export => match &args.kit {
            Some(kit) => block_on(|stop| exit_kit::run(kit, config, style, stop)),
            None => export::run(config, &args.reading),
        },
        Verb::Audit => block_on(|stop| audit::run(config, &args.reading, style, stop, args.json)),
        Verb::Verify => block_on(|stop| verify::run(config, &args.reading, style, stop, args.json)),
        Verb::Login if args.forget => login::forget(config),
        Verb::Login => block_on(|stop| login::run(args, config, style, stop)),
        Verb::Sync => match config.watch_with_interval {
            None => block_on(|stop| sync::run(config, style, stop)),
            Some(interval) => {
                let (hang_up, wakes) = HangUp::that_wakes();
                block_on_with(hang_up, |stop| {
                    watch::run(config, environment, style, watch::Wishes { interval, stop, wakes })
                })
            }
        },
        Verb::Plan => block_on(|stop| plan::run(config, style, stop, args.json)),
        Verb::Relayout => block_on(|stop| relayout::run(args, config, stop)),
        Verb::Man => {
            let page = args::manual().map_err(|error| explain::system("cannot write the manual", &error))?;
            print(page.trim_end()).map(|()| Exit::Done)
        }
        Verb::Completions => {
            let shell = args.shell.expect("clap asks for the shell");
            print(args::completions(shell).trim_end()).map(|()| Exit::Done)
        }
        Verb::Adopt => block_on(|stop| adopt::run(args, config, style, stop)),
        Verb::AlbumsBuild => block_on(|stop| albums::build(args, config, style, stop)),
        Verb::AlbumsExport => albums::export(config, args),
        Verb::ListLibraries => block_on(|stop| list::libraries(config, style, stop, args.json)),
        Verb::ListAlbums => block_on(|stop| list::albums(config, style, stop, args.json)),
    }
}
