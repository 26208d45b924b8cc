//! Selection: which assets are wanted. Pure: facts in, the word of a rule out.
//!
//! An unwanted asset is not forgotten. Its files are rows with the rule that leaves them out, so
//! that a wider selection finds them without asking Apple what there is.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::asset::MediaKind;

const DAY_MS: i64 = 86_400_000;

/// Which assets are wanted. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Libraries; empty for all.
    pub libraries: Vec<LibraryWord>,
    /// Albums that are wanted, or with `!` not.
    pub albums: Vec<Word>,
    /// Patterns of file names that are wanted, or with `!` not.
    pub names: Vec<NamePattern>,
    /// The newest of each library by capture date.
    pub recent: Option<Recent>,
    /// Captured at or after.
    pub created_after: Option<Moment>,
    /// Captured before.
    pub created_before: Option<Moment>,
    /// Added to the library at or after.
    pub added_after: Option<Moment>,
    /// Added to the library before.
    pub added_before: Option<Moment>,
    /// No videos.
    pub skip_videos: bool,
    /// No photos.
    pub skip_photos: bool,
    /// Nothing hidden.
    pub skip_hidden: bool,
    /// Favourites only.
    pub favorites: bool,
}

/// Two settings of which each leaves out what the other keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Their names.
    pub settings: [&'static str; 2],
    /// Why nothing can be left.
    pub why: &'static str,
}

/// What a rule looks at.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The name of its library's zone.
    pub zone: String,
    /// Its name as imported.
    pub filename: String,
    /// Photo or video.
    pub kind: MediaKind,
    /// The kind of photo or video, as the service numbers it.
    pub subtype: Option<i64>,
    /// When it was taken, in milliseconds on the camera's own clock.
    pub captured_ms: Option<i64>,
    /// When it came into the library, in Unix milliseconds.
    pub added_ms: Option<i64>,
    /// Marked as a favourite.
    pub favorite: bool,
    /// Hidden by its owner.
    pub hidden: bool,
    /// Albums it lies in, each with the folders above it, `/` between them.
    pub albums: Vec<String>,
    /// Whether it is among the newest that [`Recent::Count`] asks for.
    pub is_recent: bool,
}

impl Selection {
    /// Whether some asset may be unwanted. Every library, said or not, is no restriction.
    #[must_use]
    pub fn restricts(&self) -> bool {
        let all = self.libraries.contains(&LibraryWord::All);
        let libraries = if all { self.libraries.clone() } else { Vec::new() };
        *self != Self { libraries, ..Self::default() }
    }

    /// The rule that leaves an asset out: the name of its setting. `None`: it is wanted.
    #[must_use]
    pub fn rule(&self, facts: &Facts, now: i64) -> Option<&'static str> {
        let after = |limit: Option<Moment>, at: Option<i64>| {
            limit.zip(at).is_some_and(|(limit, at)| at < limit.at_ms(now))
        };
        let before = |limit: Option<Moment>, at: Option<i64>| {
            limit.zip(at).is_some_and(|(limit, at)| at >= limit.at_ms(now))
        };
        let rules: [(bool, &'static str); 12] = [
            (!self.has_library(&facts.zone), "library"),
            (self.skip_videos && facts.kind == MediaKind::Video, "skip-videos"),
            (self.skip_photos && facts.kind == MediaKind::Photo, "skip-photos"),
            (self.skip_hidden && facts.hidden, "skip-hidden"),
            (self.favorites && !facts.favorite, "favorites"),
            (after(self.created_after, facts.captured_ms), "created-after"),
            (before(self.created_before, facts.captured_ms), "created-before"),
            (after(self.added_after, facts.added_ms), "added-after"),
            (before(self.added_before, facts.added_ms), "added-before"),
            (!self.has_name(&facts.filename), "name"),
            (!self.has_album(facts), "album"),
            (!self.is_recent(facts, now), "recent"),
        ];
        rules.into_iter().find(|(unwanted, _)| *unwanted).map(|(_, word)| word)
    }

    /// Whether a library is wanted at all.
    #[must_use]
    pub fn has_library(&self, zone: &str) -> bool {
        self.libraries.is_empty() || self.libraries.iter().any(|word| word.means(zone))
    }

