"""What is signed about transactions of other chains: hashes that NEAR's signing network publishes."""

import asyncio
from typing import Any

import pytest

from hither.mpc.foreign_requests import (
    CHAIN_TAGS,
    FOREIGN_REQUEST,
    BitcoinBlock,
    BitcoinQuestion,
    BlockHash,
    EvmBlock,
    EvmQuestion,
    ForeignTxRequest,
    Indexed,
    Log,
    Question,
    UnservedQuestion,
    Value,
    compute_payload_hash,
    encode_providers,
    foreign_request_to_json,
)
from hither.mpc.inspector import Inspector, NotConfirmed
from hither.mpc.requests import decode_storage_key, encode_storage_key


@pytest.mark.parametrize(
    ("question", "value", "wanted"),
    [
        (
            BitcoinQuestion(b"\x55" * 32, 6, (BlockHash(),)),
            BitcoinBlock(b"\x2a" * 32),
            "08e426dcd6eb98cc5eb5280d50f9c14e024f4a531bd5e09314ac4ae8bb07c9be",
        ),
        (
            EvmQuestion("Ethereum", b"\xab" * 32, (BlockHash(),), "Finalized"),
            EvmBlock(b"\xef" * 32),
            "2ab97999d1e015730271c7d6cbb298af76fd1de7af81926b42a8877bc4f5794e",
        ),
    ],
)
def test_payload_is_the_published_one(question: Question, value: Value, wanted: str) -> None:
    """From the snapshots of near/mpc."""
    assert compute_payload_hash(question, (value,)).hex() == wanted


def test_request_reads_as_it_was_written() -> None:
    """As a storage key of the contract, and as its JSON."""
    question = EvmQuestion("Base", b"\x01" * 32, (BlockHash(), Log(7)), "Safe")
    for request in (
        ForeignTxRequest(question, 2),
        ForeignTxRequest(BitcoinQuestion(b"\x02" * 32, 3, (BlockHash(),)), 2, 1, b"\x03" * 32),
    ):
        assert FOREIGN_REQUEST.decode(FOREIGN_REQUEST.encode(request)) == request
    assert foreign_request_to_json(ForeignTxRequest(question, 2)) == {
        "request": {
            "Base": {
                "tx_id": "01" * 32,
                "extractors": ["BlockHash", {"Log": {"log_index": 7}}],
                "finality": "Safe",
            }
        },
        "domain_id": 2,
        "payload_version": 1,
    }


UNSERVED = (
    (
        UnservedQuestion("Solana", b"\x04" * 64, "Confirmed", (Indexed("SolanaDataHash", "ix_index", 3),)),
        "02" + "04" * 64 + "01" + "01000000" + "01" + "03000000",
        {"tx_id": "04" * 64, "finality": "Confirmed", "extractors": [{"SolanaDataHash": {"ix_index": 3}}]},
    ),
    (
        UnservedQuestion(
            "Starknet", b"\x77" * 32, "AcceptedOnL1", (BlockHash(), Indexed("Log", "log_index", 2))
        ),
        "04" + "77" * 32 + "01" + "02000000" + "00" + "01" + "0200000000000000",
        {
            "tx_id": "77" * 32,
            "finality": "AcceptedOnL1",
            "extractors": ["BlockHash", {"Log": {"log_index": 2}}],
        },
    ),
    (
        UnservedQuestion(
            "Ton",
            b"\x05" * 32,
            "MasterchainIncluded",
            (Indexed("Log", "message_index", 1),),
            (-1, b"\x06" * 32),
        ),
        "0a" + "05" * 32 + "ffffffff" + "06" * 32 + "00" + "01000000" + "01" + "0100000000000000",
        {
            "tx_id": "05" * 32,
            "account": {"workchain": -1, "hash": "06" * 32},
            "finality": "MasterchainIncluded",
            "extractors": [{"Log": {"message_index": 1}}],
        },
    ),
    (
        UnservedQuestion("Aptos", b"\x08" * 32, "Committed", (Indexed("Event", "event_index", 1),)),
        "0b" + "08" * 32 + "00" + "01000000" + "01" + "0100000000000000",
        {"tx_id": "08" * 32, "finality": "Committed", "extractors": [{"Event": {"event_index": 1}}]},
    ),
    (
        UnservedQuestion("Sui", b"\x09" * 32, "Checkpointed", (Indexed("Event", "event_index", 1),)),
        "0c" + "09" * 32 + "00" + "01000000" + "01" + "0100000000000000",
        {"tx_id": "09" * 32, "finality": "Checkpointed", "extractors": [{"Event": {"event_index": 1}}]},
    ),
)
"""Questions about chains that no node looks at, in borsh by hand, and in JSON."""


@pytest.mark.parametrize(
    ("question", "data", "json"), UNSERVED, ids=lambda value: getattr(value, "chain", "")
)
def test_questions_about_other_chains_are_read_and_refused(
    question: UnservedQuestion, data: str, json: dict[str, Any]
) -> None:
    """At once, whatever endpoints there are: without that they would wait until they time out."""
    stored = b"\2" + bytes.fromhex(data) + (2).to_bytes(8, "little") + b"\1\0"
    request = decode_storage_key(stored)
    assert request == ForeignTxRequest(question, 2)
    assert encode_storage_key(request) == stored
    assert foreign_request_to_json(request)["request"] == {question.chain: json}
    with pytest.raises(NotConfirmed, match=f"cannot look at {question.chain}") as caught:
        asyncio.run(Inspector({question.chain: ("http://127.0.0.1:1",)}).inspect(question))
    assert caught.value.code == "UnsupportedForeignChain"


def test_every_chain_of_the_contract_is_read() -> None:
    """Those that are looked at, and the others."""
    names = {question.chain for question, _, _ in UNSERVED}
    for chain in CHAIN_TAGS.keys() - names - {"Bitcoin"}:
        question = EvmQuestion(chain, bytes(32), (), "Latest")
        assert decode_storage_key(encode_storage_key(ForeignTxRequest(question, 2))) is not None


def test_providers_are_written_as_published() -> None:
    """The documented example, under our name of the endpoint."""
    wanted = "01000000010100000009000000656e64706f696e743012000000687474703a2f2f6c6f63616c686f73743a37"
    assert encode_providers({"Bitcoin": ("http://localhost:7",)}).hex() == wanted + "03000100000000000000"
