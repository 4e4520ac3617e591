//! Applying a sorted batch of changes to a subtree.
//!
//! The shape of NEAR's trie depends on its content alone: a branch has two or more
//! things below it, an extension leads to a branch, a leaf holds all that is left of
//! its key. So a batch is applied top-down in one pass, each touched node is made
//! once, and untouched subtrees are shared with the old version.

use std::sync::Arc;

use crate::nibbles::Nibbles;
use crate::node::{Kind, Node, Value};

/// One key with its new value, or none. A batch is sorted by key, each key once.
#[derive(Clone)]
pub(crate) struct Change<'a> {
    pub key: &'a [u8],
    pub value: Option<Value<'a>>,
}

impl Change<'_> {
    fn rest(&self, place: Place) -> Nibbles<'_> {
        Nibbles::of_key(self.key).skip(place.depth)
    }
}

type Subtree = Option<Arc<Node>>;

/// Nodes below each other after which the work moves to a fresh stack. Keys are at most
/// a few kilobytes, so this nests a handful of times at worst.
const NODES_PER_STACK: usize = 512;
const STACK_BYTES: usize = 4 << 20;

/// Where in the trie: half bytes and nodes above.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    depth: usize,
    nodes: usize,
}

impl Place {
    pub const ROOT: Place = Place { depth: 0, nodes: 0 };

    fn below(self, half_bytes: usize) -> Place {
        Place { depth: self.depth + half_bytes, nodes: self.nodes + 1 }
    }

    fn further(self, half_bytes: usize) -> Place {
        Place { depth: self.depth + half_bytes, nodes: self.nodes }
    }
}

