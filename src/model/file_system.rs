//! File systems: what the one that holds the files does with names and links, as far as it was tried there.
//!
//! Where nobody has looked yet, nothing is known, and names are compared letter by letter.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use crate::model::views::LinkKind;

/// What a file system does, as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// The device that was tried; `None`: none was, and nothing below is known.
    pub device: Option<u64>,
    /// Names that differ in letter case only, `Aa` and `aA`; `None`: not known.
    pub letter_case: Option<Twins>,
    /// Names that differ in Unicode form only, `é` as one letter and as two; `None`: not known.
    pub unicode_form: Option<Twins>,
    /// Characters that no name may hold, or that come back as others; a dot and a space, if a name may not
    /// end in one.
    pub refused: String,
    /// Links that cannot be made.
    pub no_links: Vec<LinkKind>,
}

/// What two names are that differ in one respect only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twins {
    /// Two files.
    Two,
    /// One file, told by the name that it was given.
    One,
    /// One file, and told by another spelling than it was given: in small letters, or decomposed.
    Respelled,
}

impl Twins {
    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Two => "two",
            Self::One => "one",
            Self::Respelled => "respelled",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Two, Self::One, Self::Respelled].into_iter().find(|twins| twins.as_str() == word)
    }
}

impl FileSystem {
    /// Whether a link of this kind may be had. Yes, where nobody knows.
    #[must_use]
    pub fn may_link(&self, kind: LinkKind) -> bool {
        !self.no_links.contains(&kind)
    }

    /// Whether a file may be told by another name than the one it was given.
    #[must_use]
    pub fn folds(&self) -> bool {
        [self.letter_case, self.unicode_form].iter().any(|twins| twins.is_some_and(|of| of != Twins::Two))
    }

    /// One spelling for all names that are one file here.
    ///
    /// Letters fold one to one, as in the tables of file systems: `ß` and `SS` stay two.
    #[must_use]
    pub fn fold<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let one = |twins: Option<Twins>| twins.is_some_and(|of| of != Twins::Two);
        let mut folded = Cow::Borrowed(path);
        if one(self.unicode_form) && !path.is_ascii() {
            folded = folded.nfc().collect::<String>().into();
        }
        if one(self.letter_case) {
            folded = folded.chars().map(upper).collect::<String>().into();
        }
        folded
    }

    /// Whether two paths are one file here.
    #[must_use]
    pub fn is_same(&self, one: &str, other: &str) -> bool {
        one == other || (self.folds() && self.fold(one) == self.fold(other))
    }
}

fn upper(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_the_file_system_does() {
        let seen = |letter_case, unicode_form| FileSystem {
            letter_case: Some(letter_case),
            unicode_form: Some(unicode_form),
            ..FileSystem::default()
        };
        let (composed, decomposed) = ("2024/caf\u{e9}.JPG", "2024/cafe\u{301}.JPG");
        let unknown = FileSystem::default();
        assert!(!unknown.is_same("a/IMG.JPG", "a/img.jpg") && !unknown.is_same(composed, decomposed));
        let linux = seen(Twins::Two, Twins::Two);
        assert!(!linux.is_same("a/IMG.JPG", "a/img.jpg") && linux.is_same(composed, composed));
        let exfat = seen(Twins::Respelled, Twins::Two);
        assert!(exfat.is_same("a/IMG.JPG", "A/img.jpg") && !exfat.is_same(composed, decomposed));
        assert!(!exfat.is_same("STRASSE", "stra\u{df}e") && exfat.is_same("\u{3c3}", "\u{3c2}"));
        let mac = seen(Twins::One, Twins::Respelled);
        assert!(mac.is_same(composed, "2024/CAFE\u{301}.jpg"));
    }
}
