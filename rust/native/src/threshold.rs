//! Threshold protocols: runs that Python holds, feeds with messages and pokes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::error::invalid_input;
use hither_threshold::ckd::{AppPublicKey, KeyRequest};
use hither_threshold::ecdsa::SigningRequest;
use hither_threshold::keygen::KeygenParameters;
use hither_threshold::local::run_locally;
use hither_threshold::protocol::{Action, Failure, ParticipantId, Protocol};
use hither_threshold::run::{self, Curve, OldKeyBytes, Run};
use hither_threshold::{derivation, frost};
use pyo3::create_exception;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zeroize::Zeroizing;

create_exception!(
    hither_native,
    ProtocolFailure,
    PyRuntimeError,
    "A threshold protocol run gave no result. Arguments: the reason, and the culprit's number or None."
);

fn failure(error: Failure) -> PyErr {
    ProtocolFailure::new_err((error.reason, error.culprit))
}

fn curve(name: &str) -> PyResult<Curve> {
    match name {
        "secp256k1" => Ok(Curve::Secp256k1),
        "ed25519" => Ok(Curve::Ed25519),
        "bls12381" => Ok(Curve::Bls12381),
        _ => Err(invalid_input(format!("no such curve: {name}"))),
    }
}

/// Stock and shares are secret: they show nothing of themselves by accident.
#[pyclass(frozen)]
struct Secret(Zeroizing<Vec<u8>>);

#[pymethods]
impl Secret {
    #[new]
    #[pyo3(signature = (data, /))]
    fn new(data: Vec<u8>) -> Self {
        Self(Zeroizing::new(data))
    }

    fn expose<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0)
    }

    fn __repr__(&self) -> &'static str {
        "<Secret>"
    }
}

#[pyclass(frozen)]
struct ProtocolRun(Mutex<Option<Run>>);

fn lock(run: &ProtocolRun) -> PyResult<std::sync::MutexGuard<'_, Option<Run>>> {
    run.0.lock().map_err(|_| PyRuntimeError::new_err("the run panicked before"))
}

fn is_over() -> PyErr {
    invalid_input("the run is over")
}

/// What a poke gives: to whom (nobody: to all), whether it is the result, and the message or result.
type Poked = (Option<ParticipantId>, bool, Py<PyAny>);

#[pymethods]
impl ProtocolRun {
    fn poke(&self, py: Python<'_>) -> PyResult<Option<Poked>> {
        let action = py.detach(|| {
            let mut guard = lock(self)?;
            let run = guard.as_mut().ok_or_else(is_over)?;
            let action = run.poke();
            if !matches!(action, Ok(Action::Wait | Action::SendMany(_) | Action::SendPrivate(..))) {
                *guard = None;
            }
            action.map_err(failure)
        })?;
        Ok(match action {
            Action::Wait => None,
            Action::SendMany(data) => Some((None, false, PyBytes::new(py, &data).into_any().unbind())),
            Action::SendPrivate(to, data) => {
                Some((Some(to), false, PyBytes::new(py, &data).into_any().unbind()))
            }
            Action::Return(result) => Some((None, true, Py::new(py, Secret::new(result))?.into_any())),
        })
    }

    #[pyo3(signature = (sender, data, /))]
    fn message(&self, py: Python<'_>, sender: ParticipantId, data: &[u8]) -> PyResult<()> {
        py.detach(|| {
            let mut guard = lock(self)?;
            guard.as_mut().ok_or_else(is_over)?.message(sender, data).map_err(invalid_input)
        })
    }
}

fn wrap(run: Result<Run, run::StartError>) -> PyResult<ProtocolRun> {
    run.map(|run| ProtocolRun(Mutex::new(Some(run)))).map_err(invalid_input)
}

#[pyfunction]
#[pyo3(signature = (runs, /))]
fn run_protocols(
    py: Python<'_>,
    runs: Vec<(ParticipantId, Py<ProtocolRun>)>,
) -> PyResult<Vec<(ParticipantId, Secret)>> {
    let mut protocols: BTreeMap<ParticipantId, Box<dyn Protocol<Output = Vec<u8>>>> = BTreeMap::new();
    for (id, run) in runs {
        let run = lock(run.get())?.take().ok_or_else(is_over)?;
        if protocols.insert(id, run).is_some() {
            return Err(invalid_input(format!("participant {id} runs twice")));
        }
    }
    if protocols.is_empty() {
        return Err(invalid_input("nobody takes part"));
    }
    let results = py.detach(|| run_locally(protocols)).map_err(|(_, error)| failure(error))?;
    Ok(results.into_iter().map(|(id, result)| (id, Secret::new(result))).collect())
}

