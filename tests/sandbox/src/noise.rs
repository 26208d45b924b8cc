//! Seeded numbers: the same seed gives the same library, on every machine and in every run.
//!
//! [`mix`] is SplitMix64's finaliser. Because it maps a position straight to a number, any part of
//! a file can be made without making what lies before it.

/// Scrambles a number; distinct inputs give distinct outputs.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One number out of a seed and what it is for.
pub(crate) fn derive(seed: u64, parts: &[u64]) -> u64 {
    parts.iter().fold(mix(seed), |state, part| mix(state ^ mix(*part)))
}

/// A number in `0..below` out of a seed and what it is for. `below` must not be zero.
pub(crate) fn pick(seed: u64, parts: &[u64], below: u64) -> u64 {
    derive(seed, parts) % below
}

/// Fills `out` with the noise stream of `seed` from byte `offset` on.
pub(crate) fn fill(seed: u64, offset: u64, out: &mut [u8]) {
    let mut block = offset / 8;
    let skip = usize::try_from(offset % 8).unwrap_or(0);
    let lead = if skip == 0 { 0 } else { out.len().min(8 - skip) };
    let (first, rest) = out.split_at_mut(lead);
    if lead > 0 {
        first.copy_from_slice(&word(seed, block)[skip..skip + lead]);
        block += 1;
    }
    // Whole words, one after the other: a content server must not be what a benchmark measures.
    let mut words = rest.chunks_exact_mut(8);
    for place in &mut words {
        place.copy_from_slice(&word(seed, block));
        block += 1;
    }
    let last = words.into_remainder();
    last.copy_from_slice(&word(seed, block)[..last.len()]);
}

fn word(seed: u64, block: u64) -> [u8; 8] {
    mix(seed ^ mix(block)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_noise_equals_the_same_part_of_the_whole() {
        let mut whole = [0; 100];
        fill(7, 0, &mut whole);
        for start in 0..20 {
            let mut part = [0; 33];
            fill(7, start as u64, &mut part);
            assert_eq!(part, whole[start..start + 33]);
        }
    }
}
