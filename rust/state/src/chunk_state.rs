//! The overlay for applying one chunk.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::node::{sha256, Hash, Node, Value};
use crate::recorder::{Accounting, Recorder, TrieAccesses};
use crate::trie::Trie;
use crate::Error;

/// First byte of the trie keys that contracts write; a removal of one is charged extra.
const CONTRACT_DATA_COLUMN: u8 = 9;

type Bytes = Arc<[u8]>;

/// How a contract's operation finds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupMode {
    /// Reads and `has_key`: NEAR serves them from its flat storage, no trie node counts.
    Flat,
    /// Writes and removals: every trie node on the way counts as touched or cached.
    Trie,
}

/// A value that was found but not yet read.
///
/// Its length is free; [`ChunkState::deref`] reads it and accounts for that.
#[derive(Clone, Debug)]
pub struct ValueHandle(Source);

#[derive(Clone, Debug)]
enum Source {
    Overlay(Bytes),
    Trie(Arc<Node>),
}

impl ValueHandle {
    pub fn len(&self) -> u32 {
        let length = match &self.0 {
            Source::Overlay(bytes) => bytes.len(),
            Source::Trie(node) => value_of(node).bytes().len(),
        };
        u32::try_from(length).expect("values are limited to a few megabytes")
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn hash(&self) -> Hash {
        match &self.0 {
            Source::Overlay(bytes) => sha256(bytes),
            Source::Trie(node) => value_of(node).hash(),
        }
    }
}

fn value_of(node: &Node) -> Value<'_> {
    node.value().expect("lookups end at nodes with values")
}

/// What a chunk did to the state.
pub struct Sealed {
    pub trie: Trie,
    /// Every written key once, in key order, also if written back unchanged.
    pub changes: Vec<ChangedKey>,
}

/// One key with its value before the chunk and every committed write, the last one being in force.
pub struct ChangedKey {
    pub key: Vec<u8>,
    pub old: Option<Vec<u8>>,
    /// (cause, value) in the order of the commits.
    pub writes: Vec<(Bytes, Option<Bytes>)>,
}

impl ChangedKey {
    pub fn new_value(&self) -> Option<&Bytes> {
        self.writes.last().and_then(|(_, value)| value.as_ref())
    }
}

/// The state as one chunk sees it: the trie before it, what is committed so far, and
/// the current changes that may still be rolled back.
///
/// Cheap to clone; clones are the same chunk. Every method locks for its own duration
/// only, so a contract may run on another thread than the one that began the chunk.
///
/// Keys are whole trie keys, column byte first.
///
/// Two meters run beside the values, and neither is turned back by `rollback`:
/// * the size of the storage proof ([`ChunkState::recorded_size`]): each distinct node on the way
///   of any recorded read, and each distinct value that was read, counts once;
/// * the nodes touched by contracts ([`TrieAccesses`]): see [`ChunkState::lookup`].
///
/// What is still in the overlay is neither recorded nor counted.
#[derive(Clone)]
pub struct ChunkState(Arc<Mutex<Inner>>);

struct Inner {
    base: Trie,
    committed: BTreeMap<Vec<u8>, Vec<(Bytes, Option<Bytes>)>>,
    prospective: BTreeMap<Vec<u8>, Option<Bytes>>,
    /// Keys whose way is recorded already, with what stands there before this chunk.
    found: HashMap<Vec<u8>, Option<Arc<Node>>>,
    recorder: Recorder,
    accounting: Accounting,
    is_sealed: bool,
}

impl Inner {
    fn overlay(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        if let Some(value) = self.prospective.get(key) {
            return Some(value.as_ref());
        }
        let (_, value) = self.committed.get(key)?.last()?;
        Some(value.as_ref())
    }

    /// Walk to the key in the trie, recording the nodes.
    fn recorded_lookup(&mut self, key: &[u8]) -> Option<Arc<Node>> {
        if let Some(found) = self.found.get(key) {
            return found.clone();
        }
        let recorder = &mut self.recorder;
        let found = self.base.lookup(key, |node| recorder.record(node.hash(), node.encoded_len())).cloned();
        self.found.insert(key.to_vec(), found.clone());
        found
    }

