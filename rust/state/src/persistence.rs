//! The forms in which state lies on disk.
//!
//! * A *change record* is what one chunk changed: the root after it, then for each key
//!   its old value and every committed write with its cause. It can be applied forwards and backwards.
//! * An *image slice* is a run of pairs in key order. The slices of an image, one after the
//!   other, are a whole state. Keys may be longer than the database's, so they are inside.

use std::collections::btree_map::Entry;
use std::collections::BTreeMap;

use crate::chunk_state::Sealed;
use crate::node::Hash;
use crate::store::{Store, StoreError};
use crate::trie::Trie;

const RECORD_VERSION: u8 = 1;

/// Changed keys that are gathered before they go into the trie at once.
const KEYS_PER_UPDATE: usize = 100_000;

/// One key of a change record: (key, old value, (cause, value) in the order of the commits).
pub type RecordedChange<'a> = (&'a [u8], Option<&'a [u8]>, Vec<RecordedWrite<'a>>);
pub type RecordedWrite<'a> = (&'a [u8], Option<&'a [u8]>);

#[derive(Debug, thiserror::Error)]
#[error("damaged state data: {0}")]
pub struct Damaged(&'static str);

impl From<Damaged> for StoreError {
    fn from(error: Damaged) -> Self {
        StoreError::Failed(error.to_string())
    }
}

fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    into.extend_from_slice(bytes);
}

/// None is the length that no value has.
fn put_optional(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => put_bytes(into, bytes),
        None => into.extend_from_slice(&u32::MAX.to_le_bytes()),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Damaged("too short"))?;
        self.0 = rest;
        Ok(head)
    }

    fn number(&mut self) -> Result<u32, Damaged> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let length = self.number()?;
        self.take(length as usize)
    }

    fn optional(&mut self) -> Result<Option<&'a [u8]>, Damaged> {
        match self.number()? {
            u32::MAX => Ok(None),
            length => self.take(length as usize).map(Some),
        }
    }
}

/// The change record of a chunk.
pub fn encode_changes(sealed: &Sealed) -> Vec<u8> {
    let mut record = vec![RECORD_VERSION];
    record.extend_from_slice(&sealed.trie.root());
    for change in &sealed.changes {
        put_bytes(&mut record, &change.key);
        put_optional(&mut record, change.old.as_deref());
        record.extend_from_slice(&(change.writes.len() as u32).to_le_bytes());
        for (cause, value) in &change.writes {
            put_bytes(&mut record, cause);
            put_optional(&mut record, value.as_deref());
        }
    }
    record
}

/// Root after the chunk, and its changes in key order.
pub fn decode_changes(record: &[u8]) -> Result<(Hash, Vec<RecordedChange<'_>>), Damaged> {
    let mut reader = Reader(record);
    if reader.take(1)? != [RECORD_VERSION] {
        return Err(Damaged("an unknown version of change record"));
    }
    let root = reader.take(32)?.try_into().expect("32 bytes");
    let mut changes = Vec::new();
    while !reader.0.is_empty() {
        let (key, old, count) = (reader.bytes()?, reader.optional()?, reader.number()?);
        let mut writes = Vec::new();
        for _ in 0..count {
            writes.push((reader.bytes()?, reader.optional()?));
        }
        changes.push((key, old, writes));
    }
    Ok((root, changes))
}

fn decode_pairs<'a>(
    slice: &'a [u8],
    mut visit: impl FnMut(&'a [u8], Option<&'a [u8]>),
) -> Result<(), Damaged> {
    let mut reader = Reader(slice);
    while !reader.0.is_empty() {
        let key = reader.bytes()?;
        visit(key, reader.optional()?);
    }
    Ok(())
}

/// Pairs for an image or a patch; a patch may also remove.
pub fn encode_pairs<'a>(pairs: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Vec<u8> {
    let mut slice = Vec::new();
    for (key, value) in pairs {
        put_bytes(&mut slice, key);
        put_optional(&mut slice, value);
    }
    slice
}

