"""Records that are written into the state by hand (``sandbox_patch_state``)."""

from collections.abc import Sequence
from typing import Any

from hither.chain.engine import StatePatch
from hither.chain.reader import ChainReader, ControlRefused
from hither.crypto.hashing import sha256
from hither.primitives.account import Account
from hither.primitives.state_record import (
    AccountRecord,
    ContractRecord,
    InvalidStateRecord,
    StateRecord,
    state_record_from_json,
)
from hither.primitives.types import AccountId, ShardId
from hither.runtime.genesis import make_record_write
from hither.state.records import get_account_optional


def make_patches(records: Sequence[Any], reader: ChainReader) -> dict[ShardId, StatePatch]:
    """The trie writes of the records, by shard. Raises ControlRefused for what is no record.

    Code needs an account that names its hash, in the same patch or already there: NEAR's own
    node stops when it does not.
    """
    parsed = _parse_all(records)
    accounts = {r.account_id: r.account for r in parsed if isinstance(r, AccountRecord)}
    tip = reader.get_head()
    layout = reader.get_epoch(tip.epoch_id).shard_layout
    patches: dict[ShardId, list[tuple[bytes, bytes | None]]] = {}
    for record in parsed:
        shard_id = layout.get_shard_id(record.account_id)
        if isinstance(record, ContractRecord):
            account: Any = accounts.get(record.account_id)
            if account is None:
                trie = reader.get_trie(tip.last_block_hash, shard_id)
                account = get_account_optional(trie, AccountId(record.account_id))
            _must_name_code(record, account)
        patches.setdefault(shard_id, []).append(make_record_write(record))
    return {shard_id: tuple(writes) for shard_id, writes in patches.items()}


def list_accounts_of_records(records: Sequence[Any]) -> list[AccountId]:
    """Whose records they are. Raises ControlRefused for what is no record."""
    return [record.account_id for record in _parse_all(records)]


def _parse_all(records: Sequence[Any]) -> list[StateRecord]:
    try:
        return [state_record_from_json(record) for record in records]
    except InvalidStateRecord as error:
        raise ControlRefused(f"not a record of state: {error}") from None


def _must_name_code(record: StateRecord, account: object) -> None:
    assert isinstance(record, ContractRecord)
    if not isinstance(account, Account) or account.local_code_hash != sha256(record.code):
        raise ControlRefused(f"the code of {record.account_id} is not the one that its account names")
