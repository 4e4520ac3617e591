//! Paths of half bytes, and the packed form in which nodes hold them.
//!
//! Packed: the first byte holds 0x20 for a leaf, 0x10 plus the first half byte
//! when their number is odd; the rest follow two a byte.

use std::cmp::Ordering;

const ODD: u8 = 0x10;
const LEAF: u8 = 0x20;

/// A view of consecutive half bytes inside a byte string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nibbles<'a> {
    bytes: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Nibbles<'a> {
    pub fn of_key(bytes: &'a [u8]) -> Self {
        Self { bytes, start: 0, end: bytes.len() * 2 }
    }

    pub fn of_packed(packed: &'a [u8]) -> Self {
        let start = if packed[0] & ODD != 0 { 1 } else { 2 };
        Self { bytes: packed, start, end: packed.len() * 2 }
    }

    /// A path of one half byte; `byte` holds it in its low half.
    pub fn single(byte: &'a [u8; 1]) -> Self {
        Self { bytes: byte, start: 1, end: 2 }
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub fn at(&self, index: usize) -> u8 {
        let position = self.start + index;
        let byte = self.bytes[position / 2];
        if position.is_multiple_of(2) {
            byte >> 4
        } else {
            byte & 0x0f
        }
    }

    pub fn skip(&self, count: usize) -> Self {
        debug_assert!(count <= self.len());
        Self { start: self.start + count, ..*self }
    }

    pub fn first(&self, count: usize) -> Self {
        debug_assert!(count <= self.len());
        Self { end: self.start + count, ..*self }
    }

    pub fn common_prefix(&self, other: &Self) -> usize {
        let limit = self.len().min(other.len());
        let mut index = 0;
        if self.start % 2 == other.start % 2 {
            // Same phase: whole bytes can be compared.
            if self.start % 2 == 1 && limit > 0 {
                if self.at(0) != other.at(0) {
                    return 0;
                }
                index = 1;
            }
            let (mine, theirs) = ((self.start + index) / 2, (other.start + index) / 2);
            let bytes = (limit - index) / 2;
            let equal = self.bytes[mine..mine + bytes]
                .iter()
                .zip(&other.bytes[theirs..theirs + bytes])
                .take_while(|(left, right)| left == right)
                .count();
            index += equal * 2;
        }
        while index < limit && self.at(index) == other.at(index) {
            index += 1;
        }
        index
    }

    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.common_prefix(prefix) == prefix.len()
    }

    /// How the part as long as `path` compares with it; a shorter one that agrees is less.
    pub fn first_cmp(&self, path: &Self) -> Ordering {
        self.first(self.len().min(path.len())).cmp(path)
    }

    pub fn push_to(&self, nibbles: &mut Vec<u8>) {
        nibbles.extend((0..self.len()).map(|index| self.at(index)));
    }

    /// Pack `self` followed by `tail`.
    pub fn pack_joined(self, tail: Nibbles<'_>, is_leaf: bool, into: &mut Vec<u8>) {
        let length = self.len() + tail.len();
        let at = |index: usize| {
            if index < self.len() {
                self.at(index)
            } else {
                tail.at(index - self.len())
            }
        };
        let mut first = if is_leaf { LEAF } else { 0 };
        let mut index = length % 2;
        if index == 1 {
            first |= ODD | at(0);
        }
        into.push(first);
        if tail.is_empty() && (self.start + index).is_multiple_of(2) {
            into.extend_from_slice(&self.bytes[(self.start + index) / 2..self.end / 2]);
            return;
        }
        while index < length {
            into.push(at(index) << 4 | at(index + 1));
            index += 2;
        }
    }
}

impl PartialEq for Nibbles<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.common_prefix(other) == self.len()
    }
}

impl Eq for Nibbles<'_> {}

impl Ord for Nibbles<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let common = self.common_prefix(other);
        match (common == self.len(), common == other.len()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.at(common).cmp(&other.at(common)),
        }
    }
}

impl PartialOrd for Nibbles<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Half bytes, one each, to bytes. The number must be even.
pub(crate) fn to_bytes(nibbles: &[u8]) -> Vec<u8> {
    debug_assert!(nibbles.len().is_multiple_of(2));
    nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(nibbles: Nibbles<'_>, is_leaf: bool) -> Vec<u8> {
        let mut out = Vec::new();
        nibbles.pack_joined(Nibbles::of_key(&[]), is_leaf, &mut out);
        out
    }

    #[test]
    fn packing_marks_leaves_and_odd_lengths() {
        let key = Nibbles::of_key(&[0x12, 0x34]);
        assert_eq!(packed(key, true), [0x20, 0x12, 0x34]);
        assert_eq!(packed(key.skip(1), false), [0x12, 0x34]);
        assert_eq!(packed(key.skip(1), true), [0x32, 0x34]);
        assert_eq!(packed(key.first(3), false), [0x11, 0x23]);
        assert_eq!(packed(key.first(2).skip(1).first(0), true), [0x20]);
    }

    #[test]
    fn packed_form_reads_back() {
        for skip in 0..5 {
            for length in 0..=(8 - skip) {
                let path = Nibbles::of_key(&[0xab, 0xcd, 0x01, 0x23]).skip(skip).first(length);
                let bytes = packed(path, false);
                assert_eq!(bytes.len(), 1 + path.len() / 2);
                assert!(Nibbles::of_packed(&bytes) == path);
            }
        }
    }

    #[test]
    fn common_prefix_agrees_in_both_phases() {
        let left = [0x12, 0x34, 0x56];
        let right = [0x01, 0x23, 0x45, 0x6f];
        let (left, right) = (Nibbles::of_key(&left), Nibbles::of_key(&right).skip(1));
        assert_eq!(left.common_prefix(&right), 6);
        assert_eq!(left.skip(1).common_prefix(&right.skip(1)), 5);
        assert!(left < right);
    }
}
