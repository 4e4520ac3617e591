"""How many bytes keys and contracts count on an account."""

from hither.crypto.keys import KeyHandle
from hither.params import RuntimeConfig
from hither.primitives.account import (
    AccessKey,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    encode_access_key,
)
from hither.primitives.types import AccountId
from hither.runtime.fees import NONCE_INDEX_SIZE, NONCE_SIZE
from hither.state import ChunkState, keys


def compute_key_usage(config: RuntimeConfig, handle: KeyHandle, access_key: AccessKey) -> int:
    """Bytes of a key's record, and of all nonces of a gas key."""
    extra = config.fees.storage.num_extra_bytes_record
    handle_size = 1 + len(handle.data)
    usage = handle_size + len(encode_access_key(access_key)) + extra
    permission = access_key.permission
    if isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        nonce_usage = handle_size + NONCE_INDEX_SIZE + NONCE_SIZE + extra
        usage += permission.gas_key.num_nonces * nonce_usage
    return usage


def get_code_length(state: ChunkState, account_id: AccountId) -> int:
    """Length of the account's own code; the code itself is not read."""
    reference = state.get_reference(keys.contract_code(account_id))
    return 0 if reference is None else reference[0]
