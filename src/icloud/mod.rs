//! The iCloud client: the only place that talks to Apple.
//!
//! It signs in, lists libraries page by page, renews download URLs and fetches bytes. It only
//! reads: no request of this module changes anything in iCloud.
//!
//! *Whom it talks to.* Without an explicit endpoint https only, and Apple's hosts only, also in
//! redirects and in URLs that answers name ([`Endpoints`]).
//!
//! *Sessions.* A call to the photo service that is refused for its session signs in again, once,
//! and repeats itself; concurrent calls wait for the same sign-in. [`Client::get`] does not: its
//! caller holds a part file and decides itself ([`FetchError::SessionExpired`]).
//!
//! *Retries.* Calls outlive passing faults of half a minute. What lasts longer comes back as an
//! error, so that the caller can pause everything at once. [`Client::get`] never retries.
//!
//! *Left to others:* where the session is kept ([`SessionStore`]), how a person is asked
//! ([`Person`]), and what becomes of the assets.
//!
//! *Cancelling.* Every future may be dropped at any await; a [`Listing`] then goes on where it was.

mod auth;
mod clock;
mod download;
mod endpoints;
mod error;
mod http;
mod no_answer;
mod photos;
#[cfg(feature = "faults")]
pub mod raw;
mod wire;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

pub use auth::icloudpd;
pub use auth::{CodeEntry, CodePrompt, News, Person, Phone, SessionStore, Standing};
pub use download::{Body, Wanted};
pub use endpoints::{Endpoints, Region};
pub use error::{Denial, Error, FetchError, Forbidden, Need, SignInError};
pub use no_answer::{Cause, NoAnswer};
pub use photos::facts;
pub use photos::{
    ChangedLibraries, ChangedPage, Delta, Found, FreshFile, Index, LOOKUP_NAMES_MAX, Libraries, Listing,
    Lookup, Members, Missing, ZoneChanges,
};

use auth::consent::Patience;
use auth::session::Session;
use auth::{Account, Login};
use download::Downloads;
use http::Http;

/// Whose library it is, and how to prove it.
pub struct Credentials {
    /// The account's name, exactly as Apple knows it.
    pub username: String,
    /// Where the session is kept between runs.
    pub store: Box<dyn SessionStore>,
    /// How a person is asked for a password or a code.
    pub person: Arc<dyn Person>,
    /// Whether a person asked for this very sign-in. Only then a password is sent that Apple
    /// refused before: a scheduler that repeats it would lock the account.
    pub deliberate: bool,
}

/// What tests turn, and hardly anybody else.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a body may make no progress before it counts as stalled.
    pub stall_after: Duration,
    /// Time between two questions whether a device has consented (Advanced Data Protection).
    pub consent_poll: Duration,
    /// How long a device is waited for.
    pub consent_wait_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        // Long enough for a phone's hotspot in a tunnel, short against the hour of a URL.
        Self {
            stall_after: Duration::from_secs(30),
            // Both as another client has them, in use since 2026.
            consent_poll: Duration::from_secs(10),
            consent_wait_max: Duration::from_secs(5 * 60),
        }
    }
}

impl Options {
    /// The options for these endpoints: a stand-in on this machine needs no time to think.
    #[must_use]
    pub fn of(endpoints: &Endpoints) -> Self {
        let usual = Self::default();
        match endpoints.is_plain_loopback() {
            true => Self {
                consent_poll: Duration::from_millis(100),
                stall_after: Duration::from_secs(5),
                ..usual
            },
            false => usual,
        }
    }
}

/// Sign-ins that may be needed within an hour of one run. A protected account needs one; a
/// session that ends again and again would otherwise be renewed for every file.
const SIGN_INS_MAX: usize = 6;
/// See [`SIGN_INS_MAX`].
const SIGN_INS_WITHIN: Duration = Duration::from_secs(3600);

/// A signed-in account. Cheap to clone; all clones share one session.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    http: Arc<Http>,
    login: Login,
    downloads: Downloads,
    account: RwLock<Account>,
    /// Counts sign-ins. A request that is refused marks the sign-in it went out with.
    generation: AtomicU64,
    refused: AtomicU64,
    /// What listings ask for beside the usual.
    previews: AtomicBool,
    cameras: AtomicBool,
    /// One sign-in at a time.
    renewal: tokio::sync::Mutex<Renewal>,
}

#[derive(Default)]
struct Renewal {
    /// Why the last sign-in failed, if waiting cannot cure that.
    failed: Option<SignInError>,
    /// When the last ones were.
    recent: VecDeque<Instant>,
}

