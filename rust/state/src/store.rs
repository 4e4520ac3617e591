//! Named tables of sorted bytes on disk: LMDB, one synced atomic commit at a time.
//!
//! One process writes, held by a lock on the directory; any number may read. Reads
//! are short transactions of their own. A commit that does not fit into the memory
//! map makes it larger and is tried again. Nothing that weakens durability is on, but for a
//! store that says of itself that it is thrown away.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, MdbError, RoTxn, WithoutTls};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use crate::trie::Pair;

/// LMDB's limit on keys.
pub const KEY_SIZE_MAX: usize = 511;

const MAP_SIZE_MIN: usize = 64 << 20;
const MAP_SIZE_UNIT: usize = 1 << 20;
const READERS_MAX: u32 = 512;
const INPUT_OUTPUT_ERROR: i32 = 5;
const LOCK_FILE: &str = "writer.lock";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller's mistake; nothing was written.
    #[error("{0}")]
    InvalidInput(String),
    /// The disk, the file or another process is in the way; nothing was written.
    #[error("{0}")]
    Failed(String),
}

/// One write: table, key, and the value or none to delete.
pub type StoreWrite<'a> = (&'a str, &'a [u8], Option<&'a [u8]>);

type Table = Database<'static, Bytes, Bytes>;

struct Open {
    env: Env<WithoutTls>,
    /// None: a reader came before the writer that makes the table.
    tables: HashMap<String, Option<Table>>,
    /// Held for as long as this process may write.
    _writer_lock: Option<File>,
}

/// Writes by table and key.
type Writes = BTreeMap<String, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// Unsynced commits are on disk at the latest when they come to this size.
const WAITING_SIZE_MAX: usize = 64 << 20;

/// What is committed but not yet on disk.
#[derive(Default)]
struct Waiting {
    fresh: Writes,
    fresh_size: usize,
    /// What a commit is writing at this moment; `fresh` came later and counts first.
    leaving: Option<Arc<Writes>>,
}

impl Waiting {
    fn get(&self, table: &str, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        let find = |writes: &'_ Writes| writes.get(table).is_some_and(|writes| writes.contains_key(key));
        if find(&self.fresh) {
            return self.fresh.get(table)?.get(key);
        }
        self.leaving.as_ref()?.get(table)?.get(key)
    }

