//! What can go wrong with the services, sorted by who has to act.
//!
//! [`SignInError`] is for a person, [`Error`] for the run, [`FetchError`] for one file. None of
//! them carries a URL, a cookie or a token: hosts and endpoint names are all they say.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::icloud::no_answer::NoAnswer;

/// A URL that this program refuses to talk to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("refusing to talk to {host}: {reason}")]
pub struct Forbidden {
    /// The host, without the rest of the URL.
    pub host: String,
    /// Why not.
    pub reason: &'static str,
}

/// What a person has to bring, when nobody was there to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The password of the account.
    Password,
    /// The six digits of the second factor.
    Code,
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password => "the password is needed and nobody is there to ask",
            Self::Code => "a code from a trusted device is needed and nobody is there to ask",
        })
    }
}

/// Why nobody is signed in. Cheap to clone: all who wait for one sign-in get the same answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignInError {
    /// Apple refused the password. One try only: more of them lock the account.
    #[error("apple refused the password")]
    WrongPassword,
    /// Apple refused this same password before, so it was not sent again.
    #[error("{} before, so this same password was not sent again", if *locked { "the account was locked" } else { "apple refused the password" })]
    RefusedBefore {
        /// When, in Unix seconds.
        at: i64,
        /// Whether the account was locked then.
        locked: bool,
    },
    /// The account is locked, or had too many tries.
    #[error("the account is locked: {0}")]
    Locked(String),
    /// The second factor is a hardware key, which only a browser can ask.
    #[error("the account asks for a security key, which works in a browser only")]
    SecurityKeyNeeded,
    /// New terms wait to be accepted. We never accept them for anybody.
    #[error("new iCloud terms wait to be accepted on the web")]
    TermsNeeded,
    /// A notice about the account waits, and only its owner can put it away.
    #[error("a notice about the account waits to be read on the web: {0}")]
    RepairNeeded(String),
    /// Advanced Data Protection is on, and no device approved web access.
    #[error("no device approved web access to protected data within {waited:?}")]
    ConsentMissing {
        /// How long we waited; zero when no device could be asked.
        waited: Duration,
    },
    /// Advanced Data Protection is on, or web access to iCloud data is off.
    #[error("the account does not let web clients read its data (web access is off)")]
    AccessOff,
    /// The account lives in the other region.
    #[error("the account lives in another region: {domain}")]
    WrongRegion {
        /// The domain that Apple named, such as `iCloud.com.cn`.
        domain: String,
    },
    /// Apple asks to wait.
    #[error("apple asks to wait before signing in again")]
    Throttled {
        /// For how long, when it said so.
        retry_after: Option<Duration>,
    },
    /// A password or a code is needed, and there is nobody to ask.
    #[error("{0}")]
    NeedsPerson(Need),
    /// The code was wrong, three times.
    #[error("apple refused the code")]
    WrongCode,
    /// Apple sends and takes no more codes for a while.
    #[error("apple sends and takes no more codes for now")]
    TooManyCodes,
    /// There is no phone of that number.
    #[error("there is no such phone: the account has {phones} that can be sent a code")]
    NoSuchPhone {
        /// How many there are.
        phones: usize,
    },
    /// A session that ends again as soon as it was renewed is no passing fault.
    #[error("the session keeps ending: signed in {times} times within an hour")]
    KeepsEnding {
        /// How many times.
        times: usize,
    },
    /// Anything else that Apple refused, in its own words.
    #[error("sign-in refused at {step} (status {status}): {said}")]
    Refused {
        /// Which step of the sign-in.
        step: &'static str,
        /// The HTTP status.
        status: u16,
        /// What Apple said, shortened.
        said: String,
    },
    /// No answer at all.
    #[error("cannot reach {host}: {detail}")]
    Offline {
        /// The host that did not answer.
        host: String,
        /// What the network said.
        detail: NoAnswer,
    },
    /// An answer that makes no sense.
    #[error("cannot understand the answer at {step}: {detail}")]
    Malformed {
        /// Which step of the sign-in.
        step: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The saved session cannot be read or written.
    #[error("cannot keep the session: {0}")]
    Store(#[source] Arc<io::Error>),
    /// The person could not be asked.
    #[error("cannot ask for {need:?}: {source}")]
    Person {
        /// What was asked for.
        need: Need,
        /// Why the question failed.
        source: Arc<io::Error>,
    },
}

/// What an account, or a zone, does not let us do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Advanced Data Protection is on, web access is off, or a throttle that lasts for hours.
    #[error("the account does not let web clients read its photos: {0}")]
    AccessOff(String),
    /// The zone is not there: the library vanished, or iCloud Photos was never set up.
    #[error("there is no such library: {0}")]
    NoSuchZone(String),
    /// The account signs in with a security key.
    #[error("the account asks for a security key, which works in a browser only")]
    SecurityKey,
}