#[pyfunction]
#[pyo3(signature = (curve_name, context, participants, me, threshold, /))]
fn start_keygen(
    curve_name: &str,
    context: Vec<u8>,
    participants: Vec<ParticipantId>,
    me: ParticipantId,
    threshold: usize,
) -> PyResult<ProtocolRun> {
    wrap(run::start_keygen(
        curve(curve_name)?,
        KeygenParameters { context, participants, me, threshold },
        None,
    ))
}

#[pyfunction]
#[pyo3(signature = (
    curve_name, context, participants, me, threshold, /,
    *, old_participants, old_threshold, old_public_key, old_share
))]
#[allow(clippy::too_many_arguments)]
fn start_reshare(
    curve_name: &str,
    context: Vec<u8>,
    participants: Vec<ParticipantId>,
    me: ParticipantId,
    threshold: usize,
    old_participants: Vec<ParticipantId>,
    old_threshold: usize,
    old_public_key: &[u8],
    old_share: Option<Py<Secret>>,
) -> PyResult<ProtocolRun> {
    let share = old_share.as_ref().map(|share| share.get().0.as_slice());
    let old = OldKeyBytes {
        participants: old_participants,
        threshold: old_threshold,
        public_key: old_public_key,
        share,
    };
    let parameters = KeygenParameters { context, participants, me, threshold };
    wrap(run::start_keygen(curve(curve_name)?, parameters, Some(old)))
}

#[pyfunction]
#[pyo3(signature = (participants, me, threshold, /))]
fn start_triple(
    participants: Vec<ParticipantId>,
    me: ParticipantId,
    threshold: usize,
) -> PyResult<ProtocolRun> {
    wrap(run::start_triple(&participants, me, threshold))
}

#[pyfunction]
#[pyo3(signature = (share, signers, first, second, /))]
fn start_ecdsa_presign(
    share: &Secret,
    signers: Vec<ParticipantId>,
    first: &Secret,
    second: &Secret,
) -> PyResult<ProtocolRun> {
    wrap(run::start_ecdsa_presign(&share.0, &signers, (&first.0, &second.0)))
}

#[pyfunction]
#[pyo3(signature = (share, signers, tweak, message_hash, entropy, presignature, /))]
fn start_ecdsa_sign(
    share: &Secret,
    signers: Vec<ParticipantId>,
    tweak: [u8; 32],
    message_hash: [u8; 32],
    entropy: [u8; 32],
    presignature: &Secret,
) -> PyResult<ProtocolRun> {
    let request = SigningRequest { signers, tweak, message_hash, entropy };
    wrap(run::start_ecdsa_sign(&share.0, &request, &presignature.0))
}

#[pyfunction]
#[pyo3(signature = (share, signers, /))]
fn start_robust_presign(share: &Secret, signers: Vec<ParticipantId>) -> PyResult<ProtocolRun> {
    wrap(run::start_robust_presign(&share.0, &signers))
}

#[pyfunction]
#[pyo3(signature = (share, signers, coordinator, tweak, message_hash, entropy, presignature, /))]
fn start_robust_sign(
    share: &Secret,
    signers: Vec<ParticipantId>,
    coordinator: ParticipantId,
    tweak: [u8; 32],
    message_hash: [u8; 32],
    entropy: [u8; 32],
    presignature: &Secret,
) -> PyResult<ProtocolRun> {
    let request = SigningRequest { signers, tweak, message_hash, entropy };
    wrap(run::start_robust_sign(&share.0, coordinator, &request, &presignature.0))
}

/// An app's public key: its first half, and the second if the answer is to be verified by everybody.
type AppKeyHalves = (Vec<u8>, Option<Vec<u8>>);

fn read_app_key(halves: &AppKeyHalves) -> PyResult<AppPublicKey> {
    AppPublicKey::new(&halves.0, halves.1.as_deref()).map_err(invalid_input)
}

#[pyfunction]
#[pyo3(signature = (share, signers, coordinator, app_id, app_public_key, /))]
fn start_app_key(
    share: &Secret,
    signers: Vec<ParticipantId>,
    coordinator: ParticipantId,
    app_id: [u8; 32],
    app_public_key: AppKeyHalves,
) -> PyResult<ProtocolRun> {
    let app_public_key = read_app_key(&app_public_key)?;
    wrap(run::start_app_key(&share.0, &KeyRequest { signers, coordinator, app_id, app_public_key }))
}

#[pyfunction]
fn make_app_secret(py: Python<'_>) -> (Secret, (Bound<'_, PyBytes>, Bound<'_, PyBytes>)) {
    let (secret, first, second) = run::make_app_secret();
    (Secret::new(secret), (PyBytes::new(py, &first), PyBytes::new(py, &second)))
}

