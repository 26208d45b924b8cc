//! Adoption: which local file is which file of the journal. Pure.
//!
//! Bytes decide, never names: a file is ours only if Apple's own checksum of a row says so. Names and
//! dates are asked twice only: when several files hold the bytes of one row, the likeliest name wins;
//! and when the name fits and the bytes do not, a person is told that a tool altered the file.

use crate::model::asset::{Captured, Rendition};
use crate::model::checksum::{AppleChecksum, Digests, Proof, Sha256Digest};
use crate::model::ids::{AssetName, FileId};

/// A file that a walk met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// Relative to the folder that was walked, `/` between components.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// When it was last written, in Unix nanoseconds.
    pub modified_ns: i64,
    /// Its number on its file system: another file under the same name has another.
    pub inode: u64,
}

/// A file of the journal that a local one may turn out to be.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The row.
    pub file: FileId,
    /// The asset it belongs to.
    pub asset_name: AssetName,
    /// The name that the person knows the asset by.
    pub filename: String,
    /// Which file of the asset.
    pub rendition: Rendition,
    /// Apple's checksum.
    pub checksum: AppleChecksum,
    /// Its length.
    pub size_bytes: u64,
    /// Where it stands, or is to stand.
    pub path: String,
    /// Whether it is verified there.
    pub is_verified: bool,
    /// Promised bytes of its part file.
    pub offset_bytes: u64,
    /// When it was taken.
    pub captured: Option<Captured>,
}

/// What became of a local file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is ours now, where it stands.
    Adopted,
    /// It would be, but this is a dry run.
    Adoptable,
    /// It was ours before.
    Already,
    /// The same bytes once more: another copy is ours.
    Duplicate,
    /// The name and the date of a file that is to come, and other bytes: a tool altered it.
    Altered,
    /// Nothing that Apple lists.
    Unknown,
    /// It could not be read, or is no plain file.
    Unreadable,
    /// It would be ours, and something is in the way of bringing it into place. The next run tries again.
    Blocked,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 8] = [
        Self::Adopted,
        Self::Adoptable,
        Self::Already,
        Self::Duplicate,
        Self::Altered,
        Self::Unknown,
        Self::Unreadable,
        Self::Blocked,
    ];

    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adopted => "adopted",
            Self::Adoptable => "adoptable",
            Self::Already => "already",
            Self::Duplicate => "duplicate",
            Self::Altered => "altered",
            Self::Unknown => "unknown",
            Self::Unreadable => "unreadable",
            Self::Blocked => "blocked",
        }
    }

    /// Reads the word in the journal.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// What is known of a local file.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The file. Its path is absolute where it stands outside of the destination.
    pub local: LocalFile,
    /// What became of it.
    pub outcome: Outcome,
    /// Its digests, if it was read.
    pub digests: Option<Digests>,
    /// The row that it is, is once more, or should have been.
    pub file: Option<FileId>,
    /// The path that the row is to have, and how the bytes were proved: for a file that is adopted.
    pub adopt: Option<(String, Proof)>,
    /// The digest of the bytes that were proved, where the file is more than they: it got its date from us.
    pub dated: Option<Sha256Digest>,
    /// What a person should know.
    pub detail: Option<String>,
}

impl Finding {
    /// A file of which nothing but its outcome is known.
    #[must_use]
    pub fn new(local: LocalFile, outcome: Outcome) -> Self {
        Self { local, outcome, digests: None, file: None, adopt: None, dated: None, detail: None }
    }

    /// The same with a word for a person.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// How a local file matches a candidate: what to put in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Place of the local file among those given.
    pub local: usize,
    /// Place of the candidate among those given.
    pub candidate: usize,
    /// How its bytes were proved.
    pub proof: Proof,
}

/// Gives each candidate that is not verified one of the files that hold its bytes, the likeliest name
/// first, and each file to one candidate.
///
/// All are of one length. A checksum of unknown form proves by length alone, and gives nothing.
#[must_use]
pub fn assign(locals: &[(LocalFile, Digests)], candidates: &[Candidate]) -> Vec<Match> {
    let mut possible: Vec<(u8, Match)> = Vec::new();
    for (local, (file, digests)) in locals.iter().enumerate() {
        for (candidate, wanted) in candidates.iter().enumerate().filter(|(_, c)| !c.is_verified) {
            if let Some(proof) = proved(wanted, digests) {
                possible.push((likeness(&file.path, wanted), Match { local, candidate, proof }));
            }
        }
    }
    let path = |found: &Match| &locals[found.local].0.path;
    possible.sort_by(|(a_like, a), (b_like, b)| {
        let by_name = path(a).len().cmp(&path(b).len()).then_with(|| path(a).cmp(path(b)));
        b_like.cmp(a_like).then(by_name).then(a.candidate.cmp(&b.candidate))
    });
    let (mut used, mut served) = (vec![false; locals.len()], vec![false; candidates.len()]);
    let mut matches = Vec::new();
    for (_, found) in possible {
        if !used[found.local] && !served[found.candidate] {
            (used[found.local], served[found.candidate]) = (true, true);
            matches.push(found);
        }
    }
    matches
}

/// How the bytes are proved to be the candidate's, if they are. Their length is equal already.
#[must_use]
pub fn proved(candidate: &Candidate, digests: &Digests) -> Option<Proof> {
    candidate.checksum.prove(digests).filter(|proof| *proof != Proof::Length)
}

