//! What all connections share.

use crate::account::Account;
use crate::auth::Identity;
use crate::counters::Books;
use crate::fault::FaultTable;
use crate::http::Call;
use crate::library::{Library, Press};
use crate::options::Options;
use crate::sign::Signer;
use crate::url::UrlMaker;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// A running sandbox, seen from inside.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) port: u16,
    pub(crate) signer: Signer,
    pub(crate) identity: Identity,
    pub(crate) account: Account,
    pub(crate) books: Books,
    pub(crate) faults: FaultTable,
    /// Addresses of an older generation have expired.
    pub(crate) url_generation: AtomicU32,
    library: RwLock<Library>,
}

impl State {
    pub(crate) fn new(options: Options, port: u16) -> Self {
        Self {
            signer: Signer::new(options.seed),
            identity: Identity::default(),
            account: Account::new(options.obstacle),
            books: Books::default(),
            faults: FaultTable::default(),
            url_generation: AtomicU32::new(0),
            library: RwLock::new(Library::new(&options)),
            options,
            port,
        }
    }

    pub(crate) fn library(&self) -> RwLockReadGuard<'_, Library> {
        self.library.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the library; views are made anew when next asked for.
    pub(crate) fn change_library<T>(&self, change: impl FnOnce(&mut Library) -> T) -> T {
        let mut library = self.library.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut library);
        library.forget_views();
        result
    }

    /// Lets every address of content issued until now expire.
    pub(crate) fn expire_urls(&self) {
        self.url_generation.fetch_add(1, Ordering::Relaxed);
    }

    /// What records are made with; addresses in them begin with `content_base`.
    pub(crate) fn press<'a>(&'a self, library: &'a Library, content_base: &'a str) -> Press<'a> {
        let urls = UrlMaker {
            signer: &self.signer,
            base: content_base,
            expires_s: self.now_s() + self.options.url_life_s,
            generation: self.url_generation.load(Ordering::Relaxed),
        };
        Press { options: &self.options, checksums: &library.checksums, urls }
    }

    /// Unix time in seconds, by the services' clock.
    pub(crate) fn now_s(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        now.saturating_add_signed(self.options.clock_ahead_s)
    }

    /// The address of the sandbox itself.
    pub(crate) fn base(&self) -> String {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Which hosts the client believes to talk to.
    pub(crate) fn facade(&self, call: &Call) -> Facade {
        let host = call.header("host").unwrap_or_default();
        match host
            .split(':')
            .next()
            .filter(|host| host.ends_with(".icloud.com") || host.ends_with(".icloud-content.com"))
        {
            Some(_) => Facade {
                cloudkit: "https://p61-ckdatabasews.icloud.com:443".into(),
                content: "https://cvws.icloud-content.com".into(),
                cookie_domain: Some(".icloud.com"),
            },
            None => {
                let base = self.base();
                Facade { cloudkit: base.clone(), content: base, cookie_domain: None }
            }
        }
    }
}

/// The hosts that answers name.
///
/// A client that reached the sandbox by its own address is sent on to that address. One that came
/// through a proxy, believing to talk to the real hosts, is told the real hosts' names.
#[derive(Clone, Debug)]
pub(crate) struct Facade {
    pub(crate) cloudkit: String,
    pub(crate) content: String,
    pub(crate) cookie_domain: Option<&'static str>,
}