    /// Words that mean nothing among these libraries and albums (folders and name, joined by `/`): most
    /// likely mistyped, or renamed in iCloud.
    #[must_use]
    pub fn unmatched(&self, libraries: &[String], albums: &[String]) -> Vec<String> {
        let library = |word: &&LibraryWord| !libraries.iter().any(|zone| word.means(zone));
        let album = |word: &&Word| {
            !albums.iter().any(|album| is_album(album, &word.text)) && !is_smart_name(&word.text)
        };
        let libraries = self.libraries.iter().filter(library).filter_map(|word| match word {
            LibraryWord::Named(name) => Some(format!("--library {name}")),
            _ => None,
        });
        let albums = self
            .albums
            .iter()
            .filter(album)
            .map(|word| format!("--album {}{}", if word.wanted { "" } else { "!" }, word.text));
        libraries.chain(albums).collect()
    }

    /// Two settings that together leave out everything, and why. `now` in Unix seconds.
    #[must_use]
    pub fn contradiction(&self, now: i64) -> Option<Contradiction> {
        let moment = |limit: Option<Moment>| limit.map(|limit| limit.at_ms(now));
        let is_empty = |from: Option<Moment>, until: Option<Moment>| {
            moment(from).zip(moment(until)).is_some_and(|(from, until)| from >= until)
        };
        let recent = match self.recent {
            Some(Recent::Days(days)) => Some(Moment::DaysAgo(days)),
            _ => None,
        };
        let both = |words: &[Word]| {
            let wanted: Vec<&Word> = words.iter().filter(|word| word.wanted).collect();
            let refused = |word: &&Word| {
                let same = |other: &Word| other.text.to_lowercase() == word.text.to_lowercase();
                words.iter().any(|other| !other.wanted && same(other))
            };
            !wanted.is_empty() && wanted.iter().all(refused)
        };
        let never = "no moment is after the one and before the other";
        [
            (self.skip_videos && self.skip_photos, ["skip-videos", "skip-photos"], "there is nothing else"),
            (is_empty(self.created_after, self.created_before), ["created-after", "created-before"], never),
            (is_empty(self.added_after, self.added_before), ["added-after", "added-before"], never),
            (is_empty(recent, self.created_before), ["recent", "created-before"], never),
            (both(&self.albums), ["album", "album"], "every album that is wanted is left out again by \"!\""),
        ]
        .into_iter()
        .find(|(found, ..)| *found)
        .map(|(_, settings, why)| Contradiction { settings, why })
    }

    /// Where every album that is wanted is one that Photos makes itself, and a switch leaves out all that lies
    /// in it: the first such, and the switch. No contradiction: an album of one's own may have that name.
    #[must_use]
    pub fn emptied_album(&self) -> Option<(&str, &'static str)> {
        let emptied = |word: &Word| {
            let switches = [
                (self.skip_videos, "skip-videos"),
                (self.skip_photos, "skip-photos"),
                (self.skip_hidden, "skip-hidden"),
            ];
            let of = SMART.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word.text))?.1;
            switches.into_iter().find(|(on, switch)| *on && *switch == of).map(|(_, switch)| switch)
        };
        let wanted: Vec<&Word> = self.albums.iter().filter(|word| word.wanted).collect();
        let all = !wanted.is_empty() && wanted.iter().all(|word| emptied(word).is_some());
        let first = wanted.first().filter(|_| all)?;
        Some((&first.text, emptied(first)?))
    }

    /// Whether the same selection may mean other assets tomorrow.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        let moments = [self.created_after, self.created_before, self.added_after, self.added_before];
        moments.into_iter().flatten().any(|moment| matches!(moment, Moment::DaysAgo(_)))
            || matches!(self.recent, Some(Recent::Days(_)))
    }

    fn has_name(&self, filename: &str) -> bool {
        let matches =
            |wanted| move |pattern: &&NamePattern| pattern.wanted == wanted && pattern.matches(filename);
        let any_wanted = self.names.iter().any(|pattern| pattern.wanted);
        (!any_wanted || self.names.iter().any(|pattern| matches(true)(&pattern)))
            && !self.names.iter().any(|pattern| matches(false)(&pattern))
    }

    fn has_album(&self, facts: &Facts) -> bool {
        let lies_in = |word: &Word| {
            facts.albums.iter().any(|album| is_album(album, &word.text)) || is_smart(facts, &word.text)
        };
        let any_wanted = self.albums.iter().any(|word| word.wanted);
        (!any_wanted || self.albums.iter().any(|word| word.wanted && lies_in(word)))
            && !self.albums.iter().any(|word| !word.wanted && lies_in(word))
    }

    fn is_recent(&self, facts: &Facts, now: i64) -> bool {
        match self.recent {
            None => true,
            Some(Recent::Count(_)) => facts.is_recent,
            Some(Recent::Days(days)) => {
                facts.captured_ms.is_none_or(|at| at >= Moment::DaysAgo(days).at_ms(now))
            }
        }
    }
}

