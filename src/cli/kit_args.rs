//! What `export --for` takes: the exit kit.

use std::path::PathBuf;

use clap::{Arg, ArgMatches};

use crate::model::kit::Importer;
use crate::model::views::LinkKind;

/// An exit kit as typed.
#[derive(Clone, Debug)]
pub(crate) struct KitArgs {
    /// Who is to import it.
    pub(crate) importer: Importer,
    /// Where it goes.
    pub(crate) directory: PathBuf,
    /// How links are made.
    pub(crate) kind: LinkKind,
}

impl KitArgs {
    /// The arguments of `export` that ask for a kit.
    pub(crate) fn args() -> [Arg; 3] {
        let importer = |word: &str| match word {
            "immich" => Ok(Importer::Immich),
            "photos" => Ok(Importer::Photos),
            _ => Err("it is immich or photos"),
        };
        let kind = |word: &str| LinkKind::parse(word).ok_or("it is hardlink, reflink or symlink");
        [
            Arg::new("for")
                .long("for")
                .value_name("immich|photos")
                .value_parser(importer)
                .requires("to")
                .conflicts_with("format")
                .help(
                    "Lay the library out by links, with sidecars, so that another program imports it right",
                ),
            Arg::new("to")
                .long("to")
                .value_name("DIR")
                .value_parser(clap::value_parser!(PathBuf))
                .requires("for")
                .help("Where it is laid out"),
            Arg::new("as")
                .long("as")
                .value_name("KIND")
                .value_parser(kind)
                .requires("for")
                .help("Which links: hardlink, reflink or symlink [default: hardlink]"),
        ]
    }

    /// Reads them.
    pub(crate) fn read(matches: &ArgMatches) -> Option<Self> {
        let importer = *matches.try_get_one::<Importer>("for").ok().flatten()?;
        let directory = matches.try_get_one::<PathBuf>("to").ok().flatten()?.clone();
        let kind = matches.try_get_one::<LinkKind>("as").ok().flatten().copied();
        Some(Self { importer, directory, kind: kind.unwrap_or(LinkKind::Hardlink) })
    }
}
