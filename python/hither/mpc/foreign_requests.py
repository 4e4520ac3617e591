"""Transactions of other chains that the network is asked to confirm, and the payload that it signs. Pure.

The payload is a hash of the question and the values that were found, one a question's extractor, in the borsh form that
every client computes alike; neither who asked nor when is in it. Source: near/mpc, ``verify_foreign_transaction``.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hither.codec.borsh import (
    BOOL,
    HASH,
    STRING,
    U8,
    U32,
    U64,
    Codec,
    chosen,
    constant,
    fixed,
    mapped,
    option,
    record,
    sequence,
    tuple_of,
)

PAYLOAD_VERSION: Final = 1
FINALITIES: Final = ("Latest", "Safe", "Finalized")
_V1: Final = b"\0"

# Tags of requests in borsh, and of chains in lists of providers: two orders.
_EVM_TAGS: Final = {
    "Abstract": 0,
    "Ethereum": 1,
    "Bnb": 5,
    "Base": 6,
    "Arbitrum": 7,
    "Polygon": 8,
    "HyperEvm": 9,
    "Avalanche": 13,
    "Adi": 14,
}
_BITCOIN_TAG: Final = 3
CHAIN_TAGS: Final = {
    "Solana": 0,
    "Bitcoin": 1,
    "Ethereum": 2,
    "Base": 3,
    "Bnb": 4,
    "Arbitrum": 5,
    "Abstract": 6,
    "Starknet": 7,
    "Polygon": 8,
    "HyperEvm": 9,
    "Ton": 10,
    "Aptos": 11,
    "Sui": 12,
    "Avalanche": 13,
    "Adi": 14,
}
CHAIN_NAMES: Final = {
    "bip122:0f9188f13cb7b2c71f2a335e3a4fc328": "Bitcoin",
    "eip155:1": "Ethereum",
    "eip155:8453": "Base",
    "eip155:42161": "Arbitrum",
    "eip155:56": "Bnb",
    "eip155:137": "Polygon",
    "eip155:43114": "Avalanche",
}
"""The contract's names of chains, by CAIP-2 id. A development network's Bitcoin is its regtest."""


class BlockHash(msgspec.Struct, frozen=True):
    """Asks in which block it is."""


class Log(msgspec.Struct, frozen=True):
    """Asks for an event of an EVM transaction, by its index in the block."""

    log_index: int


class BitcoinQuestion(msgspec.Struct, frozen=True):
    """``transaction_id`` is in the order in which people write it."""

    transaction_id: bytes
    confirmations: int
    extractors: tuple[BlockHash, ...]

    @property
    def chain(self) -> str:
        """The contract's name of it."""
        return "Bitcoin"


class EvmQuestion(msgspec.Struct, frozen=True):
    """``finality`` is one of FINALITIES, as the chain's own blocks are named."""

    chain: str
    transaction_id: bytes
    extractors: tuple[BlockHash | Log, ...]
    finality: str


class Indexed(msgspec.Struct, frozen=True):
    """Asks for one of several things by its number; ``name`` and ``field`` as in the contract's JSON."""

    name: str
    field: str
    index: int


class UnservedQuestion(msgspec.Struct, frozen=True):
    """About a chain that this program does not look at; it is read so that it can be refused by name.

    ``account`` (workchain and hash) is TON's alone.
    """

    chain: str
    transaction_id: bytes
    finality: str
    extractors: tuple[BlockHash | Indexed, ...]
    account: tuple[int, bytes] | None = None


Question = BitcoinQuestion | EvmQuestion | UnservedQuestion


class ForeignTxRequest(msgspec.Struct, frozen=True):
    """As the contract keeps it. With ``expected_payload_hash`` no other answer counts."""

    question: Question
    domain_id: int
    payload_version: int = PAYLOAD_VERSION
    expected_payload_hash: bytes | None = None


class EvmLog(msgspec.Struct, frozen=True):
    """An event as nodes tell it; ``data`` is its hexadecimal text in lower case."""

    removed: bool
    log_index: int
    transaction_index: int
    transaction_hash: bytes
    block_hash: bytes
    block_number: int
    address: bytes
    data: str
    topics: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BitcoinBlock:
    """The answer to ``BlockHash`` of Bitcoin."""

    block_hash: bytes