/// Whether an album is meant: by its name, by its whole place, or by a folder it lies in.
fn is_album(album: &str, word: &str) -> bool {
    let (album, word) = (album.to_lowercase(), word.to_lowercase());
    album == word
        || album.strip_suffix(&word).is_some_and(|above| above.ends_with('/'))
        || album.strip_prefix(&word).is_some_and(|below| below.starts_with('/'))
}

/// The albums that Photos makes itself, by facts that the records tell. The numbers of panoramas, slow
/// motion and time-lapse are those of the Photos app's own database; no record of ours showed them.
fn is_smart(facts: &Facts, word: &str) -> bool {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let (favorite, hidden, video) = (facts.favorite, facts.hidden, facts.kind == MediaKind::Video);
    (is("Favorites") && favorite)
        || (is("Hidden") && hidden)
        || (is("Videos") && video)
        || SUBTYPES.iter().any(|(name, subtype)| is(name) && facts.subtype == Some(*subtype))
}

fn is_smart_name(word: &str) -> bool {
    SMART.iter().any(|(name, _)| name.eq_ignore_ascii_case(word))
}

/// Their names, and the switch that leaves out all that lies in one; nothing, if there is none.
const SMART: [(&str, &str); 8] = [
    ("Favorites", ""),
    ("Hidden", "skip-hidden"),
    ("Videos", "skip-videos"),
    ("Slo-mo", "skip-videos"),
    ("Time-lapse", "skip-videos"),
    ("Panoramas", "skip-photos"),
    ("Live", "skip-photos"),
    ("Screenshots", "skip-photos"),
];

/// Numbers of the service. 2 and 3 are what recorded traffic says (every asset with 2 had a movie), and 101
/// was seen in it; that 1, 101 and 102 mean what stands here is other clients' word, not confirmed.
const SUBTYPES: [(&str, i64); 5] =
    [("Panoramas", 1), ("Live", 2), ("Screenshots", 3), ("Slo-mo", 101), ("Time-lapse", 102)];

/// A library by its word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibraryWord {
    /// Every library.
    All,
    /// The account's own.
    Primary,
    /// Every shared one.
    Shared,
    /// One, by its name.
    Named(String),
}

impl LibraryWord {
    /// Reads `all`, `primary`, `shared`, or a name as `rollbook list libraries` shows it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "all" => Self::All,
            "primary" | "primarysync" | "personal library" => Self::Primary,
            "shared" => Self::Shared,
            _ => Self::Named(text.to_owned()),
        }
    }

    fn means(&self, zone: &str) -> bool {
        let primary = zone == "PrimarySync";
        match self {
            Self::All => true,
            Self::Primary => primary,
            Self::Shared => !primary,
            Self::Named(name) => name.eq_ignore_ascii_case(zone),
        }
    }
}

/// A word, or with `!` before it, what is not wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    wanted: bool,
    text: String,
}

impl Word {
    /// Reads a word.
    ///
    /// # Errors
    /// If there is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (wanted, text) = text.strip_prefix('!').map_or((true, text), |text| (false, text));
        let text = text.trim_matches('/').to_owned();
        if text.is_empty() { Err("it names nothing".to_owned()) } else { Ok(Self { wanted, text }) }
    }
}

/// A pattern of file names, such as `IMG_*.HEIC`; with `!` before it, of names that are not wanted.
#[derive(Clone, PartialEq, Eq)]
pub struct NamePattern {
    wanted: bool,
    pattern: glob::Pattern,
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.wanted { "" } else { "!" }, self.pattern)
    }
}

impl NamePattern {
    /// Reads a pattern: `*`, `?` and `[a-z]` as in a shell; letter case does not matter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let word = Word::parse(text)?;
        let pattern = glob::Pattern::new(&word.text).map_err(|error| format!("{text}: {}", error.msg))?;
        Ok(Self { wanted: word.wanted, pattern })
    }

    fn matches(&self, filename: &str) -> bool {
        let options = glob::MatchOptions { case_sensitive: false, ..glob::MatchOptions::default() };
        self.pattern.matches_with(filename, options)
    }
}

