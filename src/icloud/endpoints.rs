//! Where the services live, and whom we talk to at all.
//!
//! Without an explicit endpoint: https only, and only Apple's hosts. Every URL passes
//! [`Endpoints::permit`] before its request leaves, whether it comes from here, from an answer
//! or from a redirect: cookies and tokens go nowhere else.

use reqwest::Url;

use crate::icloud::error::Forbidden;

/// The domains whose hosts are Apple's. A host belongs to one if it is it, or ends in `.` and it.
const APPLE: [&str; 8] = [
    "apple.com",
    "icloud.com",
    "icloud-content.com",
    "cdn-apple.com",
    "apple.com.cn",
    "icloud.com.cn",
    "icloud-content.com.cn",
    "cdn-apple.com.cn",
];

/// Which of Apple's two separate worlds the account lives in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Region {
    /// Everywhere but mainland China.
    #[default]
    Com,
    /// Mainland China.
    Cn,
}

/// The roots of the services, and the rule for every other URL.
#[derive(Clone, Debug)]
pub struct Endpoints {
    auth: Url,
    setup: Url,
    home: Url,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    /// https, and Apple's hosts.
    Apple,
    /// Any port of the loopback interface, http or https; nothing else.
    Loopback,
    /// https, and this host.
    Host(String),
}

impl Endpoints {
    /// Apple's own services.
    #[must_use]
    pub fn of(region: Region) -> Self {
        let (identity, icloud) = match region {
            Region::Com => ("apple.com", "icloud.com"),
            Region::Cn => ("apple.com.cn", "icloud.com.cn"),
        };
        let url = |text: String| Url::parse(&text).expect("the built-in roots are URLs");
        Self {
            auth: url(format!("https://idmsa.{identity}/appleauth/auth")),
            setup: url(format!("https://setup.{icloud}/setup/ws/1")),
            home: url(format!("https://www.{icloud}")),
            rule: Rule::Apple,
        }
    }

    /// One base under which `/appleauth/auth/…` and `/setup/ws/1/…` live: a sandbox.
    ///
    /// Nothing but that host is talked to afterwards, Apple included.
    /// # Errors
    /// [`Forbidden`] unless `base` is a URL of https, or of http on the loopback interface.
    pub fn at(base: &str) -> Result<Self, Forbidden> {
        let forbidden = |reason| Forbidden { host: base.to_owned(), reason };
        let home = Url::parse(base.trim_end_matches('/')).map_err(|_| forbidden("not a URL"))?;
        let host = home.host_str().ok_or_else(|| forbidden("a URL without a host"))?;
        let rule = match (home.scheme(), is_loopback(&home)) {
            ("http" | "https", true) => Rule::Loopback,
            ("https", false) => Rule::Host(host.to_owned()),
            _ => return Err(forbidden("plain http leaves this machine")),
        };
        let below = |path: &str| {
            let text = format!("{}{path}", home.as_str().trim_end_matches('/'));
            Url::parse(&text).map_err(|_| forbidden("not a URL"))
        };
        Ok(Self { auth: below("/appleauth/auth")?, setup: below("/setup/ws/1")?, home, rule })
    }

    /// Reads a URL and lets it pass only if we may talk to its host.
    /// # Errors
    /// [`Forbidden`], naming the host.
    pub fn permit(&self, url: &str) -> Result<Url, Forbidden> {
        let url = Url::parse(url).map_err(|_| Forbidden { host: "?".to_owned(), reason: "not a URL" })?;
        self.check(&url)?;
        Ok(url)
    }

    /// Whether we may talk to the host of `url`.
    pub(super) fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let host = url.host_str().unwrap_or("?");
        let forbidden = |reason| Err(Forbidden { host: host.to_owned(), reason });
        match &self.rule {
            Rule::Apple | Rule::Host(_) if url.scheme() != "https" => forbidden("not https"),
            Rule::Apple if !is_apple(host) => forbidden("not one of Apple's hosts"),
            Rule::Host(only) if host != only => forbidden("not the endpoint that was given"),
            Rule::Loopback if !matches!(url.scheme(), "http" | "https") => forbidden("not http"),
            Rule::Loopback if !is_loopback(url) => forbidden("not on this machine"),
            _ => Ok(()),
        }
    }

    /// Whether every request stays on this machine, so that no trust roots are needed.
    pub(super) fn is_plain_loopback(&self) -> bool {
        matches!(self.rule, Rule::Loopback) && self.home.scheme() == "http"
    }

    /// An endpoint of the identity service.
    pub(super) fn auth(&self, path: &str) -> Url {
        below(&self.auth, path)
    }

    /// An endpoint of the account set-up service.
    pub(super) fn setup(&self, path: &str) -> Url {
        below(&self.setup, path)
    }

    /// The origin that the identity service expects to be called from: itself.
    pub(super) fn auth_origin(&self) -> String {
        self.auth.origin().ascii_serialization()
    }

    /// The origin that all other services expect: the web home.
    pub(super) fn home_origin(&self) -> String {
        self.home.origin().ascii_serialization()
    }

    /// Whether `domain`, as Apple names it (`iCloud.com.cn`), is the region in use.
    pub(super) fn is_home_of(&self, domain: &str) -> bool {
        let host = self.home.host_str().unwrap_or_default();
        is_within(host, &domain.to_ascii_lowercase())
    }
}

/// Appends `path` (which may carry a query, or be empty) to a root.
pub(super) fn below(root: &Url, path: &str) -> Url {
    let mut url = root.clone();
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let path = format!("{}/{path}", root.path().trim_end_matches('/'));
    url.set_path(path.trim_end_matches('/'));
    url.set_query(query);
    url
}

fn is_apple(host: &str) -> bool {
    APPLE.iter().any(|domain| is_within(host, domain))
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_apples_hosts_over_https_without_an_endpoint() {
        let apple = Endpoints::of(Region::Com);
        for good in ["https://p61-ckdatabasews.icloud.com:443", "https://cvws.icloud-content.com.cn/B/x"] {
            assert!(apple.permit(good).is_ok(), "{good}");
        }
        for bad in [
            "http://cvws.icloud-content.com/B/x",
            "https://cvws.icloud-content.com.evil.example/B/x",
            "https://evilicloud.com/",
            "https://user@evil.example/icloud.com",
            "https://127.0.0.1/",
            "file:///etc/passwd",
            "nonsense",
        ] {
            assert!(apple.permit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_explicit_endpoint_is_talked_to_alone() {
        let sandbox = Endpoints::at("http://127.0.0.1:8080/").expect("loopback is allowed");
        assert_eq!(sandbox.auth("signin/init").as_str(), "http://127.0.0.1:8080/appleauth/auth/signin/init");
        assert!(sandbox.permit("http://localhost:9/x").is_ok());
        assert!(sandbox.permit("http://[::1]:9/x").is_ok());
        assert!(sandbox.permit("https://www.icloud.com").is_err());
        let far = Endpoints::at("https://lab.example").expect("https is allowed");
        assert!(far.permit("https://lab.example/x").is_ok());
        assert!(far.permit("https://www.icloud.com").is_err());
        assert!(Endpoints::at("http://lab.example").is_err());
    }
}
