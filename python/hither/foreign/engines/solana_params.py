"""What clients of Solana send, read into values; and the errors that they get for what cannot be read."""

import base64
from typing import Annotated, Any, Final, Literal

import msgspec
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import SanitizeError, VersionedTransaction

from hither.codec import base58

PACKET_BYTES_MAX: Final = 1232
SIGNATURES_PER_QUERY_MAX: Final = 1000
INVALID_PARAMS: Final = -32602

Params = list[Any]


class MethodError(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = {} if data is None else data


class DataSlice(msgspec.Struct, frozen=True):
    """Which part of an account's data is wanted."""

    offset: Annotated[int, msgspec.Meta(ge=0)]
    length: Annotated[int, msgspec.Meta(ge=0)]


class Match(msgspec.Struct, frozen=True, rename={"text": "bytes"}):
    """Bytes that an account's data must hold at a place, in base58 or base64."""

    offset: Annotated[int, msgspec.Meta(ge=0)]
    text: str
    encoding: Literal["base58", "base64"] = "base58"

    def decode(self) -> bytes:
        """Raises ``MethodError``."""
        try:
            return base58.decode(self.text) if self.encoding == "base58" else base64.b64decode(self.text)
        except ValueError:
            raise MethodError(INVALID_PARAMS, "Invalid param: bytes of a filter") from None


class Filter(msgspec.Struct, frozen=True, rename="camel"):
    """One of the two."""

    memcmp: Match | None = None
    data_size: int | None = None

    def is_met(self, data: bytes) -> bool:
        """By an account's data."""
        if self.data_size is not None and len(data) != self.data_size:
            return False
        if self.memcmp is None:
            return True
        wanted = self.memcmp.decode()
        return data[self.memcmp.offset : self.memcmp.offset + len(wanted)] == wanted


class WantedAccounts(msgspec.Struct, frozen=True):
    """Which accounts a simulation tells of."""

    addresses: list[str]
    encoding: str | None = None


class Options(msgspec.Struct, frozen=True, rename="camel"):
    """What the last parameter of a method may say; each method reads its own. Null says the same as nothing."""

    encoding: str | None = None
    data_slice: DataSlice | None = None
    skip_preflight: bool | None = None
    sig_verify: bool | None = None
    replace_recent_blockhash: bool | None = None
    before: str | None = None
    until: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=SIGNATURES_PER_QUERY_MAX)] | None = None
    max_supported_transaction_version: int | None = None
    filters: list[Filter] | None = None
    with_context: bool | None = None
    accounts: WantedAccounts | None = None
    transaction_details: Literal["full", "accounts", "signatures", "none"] | None = None
    rewards: bool | None = None


class TokenFilter(msgspec.Struct, frozen=True, rename="camel"):
    """Which token accounts: of one token or of one program."""

    mint: str | None = None
    program_id: str | None = None


def read_text(params: Params, index: int) -> str:
    """Raises ``MethodError``."""
    if len(params) <= index or not isinstance(params[index], str):
        raise MethodError(INVALID_PARAMS, f"Invalid params: parameter {index + 1} must be text")
    return str(params[index])


def read_options(params: Params, index: int) -> Options:
    """The object at this place, or one without wishes. Raises ``MethodError``."""
    options = params[index] if len(params) > index else None
    try:
        return msgspec.convert(options or {}, Options)
    except msgspec.ValidationError as error:
        raise MethodError(INVALID_PARAMS, f"Invalid params: {error}") from None


def read_list(params: Params, index: int, size_max: int) -> list[Any]:
    """Raises ``MethodError``."""
    found = params[index] if len(params) > index else None
    if not isinstance(found, list) or len(found) > size_max:
        raise MethodError(INVALID_PARAMS, f"Invalid params: a list of up to {size_max} is needed")
    return found


def read_number(params: Params, index: int, value_max: int) -> int:
    """Raises ``MethodError``."""
    found = params[index] if len(params) > index else None
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= value_max:
        raise MethodError(INVALID_PARAMS, f"Invalid params: a number from 0 to {value_max} is needed")
    return found


def read_token_filter(params: Params, index: int) -> TokenFilter:
    """Raises ``MethodError`` unless it names one of the two."""
    try:
        found = msgspec.convert(params[index] if len(params) > index else None, TokenFilter)
    except msgspec.ValidationError as error:
        raise MethodError(INVALID_PARAMS, f"Invalid params: {error}") from None
    if (found.mint is None) == (found.program_id is None):
        raise MethodError(INVALID_PARAMS, "Invalid params: mint or programId is needed")
    return found


def read_address(params: Params, index: int) -> Pubkey:
    """Raises ``MethodError``."""
    try:
        return Pubkey.from_string(read_text(params, index))
    except ValueError:
        raise MethodError(INVALID_PARAMS, "Invalid param: Invalid") from None


def read_signature(params: Params, index: int) -> str:
    """Its text, once it is known to be one. Raises ``MethodError``."""
    text = read_text(params, index)
    try:
        Signature.from_string(text)
    except ValueError:
        raise MethodError(INVALID_PARAMS, "Invalid param: Invalid") from None
    return text


def read_transaction(params: Params, encoding: str) -> VersionedTransaction:
    """Raises ``MethodError``."""
    text = read_text(params, 0)
    try:
        if encoding == "base58":
            data = base58.decode(text)
        elif encoding == "base64":
            data = base64.b64decode(text, validate=True)
        else:
            raise MethodError(INVALID_PARAMS, f"unsupported encoding: {encoding}. Supported: base58, base64")
        if len(data) > PACKET_BYTES_MAX:
            raise MethodError(
                INVALID_PARAMS,
                f"decoded VersionedTransaction too large: {len(data)} bytes (max: {PACKET_BYTES_MAX} bytes)",
            )
        transaction = VersionedTransaction.from_bytes(data)
        transaction.sanitize()
        if not isinstance(transaction.message, Message | MessageV0):
            raise MethodError(INVALID_PARAMS, "only legacy and version 0 transactions are taken")
    except (ValueError, SanitizeError) as error:
        raise MethodError(INVALID_PARAMS, f"failed to deserialize VersionedTransaction: {error}") from None
    if bytes(transaction) != data:
        raise MethodError(INVALID_PARAMS, "failed to deserialize VersionedTransaction: bytes are left over")
    return transaction
