//! A client as small as can be: HTTP over a plain socket, and the client's half of the proof.
//!
//! It shares no code with the sandbox, so that the two can disagree.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use num_bigint::BigUint;
use rollbook_sandbox::Sandbox;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// A browser: cookies, and the headers of a sign-in under way.
#[derive(Debug)]
pub struct Client {
    pub endpoint: String,
    pub cookies: BTreeMap<String, String>,
    auth: BTreeMap<&'static str, String>,
    pub session_token: String,
    pub trust_token: String,
    pub cloudkit: String,
    username: String,
}

impl Client {
    pub fn new(sandbox: &Sandbox) -> Self {
        Self {
            endpoint: sandbox.endpoint(),
            cookies: BTreeMap::new(),
            auth: BTreeMap::new(),
            session_token: String::new(),
            trust_token: String::new(),
            cloudkit: String::new(),
            username: sandbox.username().into(),
        }
    }

    /// A client that has signed in.
    pub fn signed_in(sandbox: &Sandbox) -> Self {
        let mut client = Self::new(sandbox);
        assert_eq!(client.prove(sandbox.password()).status, 200);
        assert_eq!(client.account_login().status, 200);
        client
    }

    pub fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Answer> {
        let rest = url.strip_prefix("http://").expect("a plain address");
        let (host, path) = rest.split_once('/').expect("an address with a path");
        let path = path.replace('{', "%7B").replace('}', "%7D");
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut head = format!(
            "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        if !cookies.is_empty() {
            head += &format!("cookie: {}\r\n", cookies.join("; "));
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        let mut stream = TcpStream::connect(host)?;
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        stream.write_all(body)?;
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw)?;
        let answer = parse(&raw).ok_or(std::io::ErrorKind::ConnectionReset)?;
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            self.cookies.extend(pair.map(|(name, value)| (name.into(), value.into())));
        }
        Ok(answer)
    }

    /// A call to the identity service, with the headers that belong to it.
    pub fn auth(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        let url = format!("{}/appleauth/auth{path}", self.endpoint);
        let held = self.auth.clone();
        let headers: Vec<(&str, &str)> = held.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(method, &url, &headers, body.as_bytes()).expect("an answer");
        for name in ["scnt", "x-apple-id-session-id"] {
            self.auth.extend(answer.header(name).map(|value| (name, value.to_owned())));
        }
        let keep = |held: &mut String, name: &str| {
            if let Some(value) = answer.header(name) {
                *held = value.to_owned();
            }
        };
        keep(&mut self.session_token, "x-apple-session-token");
        keep(&mut self.trust_token, "x-apple-twosv-trust-token");
        answer
    }

    /// `signin/init` and `signin/complete`; returns the answer to the latter.
    pub fn prove(&mut self, password: &str) -> Answer {
        let a = BigUint::from_bytes_be(&[0x5a; 32]);
        let a_public = BigUint::from(2u8).modpow(&a, &prime());
        let body = json!({"a": STANDARD.encode(a_public.to_bytes_be()), "accountName": self.username, "protocols": ["s2k", "s2k_fo"]});
        let init = self.auth("POST", "/signin/init", &body);
        assert_eq!(init.status, 200);
        let challenge = init.json();
        let (m1, m2) = proofs(&challenge, &self.username, password, &a);
        let tokens: Vec<&str> =
            Some(self.trust_token.as_str()).filter(|token| !token.is_empty()).into_iter().collect();
        let body = json!({"accountName": self.username, "c": challenge["c"], "m1": m1, "m2": m2, "rememberMe": true, "trustTokens": tokens});
        self.auth("POST", "/signin/complete?isRememberMeEnabled=true", &body)
    }

    pub fn account_login(&mut self) -> Answer {
        let url = format!("{}/setup/ws/1/accountLogin", self.endpoint);
        let body = json!({"accountCountryCode": "USA", "dsWebAuthToken": self.session_token, "extended_login": true, "trustToken": self.trust_token});
        let answer = self.send("POST", &url, &[], body.to_string().as_bytes()).expect("an answer");
        if let Some(url) = serde_json::from_slice::<Value>(&answer.body)
            .ok()
            .and_then(|body| body["webservices"]["ckdatabasews"]["url"].as_str().map(str::to_owned))
        {
            self.cloudkit = url;
        }
        answer
    }

    /// A CloudKit call to the private database.
    pub fn ck(&mut self, path: &str, body: &Value) -> Answer {
        let url = format!(
            "{}/database/1/com.apple.photos.cloud/production/private/{path}?remapEnums=true&getCurrentSyncToken=true",
            self.cloudkit
        );
        self.send("POST", &url, &[("content-type", "text/plain")], body.to_string().as_bytes())
            .expect("an answer")
    }

    /// One page of a listing.
    pub fn page(&mut self, index: &str, start: u64) -> Value {
        let filter = |name: &str, kind: &str, value: Value| json!({"fieldName": name, "fieldValue": {"type": kind, "value": value}, "comparator": "EQUALS"});
        let filters =
            [filter("startRank", "INT64", start.into()), filter("direction", "STRING", "ASCENDING".into())];
        let body = json!({"query": {"recordType": index, "filterBy": filters}, "resultsLimit": 200, "zoneID": {"zoneName": "PrimarySync"}});
        let answer = self.ck("records/query", &body);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// All records of the whole-library index.
    pub fn list(&mut self) -> Vec<Value> {
        let (mut records, mut start) = (Vec::new(), 0);
        loop {
            let page = self.page("CPLAssetAndMasterByAssetDateWithoutHiddenOrDeleted", start);
            let page = page["records"].as_array().expect("records").clone();
            if page.is_empty() {
                return records;
            }
            start += page.iter().filter(|record| record["recordType"] == "CPLAsset").count() as u64;
            records.extend(page);
        }
    }
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&raw[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Some(Answer { status, headers: headers.collect(), body: raw[end + 4..].to_vec() })
}

/// The client's half of the proof.
fn proofs(challenge: &Value, account: &str, password: &str, a: &BigUint) -> (String, String) {
    let bytes = |name: &str| STANDARD.decode(challenge[name].as_str().expect("text")).expect("base64");
    let (salt, b_public) = (bytes("salt"), BigUint::from_bytes_be(&bytes("b")));
    let (n, g) = (prime(), BigUint::from(2u8));
    let digest = Sha256::digest(password);
    let prepared = match challenge["protocol"].as_str() {
        Some("s2k_fo") => digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes(),
        _ => digest.to_vec(),
    };
    let mut key = [0u8; 32];
    let mac = Hmac::<Sha256>::new_from_slice(&prepared).expect("any length");
    let mut link = mac.clone().chain_update(&salt).chain_update([0, 0, 0, 1]).finalize().into_bytes();
    for _ in 0..challenge["iteration"].as_u64().expect("a number") {
        key.iter_mut().zip(&link).for_each(|(sum, byte)| *sum ^= byte);
        link = mac.clone().chain_update(link).finalize().into_bytes();
    }
    let hash = |parts: &[&[u8]]| Sha256::digest(parts.concat());
    let x = BigUint::from_bytes_be(&hash(&[&salt, &hash(&[b":", &key])]));
    let a_public = g.modpow(a, &n);
    let k = BigUint::from_bytes_be(&hash(&[&n.to_bytes_be(), &pad(&g)]));
    let u = BigUint::from_bytes_be(&hash(&[&pad(&a_public), &pad(&b_public)]));
    let base = (&b_public + &n - (k * g.modpow(&x, &n)) % &n) % &n;
    let shared = hash(&[&base.modpow(&(a + u * x), &n).to_bytes_be()]);
    let group: Vec<u8> =
        hash(&[&n.to_bytes_be()]).iter().zip(hash(&[&pad(&g)])).map(|(n, g)| n ^ g).collect();
    let (a_bytes, b_bytes) = (a_public.to_bytes_be(), b_public.to_bytes_be());
    let m1 = hash(&[&group, &hash(&[account.as_bytes()]), &salt, &a_bytes, &b_bytes, &shared]);
    let m2 = hash(&[&a_bytes, &m1, &shared]);
    (STANDARD.encode(m1), STANDARD.encode(m2))
}

fn pad(number: &BigUint) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [vec![0; 256 - bytes.len()], bytes].concat()
}

fn prime() -> BigUint {
    let hex = "AC6BDB41324A9A9BF166DE5E1389582FAF72B6651987EE07FC3192943DB56050A37329CBB4A099ED8193E0757767A13D\
               D52312AB4B03310DCD7F48A9DA04FD50E8083969EDB767B0CF6095179A163AB3661A05FBD5FAAAE82918A9962F0B93B8\
               55F97993EC975EEAA80D740ADBF4FF747359D041D5C33EA71D281E446B14773BCA97B43A23FB801676BD207A436C6481\
               F1D2B9078717461A5B9D32E688F87748544523B524B0D57D5EA77A2775D2ECFA032CFBDBF52FB3786160279004E57AE6\
               AF874E7303CE53299CCC041C7BC308D82A5698F3A8D0C38271AE35F8E9DBFBB694B5C803D89F7AE435DE236D525F5475\
               9B65E372FCD68EF20FA7111F9E4AFF73";
    BigUint::parse_bytes(hex.as_bytes(), 16).expect("hex digits")
}