/// The subtree at `place` after `changes`, all of whose keys lead through it.
pub(crate) fn apply(node: Option<&Arc<Node>>, changes: &[Change<'_>], place: Place) -> Subtree {
    if changes.is_empty() {
        return node.cloned();
    }
    match node.map(|node| (node, node.kind())) {
        None => build(changes, place),
        Some((node, Kind::Leaf { .. })) => apply_to_leaf(node, changes, place),
        Some((node, Kind::Extension { path, child })) => {
            apply_to_extension(Some(node), Nibbles::of_packed(path), child, changes, place)
        }
        Some((node, Kind::Branch { value, .. })) => {
            let value = value.as_ref().map(|value| value.as_value());
            let old = Old { node: Some(node), value, child: &|index| node.child(index).cloned() };
            apply_to_branch(&old, changes, place)
        }
        Some((_, Kind::Dismantled)) => unreachable!("a shared node is whole"),
    }
}

fn apply_below(node: Option<&Arc<Node>>, changes: &[Change<'_>], place: Place) -> Subtree {
    if !place.nodes.is_multiple_of(NODES_PER_STACK) {
        return apply(node, changes, place);
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || apply(node, changes, place))
            .expect("the system gives a thread")
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A subtree where there was none: removals mean nothing here.
fn build(changes: &[Change<'_>], place: Place) -> Subtree {
    let mut present = changes.iter().filter(|change| change.value.is_some());
    let first = present.next()?;
    let Some(last) = present.next_back() else {
        return Some(Node::leaf(first.rest(place), first.value.as_ref()?));
    };
    let path = first.rest(place);
    let path = path.first(path.common_prefix(&last.rest(place)));
    let place = place.further(path.len());
    let from = changes.partition_point(|change| change.key < first.key);
    let to = changes.partition_point(|change| change.key <= last.key);
    let nothing = Old { node: None, value: None, child: &|_| None };
    let branch = apply_to_branch(&nothing, &changes[from..to], place)?;
    Some(Node::extend(path, &branch))
}

fn apply_to_leaf(node: &Arc<Node>, changes: &[Change<'_>], place: Place) -> Subtree {
    let (path, value) = node.leaf_parts();
    let position = changes.binary_search_by(|change| change.rest(place).cmp(&path));
    let others = changes.len() - usize::from(position.is_ok());
    if others == 0 {
        return match &changes[0].value {
            None => None,
            Some(new) if new.bytes() == value.bytes() => Some(node.clone()),
            Some(new) => Some(Node::leaf(path, new)),
        };
    }
    if position.is_ok() {
        return build(changes, place);
    }
    // The leaf itself joins the batch. Its key starts as all of these do.
    let mut key = Vec::new();
    Nibbles::of_key(changes[0].key).first(place.depth).push_to(&mut key);
    path.push_to(&mut key);
    let key = crate::nibbles::to_bytes(&key);
    let at = position.unwrap_err();
    let mut merged: Vec<Change<'_>> = Vec::with_capacity(changes.len() + 1);
    merged.extend_from_slice(&changes[..at]);
    merged.push(Change { key: &key, value: Some(value.clone()) });
    merged.extend_from_slice(&changes[at..]);
    if merged.iter().filter(|change| change.value.is_some()).count() == 1 {
        return Some(node.clone());
    }
    build(&merged, place)
}

/// `path` leads from `place` to `child`; `whole` is the node that says so, if there is one.
fn apply_to_extension(
    whole: Option<&Arc<Node>>,
    path: Nibbles<'_>,
    child: &Arc<Node>,
    changes: &[Change<'_>],
    place: Place,
) -> Subtree {
    // Where the first key that must be added leaves the path.
    let shared = changes
        .iter()
        .filter(|change| change.value.is_some())
        .map(|change| change.rest(place).common_prefix(&path))
        .min()
        .unwrap_or(path.len());
    if shared < path.len() {
        return split_extension(path, shared, child, changes, place);
    }
    let from = changes.partition_point(|change| change.rest(place).first_cmp(&path).is_lt());
    let to = changes.partition_point(|change| change.rest(place).first_cmp(&path).is_le());
    let below = apply_below(Some(child), &changes[from..to], place.below(path.len()))?;
    match whole {
        Some(whole) if Arc::ptr_eq(&below, child) => Some(whole.clone()),
        _ => Some(Node::extend(path, &below)),
    }
}

fn split_extension(
    path: Nibbles<'_>,
    shared: usize,
    child: &Arc<Node>,
    changes: &[Change<'_>],
    place: Place,
) -> Subtree {
    let head = path.first(shared);
    let from = changes.partition_point(|change| change.rest(place).first_cmp(&head).is_lt());
    let to = changes.partition_point(|change| change.rest(place).first_cmp(&head).is_le());
    let index = path.at(shared);
    let tail = path.skip(shared + 1);
    let below = Node::extend(tail, child);
    let old = Old { node: None, value: None, child: &|asked| (asked == index).then(|| below.clone()) };
    let branch = apply_to_branch(&old, &changes[from..to], place.further(shared))?;
    Some(Node::extend(head, &branch))
}

/// What stood at the place of a branch.
struct Old<'a> {
    node: Option<&'a Arc<Node>>,
    value: Option<Value<'a>>,
    child: &'a dyn Fn(u8) -> Option<Arc<Node>>,
}

fn apply_to_branch(old: &Old<'_>, changes: &[Change<'_>], place: Place) -> Subtree {
    let (own, mut rest) = match changes.split_first() {
        Some((own, rest)) if own.key.len() * 2 == place.depth => (Some(own), rest),
        _ => (None, changes),
    };
    let value = match own {
        Some(own) => own.value.clone(),
        None => old.value.clone(),
    };
    let mut changed = match (&value, &old.value) {
        (Some(new), Some(old)) => new.bytes() != old.bytes(),
        (None, None) => false,
        _ => true,
    };
    if let Some(node) = old.node {
        node.prefetch_children();
    }
    let mut bitmap = 0u16;
    let mut children = Vec::with_capacity(16);
    for index in 0..16 {
        let before = (old.child)(index);
        let count = rest.iter().take_while(|change| change.rest(place).at(0) == index).count();
        let (mine, others) = rest.split_at(count);
        rest = others;
        let after = if mine.is_empty() {
            before
        } else {
            let after = apply_below(before.as_ref(), mine, place.below(1));
            changed |= match (&before, &after) {
                (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
                (None, None) => false,
                _ => true,
            };
            after
        };
        if let Some(child) = after {
            bitmap |= 1 << index;
            children.push(child);
        }
    }
    match old.node {
        Some(node) if !changed => Some(node.clone()),
        _ => normalise(bitmap, children, value),
    }
}

/// The node that stands for this: a branch only when two or more things are below.
fn normalise(bitmap: u16, children: Vec<Arc<Node>>, value: Option<Value<'_>>) -> Subtree {
    match (children.len(), &value) {
        (0, None) => None,
        (0, Some(value)) => Some(Node::leaf(Nibbles::of_key(&[]), value)),
        (1, None) => {
            let index = [bitmap.trailing_zeros() as u8];
            Some(Node::extend(Nibbles::single(&index), &children[0]))
        }
        _ => Some(Node::branch(bitmap, children, value.as_ref())),
    }
}
