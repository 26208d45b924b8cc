//! Words as people type them, and what they mean. An error says what it should be.

use std::num::{NonZeroU64, NonZeroUsize};

use tracing::level_filters::LevelFilter;

use crate::cli::settings;
use crate::engine::{Bandwidth, Threads};
use crate::model::views::LinkKind;

/// How albums are kept as folders.
pub(super) fn album_views(typed: &str) -> Result<Option<LinkKind>, String> {
    match (typed, LinkKind::parse(typed)) {
        ("none", _) => Ok(None),
        (_, Some(kind)) => Ok(Some(kind)),
        _ => Err(format!("it is none, hardlink, reflink or symlink, not \"{typed}\"")),
    }
}

/// Whether there are to be sidecars.
pub(super) fn sidecars(typed: &str) -> Result<bool, String> {
    match typed {
        "xmp" => Ok(true),
        "none" => Ok(false),
        _ => Err(format!("it is xmp or none, not \"{typed}\"")),
    }
}

/// A number of bytes as people write it: `500MB`, `1.5 GB`, `0`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 6] =
        [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3), ("B", 1.0), ("", 1.0)];
    let upper = text.trim().to_ascii_uppercase();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(unit, bytes)| Some((upper.strip_suffix(unit)?, bytes)))
        .unwrap_or((&upper, &1.0));
    match number.trim_end().parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok((number * unit) as u64),
        _ => Err(format!("it is a size such as 500MB, 2GB or 0, not {text:?}")),
    }
}

pub(super) fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("it is a whole number, not {text:?}"))
}

pub(super) fn threads(text: &str) -> Result<Threads, String> {
    let ceiling = NonZeroUsize::new(settings::THREADS_MAX).expect("the most is more than none");
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Threads::Auto { ceiling });
    }
    let number = text.parse().ok().filter(|number| *number <= ceiling);
    let number = number.ok_or_else(|| format!("it is auto or a number from 1 to {ceiling}, not {text:?}"))?;
    Ok(Threads::Fixed(number))
}

/// Reads a rate: a size, and `/s` behind it is understood.
pub(super) fn bandwidth(text: &str) -> Result<Bandwidth, String> {
    let bytes = size(text.trim().trim_end_matches("/s"))?;
    let limit = NonZeroU64::new(bytes).filter(|bytes| bytes.get() >= BANDWIDTH_MIN);
    limit.map(Bandwidth::new).ok_or_else(|| format!("it is at least 10KB, not {text:?}"))
}

/// At less than this a photo takes longer than its address lives.
const BANDWIDTH_MIN: u64 = 10_000;

/// Reads a switch.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("it is true or false, not {text:?}")),
    }
}

pub(super) fn level(text: &str) -> Result<LevelFilter, String> {
    match text {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        other => Err(format!("it is error, warn, info or debug, not {other:?}")),
    }
}

/// The name of an account as Apple's sign-in takes it: two other clients of its SRP found that capitals are
/// refused as a wrong password (Dadoum/Sideloader issue 6, Matchstic/ReProvision issue 111). It is also one
/// account, and one journal's, however it is typed.
pub(super) fn apple_name(typed: &str) -> String {
    typed.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_size_and_not_a_trickle() {
        let limit = |text: &str| bandwidth(text).map(|limit| limit.bytes_per_s());
        for (text, bytes) in [("5MB", 5_000_000), ("1.5 mb/s", 1_500_000), ("10000", 10_000)] {
            assert_eq!(limit(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "MB", "0", "5", "-5MB", "5 MB a day", "nan MB"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
