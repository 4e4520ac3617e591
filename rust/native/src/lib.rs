//! Glue between the crates and Python: conversions only, no logic.

mod crypto;
mod error;
mod params;
mod reads;
mod state;
mod store;
mod threshold;
mod vm;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The export list: everything that Python sees is registered here.
#[pymodule]
fn hither_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    error::register(module)?;
    crypto::register(module)?;
    params::register(module)?;
    reads::register(module)?;
    state::register(module)?;
    store::register(module)?;
    threshold::register(module)?;
    vm::register(module)
}
