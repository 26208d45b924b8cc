//! Views: where each photo of each album goes in a tree of links. Pure.

use std::collections::{HashMap, HashSet};

use crate::model::ids::{AssetName, FileId};
use crate::model::layout;

/// How a link to a photo is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// A second name of the same file.
    Hardlink,
    /// A file of its own that shares the bytes until one of the two changes.
    Reflink,
    /// A file that names the other.
    Symlink,
}

impl LinkKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Hardlink, Self::Reflink, Self::Symlink];

    /// The word in settings and in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hardlink => "hardlink",
            Self::Reflink => "reflink",
            Self::Symlink => "symlink",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What a link is known by on the disk: by anything else it is not ours any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId {
    /// Its number on its file system.
    pub inode: u64,
    /// When it was last written, in Unix nanoseconds.
    pub modified_ns: i64,
}

/// One file in one album.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlbumFile {
    /// The album's row: two albums may have one name.
    pub album: i64,
    /// The names of its folders, and then its own.
    pub names: Vec<String>,
    /// The file's row.
    pub file: FileId,
    /// Where it stands, relative to the destination.
    pub media: String,
    /// The asset it belongs to, for a tag where two files of an album have one name.
    pub asset: AssetName,
}

/// A link that a view is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Relative to the view.
    pub path: String,
    /// The file's row.
    pub file: FileId,
    /// Where the file stands, relative to the destination.
    pub media: String,
}

/// Chooses the links of all members: each album a folder, each name once.
///
/// The same members in the same order give the same paths.
#[must_use]
pub fn lay_out(members: &[AlbumFile]) -> Vec<Wanted> {
    let mut folders: HashMap<i64, String> = HashMap::new();
    let mut taken_folders = HashSet::new();
    let mut taken = HashSet::new();
    let mut wanted = Vec::with_capacity(members.len());
    for member in members {
        let folder = folders.entry(member.album).or_insert_with(|| {
            let names: Vec<String> = member.names.iter().map(|name| layout::folder_name(name)).collect();
            let plain = names.join("/");
            let numbered = (2..).map(|n| format!("{plain} ({n})"));
            let mut candidates = std::iter::once(plain.clone()).chain(numbered);
            candidates
                .find(|folder| taken_folders.insert(layout::path_key(folder)))
                .expect("candidates never end")
        });
        let name = member.media.rsplit('/').next().unwrap_or(&member.media);
        let path = format!("{folder}/{name}");
        let others = layout::other_paths(&path, &member.asset);
        let path = std::iter::once(path.clone())
            .chain(others)
            .find(|path| taken.insert(layout::path_key(path)))
            .expect("candidates never end");
        wanted.push(Wanted { path, file: member.file, media: member.media.clone() });
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(album: i64, names: &[&str], file: i64, media: &str) -> AlbumFile {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let (media, asset) = (media.to_owned(), AssetName(format!("A{file}")));
        AlbumFile { album, names, file: FileId(file), media, asset }
    }

    #[test]
    fn albums_of_one_name_stay_apart_and_so_do_files_of_one_name() {
        let members = [
            member(1, &["Trip", "Rome"], 1, "2024/a.jpg"),
            member(1, &["Trip", "Rome"], 2, "2025/A.JPG"),
            member(2, &["Trip", "rome"], 1, "2024/a.jpg"),
            member(3, &["../x", "."], 1, "2024/a.jpg"),
        ];
        let paths: Vec<String> = lay_out(&members).into_iter().map(|wanted| wanted.path).collect();
        assert_eq!(paths[0], "Trip/Rome/a.jpg");
        assert!(paths[1].starts_with("Trip/Rome/A-") && paths[1].ends_with(".JPG"), "{paths:?}");
        assert_eq!(paths[2], "Trip/rome (2)/a.jpg");
        assert!(paths[3].split('/').all(|part| !matches!(part, "." | ".." | "")), "{paths:?}");
        assert_eq!(lay_out(&members), lay_out(&members));
    }
}
