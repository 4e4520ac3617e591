//! Trie nodes: immutable, shared, hashed when made.
//!
//! The hash covers the node's borsh form followed by its memory usage, which is
//! NEAR's price model of the subtree (50 a node, 2 a byte of packed path, 1 a byte
//! of value and 50 a value), not the memory that is really used.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::nibbles::Nibbles;

pub type Hash = [u8; 32];

const COST_NODE: u64 = 50;
const COST_KEY_BYTE: u64 = 2;
const COST_VALUE_BYTE: u64 = 1;
const COST_VALUE: u64 = 50;

/// Values up to this size live inside their leaf; larger ones are shared.
const INLINE_SIZE_MAX: usize = 256;

pub fn sha256(data: &[u8]) -> Hash {
    Sha256::digest(data).into()
}

/// A value that is too large to be copied when its leaf is rebuilt.
#[derive(Debug)]
pub(crate) struct LargeValue {
    hash: Hash,
    bytes: Box<[u8]>,
}

/// A value on its way into a node.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Inline(&'a [u8]),
    Large(Arc<LargeValue>),
}

impl<'a> Value<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        if bytes.len() <= INLINE_SIZE_MAX {
            Value::Inline(bytes)
        } else {
            Value::Large(Arc::new(LargeValue { hash: sha256(bytes), bytes: bytes.into() }))
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Value::Inline(bytes) => bytes,
            Value::Large(value) => &value.bytes,
        }
    }

    pub fn hash(&self) -> Hash {
        match self {
            Value::Inline(bytes) => sha256(bytes),
            Value::Large(value) => value.hash,
        }
    }
}

#[derive(Debug)]
pub(crate) enum BranchValue {
    Inline(Box<[u8]>),
    Large(Arc<LargeValue>),
}

impl BranchValue {
    fn new(value: &Value<'_>) -> Self {
        match value {
            Value::Inline(bytes) => BranchValue::Inline((*bytes).into()),
            Value::Large(value) => BranchValue::Large(value.clone()),
        }
    }

    pub fn as_value(&self) -> Value<'_> {
        match self {
            BranchValue::Inline(bytes) => Value::Inline(bytes),
            BranchValue::Large(value) => Value::Large(value.clone()),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// `data` is the packed path followed by the value, unless that is `large`.
    Leaf {
        path_len: u32,
        data: Box<[u8]>,
        large: Option<Arc<LargeValue>>,
    },
    /// Bit n of `bitmap` tells whether child n is there; `children` holds those in order.
    Branch {
        bitmap: u16,
        children: Box<[Arc<Node>]>,
        value: Option<Box<BranchValue>>,
    },
    Extension {
        path: Box<[u8]>,
        child: Arc<Node>,
    },
    /// What a node becomes while it is taken apart.
    Dismantled,
}

#[derive(Debug)]
pub(crate) struct Node {
    hash: Hash,
    memory_usage: u64,
    kind: Kind,
}

impl Node {
    pub fn leaf(path: Nibbles<'_>, value: &Value<'_>) -> Arc<Node> {
        Self::leaf_joined(path, path.skip(path.len()), value)
    }

    /// A leaf whose path is `path` followed by `tail`.
    fn leaf_joined(path: Nibbles<'_>, tail: Nibbles<'_>, value: &Value<'_>) -> Arc<Node> {
        let path_len = 1 + (path.len() + tail.len()) / 2;
        let (inline, large) = match value {
            Value::Inline(bytes) => (*bytes, None),
            Value::Large(value) => (&[][..], Some(value.clone())),
        };
        let mut data = Vec::with_capacity(path_len + inline.len());
        path.pack_joined(tail, true, &mut data);
        data.extend_from_slice(inline);
        let length = value.bytes().len() as u64;
        let memory_usage =
            COST_NODE + COST_KEY_BYTE * path_len as u64 + COST_VALUE + COST_VALUE_BYTE * length;
        Self::finish(memory_usage, Kind::Leaf { path_len: path_len as u32, data: data.into(), large })
    }

