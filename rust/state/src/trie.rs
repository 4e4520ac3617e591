//! A state: an immutable trie whose nodes are shared with its other versions.

use std::sync::Arc;

use crate::nibbles::{to_bytes, Nibbles};
use crate::node::{Hash, Kind, Node, Value};
use crate::update::{apply, Change, Place};

/// Key and value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// The root of an empty trie.
pub const EMPTY_ROOT: Hash = [0; 32];

/// NEAR's Merkle-Patricia trie. Cheap to clone; old versions stay readable for as
/// long as someone holds them.
#[derive(Clone, Debug, Default)]
pub struct Trie {
    root: Option<Arc<Node>>,
}

impl Trie {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn root(&self) -> Hash {
        self.root.as_ref().map_or(EMPTY_ROOT, |node| *node.hash())
    }

    /// NEAR's memory usage of the root node, which is part of its hash.
    pub fn memory_usage(&self) -> u64 {
        self.root.as_ref().map_or(0, |node| node.memory_usage())
    }

    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let node = self.lookup(key, |_| ())?;
        node.value().map(|value| value.bytes().to_vec())
    }

    pub fn has(&self, key: &[u8]) -> bool {
        self.lookup(key, |_| ()).is_some()
    }

    /// Walk to the node that holds the value of `key`, showing each node on the way,
    /// also when the key is not there.
    pub(crate) fn lookup(&self, key: &[u8], mut visit: impl FnMut(&Arc<Node>)) -> Option<&Arc<Node>> {
        let mut rest = Nibbles::of_key(key);
        let mut node = self.root.as_ref()?;
        loop {
            visit(node);
            match node.kind() {
                Kind::Leaf { .. } => {
                    let (path, _) = node.leaf_parts();
                    return (path == rest).then_some(node);
                }
                Kind::Extension { path, child } => {
                    let path = Nibbles::of_packed(path);
                    if !rest.starts_with(&path) {
                        return None;
                    }
                    rest = rest.skip(path.len());
                    node = child;
                }
                Kind::Branch { value, .. } if rest.is_empty() => {
                    return value.is_some().then_some(node);
                }
                Kind::Branch { .. } => {
                    node = node.child(rest.at(0))?;
                    rest = rest.skip(1);
                }
                Kind::Dismantled => unreachable!("a shared node is whole"),
            }
        }
    }

    /// The state after `changes`; a later change of a key wins. `None` removes.
    pub fn update<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, changes: &[(K, Option<V>)]) -> Trie {
        let mut order: Vec<usize> = (0..changes.len()).collect();
        let key = |index: usize| changes[index].0.as_ref();
        if !changes.windows(2).all(|pair| pair[0].0.as_ref() < pair[1].0.as_ref()) {
            order.sort_by(|left, right| key(*left).cmp(key(*right)));
        }
        let mut sorted: Vec<Change<'_>> = Vec::with_capacity(changes.len());
        for index in order {
            let (key, value) = &changes[index];
            let change =
                Change { key: key.as_ref(), value: value.as_ref().map(|value| Value::new(value.as_ref())) };
            match sorted.last_mut() {
                Some(last) if last.key == change.key => *last = change,
                _ => sorted.push(change),
            }
        }
        Trie { root: apply(self.root.as_ref(), &sorted, Place::ROOT) }
    }

    /// Pairs whose key starts with `prefix`, in key order, strictly after `after`.
    pub fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: Option<usize>) -> Vec<Pair> {
        let mut pairs = Vec::new();
        let limit = limit.unwrap_or(usize::MAX);
        if limit == 0 {
            return pairs;
        }
        let mut walk = Walk::new(self, prefix, |_| ());
        if let Some(after) = after {
            walk.start_after(after);
        }
        walk.run(|key, value| {
            pairs.push((key, value.bytes().to_vec()));
            pairs.len() < limit
        });
        pairs
    }

    /// Raw nodes in the order that `view_state` with `include_proof` lists them: those on
    /// the way to the prefix, then those below it depth first. A node that stands in two places comes twice.
    pub fn prove(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut nodes = Vec::new();
        Walk::new(self, prefix, |node| nodes.push(node.encoded())).run(|_, _| true);
        nodes
    }

    /// Call `visit` with each pair after `after`, in key order, until it answers false.
    pub(crate) fn visit_after(&self, after: Option<&[u8]>, visit: impl FnMut(Vec<u8>, &Value<'_>) -> bool) {
        let mut walk = Walk::new(self, b"", |_| ());
        if let Some(after) = after {
            walk.start_after(after);
        }
        walk.run(visit);
    }

    /// Walk below `prefix`, showing each node entered and each value found.
    pub(crate) fn visit_prefix(
        &self,
        prefix: &[u8],
        visit_node: impl FnMut(&Arc<Node>),
        mut visit_value: impl FnMut(Vec<u8>, &Value<'_>),
    ) {
        Walk::new(self, prefix, visit_node).run(|key, value| {
            visit_value(key, value);
            true
        });
    }
}

/// A depth-first walk below a prefix that keeps its own stack.
struct Walk<'a, F> {
    /// Nodes still to enter, the next one last, each with its path.
    pending: Vec<(&'a Arc<Node>, Vec<u8>)>,
    after: Option<Vec<u8>>,
    visit_node: F,
}

impl<'a, F: FnMut(&Arc<Node>)> Walk<'a, F> {
    /// Go down to the topmost node whose keys all start with `prefix`.
    fn new(trie: &'a Trie, prefix: &[u8], mut visit_node: F) -> Self {
        let mut pending = Vec::new();
        let mut path = Vec::new();
        let mut rest = Nibbles::of_key(prefix);
        let mut next = trie.root.as_ref();
        while let Some(node) = next {
            if rest.is_empty() {
                pending.push((node, path));
                break;
            }
            next = match node.kind() {
                Kind::Leaf { .. } if node.leaf_parts().0.starts_with(&rest) => {
                    pending.push((node, path));
                    break;
                }
                Kind::Leaf { .. } => {
                    visit_node(node);
                    None
                }
                Kind::Extension { path: own, child } => {
                    let own = Nibbles::of_packed(own);
                    if own.starts_with(&rest) {
                        pending.push((node, path));
                        break;
                    }
                    visit_node(node);
                    let leads_on = rest.starts_with(&own);
                    if leads_on {
                        rest = rest.skip(own.len());
                        own.push_to(&mut path);
                    }
                    leads_on.then_some(child)
                }
                Kind::Branch { .. } => {
                    visit_node(node);
                    let index = rest.at(0);
                    path.push(index);
                    rest = rest.skip(1);
                    node.child(index)
                }
                Kind::Dismantled => unreachable!("a shared node is whole"),
            };
        }
        Walk { pending, after: None, visit_node }
    }

    /// Leave out keys up to and including `key`, and subtrees that hold no later one.
    fn start_after(&mut self, key: &[u8]) {
        let mut nibbles = Vec::with_capacity(key.len() * 2);
        Nibbles::of_key(key).push_to(&mut nibbles);
        self.after = Some(nibbles);
    }

    /// Whether a subtree under `path` may hold a key behind the start.
    fn is_wanted(&self, path: &[u8]) -> bool {
        match &self.after {
            None => true,
            Some(after) => path > after.as_slice() || after.starts_with(path),
        }
    }

    fn run(&mut self, mut visit_value: impl FnMut(Vec<u8>, &Value<'_>) -> bool) {
        while let Some((node, mut path)) = self.pending.pop() {
            if !self.is_wanted(&path) {
                continue;
            }
            (self.visit_node)(node);
            match node.kind() {
                Kind::Leaf { .. } => node.leaf_parts().0.push_to(&mut path),
                Kind::Extension { path: own, child } => {
                    Nibbles::of_packed(own).push_to(&mut path);
                    self.pending.push((child, path));
                    continue;
                }
                Kind::Branch { bitmap, children, .. } => {
                    let mut rest = children.iter().rev();
                    for index in (0..16u8).rev().filter(|index| bitmap & (1 << index) != 0) {
                        let mut below = Vec::with_capacity(path.len() + 64);
                        below.extend_from_slice(&path);
                        below.push(index);
                        self.pending.push((rest.next().expect("one a bit"), below));
                    }
                }
                Kind::Dismantled => unreachable!("a shared node is whole"),
            }
            let is_late = self.after.as_ref().is_none_or(|after| path > *after);
            if let Some(value) = node.value().filter(|_| is_late) {
                if !visit_value(to_bytes(&path), &value) {
                    return;
                }
            }
        }
    }
}