@dataclass(frozen=True, slots=True)
class EvmBlock:
    """The answer to ``BlockHash`` of an EVM chain."""

    block_hash: bytes


Value = BitcoinBlock | EvmBlock | EvmLog

_BLOCK_HASH: Codec[BlockHash] = constant(BlockHash())
_BITCOIN_EXTRACTOR: Codec[BlockHash] = chosen(lambda _: 0, {0: _BLOCK_HASH})
_EVM_EXTRACTOR: Codec[BlockHash | Log] = chosen(
    lambda one: 1 if isinstance(one, Log) else 0, {0: _BLOCK_HASH, 1: record(Log, {"log_index": U64})}
)
_NO_ACCOUNT: Codec[None] = constant(None)
_TON_ACCOUNT: Codec[tuple[int, bytes]] = mapped(
    tuple_of(U32, HASH),
    lambda account: (account[0] % 2**32, account[1]),
    lambda wire: (wire[0] - 2**32 * (wire[0] >= 2**31), wire[1]),
)
_FINALITY: Codec[str] = chosen(FINALITIES.index, {tag: constant(name) for tag, name in enumerate(FINALITIES)})


def _make_evm(name: str) -> Codec[EvmQuestion]:
    fields = {
        "chain": constant(name),
        "transaction_id": HASH,
        "extractors": sequence(_EVM_EXTRACTOR),
        "finality": _FINALITY,
    }
    return record(EvmQuestion, fields)


def _name_by_tag(names: Sequence[str]) -> Codec[str]:
    return chosen(names.index, {tag: constant(name) for tag, name in enumerate(names)})


def _make_unserved(
    chain: str,
    finalities: Sequence[str],
    extractors: Mapping[int, tuple[str, str] | None],
    *,
    id_codec: Codec[bytes] = HASH,
    index_codec: Codec[int] = U64,
    account_codec: Codec[Any] = _NO_ACCOUNT,
) -> Codec[UnservedQuestion]:
    """``extractors``: name and field by tag; None is a block hash."""
    variants: dict[int, Codec[Any]] = {
        tag: _BLOCK_HASH
        if names is None
        else record(Indexed, {"name": constant(names[0]), "field": constant(names[1]), "index": index_codec})
        for tag, names in extractors.items()
    }
    tags = {None if names is None else names[0]: tag for tag, names in extractors.items()}
    extractor: Codec[BlockHash | Indexed] = chosen(lambda one: tags[getattr(one, "name", None)], variants)
    fields: dict[str, Codec[Any]] = {
        "chain": constant(chain),
        "transaction_id": id_codec,
        "account": account_codec,
        "finality": _name_by_tag(finalities),
        "extractors": sequence(extractor),
    }
    return record(UnservedQuestion, fields)


_SOLANA_EXTRACTORS: Final = {0: ("SolanaProgramIdIndex", "ix_index"), 1: ("SolanaDataHash", "ix_index")}
_EVENT: Final = {1: ("Event", "event_index")}
_UNSERVED: Final[dict[str, tuple[int, Codec[UnservedQuestion]]]] = {
    "Solana": (
        2,
        _make_unserved(
            "Solana",
            ("Processed", "Confirmed", "Finalized"),
            _SOLANA_EXTRACTORS,
            id_codec=fixed(64),
            index_codec=U32,
        ),
    ),
    "Starknet": (
        4,
        _make_unserved("Starknet", ("AcceptedOnL2", "AcceptedOnL1"), {0: None, 1: ("Log", "log_index")}),
    ),
    "Ton": (
        10,
        _make_unserved(
            "Ton", ("MasterchainIncluded",), {1: ("Log", "message_index")}, account_codec=_TON_ACCOUNT
        ),
    ),
    "Aptos": (11, _make_unserved("Aptos", ("Committed",), _EVENT)),
    "Sui": (12, _make_unserved("Sui", ("Checkpointed",), _EVENT)),
}


