//! Starts a sandbox, says where it listens in one line of JSON, and runs until it is killed.

use clap::Parser;
use rollbook_sandbox::{Certificate, ChecksumForm, Options, Protocol, Sandbox};
use std::io::Write;
use std::process::ExitCode;

/// A stand-in for the iCloud Photos services on a loopback port.
///
/// Prints one line of JSON with endpoint, username and password, then runs until it is killed.
/// Other processes drive it under /_sandbox/: GET truth, counters, log; POST faults, expire_urls, …
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Decides every name, date and byte.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Assets of the primary library.
    #[arg(long, default_value_t = 60)]
    assets: u32,
    /// Port on 127.0.0.1; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Speak TLS. The line of JSON then holds the certificate to trust.
    #[arg(long)]
    tls: bool,
    /// Account name.
    #[arg(long, default_value = "user@example.com")]
    username: String,
    /// Password of the account.
    #[arg(long, default_value = "correct horse 42")]
    password: String,
    /// Ask for a code unless the browser is trusted.
    #[arg(long)]
    two_factor: bool,
    /// Trusted phone numbers that can be sent a code.
    #[arg(long, default_value_t = 1)]
    phones: u32,
    /// Give photos out only with cookies that a device has consented to.
    #[arg(long)]
    advanced_data_protection: bool,
    /// How the password is prepared.
    #[arg(long, value_enum, default_value = "s2k")]
    protocol: Protocol,
    /// Salt of the sign-in proof, in hex.
    #[arg(long, default_value = "4142434445464748494a4b4c4d4e4f50", value_parser = parse_hex)]
    salt: Bytes,
    /// Rounds of key stretching.
    #[arg(long, default_value_t = 20_064)]
    iterations: u32,
    /// Life of a signed URL in seconds.
    #[arg(long, default_value_t = 3_600)]
    url_life_s: u64,
    /// Form of `fileChecksum`.
    #[arg(long, value_enum, default_value = "signature21")]
    checksum_form: ChecksumForm,
    /// Most assets on one page.
    #[arg(long, default_value_t = 100)]
    page_cap: u32,
    /// Empty pages before every page of changes/zone.
    #[arg(long, default_value_t = 1)]
    empty_change_pages: u32,
    /// Add a shared library.
    #[arg(long)]
    shared_zone: bool,
    /// Add one asset for every oddity a record can have.
    #[arg(long)]
    odd_records: bool,
    /// Add one video of so many MiB.
    #[arg(long)]
    large_video_mb: Option<u32>,
    /// Mean size of an original in bytes.
    #[arg(long)]
    mean_size_bytes: Option<u64>,
    /// Milliseconds every request waits.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Bytes per second of each content response.
    #[arg(long)]
    bandwidth: Option<u64>,
    /// Give content a strong ETag.
    #[arg(long)]
    etag: bool,
}

/// Bytes given in hex.
#[derive(Clone, Debug)]
struct Bytes(Vec<u8>);

fn parse_hex(text: &str) -> Result<Bytes, String> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            Ok(Bytes(digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()))
        }
        _ => Err("an even number of hex digits is needed".into()),
    }
}

impl From<Arguments> for Options {
    fn from(arguments: Arguments) -> Self {
        Self {
            seed: arguments.seed,
            assets: arguments.assets,
            port: arguments.port,
            tls: arguments.tls.then_some(Certificate::Good),
            username: arguments.username,
            password: arguments.password,
            two_factor: arguments.two_factor,
            phones: arguments.phones,
            advanced_data_protection: arguments.advanced_data_protection,
            protocol: arguments.protocol,
            salt: arguments.salt.0,
            iterations: arguments.iterations,
            url_life_s: arguments.url_life_s,
            checksum_form: arguments.checksum_form,
            page_cap: arguments.page_cap,
            empty_change_pages: arguments.empty_change_pages,
            shared_zone: arguments.shared_zone,
            odd_records: arguments.odd_records,
            large_video_mb: arguments.large_video_mb,
            mean_size_bytes: arguments.mean_size_bytes,
            latency_ms: arguments.latency_ms,
            bandwidth: arguments.bandwidth,
            etag: arguments.etag,
            ..Self::default()
        }
    }
}

fn main() -> ExitCode {
    let sandbox = Sandbox::start(Arguments::parse().into());
    let line = serde_json::json!({
        "endpoint": sandbox.endpoint(),
        "username": sandbox.username(),
        "password": sandbox.password(),
        "authority_pem": sandbox.authority_pem(),
    });
    let mut out = std::io::stdout();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        std::thread::park();
    }
}
