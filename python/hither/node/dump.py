"""The state of the newest block as a genesis: what a chain could begin from.

Reads the database of a home directory without the node, also while it runs. As in NEAR's own dumps, receipts
that wait in state and global contracts are left out: a genesis cannot hold them.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from hither.chain.genesis import Genesis, with_supply_of_records
from hither.chain.rows import TABLES
from hither.node.home import Home, HomeProblem
from hither.primitives.account import decode_access_key, decode_account_record
from hither.primitives.receipt import decode_received_data
from hither.primitives.state_record import (
    AccessKeyRecord,
    AccountRecord,
    ContractRecord,
    DataRecord,
    GasKeyNonceRecord,
    ReceivedDataRecord,
    StateRecord,
    state_record_to_json,
)
from hither.primitives.types import CryptoHash, Nonce
from hither.state import StateDamaged, StateStore, Store, StoreError, Trie, keys

READS_MAX = 5
PAIRS_READ_AT_ONCE = 10_000


def dump(home: Home) -> Genesis:
    """The home's genesis with the records of the newest block. Raises HomeProblem."""
    records = [record for trie in _load_heads(home) for record in iterate_records(trie)]
    locked = {
        record["Account"]["account_id"]: record["Account"]["account"]["locked"]
        for record in records
        if "Account" in record
    }
    config = home.genesis.config
    validators = [
        msgspec.structs.replace(validator, amount=locked.get(validator.account_id, validator.amount))
        for validator in config.validators
    ]
    config = msgspec.structs.replace(config, validators=validators)
    return with_supply_of_records(Genesis(config, records))


def _load_heads(home: Home) -> list[Trie]:
    """The states of all shards. A node that writes meanwhile can spoil a read; then once more."""
    if not home.data_path.exists():
        raise HomeProblem(f"{home.path} holds no chain yet; run its node first")
    try:
        store = Store(str(home.data_path), tables=TABLES, read_only=True)
    except StoreError as error:
        raise HomeProblem(f"{home.data_path}: {error}") from error
    try:
        for attempt in range(1, READS_MAX + 1):
            try:
                heads = StateStore(store).load()
                break
            except StateDamaged:
                if attempt == READS_MAX:
                    raise
    finally:
        store.close()
    if not heads:
        raise HomeProblem(f"{home.path} holds no chain yet; run its node first")
    return [trie for _, trie in heads.values()]


def iterate_records(trie: Trie) -> Iterator[dict[str, Any]]:
    """The records of one shard in the order of their keys, in JSON forms."""
    after: bytes | None = None
    while pairs := trie.scan(b"", after, PAIRS_READ_AT_ONCE):
        for key, value in pairs:
            record = parse_record(key, value)
            if record is not None:
                yield state_record_to_json(record)
        after = pairs[-1][0]


def parse_record(key: bytes, value: bytes) -> StateRecord | None:
    """The record under a trie key; None for what a genesis cannot hold."""
    match key[0]:
        case keys.ACCOUNT:
            return AccountRecord(keys.parse_account(key), decode_account_record(value))
        case keys.CONTRACT_CODE:
            return ContractRecord(keys.parse_contract_code(key), value)
        case keys.ACCESS_KEY:
            name = keys.parse_access_key(key)
            if name.nonce_index is None:
                return AccessKeyRecord(name.account_id, name.handle, decode_access_key(value))
            nonce = Nonce(int.from_bytes(value, "little"))
            return GasKeyNonceRecord(name.account_id, name.handle, name.nonce_index, nonce)
        case keys.RECEIVED_DATA:
            item = keys.parse_account_item(key)
            data = decode_received_data(value)
            return ReceivedDataRecord(item.account_id, CryptoHash(item.item), data)
        case keys.CONTRACT_DATA:
            item = keys.parse_contract_data(key)
            return DataRecord(item.account_id, item.item, value)
    return None
