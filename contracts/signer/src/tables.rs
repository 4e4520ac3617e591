//! Maps and sets of few entries, and records of their own.
//!
//! A sorted vector does for a dozen participants what a tree does, in a tenth of the code: every type of key and value
//! would bring its own copy of a tree into the wasm, and every call pays for each byte of that.

use std::marker::PhantomData;

use near_sdk::borsh::{self, BorshDeserialize, BorshSerialize};
use near_sdk::env;
use near_sdk::serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use near_sdk::serde::ser::{Serialize, Serializer};

/// A map sorted by key. Borsh and JSON forms are those of any map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize)]
#[borsh(crate = "near_sdk::borsh")]
pub struct Table<K, V>(Vec<(K, V)>);

/// Elements in order, each once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize)]
#[borsh(crate = "near_sdk::borsh")]
pub struct Set<T>(Vec<T>);

/// Values of the contract's state, each in a record of its own: a byte that names the kind, then the key.
#[derive(BorshSerialize, BorshDeserialize)]
#[borsh(crate = "near_sdk::borsh")]
pub struct Records<K, V> {
    prefix: u8,
    of: PhantomData<(K, V)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Table<K, V> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(key))
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    pub fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    pub fn insert(&mut self, key: K, value: V) {
        match self.find(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.0.retain(|(key, _)| keep(key));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_entries(self) -> Vec<(K, V)> {
        self.0
    }
}

impl<T: Ord> Set<T> {
    pub fn insert(&mut self, element: T) {
        if let Err(at) = self.0.binary_search(&element) {
            self.0.insert(at, element);
        }
    }

    pub fn contains(&self, element: &T) -> bool {
        self.0.binary_search(element).is_ok()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut table = Self::default();
        entries.into_iter().for_each(|(key, value)| table.insert(key, value));
        table
    }
}

impl<T: Ord> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut set = Self::default();
        elements.into_iter().for_each(|element| set.insert(element));
        set
    }
}

fn check_order(is_sorted: bool) -> Result<(), borsh::io::Error> {
    let error = || borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, "keys must increase");
    is_sorted.then_some(()).ok_or_else(error)
}

impl<K: Ord + BorshDeserialize, V: BorshDeserialize> BorshDeserialize for Table<K, V> {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let entries: Vec<(K, V)> = BorshDeserialize::deserialize_reader(reader)?;
        check_order(entries.windows(2).all(|pair| pair[0].0 < pair[1].0))?;
        Ok(Self(entries))
    }
}

impl<T: Ord + BorshDeserialize> BorshDeserialize for Set<T> {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let elements: Vec<T> = BorshDeserialize::deserialize_reader(reader)?;
        check_order(elements.windows(2).all(|pair| pair[0] < pair[1]))?;
        Ok(Self(elements))
    }
}

impl<K: Serialize, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<T: Serialize> Serialize for Set<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de, T: Ord + Deserialize<'de>> Deserialize<'de> for Set<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Vec<T> as Deserialize>::deserialize(deserializer).map(|elements| elements.into_iter().collect())
    }
}

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Table<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = Table<K, V>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut table = Table::default();
                while let Some((key, value)) = access.next_entry()? {
                    table.insert(key, value);
                }
                Ok(table)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<K: BorshSerialize, V: BorshSerialize + BorshDeserialize> Records<K, V> {
    pub fn new(prefix: crate::StorageKey) -> Self {
        Self { prefix: prefix as u8, of: PhantomData }
    }

    fn make_key(&self, key: &K) -> Vec<u8> {
        let mut bytes = vec![self.prefix];
        write(&mut bytes, key);
        bytes
    }

    pub fn contains(&self, key: &K) -> bool {
        env::storage_has_key(&self.make_key(key))
    }

    pub fn get(&self, key: &K) -> Option<V> {
        env::storage_read(&self.make_key(key)).map(|bytes| read(&bytes))
    }

    pub fn insert(&mut self, key: &K, value: &V) {
        let mut bytes = Vec::new();
        write(&mut bytes, value);
        env::storage_write(&self.make_key(key), &bytes);
    }

    pub fn remove(&mut self, key: &K) {
        env::storage_remove(&self.make_key(key));
    }

    /// Remove and give what was there.
    pub fn take(&mut self, key: &K) -> Option<V> {
        let key = self.make_key(key);
        let is_removed = env::storage_remove(&key);
        is_removed.then(env::storage_get_evicted).flatten().map(|bytes| read(&bytes))
    }
}

fn write(bytes: &mut Vec<u8>, value: &impl BorshSerialize) {
    if value.serialize(bytes).is_err() {
        env::panic_str("a record has a borsh form");
    }
}

fn read<V: BorshDeserialize>(bytes: &[u8]) -> V {
    V::try_from_slice(bytes).unwrap_or_else(|_| env::panic_str("a record is of an unknown form"))
}
