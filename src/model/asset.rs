//! An asset as the service describes it: one photo or video and the files it offers.
//!
//! These are facts read from records, not yet rows. `icloud` makes them, `reconcile` compares
//! them with what the journal knows.

use crate::model::checksum::AppleChecksum;
use crate::model::ids::{AssetName, MasterName};
use crate::model::signed_url::SignedUrl;

/// Which file of an asset. Its text form stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rendition {
    /// The photo or video as imported (`resOriginalRes`).
    Original,
    /// The second original of a RAW + JPEG pair (`resOriginalAltRes`).
    Alternative,
    /// The movie of a Live Photo (`resOriginalVidComplRes`).
    LiveVideo,
    /// The edited still, full size (`resJPEGFullRes`).
    Edited,
    /// The edited movie, full size (`resVidFullRes`): of a video, or of an edited Live Photo.
    EditedVideo,
    /// A smaller copy of the still that the service made (`resJPEGMedRes`).
    Medium,
    /// A smaller copy of the movie (`resVidMedRes`): of a video, or of a Live Photo.
    MediumVideo,
    /// The smallest copy of the still (`resJPEGThumbRes`).
    Thumb,
    /// The smallest copy of the movie (`resVidSmallRes`).
    ThumbVideo,
}

impl Rendition {
    /// Every rendition, in the order in which files are fetched.
    pub const ALL: [Self; 9] = [
        Self::Original,
        Self::Alternative,
        Self::LiveVideo,
        Self::Edited,
        Self::EditedVideo,
        Self::Medium,
        Self::MediumVideo,
        Self::Thumb,
        Self::ThumbVideo,
    ];

    /// Whether it is a smaller copy that the service made. Asked for only by those who want them.
    #[must_use]
    pub fn is_preview(self) -> bool {
        matches!(self, Self::Medium | Self::MediumVideo | Self::Thumb | Self::ThumbVideo)
    }

    /// Whether it is a movie, whatever its asset is.
    #[must_use]
    pub fn is_movie(self) -> bool {
        matches!(self, Self::LiveVideo | Self::EditedVideo | Self::MediumVideo | Self::ThumbVideo)
    }

    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Alternative => "alternative",
            Self::LiveVideo => "live-video",
            Self::Edited => "edited",
            Self::EditedVideo => "edited-video",
            Self::Medium => "medium",
            Self::MediumVideo => "medium-video",
            Self::Thumb => "thumb",
            Self::ThumbVideo => "thumb-video",
        }
    }

    /// Reads the word in the journal.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == word)
    }
}

/// Whether a person would call it a photo or a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A still, with or without a live movie.
    Photo,
    /// A movie.
    Video,
}

impl MediaKind {
    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Video => "video",
        }
    }
}

/// A moment on a camera's own wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Unix milliseconds, UTC. May be negative, and may be absurd: the service passes on what
    /// the camera said.
    pub at_ms: i64,
    /// Seconds east of UTC where it was taken, if known.
    pub offset_seconds: Option<i32>,
}

/// One file that the service offers for an asset.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Which file of the asset it is.
    pub rendition: Rendition,
    /// Apple's checksum of its bytes.
    pub checksum: AppleChecksum,
    /// Its length.
    pub size_bytes: u64,
    /// Its uniform type identifier, such as `public.heic`; empty when the record has none.
    pub uti: String,
    /// Where to fetch it, for a while. `None` when the record came without one.
    pub url: Option<SignedUrl>,
}

