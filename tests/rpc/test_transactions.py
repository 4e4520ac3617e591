"""Sending transactions and asking about them, at a running node."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hither.chain.genesis import DEVELOPMENT_BOUNDARIES
from hither.chain.reader import BlockMode
from hither.client import TransactionResult, Yocto
from hither.codec import base58
from hither.node.node import NodeOptions
from hither.primitives.transaction import encode_signed_transaction
from hither.rpc.context import RpcSettings
from tests.rpc.running import RunningNode, both_ways, run_node
from tests.unit.chain.chains import sign_transfer

pytestmark = pytest.mark.slow
PING_PONG = Path(__file__).resolve().parents[2] / "contracts/ping_pong/ping_pong.wasm"
SHARDS = ("h0", "p0")
WORDS = ("NONE", "INCLUDED", "EXECUTED_OPTIMISTIC", "INCLUDED_FINAL", "EXECUTED", "FINAL")
WAIT_MS = 400


@pytest.fixture(scope="module", **both_ways)
def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningNode]:
    """Three shards, a block for each transaction."""
    with run_node(
        tmp_path_factory.mktemp("home"), boundary_accounts=DEVELOPMENT_BOUNDARIES, is_apart=request.param
    ) as node:
        yield node


@pytest.fixture(**both_ways)
def manual(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningNode]:
    """Blocks are made only when asked for; requests wait 400 ms. At 87, time-outs tell why."""
    options = NodeOptions(mode=BlockMode.MANUAL)
    settings = RpcSettings(wait_timeout_ms=WAIT_MS)
    with run_node(
        tmp_path,
        options=options,
        settings=settings,
        is_apart=request.param,
        boundary_accounts=DEVELOPMENT_BOUNDARIES,
        protocol_version=87,
    ) as node:
        yield node


class Sequence:
    """Transfers that are alike but for their nonces."""

    def __init__(self, running: RunningNode, sender: str = "alice.near") -> None:
        self.running = running
        self.sender = sender
        self.nonce = running.node.reader.get_head().height * 1_000_000 + 1

    def make(self, receiver: str = "sybil.near") -> tuple[str, str]:
        """Hash and base64 of the next one, signed."""
        self.nonce += 1
        head = self.running.node.reader.get_head()
        signed = sign_transfer(self.sender, receiver, head.last_block_hash, self.nonce, 1)
        return base58.encode(signed.hash), base64.b64encode(encode_signed_transaction(signed)).decode()


@pytest.mark.parametrize("word", WORDS)
def test_send_waits_as_far_as_asked(running: RunningNode, word: str) -> None:
    """The answer is of the status asked for or a later one; outcomes are in it once the chunk is applied."""
    hash_, text = Sequence(running, "bob.near").make()
    result = running.must("send_tx", {"signed_tx_base64": text, "wait_until": word})
    reached = result["final_execution_status"]
    assert WORDS.index(reached) >= WORDS.index(word)
    assert word != "NONE" or reached == "NONE"
    if reached in ("NONE", "INCLUDED"):
        assert result == {"final_execution_status": reached}
    else:
        assert result["transaction"]["hash"] == hash_
    if word in ("EXECUTED_OPTIMISTIC", "EXECUTED", "FINAL"):
        assert result["status"] == {"SuccessValue": ""}


def test_waiting_for_execution_outlasts_final_inclusion(running: RunningNode) -> None:
    """Calls to and fro take more blocks than finality: the answer is that of the last callback."""
    for account_id in ("alice.near", "sybil.near"):
        with running.connect(account_id) as client:
            client.deploy(PING_PONG.read_bytes())
    with running.connect("alice.near") as client:
        result = client.call(
            "alice.near",
            "ping",
            {"other_id": "sybil.near", "rounds": 6},
            gas="300 Tgas",
        )
    assert result.value_json() == 7


def test_same_transaction_twice_has_one_effect(running: RunningNode) -> None:
    """A second submission answers as the first; the money moved once."""
    sequence = Sequence(running, "carol.near")
    before = int(_get_amount(running, "peggy.near"))
    _, text = sequence.make("peggy.near")
    first = running.must("send_tx", {"signed_tx_base64": text, "wait_until": "FINAL"})
    second = running.must("send_tx", {"signed_tx_base64": text, "wait_until": "FINAL"})
    assert first == second
    assert int(_get_amount(running, "peggy.near")) - before == 1


def _get_amount(running: RunningNode, account_id: str) -> str:
    params = {"request_type": "view_account", "finality": "optimistic", "account_id": account_id}
    amount: str = running.must("query", params)["amount"]
    return amount


def test_broadcast_methods(running: RunningNode) -> None:
    """The commit answers with outcomes, the asynchronous one with the hash at once."""
    sequence = Sequence(running, "heidi.near")
    hash_, text = sequence.make()
    assert running.must("broadcast_tx_async", [text]) == hash_
    final = running.must("tx", {"tx_hash": hash_, "sender_account_id": "heidi.near", "wait_until": "FINAL"})
    assert final["transaction"]["hash"] == hash_
    assert final == running.must("tx", [hash_, "heidi.near"])
    hash_, text = sequence.make()
    committed = running.must("broadcast_tx_commit", [text])
    assert committed["status"] == {"SuccessValue": ""}
    assert committed["transaction"]["hash"] == hash_


def test_status_with_receipts_adds_the_receipts(running: RunningNode) -> None:
    """``EXPERIMENTAL_tx_status`` is ``tx`` and the receipts in order."""
    hash_, text = Sequence(running, "ivan.near").make()
    running.must("send_tx", {"signed_tx_base64": text, "wait_until": "FINAL"})
    plain = running.must("tx", [hash_, "ivan.near"])
    full = running.must("EXPERIMENTAL_tx_status", [hash_, "ivan.near"])
    receipts = full.pop("receipts")
    assert full == plain
    assert receipts[0]["receipt_id"] == plain["receipts_outcome"][0]["id"]
    assert receipts[0]["receipt"]["Action"]["actions"] == [{"Transfer": {"deposit": "1"}}]


def _error(answer: Any) -> tuple[str, Any]:
    error = answer["error"]
    assert error["name"] == "HANDLER_ERROR"
    return error["cause"]["name"], error


def test_time_out_tells_how_far_it_came(manual: RunningNode) -> None:
    """A known transaction is pending, an unknown one was not observed; after a block it answers."""
    hash_, text = Sequence(manual).make()
    cause, error = _error(manual.ask("send_tx", {"signed_tx_base64": text, "wait_until": "INCLUDED"}))
    assert cause == "TIMEOUT_ERROR"
    assert error["cause"]["info"]["cause"] == "PENDING"
    unknown = {"tx_hash": "1" * 32, "sender_account_id": "alice.near"}
    cause, error = _error(manual.ask("tx", unknown))
    assert cause == "TIMEOUT_ERROR"
    assert error["cause"]["info"] == {"cause": "NOT_OBSERVED"}
    cause, _ = _error(manual.ask("tx", unknown | {"wait_until": "NONE"}))
    assert cause == "UNKNOWN_TRANSACTION"
    manual.must("hither_mine", {"count": 4})
    found = manual.must("tx", {"tx_hash": hash_, "sender_account_id": "alice.near", "wait_until": "EXECUTED"})
    assert found["status"] == {"SuccessValue": ""}


def test_invalid_transactions_are_refused_unless_nobody_waits(running: RunningNode) -> None:
    """The refusal names what is wrong; without waiting there is only the hash."""
    head = running.node.reader.get_head()
    signed = sign_transfer("judy.near", "bob.near", head.last_block_hash, 0)
    text = base64.b64encode(encode_signed_transaction(signed)).decode()
    cause, error = _error(running.ask("send_tx", [text]))
    assert cause == "INVALID_TRANSACTION"
    assert "InvalidNonce" in str(error["data"])
    about = {"signed_tx_base64": text, "wait_until": "NONE"}
    cause, again = _error(running.ask("tx", about))
    assert cause == "INVALID_TRANSACTION"
    assert again["data"] == error["data"]
    assert running.must("broadcast_tx_async", [text]) == base58.encode(signed.hash)
    cause, _ = _error(
        running.ask(
            "tx", {"tx_hash": base58.encode(signed.hash), "sender_account_id": "x.near", "wait_until": "NONE"}
        )
    )
    assert cause == "UNKNOWN_TRANSACTION"


def test_many_wait_at_once(running: RunningNode) -> None:
    """Sixty transfers of one key, none waiting for another, all come through."""

    async def send_all() -> list[TransactionResult]:
        async with running.connect_async("mallory.near") as client:
            return await asyncio.gather(*(client.transfer("bob.near", Yocto(1)) for _ in range(60)))

    results = asyncio.run(send_all())
    assert [result.failure for result in results] == [None] * 60
