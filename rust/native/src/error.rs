//! The one place where errors of the crates become Python exceptions.

use pyo3::exceptions::{PyLookupError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::{create_exception, PyErr};

create_exception!(
    hither_native,
    InvalidInput,
    PyValueError,
    "The caller's bytes or numbers are malformed. Nothing was written."
);
create_exception!(
    hither_native,
    StoreError,
    PyRuntimeError,
    "The database failed or is damaged. The node must stop."
);
create_exception!(
    hither_native,
    StateGone,
    PyLookupError,
    "The process that has the states does not keep this one."
);
create_exception!(
    hither_native,
    VmError,
    PyRuntimeError,
    "The VM itself failed (not the contract). The node must stop."
);

pub fn invalid_input(error: impl std::fmt::Display) -> PyErr {
    InvalidInput::new_err(error.to_string())
}

pub fn store_error(error: impl std::fmt::Display) -> PyErr {
    StoreError::new_err(error.to_string())
}

#[allow(dead_code)]
pub fn vm_error(error: impl std::fmt::Display) -> PyErr {
    VmError::new_err(error.to_string())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("InvalidInput", py.get_type::<InvalidInput>())?;
    module.add("StateGone", py.get_type::<StateGone>())?;
    module.add("StoreError", py.get_type::<StoreError>())?;
    module.add("VmError", py.get_type::<VmError>())
}
