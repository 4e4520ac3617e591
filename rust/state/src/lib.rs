//! State: NEAR's trie, the overlay of a chunk, and the store they are kept in.
//!
//! * [`Trie`]: an immutable version of a shard's state.
//! * [`ChunkState`]: what a chunk reads and writes on top of one, with both meters that
//!   the protocol puts on reads. The VM's storage functions go through
//!   [`ChunkState::lookup`] and [`ChunkState::deref`].

mod chunk_state;
#[cfg(test)]
mod meter_tests;
mod nibbles;
mod node;
mod persistence;
mod recorder;
mod store;
mod trie;
#[cfg(test)]
mod trie_tests;
mod update;

pub use chunk_state::{ChangedKey, ChunkState, LookupMode, Sealed, ValueHandle};
pub use node::{sha256, Hash};
pub use persistence::{
    decode_changes, encode_changes, encode_pairs, Damaged, Direction, NetChanges, RecordedChange,
    RecordedWrite,
};
pub use recorder::TrieAccesses;
pub use store::{Access, Store, StoreError, StoreWrite, KEY_SIZE_MAX};
pub use trie::{Pair, Trie, EMPTY_ROOT};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this chunk is sealed already")]
    AlreadySealed,
    #[error("a chunk with {0} uncommitted changes cannot be sealed")]
    Uncommitted(usize),
}
