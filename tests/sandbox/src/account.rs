//! The account as Apple sees it: what stands between its owner and the photos, and whether a
//! device has consented to web access.
//!
//! Everything here may change while the sandbox runs, as it does out there when the owner does
//! what a message told them.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// What stands between the owner and the photos. In JSON: `"security_key"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// Nothing.
    #[default]
    None,
    /// The account is locked: 403 with -20209 at `signin/complete`.
    Locked,
    /// The second factor is a hardware key: 409 with `fsaChallenge` and `keyNames`.
    SecurityKey,
    /// New terms wait: `termsUpdateNeeded` in the account data.
    Terms,
    /// A notice waits that `repair/complete` puts away: 412 at `signin/complete`.
    Repair,
    /// A notice waits that only the web can put away: 412, and `repair/complete` is refused.
    RepairOnWeb,
    /// "Access iCloud Data on the Web" is off: `isWebAccessAllowed` is false, and the database
    /// answers `ACCESS_DENIED`.
    WebAccessOff,
    /// The account lives in mainland China: `domainToUse` in the account data.
    OtherRegion,
}

/// The consent of a device, where Advanced Data Protection asks for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Consent {
    #[default]
    NotAsked,
    Asked,
    Given,
}

/// How the account stands now.
#[derive(Debug, Default)]
pub(crate) struct Account {
    obstacle: Mutex<Obstacle>,
    consent: Mutex<Consent>,
    /// Protected cookies of an older generation have lapsed.
    consent_generation: AtomicU32,
}

impl Account {
    pub(crate) fn new(obstacle: Obstacle) -> Self {
        Self { obstacle: Mutex::new(obstacle), ..Self::default() }
    }

    pub(crate) fn obstacle(&self) -> Obstacle {
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_obstacle(&self, obstacle: Obstacle) {
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = obstacle;
    }

    /// Shows the question on the devices, unless one of them has said yes.
    pub(crate) fn ask_consent(&self) {
        let mut consent = self.consent();
        if *consent == Consent::NotAsked {
            *consent = Consent::Asked;
        }
    }

    /// The owner says yes on a device. `false`: nobody had asked.
    pub(crate) fn approve(&self) -> bool {
        let mut consent = self.consent();
        let is_asked = *consent != Consent::NotAsked;
        if is_asked {
            *consent = Consent::Given;
        }
        is_asked
    }

    /// The consent ends, and the cookies that it let out with it.
    pub(crate) fn lapse(&self) {
        *self.consent() = Consent::NotAsked;
        self.lapse_cookies();
    }

    /// The cookies end; the consent stands.
    pub(crate) fn lapse_cookies(&self) {
        self.consent_generation.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_consented(&self) -> bool {
        *self.consent() == Consent::Given
    }

    /// What cookies for protected data are made of.
    pub(crate) fn consent_generation(&self) -> [u8; 4] {
        self.consent_generation.load(Ordering::Relaxed).to_be_bytes()
    }

    fn consent(&self) -> std::sync::MutexGuard<'_, Consent> {
        self.consent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