def _choose_tag(question: Question) -> int:
    match question:
        case BitcoinQuestion():
            return _BITCOIN_TAG
        case EvmQuestion():
            return _EVM_TAGS[question.chain]
    return _UNSERVED[question.chain][0]


_QUESTION: Codec[Question] = chosen(
    _choose_tag,
    {
        _BITCOIN_TAG: record(
            BitcoinQuestion,
            {"transaction_id": HASH, "confirmations": U64, "extractors": sequence(_BITCOIN_EXTRACTOR)},
        ),
        **{tag: _make_evm(name) for name, tag in _EVM_TAGS.items()},
        **dict(_UNSERVED.values()),
    },
)
FOREIGN_REQUEST: Final[Codec[ForeignTxRequest]] = record(
    ForeignTxRequest,
    {
        "question": _QUESTION,
        "domain_id": U64,
        "payload_version": U8,
        "expected_payload_hash": option(HASH),
    },
)
_LOG: Codec[EvmLog] = record(
    EvmLog,
    {
        "removed": BOOL,
        "log_index": U64,
        "transaction_index": U64,
        "transaction_hash": HASH,
        "block_hash": HASH,
        "block_number": U64,
        "address": fixed(20),
        "data": STRING,
        "topics": sequence(HASH),
    },
)


def _encode_value(value: Value) -> bytes:
    match value:
        case BitcoinBlock(block_hash):
            return b"\0\0" + block_hash
        case EvmBlock(block_hash):
            return b"\1\0" + block_hash
    return b"\1\1" + _LOG.encode(value)


def compute_payload_hash(question: Question, values: tuple[Value, ...]) -> bytes:
    """What is signed when the network found these values."""
    assert len(values) == len(question.extractors), "one value an extractor"
    count = len(values).to_bytes(4, "little")
    body = _V1 + _QUESTION.encode(question) + count + b"".join(_encode_value(value) for value in values)
    return hashlib.sha256(body).digest()


def _extractor_to_json(extractor: BlockHash | Log | Indexed) -> Any:
    match extractor:
        case Log(log_index):
            return {"Log": {"log_index": log_index}}
        case Indexed(name, field, index):
            return {name: {field: index}}
    return "BlockHash"


def question_to_json(question: Question) -> dict[str, Any]:
    """As ``verify_foreign_transaction`` takes it."""
    body: dict[str, Any] = {
        "tx_id": question.transaction_id.hex(),
        "extractors": [_extractor_to_json(extractor) for extractor in question.extractors],
    }
    if isinstance(question, BitcoinQuestion):
        return {"Bitcoin": body | {"confirmations": question.confirmations}}
    if isinstance(question, UnservedQuestion) and question.account is not None:
        workchain, account_hash = question.account
        body["account"] = {"workchain": workchain, "hash": account_hash.hex()}
    return {question.chain: body | {"finality": question.finality}}


def foreign_request_to_json(request: ForeignTxRequest) -> dict[str, Any]:
    """As the contract's methods take and show it."""
    json = {
        "request": question_to_json(request.question),
        "domain_id": request.domain_id,
        "payload_version": request.payload_version,
    }
    if request.expected_payload_hash is not None:
        json["expected_payload_hash"] = request.expected_payload_hash.hex()
    return json


def encode_providers(urls: Mapping[str, tuple[str, ...]]) -> bytes:
    """A vote for the endpoints of chains, by the contract's names, of which more than half must agree."""
    entries = []
    for name in sorted(urls, key=CHAIN_TAGS.__getitem__):
        providers = sorted((f"endpoint{index}", url) for index, url in enumerate(urls[name]))
        # No authentication; the address names the chain by itself.
        rows = [STRING.encode(id_) + STRING.encode(url) + b"\3\0" for id_, url in providers]
        quorum = count_quorum(len(providers))
        entries.append(
            bytes((CHAIN_TAGS[name],))
            + len(rows).to_bytes(4, "little")
            + b"".join(rows)
            + quorum.to_bytes(8, "little")
        )
    return len(entries).to_bytes(4, "little") + b"".join(entries)


def count_quorum(endpoints: int) -> int:
    """More than half."""
    return endpoints // 2 + 1
