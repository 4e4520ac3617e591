//! Both meters of a chunk against a model that knows nodes only as bytes and hashes.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{sha256, ChunkState, Hash, LookupMode, Trie, TrieAccesses};

/// A small generator, so that runs repeat.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }

    fn key(&mut self) -> Vec<u8> {
        let mut key = vec![[2, 9][self.below(2) as usize]];
        key.extend((0..self.below(4)).map(|_| [0x61, 0x62, 0x71][self.below(3) as usize]));
        key
    }
}

fn half_bytes(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect()
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let all = half_bytes(packed);
    if packed[0] & 0x10 != 0 {
        all[1..].to_vec()
    } else {
        all[2..].to_vec()
    }
}

#[derive(Default)]
struct Model {
    nodes: HashMap<Hash, Vec<u8>>,
    root: Hash,
    base: BTreeMap<Vec<u8>, Vec<u8>>,
    committed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    current: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    recorded: HashMap<Hash, usize>,
    removals: usize,
    touched: HashSet<Hash>,
}

impl Model {
    fn layer(&self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        self.current.get(key).or_else(|| self.committed.get(key)).cloned()
    }

    fn size(&self) -> usize {
        self.recorded.values().sum::<usize>() + 2000 * self.removals
    }

    /// Hashes of the nodes on the way, read off their bytes.
    fn way(&self, key: &[u8]) -> Vec<Hash> {
        let (mut way, mut at, mut rest) = (Vec::new(), self.root, half_bytes(key));
        while let Some(raw) = self.nodes.get(&at) {
            way.push(at);
            let (children, bitmap) = match raw[0] {
                0 => break,
                3 => {
                    let length = u32::from_le_bytes(raw[1..5].try_into().unwrap()) as usize;
                    let path = unpack(&raw[5..5 + length]);
                    if !rest.starts_with(&path) {
                        break;
                    }
                    rest.drain(..path.len());
                    at = raw[5 + length..5 + length + 32].try_into().unwrap();
                    continue;
                }
                1 => (&raw[3..], u16::from_le_bytes([raw[1], raw[2]])),
                _ => (&raw[39..], u16::from_le_bytes([raw[37], raw[38]])),
            };
            if rest.is_empty() || bitmap >> rest[0] & 1 == 0 {
                break;
            }
            let position = (bitmap & ((1 << rest[0]) - 1)).count_ones() as usize * 32;
            at = children[position..position + 32].try_into().unwrap();
            rest.remove(0);
        }
        way
    }

    fn access(&mut self, hashes: &[Hash]) -> TrieAccesses {
        let mut accesses = TrieAccesses::default();
        for hash in hashes {
            match self.touched.insert(*hash) {
                true => accesses.touched += 1,
                false => accesses.cached += 1,
            }
        }
        accesses
    }

    fn record_way(&mut self, key: &[u8]) {
        for hash in self.way(key) {
            self.recorded.insert(hash, self.nodes[&hash].len());
        }
    }

    fn record_value(&mut self, value: &[u8]) {
        self.recorded.insert(sha256(value), value.len());
    }
}

fn begin(random: &mut Random) -> (ChunkState, Model) {
    let mut model = Model::default();
    for _ in 0..random.below(12) {
        let value = vec![random.below(3) as u8; [1, 300][random.below(2) as usize]];
        model.base.insert(random.key(), value);
    }
    let pairs: Vec<_> = model.base.iter().map(|(key, value)| (key, Some(value))).collect();
    let trie = Trie::new().update(&pairs);
    model.root = trie.root();
    model.nodes = trie.prove(b"").into_iter().map(|raw| (sha256(&raw), raw)).collect();
    (ChunkState::new(trie), model)
}

fn check_contract_operation(
    state: &ChunkState,
    model: &mut Model,
    key: &[u8],
    mode: LookupMode,
    reads: bool,
) {
    let (found, accesses) = state.lookup(key, mode);
    if let Some(value) = model.layer(key) {
        assert_eq!(accesses, TrieAccesses::default());
        assert_eq!(found.map(|handle| state.deref(&handle)), value.map(|v| (v, TrieAccesses::default())));
        return;
    }
    model.record_way(key);
    let way = model.way(key);
    let expected = if mode == LookupMode::Trie { model.access(&way) } else { TrieAccesses::default() };
    assert_eq!(accesses, expected);
    let value = model.base.get(key).cloned();
    assert_eq!(found.as_ref().map(|handle| handle.len() as usize), value.as_ref().map(Vec::len));
    if let (Some(handle), Some(value), true) = (found, value, reads) {
        assert_eq!(handle.hash(), sha256(&value));
        let expected = model.access(&[sha256(&value)]);
        model.record_value(&value);
        assert_eq!(state.deref(&handle), (value, expected));
    }
}

fn check_runtime_read(state: &ChunkState, model: &mut Model, key: &[u8], reads: bool) {
    let expected = match model.layer(key) {
        Some(value) => value,
        None => {
            model.record_way(key);
            let value = model.base.get(key).cloned();
            if let (Some(value), true) = (&value, reads) {
                model.record_value(value);
            }
            value
        }
    };
    match reads {
        true => assert_eq!(state.get(key), expected),
        false => assert_eq!(state.has(key), expected.is_some()),
    }
}

#[test]
fn meters_agree_with_a_model_whatever_is_done() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let (state, mut model) = begin(&mut random);
        for _ in 0..60 {
            let (key, flag) = (random.key(), random.below(2) == 0);
            match random.below(8) {
                0 | 1 => check_contract_operation(&state, &mut model, &key, LookupMode::Trie, flag),
                2 => check_contract_operation(&state, &mut model, &key, LookupMode::Flat, flag),
                3 => check_runtime_read(&state, &mut model, &key, flag),
                4 => {
                    state.set(key.clone(), b"new");
                    model.current.insert(key, Some(b"new".to_vec()));
                }
                5 => {
                    state.remove(key.clone());
                    model.removals += usize::from(key[0] == 9);
                    model.current.insert(key, None);
                }
                6 if flag => {
                    state.commit(b"cause");
                    model.committed.append(&mut model.current);
                }
                6 => {
                    state.rollback();
                    model.current.clear();
                }
                _ => {
                    let committed = model.layer(&key);
                    let expected = committed.unwrap_or_else(|| model.base.get(&key).cloned());
                    assert_eq!(state.get_unrecorded(&key), expected);
                    assert_eq!(state.has_unrecorded(&key), expected.is_some());
                }
            }
            assert_eq!(state.recorded_size(), model.size());
        }
    }
}
