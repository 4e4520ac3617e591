//! What a call left behind, in the forms that the chain stores and shows.

use std::sync::LazyLock;

use near_primitives_core::types::Gas;
use near_vm_runner::logic::errors::{CompilationError, FunctionCallError};
use near_vm_runner::logic::{ReturnData, VMOutcome};
use near_vm_runner::ProfileDataV3;
use serde_json::{json, Value};

use crate::receipts::{NewData, NewReceipt, Receipts};

/// The effect of one call. Balance and storage usage mean nothing when it failed.
#[derive(Debug)]
pub struct CallOutcome {
    pub gas_burnt: u64,
    pub gas_used: u64,
    pub compute_usage: u64,
    pub balance: u128,
    pub storage_usage: u64,
    pub logs: Vec<String>,
    pub return_value: ReturnData,
    pub failure: Option<Failure>,
    pub profile: Vec<ProfileEntry>,
    pub subsidized_amount: u128,
    pub receipts: Vec<NewReceipt>,
    pub data_receipts: Vec<NewData>,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// NEAR's `FunctionCallError` as RPC shows it inside `ActionErrorKind`.
    pub json: String,
    /// The text that `query` puts after "wasm execution failed with error: ".
    pub debug: String,
}

/// Gas of one kind: category, NEAR's cost name, gas.
pub type ProfileEntry = (&'static str, &'static str, u64);

const ACTION_COST: &str = "ACTION_COST";
const HOST_COST: &str = "WASM_HOST_COST";

impl CallOutcome {
    pub(crate) fn new(outcome: VMOutcome, receipts: Receipts) -> Self {
        let is_ok = outcome.aborted.is_none();
        CallOutcome {
            gas_burnt: outcome.burnt_gas.as_gas(),
            gas_used: outcome.used_gas.as_gas(),
            compute_usage: outcome.compute_usage,
            balance: outcome.balance.as_yoctonear(),
            storage_usage: outcome.storage_usage,
            logs: outcome.logs,
            return_value: outcome.return_data,
            failure: outcome.aborted.map(Failure::of_contract),
            profile: profile_entries(&outcome.profile),
            subsidized_amount: outcome.subsidized_amount.as_yoctonear(),
            receipts: if is_ok { receipts.receipts } else { Vec::new() },
            data_receipts: if is_ok { receipts.data } else { Vec::new() },
        }
    }

    /// The account has no contract, so nothing ran.
    pub(crate) fn without_contract(account_id: &str) -> VMOutcome {
        let error = CompilationError::CodeDoesNotExist { account_id: account_id.into() };
        VMOutcome::nop_outcome(FunctionCallError::CompilationError(error))
    }
}

impl Failure {
    /// NEAR's node collapses all that happens while running into one text.
    fn of_contract(error: FunctionCallError) -> Self {
        let json = match &error {
            FunctionCallError::CompilationError(error) => json!({"CompilationError": compilation(error)}),
            FunctionCallError::MethodResolveError(error) => json!({"MethodResolveError": error.to_string()}),
            FunctionCallError::LinkError { msg } => json!({"ExecutionError": format!("Link Error: {msg}")}),
            FunctionCallError::WasmTrap(_)
            | FunctionCallError::HostError(_)
            | FunctionCallError::LoadingError { .. } => json!({"ExecutionError": error.to_string()}),
        };
        Failure { json: json.to_string(), debug: format!("{error:?}") }
    }

    pub(crate) fn interrupted(after_ms: u64) -> Self {
        let text = format!("Interrupted after {after_ms} ms.");
        Failure { json: json!({"ExecutionError": text}).to_string(), debug: text }
    }
}

fn compilation(error: &CompilationError) -> Value {
    match error {
        CompilationError::CodeDoesNotExist { account_id } => {
            json!({"CodeDoesNotExist": {"account_id": account_id}})
        }
        CompilationError::PrepareError(error) => json!({"PrepareError": format!("{error:?}")}),
        // NEAR shows either compiler under the older one's name.
        CompilationError::WasmerCompileError { msg } | CompilationError::WasmtimeCompileError { msg } => {
            json!({"WasmerCompileError": {"msg": msg}})
        }
    }
}

/// Category and name of every cost, in the order in which a profile holds them.
static COST_NAMES: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    let profile = ProfileDataV3::default();
    let name = |cost: &dyn std::fmt::Debug| &*format!("{cost:?}").to_ascii_uppercase().leak();
    let actions = profile.actions_profile.iter().map(|(cost, _)| (ACTION_COST, name(&cost)));
    let host = profile.wasm_ext_profile.iter().map(|(cost, _)| (HOST_COST, name(&cost)));
    actions.chain(host).chain([(HOST_COST, "WASM_INSTRUCTION")]).collect()
});

/// Entries above zero in the order of RPC: by category, then by name.
fn profile_entries(profile: &ProfileDataV3) -> Vec<ProfileEntry> {
    let gas = profile.actions_profile.values().chain(profile.wasm_ext_profile.values());
    let mut entries: Vec<ProfileEntry> = COST_NAMES
        .iter()
        .zip(gas.chain([&profile.wasm_gas]))
        .filter(|(_, gas)| **gas > Gas::ZERO)
        .map(|((category, cost), gas)| (*category, *cost, gas.as_gas()))
        .collect();
    entries.sort_unstable();
    entries
}
