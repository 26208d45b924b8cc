//! No answer: why none came, and what could mend it.
//!
//! Read from the error itself, not from its text: a certificate is refused by the TLS library for
//! a reason that it names.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::CertificateError;

use crate::icloud::http;
use crate::icloud::wire;

/// What stood between us and an answer, in words without a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    said: String,
    cause: Cause,
}

/// Who or what could mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The network, or the other side.
    Network,
    /// The clock of this machine: a certificate was refused for its dates.
    Clock,
    /// The trust roots of this machine: a certificate was refused for its issuer, or there are no
    /// roots at all.
    TrustRoots,
}

impl NoAnswer {
    /// NoAnswer of the network, as we word it ourselves.
    #[must_use]
    pub fn network(said: impl Into<String>) -> Self {
        Self { said: said.into(), cause: Cause::Network }
    }

    /// Of a request that failed: down to the cause, and without the URL, which may be signed.
    pub(super) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut said = error.to_string();
        let mut cause = Cause::Network;
        let mut next: Option<&(dyn StdError + 'static)> = error.source();
        while let Some(error) = next {
            said = format!("{said}: {error}");
            cause = certificate(error).map_or(cause, blame);
            next = error.source();
        }
        // A client that finds no roots cannot even be built.
        if error.is_builder() && said.contains("No CA certificates") {
            cause = Cause::TrustRoots;
        }
        let said = wire::shortened(&said);
        match cause {
            Cause::Clock => {
                let said = format!("{said}; the clock of this machine says {}", http::date(http::now()));
                Self { said, cause }
            }
            _ => Self { said, cause },
        }
    }

    /// What could mend it.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Whether the same request may well succeed in a moment. A certificate does not change.
    pub(super) fn is_passing(&self) -> bool {
        self.cause == Cause::Network
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

/// The certificate that was refused, if that is what `error` is about. It comes wrapped in I/O
/// errors, whose own sources would skip it.
fn certificate<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a CertificateError> {
    let mut error = error;
    while let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = inner;
    }
    match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(refused) => Some(refused),
        _ => None,
    }
}

fn blame(refused: &CertificateError) -> Cause {
    match refused {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Cause::Clock,
        _ => Cause::TrustRoots,
    }
}
