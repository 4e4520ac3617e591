//! The VM: NEAR's runner behind a bounded cache of compiled code.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hither_state::{ChunkState, Trie};
use near_primitives_core::code::ContractCode;
use near_vm_runner::{noop_background_spawner, precompile_contract, FilesystemContractRuntimeCache};

use crate::call::{self, Call};
use crate::error::Error;
use crate::growth;
use crate::memory::MemoryWatch;
use crate::outcome::CallOutcome;
use crate::parameters::runtime_config;

/// Below the cache directory, so that nothing else of it is taken for compiled code.
const CACHE_FOLDER: &str = "compiled";

/// An interrupted write leaves a file that the cache does not know; none takes this long.
const STALE_FILE_AGE: Duration = Duration::from_secs(600);

/// Shared by all threads; calls run beside each other.
pub struct Vm {
    cache: FilesystemContractRuntimeCache,
    memory: MemoryWatch,
}

impl Vm {
    /// `memory_entries` bounds loaded modules (by 16 MiB each on average, and by count), `disk_bytes` the files.
    pub fn new(cache_dir: &Path, memory_entries: usize, disk_bytes: u64) -> Result<Self, Error> {
        remove_stale_files(&cache_dir.join(CACHE_FOLDER));
        let cache = FilesystemContractRuntimeCache::with_memory_cache(
            cache_dir,
            Some("none"),
            CACHE_FOLDER,
            memory_entries,
            None,
            disk_bytes,
            noop_background_spawner(),
        )
        .map_err(|error| Error::Vm(format!("the cache of compiled code at {cache_dir:?}: {error}")))?;
        Ok(Vm { cache, memory: MemoryWatch::default() })
    }

    /// Compile and cache. That a contract does not compile is cached too, and is no error here.
    pub fn precompile(&self, code: Vec<u8>, protocol_version: u32) -> Result<(), Error> {
        let config = runtime_config(protocol_version)?;
        let config = growth::config_for_code(protocol_version, &code)
            .unwrap_or_else(|| Arc::clone(&config.wasm_config));
        let result = precompile_contract(&ContractCode::new(code, None), config, Some(&self.cache));
        result.map(drop).map_err(|error| Error::Vm(error.to_string()))
    }

    /// Run a method over the overlay; its writes stay uncommitted there, also when it fails.
    pub fn call(&self, state: &ChunkState, call: &Call) -> Result<CallOutcome, Error> {
        self.timed(call, || call::call(&self.cache, state, call))
    }

    /// Run a method that cannot write.
    pub fn view(
        &self,
        trie: &Trie,
        call: &Call,
        interrupt_after_ms: Option<u64>,
    ) -> Result<CallOutcome, Error> {
        self.timed(call, || call::view(&self.cache, trie, call, interrupt_after_ms))
    }

    /// The clock decides only when memory of finished calls is given back.
    fn timed(
        &self,
        call: &Call,
        run: impl FnOnce() -> Result<CallOutcome, Error>,
    ) -> Result<CallOutcome, Error> {
        let started = Instant::now();
        let outcome = run()?;
        self.memory.after_call(started.elapsed(), &self.cache, call.protocol_version)?;
        Ok(outcome)
    }
}

fn remove_stale_files(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let now = SystemTime::now();
    for entry in entries.flatten() {
        let is_temporary = entry.path().extension().is_some_and(|extension| extension == "temp");
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > STALE_FILE_AGE));
        if is_temporary && is_old {
            // Only a waste of space, so a failure may wait for the next start.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
