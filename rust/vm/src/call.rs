//! What a call needs to know, and running it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use borsh::{BorshDeserialize, BorshSerialize};
use hither_state::{ChunkState, Trie};
use near_parameters::RuntimeConfig;
use near_primitives_core::account::AccountContract;
use near_primitives_core::code::ContractCode;
use near_primitives_core::config::ViewConfig;
use near_primitives_core::hash::CryptoHash;
use near_primitives_core::types::{AccountId, Balance, Gas};
use near_primitives_core::version::ProtocolFeature;
use near_vm_runner::logic::errors::{FunctionCallError, VMRunnerError};
use near_vm_runner::logic::types::PromiseResult;
use near_vm_runner::logic::{GasCounter, HostError, VMContext, VMOutcome};
use near_vm_runner::{Contract, ContractRuntimeCache, PreparedContract};

use crate::error::Error;
use crate::external::{CallExternal, Interrupted, Surroundings};
use crate::growth;
use crate::outcome::{CallOutcome, Failure};
use crate::parameters::runtime_config;

/// Gas of a view's first attempt when it may be interrupted, and how much larger each next one
/// is. Instructions cannot be stopped from outside, so the clock is read between attempts;
/// a view cannot tell an attempt from the real run, as it may not ask for its gas.
const VIEW_FIRST_ATTEMPT_GAS: u64 = 60_000_000_000_000;
const VIEW_ATTEMPT_GROWTH: u64 = 4;

/// The outcome of another promise that this call waited for.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum PromiseInput {
    Success(Vec<u8>),
    Failed,
    NotReady,
}

/// Everything that a contract can ask about its surroundings (NEAR's `VMContext` and more).
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Call {
    pub protocol_version: u32,
    pub chain_id: String,
    pub current_account_id: AccountId,
    pub signer_account_id: AccountId,
    /// Borsh.
    pub signer_public_key: Vec<u8>,
    pub predecessor_account_id: AccountId,
    pub refund_to_account_id: AccountId,
    pub method_name: String,
    pub args: Vec<u8>,
    pub promise_results: Vec<PromiseInput>,
    pub block_height: u64,
    pub block_timestamp: u64,
    pub epoch_height: u64,
    /// Without the attached deposit.
    pub account_balance: Balance,
    pub account_locked_balance: Balance,
    pub storage_usage: u64,
    pub account_contract: AccountContract,
    pub code_hash: CryptoHash,
    /// Where the code is; None if the account has no contract.
    pub code_key: Option<Vec<u8>>,
    pub attached_deposit: Balance,
    pub prepaid_gas: Gas,
    pub random_seed: Vec<u8>,
    pub output_data_receivers: Vec<AccountId>,
    pub action_hash: CryptoHash,
    pub validators: Vec<(AccountId, Balance)>,
    /// Counts from 86 on; before, the limit is measured from the beginning of the call.
    pub recorded_size_before_receipt: usize,
    pub view_gas_limit: Option<Gas>,
}

/// Read the borsh form of an account's contract (0 none, 1 local hash, 2 global hash, 3 global account).
pub fn decode_account_contract(bytes: &[u8]) -> Result<AccountContract, Error> {
    borsh::from_slice(bytes).map_err(|error| Error::InvalidInput(format!("account_contract: {error}")))
}

impl Call {
    fn promise_results(&self) -> Arc<[PromiseResult]> {
        let result = |input: &PromiseInput| match input {
            PromiseInput::Success(value) => PromiseResult::Successful(value.as_slice().into()),
            PromiseInput::Failed => PromiseResult::Failed,
            PromiseInput::NotReady => PromiseResult::NotReady,
        };
        self.promise_results.iter().map(result).collect()
    }

