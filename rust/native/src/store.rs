//! The store for Python, and how tries go into it and come back.

use std::path::Path;

use hither_state as state;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::error::{invalid_input, store_error};
use crate::state::{optional_bytes, pairs_to_python, Pair, Sealed, Trie};

fn map_error(error: state::StoreError) -> PyErr {
    match error {
        state::StoreError::InvalidInput(_) => invalid_input(error),
        state::StoreError::Failed(_) => store_error(error),
    }
}

#[pyclass(frozen, module = "hither_native")]
pub struct Store(state::Store);

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (path, *, tables, read_only=false, throwaway=false))]
    fn new(
        py: Python<'_>,
        path: &str,
        tables: Vec<String>,
        read_only: bool,
        throwaway: bool,
    ) -> PyResult<Self> {
        let access = match (read_only, throwaway) {
            (true, _) => state::Access::Reading,
            (false, false) => state::Access::Writing,
            (false, true) => state::Access::WritingThrowaway,
        };
        let open = || state::Store::open(Path::new(path), &tables, access);
        py.detach(open).map(Store).map_err(map_error)
    }

    #[pyo3(signature = (table, key, /))]
    fn get<'py>(&self, py: Python<'py>, table: &str, key: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let value = self.0.get(table, key).map_err(map_error)?;
        Ok(optional_bytes(py, value.as_deref()))
    }

    #[pyo3(signature = (table, start=None, end=None, *, limit=None, reverse=false))]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        start: Option<&[u8]>,
        end: Option<&[u8]>,
        limit: Option<usize>,
        reverse: bool,
    ) -> PyResult<Vec<Pair<'py>>> {
        let scan = || self.0.scan(table, start.unwrap_or_default(), end, limit, reverse);
        Ok(pairs_to_python(py, &py.detach(scan).map_err(map_error)?))
    }

    #[pyo3(signature = (writes, *, sync=true))]
    fn commit(&self, writes: &Bound<'_, PyList>, sync: bool) -> PyResult<()> {
        type Write<'py> = (String, Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>);
        let py = writes.py();
        let writes: Vec<Write<'_>> = writes.extract()?;
        let writes: Vec<state::StoreWrite<'_>> = writes
            .iter()
            .map(|(table, key, value)| {
                (table.as_str(), key.as_bytes(), value.as_ref().map(|value| value.as_bytes()))
            })
            .collect();
        py.detach(|| self.0.commit(&writes, sync)).map_err(map_error)
    }

    fn size_bytes(&self) -> PyResult<u64> {
        self.0.size_bytes().map_err(map_error)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.close()).map_err(map_error)
    }
}

fn direction(backwards: bool) -> state::Direction {
    match backwards {
        true => state::Direction::Backwards,
        false => state::Direction::Forwards,
    }
}

#[pyfunction]
#[pyo3(signature = (sealed, /))]
fn encode_changes<'py>(py: Python<'py>, sealed: &Sealed) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &py.detach(|| state::encode_changes(&sealed.0)))
}

type Write<'py> = (Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>);
type Change<'py> = (Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>, Vec<Write<'py>>);

#[pyfunction]
#[pyo3(signature = (record, /))]
fn decode_changes<'py>(py: Python<'py>, record: &[u8]) -> PyResult<(Bound<'py, PyBytes>, Vec<Change<'py>>)> {
    let (root, changes) = state::decode_changes(record).map_err(store_error)?;
    let changes = changes
        .into_iter()
        .map(|(key, old, writes)| {
            let writes = writes
                .into_iter()
                .map(|(cause, value)| (PyBytes::new(py, cause), optional_bytes(py, value)))
                .collect();
            (PyBytes::new(py, key), optional_bytes(py, old), writes)
        })
        .collect();
    Ok((PyBytes::new(py, &root), changes))
}

#[pyfunction]
#[pyo3(signature = (trie, after, size_max, /))]
#[allow(clippy::type_complexity)]
fn image_slice<'py>(
    py: Python<'py>,
    trie: &Trie,
    after: Option<&[u8]>,
    size_max: usize,
) -> (Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>) {
    let (slice, last) = py.detach(|| trie.0.image_slice(after, size_max));
    (PyBytes::new(py, &slice), optional_bytes(py, last.as_deref()))
}

#[pyfunction]
#[pyo3(signature = (trie, pairs, /))]
fn apply_pairs(py: Python<'_>, trie: &Trie, pairs: &[u8]) -> PyResult<Trie> {
    py.detach(|| trie.0.with_pairs(pairs)).map(Trie).map_err(store_error)
}

#[pyfunction]
#[pyo3(signature = (trie, store, table, start, end, /))]
fn apply_image(
    py: Python<'_>,
    trie: &Trie,
    store: &Store,
    table: &str,
    start: &[u8],
    end: &[u8],
) -> PyResult<Trie> {
    let load = || trie.0.with_image(&store.0, table, start, end);
    py.detach(load).map(Trie).map_err(map_error)
}

#[pyfunction]
#[pyo3(signature = (trie, store, table, start, end, *, suffix, backwards))]
#[allow(clippy::too_many_arguments)]
fn apply_changes(
    py: Python<'_>,
    trie: &Trie,
    store: &Store,
    table: &str,
    start: &[u8],
    end: &[u8],
    suffix: &[u8],
    backwards: bool,
) -> PyResult<Trie> {
    let apply = || trie.0.with_changes(&store.0, table, (start, end), suffix, direction(backwards));
    py.detach(apply).map(Trie).map_err(map_error)
}

#[pyfunction]
#[pyo3(signature = (records, below, /))]
fn old_values<'py>(
    py: Python<'py>,
    records: Vec<Bound<'py, PyBytes>>,
    below: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let mut net = state::NetChanges::new(state::Direction::Backwards);
    for record in &records {
        net.add(record.as_bytes()).map_err(store_error)?;
    }
    net.add_below(below).map_err(store_error)?;
    Ok(PyBytes::new(py, &net.encode()))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Store>()?;
    module.add_function(wrap_pyfunction!(encode_changes, module)?)?;
    module.add_function(wrap_pyfunction!(decode_changes, module)?)?;
    module.add_function(wrap_pyfunction!(image_slice, module)?)?;
    module.add_function(wrap_pyfunction!(apply_pairs, module)?)?;
    module.add_function(wrap_pyfunction!(apply_image, module)?)?;
    module.add_function(wrap_pyfunction!(apply_changes, module)?)?;
    module.add_function(wrap_pyfunction!(old_values, module)?)
}
