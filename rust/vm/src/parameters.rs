//! NEAR's fee and limit tables by protocol version, as JSON.
//!
//! The figures come from `near-parameters`; nothing here is typed by hand but the names.
//! `RuntimeConfigView` (what RPC shows) drops compute costs and several flags, so the
//! tables are read from the structs themselves.

use std::sync::{Arc, LazyLock};

use near_parameters::config::{BandwidthSchedulerConfig, CongestionControlConfig};
use near_parameters::{
    Fee, ParameterCost, RuntimeConfig, RuntimeConfigStore, RuntimeConfigView, RuntimeFeesConfig,
    SignatureKind,
};
use near_primitives_core::num_rational::Rational32;
use near_primitives_core::types::Balance;
use near_primitives_core::version::{ProtocolFeature, MIN_SUPPORTED_PROTOCOL_VERSION, PROTOCOL_VERSION};
use serde_json::{json, Map, Value};

use crate::error::Error;

static STORE: LazyLock<RuntimeConfigStore> = LazyLock::new(|| RuntimeConfigStore::new(None));

/// The configuration of a version this product can run.
pub fn runtime_config(protocol_version: u32) -> Result<&'static Arc<RuntimeConfig>, Error> {
    if !(MIN_SUPPORTED_PROTOCOL_VERSION..=PROTOCOL_VERSION).contains(&protocol_version) {
        return Err(Error::ProtocolVersion {
            version: protocol_version,
            oldest: MIN_SUPPORTED_PROTOCOL_VERSION,
            newest: PROTOCOL_VERSION,
        });
    }
    Ok(STORE.get_config(protocol_version))
}

/// Every figure of `RuntimeConfig`, compute costs included.
pub fn runtime_config_json(protocol_version: u32) -> Result<String, Error> {
    let config = runtime_config(protocol_version)?;
    let creation = &config.account_creation_config;
    let witness = &config.witness_config;
    Ok(json!({
        "protocol_version": protocol_version,
        "fees": fees(&config.fees),
        "wasm": wasm(&config.wasm_config)?,
        "account_creation": {
            "min_allowed_top_level_account_length": creation.min_allowed_top_level_account_length,
            "registrar_account_id": creation.registrar_account_id.as_str(),
        },
        "congestion_control": congestion_control(&config.congestion_control_config),
        "witness": {
            "main_storage_proof_size_soft_limit": witness.main_storage_proof_size_soft_limit,
            "combined_transactions_size_limit": witness.combined_transactions_size_limit,
            "new_transactions_validation_state_size_soft_limit":
                witness.new_transactions_validation_state_size_soft_limit,
        },
        "bandwidth_scheduler": bandwidth_scheduler(&config.bandwidth_scheduler_config),
        "use_state_stored_receipt": config.use_state_stored_receipt,
        "min_gas_purchase_price": balance(config.min_gas_purchase_price),
        "account_creation_charge": balance(config.account_creation_charge),
    })
    .to_string())
}

/// NEAR's own JSON of the part that `EXPERIMENTAL_protocol_config` shows.
pub fn protocol_config_view_json(protocol_version: u32) -> Result<String, Error> {
    let config = runtime_config(protocol_version)?;
    let view = RuntimeConfigView::from(RuntimeConfig::clone(config));
    serde_json::to_string(&view).map_err(Error::json)
}

/// The protocol features of 84 and later, by NEAR's name, with the version that starts them.
pub fn protocol_features() -> Vec<(String, u32)> {
    use ProtocolFeature::*;
    #[allow(deprecated)]
    let features = [
        _DeprecatedWasmtime,
        GasKeys,
        StrictNonce,
        DelegateV2,
        PostQuantumSignatures,
        AccountCostIncrease,
        ExecutionMetadataV4,
        YieldWithId,
        UniqueChunkTransactions,
        ClampOutgoingGasAdmission,
        DynamicResharding,
        StickyReshardingValidatorAssignment,
        ContinuousEpochSync,
        ValidateBlockOrdinalAndEpochSyncDataHash,
        SignedContractCodeResponse,
        FixDelegateActionDepositWithFunctionCallError,
        FixDelegatedDeterministicStateInit,
        FixDeleteAccountGlobalContractStorageUsage,
        EnforcePerReceiptStorageProofLimit,
        RemoveGasRewards,
        RejectDelegateV2,
        RejectWithdrawFromGasKeyInDelegate,
        RejectEmptyMethodName,
        RejectUniversalAccountTransfers,
        EnforceStorageProofLimitForAllActions,
        FixContractLoadingError,
        GlobalContractSameChunkCallFix,
        EarlyKickout,
        RejectBlockHeaderV7BeforeSpice,
        UniversalAccounts,
        CanonicalUniversalStateInit,
        RefundRepeatedUniversalStateInitDeposit,
        FixContractLoadingCost,
        ShuffleShardAssignments,
        FixMlDsaCostCharging,
        ReceiptPromiseInputSizeLimit,
        Spice,
    ];
    features
        .into_iter()
        .map(|feature| {
            let name = format!("{feature:?}");
            let name = name.strip_prefix("_Deprecated").unwrap_or(&name).to_owned();
            (name, feature.protocol_version())
        })
        .collect()
}

