"""What is signed about transactions of other chains: hashes that NEAR's signing network publishes."""

import pytest

from hither.mpc.foreign_requests import (
    FOREIGN_REQUEST,
    BitcoinBlock,
    BitcoinQuestion,
    BlockHash,
    EvmBlock,
    EvmQuestion,
    ForeignTxRequest,
    Log,
    Question,
    Value,
    compute_payload_hash,
    encode_providers,
    foreign_request_to_json,
)


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


def test_providers_are_written_as_published() -> None:
    """The documented example, under our name of the endpoint."""
    wanted = "01000000010100000009000000656e64706f696e743012000000687474703a2f2f6c6f63616c686f73743a37"
    assert encode_providers({"Bitcoin": ("http://localhost:7",)}).hex() == wanted + "03000100000000000000"
