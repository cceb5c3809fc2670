//! Protobuf on the wire: as much of it as spans need, written front to back into one buffer.
//!
//! A message's length stands before it. [`message`] therefore leaves one byte for it and moves the message up where the
//! length needs more, which only messages over 127 bytes do.

const LENGTH_DELIMITED: u64 = 2;
const FIXED64: u64 = 1;
const FIXED32: u64 = 5;

/// Appends `number` in seven-bit groups, the lowest first.
#[inline]
pub(crate) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes [`varint`] appends.
#[inline]
pub(crate) fn varint_len(number: u64) -> usize {
    ((64 - (number | 1).leading_zeros()) as usize).div_ceil(7)
}

/// Appends a whole number.
#[inline]
pub(crate) fn uint(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3);
    varint(out, number);
}

/// Appends a number of eight bytes.
#[inline]
pub(crate) fn fixed64(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3 | FIXED64);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends a number of four bytes.
#[inline]
pub(crate) fn fixed32(out: &mut Vec<u8>, field: u64, number: u32) {
    varint(out, field << 3 | FIXED32);
    out.extend_from_slice(&number.to_le_bytes());
}

/// The one byte that precedes the length of a field below 16.
#[inline]
pub(crate) const fn tag(field: u64) -> u8 {
    (field << 3 | LENGTH_DELIMITED) as u8
}

/// Appends bytes, or text as its UTF-8.
#[inline]
pub(crate) fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    header(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// How many bytes [`bytes`] appends, for a field below 16.
#[inline]
pub(crate) fn bytes_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

/// Appends what precedes a field of this length.
#[inline]
pub(crate) fn header(out: &mut Vec<u8>, field: u64, length: usize) {
    varint(out, field << 3 | LENGTH_DELIMITED);
    varint(out, length as u64);
}

/// Appends the message that `write` appends the fields of.
pub(crate) fn message(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    varint(out, field << 3 | LENGTH_DELIMITED);
    let length_at = out.len();
    out.push(0);
    let start = out.len();
    write(out);
    let length = out.len() - start;
    let more = varint_len(length as u64) - 1;
    if more > 0 {
        out.resize(out.len() + more, 0);
        out.copy_within(start..start + length, start + more);
    }
    let mut rest = length as u64;
    for byte in &mut out[length_at..length_at + more] {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[length_at + more] = rest as u8;
}

/// The text's beginning, of at most `max_bytes`, cut between two characters.
pub(crate) fn cut_to_bytes(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The text's first `max_chars` characters.
pub(crate) fn cut_to_chars(text: &str, max_chars: usize) -> &str {
    if text.len() <= max_chars {
        return text;
    }
    text.char_indices().nth(max_chars).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_length_has_its_length_before_it() {
        for length in [0, 1, 127, 128, 129, 16_383, 16_384, 3_000_000] {
            let content: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let (mut moved, mut known) = (vec![7], vec![7]);
            message(&mut moved, 3, |out| out.extend_from_slice(&content));
            bytes(&mut known, 3, &content);
            assert!(moved == known, "{length}");
            assert_eq!(moved.len(), 1 + bytes_len(length), "{length}");
        }
    }

    #[test]
    fn a_text_is_cut_between_two_characters() {
        assert_eq!(cut_to_bytes("añb", 2), "a");
        assert_eq!(cut_to_bytes("añb", 3), "añ");
        assert_eq!(cut_to_bytes("añb", 9), "añb");
        assert_eq!(cut_to_chars("añb", 2), "añ");
        assert_eq!(cut_to_chars("añb", 3), "añb");
        assert_eq!(cut_to_chars("añb", 0), "");
    }

    #[test]
    fn numbers_in_groups_of_seven_bits() {
        for (number, expected) in [
            (0, &[0_u8][..]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ] {
            let mut out = Vec::new();
            varint(&mut out, number);
            assert_eq!(out, expected);
            assert_eq!(varint_len(number), expected.len());
        }
    }
}