/// As text: JSON numbers end at 64 bits here.
fn balance(amount: Balance) -> Value {
    Value::String(amount.as_yoctonear().to_string())
}

fn ratio(value: Rational32) -> Value {
    json!([value.numer(), value.denom()])
}

fn cost(value: ParameterCost) -> Value {
    json!({"gas": value.gas.as_gas(), "compute": value.compute})
}

fn fee(value: &Fee) -> Value {
    json!({
        "send_sir": cost(value.send_fee(true)),
        "send_not_sir": cost(value.send_fee(false)),
        "execution": cost(value.exec_fee()),
    })
}

fn fees(fees: &RuntimeFeesConfig) -> Value {
    let actions: Map<String, Value> =
        fees.action_fees.iter().map(|(name, value)| (name.to_string(), fee(value))).collect();
    let storage = &fees.storage_usage_config;
    let signatures = &fees.signature_verification_costs;
    json!({
        "actions": actions,
        "storage": {
            "amount_per_byte": balance(storage.storage_amount_per_byte),
            "num_bytes_account": storage.num_bytes_account,
            "num_extra_bytes_record": storage.num_extra_bytes_record,
            "global_contract_amount_per_byte": balance(storage.global_contract_storage_amount_per_byte),
        },
        "burnt_gas_reward": ratio(fees.burnt_gas_reward),
        "pessimistic_gas_price_inflation": ratio(fees.pessimistic_gas_price_inflation_ratio),
        "gas_refund_penalty": ratio(fees.gas_refund_penalty),
        "min_gas_refund_penalty": fees.min_gas_refund_penalty.as_gas(),
        "deploy_global_contract_execution_base": fees.deploy_global_contract_execution_base,
        "deploy_global_contract_execution_per_byte": fees.deploy_global_contract_execution_per_byte,
        "signature_verification": [
            cost(signatures[SignatureKind::Ed25519]),
            cost(signatures[SignatureKind::Secp256k1]),
            cost(signatures[SignatureKind::MlDsa65]),
        ],
    })
}

fn wasm(config: &near_parameters::vm::Config) -> Result<Value, Error> {
    let host: Map<String, Value> =
        config.ext_costs.costs.iter().map(|(name, value)| (name.to_string(), cost(*value))).collect();
    Ok(json!({
        "host_costs": host,
        "grow_mem_cost": config.grow_mem_cost,
        "regular_op_cost": config.regular_op_cost,
        "linear_op_base_cost": config.linear_op_base_cost,
        "linear_op_unit_cost": config.linear_op_unit_cost,
        "limits": serde_json::to_value(&config.limit_config).map_err(Error::json)?,
        "fix_contract_loading_cost": config.fix_contract_loading_cost,
        "fix_contract_loading_error": config.fix_contract_loading_error,
        "eth_implicit_accounts": config.eth_implicit_accounts,
        "universal_accounts": config.universal_accounts,
        "canonical_universal_state_init": config.canonical_universal_state_init,
        "discard_custom_sections": config.discard_custom_sections,
        "global_contract_host_fns": config.global_contract_host_fns,
        "reftypes_bulk_memory": config.reftypes_bulk_memory,
        "gas_key_host_fns": config.gas_key_host_fns,
        "fix_ml_dsa_cost_charging": config.fix_ml_dsa_cost_charging,
        "one_yocto_on_promise": config.one_yocto_on_promise,
        "p256_verify_host_fn": config.p256_verify_host_fn,
        "ml_dsa_verify_host_fn": config.ml_dsa_verify_host_fn,
        "sha3_host_fns": config.sha3_host_fns,
        "yield_with_id_host_fns": config.yield_with_id_host_fns,
        "chain_id_host_fn": config.chain_id_host_fn,
        "bls12381_not_in_group_fix": config.bls12381_not_in_group_fix,
    }))
}

fn congestion_control(config: &CongestionControlConfig) -> Value {
    json!({
        "max_congestion_incoming_gas": config.max_congestion_incoming_gas.as_gas(),
        "max_congestion_outgoing_gas": config.max_congestion_outgoing_gas.as_gas(),
        "max_congestion_memory_consumption": config.max_congestion_memory_consumption,
        "max_congestion_missed_chunks": config.max_congestion_missed_chunks,
        "max_outgoing_gas": config.max_outgoing_gas.as_gas(),
        "min_outgoing_gas": config.min_outgoing_gas.as_gas(),
        "allowed_shard_outgoing_gas": config.allowed_shard_outgoing_gas.as_gas(),
        "max_tx_gas": config.max_tx_gas.as_gas(),
        "min_tx_gas": config.min_tx_gas.as_gas(),
        "reject_tx_congestion_threshold": config.reject_tx_congestion_threshold,
        "outgoing_receipts_usual_size_limit": config.outgoing_receipts_usual_size_limit,
        "outgoing_receipts_big_size_limit": config.outgoing_receipts_big_size_limit,
    })
}

fn bandwidth_scheduler(config: &BandwidthSchedulerConfig) -> Value {
    json!({
        "max_shard_bandwidth": config.max_shard_bandwidth,
        "max_single_grant": config.max_single_grant,
        "max_allowance": config.max_allowance,
        "max_base_bandwidth": config.max_base_bandwidth,
    })
}