    fn value_before_chunk(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.found.get(key) {
            Some(found) => found.as_ref().map(|node| value_of(node).bytes().to_vec()),
            None => self.base.get(key),
        }
    }

    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(value) = self.overlay(key) {
            return value.map(|bytes| bytes.to_vec());
        }
        let node = self.recorded_lookup(key)?;
        let value = value_of(&node);
        self.recorder.record(&value.hash(), value.bytes().len());
        Some(value.bytes().to_vec())
    }

    fn has(&mut self, key: &[u8]) -> bool {
        match self.overlay(key) {
            Some(value) => value.is_some(),
            None => self.recorded_lookup(key).is_some(),
        }
    }

    fn lookup(&mut self, key: &[u8], mode: LookupMode) -> (Option<ValueHandle>, TrieAccesses) {
        let mut accesses = TrieAccesses::default();
        if let Some(value) = self.overlay(key) {
            return (value.map(|bytes| ValueHandle(Source::Overlay(bytes.clone()))), accesses);
        }
        if mode == LookupMode::Trie {
            let Inner { base, accounting, .. } = self;
            base.lookup(key, |node| accesses = accesses + accounting.access(node.hash()));
        }
        (self.recorded_lookup(key).map(|node| ValueHandle(Source::Trie(node))), accesses)
    }

    fn deref(&mut self, handle: &ValueHandle) -> (Vec<u8>, TrieAccesses) {
        match &handle.0 {
            Source::Overlay(bytes) => (bytes.to_vec(), TrieAccesses::default()),
            Source::Trie(node) => {
                let value = value_of(node);
                let hash = value.hash();
                let accesses = self.accounting.access(&hash);
                self.recorder.record(&hash, value.bytes().len());
                (value.bytes().to_vec(), accesses)
            }
        }
    }

    fn scan_keys(&mut self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut keys = BTreeMap::new();
        let Inner { base, recorder, .. } = self;
        let recorder = std::cell::RefCell::new(recorder);
        base.visit_prefix(
            prefix,
            |node| recorder.borrow_mut().record(node.hash(), node.encoded_len()),
            |key, value| {
                recorder.borrow_mut().record(&value.hash(), value.bytes().len());
                keys.insert(key, true);
            },
        );
        let range = (Bound::Included(prefix), Bound::Unbounded);
        for (key, writes) in self.committed.range::<[u8], _>(range) {
            if !key.starts_with(prefix) {
                break;
            }
            keys.insert(key.clone(), writes.last().is_some_and(|(_, value)| value.is_some()));
        }
        for (key, value) in self.prospective.range::<[u8], _>(range) {
            if !key.starts_with(prefix) {
                break;
            }
            keys.insert(key.clone(), value.is_some());
        }
        keys.into_iter().filter_map(|(key, is_present)| is_present.then_some(key)).collect()
    }
}

impl ChunkState {
    pub fn new(trie: Trie) -> Self {
        ChunkState(Arc::new(Mutex::new(Inner {
            base: trie,
            committed: BTreeMap::new(),
            prospective: BTreeMap::new(),
            found: HashMap::new(),
            recorder: Recorder::default(),
            accounting: Accounting::default(),
            is_sealed: false,
        })))
    }

