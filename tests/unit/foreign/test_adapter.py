"""What all families share: names, amounts in words, and following a transaction to its end."""

import asyncio
from collections.abc import Iterable
from typing import cast

import pytest

from hither.foreign.adapter import Adapter, Coin, SignedTransaction, State, TransactionStatus, track
from hither.foreign.caip import AccountId, ChainId, parse_account_id, parse_chain_id, strip_chain
from hither.foreign.errors import (
    FinalityTimeout,
    InvalidAddress,
    InvalidChainId,
    TransactionDropped,
    TransactionFailed,
    TransportError,
    WrongNetwork,
)

BASE = ChainId("eip155", "8453")
SIGNED = SignedTransaction(BASE, "0xid", b"raw")


class Told:
    """An adapter that tells prepared states; the last one again and again."""

    def __init__(self, statuses: Iterable[TransactionStatus | TransportError]) -> None:
        self.statuses = list(statuses)

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if isinstance(status, TransportError):
            raise status
        return status


def follow(*statuses: TransactionStatus | TransportError, timeout_seconds: float = 5.0) -> TransactionStatus:
    return asyncio.run(track(cast(Adapter, Told(statuses)), SIGNED, timeout_seconds=timeout_seconds))


def test_a_transaction_is_followed_until_it_is_final() -> None:
    """Through the pool, a block, and an endpoint that is away for a moment."""
    final = TransactionStatus(State.FINAL, 1, 7, fee=3)
    states = [TransactionStatus(State.PENDING), TransportError("late"), TransactionStatus(State.INCLUDED, 1)]
    assert follow(*states, final) == final


def test_a_dropped_transaction_ends_the_wait() -> None:
    """It can never come."""
    with pytest.raises(TransactionDropped, match="0xid can no longer be included in eip155:8453"):
        follow(TransactionStatus(State.PENDING), TransactionStatus(State.DROPPED))


def test_a_failure_is_told_once_it_is_final() -> None:
    """Before that a reorganisation could still give it another outcome."""
    failed = TransactionStatus(State.INCLUDED, 1, failure="reverted")
    with pytest.raises(FinalityTimeout, match=r"is included .* after 0\.01 s, with 1 confirmation\b"):
        follow(failed, timeout_seconds=0.01)
    with pytest.raises(TransactionFailed, match="reverted"):
        follow(failed, TransactionStatus(State.FINAL, 2, failure="reverted"))


def test_an_endpoint_that_stays_away_is_named() -> None:
    """Whoever waited in vain knows that nobody looked."""
    with pytest.raises(FinalityTimeout, match=r"is unknown on .* no answer \(127\.0\.0\.1: gone\)"):
        follow(TransportError("127.0.0.1: gone"), timeout_seconds=0.0)


def test_an_endpoint_that_refuses_for_good_ends_the_wait() -> None:
    """Waiting does not help against a wrong key."""
    with pytest.raises(TransportError):
        follow(TransportError("no", http_status=401))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 ETH"),
        (1, "0.000000000000000001 ETH"),
        (1_500_000_000_000_000_000, "1.5 ETH"),
        (10**48 + 1, "1000000000000000000000000000000.000000000000000001 ETH"),
    ],
)
def test_amounts_are_written_exactly(amount: int, text: str) -> None:
    """No digit is rounded away, however large the amount."""
    assert Coin("ETH", 18).format(amount) == text


def test_chains_and_accounts_are_read_and_written() -> None:
    """CAIP-2 and CAIP-10."""
    assert parse_chain_id("eip155:8453") == BASE
    assert parse_account_id("eip155:8453:0xab") == AccountId(BASE, "0xab")
    assert str(AccountId(BASE, "0xab")) == "eip155:8453:0xab"


@pytest.mark.parametrize(
    "text", ["", "eip155", "eip155:", "EIP155:1", "ei:1", "eip155:1:2", "eip155:" + "1" * 33]
)
def test_what_names_no_chain_is_refused(text: str) -> None:
    """Case, length and separators count."""
    with pytest.raises(InvalidChainId):
        parse_chain_id(text)


def test_an_account_of_another_chain_is_refused() -> None:
    """Though the address itself would do."""
    assert strip_chain("eip155:8453:0xab", BASE) == "0xab"
    assert strip_chain("0xab", BASE) == "0xab"
    with pytest.raises(WrongNetwork, match="an account on eip155:1, not on eip155:8453"):
        strip_chain("eip155:1:0xab", BASE)
    with pytest.raises(InvalidAddress):
        parse_account_id("eip155:1:0x ab")
    for text in (":", ":0xab", "eip155:0xab", "eip155::0xab"):
        with pytest.raises(InvalidAddress, match="begins with no chain"):
            strip_chain(text, BASE)
