//! The contract VM for Python. Calls release the interpreter lock.

use std::sync::Arc;

use hither_vm as vm;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes};

use crate::error::invalid_input;
use crate::params::error;
use crate::state::{ChunkState, Trie};

#[pyclass(frozen, module = "hither_native")]
pub struct Vm(pub(crate) Arc<vm::Vm>);

#[pymethods]
impl Vm {
    #[new]
    #[pyo3(signature = (cache_dir, *, memory_entries=128, disk_bytes=4_000_000_000))]
    fn new(cache_dir: std::path::PathBuf, memory_entries: usize, disk_bytes: u64) -> PyResult<Self> {
        let opened = vm::Vm::new(&cache_dir, memory_entries, disk_bytes).map_err(error)?;
        Ok(Vm(Arc::new(opened)))
    }

    #[pyo3(signature = (code, protocol_version, /))]
    fn precompile(&self, py: Python<'_>, code: Vec<u8>, protocol_version: u32) -> PyResult<()> {
        py.detach(|| self.0.precompile(code, protocol_version)).map_err(error)
    }

    #[pyo3(signature = (state, call, /))]
    fn call(&self, py: Python<'_>, state: &ChunkState, call: &Call) -> PyResult<CallOutcome> {
        py.detach(|| self.0.call(&state.0, &call.0)).map(CallOutcome).map_err(error)
    }

    #[pyo3(signature = (trie, call, interrupt_after_ms=None, /))]
    fn view(
        &self,
        py: Python<'_>,
        trie: &Trie,
        call: &Call,
        interrupt_after_ms: Option<u64>,
    ) -> PyResult<CallOutcome> {
        py.detach(|| self.0.view(&trie.0, &call.0, interrupt_after_ms)).map(CallOutcome).map_err(error)
    }
}

fn account_id(text: &str) -> PyResult<vm::AccountId> {
    text.parse().map_err(|reason| invalid_input(format!("account id {text:?}: {reason}")))
}

fn hash(name: &str, bytes: &[u8]) -> PyResult<vm::CryptoHash> {
    vm::CryptoHash::try_from(bytes).map_err(|_| invalid_input(format!("{name} must have 32 bytes")))
}

/// A promise result: bytes, None (failed) or False (not ready).
fn promise_input(value: &Bound<'_, PyAny>) -> PyResult<vm::PromiseInput> {
    if value.is_none() {
        return Ok(vm::PromiseInput::Failed);
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return if flag.is_true() {
            Err(PyTypeError::new_err("a promise result is bytes, None or False"))
        } else {
            Ok(vm::PromiseInput::NotReady)
        };
    }
    Ok(vm::PromiseInput::Success(value.cast::<PyBytes>()?.as_bytes().to_vec()))
}

#[pyclass(frozen, module = "hither_native")]
pub struct Call(pub(crate) vm::Call);

#[pymethods]
impl Call {
    #[new]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (
        *, protocol_version, chain_id, current_account_id, signer_account_id, signer_public_key,
        predecessor_account_id, refund_to_account_id, method_name, args, promise_results,
        block_height, block_timestamp, epoch_height, account_balance, account_locked_balance,
        storage_usage, account_contract, code_hash, code_key, attached_deposit, prepaid_gas,
        random_seed, output_data_receivers, action_hash, validators, recorded_size_before_receipt,
        view_gas_limit=None,
    ))]
    fn new(
        protocol_version: u32,
        chain_id: String,
        current_account_id: &str,
        signer_account_id: &str,
        signer_public_key: &[u8],
        predecessor_account_id: &str,
        refund_to_account_id: &str,
        method_name: String,
        args: &[u8],
        promise_results: Vec<Bound<'_, PyAny>>,
        block_height: u64,
        block_timestamp: u64,
        epoch_height: u64,
        account_balance: u128,
        account_locked_balance: u128,
        storage_usage: u64,
        account_contract: &[u8],
        code_hash: &[u8],
        code_key: Option<&[u8]>,
        attached_deposit: u128,
        prepaid_gas: u64,
        random_seed: &[u8],
        output_data_receivers: Vec<String>,
        action_hash: &[u8],
        validators: Vec<(String, u128)>,
        recorded_size_before_receipt: usize,
        view_gas_limit: Option<u64>,
    ) -> PyResult<Self> {
        let account_contract = vm::decode_account_contract(account_contract).map_err(error)?;
        let balance = vm::Balance::from_yoctonear;
        let stake = |(id, stake): &(String, u128)| Ok((account_id(id)?, balance(*stake)));
        Ok(Call(vm::Call {
            protocol_version,
            chain_id,
            current_account_id: account_id(current_account_id)?,
            signer_account_id: account_id(signer_account_id)?,
            signer_public_key: signer_public_key.to_vec(),
            predecessor_account_id: account_id(predecessor_account_id)?,
            refund_to_account_id: account_id(refund_to_account_id)?,
            method_name,
            args: args.to_vec(),
            promise_results: promise_results.iter().map(promise_input).collect::<PyResult<_>>()?,
            block_height,
            block_timestamp,
            epoch_height,
            account_balance: balance(account_balance),
            account_locked_balance: balance(account_locked_balance),
            storage_usage,
            account_contract,
            code_hash: hash("code_hash", code_hash)?,
            code_key: code_key.map(<[u8]>::to_vec),
            attached_deposit: balance(attached_deposit),
            prepaid_gas: vm::Gas::from_gas(prepaid_gas),
            random_seed: random_seed.to_vec(),
            output_data_receivers: output_data_receivers
                .iter()
                .map(|id| account_id(id))
                .collect::<PyResult<_>>()?,
            action_hash: hash("action_hash", action_hash)?,
            validators: validators.iter().map(stake).collect::<PyResult<_>>()?,
            recorded_size_before_receipt,
            view_gas_limit: view_gas_limit.map(vm::Gas::from_gas),
        }))
    }
}

