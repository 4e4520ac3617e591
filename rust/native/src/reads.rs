//! States that another process has, for Python: the desk there, the client here.

use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use hither_reads as reads;
use hither_reads::{Client, Desk, ReadError, StateName};
use hither_state as state;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::error::{invalid_input, store_error, StateGone};
use crate::state::{optional_bytes, pairs_to_python, Pair, Trie};
use crate::vm::{Call, CallOutcome, Vm};

fn map_error(error: ReadError) -> PyErr {
    match error {
        ReadError::Gone => StateGone::new_err(error.to_string()),
        ReadError::InvalidInput(_) => invalid_input(error),
        ReadError::Failed(_) => store_error(error),
    }
}

fn block_hash(bytes: &[u8]) -> PyResult<reads::BlockHash> {
    bytes.try_into().map_err(|_| invalid_input("a block hash has 32 bytes"))
}

/// The descriptor is ours from now on.
fn stream(descriptor: i32) -> UnixStream {
    // SAFETY: the caller hands over a connected socket that nobody else closes.
    unsafe { UnixStream::from_raw_fd(descriptor) }
}

#[pyclass(frozen, module = "hither_native")]
pub struct StateDesk(Arc<Desk>);

#[pymethods]
impl StateDesk {
    #[new]
    fn new(vm: &Vm, resolve: Py<PyAny>) -> Self {
        let find = move |name: &StateName| -> Option<state::Trie> {
            Python::attach(|py| {
                let found = resolve
                    .call1(py, (PyBytes::new(py, &name.block), name.shard_index))
                    .and_then(|found| Ok(found.extract::<Option<Py<Trie>>>(py)?));
                match found {
                    Ok(trie) => trie.map(|trie| trie.get().0.clone()),
                    Err(error) => {
                        error.write_unraisable(py, None);
                        None
                    }
                }
            })
        };
        StateDesk(Arc::new(Desk::new(vm.0.clone(), Box::new(find))))
    }

    #[pyo3(signature = (block, tries, /))]
    fn publish(&self, py: Python<'_>, block: &[u8], tries: Vec<Py<Trie>>) -> PyResult<()> {
        let block = block_hash(block)?;
        let tries = tries.iter().map(|trie| trie.get().0.clone()).collect();
        py.detach(|| self.0.publish(block, tries));
        Ok(())
    }

    fn forget(&self, py: Python<'_>) {
        py.detach(|| self.0.forget());
    }

    #[pyo3(signature = (descriptor, /))]
    fn serve(&self, descriptor: i32) -> PyResult<()> {
        let desk = self.0.clone();
        let stream = stream(descriptor);
        // The other side may go at any moment; then there is nobody to tell.
        let run = move || drop(desk.serve(stream));
        std::thread::Builder::new().name("reads".into()).spawn(run).map(drop).map_err(store_error)
    }
}

#[pyclass(frozen, module = "hither_native")]
pub struct StateClient(Arc<Client>);

#[pymethods]
impl StateClient {
    #[new]
    fn new(descriptors: Vec<i32>) -> Self {
        StateClient(Arc::new(Client::new(descriptors.into_iter().map(stream).collect())))
    }

    #[pyo3(signature = (block, shard_index, /))]
    fn trie(&self, block: &[u8], shard_index: u16) -> PyResult<DistantTrie> {
        Ok(DistantTrie { client: self.0.clone(), name: StateName { block: block_hash(block)?, shard_index } })
    }
}

#[pyclass(frozen, module = "hither_native")]
pub struct DistantTrie {
    client: Arc<Client>,
    name: StateName,
}

#[pymethods]
impl DistantTrie {
    #[getter]
    fn root<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let root = py.detach(|| self.client.root(self.name)).map_err(map_error)?;
        Ok(PyBytes::new(py, &root))
    }

    #[pyo3(signature = (key, /))]
    fn get<'py>(&self, py: Python<'py>, key: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let value = py.detach(|| self.client.get(self.name, key)).map_err(map_error)?;
        Ok(optional_bytes(py, value.as_deref()))
    }

    #[pyo3(signature = (prefix, after=None, limit=None))]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: Option<u64>,
    ) -> PyResult<Vec<Pair<'py>>> {
        let pairs = py.detach(|| self.client.scan(self.name, prefix, after, limit)).map_err(map_error)?;
        Ok(pairs_to_python(py, &pairs))
    }

    #[pyo3(signature = (prefix, /))]
    fn prove<'py>(&self, py: Python<'py>, prefix: &[u8]) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let nodes = py.detach(|| self.client.prove(self.name, prefix)).map_err(map_error)?;
        Ok(nodes.iter().map(|node| PyBytes::new(py, node)).collect())
    }

    #[pyo3(signature = (call, interrupt_after_ms=None, /))]
    fn view(&self, py: Python<'_>, call: &Call, interrupt_after_ms: Option<u64>) -> PyResult<CallOutcome> {
        let view = || self.client.view(self.name, &call.0, interrupt_after_ms);
        py.detach(view).map(CallOutcome).map_err(map_error)
    }
}

/// Ask the other process for all of these records at once: they will be asked for one by one next.
#[pyfunction]
#[pyo3(signature = (wanted, /))]
fn read_ahead(py: Python<'_>, wanted: Vec<(Py<DistantTrie>, PyBackedBytes)>) {
    let Some(client) = wanted.first().map(|(trie, _)| trie.get().client.clone()) else {
        return;
    };
    let wanted = wanted.into_iter().filter(|(trie, _)| Arc::ptr_eq(&trie.get().client, &client));
    let wanted = wanted.map(|(trie, key)| (trie.get().name, key.to_vec())).collect();
    py.detach(|| client.read_ahead(wanted));
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<StateDesk>()?;
    module.add_class::<StateClient>()?;
    module.add_class::<DistantTrie>()?;
    module.add_function(wrap_pyfunction!(read_ahead, module)?)
}