/// How much the name of a local file speaks for a candidate.
fn likeness(path: &str, candidate: &Candidate) -> u8 {
    let (name, wanted) = (base_name(path), base_name(&candidate.path));
    if path == candidate.path {
        4
    } else if name.eq_ignore_ascii_case(wanted) || name.eq_ignore_ascii_case(&candidate.filename) {
        3
    } else if starts_with(name, stem(&candidate.filename)) {
        2
    } else {
        1
    }
}

/// The names that a file may have had before a tool put its own mark into it: icloudpd's
/// `-SIZE` and `_ID7`, and the words for sizes.
pub fn original_names(path: &str) -> Vec<String> {
    let name = base_name(path).to_lowercase();
    let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
    let mut names = vec![name.clone()];
    let mut add = |stem: &str| names.push(format!("{stem}.{extension}"));
    if let Some((before, mark)) = stem.rsplit_once('-')
        && (mark.bytes().all(|b| b.is_ascii_digit()) || matches!(mark, "adjusted" | "edited" | "original"))
    {
        add(before);
    }
    if let Some((before, mark)) = stem.rsplit_once('_')
        && mark.len() == 7
    {
        add(before);
    }
    names
}

/// Whether a local file tells the date of a photo: by its time, or by the folders it lies in.
#[must_use]
pub fn same_date(local: &LocalFile, captured: Captured) -> bool {
    const DAY_MS: i64 = 86_400_000;
    let modified_ms = local.modified_ns / 1_000_000;
    if (modified_ms - captured.at_ms).abs() <= DAY_MS {
        return true;
    }
    let Ok(at) = jiff::Timestamp::from_millisecond(captured.at_ms) else { return false };
    let offset = jiff::tz::Offset::from_seconds(captured.offset_seconds.unwrap_or(0));
    let day = offset.unwrap_or(jiff::tz::Offset::UTC).to_datetime(at).date();
    let folders = local.path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let numbers: Vec<i32> =
        folders.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    let wanted = [i32::from(day.year()), i32::from(day.month()), i32::from(day.day())];
    let tail = &numbers[numbers.iter().position(|n| *n == wanted[0]).unwrap_or(numbers.len())..];
    !tail.is_empty() && tail.iter().zip(wanted).all(|(number, wanted)| *number == wanted)
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn starts_with(name: &str, stem: &str) -> bool {
    !stem.is_empty() && name.get(..stem.len()).is_some_and(|head| head.eq_ignore_ascii_case(stem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checksum::Hasher;

    /// The signature of `hello`, from the protocol notes.
    const HELLO: &str = "AcW96XzA8CMFcrVWfJyAAy8aWWE6";

    fn local(path: &str) -> (LocalFile, Digests) {
        let mut hasher = Hasher::default();
        hasher.update(b"hello");
        let file = LocalFile { path: path.to_owned(), size_bytes: 5, modified_ns: 0, inode: 1 };
        (file, hasher.finish())
    }

    fn candidate(id: i64, path: &str, checksum: &str) -> Candidate {
        Candidate {
            file: FileId(id),
            asset_name: AssetName("A".to_owned()),
            filename: "IMG_1.JPG".to_owned(),
            rendition: Rendition::Original,
            checksum: AppleChecksum::parse(checksum),
            size_bytes: 5,
            path: path.to_owned(),
            is_verified: false,
            offset_bytes: 0,
            captured: None,
        }
    }

    #[test]
    fn the_likeliest_name_wins_and_every_file_serves_once() {
        let locals = [local("a/copy of it.JPG"), local("a/IMG_1-5.JPG"), local("b/IMG_1.JPG")];
        let candidates = [candidate(1, "a/IMG_1.JPG", HELLO), candidate(2, "b/IMG_1.JPG", HELLO)];
        let pairs: Vec<_> = assign(&locals, &candidates).iter().map(|m| (m.local, m.candidate)).collect();
        assert_eq!(pairs, [(2, 1), (1, 0)]);
    }

    #[test]
    fn a_length_alone_proves_nothing_and_a_verified_row_needs_no_second_file() {
        let unknown = candidate(1, "a/IMG_1.JPG", "AAAA");
        let verified = Candidate { is_verified: true, ..candidate(2, "a/IMG_1.JPG", HELLO) };
        assert!(assign(&[local("a/IMG_1.JPG")], &[unknown, verified]).is_empty());
    }

    #[test]
    fn marks_of_tools_are_seen_through_and_dates_read_from_time_or_folders() {
        assert!(original_names("2024/IMG_1-23456.JPG").contains(&"img_1.jpg".to_owned()));
        assert!(original_names("IMG_1_QVVEdEI.HEIC").contains(&"img_1.heic".to_owned()));
        let captured = Captured { at_ms: 1_715_988_600_000, offset_seconds: Some(7200) };
        let file = |path: &str, modified_ns| LocalFile { path: path.to_owned(), modified_ns, ..local("").0 };
        assert!(same_date(&file("2024/05/18/a", 0), captured) && same_date(&file("x/2024/a", 0), captured));
        assert!(!same_date(&file("2024/06/a", 0), captured) && !same_date(&file("a", 0), captured));
        assert!(same_date(&file("a", 1_715_988_600_000_000_000), captured));
    }
}
