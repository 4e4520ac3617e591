"""What each decoder promises, as a function of bytes that raises ``BrokenPromise``, or whatever escaped it."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from hither.codec.borsh import InvalidBorsh
from hither.foreign import evm_abi, evm_transactions
from hither.foreign.errors import InvalidArguments, MalformedTransaction
from hither.primitives.action import has_one_encoding
from hither.primitives.receipt import (
    decode_queued_receipt,
    decode_receipt,
    encode_queued_receipt,
    encode_receipt,
)
from hither.primitives.state_record import InvalidStateRecord, state_record_from_json, state_record_to_json
from hither.primitives.transaction import decode_signed_transaction, encode_signed_transaction
from hither.primitives.universal_state_init import (
    UNIVERSAL_STATE,
    decode_state_init_optional,
    encode_universal_state,
)
from hither.rpc.dispatch import InvalidJson, read_request
from hither.rpc.errors import RpcError

Target = Callable[[bytes], None]


class BrokenPromise(AssertionError):
    """A decoder gave a value that does not stand for the bytes."""


def check_borsh(
    data: bytes,
    decode: Callable[[bytes], Any],
    encode: Callable[[Any], bytes],
    is_canonical: Callable[[Any], bool] = lambda value: True,
) -> None:
    """A typed error, or the same bytes; of a value with several encodings, the same value and size."""
    try:
        value = decode(data)
    except InvalidBorsh:
        return
    encoded = encode(value)
    if encoded == data:
        return
    if is_canonical(value):
        raise BrokenPromise(f"{data.hex()} is read as what is written {encoded.hex()}")
    if decode(encoded) != value:
        raise BrokenPromise(f"{data.hex()} is read, written and read as something else")


def check_transaction(data: bytes) -> None:
    """A signed transaction of any version."""
    check_borsh(
        data,
        decode_signed_transaction,
        encode_signed_transaction,
        lambda signed: has_one_encoding(signed.transaction.actions),
    )


def check_receipt(data: bytes) -> None:
    """A receipt, and one with what the queues add: it may be of an older version, which is not written any more."""
    check_borsh(data, decode_receipt, encode_receipt, _has_one_encoding)
    check_borsh(data, decode_queued_receipt, encode_queued_receipt, lambda queued: False)


def _has_one_encoding(receipt: Any) -> bool:
    return has_one_encoding(getattr(receipt.body, "actions", ()))


def check_state_init(data: bytes) -> None:
    """The state of a universal account: strictly read, its bytes are the only ones."""
    check_borsh(data, UNIVERSAL_STATE.decode, encode_universal_state, lambda state: False)
    state = decode_state_init_optional(data, is_strict=True)
    if state is not None and encode_universal_state(state) != data:
        raise BrokenPromise(f"{data.hex()} is not canonical and was taken strictly")


def check_request(data: bytes) -> None:
    """A JSON-RPC request: JSON has many forms, the request it stands for only one."""
    try:
        request = read_request(data)
    except (InvalidJson, RpcError):
        return
    again = read_request(msgspec.json.encode(request))
    if again != request:
        raise BrokenPromise(f"{data!r} is read as {request}, written and read as {again}")


def check_state_record(data: bytes) -> None:
    """A record of state as genesis files and ``sandbox_patch_state`` hold it, in JSON."""
    try:
        parsed = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # The file or the request was refused before.
    try:
        record = state_record_from_json(parsed)
    except InvalidStateRecord:
        return
    written = state_record_to_json(record)
    if state_record_from_json(written) != record:
        raise BrokenPromise(f"{data!r} is read, written and read as something else")
    if (
        state_record_to_json(state_record_from_json(msgspec.json.decode(msgspec.json.encode(written))))
        != written
    ):
        raise BrokenPromise(f"{data!r} has no settled form")


def check_evm_transaction(data: bytes) -> None:
    """A transaction of an EVM chain, before and after signing: one encoding each."""
    try:
        unsigned = evm_transactions.decode_unsigned(data)
    except MalformedTransaction:
        pass
    else:
        if evm_transactions.encode_unsigned(unsigned) != data:
            raise BrokenPromise(f"{data.hex()} is not how this transaction is hashed")
    try:
        signed = evm_transactions.decode_signed(data)
    except MalformedTransaction:
        return
    if evm_transactions.encode_signed(*signed) != data:
        raise BrokenPromise(f"{data.hex()} is not how this transaction is sent")


EVM_ROW: Final = evm_abi.parse_type("(uint64,(bytes,string,bool)[],int8[2][],address,bytes4)")


def check_evm_result(data: bytes) -> None:
    """What a contract returns: offsets may be others than ours, the values are not."""
    try:
        values = evm_abi.decode(EVM_ROW, data)
    except InvalidArguments:
        return
    if evm_abi.decode(EVM_ROW, evm_abi.encode(EVM_ROW, values)) != values:
        raise BrokenPromise(f"{data.hex()} is read, written and read as something else")


def check_planted(data: bytes) -> None:
    """The receipts' decoder with a bug that has to be found: an option's tag of 2 is read as none at the end."""

    def decode(data: bytes) -> Any:
        return decode_receipt(data[:-1] + b"\0" if data[-1:] == b"\2" else data)

    check_borsh(data, decode, encode_receipt, _has_one_encoding)


TARGETS: Final[dict[str, Target]] = {
    "transaction": check_transaction,
    "receipt": check_receipt,
    "state-init": check_state_init,
    "request": check_request,
    "state-record": check_state_record,
    "evm-transaction": check_evm_transaction,
    "evm-result": check_evm_result,
}
PLANTED: Final = "planted"