#[pyclass(frozen, module = "hither_native")]
pub struct CallOutcome(pub(crate) vm::CallOutcome);

#[pymethods]
impl CallOutcome {
    #[getter]
    fn gas_burnt(&self) -> u64 {
        self.0.gas_burnt
    }

    #[getter]
    fn gas_used(&self) -> u64 {
        self.0.gas_used
    }

    #[getter]
    fn compute_usage(&self) -> u64 {
        self.0.compute_usage
    }

    #[getter]
    fn balance(&self) -> u128 {
        self.0.balance
    }

    #[getter]
    fn storage_usage(&self) -> u64 {
        self.0.storage_usage
    }

    #[getter]
    fn logs(&self) -> Vec<&str> {
        self.0.logs.iter().map(String::as_str).collect()
    }

    #[getter]
    fn return_value<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(match &self.0.return_value {
            vm::ReturnData::Value(bytes) => Some(PyBytes::new(py, bytes).into_any()),
            vm::ReturnData::ReceiptIndex(index) => Some(index.into_pyobject(py)?.into_any()),
            vm::ReturnData::None => None,
        })
    }

    #[getter]
    fn error_json(&self) -> Option<&str> {
        self.0.failure.as_ref().map(|failure| failure.json.as_str())
    }

    #[getter]
    fn error_text(&self) -> Option<&str> {
        self.0.failure.as_ref().map(|failure| failure.debug.as_str())
    }

    #[getter]
    fn profile(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.0.profile.clone()
    }

    #[getter]
    fn subsidized_amount(&self) -> u128 {
        self.0.subsidized_amount
    }

    #[getter]
    fn receipts(&self) -> Vec<NewReceipt> {
        self.0.receipts.iter().cloned().map(NewReceipt).collect()
    }

    #[getter]
    fn data_receipts<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let pair =
            |item: &vm::NewData| (PyBytes::new(py, item.data_id.as_bytes()), PyBytes::new(py, &item.data));
        self.0.data_receipts.iter().map(pair).collect()
    }
}

#[pyclass(frozen, module = "hither_native")]
pub struct NewReceipt(vm::NewReceipt);

#[pymethods]
impl NewReceipt {
    #[getter]
    fn receiver_id(&self) -> &str {
        self.0.receiver_id.as_str()
    }

    #[getter]
    fn refund_to(&self) -> Option<&str> {
        self.0.refund_to.as_ref().map(|id| id.as_str())
    }

    #[getter]
    fn output_data_receivers<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, &str)> {
        let receivers = self.0.output_data_receivers.iter();
        receivers.map(|(data_id, id)| (PyBytes::new(py, data_id.as_bytes()), id.as_str())).collect()
    }

    #[getter]
    fn input_data_ids<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.input_data_ids.iter().map(|id| PyBytes::new(py, id.as_bytes())).collect()
    }

    #[getter]
    fn actions<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.encoded_actions())
    }

    #[getter]
    fn is_promise_yield(&self) -> bool {
        self.0.is_promise_yield
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Vm>()?;
    module.add_class::<Call>()?;
    module.add_class::<CallOutcome>()?;
    module.add_class::<NewReceipt>()
}
