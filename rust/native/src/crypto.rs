//! Hashes, keys and signatures.

use crate::error::invalid_input;
use hither_crypto as crypto;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

#[pyfunction]
#[pyo3(signature = (data, /))]
fn sha256<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &crypto::sha256(data))
}

#[pyfunction]
#[pyo3(signature = (data, /))]
fn keccak256<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &crypto::keccak256(data))
}

#[pyfunction]
#[pyo3(signature = (data, /))]
fn sha3_256<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &crypto::sha3_256(data))
}

#[pyfunction]
#[pyo3(signature = (data, data_parts, total_parts, /))]
fn compute_parts_root<'py>(
    py: Python<'py>,
    data: &[u8],
    data_parts: usize,
    total_parts: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let root =
        py.detach(|| crypto::compute_parts_root(data, data_parts, total_parts)).map_err(invalid_input)?;
    Ok(PyBytes::new(py, &root))
}

#[pyfunction]
#[pyo3(signature = (key_kind, key, message, signature, /))]
fn verify_signature(py: Python<'_>, key_kind: u8, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    py.detach(|| crypto::verify(key_kind, key, message, signature))
}

#[pyfunction]
#[pyo3(signature = (items, /))]
fn verify_signatures(
    py: Python<'_>,
    items: Vec<(u8, PyBackedBytes, PyBackedBytes, PyBackedBytes)>,
) -> Vec<bool> {
    let checks: Vec<_> = items
        .into_iter()
        .map(|(kind, key, message, signature)| crypto::Check { kind, key, message, signature })
        .collect();
    py.detach(|| crypto::verify_many(&checks))
}

#[pyfunction]
#[pyo3(signature = (digest, signature, /))]
fn recover_secp256k1<'py>(py: Python<'py>, digest: &[u8], signature: &[u8]) -> Option<Bound<'py, PyBytes>> {
    crypto::recover(digest, signature).map(|key| PyBytes::new(py, &key))
}

#[pyfunction]
#[pyo3(signature = (key_kind, seed, /))]
fn secret_from_seed<'py>(py: Python<'py>, key_kind: u8, seed: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let secret = crypto::secret_from_seed(key_kind, seed).map_err(invalid_input)?;
    Ok(PyBytes::new(py, &secret))
}

#[pyfunction]
#[pyo3(signature = (key_kind, secret, /))]
fn public_key_from_secret<'py>(
    py: Python<'py>,
    key_kind: u8,
    secret: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let key = crypto::public_key_from_secret(key_kind, secret).map_err(invalid_input)?;
    Ok(PyBytes::new(py, &key))
}

#[pyfunction]
#[pyo3(signature = (key_kind, secret, message, /))]
fn sign<'py>(py: Python<'py>, key_kind: u8, secret: &[u8], message: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let signature = py.detach(|| crypto::sign(key_kind, secret, message)).map_err(invalid_input)?;
    Ok(PyBytes::new(py, &signature))
}

#[pyfunction]
#[pyo3(signature = (key_kind, key, /))]
fn is_staking_key(key_kind: u8, key: &[u8]) -> bool {
    crypto::is_staking_key(key_kind, key)
}

#[pyfunction]
#[pyo3(signature = (secret, data, /))]
fn vrf_prove<'py>(
    py: Python<'py>,
    secret: &[u8],
    data: &[u8],
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (value, proof) = crypto::vrf_prove(secret, data).map_err(invalid_input)?;
    Ok((PyBytes::new(py, &value), PyBytes::new(py, &proof)))
}

#[pyfunction]
#[pyo3(signature = (key, data, value, proof, /))]
fn vrf_verify(key: &[u8], data: &[u8], value: &[u8], proof: &[u8]) -> bool {
    crypto::vrf_verify(key, data, value, proof)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sha256, module)?)?;
    module.add_function(wrap_pyfunction!(keccak256, module)?)?;
    module.add_function(wrap_pyfunction!(sha3_256, module)?)?;
    module.add_function(wrap_pyfunction!(compute_parts_root, module)?)?;
    module.add_function(wrap_pyfunction!(verify_signature, module)?)?;
    module.add_function(wrap_pyfunction!(verify_signatures, module)?)?;
    module.add_function(wrap_pyfunction!(recover_secp256k1, module)?)?;
    module.add_function(wrap_pyfunction!(secret_from_seed, module)?)?;
    module.add_function(wrap_pyfunction!(public_key_from_secret, module)?)?;
    module.add_function(wrap_pyfunction!(sign, module)?)?;
    module.add_function(wrap_pyfunction!(is_staking_key, module)?)?;
    module.add_function(wrap_pyfunction!(vrf_prove, module)?)?;
    module.add_function(wrap_pyfunction!(vrf_verify, module)?)
}
