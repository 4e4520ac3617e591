use hither_vm::Error;
use pyo3::prelude::*;

use crate::error::{invalid_input, vm_error};

pub(crate) fn error(error: Error) -> PyErr {
    if error.is_invalid_input() {
        invalid_input(error)
    } else {
        vm_error(error)
    }
}

/// Every figure of ``RuntimeConfig`` at this version, compute costs included, as JSON.
#[pyfunction]
#[pyo3(signature = (protocol_version, /))]
fn runtime_config_json(protocol_version: u32) -> PyResult<String> {
    hither_vm::runtime_config_json(protocol_version).map_err(error)
}

/// NEAR's ``RuntimeConfigView`` at this version, as JSON.
#[pyfunction]
#[pyo3(signature = (protocol_version, /))]
fn protocol_config_view_json(protocol_version: u32) -> PyResult<String> {
    hither_vm::protocol_config_view_json(protocol_version).map_err(error)
}

/// NEAR's names of the features of 84 and later, with the version that starts each.
#[pyfunction]
fn protocol_features() -> Vec<(String, u32)> {
    hither_vm::protocol_features()
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(runtime_config_json, module)?)?;
    module.add_function(wrap_pyfunction!(protocol_config_view_json, module)?)?;
    module.add_function(wrap_pyfunction!(protocol_features, module)?)?;
    Ok(())
}
