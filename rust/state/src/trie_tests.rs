use std::collections::BTreeMap;

use crate::{ChunkState, LookupMode, Trie, TrieAccesses, EMPTY_ROOT};

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// A small generator, so that runs repeat.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }

    fn key(&mut self) -> Vec<u8> {
        let alphabet = [0x00, 0x01, 0x10, 0x61, 0x6f];
        (0..self.below(6)).map(|_| alphabet[self.below(5) as usize]).collect()
    }

    fn value(&mut self) -> Vec<u8> {
        let length = [0, 1, 5, 300][self.below(4) as usize];
        vec![self.below(256) as u8; length]
    }
}

fn trie_of(pairs: &[(&[u8], &[u8])]) -> Trie {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key, Some(value))).collect();
    Trie::new().update(&pairs)
}

fn from_scratch(content: &Content) -> Trie {
    let pairs: Vec<_> = content.iter().map(|(key, value)| (key, Some(value))).collect();
    Trie::new().update(&pairs)
}

#[test]
fn shape_depends_on_content_alone() {
    let mut random = Random(1);
    let mut content = Content::new();
    let mut trie = Trie::new();
    for _ in 0..3000 {
        let mut changes = Vec::new();
        for _ in 0..=random.below(6) {
            let value = (random.below(2) == 0).then(|| random.value());
            changes.push((random.key(), value));
        }
        for (key, value) in &changes {
            match value {
                Some(value) => content.insert(key.clone(), value.clone()),
                None => content.remove(key),
            };
        }
        trie = trie.update(&changes);
        let fresh = from_scratch(&content);
        assert_eq!(trie.root(), fresh.root());
        assert_eq!(trie.memory_usage(), fresh.memory_usage());
        let pairs: Vec<_> = content.clone().into_iter().collect();
        assert_eq!(trie.scan(b"", None, None), pairs);
        let probe = random.key();
        assert_eq!(trie.get(&probe), content.get(&probe).cloned());
        let wanted: Vec<_> = pairs.iter().filter(|(key, _)| key.starts_with(&probe)).cloned().collect();
        assert_eq!(trie.scan(&probe, None, None), wanted);
        let later: Vec<_> = pairs.iter().filter(|(key, _)| *key > probe).take(3).cloned().collect();
        assert_eq!(trie.scan(b"", Some(&probe), Some(3)), later);
    }
}

#[test]
fn removing_everything_leaves_the_empty_root() {
    let trie = trie_of(&[(b"ab", b"1"), (b"abc", b"2"), (b"b", b"3")]);
    let empty = trie.update::<_, &[u8]>(&[(b"ab".as_slice(), None), (b"abc", None), (b"b", None)]);
    assert_eq!(empty.root(), EMPTY_ROOT);
    assert_eq!(empty.memory_usage(), 0);
    assert!(empty.prove(b"").is_empty());
    assert_eq!(trie.get(b"abc"), Some(b"2".to_vec()), "the old version is untouched");
}

#[test]
fn an_unchanged_batch_shares_the_root() {
    let trie = Trie::new().update(&[(b"ab", Some(b"1")), (b"cd", Some(b"2"))]);
    let same = trie.update(&[(b"ab".as_slice(), Some(b"1".as_slice())), (b"zz", None)]);
    assert_eq!(trie.root(), same.root());
}

