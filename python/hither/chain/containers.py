"""Rows of the store: lists whose items can be read one by one, outcomes, and places.

A row is private to one home directory's format version; nothing of it goes over a wire.
"""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from hither.primitives.account import (
    Contract,
    GlobalContractByAccount,
    GlobalContractByHash,
    LocalContract,
)
from hither.primitives.outcome import (
    Failure,
    Outcome,
    ProfileEntry,
    Status,
    SuccessReceiptId,
    SuccessValue,
    Unknown,
)
from hither.primitives.types import AccountId, Balance, CryptoHash, Gas

_COUNT = struct.Struct("<I")
_PLACE = struct.Struct("<QHII")
_MAKING = struct.Struct("<QH32sQI?")
NO_INDEX = 0xFFFFFFFF


def pack_items(items: Sequence[bytes]) -> bytes:
    """One row of many items: count, where each ends, then the items."""
    ends, end = [], 0
    for item in items:
        end += len(item)
        ends.append(end)
    return b"".join((struct.pack(f"<{len(ends) + 1}I", len(ends), *ends), *items))


def count_items(row: bytes) -> int:
    """How many items a row has."""
    return int(_COUNT.unpack_from(row)[0])


def get_item(row: bytes, index: int) -> bytes:
    """One item of a row."""
    count = count_items(row)
    assert 0 <= index < count, "the index is one of the row's"
    base = 4 + 4 * count
    start = _COUNT.unpack_from(row, 4 * index)[0] if index else 0
    return row[base + start : base + _COUNT.unpack_from(row, 4 + 4 * index)[0]]


def unpack_items(row: bytes) -> list[bytes]:
    """All items of a row."""
    count = count_items(row)
    base = 4 + 4 * count
    ends = struct.unpack_from(f"<{count}I", row, 4)
    return [row[base + start : base + end] for start, end in zip((0, *ends), ends, strict=False)]


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where the outcome of a transaction or receipt is.

    ``transaction_index`` is the place among its chunk's transactions; None for a receipt.
    """

    height: int
    shard_index: int
    outcome_index: int
    transaction_index: int | None = None


class Making(msgspec.Struct, frozen=True, gc=False):
    """Where a receipt came from, and where its bytes are.

    ``origin`` is the hash of the transaction that it descends from, zeros for data; ``height`` and
    ``shard_index`` are those where it was made. A receipt may leave its shard, or be processed
    in it, only later: ``kept_height`` and ``kept_index`` are None until then. ``is_local`` says
    that it is kept with what its own shard processed, not with what left it.
    """

    height: int
    shard_index: int
    origin: CryptoHash
    kept_height: int | None = None
    kept_index: int | None = None
    is_local: bool = False


def encode_place(place: Place) -> bytes:
    """A place as a row."""
    index = NO_INDEX if place.transaction_index is None else place.transaction_index
    return _PLACE.pack(place.height, place.shard_index, place.outcome_index, index)


def decode_place(row: bytes) -> Place:
    """The place of a row."""
    height, shard_index, outcome_index, index = _PLACE.unpack(row)
    return Place(height, shard_index, outcome_index, None if index == NO_INDEX else index)


def encode_making(making: Making) -> bytes:
    """A making as a row."""
    index = NO_INDEX if making.kept_index is None else making.kept_index
    return _MAKING.pack(
        making.height, making.shard_index, making.origin, making.kept_height or 0, index, making.is_local
    )


def decode_making(row: bytes) -> Making:
    """The making of a row."""
    height, shard_index, origin, kept_height, index, is_local = _MAKING.unpack(row)
    if index == NO_INDEX:
        return Making(height, shard_index, origin)
    return Making(height, shard_index, origin, kept_height, index, bool(is_local))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def encode_outcome(outcome: Outcome) -> bytes:
    """An outcome with everything that RPC shows of it."""
    status = outcome.status
    if isinstance(status, SuccessValue):
        shown: Any = status.value
    elif isinstance(status, SuccessReceiptId):
        shown = [status.receipt_id]
    else:
        shown = {"error": status.error} if isinstance(status, Failure) else None
    profile = outcome.gas_profile
    contracts = outcome.contracts
    return _encode(
        (
            outcome.id,
            outcome.logs,
            outcome.receipt_ids,
            outcome.gas_burnt,
            outcome.tokens_burnt.to_bytes(16, "little"),
            outcome.executor_id,
            shown,
            outcome.compute_usage,
            None if profile is None else [(e.category, e.cost, e.gas_used) for e in profile],
            None if contracts is None else [_encode_contract(contract) for contract in contracts],
            outcome.metadata_version,
        )
    )


def decode_outcome(row: bytes) -> Outcome:
    """The outcome of a row."""
    fields = _decode(row)
    profile, contracts = fields[8], fields[9]
    return Outcome(
        id=CryptoHash(fields[0]),
        logs=tuple(fields[1]),
        receipt_ids=tuple(fields[2]),
        gas_burnt=Gas(fields[3]),
        tokens_burnt=Balance(int.from_bytes(fields[4], "little")),
        executor_id=AccountId(fields[5]),
        status=_decode_status(fields[6]),
        compute_usage=fields[7],
        gas_profile=None if profile is None else tuple(ProfileEntry(c, n, Gas(g)) for c, n, g in profile),
        contracts=None if contracts is None else tuple(map(_decode_contract, contracts)),
        metadata_version=fields[10],
    )


def _decode_status(shown: Any) -> Status:
    match shown:
        case None:
            return Unknown()
        case bytes():
            return SuccessValue(shown)
        case [receipt_id]:
            return SuccessReceiptId(receipt_id)
        case _:
            return Failure(shown["error"])


def _encode_contract(contract: Contract) -> bytes | str | list[bytes] | None:
    match contract:
        case LocalContract(code_hash=code_hash):
            return code_hash
        case GlobalContractByHash(code_hash=code_hash):
            return [code_hash]
        case GlobalContractByAccount(account_id=account_id):
            return account_id
        case None:
            return None


def _decode_contract(shown: Any) -> Contract:
    match shown:
        case None:
            return None
        case bytes():
            return LocalContract(CryptoHash(shown))
        case [code_hash]:
            return GlobalContractByHash(code_hash)
        case _:
            return GlobalContractByAccount(shown)
