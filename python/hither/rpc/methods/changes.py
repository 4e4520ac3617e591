"""What applying a block wrote, by account and kind."""

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from hither.chain.reader import BlockReference, StateChange
from hither.codec import base58
from hither.codec.borsh import U64
from hither.crypto.keys import compute_key_handle, key_handle_to_str
from hither.primitives import views
from hither.primitives.account import decode_access_key, decode_account_record
from hither.primitives.types import AccountId, CryptoHash, PublicKey
from hither.rpc.context import Context, Method
from hither.rpc.methods.blocks import ask_about_block
from hither.rpc.parameters import Field, flattened, list_of, read_base64, structure, tagged
from hither.rpc.values import (
    read_account_id,
    read_block_reference_within,
    read_public_key,
)
from hither.runtime.causes import describe_cause
from hither.state import keys

FAMILY: Final = "changes"


class ChangesRequest(msgspec.Struct, frozen=True):
    """Which changes of which block: keys that start so, or are exactly so."""

    reference: BlockReference
    prefixes: tuple[bytes, ...]
    is_exact: bool


def _get_changes(context: Context, reference: BlockReference) -> tuple[CryptoHash, list[StateChange]]:
    """The block and its changes of all shards in the order of keys."""
    header = ask_about_block(FAMILY, lambda: context.reader.get_header(reference))
    changes = ask_about_block(FAMILY, lambda: context.reader.get_state_changes(header.hash))
    return header.hash, sorted(changes, key=lambda change: change.key)


_KINDS: Final = {
    keys.ACCOUNT: "account_touched",
    keys.CONTRACT_CODE: "contract_code_touched",
    keys.ACCESS_KEY: "access_key_touched",
    keys.CONTRACT_DATA: "data_touched",
}


def _view_kinds(changes: Iterable[StateChange]) -> Iterator[dict[str, Any]]:
    previous = b""
    for change in changes:
        key = change.key
        if key == previous or key[0] not in _KINDS:
            continue
        previous = key
        if key[0] == keys.ACCESS_KEY and keys.parse_access_key(key).nonce_index is not None:
            continue
        yield {"type": _KINDS[key[0]], "account_id": keys.get_account_id_optional(key)}


def get_changes_in_block(context: Context, parameters: BlockReference) -> dict[str, Any]:
    """``block_effects``: which accounts, keys, code and state a block touched."""
    block_hash, changes = _get_changes(context, parameters)
    return {"block_hash": base58.encode(block_hash), "changes": list(_view_kinds(changes))}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _view_account_change(change: StateChange) -> tuple[str, dict[str, Any]]:
    name = {"account_id": keys.parse_account(change.key)}
    if change.value is None:
        return "account_deletion", name
    return "account_update", {**name, **views.view_account(decode_account_record(change.value))}


def _view_access_key_change(change: StateChange) -> tuple[str, dict[str, Any]] | None:
    parsed = keys.parse_access_key(change.key)
    name: dict[str, Any] = {
        "account_id": parsed.account_id,
        "public_key": key_handle_to_str(parsed.handle),
    }
    if parsed.nonce_index is not None:
        # A nonce goes only with its key, whose deletion is told.
        if change.value is None:
            return None
        nonce = {"index": parsed.nonce_index, "nonce": U64.decode(change.value)}
        return "gas_key_nonce_update", {**name, **nonce}
    if change.value is None:
        return "access_key_deletion", name
    access_key = views.view_access_key(decode_access_key(change.value))
    return "access_key_update", {**name, "access_key": access_key}


def _view_code_change(change: StateChange) -> tuple[str, dict[str, Any]]:
    name = {"account_id": keys.parse_contract_code(change.key)}
    if change.value is None:
        return "contract_code_deletion", name
    return "contract_code_update", {**name, "code_base64": _base64(change.value)}