    /// The value, as the runtime reads it: nodes and value are recorded, nothing is counted.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.lock().get(key)
    }

    /// Whether there is a value, as the runtime asks: nodes are recorded, the value is not.
    pub fn has(&self, key: &[u8]) -> bool {
        self.0.lock().has(key)
    }

    /// The value, leaving no trace in either meter: for contract code.
    pub fn get_unrecorded(&self, key: &[u8]) -> Option<Vec<u8>> {
        let inner = self.0.lock();
        match inner.overlay(key) {
            Some(value) => value.map(|bytes| bytes.to_vec()),
            None => inner.value_before_chunk(key),
        }
    }

    /// Whether there is a value, leaving no trace in either meter.
    pub fn has_unrecorded(&self, key: &[u8]) -> bool {
        let inner = self.0.lock();
        match inner.overlay(key) {
            Some(value) => value.is_some(),
            None => inner.base.has(key),
        }
    }

    /// The value before this chunk, leaving no trace in either meter.
    pub fn get_before_chunk(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.lock().value_before_chunk(key)
    }

    /// Length and sha256 of a value: nodes are recorded, the value is not, nothing is counted.
    pub fn get_reference(&self, key: &[u8]) -> Option<(u32, Hash)> {
        let handle = self.lookup(key, LookupMode::Flat).0?;
        Some((handle.len(), handle.hash()))
    }

    /// Find a value for a contract, without reading it.
    ///
    /// The nodes on the way are recorded in both modes, also when the key is absent.
    /// In trie mode they also count: once as touched for the chunk, from then on as cached.
    /// The set of touched nodes is filled even if the caller then runs out of gas
    /// before it charges for them, as in NEAR's node.
    pub fn lookup(&self, key: &[u8], mode: LookupMode) -> (Option<ValueHandle>, TrieAccesses) {
        self.0.lock().lookup(key, mode)
    }

    /// Read what `lookup` found. A value of the trie is recorded and counts like a node, by its
    /// hash; callers that read for free (NEAR's VM does so for reads) drop the count.
    pub fn deref(&self, handle: &ValueHandle) -> (Vec<u8>, TrieAccesses) {
        self.0.lock().deref(handle)
    }

    pub fn set(&self, key: Vec<u8>, value: &[u8]) {
        self.0.lock().prospective.insert(key, Some(value.into()));
    }

    /// Removing contract data adds to the recorded size, whether or not the key is there.
    pub fn remove(&self, key: Vec<u8>) {
        let mut inner = self.0.lock();
        if key.first() == Some(&CONTRACT_DATA_COLUMN) {
            inner.recorder.record_removal();
        }
        inner.prospective.insert(key, None);
    }

    /// Keys with this prefix, current changes included, in key order. Recorded as if each were read.
    pub fn scan_keys(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        self.0.lock().scan_keys(prefix)
    }

    /// Move the current changes into the chunk, each under `cause`.
    pub fn commit(&self, cause: &[u8]) {
        let mut inner = self.0.lock();
        let cause: Bytes = cause.into();
        for (key, value) in std::mem::take(&mut inner.prospective) {
            inner.committed.entry(key).or_default().push((cause.clone(), value));
        }
    }

    /// Forget the current changes. What they read stays recorded and counted.
    pub fn rollback(&self) {
        self.0.lock().prospective.clear();
    }

    /// Upper bound of the storage proof so far, in bytes.
    pub fn recorded_size(&self) -> usize {
        self.0.lock().recorder.size_upper_bound()
    }

    pub fn record_code_size(&self, size: usize) {
        self.0.lock().recorder.record_code_size(size);
    }

    /// All node accesses counted in this chunk.
    pub fn total_accesses(&self) -> TrieAccesses {
        self.0.lock().accounting.total()
    }

    /// End the chunk: its changes and the state after them. Refused while changes are
    /// uncommitted, and a second time.
    pub fn seal(&self) -> Result<Sealed, Error> {
        let mut inner = self.0.lock();
        if inner.is_sealed {
            return Err(Error::AlreadySealed);
        }
        if !inner.prospective.is_empty() {
            return Err(Error::Uncommitted(inner.prospective.len()));
        }
        inner.is_sealed = true;
        let committed = std::mem::take(&mut inner.committed);
        let changes: Vec<ChangedKey> = committed
            .into_iter()
            .map(|(key, writes)| ChangedKey { old: inner.value_before_chunk(&key), key, writes })
            .collect();
        let writes: Vec<(&[u8], Option<&Bytes>)> =
            changes.iter().map(|change| (change.key.as_slice(), change.new_value())).collect();
        Ok(Sealed { trie: inner.base.update(&writes), changes })
    }
}