    fn context(&self, view_gas: Option<Gas>) -> VMContext {
        VMContext {
            current_account_id: self.current_account_id.clone(),
            signer_account_id: self.signer_account_id.clone(),
            signer_account_pk: self.signer_public_key.clone(),
            predecessor_account_id: self.predecessor_account_id.clone(),
            refund_to_account_id: self.refund_to_account_id.clone(),
            input: Rc::from(self.args.as_slice()),
            promise_results: self.promise_results(),
            block_height: self.block_height,
            block_timestamp: self.block_timestamp,
            epoch_height: self.epoch_height,
            account_balance: self.account_balance,
            account_locked_balance: self.account_locked_balance,
            storage_usage: self.storage_usage,
            account_contract: self.account_contract.clone(),
            attached_deposit: self.attached_deposit,
            prepaid_gas: self.prepaid_gas,
            random_seed: self.random_seed.clone(),
            view_config: view_gas.map(|max_gas_burnt| ViewConfig { max_gas_burnt }),
            output_data_receivers: self.output_data_receivers.clone(),
        }
    }

    fn surroundings(&self, is_view: bool, deadline: Option<Instant>) -> Surroundings<'_> {
        let is_enabled = |feature: ProtocolFeature| feature.enabled(self.protocol_version);
        let counts_from_receipt = is_enabled(ProtocolFeature::EnforcePerReceiptStorageProofLimit);
        Surroundings {
            account_id: &self.current_account_id,
            chain_id: &self.chain_id,
            action_hash: self.action_hash,
            block_height: self.block_height,
            validators: &self.validators,
            recorded_size_before_receipt: counts_from_receipt.then_some(self.recorded_size_before_receipt),
            has_post_quantum_keys: is_enabled(ProtocolFeature::PostQuantumSignatures),
            is_view,
            deadline,
        }
    }
}

/// The code of one call, fetched only if its compiled form is not cached. Reading it leaves
/// no trace in the storage proof, as code travels apart from it.
struct Code<'a> {
    hash: CryptoHash,
    key: &'a [u8],
    state: &'a ChunkState,
}

impl Contract for Code<'_> {
    fn hash(&self) -> CryptoHash {
        self.hash
    }

    fn get_code(&self) -> Option<Arc<ContractCode>> {
        let code = self.state.get_unrecorded(self.key)?;
        Some(Arc::new(ContractCode::new(code, Some(self.hash))))
    }
}

/// Run a method that may write. The writes stay uncommitted in `state`, also when it fails.
pub(crate) fn call(
    cache: &dyn ContractRuntimeCache,
    state: &ChunkState,
    call: &Call,
) -> Result<CallOutcome, Error> {
    let config = runtime_config(call.protocol_version)?;
    if call.account_balance.checked_add(call.attached_deposit).is_none() {
        return Err(Error::InvalidInput("balance and deposit together overflow".into()));
    }
    let attempt = run(cache, state, call, config, None, None)?;
    let mut receipts = attempt.external.receipts;
    let mut outcome = attempt.outcome.expect("a call that writes has no deadline");
    if attempt.has_run {
        let unused = call.prepaid_gas.saturating_sub(outcome.used_gas);
        let spread = receipts.distribute_gas(unused)?;
        outcome.used_gas =
            outcome.used_gas.checked_add(spread).ok_or_else(|| Error::Vm("used gas overflows".into()))?;
    }
    Ok(CallOutcome::new(outcome, receipts))
}

/// Run a method that cannot write, on a state of its own.
pub(crate) fn view(
    cache: &dyn ContractRuntimeCache,
    trie: &Trie,
    call: &Call,
    interrupt_after_ms: Option<u64>,
) -> Result<CallOutcome, Error> {
    let config = runtime_config(call.protocol_version)?;
    let limit = call.view_gas_limit.unwrap_or(config.wasm_config.limit_config.max_gas_burnt);
    let started = Instant::now();
    let deadline = interrupt_after_ms.map(|ms| started + Duration::from_millis(ms));
    let mut gas = deadline.map_or(limit, |_| limit.min(Gas::from_gas(VIEW_FIRST_ATTEMPT_GAS)));
    loop {
        let state = ChunkState::new(trie.clone());
        let attempt = run(cache, &state, call, config, Some(gas), deadline)?;
        let is_last = gas >= limit;
        match attempt.outcome {
            Some(outcome) if is_last || !ran_out_of_gas(&outcome) => {
                return Ok(CallOutcome::new(outcome, attempt.external.receipts));
            }
            Some(_) if deadline.is_some_and(|deadline| Instant::now() < deadline) => {
                gas = limit.min(gas.checked_mul(VIEW_ATTEMPT_GROWTH).unwrap_or(limit));
            }
            _ => return Ok(interrupted(interrupt_after_ms.unwrap_or(0))),
        }
    }
}

