"""The shape of a runtime configuration. Every figure in it comes from the native module."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Cost(msgspec.Struct, frozen=True, gc=False):
    """Gas is what is paid; compute is what counts against a chunk's limit."""

    gas: int
    compute: int


class Fee(msgspec.Struct, frozen=True, gc=False):
    """What a thing costs to send to oneself, to send to another, and to execute."""

    send_sir: Cost
    send_not_sir: Cost
    execution: Cost

    def send(self, sender_is_receiver: bool) -> Cost:
        """The fee for sending."""
        return self.send_sir if sender_is_receiver else self.send_not_sir


class ActionFees(msgspec.Struct, frozen=True):
    """Fees of actions and of receipts, by NEAR's names (``ActionCosts``)."""

    create_account: Fee
    delete_account: Fee
    deploy_contract_base: Fee
    deploy_contract_byte: Fee
    function_call_base: Fee
    function_call_byte: Fee
    transfer: Fee
    stake: Fee
    add_full_access_key: Fee
    add_function_call_key_base: Fee
    add_function_call_key_byte: Fee
    delete_key: Fee
    new_action_receipt: Fee
    new_data_receipt_base: Fee
    new_data_receipt_byte: Fee
    delegate: Fee
    deploy_global_contract_base: Fee
    deploy_global_contract_byte: Fee
    use_global_contract_base: Fee
    use_global_contract_byte: Fee
    deterministic_state_init_base: Fee
    deterministic_state_init_byte: Fee
    deterministic_state_init_entry: Fee
    gas_key_transfer_base: Fee
    gas_key_byte: Fee
    gas_key_nonce_write_base: Fee
    universal_state_init_base: Fee
    universal_state_init_byte: Fee
    universal_state_init_entry: Fee


class StorageFees(msgspec.Struct, frozen=True, gc=False):
    """What must be held (or, for global code, burnt) per byte, and how bytes are counted."""

    amount_per_byte: int
    num_bytes_account: int
    num_extra_bytes_record: int
    global_contract_amount_per_byte: int


class RuntimeFees(msgspec.Struct, frozen=True):
    """The price of everything but the VM's own work. Ratios are (numerator, denominator).

    ``signature_verification`` is indexed by the kind of the key. The two
    ``deploy_global_contract_execution`` figures are compute.
    """

    actions: ActionFees
    storage: StorageFees
    burnt_gas_reward: tuple[int, int]
    pessimistic_gas_price_inflation: tuple[int, int]
    gas_refund_penalty: tuple[int, int]
    min_gas_refund_penalty: int
    deploy_global_contract_execution_base: int
    deploy_global_contract_execution_per_byte: int
    signature_verification: tuple[Cost, Cost, Cost]


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What a transaction, a receipt, a contract and a call may at most have (``LimitConfig``)."""

    max_gas_burnt: int
    max_stack_height: int
    initial_memory_pages: int
    max_memory_pages: int
    registers_memory_limit: int
    max_register_size: int
    max_number_registers: int
    max_number_logs: int
    max_total_log_length: int
    max_total_prepaid_gas: int
    max_actions_per_receipt: int
    max_deploy_actions_per_receipt: int
    max_number_bytes_method_names: int
    max_length_method_name: int
    max_arguments_length: int
    max_length_returned_data: int
    max_contract_size: int
    max_transaction_size: int
    max_receipt_size: int
    max_length_storage_key: int
    max_length_storage_value: int
    max_promises_per_function_call_action: int
    max_number_input_data_dependencies: int
    max_receipt_total_input_size: int
    max_universal_state_init_keys: int
    max_state_init_entries: int
    account_id_validity_rules_version: int
    yield_timeout_length_in_blocks: int
    max_yield_payload_size: int
    per_receipt_storage_proof_size_limit: int
    max_functions_number_per_contract: int | None = None
    max_locals_per_contract: int | None = None
    min_contract_size_per_local: int | None = None
    max_params_per_contract: int | None = None
    max_params_per_function: int | None = None
    max_operand_stack_bytes_per_function: int | None = None
    max_tables_per_contract: int | None = None
    max_elements_per_contract_table: int | None = None
    max_function_body_size: int | None = None
    max_instrumented_code_size: int | None = None
    max_blocks_per_function: int | None = None
    max_blocks_per_contract: int | None = None
    max_types_per_contract: int | None = None
    max_globals_per_contract: int | None = None


class WasmConfig(msgspec.Struct, frozen=True):
    """The VM's prices, limits and switches. ``host_costs`` goes by NEAR's names (``ExtCosts``)."""

    host_costs: Mapping[str, Cost]
    grow_mem_cost: int
    regular_op_cost: int
    linear_op_base_cost: int
    linear_op_unit_cost: int
    limits: Limits
    fix_contract_loading_cost: bool
    fix_contract_loading_error: bool
    eth_implicit_accounts: bool
    universal_accounts: bool
    canonical_universal_state_init: bool
    discard_custom_sections: bool
    global_contract_host_fns: bool
    reftypes_bulk_memory: bool
    gas_key_host_fns: bool
    fix_ml_dsa_cost_charging: bool
    one_yocto_on_promise: bool
    p256_verify_host_fn: bool
    ml_dsa_verify_host_fn: bool
    sha3_host_fns: bool
    yield_with_id_host_fns: bool
    chain_id_host_fn: bool
    bls12381_not_in_group_fix: bool


class AccountCreation(msgspec.Struct, frozen=True, gc=False):
    """Who may create short top-level accounts."""

    min_allowed_top_level_account_length: int
    registrar_account_id: str


class CongestionControl(msgspec.Struct, frozen=True, gc=False):
    """When a shard counts as congested and how much others may then send to it.

    The threshold is a float because NEAR's own rule compares floats.
    """

    max_congestion_incoming_gas: int
    max_congestion_outgoing_gas: int
    max_congestion_memory_consumption: int
    max_congestion_missed_chunks: int
    max_outgoing_gas: int
    min_outgoing_gas: int
    allowed_shard_outgoing_gas: int
    max_tx_gas: int
    min_tx_gas: int
    reject_tx_congestion_threshold: float
    outgoing_receipts_usual_size_limit: int
    outgoing_receipts_big_size_limit: int


class WitnessLimits(msgspec.Struct, frozen=True, gc=False):
    """Bytes that a chunk's proof and transactions may take."""

    main_storage_proof_size_soft_limit: int
    combined_transactions_size_limit: int
    new_transactions_validation_state_size_soft_limit: int


class BandwidthScheduler(msgspec.Struct, frozen=True, gc=False):
    """Bytes of receipts that may go between shards at one height."""

    max_shard_bandwidth: int
    max_single_grant: int
    max_allowance: int
    max_base_bandwidth: int


class RuntimeConfig(msgspec.Struct, frozen=True):
    """All figures of one protocol version."""

    protocol_version: int
    fees: RuntimeFees
    wasm: WasmConfig
    account_creation: AccountCreation
    congestion_control: CongestionControl
    witness: WitnessLimits
    bandwidth_scheduler: BandwidthScheduler
    use_state_stored_receipt: bool
    min_gas_purchase_price: int
    account_creation_charge: int


def decode_runtime_config(text: str) -> RuntimeConfig:
    """Read the native module's table; a field that is missing there is an error here."""
    return msgspec.json.decode(text, type=RuntimeConfig, strict=False)  # Balances are decimal text.


def decode_protocol_config_view(text: str) -> dict[str, Any]:
    """Read NEAR's own JSON of the figures, order of fields kept."""
    return msgspec.json.decode(text, type=dict[str, Any])
