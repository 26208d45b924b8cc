//! What a sandbox is started with.

use crate::account::Obstacle;
use crate::checksum::ChecksumForm;
use crate::library::Rendition;
use crate::srp::Protocol;
use crate::tls::Certificate;

/// How a [`Sandbox`](crate::Sandbox) behaves. [`Options::default`] is a small, fast, healthy library.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides every name, date and byte, and the keys that sessions are signed with.
    pub seed: u64,
    /// Assets of the primary library, oddities and the large video not counted.
    pub assets: u32,
    /// The port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// Speaks TLS on the port, with this certificate; without one, plain HTTP.
    pub tls: Option<Certificate>,
    /// The account name.
    pub username: String,
    /// The account's password.
    pub password: String,
    /// Whether a browser without a trust token must enter a code.
    pub two_factor: bool,
    /// Trusted phone numbers that can be sent a code.
    pub phones: u32,
    /// Days that the cookie of a trusted browser says it lives; without them it says nothing.
    pub trust_days: Option<u32>,
    /// What stands between the owner and the photos at the start.
    pub obstacle: Obstacle,
    /// Whether photos are given out only with cookies that a device has consented to.
    pub advanced_data_protection: bool,
    /// Seconds by which the services' clock is ahead of this machine's; may be negative.
    pub clock_ahead_s: i64,
    /// How the password is prepared before it is stretched.
    pub protocol: Protocol,
    /// The salt of the sign-in proof. A first byte of zero is worth a test.
    pub salt: Vec<u8>,
    /// Rounds of key stretching. The service uses about 20,000; tests need not.
    pub iterations: u32,
    /// Life of a signed URL, in seconds.
    pub url_life_s: u64,
    /// Which form `fileChecksum` has.
    pub checksum_form: ChecksumForm,
    /// A rendition whose every checksum follows another rule than the one we know.
    pub wrong_checksums: Option<Rendition>,
    /// Most assets on one page of a listing (two records each).
    pub page_cap: u32,
    /// Empty pages with `moreComing` that come before every page of `changes/zone`.
    pub empty_change_pages: u32,
    /// Most records on a page of `changes/zone`; 200 is the service's own.
    pub change_page_cap: u32,
    /// Masters and assets of a change stand on pages of their own.
    pub split_changes: bool,
    /// Adds a shared library with a fifth as many assets, at least three.
    pub shared_zone: bool,
    /// Adds one asset for every oddity a record can have.
    pub odd_records: bool,
    /// Adds one video of this many MiB.
    pub large_video_mb: Option<u32>,
    /// Mean size of an original. By default 24 KB, and 2 KB from 5,000 assets on.
    pub mean_size_bytes: Option<u64>,
    /// Of four JPEGs one has no EXIF, one has EXIF without a date, and one a directory without a date.
    pub undated_jpegs: bool,
    /// Share of each kind of asset.
    pub mix: Mix,
    /// Milliseconds every request waits before it is answered.
    pub latency_ms: u64,
    /// Bytes per second of each content response.
    pub bandwidth: Option<u64>,
    /// Whether content answers carry a strong `ETag`, and honour `If-Range`. The service has none.
    pub etag: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            assets: 60,
            port: 0,
            tls: None,
            username: "user@example.com".into(),
            password: "correct horse 42".into(),
            two_factor: false,
            phones: 1,
            trust_days: Some(60),
            obstacle: Obstacle::None,
            advanced_data_protection: false,
            clock_ahead_s: 0,
            protocol: Protocol::S2k,
            salt: (0x41..0x51).collect(),
            iterations: 1_000,
            url_life_s: 3_600,
            checksum_form: ChecksumForm::Signature21,
            wrong_checksums: None,
            page_cap: 100,
            empty_change_pages: 1,
            change_page_cap: 200,
            split_changes: false,
            shared_zone: false,
            odd_records: false,
            large_video_mb: None,
            mean_size_bytes: None,
            undated_jpegs: false,
            mix: Mix::default(),
            latency_ms: 0,
            bandwidth: None,
            etag: false,
        }
    }
}

impl Options {
    /// Size that photos scatter around.
    pub(crate) fn mean_size(&self) -> u64 {
        const FEW_ASSETS: u32 = 5_000;
        self.mean_size_bytes.unwrap_or(if self.assets < FEW_ASSETS { 24_000 } else { 2_000 })
    }
}

/// Shares of the kinds of asset; they need not sum to anything in particular.
#[derive(Clone, Debug)]
pub struct Mix {
    /// HEIC with a movie.
    pub live: u32,
    /// JPEG as it came from the camera.
    pub jpeg: u32,
    /// HEIC without a movie.
    pub heic: u32,
    /// JPEG with an edited version.
    pub edited: u32,
    /// HEIC with a movie, and an edited version of both.
    pub edited_live: u32,
    /// A movie.
    pub video: u32,
    /// A movie with an edited version.
    pub edited_video: u32,
    /// JPEG original with a DNG as second original.
    pub jpeg_raw: u32,
    /// DNG original with a JPEG as second original.
    pub raw_jpeg: u32,
    /// A PNG screenshot.
    pub screenshot: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            live: 43,
            jpeg: 20,
            heic: 4,
            edited: 8,
            edited_live: 3,
            video: 8,
            edited_video: 3,
            jpeg_raw: 3,
            raw_jpeg: 2,
            screenshot: 6,
        }
    }
}
