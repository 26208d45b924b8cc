//! Boxes of the ISO base media file format, which MOV, MP4 and HEIC are made of.

/// One box: length, four-letter name, payload.
pub(super) fn boxed(name: &[u8; 4], payload: &[&[u8]]) -> Vec<u8> {
    let len = 8 + payload.iter().map(|part| part.len()).sum::<usize>();
    let mut out = u32::try_from(len).expect("a box of ours is small").to_be_bytes().to_vec();
    out.extend(name);
    payload.iter().for_each(|part| out.extend(*part));
    out
}

/// The head of a box whose payload follows elsewhere; 16 bytes, so that a large one fits too.
pub(super) fn long_head(name: &[u8; 4], payload_len: u64) -> Vec<u8> {
    [&1u32.to_be_bytes()[..], name, &(payload_len + 16).to_be_bytes()].concat()
}

/// Bytes of [`long_head`].
pub(super) const LONG_HEAD_LEN: u64 = 16;