    pub fn branch(bitmap: u16, children: Vec<Arc<Node>>, value: Option<&Value<'_>>) -> Arc<Node> {
        debug_assert_eq!(bitmap.count_ones() as usize, children.len());
        let own = value.map_or(0, |value| COST_VALUE + COST_VALUE_BYTE * value.bytes().len() as u64);
        let below: u64 = children.iter().map(|child| child.memory_usage).sum();
        let value = value.map(|value| Box::new(BranchValue::new(value)));
        Self::finish(COST_NODE + own + below, Kind::Branch { bitmap, children: children.into(), value })
    }

    /// The node that lies `path` above `child`: a longer leaf or extension, or a new one
    /// above a branch. This keeps the shape of the trie a function of its content.
    pub fn extend(path: Nibbles<'_>, child: &Arc<Node>) -> Arc<Node> {
        if path.is_empty() {
            return child.clone();
        }
        match &child.kind {
            Kind::Leaf { .. } => {
                let (tail, value) = child.leaf_parts();
                Self::leaf_joined(path, tail, &value)
            }
            Kind::Extension { path: tail, child } => {
                Self::extension_joined(path, Nibbles::of_packed(tail), child)
            }
            Kind::Branch { .. } => Self::extension_joined(path, path.skip(path.len()), child),
            Kind::Dismantled => unreachable!("a shared node is whole"),
        }
    }

    fn extension_joined(path: Nibbles<'_>, tail: Nibbles<'_>, child: &Arc<Node>) -> Arc<Node> {
        let mut packed = Vec::with_capacity(1 + (path.len() + tail.len()) / 2);
        path.pack_joined(tail, false, &mut packed);
        let memory_usage = COST_NODE + COST_KEY_BYTE * packed.len() as u64 + child.memory_usage;
        let child = child.clone();
        Self::finish(memory_usage, Kind::Extension { path: packed.into(), child })
    }

    fn finish(memory_usage: u64, kind: Kind) -> Arc<Node> {
        let mut node = Node { hash: [0; 32], memory_usage, kind };
        let mut hasher = Sha256::new();
        node.encode(&mut |bytes| hasher.update(bytes));
        node.hash = hasher.finalize().into();
        Arc::new(node)
    }

    pub fn hash(&self) -> &Hash {
        &self.hash
    }

    pub fn memory_usage(&self) -> u64 {
        self.memory_usage
    }

    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Path and value of a leaf.
    pub fn leaf_parts(&self) -> (Nibbles<'_>, Value<'_>) {
        let Kind::Leaf { path_len, data, large } = &self.kind else {
            unreachable!("asked of leaves only");
        };
        let (path, inline) = data.split_at(*path_len as usize);
        let value = match large {
            Some(value) => Value::Large(value.clone()),
            None => Value::Inline(inline),
        };
        (Nibbles::of_packed(path), value)
    }

    pub fn child(&self, index: u8) -> Option<&Arc<Node>> {
        let Kind::Branch { bitmap, children, .. } = &self.kind else {
            unreachable!("asked of branches only");
        };
        let bit = 1u16 << index;
        (bitmap & bit != 0).then(|| &children[(bitmap & (bit - 1)).count_ones() as usize])
    }

    /// The value that this node holds, if it is a leaf or a branch with one.
    pub fn value(&self) -> Option<Value<'_>> {
        match &self.kind {
            Kind::Leaf { .. } => Some(self.leaf_parts().1),
            Kind::Branch { value, .. } => value.as_ref().map(|value| value.as_value()),
            _ => None,
        }
    }

