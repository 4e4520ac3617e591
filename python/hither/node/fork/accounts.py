"""An account as it is copied: its records, and the trie writes that put them into our state."""

from typing import Any

import msgspec

from hither.chain.engine import StatePatch
from hither.client.state_records import validate_records
from hither.crypto.hashing import sha256
from hither.primitives.account import (
    GlobalContractByAccount,
    GlobalContractByHash,
    GlobalContractIdentifier,
)
from hither.primitives.sharding import ShardLayout
from hither.primitives.state_record import (
    AccountRecord,
    InvalidStateRecord,
    state_record_from_json,
)
from hither.primitives.types import AccountId, ShardId
from hither.runtime.genesis import make_record_write
from hither.state import keys


class AccountCopy(msgspec.Struct, frozen=True):
    """What the remote said of an account at the pinned block. No records: it is not there.

    ``records`` are NEAR's records of state in JSON. ``global_code`` is that of the global contract that it uses.
    """

    account_id: AccountId
    records: list[dict[str, Any]]
    global_code: bytes | None = None


def get_global_contract(copy: AccountCopy) -> GlobalContractIdentifier | None:
    """The global contract that the account uses."""
    for record in copy.records:
        parsed = state_record_from_json(record)
        if isinstance(parsed, AccountRecord):
            contract = getattr(parsed.account, "contract", None)
            return contract if isinstance(contract, (GlobalContractByHash, GlobalContractByAccount)) else None
    return None


def validate_copy(copy: AccountCopy) -> None:
    """Raise ValueError for no records, those of another account, and code that the account does not name."""
    validate_records(copy.records)
    if any(state_record_from_json(record).account_id != copy.account_id for record in copy.records):
        raise InvalidStateRecord(f"a record of another account than {copy.account_id}")
    contract = get_global_contract(copy)
    if (contract is None) != (copy.global_code is None):
        raise InvalidStateRecord(f"the global contract of {copy.account_id} is not whole")
    if isinstance(contract, GlobalContractByHash) and sha256(copy.global_code or b"") != contract.code_hash:
        raise InvalidStateRecord(f"the global contract of {copy.account_id} is not the one that it names")


def make_writes(copy: AccountCopy, layout: ShardLayout) -> dict[ShardId, StatePatch]:
    """The records and the mark, and in every shard the global contract."""
    shard_id = layout.get_shard_id(copy.account_id)
    writes = [make_record_write(state_record_from_json(record)) for record in copy.records]
    patches: dict[ShardId, StatePatch] = {shard_id: (*writes, (keys.fork_mark(copy.account_id), b"\x01"))}
    contract = get_global_contract(copy)
    if contract is not None and copy.global_code is not None:
        write = (keys.global_contract_code(contract), copy.global_code)
        patches = {each: (*patches.get(each, ()), write) for each in layout.shard_ids}
    return patches