    fn range(&self, table: &str, bounds: KeyBounds<'_>) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        for writes in self.leaving.as_deref().into_iter().chain([&self.fresh]) {
            if let Some(writes) = writes.get(table) {
                let range = writes.range::<[u8], _>(bounds);
                found.extend(range.map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        found
    }

    fn add(&mut self, writes: &[StoreWrite<'_>]) {
        for (table, key, value) in writes {
            self.fresh_size += key.len() + value.map_or(0, <[u8]>::len);
            let value = value.map(<[u8]>::to_vec);
            match self.fresh.get_mut(*table) {
                Some(writes) => writes.insert(key.to_vec(), value),
                None => self.fresh.entry((*table).to_owned()).or_default().insert(key.to_vec(), value),
            };
        }
    }

    /// Begin to write all of it.
    fn leave(&mut self) -> Arc<Writes> {
        self.fresh_size = 0;
        let leaving = Arc::new(std::mem::take(&mut self.fresh));
        self.leaving = Some(leaving.clone());
        leaving
    }

    /// The write failed: everything waits again.
    fn come_back(&mut self) {
        let Some(leaving) = self.leaving.take() else { return };
        for (table, writes) in leaving.iter() {
            let fresh = self.fresh.entry(table.clone()).or_default();
            for (key, value) in writes {
                self.fresh_size += key.len() + value.as_ref().map_or(0, Vec::len);
                fresh.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

type KeyBounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// What an opened store may do, and what it withstands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Reading,
    /// What is committed stays, whatever happens to the process or the machine.
    Writing,
    /// The system writes to disk when it likes: commits outlive the process, but a machine that
    /// stops may leave a file that nobody can read. For folders that are thrown away in the end.
    WritingThrowaway,
}

pub struct Store {
    path: PathBuf,
    is_read_only: bool,
    tables: HashSet<String>,
    /// Taken for writing only to change the map's size or to close: no transaction is open then.
    open: RwLock<Option<Open>>,
    /// Held during a commit.
    commit_lock: Mutex<()>,
    waiting: Mutex<Waiting>,
}

impl Store {
    /// Open the tables at `path`, which is made if need be. A second writer is refused.
    pub fn open(path: &Path, tables: &[String], access: Access) -> Result<Store, StoreError> {
        let store = Store {
            path: path.to_owned(),
            is_read_only: access == Access::Reading,
            tables: tables.iter().cloned().collect(),
            open: RwLock::new(None),
            commit_lock: Mutex::new(()),
            waiting: Mutex::default(),
        };
        let opened = store.open_env(tables, access)?;
        *store.open.write() = Some(opened);
        Ok(store)
    }

    fn open_env(&self, tables: &[String], access: Access) -> Result<Open, StoreError> {
        let writer_lock = match self.is_read_only {
            true => None,
            false => {
                std::fs::create_dir_all(&self.path).map_err(|error| self.io_error("make", &error))?;
                Some(self.take_writer_lock()?)
            }
        };
        let data = self.path.join("data.mdb");
        let size = std::fs::metadata(&data).map_or(0, |metadata| metadata.len() as usize);
        if self.is_read_only && size == 0 {
            return Err(self.failed("there is no database"));
        }
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(round_map_size(size * 2)).max_dbs(tables.len() as u32 + 1).max_readers(READERS_MAX);
        let flags = match access {
            Access::Reading => EnvFlags::READ_ONLY,
            Access::Writing => EnvFlags::empty(),
            Access::WritingThrowaway => EnvFlags::NO_SYNC,
        };
        // SAFETY: reading only weakens nothing; a store that is thrown away asked for less.
        unsafe { options.flags(flags) };
        // SAFETY: the files are changed by LMDB alone, under its own locks.
        let env = unsafe { options.open(&self.path) }.map_err(|error| self.heed_error("open", &error))?;
        env.clear_stale_readers().map_err(|error| self.heed_error("open", &error))?;
        let mut handles = HashMap::new();
        for name in tables {
            let table = match self.is_read_only {
                true => open_table(&env, name),
                false => make_table(&env, name).map(Some),
            };
            handles.insert(name.clone(), table.map_err(|error| self.heed_error("open", &error))?);
        }
        Ok(Open { env, tables: handles, _writer_lock: writer_lock })
    }

    fn take_writer_lock(&self) -> Result<File, StoreError> {
        let path = self.path.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| self.io_error("lock", &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner);
                let owner = owner.trim();
                return Err(self.failed(&format!("process {owner} has it open for writing")));
            }
            Err(TryLockError::Error(error)) => return Err(self.io_error("lock", &error)),
        }
        let write_owner = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write_owner(&mut file).map_err(|error| self.io_error("lock", &error))?;
        Ok(file)
    }

    pub fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check_key(table, key)?;
        if let Some(value) = self.waiting.lock().get(table, key) {
            return Ok(value.clone());
        }
        self.read(table, |table, txn| Ok(table.get(txn, key)?.map(<[u8]>::to_vec)), None)
    }

    /// Pairs with `start <= key < end`, in key order or from the end.
    pub fn scan(
        &self,
        table: &str,
        start: &[u8],
        end: Option<&[u8]>,
        limit: Option<usize>,
        is_reverse: bool,
    ) -> Result<Vec<Pair>, StoreError> {
        let bounds = key_bounds(start, end)?;
        if limit == Some(0) || end.is_some_and(|end| end <= start) {
            self.check_table(table)?;
            return Ok(Vec::new());
        }
        let waiting = self.waiting.lock().range(table, bounds);
        let enough = limit.map_or(usize::MAX, |limit| limit.saturating_add(waiting.len()));
        let collect = |table: &Table, txn: &RoTxn<'_, WithoutTls>| {
            let mut pairs = Vec::new();
            if is_reverse {
                for pair in table.rev_range(txn, &bounds)?.take(enough) {
                    let (key, value) = pair?;
                    pairs.push((key.to_vec(), value.to_vec()));
                }
            } else {
                for pair in table.range(txn, &bounds)?.take(enough) {
                    let (key, value) = pair?;
                    pairs.push((key.to_vec(), value.to_vec()));
                }
            }
            Ok(pairs)
        };
        let mut pairs = self.read(table, collect, Some(Vec::new()))?;
        if !waiting.is_empty() {
            pairs = merge(pairs, waiting, is_reverse);
            pairs.truncate(limit.unwrap_or(usize::MAX));
        }
        Ok(pairs)
    }

    /// Call `visit` with each pair of `start <= key < end`, without copying unless writes wait there;
    /// it ends the walk with false.
    pub fn visit(
        &self,
        table: &str,
        start: &[u8],
        end: Option<&[u8]>,
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let bounds = key_bounds(start, end)?;
        if !self.waiting.lock().range(table, bounds).is_empty() {
            let pairs = self.scan(table, start, end, None, false)?;
            pairs.iter().all(|(key, value)| visit(key, value));
            return Ok(());
        }
        let walk = |table: &Table, txn: &RoTxn<'_, WithoutTls>| {
            for pair in table.range(txn, &bounds)? {
                let (key, value) = pair?;
                if !visit(key, value) {
                    break;
                }
            }
            Ok(())
        };
        self.read(table, walk, Some(()))
    }

    /// All of it or nothing. With `is_synced` it is on disk on return, together with everything
    /// that waited; without, it waits in memory for that, and only this object sees it. A failed
    /// commit keeps what waited waiting.
    pub fn commit(&self, writes: &[StoreWrite<'_>], is_synced: bool) -> Result<(), StoreError> {
        if self.is_read_only {
            return Err(StoreError::InvalidInput(format!(
                "{} is open for reading only",
                self.path.display()
            )));
        }
        for (table, key, _) in writes {
            self.check_key(table, key)?;
        }
        if self.open.read().is_none() {
            return Err(self.failed("it is closed"));
        }
        if !is_synced {
            let mut waiting = self.waiting.lock();
            waiting.add(writes);
            if waiting.fresh_size <= WAITING_SIZE_MAX {
                return Ok(());
            }
            drop(waiting);
            return self.commit(&[], true);
        }
        let _turn = self.commit_lock.lock();
        let earlier = self.waiting.lock().leave();
        let outcome = self.commit_now(&earlier, writes);
        let mut waiting = self.waiting.lock();
        match &outcome {
            Ok(()) => waiting.leaving = None,
            Err(_) => waiting.come_back(),
        }
        outcome
    }

    fn commit_now(&self, earlier: &Writes, writes: &[StoreWrite<'_>]) -> Result<(), StoreError> {
        let earlier = || {
            earlier.iter().flat_map(|(name, writes)| {
                writes.iter().map(move |(key, value)| (name.as_str(), key.as_slice(), value.as_deref()))
            })
        };
        loop {
            match self.try_commit(earlier().chain(writes.iter().copied())) {
                Ok(()) => return Ok(()),
                Err(heed::Error::Mdb(MdbError::MapFull)) => {
                    let size = |(_, key, value): StoreWrite<'_>| key.len() + value.map_or(0, <[u8]>::len);
                    self.grow_map(earlier().chain(writes.iter().copied()).map(size).sum())?;
                }
                Err(error) => return Err(self.heed_error("write", &error)),
            }
        }
    }

    fn try_commit<'a>(&self, writes: impl Iterator<Item = StoreWrite<'a>>) -> Result<(), heed::Error> {
        let guard = self.open.read();
        let open = guard.as_ref().ok_or(heed::Error::Mdb(MdbError::Panic))?;
        let table = |name: &str| open.tables[name].expect("a writer makes every table");
        let mut txn = open.env.write_txn()?;
        for (name, key, value) in writes {
            match value {
                Some(value) => table(name).put(&mut txn, key, value)?,
                None => {
                    table(name).delete(&mut txn, key)?;
                }
            }
        }
        txn.commit()
    }

    fn grow_map(&self, needed: usize) -> Result<(), StoreError> {
        let guard = self.open.write();
        let open = guard.as_ref().ok_or_else(|| self.failed("it is closed"))?;
        let size = round_map_size(open.env.info().map_size * 2 + 2 * needed);
        // SAFETY: holding the lock for writing, no transaction of this process is open.
        unsafe { open.env.resize(size) }.map_err(|error| self.heed_error("grow", &error))
    }

    /// Run `work` in a read transaction; `absent` is the answer for a table that is not made yet.
    fn read<T>(
        &self,
        table: &str,
        mut work: impl FnMut(&Table, &RoTxn<'_, WithoutTls>) -> Result<T, heed::Error>,
        absent: Option<T>,
    ) -> Result<T, StoreError>
    where
        T: Default,
    {
        self.check_table(table)?;
        loop {
            {
                let guard = self.open.read();
                let open = self.must_be_open(&guard)?;
                let Some(handle) = open.tables[table] else {
                    return Ok(absent.unwrap_or_default());
                };
                match open.env.read_txn() {
                    Ok(txn) => return work(&handle, &txn).map_err(|error| self.heed_error("read", &error)),
                    Err(heed::Error::Mdb(MdbError::MapResized)) => {}
                    Err(error) => return Err(self.heed_error("read", &error)),
                };
            }
            let guard = self.open.write();
            let open = guard.as_ref().ok_or_else(|| self.failed("it is closed"))?;
            // SAFETY: as in `grow_map`. Zero takes the size that the writer chose.
            unsafe { open.env.resize(0) }.map_err(|error| self.heed_error("read", &error))?;
        }
    }

    /// Bytes that the database takes on disk.
    pub fn size_bytes(&self) -> Result<u64, StoreError> {
        let guard = self.open.read();
        let open = self.must_be_open(&guard)?;
        open.env.real_disk_size().map_err(|error| self.heed_error("read", &error))
    }

    /// Commit what waits and let go of the files. A second time does nothing.
    pub fn close(&self) -> Result<(), StoreError> {
        if !self.is_read_only && !self.waiting.lock().fresh.is_empty() {
            self.commit(&[], true)?;
        }
        self.open.write().take();
        Ok(())
    }

    fn must_be_open<'a>(&self, guard: &'a RwLockReadGuard<'_, Option<Open>>) -> Result<&'a Open, StoreError> {
        guard.as_ref().ok_or_else(|| self.failed("it is closed"))
    }

    fn check_table(&self, table: &str) -> Result<(), StoreError> {
        match self.tables.contains(table) {
            true => Ok(()),
            false => Err(StoreError::InvalidInput(format!("there is no table {table:?}"))),
        }
    }

    fn check_key(&self, table: &str, key: &[u8]) -> Result<(), StoreError> {
        self.check_table(table)?;
        if key.is_empty() || key.len() > KEY_SIZE_MAX {
            return Err(StoreError::InvalidInput(format!(
                "a key has 1 to {KEY_SIZE_MAX} bytes, not {}",
                key.len()
            )));
        }
        Ok(())
    }

    fn failed(&self, reason: &str) -> StoreError {
        StoreError::Failed(format!("database {}: {reason}", self.path.display()))
    }

    fn io_error(&self, action: &str, error: &std::io::Error) -> StoreError {
        let path = self.path.display();
        // LMDB reports a write that the disk took only in part as an input/output error.
        let is_partial = action == "write" && error.raw_os_error() == Some(INPUT_OUTPUT_ERROR);
        let reason = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => "no space left",
            _ if is_partial => "no space left, or the disk fails",
            _ => return StoreError::Failed(format!("database {path}: cannot {action} it: {error}")),
        };
        StoreError::Failed(format!(
            "database {path}: {reason}: the last commit was not made, all earlier ones are kept; \
             free some space and start again ({error})"
        ))
    }

    fn heed_error(&self, action: &str, error: &heed::Error) -> StoreError {
        match error {
            heed::Error::Io(error) => self.io_error(action, error),
            heed::Error::Mdb(MdbError::Other(code)) => {
                self.io_error(action, &std::io::Error::from_raw_os_error(*code))
            }
            heed::Error::EnvAlreadyOpened => self.failed("this process has it open already"),
            error => self.failed(&format!("cannot {action} it: {error}")),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// LMDB cannot look for an empty key, nor for one that it could not hold.
fn key_bounds<'a>(start: &'a [u8], end: Option<&'a [u8]>) -> Result<KeyBounds<'a>, StoreError> {
    if start.len().max(end.map_or(0, <[u8]>::len)) > KEY_SIZE_MAX {
        return Err(StoreError::InvalidInput(format!("a bound has at most {KEY_SIZE_MAX} bytes")));
    }
    let first = if start.is_empty() { Bound::Unbounded } else { Bound::Included(start) };
    Ok((first, end.map_or(Bound::Unbounded, Bound::Excluded)))
}

fn make_table(env: &Env<WithoutTls>, name: &str) -> Result<Table, heed::Error> {
    let txn = env.write_txn()?;
    let made = env.create_databases_and_commit(txn, |opener, txn| {
        opener.create_database::<Bytes, Bytes>(txn, Some(name)).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    Ok(made.unwrap_commit())
}

fn open_table(env: &Env<WithoutTls>, name: &str) -> Result<Option<Table>, heed::Error> {
    let txn = env.read_txn()?;
    let opened = env.open_databases_and_commit(txn, |opener, txn| {
        opener.open_database::<Bytes, Bytes>(txn, Some(name)).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    Ok(opened.unwrap_commit())
}

fn round_map_size(size: usize) -> usize {
    size.max(MAP_SIZE_MIN).next_multiple_of(MAP_SIZE_UNIT)
}

fn merge(pairs: Vec<Pair>, waiting: BTreeMap<Vec<u8>, Option<Vec<u8>>>, is_reverse: bool) -> Vec<Pair> {
    let mut merged: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
        pairs.into_iter().map(|(key, value)| (key, Some(value))).collect();
    merged.extend(waiting);
    let present = merged.into_iter().filter_map(|(key, value)| value.map(|value| (key, value)));
    match is_reverse {
        true => present.rev().collect(),
        false => present.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What LMDB itself says of an environment: only one that is thrown away may leave syncing to the system.
    #[test]
    fn only_a_throwaway_store_does_not_sync() {
        for (access, is_synced) in [(Access::Writing, true), (Access::WritingThrowaway, false)] {
            let folder =
                std::env::temp_dir().join(format!("hither-store-{}-{is_synced}", std::process::id()));
            let store = Store::open(&folder, &["state".to_owned()], access).expect("a new folder");
            store.commit(&[("state", b"key", Some(b"value"))], true).expect("space");
            let flags =
                store.open.read().as_ref().expect("it is open").env.flags().expect("an open environment");
            store.close().expect("nothing waits");
            let reader = Store::open(&folder, &["state".to_owned()], Access::Reading).expect("it was made");
            assert_eq!(reader.get("state", b"key").expect("it can be read"), Some(b"value".to_vec()));
            drop(reader);
            std::fs::remove_dir_all(&folder).expect("it is ours");
            let weakening = EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC | EnvFlags::MAP_ASYNC;
            assert_eq!(!flags.expect("flags that heed knows").intersects(weakening), is_synced);
        }
    }
}
