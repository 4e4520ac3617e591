//! What a chunk's reads cost: the storage proof's size and the trie nodes touched.

use std::collections::hash_map::RandomState;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};

use crate::node::Hash;

/// A hash is spread well already; a seed of this process keeps others from aiming at a bucket.
#[derive(Clone)]
struct Spread(u64);

impl Default for Spread {
    fn default() -> Self {
        Spread(RandomState::new().hash_one(0u64) | 1)
    }
}

struct SpreadHasher(u64, u64);

impl BuildHasher for Spread {
    type Hasher = SpreadHasher;
    fn build_hasher(&self) -> SpreadHasher {
        SpreadHasher(self.0, 0)
    }
}

impl Hasher for SpreadHasher {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks_exact(8) {
            let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
            self.1 = (self.1.rotate_left(17) ^ word).wrapping_mul(self.0);
        }
    }
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.1 ^ (self.1 >> 32)
    }
}

type HashSetOfHashes = HashSet<Hash, Spread>;

/// Added for each key that a contract removes: its neighbour may have to be shown.
const REMOVAL_SIZE: usize = 2_000;

/// The storage proof that is being gathered, of which only the size is kept.
#[derive(Default)]
pub(crate) struct Recorder {
    seen: HashSetOfHashes,
    size_upper_bound: usize,
}

impl Recorder {
    /// A node or value counts once, whoever shows it and wherever it stands.
    pub fn record(&mut self, hash: &Hash, size: usize) {
        if self.seen.insert(*hash) {
            self.size_upper_bound += size;
        }
    }

    pub fn record_removal(&mut self) {
        self.size_upper_bound += REMOVAL_SIZE;
    }

    pub fn record_code_size(&mut self, size: usize) {
        self.size_upper_bound += size;
    }

    pub fn size_upper_bound(&self) -> usize {
        self.size_upper_bound
    }
}

/// How many trie nodes and values were met for the first time in this chunk, and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrieAccesses {
    pub touched: u64,
    pub cached: u64,
}

impl std::ops::Add for TrieAccesses {
    type Output = TrieAccesses;
    fn add(self, other: TrieAccesses) -> TrieAccesses {
        TrieAccesses { touched: self.touched + other.touched, cached: self.cached + other.cached }
    }
}

/// The nodes and values that contracts of this chunk have touched.
#[derive(Default)]
pub(crate) struct Accounting {
    touched: HashSetOfHashes,
    total: TrieAccesses,
}

impl Accounting {
    pub fn access(&mut self, hash: &Hash) -> TrieAccesses {
        let is_new = self.touched.insert(*hash);
        let accesses = TrieAccesses { touched: u64::from(is_new), cached: u64::from(!is_new) };
        self.total = self.total + accesses;
        accesses
    }

    pub fn total(&self) -> TrieAccesses {
        self.total
    }
}