/// Why a call to the photo service failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service refuses the session, and a fresh sign-in within this call did not help.
    #[error("{host} keeps refusing the session")]
    SessionExpired {
        /// The host that refused.
        host: String,
    },
    /// The session ended and only a person can renew it.
    #[error("the session ended: {0}")]
    NeedsPerson(#[source] Box<SignInError>),
    /// Apple asks to wait longer than a call should sleep.
    #[error("apple asks to wait")]
    Throttled {
        /// For how long, when it said so.
        retry_after: Option<Duration>,
    },
    /// No answer, again and again.
    #[error("cannot reach {host}: {detail}")]
    Offline {
        /// The host that did not answer.
        host: String,
        /// What the network said.
        detail: NoAnswer,
    },
    /// The account or the zone does not allow it.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The service failed, or refused for a reason that we do not know.
    #[error("{endpoint} answered with status {status}: {said}")]
    Server {
        /// The endpoint, such as `records/query`.
        endpoint: &'static str,
        /// The HTTP status; 200 where the error came in the body.
        status: u16,
        /// What the service said, shortened.
        said: String,
    },
    /// An answer that makes no sense.
    #[error("cannot understand the answer of {endpoint}: {detail}")]
    Malformed {
        /// The endpoint.
        endpoint: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl SignInError {
    /// A store that failed.
    pub(super) fn store(error: io::Error) -> Self {
        Self::Store(Arc::new(error))
    }

    /// Whether the same sign-in may well succeed later, with nobody doing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Offline { .. })
    }
}

impl From<SignInError> for Error {
    /// Only what waiting can cure stays apart; all else needs a person.
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Throttled { retry_after } => Self::Throttled { retry_after },
            SignInError::Offline { host, detail } => Self::Offline { host, detail },
            SignInError::AccessOff => Denial::AccessOff("web access is off".to_owned()).into(),
            SignInError::SecurityKeyNeeded => Denial::SecurityKey.into(),
            other => Self::NeedsPerson(Box::new(other)),
        }
    }
}

/// Why the bytes of one file did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The signed URL is no longer good (410), or not any more with these cookies (403).
    #[error("the download URL expired (status {status})")]
    UrlExpired {
        /// The HTTP status.
        status: u16,
    },
    /// The content host refuses the session (401, 421, 423, 450, or a 200 with a few words instead
    /// of the file): call [`super::Client::reauthenticate`].
    #[error("{host} refuses the session (status {status})")]
    SessionExpired {
        /// The host that refused.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The content host asks to wait (429, 503). Concerns the whole run, not this file.
    #[error("{host} asks to wait")]
    Throttled {
        /// The host that asks.
        host: String,
        /// For how long, when it said so.
        retry_after: Option<Duration>,
    },
    /// The content host has no such file (404), or does not like the URL (400).
    #[error("{host} has no such file (status {status})")]
    NotFound {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The content host failed.
    #[error("{host} answered with status {status}")]
    Server {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// No connection could be made. Concerns the whole run, not this file.
    #[error("cannot reach {host}: {detail}")]
    Offline {
        /// The host.
        host: String,
        /// What the network said.
        detail: NoAnswer,
    },
    /// The connection broke before the body was complete.
    #[error("connection to {host} failed: {detail}")]
    Network {
        /// The host.
        host: String,
        /// What the network said.
        detail: String,
    },
    /// The host stopped sending, or drips too slowly to ever end.
    #[error("{host} stopped sending: fewer than {bytes_min} bytes in {waited:?}")]
    Stalled {
        /// The host.
        host: String,
        /// How long we waited for it.
        waited: Duration,
        /// What counts as progress.
        bytes_min: u64,
    },
    /// The host broke the rules of HTTP ranges, or encoded the body.
    #[error("{host} gave an answer that cannot be used: {detail}")]
    BadAnswer {
        /// The host.
        host: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The URL points to a host that is none of Apple's.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}
