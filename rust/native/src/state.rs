//! State for Python: tries and the overlay of a chunk.

use hither_state as state;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::error::invalid_input;

pub(crate) type Pair<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

pub(crate) fn optional_bytes<'py>(py: Python<'py>, value: Option<&[u8]>) -> Option<Bound<'py, PyBytes>> {
    value.map(|bytes| PyBytes::new(py, bytes))
}

pub(crate) fn pairs_to_python<'py>(py: Python<'py>, pairs: &[state::Pair]) -> Vec<Pair<'py>> {
    pairs.iter().map(|(key, value)| (PyBytes::new(py, key), PyBytes::new(py, value))).collect()
}

#[pyclass(frozen, module = "hither_native")]
#[derive(Clone)]
pub struct Trie(pub state::Trie);

#[pymethods]
impl Trie {
    #[new]
    fn new() -> Self {
        Trie(state::Trie::new())
    }

    #[getter]
    fn root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.root())
    }

    #[getter]
    fn memory_usage(&self) -> u64 {
        self.0.memory_usage()
    }

    #[pyo3(signature = (key, /))]
    fn get<'py>(&self, py: Python<'py>, key: &[u8]) -> Option<Bound<'py, PyBytes>> {
        optional_bytes(py, self.0.get(key).as_deref())
    }

    #[pyo3(signature = (prefix, after=None, limit=None))]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: Option<usize>,
    ) -> Vec<Pair<'py>> {
        let pairs = py.detach(|| self.0.scan(prefix, after, limit));
        pairs_to_python(py, &pairs)
    }

    #[pyo3(signature = (prefix, /))]
    fn prove<'py>(&self, py: Python<'py>, prefix: &[u8]) -> Vec<Bound<'py, PyBytes>> {
        let nodes = py.detach(|| self.0.prove(prefix));
        nodes.iter().map(|node| PyBytes::new(py, node)).collect()
    }

    #[pyo3(signature = (changes, /))]
    fn update(&self, changes: &Bound<'_, PyList>) -> PyResult<Trie> {
        let py = changes.py();
        let changes: Vec<(Bound<'_, PyBytes>, Option<Bound<'_, PyBytes>>)> = changes.extract()?;
        let changes: Vec<(&[u8], Option<&[u8]>)> = changes
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_ref().map(|value| value.as_bytes())))
            .collect();
        Ok(Trie(py.detach(|| self.0.update(&changes))))
    }
}

#[pyclass(frozen, module = "hither_native")]
#[derive(Clone)]
pub struct ChunkState(pub state::ChunkState);

#[pymethods]
impl ChunkState {
    #[new]
    fn new(trie: &Trie) -> Self {
        ChunkState(state::ChunkState::new(trie.0.clone()))
    }

    #[pyo3(signature = (key, /))]
    fn get<'py>(&self, py: Python<'py>, key: &[u8]) -> Option<Bound<'py, PyBytes>> {
        optional_bytes(py, self.0.get(key).as_deref())
    }

    #[pyo3(signature = (key, /))]
    fn has(&self, key: &[u8]) -> bool {
        self.0.has(key)
    }

    #[pyo3(signature = (key, /))]
    fn get_unrecorded<'py>(&self, py: Python<'py>, key: &[u8]) -> Option<Bound<'py, PyBytes>> {
        optional_bytes(py, self.0.get_unrecorded(key).as_deref())
    }

    #[pyo3(signature = (key, /))]
    fn get_before_chunk<'py>(&self, py: Python<'py>, key: &[u8]) -> Option<Bound<'py, PyBytes>> {
        optional_bytes(py, self.0.get_before_chunk(key).as_deref())
    }

    #[pyo3(signature = (key, /))]
    fn get_reference<'py>(&self, py: Python<'py>, key: &[u8]) -> Option<(u32, Bound<'py, PyBytes>)> {
        self.0.get_reference(key).map(|(length, hash)| (length, PyBytes::new(py, &hash)))
    }

    #[pyo3(signature = (key, value, /))]
    fn set(&self, key: &[u8], value: &[u8]) {
        self.0.set(key.to_vec(), value);
    }

    #[pyo3(signature = (key, /))]
    fn remove(&self, key: &[u8]) {
        self.0.remove(key.to_vec());
    }

    #[pyo3(signature = (prefix, /))]
    fn scan_keys<'py>(&self, py: Python<'py>, prefix: &[u8]) -> Vec<Bound<'py, PyBytes>> {
        let keys = py.detach(|| self.0.scan_keys(prefix));
        keys.iter().map(|key| PyBytes::new(py, key)).collect()
    }

    #[pyo3(signature = (cause, /))]
    fn commit(&self, cause: &[u8]) {
        self.0.commit(cause);
    }

    fn rollback(&self) {
        self.0.rollback();
    }

    #[getter]
    fn recorded_size(&self) -> usize {
        self.0.recorded_size()
    }

    #[getter]
    fn trie_accesses(&self) -> (u64, u64) {
        let total = self.0.total_accesses();
        (total.touched, total.cached)
    }

    #[pyo3(signature = (size, /))]
    fn record_code_size(&self, size: usize) {
        self.0.record_code_size(size);
    }

    fn seal(&self, py: Python<'_>) -> PyResult<Sealed> {
        py.detach(|| self.0.seal()).map(Sealed).map_err(invalid_input)
    }
}

#[pyclass(frozen, module = "hither_native")]
pub struct Sealed(pub state::Sealed);

type Change<'py> = (Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>, Option<Bound<'py, PyBytes>>);
type Write<'py> = (Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>);

#[pymethods]
impl Sealed {
    #[getter]
    fn trie(&self) -> Trie {
        Trie(self.0.trie.clone())
    }

    #[getter]
    fn changes<'py>(&self, py: Python<'py>) -> Vec<Change<'py>> {
        let to_python = |change: &state::ChangedKey| {
            (
                PyBytes::new(py, &change.key),
                optional_bytes(py, change.old.as_deref()),
                optional_bytes(py, change.new_value().map(|value| &**value)),
            )
        };
        self.0.changes.iter().map(to_python).collect()
    }

    #[getter]
    fn changed_keys(&self) -> usize {
        self.0.changes.len()
    }

    #[getter]
    fn caused_changes<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, Vec<Write<'py>>)> {
        let write_to_python = |(cause, value): &(_, Option<_>)| {
            let cause: &std::sync::Arc<[u8]> = cause;
            let value: Option<&std::sync::Arc<[u8]>> = value.as_ref();
            (PyBytes::new(py, cause), optional_bytes(py, value.map(|value| &**value)))
        };
        let to_python = |change: &state::ChangedKey| {
            (PyBytes::new(py, &change.key), change.writes.iter().map(write_to_python).collect())
        };
        self.0.changes.iter().map(to_python).collect()
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Trie>()?;
    module.add_class::<ChunkState>()?;
    module.add_class::<Sealed>()
}