/// The newest of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recent {
    /// So many.
    Count(u64),
    /// Those taken within so many days.
    Days(u32),
}

impl Recent {
    /// Reads `100` or `30d`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(days) = days(text) {
            return Ok(Self::Days(days));
        }
        let count = text.parse().ok().filter(|count| (1..=i64::MAX as u64).contains(count));
        count
            .map(Self::Count)
            .ok_or_else(|| format!("it is a number such as 100, or days such as 30d, not {text:?}"))
    }
}

/// A limit in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Fixed, in milliseconds.
    At(i64),
    /// Whole days before today, in UTC.
    DaysAgo(u32),
}

impl Moment {
    /// Reads a date such as `2024-05-31`, a date and time such as `2024-05-31T18:00:00`, or `30d`.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(days) = days(text) {
            return Ok(Self::DaysAgo(days));
        }
        let wrong = |_| format!("it is a date such as 2024-05-31 or an age such as 30d, not {text:?}");
        let moment = match text.parse::<jiff::civil::DateTime>() {
            Ok(moment) => moment,
            Err(_) => text.parse::<Date>().map_err(wrong)?.at(0, 0, 0, 0),
        };
        // The last day of the calendar is no moment everywhere on earth: it means the end of time.
        let end = if moment.year() > 0 { i64::MAX } else { i64::MIN };
        let at = moment.to_zoned(TimeZone::UTC).map_or(end, |at| at.timestamp().as_millisecond());
        Ok(Self::At(at))
    }

    fn at_ms(self, now: i64) -> i64 {
        match self {
            Self::At(at_ms) => at_ms,
            Self::DaysAgo(days) => (now.div_euclid(86_400) - i64::from(days)) * DAY_MS,
        }
    }
}