impl Renewal {
    /// Why there shall be no other sign-in, if so.
    fn refusal(&mut self) -> Option<SignInError> {
        self.recent.retain(|at| at.elapsed() < SIGN_INS_WITHIN);
        let times = self.recent.len();
        let too_many = (times >= SIGN_INS_MAX).then_some(SignInError::KeepsEnding { times });
        self.failed.clone().or(too_many)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes listings and look-ups ask for the smaller copies that the service makes, too.
    pub fn ask_for_previews(&self, previews: bool) {
        self.shared.previews.store(previews, Ordering::Relaxed);
    }

    /// Makes listings ask which camera took each photo, too: they are twice as long with it.
    pub fn ask_for_cameras(&self, cameras: bool) {
        self.shared.cameras.store(cameras, Ordering::Relaxed);
    }

    /// Signs in, by the saved session if it is still good.
    ///
    /// # Errors
    /// [`SignInError`]; what was learnt on the way is saved all the same.
    pub async fn sign_in(
        endpoints: Endpoints,
        credentials: Credentials,
        options: Options,
    ) -> Result<Self, SignInError> {
        let Credentials { username, store, person, deliberate } = credentials;
        let session = tokio::task::spawn_blocking(move || Session::open(&username, store)).await;
        let session = session.map_err(|panic| SignInError::store(std::io::Error::other(panic)))??;
        let http = Arc::new(Http::new(endpoints, Arc::new(session))?);
        let downloads = Downloads::new(&http, options.stall_after)?;
        let patience = Patience { poll: options.consent_poll, max: options.consent_wait_max };
        let login = Login::new(Arc::clone(&http), person, patience, deliberate);
        let account = RwLock::new(login.sign_in().await?);
        let shared = Shared {
            http,
            login,
            downloads,
            account,
            generation: AtomicU64::new(1),
            refused: AtomicU64::new(0),
            previews: AtomicBool::new(false),
            cameras: AtomicBool::new(false),
            renewal: tokio::sync::Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Signs in again after a request was refused for its session.
    ///
    /// Concurrent callers wait for one sign-in, and a caller whose refused request is older than
    /// the last sign-in returns at once. A failure that needs a person is remembered: it is
    /// not tried again, because a second wrong password locks the account.
    ///
    /// # Errors
    /// [`SignInError`], the same one for all who waited.
    pub async fn reauthenticate(&self) -> Result<(), SignInError> {
        let shared = &*self.shared;
        let mut renewal = shared.renewal.lock().await;
        if shared.refused.load(Ordering::Acquire) < self.generation() {
            return Ok(());
        }
        if let Some(error) = renewal.refusal() {
            return Err(error);
        }
        shared.http.reconnect()?;
        match shared.login.sign_in_again().await {
            Ok(account) => {
                *shared.account.write().unwrap_or_else(PoisonError::into_inner) = account;
                shared.generation.fetch_add(1, Ordering::AcqRel);
                renewal.recent.push_back(Instant::now());
                Ok(())
            }
            Err(error) => {
                renewal.failed = (!error.is_passing()).then(|| error.clone());
                Err(error)
            }
        }
    }

    /// Whether the session of a request, whose answer does not say, is still good.
    ///
    /// Asks Apple, once for all who wonder: the first who hears no marks the sign-in as refused.
    async fn is_session_good(&self, generation: u64) -> bool {
        let _one_at_a_time = self.shared.renewal.lock().await;
        let known = self.shared.refused.load(Ordering::Acquire) >= generation;
        if known || self.generation() > generation {
            return false;
        }
        // No answer is no proof, and the request has other ways to fail.
        let good = self.shared.login.is_good().await.unwrap_or(true);
        if !good {
            self.note_refused(generation);
        }
        good
    }

    /// How long the session is good for.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.shared.http.session().standing()
    }

    /// How many sign-ins there were, the first one counted.
    #[must_use]
    pub fn sign_ins(&self) -> u64 {
        self.generation()
    }

    /// Seconds by which the clock of this machine is ahead of Apple's, by the last answer.
    #[must_use]
    pub fn clock_ahead_s(&self) -> i64 {
        self.shared.http.clock().ahead_s()
    }

    /// Apple's number for the account.
    #[must_use]
    pub fn dsid(&self) -> String {
        self.account().dsid
    }

    fn account(&self) -> Account {
        self.shared.account.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which sign-in a request that leaves now goes out with.
    fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Notes that a request of that sign-in was refused.
    fn note_refused(&self, generation: u64) {
        self.shared.refused.fetch_max(generation, Ordering::AcqRel);
    }
}
