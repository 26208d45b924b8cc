//! Every word that stands in a history, and what it says in a sentence: the moves of a file
//! ([`super::state::Event`]), what happens to a verified file without a move, and what happens to an
//! asset in iCloud.

use crate::model::state::Event;

/// What happens to a verified file that stays one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// By the sweep: it was found under another path.
    Relocated,
    /// By the sweep: it is gone, and the person deleted it.
    Released,
    /// By the sweep: a released file stands in its place again.
    Returned,
    /// By a sync: its photo is gone from iCloud, and it lies in the trash.
    Trashed,
    /// By a sync or `undelete`: it is back from the trash.
    PutBack,
    /// By a sync: the date of capture was added to the bytes that were proved.
    Dated,
}

impl Note {
    /// Every note.
    pub const ALL: [Self; 6] =
        [Self::Relocated, Self::Released, Self::Returned, Self::Trashed, Self::PutBack, Self::Dated];

    /// The word in the journal's history.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relocated => "relocated",
            Self::Released => "released",
            Self::Returned => "returned",
            Self::Trashed => "trashed",
            Self::PutBack => "put_back",
            Self::Dated => "dated",
        }
    }
}

/// What happens to an asset in iCloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssetEvent {
    /// It is new.
    Added,
    /// An edited version came, or another one.
    Edited,
    /// The edit was undone.
    Reverted,
    /// Its original is another.
    Replaced,
    /// It has another name.
    Renamed,
    /// It was captured at another time.
    Redated,
    /// It is a favourite.
    Favorited,
    /// It is none any more.
    Unfavorited,
    /// It is hidden.
    Hidden,
    /// It is not any more.
    Unhidden,
    /// It lies in Recently Deleted.
    Deleted,
    /// It is gone for good.
    Purged,
    /// Another library of the account has it.
    Moved,
    /// It is back.
    Restored,
    /// It lies in one more album.
    AlbumJoined,
    /// It was taken out of an album.
    AlbumLeft,
}

impl AssetEvent {
    /// Every event.
    pub const ALL: [Self; 16] = [
        Self::Added,
        Self::Edited,
        Self::Reverted,
        Self::Replaced,
        Self::Renamed,
        Self::Redated,
        Self::Favorited,
        Self::Unfavorited,
        Self::Hidden,
        Self::Unhidden,
        Self::Deleted,
        Self::Purged,
        Self::Moved,
        Self::Restored,
        Self::AlbumJoined,
        Self::AlbumLeft,
    ];

    /// The word in the history of assets.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Edited => "edited",
            Self::Reverted => "reverted",
            Self::Replaced => "replaced",
            Self::Renamed => "renamed",
            Self::Redated => "redated",
            Self::Favorited => "favorited",
            Self::Unfavorited => "unfavorited",
            Self::Hidden => "hidden",
            Self::Unhidden => "unhidden",
            Self::Deleted => "deleted",
            Self::Purged => "purged",
            Self::Moved => "moved",
            Self::Restored => "restored",
            Self::AlbumJoined => "album_joined",
            Self::AlbumLeft => "album_left",
        }
    }
}

/// What a word of a history says; `None` for a word that no version of ours writes.
#[must_use]
pub fn sentence(word: &str) -> Option<&'static str> {
    let of_move = Event::ALL.into_iter().find(|event| event.as_str() == word).map(of_move);
    let of_note = || Note::ALL.into_iter().find(|note| note.as_str() == word).map(of_note);
    let of_asset = || AssetEvent::ALL.into_iter().find(|event| event.as_str() == word).map(of_asset);
    of_move.or_else(of_note).or_else(of_asset)
}

fn of_move(event: Event) -> &'static str {
    match event {
        Event::Progressed => "more of its bytes are here",
        Event::Verified => "it came home and was checked",
        Event::Adopted => "another tool had brought it home, and it was checked",
        Event::Failed => "it could not be fetched",
        Event::UrlExpired => "Apple's signed address ran out",
        Event::UrlRenewed => "Apple gave a fresh address",
        Event::Requeued => "it is tried once more",
        Event::Restarted => "its part file was not what was promised: it begins anew",
        Event::Lost => "its bytes are wanted again",
        Event::Changed => "Apple has another version: this one is begun anew",
    }
}

fn of_note(note: Note) -> &'static str {
    match note {
        Note::Relocated => "you moved it here",
        Note::Released => "it was deleted here, and stays away",
        Note::Returned => "it stands in its place again",
        Note::Trashed => "its photo is gone from iCloud, and it lies in the trash",
        Note::PutBack => "it is back from the trash",
        Note::Dated => "the date of capture was added to it",
    }
}

fn of_asset(event: AssetEvent) -> &'static str {
    match event {
        AssetEvent::Added => "it is new in iCloud",
        AssetEvent::Edited => "it was edited in iCloud",
        AssetEvent::Reverted => "its edit was undone in iCloud",
        AssetEvent::Replaced => "its original is another in iCloud",
        AssetEvent::Renamed => "it has another name in iCloud",
        AssetEvent::Redated => "it has another date in iCloud",
        AssetEvent::Favorited => "it is a favourite",
        AssetEvent::Unfavorited => "it is no favourite any more",
        AssetEvent::Hidden => "it was hidden",
        AssetEvent::Unhidden => "it is not hidden any more",
        AssetEvent::Deleted => "it lies in Recently Deleted",
        AssetEvent::Purged => "it is gone from iCloud for good",
        AssetEvent::Moved => "another library has it",
        AssetEvent::Restored => "it is back in iCloud",
        AssetEvent::AlbumJoined => "it was put into an album",
        AssetEvent::AlbumLeft => "it was taken out of an album",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_events_share_a_word_and_each_has_a_sentence() {
        let words: Vec<&str> = Event::ALL
            .map(Event::as_str)
            .into_iter()
            .chain(Note::ALL.map(Note::as_str))
            .chain(AssetEvent::ALL.map(AssetEvent::as_str))
            .collect();
        for (at, word) in words.iter().enumerate() {
            assert!(sentence(word).is_some(), "{word}");
            assert!(!words[at + 1..].contains(word), "{word}");
        }
        assert_eq!(sentence("nonsense"), None);
    }
}