def _view_data_change(change: StateChange) -> tuple[str, dict[str, Any]]:
    parsed = keys.parse_contract_data(change.key)
    name = {"account_id": parsed.account_id, "key_base64": _base64(parsed.item)}
    if change.value is None:
        return "data_deletion", name
    return "data_update", {**name, "value_base64": _base64(change.value)}


_VIEWS: Final[dict[int, Callable[[StateChange], tuple[str, dict[str, Any]] | None]]] = {
    keys.ACCOUNT: _view_account_change,
    keys.ACCESS_KEY: _view_access_key_change,
    keys.CONTRACT_CODE: _view_code_change,
    keys.CONTRACT_DATA: _view_data_change,
}


def view_change(change: StateChange) -> dict[str, Any] | None:
    """One write in JSON; None for records that are not shown."""
    view = _VIEWS.get(change.key[0])
    shown = None if view is None else view(change)
    if shown is None:
        return None
    kind, content = shown
    return {"cause": describe_cause(change.cause), "type": kind, "change": content}


def get_changes(context: Context, request: ChangesRequest) -> dict[str, Any]:
    """``changes``: what a block wrote and what caused it, in the order of the accounts asked about."""
    block_hash, changes = _get_changes(context, request.reference)
    shown = []
    for prefix in request.prefixes:
        for change in changes:
            is_meant = change.key == prefix if request.is_exact else change.key.startswith(prefix)
            view = view_change(change) if is_meant else None
            if view is not None:
                shown.append(view)
    return {"block_hash": base58.encode(block_hash), "changes": shown}


def _make_prefixes(kind: str, values: tuple[Any, ...]) -> tuple[tuple[bytes, ...], bool]:
    named: list[Any] = values[0]
    match kind:
        case "account_changes":
            return tuple(keys.account(account_id) for account_id in named), True
        case "contract_code_changes":
            return tuple(keys.contract_code(account_id) for account_id in named), True
        case "all_access_key_changes":
            return tuple(keys.access_key_prefix(account_id) for account_id in named), False
        case "single_access_key_changes":
            return tuple(_make_key_prefix(account_id, key) for account_id, key in named), False
    return tuple(keys.contract_data_prefix(account_id, values[1]) for account_id in named), False


def _make_key_prefix(account_id: AccountId, public_key: PublicKey) -> bytes:
    """An access key, and with it the nonces of a gas key."""
    return keys.access_key(account_id, compute_key_handle(public_key))


_ACCOUNTS: Final = Field("account_ids", list_of(read_account_id))
_KEYS: Final = Field(
    "keys",
    list_of(
        structure(
            "AccountWithPublicKey", Field("account_id", read_account_id), Field("public_key", read_public_key)
        )
    ),
)
_read_changes_object: Final = flattened(
    "RpcStateChangesInBlockByTypeRequest",
    (),
    read_block_reference_within,
    tagged(
        "changes_type",
        {
            "account_changes": (_ACCOUNTS,),
            "single_access_key_changes": (_KEYS,),
            "all_access_key_changes": (_ACCOUNTS,),
            "contract_code_changes": (_ACCOUNTS,),
            "data_changes": (_ACCOUNTS, Field("key_prefix_base64", read_base64)),
        },
    ),
)
_read_block_object: Final = flattened("RpcStateChangesInBlockRequest", (), read_block_reference_within)


def read_changes_request(value: Any) -> ChangesRequest:
    """The block and the kind of changes."""
    reference, (kind, values) = _read_changes_object(value)
    prefixes, is_exact = _make_prefixes(kind, values)
    return ChangesRequest(reference, prefixes, is_exact)


def _read_block(value: Any) -> BlockReference:
    reference: BlockReference = _read_block_object(value)[0]
    return reference


_EFFECTS: Final = Method(_read_block, get_changes_in_block)
_CHANGES: Final = Method(read_changes_request, get_changes)

METHODS: Final = {
    "block_effects": _EFFECTS,
    "EXPERIMENTAL_changes_in_block": _EFFECTS,
    "changes": _CHANGES,
    "EXPERIMENTAL_changes": _CHANGES,
}