#[test]
fn a_trie_thousands_of_nodes_deep_is_built_walked_and_dropped_on_a_small_stack() {
    let work = || {
        let keys: Vec<Vec<u8>> = (0..2100).map(|length| vec![0x77; length]).collect();
        let changes: Vec<_> = keys.iter().map(|key| (key, Some(b"v"))).collect();
        let trie = Trie::new().update(&changes);
        assert_eq!(trie.scan(b"", None, None).len(), keys.len());
        let grown = changes.chunks(300).fold(Trie::new(), |trie, some| trie.update(some));
        assert_eq!(grown.root(), trie.root());
        let removals: Vec<_> = keys.iter().map(|key| (key, None::<&[u8]>)).collect();
        assert_eq!(trie.update(&removals).root(), EMPTY_ROOT);
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn nodes_count_once_as_touched_then_as_cached_also_after_rollback() {
    let keys: [&[u8]; 2] = [&[9, 1], &[9, 2]];
    let trie = Trie::new().update(&[(keys[0], Some(b"one")), (keys[1], Some(b"two"))]);
    let state = ChunkState::new(trie);
    let (found, accesses) = state.lookup(keys[0], LookupMode::Trie);
    // Extension, branch, leaf.
    assert_eq!(accesses, TrieAccesses { touched: 3, cached: 0 });
    let (value, accesses) = state.deref(&found.unwrap());
    assert_eq!((value.as_slice(), accesses), (b"one".as_slice(), TrieAccesses { touched: 1, cached: 0 }));
    state.rollback();
    let (_, accesses) = state.lookup(keys[1], LookupMode::Trie);
    assert_eq!(accesses, TrieAccesses { touched: 1, cached: 2 });
    let (_, accesses) = state.lookup(keys[1], LookupMode::Flat);
    assert_eq!(accesses, TrieAccesses::default());
}

#[test]
fn recorded_size_counts_distinct_nodes_and_read_values_once() {
    let keys: [&[u8]; 2] = [&[9, 1], &[9, 2]];
    let trie = Trie::new().update(&[(keys[0], Some(&[5; 1000])), (keys[1], Some(&[5; 1000]))]);
    let nodes: Vec<usize> = trie.prove(b"").iter().map(Vec::len).collect();
    let state = ChunkState::new(trie);
    assert!(state.has(keys[0]));
    let path = nodes[0] + nodes[1] + nodes[2];
    assert_eq!(state.recorded_size(), path);
    state.get(keys[0]);
    assert_eq!(state.recorded_size(), path + 1000);
    state.get(keys[1]);
    // Both leaves hold the same value below different branches: also one node by hash.
    assert_eq!(state.recorded_size(), path + 1000);
    state.get_unrecorded(&[9, 3]);
    assert_eq!(state.recorded_size(), path + 1000);
    state.remove(vec![9, 7]);
    state.remove(vec![1, 7]);
    state.rollback();
    assert_eq!(state.recorded_size(), path + 1000 + 2000);
}

#[test]
fn sealing_gives_old_and_new_values_with_causes() {
    let trie = Trie::new().update(&[(b"a", Some(b"1"))]);
    let state = ChunkState::new(trie.clone());
    state.set(b"a".to_vec(), b"2");
    assert!(state.seal().is_err(), "uncommitted changes");
    state.commit(b"first");
    state.set(b"a".to_vec(), b"3");
    state.remove(b"b".to_vec());
    state.commit(b"second");
    state.set(b"c".to_vec(), b"lost");
    state.rollback();
    assert_eq!(state.get(b"a"), Some(b"3".to_vec()));
    let sealed = state.seal().unwrap();
    assert!(state.seal().is_err(), "used up");
    assert_eq!(sealed.trie.root(), trie.update(&[(b"a", Some(b"3"))]).root());
    let summary: Vec<_> = sealed
        .changes
        .iter()
        .map(|change| {
            let causes: Vec<&[u8]> = change.writes.iter().map(|(cause, _)| &**cause).collect();
            (change.key.as_slice(), change.old.as_deref(), change.new_value().map(|v| &**v), causes)
        })
        .collect();
    assert_eq!(
        summary,
        [
            (&b"a"[..], Some(&b"1"[..]), Some(&b"3"[..]), vec![&b"first"[..], b"second"]),
            (b"b", None, None, vec![&b"second"[..]]),
        ]
    );
}

#[test]
fn scanned_keys_merge_the_overlay() {
    let trie = trie_of(&[(b"pa", b"1"), (b"pb", b"2"), (b"q", b"3")]);
    let state = ChunkState::new(trie);
    state.set(b"pc".to_vec(), b"4");
    state.remove(b"pb".to_vec());
    state.commit(b"");
    state.set(b"p".to_vec(), b"5");
    state.set(b"pb".to_vec(), b"6");
    state.remove(b"pc".to_vec());
    assert_eq!(state.scan_keys(b"p"), [b"p".to_vec(), b"pa".to_vec(), b"pb".to_vec()]);
    state.rollback();
    assert_eq!(state.scan_keys(b"p"), [b"pa".to_vec(), b"pc".to_vec()]);
}