impl Trie {
    /// The next slice of the image of this state: pairs after `after` until `size_max` is reached,
    /// and the last key, or none when nothing is left.
    pub fn image_slice(&self, after: Option<&[u8]>, size_max: usize) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut slice = Vec::with_capacity(size_max + 4096);
        let mut last = None;
        self.visit_after(after, |key, value| {
            put_bytes(&mut slice, &key);
            put_optional(&mut slice, Some(value.bytes()));
            last = Some(key);
            slice.len() < size_max
        });
        (slice, last)
    }

    /// The state after the pairs of an image slice or a patch.
    pub fn with_pairs(&self, slice: &[u8]) -> Result<Trie, Damaged> {
        let mut pairs = Vec::new();
        decode_pairs(slice, |key, value| pairs.push((key, value)))?;
        Ok(self.update(&pairs))
    }

    /// The state with every slice of `table` in the range added.
    pub fn with_image(
        &self,
        store: &Store,
        table: &str,
        start: &[u8],
        end: &[u8],
    ) -> Result<Trie, StoreError> {
        let mut trie = self.clone();
        let mut outcome = Ok(());
        store.visit(table, start, Some(end), |_, slice| {
            match trie.with_pairs(slice) {
                Ok(next) => trie = next,
                Err(error) => outcome = Err(error),
            }
            outcome.is_ok()
        })?;
        outcome?;
        Ok(trie)
    }

    /// The state after the change records of a range whose keys end in `suffix`.
    pub fn with_changes(
        &self,
        store: &Store,
        table: &str,
        range: (&[u8], &[u8]),
        suffix: &[u8],
        direction: Direction,
    ) -> Result<Trie, StoreError> {
        let mut trie = self.clone();
        let mut net = NetChanges::new(direction);
        let mut outcome = Ok(());
        store.visit(table, range.0, Some(range.1), |key, record| {
            if key.ends_with(suffix) {
                outcome = net.add(record);
                // Backwards, the oldest values are what counts, and they come first.
                if direction == Direction::Forwards && net.0.len() >= KEYS_PER_UPDATE {
                    trie = net.apply(&trie);
                }
            }
            outcome.is_ok()
        })?;
        outcome?;
        Ok(net.apply(&trie))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forwards,
    Backwards,
}

/// What several change records, taken oldest first, come to.
pub struct NetChanges(BTreeMap<Vec<u8>, Option<Vec<u8>>>, Direction);

impl NetChanges {
    pub fn new(direction: Direction) -> Self {
        NetChanges(BTreeMap::new(), direction)
    }

    pub fn add(&mut self, record: &[u8]) -> Result<(), Damaged> {
        for (key, old, writes) in decode_changes(record)?.1 {
            match self.1 {
                Direction::Forwards => {
                    let (_, value) = writes.last().ok_or(Damaged("a change without a write"))?;
                    self.0.insert(key.to_vec(), value.map(<[u8]>::to_vec));
                }
                Direction::Backwards => {
                    if let Entry::Vacant(entry) = self.0.entry(key.to_vec()) {
                        entry.insert(old.map(<[u8]>::to_vec));
                    }
                }
            }
        }
        Ok(())
    }

    /// Put pairs below what was added: they count where nothing else does.
    pub fn add_below(&mut self, slice: &[u8]) -> Result<(), Damaged> {
        decode_pairs(slice, |key, value| {
            self.0.entry(key.to_vec()).or_insert_with(|| value.map(<[u8]>::to_vec));
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        encode_pairs(self.0.iter().map(|(key, value)| (key.as_slice(), value.as_deref())))
    }

    fn apply(&mut self, trie: &Trie) -> Trie {
        let changes: Vec<_> = std::mem::take(&mut self.0).into_iter().collect();
        trie.update(&changes)
    }
}