/// One photo or video: a `CPLAsset` joined to its `CPLMaster`.
#[derive(Clone, Debug)]
pub struct Asset {
    /// The asset's record name: its identity within the library.
    pub name: AssetName,
    /// The master's record name; several assets may share one.
    pub master: MasterName,
    /// The change tags of both records. Equal tags mean nothing changed but the URLs.
    pub change_tag: String,
    /// The file name as imported, unsanitised: a stranger's input.
    pub filename: String,
    /// Photo or video.
    pub kind: MediaKind,
    /// When and where on the clock it was taken, if the record says so.
    pub captured: Option<Captured>,
    /// When it came into the library, in Unix milliseconds.
    pub added_at_ms: Option<i64>,
    /// The kind of photo or video, as the service numbers it (`assetSubtypeV2`).
    pub subtype: Option<i64>,
    /// Marked as a favourite.
    pub favorite: bool,
    /// Hidden by its owner.
    pub hidden: bool,
    /// In Recently Deleted.
    pub deleted: bool,
    /// The model of the camera, or its maker where no model is named; empty where neither is. `None`: it
    /// was not asked for.
    pub camera: Option<String>,
    /// The files, at most one for each rendition, in the order of [`Rendition::ALL`].
    pub offers: Vec<Offer>,
    /// Both records as JSON (`{"asset":…,"master":…}`) without their URLs, kept so that a later
    /// feature needs no new enumeration.
    pub provider_record: Vec<u8>,
}

impl Asset {
    /// The files of the asset, each with its place in [`Asset::offers`]: the service may name one version twice, and
    /// it is one file then.
    pub fn versions(&self) -> impl Iterator<Item = (usize, &Offer)> {
        let is_same =
            |one: &Offer, other: &Offer| one.rendition == other.rendition && one.checksum == other.checksum;
        let is_first = move |n: usize, offer| !self.offers[..n].iter().any(|earlier| is_same(earlier, offer));
        self.offers.iter().enumerate().filter(move |(n, offer)| is_first(*n, offer))
    }

    /// The camera, if one is named.
    #[must_use]
    pub fn camera(&self) -> Option<&str> {
        self.camera.as_deref().filter(|camera| !camera.is_empty())
    }
}

/// Why a record could not become an [`Asset`], or lost a part on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OddityKind {
    /// The service answered with an error in place of the record.
    Refused,
    /// Not the shape of a record at all.
    Malformed,
    /// A master that no asset points to.
    OrphanMaster,
    /// An asset whose master is not to be had.
    MissingMaster,
    /// An asset that offers no file.
    NoFiles,
    /// One rendition has no checksum, size or shape that can be used; the others are kept.
    UnusableFile,
}

impl OddityKind {
    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::OrphanMaster => "orphan-master",
            Self::MissingMaster => "missing-master",
            Self::NoFiles => "no-files",
            Self::UnusableFile => "unusable-file",
        }
    }
}

/// A record that cannot be used, or not wholly: a named row in `v_problem`, never silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// The record's name, or a made-up one that names its place when it has none.
    pub record_name: String,
    /// What is wrong with it.
    pub kind: OddityKind,
    /// What was found, in words a person can act on. Never contains a URL.
    pub detail: String,
}

/// One page of an enumeration.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Assets whose two records are both known.
    pub assets: Vec<Asset>,
    /// Records that cannot be used.
    pub oddities: Vec<Oddity>,
    /// The zone's sync token as this page gave it.
    pub sync_token: Option<String>,
}

/// Which CloudKit database a library lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Database {
    /// The account's own.
    Private,
    /// What others share with the account.
    Shared,
}

impl Database {
    /// The word in the URL path and in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Shared => "shared",
        }
    }
}

/// The full name of a library: a CloudKit zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Zone {
    /// Which database it lives in.
    pub database: Database,
    /// `PrimarySync` or `SharedSync-…`.
    pub name: String,
    /// The owner's record name, echoed back with every call; empty when the service gave none.
    pub owner: String,
    /// The zone type as the service gave it, such as `REGULAR_CUSTOM_ZONE`; may be empty.
    pub kind: String,
}

impl Zone {
    /// Whether it is an account's own library.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.database == Database::Private && self.name == "PrimarySync"
    }
}

/// An album, as `rollbook list albums` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Album {
    /// Its record name: album names are not unique.
    pub record_name: String,
    /// Its name as the person gave it.
    pub name: String,
    /// The folder it lies in, if any, by record name.
    pub parent: Option<String>,
    /// Whether it is a folder of albums.
    pub folder: bool,
    /// Its place among its neighbours, if the service gave one.
    pub position: Option<i64>,
}
