"""The state before the first block: records of a genesis file, sorted into shards.

Storage usage is computed from the records, whatever they say themselves, and
the stake of each validator is locked. Source: nearcore ``core/store/src/genesis``.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

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

WRITES_AT_ONCE: Final = 50_000
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


def make_genesis_state(
    config: RuntimeConfig,
    layout: ShardLayout,
    records: Iterable[StateRecord],
    validators: Sequence[tuple[AccountId, Balance]],
) -> Mapping[ShardId, Trie]:
    """A trie for each shard, in the order of the layout.

    Raises ``InvalidStateRecord`` for a record or a validator without its account,
    and for code that is not the one its account names.
    """
    shards = {shard_id: _ShardGenesis(config) for shard_id in layout.shard_ids}
    for record in records:
        shards[layout.get_shard_id(record.account_id)].add(record)
    for account_id, stake in validators:
        shards[layout.get_shard_id(account_id)].stakes[account_id] = stake
    return {shard_id: shard.finish() for shard_id, shard in shards.items()}


class _ShardGenesis:
    """The state of one shard as its records come in. There may be millions, so they go into the trie at once;
    only accounts wait for the end, when their storage usage is known.
    """

    def __init__(self, config: RuntimeConfig) -> None:
        self.stakes: dict[AccountId, Balance] = {}
        self._config = config
        self._accounts: dict[AccountId, Account | UninitialisedAccount] = {}
        self._usage: dict[AccountId, int] = {}
        self._code_hashes: dict[AccountId, bytes] = {}
        self._trie = Trie()
        self._writes: list[tuple[bytes, bytes | None]] = []

    def add(self, record: StateRecord) -> None:
        """Take one record. Those of an account need not stand together."""
        account_id = record.account_id
        self._usage[account_id] = self._usage.get(account_id, 0) + _compute_record_usage(record, self._config)
        if isinstance(record, AccountRecord):
            self._accounts[account_id] = record.account
            return
        if isinstance(record, ContractRecord):
            self._code_hashes[account_id] = sha256(record.code)
        self._write(*make_record_write(record))

    def finish(self) -> Trie:
        """The state, when all records are there."""
        for account_id, code_hash in self._code_hashes.items():
            owner = self._accounts.get(account_id)
            if not isinstance(owner, Account) or owner.local_code_hash != code_hash:
                raise InvalidStateRecord(f"the code of {account_id} is not the one that its account names")
        for account_id in itertools.chain(self._usage, self.stakes):
            if account_id not in self._accounts:
                raise InvalidStateRecord(f"a record or a validator names {account_id}, which is no account")
        for account_id, account in self._accounts.items():
            account = _with_usage_and_stake(account, self._usage[account_id], self.stakes.get(account_id))
            self._write(keys.account(account_id), _encode_any_account(account))
        return self._trie.update(self._writes)

    def _write(self, key: bytes, value: bytes) -> None:
        self._writes.append((key, value))
        if len(self._writes) == WRITES_AT_ONCE:
            self._trie = self._trie.update(self._writes)
            self._writes = []
