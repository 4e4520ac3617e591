//! RPC answers and errors: parsed as NEAR's client types and printed again.

use crate::Answer;
use near_jsonrpc_primitives::errors::RpcError;
use near_jsonrpc_primitives::types;
use near_primitives::{errors, state_record, views};
use serde::{de::DeserializeOwned, Serialize};
use serde_json::{to_value, Value};

fn via<T: DeserializeOwned + Serialize>(json: &Value) -> Answer {
    let value: T = serde_json::from_value(json.clone()).map_err(|error| error.to_string())?;
    to_value(value).map_err(|error| error.to_string())
}

pub fn reprint(name: &str, json: &Value) -> Answer {
    match name {
        // Errors inside outcomes.
        "TxExecutionError" => via::<errors::TxExecutionError>(json),
        "InvalidTxError" => via::<errors::InvalidTxError>(json),
        "InvalidAccessKeyError" => via::<errors::InvalidAccessKeyError>(json),
        "ActionsValidationError" => via::<errors::ActionsValidationError>(json),
        "ReceiptValidationError" => via::<errors::ReceiptValidationError>(json),
        "ActionError" => via::<errors::ActionError>(json),
        "ActionErrorKind" => via::<errors::ActionErrorKind>(json),
        "FunctionCallError" => via::<errors::FunctionCallError>(json),
        "CompilationError" => via::<errors::CompilationError>(json),
        "PrepareError" => via::<errors::PrepareError>(json),
        "MethodResolveError" => via::<errors::MethodResolveError>(json),
        "WasmTrap" => via::<errors::WasmTrap>(json),
        "HostError" => via::<errors::HostError>(json),
        "StorageError" => via::<errors::StorageError>(json),
        // Errors of the RPC itself.
        "RpcError" => via::<RpcError>(json),
        // Views.
        "AccountView" => via::<views::AccountView>(json),
        "AccessKeyView" => via::<views::AccessKeyView>(json),
        "ActionView" => via::<views::ActionView>(json),
        "SignedTransactionView" => via::<views::SignedTransactionView>(json),
        "ReceiptView" => via::<views::ReceiptView>(json),
        "ExecutionOutcomeWithIdView" => via::<views::ExecutionOutcomeWithIdView>(json),
        "BlockView" => via::<views::BlockView>(json),
        "BlockHeaderView" => via::<views::BlockHeaderView>(json),
        "ChunkView" => via::<views::ChunkView>(json),
        "LightClientBlockLiteView" => via::<views::LightClientBlockLiteView>(json),
        "StateRecord" => via::<state_record::StateRecord>(json),
        "Genesis" => via::<near_chain_configs::Genesis>(json),
        "GenesisConfig" => via::<near_chain_configs::GenesisConfig>(json),
        // Answers by method.
        "block" => via::<types::blocks::RpcBlockResponse>(json),
        "chunk" => via::<types::chunks::RpcChunkResponse>(json),
        "tx" | "send_tx" | "EXPERIMENTAL_tx_status" | "broadcast_tx_commit" => {
            via::<types::transactions::RpcTransactionResponse>(json)
        }
        "query" => via::<types::query::RpcQueryResponse>(json),
        "gas_price" => via::<types::gas_price::RpcGasPriceResponse>(json),
        "status" => via::<types::status::RpcStatusResponse>(json),
        "validators" => via::<types::validator::RpcValidatorResponse>(json),
        "EXPERIMENTAL_validators_ordered" => {
            via::<Vec<views::validator_stake_view::ValidatorStakeView>>(json)
        }
        "network_info" => via::<types::network_info::RpcNetworkInfoResponse>(json),
        "genesis_config" | "EXPERIMENTAL_genesis_config" => via::<near_chain_configs::GenesisConfig>(json),
        "EXPERIMENTAL_protocol_config" => via::<types::config::RpcProtocolConfigResponse>(json),
        "changes" | "EXPERIMENTAL_changes" => via::<types::changes::RpcStateChangesInBlockResponse>(json),
        "block_effects" | "EXPERIMENTAL_changes_in_block" => {
            via::<types::changes::RpcStateChangesInBlockByTypeResponse>(json)
        }
        "EXPERIMENTAL_congestion_level" => via::<types::congestion::RpcCongestionLevelResponse>(json),
        "EXPERIMENTAL_receipt" => via::<types::receipts::RpcReceiptResponse>(json),
        "EXPERIMENTAL_receipt_to_tx" => via::<types::receipts::RpcReceiptToTxResponse>(json),
        "EXPERIMENTAL_split_storage_info" => via::<types::split_storage::RpcSplitStorageInfoResponse>(json),
        "light_client_proof" | "EXPERIMENTAL_light_client_proof" => {
            via::<types::light_client::RpcLightClientExecutionProofResponse>(json)
        }
        "EXPERIMENTAL_light_client_block_proof" => {
            via::<types::light_client::RpcLightClientBlockProofResponse>(json)
        }
        "next_light_client_block" => via::<views::LightClientBlockView>(json),
        "maintenance_windows" | "EXPERIMENTAL_maintenance_windows" => {
            via::<views::MaintenanceWindowsView>(json)
        }
        "EXPERIMENTAL_view_account" => via::<types::view_account::RpcViewAccountResponse>(json),
        "EXPERIMENTAL_view_code" => via::<types::view_code::RpcViewCodeResponse>(json),
        "EXPERIMENTAL_view_state" => via::<types::view_state::RpcViewStateResponse>(json),
        "EXPERIMENTAL_view_access_key" => via::<types::view_access_key::RpcViewAccessKeyResponse>(json),
        "EXPERIMENTAL_view_access_key_list" => {
            via::<types::view_access_key_list::RpcViewAccessKeyListResponse>(json)
        }
        "EXPERIMENTAL_view_gas_key_nonces" => {
            via::<types::view_gas_key_nonces::RpcViewGasKeyNoncesResponse>(json)
        }
        "EXPERIMENTAL_call_function" => via::<types::call_function::RpcCallFunctionResponse>(json),
        other => Err(format!("no type {other}")),
    }
}