#[pyfunction]
#[pyo3(signature = (blinded, network_key, app_id, app_public_key, /))]
fn answers_app_key_request(
    py: Python<'_>,
    blinded: &[u8],
    network_key: &[u8],
    app_id: [u8; 32],
    app_public_key: AppKeyHalves,
) -> PyResult<bool> {
    py.detach(|| {
        let app_public_key = read_app_key(&app_public_key)?;
        run::answers_app_key_request(blinded, network_key, &app_id, &app_public_key).map_err(invalid_input)
    })
}

#[pyfunction]
#[pyo3(signature = (blinded, network_key, app_id, app_secret, /))]
fn unmask_app_key(
    py: Python<'_>,
    blinded: &[u8],
    network_key: &[u8],
    app_id: [u8; 32],
    app_secret: &Secret,
) -> PyResult<Option<Secret>> {
    let key = py.detach(|| run::unmask_app_key(blinded, network_key, &app_id, &app_secret.0));
    Ok(key.map_err(invalid_input)?.map(Secret::new))
}

#[pyfunction]
#[pyo3(signature = (predecessor_id, path, /))]
fn compute_app_id<'py>(py: Python<'py>, predecessor_id: &str, path: &str) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &derivation::compute_app_id(predecessor_id, path))
}

#[pyfunction]
#[pyo3(signature = (share, signers, /))]
fn start_eddsa_presign(share: &Secret, signers: Vec<ParticipantId>) -> PyResult<ProtocolRun> {
    wrap(run::start_eddsa_presign(&share.0, &signers))
}

#[pyfunction]
#[pyo3(signature = (share, signers, me, tweak, message, presignature=None, /))]
fn start_eddsa_sign(
    share: &Secret,
    signers: Vec<ParticipantId>,
    me: ParticipantId,
    tweak: [u8; 32],
    message: Vec<u8>,
    presignature: Option<&Secret>,
) -> PyResult<ProtocolRun> {
    let request = frost::SigningRequest { signers, me, tweak, message };
    wrap(run::start_eddsa_sign(&share.0, request, presignature.map(|secret| secret.0.as_slice())))
}

#[pyfunction]
#[pyo3(signature = (curve_name, share, /))]
fn public_key_of_share<'py>(
    py: Python<'py>,
    curve_name: &str,
    share: &Secret,
) -> PyResult<Bound<'py, PyBytes>> {
    let key = run::public_key_of(curve(curve_name)?, &share.0).map_err(invalid_input)?;
    Ok(PyBytes::new(py, &key))
}

#[pyfunction]
#[pyo3(signature = (predecessor_id, path, /))]
fn compute_tweak<'py>(py: Python<'py>, predecessor_id: &str, path: &str) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &derivation::compute_tweak(predecessor_id, path))
}

#[pyfunction]
#[pyo3(signature = (curve_name, public_key, tweak, /))]
fn derive_public_key<'py>(
    py: Python<'py>,
    curve_name: &str,
    public_key: &[u8],
    tweak: [u8; 32],
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let key = run::derive_public_key(curve(curve_name)?, public_key, &tweak).map_err(invalid_input)?;
    Ok(key.map(|key| PyBytes::new(py, &key)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("ProtocolFailure", module.py().get_type::<ProtocolFailure>())?;
    module.add_class::<Secret>()?;
    module.add_class::<ProtocolRun>()?;
    module.add_function(wrap_pyfunction!(run_protocols, module)?)?;
    module.add_function(wrap_pyfunction!(start_keygen, module)?)?;
    module.add_function(wrap_pyfunction!(start_reshare, module)?)?;
    module.add_function(wrap_pyfunction!(start_triple, module)?)?;
    module.add_function(wrap_pyfunction!(start_ecdsa_presign, module)?)?;
    module.add_function(wrap_pyfunction!(start_ecdsa_sign, module)?)?;
    module.add_function(wrap_pyfunction!(start_robust_presign, module)?)?;
    module.add_function(wrap_pyfunction!(start_robust_sign, module)?)?;
    module.add_function(wrap_pyfunction!(start_app_key, module)?)?;
    module.add_function(wrap_pyfunction!(make_app_secret, module)?)?;
    module.add_function(wrap_pyfunction!(answers_app_key_request, module)?)?;
    module.add_function(wrap_pyfunction!(unmask_app_key, module)?)?;
    module.add_function(wrap_pyfunction!(compute_app_id, module)?)?;
    module.add_function(wrap_pyfunction!(start_eddsa_presign, module)?)?;
    module.add_function(wrap_pyfunction!(start_eddsa_sign, module)?)?;
    module.add_function(wrap_pyfunction!(public_key_of_share, module)?)?;
    module.add_function(wrap_pyfunction!(compute_tweak, module)?)?;
    module.add_function(wrap_pyfunction!(derive_public_key, module)?)
}
