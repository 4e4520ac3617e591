"""The JSON that NEAR's RPC shows of the protocol's data, as plain dicts.

Keys stand in alphabetical order, as in the answers of NEAR's node. Balances are
decimal strings, gas and heights numbers, hashes base58, bytes base64. Code is
shown by its hash; only inside delegate actions it stands in full, because there
NEAR shows the action itself (``view_raw_action``).

``protocol_version``: nodes of protocol 84 name global contracts differently.
"""

from hither.primitives.views.accounts import (
    View,
    view_access_key,
    view_account,
    view_account_contract,
    view_bytes,
    view_function_call_permission,
    view_gas_key,
    view_global_contract_identifier,
    view_hash,
    view_permission,
    view_validator_stake,
)
from hither.primitives.views.actions import view_action, view_raw_action
from hither.primitives.views.blocks import (
    LightClientBlock,
    view_bandwidth_requests,
    view_block,
    view_block_header,
    view_chunk,
    view_chunk_header,
    view_congestion_info,
    view_inner_lite,
    view_light_block_header,
    view_light_client_block,
)
from hither.primitives.views.execution import (
    ExecutedTransaction,
    NamedStatus,
    ProvenOutcome,
    view_final_status,
    view_merkle_path,
    view_outcome,
    view_outcome_with_proof,
    view_receipt,
    view_status,
    view_transaction,
    view_transaction_status,
)

__all__ = [
    "ExecutedTransaction",
    "LightClientBlock",
    "NamedStatus",
    "ProvenOutcome",
    "View",
    "view_access_key",
    "view_account",
    "view_account_contract",
    "view_action",
    "view_bandwidth_requests",
    "view_block",
    "view_block_header",
    "view_bytes",
    "view_chunk",
    "view_chunk_header",
    "view_congestion_info",
    "view_final_status",
    "view_function_call_permission",
    "view_gas_key",
    "view_global_contract_identifier",
    "view_hash",
    "view_inner_lite",
    "view_light_block_header",
    "view_light_client_block",
    "view_merkle_path",
    "view_outcome",
    "view_outcome_with_proof",
    "view_permission",
    "view_raw_action",
    "view_receipt",
    "view_status",
    "view_transaction",
    "view_transaction_status",
    "view_validator_stake",
]