    /// Size of the borsh form, memory usage included.
    pub fn encoded_len(&self) -> usize {
        let body = match &self.kind {
            Kind::Leaf { path_len, .. } => 4 + *path_len as usize + 36,
            Kind::Branch { children, value, .. } => {
                2 + 32 * children.len() + if value.is_some() { 36 } else { 0 }
            }
            Kind::Extension { path, .. } => 4 + path.len() + 32,
            Kind::Dismantled => unreachable!("a shared node is whole"),
        };
        1 + body + 8
    }

    pub fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode(&mut |part| bytes.extend_from_slice(part));
        bytes
    }

    fn encode(&self, put: &mut impl FnMut(&[u8])) {
        match &self.kind {
            Kind::Leaf { path_len, data, .. } => {
                put(&[0]);
                put(&path_len.to_le_bytes());
                put(&data[..*path_len as usize]);
                encode_value_ref(&self.leaf_parts().1, put);
            }
            Kind::Branch { bitmap, children, value } => {
                match value {
                    None => put(&[1]),
                    Some(value) => {
                        put(&[2]);
                        encode_value_ref(&value.as_value(), put);
                    }
                }
                put(&bitmap.to_le_bytes());
                children.iter().for_each(|child| put(&child.hash));
            }
            Kind::Extension { path, child } => {
                put(&[3]);
                put(&(path.len() as u32).to_le_bytes());
                put(path);
                put(&child.hash);
            }
            Kind::Dismantled => unreachable!("a shared node is whole"),
        }
        put(&self.memory_usage.to_le_bytes());
    }

    /// Ask for the children's memory at once: counting a reference to each stalls on each otherwise.
    pub fn prefetch_children(&self) {
        if let Kind::Branch { children, .. } = &self.kind {
            children.iter().for_each(prefetch);
        }
    }

    fn dismantle(&mut self, rest: &mut Vec<Arc<Node>>) {
        self.prefetch_children();
        match std::mem::replace(&mut self.kind, Kind::Dismantled) {
            Kind::Branch { children, .. } => rest.extend(children),
            Kind::Extension { child, .. } => rest.push(child),
            Kind::Leaf { .. } | Kind::Dismantled => {}
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn prefetch(node: &Arc<Node>) {
    use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
    // The counters lie right before the node, its hash at the beginning.
    let address = Arc::as_ptr(node).cast::<i8>();
    // SAFETY: a hint only; any address may be named.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(address.wrapping_sub(16));
        _mm_prefetch::<_MM_HINT_T0>(address.wrapping_add(40));
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn prefetch(_node: &Arc<Node>) {}

fn encode_value_ref(value: &Value<'_>, put: &mut impl FnMut(&[u8])) {
    put(&(value.bytes().len() as u32).to_le_bytes());
    put(&value.hash());
}

impl Drop for Node {
    /// Keys of contracts make tries thousands of nodes deep: no recursion here.
    fn drop(&mut self) {
        if matches!(self.kind, Kind::Leaf { .. } | Kind::Dismantled) {
            return;
        }
        let mut rest = Vec::new();
        self.dismantle(&mut rest);
        while let Some(node) = rest.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                node.dismantle(&mut rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stays_small() {
        assert_eq!(std::mem::size_of::<Kind>(), 32);
        assert_eq!(std::mem::size_of::<Node>(), 72);
    }

    #[test]
    fn encoded_len_is_the_length_of_the_encoding() {
        let key = [0x12, 0x34];
        let path = Nibbles::of_key(&key);
        let small = Node::leaf(path, &Value::new(b"value"));
        let large = Node::leaf(path.skip(1), &Value::new(&[7; 1000]));
        let extension_child = Node::branch(0b11, vec![small.clone(), large.clone()], None);
        let nodes = [
            Node::extend(path, &extension_child),
            Node::branch(0b101, vec![small.clone(), large.clone()], Some(&Value::new(b"v"))),
            small,
            large,
            extension_child,
        ];
        for node in nodes {
            assert_eq!(node.encoded_len(), node.encoded().len());
            assert_eq!(node.hash(), &sha256(&node.encoded()));
        }
    }
}
