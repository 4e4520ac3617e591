"""The state before the first block: records of a genesis file, sorted into shards.

Storage usage is computed from the records, whatever they say themselves, and
the stake of each validator is locked. Source: nearcore ``core/store/src/genesis``.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from hither.crypto.hashing import sha256
from hither.params import RuntimeConfig
from hither.primitives.account import (
    Account,
    UninitialisedAccount,
    encode_access_key,
    encode_account,
    encode_uninitialised_account,
)
from hither.primitives.receipt import encode_received_data
from hither.primitives.sharding import ShardLayout
from hither.primitives.state_record import (
    AccessKeyRecord,
    AccountRecord,
    ContractRecord,
    DataRecord,
    GasKeyNonceRecord,
    InvalidStateRecord,
    ReceivedDataRecord,
    StateRecord,
)
from hither.primitives.types import AccountId, Balance, KeyHandle, ShardId
from hither.state import Trie, keys

_NONCE_SIZE = 8
_NONCE_INDEX_SIZE = 2


def _handle_size(handle: KeyHandle) -> int:
    return 1 + len(handle.data)


def _compute_record_usage(record: StateRecord, config: RuntimeConfig) -> int:
    """Bytes that a record adds to its account; waiting data adds none."""
    extra = config.fees.storage.num_extra_bytes_record
    match record:
        case AccountRecord():
            return config.fees.storage.num_bytes_account
        case DataRecord(key=key, value=value):
            return extra + len(key) + len(value)
        case ContractRecord(code=code):
            return len(code)
        case AccessKeyRecord(key=handle, access_key=access_key):
            return extra + _handle_size(handle) + len(encode_access_key(access_key))
        case GasKeyNonceRecord(key=handle):
            return extra + _handle_size(handle) + _NONCE_INDEX_SIZE + _NONCE_SIZE
        case ReceivedDataRecord():
            return 0


def make_record_write(record: StateRecord) -> tuple[bytes, bytes]:
    """The trie key and value of a record. A contract's account is checked by the caller."""
    account_id = record.account_id
    match record:
        case AccountRecord(account=account):
            return keys.account(account_id), _encode_any_account(account)
        case DataRecord(key=key, value=value):
            return keys.contract_data(account_id, key), value
        case ContractRecord(code=code):
            return keys.contract_code(account_id), code
        case AccessKeyRecord(key=handle, access_key=access_key):
            return keys.access_key(account_id, handle), encode_access_key(access_key)
        case GasKeyNonceRecord(key=handle, index=index, nonce=nonce):
            return keys.gas_key_nonce(account_id, handle, index), nonce.to_bytes(_NONCE_SIZE, "little")
        case ReceivedDataRecord(data_id=data_id, data=data):
            return keys.received_data(account_id, data_id), encode_received_data(data)


def _encode_any_account(account: Account | UninitialisedAccount) -> bytes:
    if isinstance(account, UninitialisedAccount):
        return encode_uninitialised_account(account)
    return encode_account(account)


def _with_usage_and_stake(
    account: Account | UninitialisedAccount, usage: int, stake: Balance | None
) -> Account | UninitialisedAccount:
    account = msgspec.structs.replace(account, storage_usage=usage)
    if stake is None:
        return account
    if not isinstance(account, Account):
        raise InvalidStateRecord("an uninitialised account cannot be a validator")
    return msgspec.structs.replace(account, locked=stake)


def make_genesis_writes(
    config: RuntimeConfig, records: Iterable[StateRecord], validators: Sequence[tuple[AccountId, Balance]]
) -> list[tuple[bytes, bytes]]:
    """All trie entries of the records, with storage usage and stakes filled in.

    Raises ``InvalidStateRecord`` for a record or a validator without its account,
    and for code that is not the one its account names.
    """
    accounts: dict[AccountId, Account | UninitialisedAccount] = {}
    usage: dict[AccountId, int] = {}
    code_hashes: dict[AccountId, bytes] = {}
    writes: list[tuple[bytes, bytes]] = []
    for record in records:
        account_id = record.account_id
        usage[account_id] = usage.get(account_id, 0) + _compute_record_usage(record, config)
        if isinstance(record, AccountRecord):
            accounts[account_id] = record.account
            continue
        if isinstance(record, ContractRecord):
            code_hashes[account_id] = sha256(record.code)
        writes.append(make_record_write(record))
    for account_id, code_hash in code_hashes.items():
        owner = accounts.get(account_id)
        if not isinstance(owner, Account) or owner.local_code_hash != code_hash:
            raise InvalidStateRecord(f"the code of {account_id} is not the one that its account names")
    stakes = dict(validators)
    for account_id in [*usage, *stakes]:
        if account_id not in accounts:
            raise InvalidStateRecord(f"a record or a validator names {account_id}, which is no account")
    for account_id, account in accounts.items():
        account = _with_usage_and_stake(account, usage[account_id], stakes.get(account_id))
        writes.append((keys.account(account_id), _encode_any_account(account)))
    return writes


def make_genesis_state(
    config: RuntimeConfig,
    layout: ShardLayout,
    records: Iterable[StateRecord],
    validators: Sequence[tuple[AccountId, Balance]],
) -> Mapping[ShardId, Trie]:
    """A trie for each shard, in the order of the layout."""
    records_by_shard: dict[ShardId, list[StateRecord]] = {shard_id: [] for shard_id in layout.shard_ids}
    for record in records:
        records_by_shard[layout.get_shard_id(record.account_id)].append(record)
    tries = {}
    for shard_id, shard_records in records_by_shard.items():
        own = [pair for pair in validators if layout.get_shard_id(pair[0]) == shard_id]
        writes = make_genesis_writes(config, shard_records, own)
        tries[shard_id] = Trie().update([(key, value) for key, value in writes])
    return tries