fn days(text: &str) -> Option<u32> {
    text.strip_suffix(['d', 'D'])?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            zone: "PrimarySync".into(),
            filename: "IMG_0001.HEIC".into(),
            kind: MediaKind::Photo,
            subtype: Some(2),
            captured_ms: Some(1_717_113_600_000), // 2024-05-31
            added_ms: Some(1_717_200_000_000),    // 2024-06-01
            favorite: false,
            hidden: true,
            albums: vec!["Trips/2024/Rome".into()],
            is_recent: false,
        }
    }

    #[test]
    fn every_library_is_no_restriction() {
        let libraries = |words: &[&str]| words.iter().map(|word| LibraryWord::parse(word)).collect();
        let selection = |words| Selection { libraries: libraries(words), ..Selection::default() };
        for (words, restricts) in [
            (&[][..], false),
            (&["all"], false),
            (&["primary", "ALL"], false),
            (&["primary", "shared"], true),
        ] {
            assert_eq!(selection(words).restricts(), restricts, "{words:?}");
        }
        assert!(Selection { skip_hidden: true, ..selection(&["all"]) }.restricts());
    }

    #[test]
    fn each_rule_names_itself_and_only_what_it_means() {
        let now = 1_717_200_000 + 5 * 86_400;
        let none = Selection::default;
        let moment = |text| Some(Moment::parse(text).unwrap());
        let albums = |words: &[&str]| words.iter().map(|w| Word::parse(w).unwrap()).collect();
        let names = |words: &[&str]| words.iter().map(|w| NamePattern::parse(w).unwrap()).collect();
        let library = |word| vec![LibraryWord::parse(word)];
        for (selection, rule) in [
            (none(), None),
            (Selection { libraries: library("shared"), ..none() }, Some("library")),
            (Selection { libraries: library("primary"), ..none() }, None),
            (Selection { skip_photos: true, ..none() }, Some("skip-photos")),
            (Selection { skip_videos: true, ..none() }, None),
            (Selection { skip_hidden: true, ..none() }, Some("skip-hidden")),
            (Selection { favorites: true, ..none() }, Some("favorites")),
            (Selection { created_after: moment("2024-05-31"), ..none() }, None),
            (Selection { created_after: moment("2024-06-01"), ..none() }, Some("created-after")),
            (Selection { created_before: moment("2024-05-31"), ..none() }, Some("created-before")),
            (Selection { added_after: moment("5d"), ..none() }, None),
            (Selection { added_after: moment("4d"), ..none() }, Some("added-after")),
            (Selection { added_before: moment("2024-06-01T00:00:00"), ..none() }, Some("added-before")),
            (Selection { recent: Some(Recent::Count(1)), ..none() }, Some("recent")),
            (Selection { recent: Some(Recent::Days(6)), ..none() }, None),
            (Selection { recent: Some(Recent::Days(5)), ..none() }, Some("recent")),
            (Selection { names: names(&["img_*"]), ..none() }, None),
            (Selection { names: names(&["!img_*", "*"]), ..none() }, Some("name")),
            (Selection { names: names(&["*.MOV"]), ..none() }, Some("name")),
            (Selection { albums: albums(&["rome"]), ..none() }, None),
            (Selection { albums: albums(&["2024/Rome"]), ..none() }, None),
            (Selection { albums: albums(&["Trips"]), ..none() }, None),
            (Selection { albums: albums(&["ome"]), ..none() }, Some("album")),
            (Selection { albums: albums(&["!Trips/2024"]), ..none() }, Some("album")),
            (Selection { albums: albums(&["Live"]), ..none() }, None),
            (Selection { albums: albums(&["Videos"]), ..none() }, Some("album")),
        ] {
            assert_eq!(selection.rule(&facts(), now), rule, "{selection:?}");
        }
    }

    #[test]
    fn an_album_that_a_switch_empties_is_noticed_if_nothing_else_is_wanted() {
        let emptied = |words: &[&str], skip_videos| {
            let albums = words.iter().map(|w| Word::parse(w).unwrap()).collect();
            let selection = Selection { albums, skip_videos, skip_hidden: true, ..Selection::default() };
            selection.emptied_album().map(|(album, switch)| (album.to_owned(), switch))
        };
        assert_eq!(emptied(&["videos"], true), Some(("videos".to_owned(), "skip-videos")));
        assert_eq!(emptied(&["Slo-mo", "Hidden", "!Rome"], true), Some(("Slo-mo".to_owned(), "skip-videos")));
        for words in [&[][..], &["Rome"], &["Videos", "Rome"], &["Live"], &["Favorites"], &["!Videos"]] {
            assert_eq!(emptied(words, true), None, "{words:?}");
        }
        assert_eq!(emptied(&["Videos"], false), None);
        for (name, _) in SUBTYPES {
            assert!(is_smart_name(name), "{name}");
        }
    }

    #[test]
    fn settings_that_leave_nothing_are_a_contradiction() {
        let now = 1_717_200_000 + 5 * 86_400;
        let moment = |text| Some(Moment::parse(text).unwrap());
        let albums = |words: &[&str]| words.iter().map(|w| Word::parse(w).unwrap()).collect();
        let none = Selection::default;
        for (selection, settings) in [
            (none(), None),
            (Selection { skip_videos: true, ..none() }, None),
            (Selection { skip_videos: true, skip_photos: true, ..none() }, Some("skip-photos")),
            (
                Selection {
                    created_after: moment("2024-05-31"),
                    created_before: moment("2024-05-31"),
                    ..none()
                },
                Some("created-before"),
            ),
            (
                Selection {
                    created_after: moment("2024-05-30"),
                    created_before: moment("9999-12-31"),
                    ..none()
                },
                None,
            ),
            (
                Selection { added_after: moment("3d"), added_before: moment("30d"), ..none() },
                Some("added-before"),
            ),
            (
                Selection { recent: Some(Recent::Days(3)), created_before: moment("3d"), ..none() },
                Some("created-before"),
            ),
            (Selection { albums: albums(&["Rome", "!rome"]), ..none() }, Some("album")),
            (Selection { albums: albums(&["Rome", "Bonn", "!rome"]), ..none() }, None),
        ] {
            let found = selection.contradiction(now).map(|found| found.settings[1]);
            assert_eq!(found, settings, "{selection:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        assert!(Moment::parse("yesterday").is_err() && Moment::parse("2024-13-01").is_err());
        assert!(Moment::parse("2024-05-31T18:00:00Z").is_err() && Moment::parse("18:00:00").is_err());
        assert_eq!(Moment::parse("9999-12-31"), Ok(Moment::At(i64::MAX)));
        assert!(Recent::parse("0").is_err() && Recent::parse("-3").is_err() && Recent::parse("d").is_err());
        assert!(NamePattern::parse("[").is_err() && Word::parse("!").is_err());
    }
}