fn ran_out_of_gas(outcome: &VMOutcome) -> bool {
    matches!(
        outcome.aborted,
        Some(FunctionCallError::HostError(HostError::GasLimitExceeded | HostError::GasExceeded))
    )
}

fn interrupted(after_ms: u64) -> CallOutcome {
    let failure = Failure::interrupted(after_ms);
    let nothing = VMOutcome::nop_outcome(FunctionCallError::HostError(HostError::GasLimitExceeded));
    CallOutcome { failure: Some(failure), ..CallOutcome::new(nothing, Default::default()) }
}

struct Attempt<'a> {
    /// None: the deadline passed.
    outcome: Option<VMOutcome>,
    /// False when there was no code to run.
    has_run: bool,
    external: CallExternal<'a>,
}

fn run<'a>(
    cache: &dyn ContractRuntimeCache,
    state: &'a ChunkState,
    call: &'a Call,
    config: &Arc<RuntimeConfig>,
    view_gas: Option<Gas>,
    deadline: Option<Instant>,
) -> Result<Attempt<'a>, Error> {
    let mut external = CallExternal::new(state, call.surroundings(view_gas.is_some(), deadline));
    let prepared = call
        .code_key
        .as_deref()
        .filter(|key| state.has_unrecorded(key))
        .map(|key| prepare(cache, Code { hash: call.code_hash, key, state }, call, config, view_gas));
    let Some(prepared) = prepared else {
        let outcome = Some(CallOutcome::without_contract(call.current_account_id.as_str()));
        return Ok(Attempt { outcome, has_run: false, external });
    };
    let context = call.context(view_gas);
    let result = near_vm_runner::run(prepared, &mut external, &context, Arc::clone(&config.fees));
    let (outcome, has_run) = match result {
        Ok(outcome) => (Some(outcome), true),
        Err(VMRunnerError::ContractCodeNotPresent) => {
            (Some(CallOutcome::without_contract(call.current_account_id.as_str())), false)
        }
        Err(VMRunnerError::LoadingError(msg)) => {
            (Some(VMOutcome::nop_outcome(FunctionCallError::LoadingError { msg })), false)
        }
        Err(VMRunnerError::ExternalError(error)) => {
            error.downcast::<Interrupted>().map_err(|error| Error::Vm(error.to_string()))?;
            (None, true)
        }
        Err(error) => return Err(Error::Vm(error.to_string())),
    };
    Ok(Attempt { outcome, has_run, external })
}

fn prepare(
    cache: &dyn ContractRuntimeCache,
    code: Code<'_>,
    call: &Call,
    config: &Arc<RuntimeConfig>,
    view_gas: Option<Gas>,
) -> Box<dyn PreparedContract> {
    let wasm = growth::config_for_key(call.protocol_version, code.hash, code.state, code.key)
        .unwrap_or_else(|| Arc::clone(&config.wasm_config));
    let gas_counter = GasCounter::new(
        wasm.ext_costs.clone(),
        view_gas.unwrap_or(wasm.limit_config.max_gas_burnt),
        wasm.regular_op_cost,
        call.prepaid_gas,
        view_gas.is_some(),
    );
    near_vm_runner::prepare(&code, wasm, Some(cache), gas_counter, &call.method_name)
}
