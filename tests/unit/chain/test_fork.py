"""Who has to be copied before a fork goes on, and what waits meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hither.chain.fork import has_work, is_known, list_accounts, list_awaited, list_missing
from hither.chain.genesis import DEVELOPMENT_ACCOUNTS
from hither.primitives.action import Delegate, DelegateAction, DeleteAccount, Transfer
from hither.primitives.types import SYSTEM_ACCOUNT, AccountId, PublicKey, ShardId, Signature
from hither.state import Trie, keys
from tests.unit.chain.chains import SmallChain

ACCOUNTS = DEVELOPMENT_ACCOUNTS
IMPLICIT = AccountId("ab" * 32)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[SmallChain]:
    small = SmallChain(tmp_path)
    small.produce()
    yield small
    small.close()


def get_shard(chain: SmallChain, account_id: str) -> ShardId:
    return chain.parameters.shard_layout.get_shard_id(account_id)


def plan(chain: SmallChain) -> dict[ShardId, list[AccountId]]:
    """As the chain's thread does it after a block."""
    awaited = list_awaited(chain.engine.head, chain.parameters.shard_layout)
    chain.engine.held = frozenset(awaited)
    return awaited


def test_account_is_known_once_it_is_there_or_marked() -> None:
    """A mark without an account: it is absent, or was deleted here."""
    empty = Trie()
    assert not is_known(empty, AccountId("dana.near"))
    assert is_known(empty.update([(keys.account("dana.near"), b"x")]), AccountId("dana.near"))
    assert is_known(empty.update([(keys.fork_mark("dana.near"), b"\x01")]), AccountId("dana.near"))
    # Neither the name of another account nor a part of it counts.
    assert not is_known(empty.update([(keys.fork_mark("dana.nearer"), b"\x01")]), AccountId("dana.near"))
    assert is_known(empty, SYSTEM_ACCOUNT)
    assert list_missing(["b", "a", "b"], lambda _: empty) == ["b", "a"]


def test_transaction_names_everybody_that_it_may_touch(chain: SmallChain) -> None:
    """Also those of what a relayer submits, and who inherits a deleted account."""
    inner = DelegateAction(
        "dana.near", "token.near", (DeleteAccount("heir.near"),), 1, 9, PublicKey(0, bytes(32))
    )
    signed = chain.sign("alice.near", "dana.near", (Delegate(inner, Signature(0, bytes(64))), Transfer(1)))
    assert list_accounts(signed) == ["alice.near", "dana.near", "dana.near", "token.near", "heir.near"]


def test_shard_waits_for_whom_its_receipts_are_for_and_others_go_on(chain: SmallChain) -> None:
    """The receipt is kept over blocks without a chunk, and applied once the account is marked."""
    shard = get_shard(chain, IMPLICIT)
    elsewhere = [a for a in ACCOUNTS if get_shard(chain, a) != shard]
    sender, other = elsewhere[:2]
    chain.submit([chain.transfer(sender, IMPLICIT, 10**24)])
    chain.produce()
    assert plan(chain) == {shard: [IMPLICIT]}
    before = chain.get_balance(other)
    for number in range(3):
        block = chain.produce()
        assert shard not in {chunk.header.shard_id for chunk in block.chunks}
        assert plan(chain) == {shard: [IMPLICIT]}
        if number == 0:
            chain.submit([chain.transfer(sender, other, 7)])
    assert chain.get_balance(other) == before + 7
    for _ in range(4):  # Until the refunds are there.
        chain.produce()
        plan(chain)
    assert not has_work(chain.engine.head, chain.engine.held)
    assert chain.engine.head.has_waiting_receipts()
    # The copy, here that there is none, is written even though the shard has no chunk.
    chain.engine.add_patch({shard: ((keys.fork_mark(IMPLICIT), b"\x01"),)})
    chain.produce()
    assert plan(chain) == {} and has_work(chain.engine.head, chain.engine.held)
    chain.produce()
    assert chain.get_balance(IMPLICIT) == 10**24


def test_patch_of_a_waiting_shard_is_written_once(chain: SmallChain) -> None:
    """A second time would undo what happened since: here, that the sender has paid."""
    sender, receiver = ACCOUNTS[:2]
    shard = get_shard(chain, sender)
    before = chain.get_balance(sender)
    record = chain.engine.head.get_shard(shard).trie.get(keys.account(AccountId(sender)))
    chain.engine.held = frozenset(chain.parameters.shard_layout.shard_ids)
    chain.engine.add_patch({shard: ((keys.account(AccountId(sender)), record),)})
    chain.produce()
    chain.engine.held = frozenset()
    chain.submit([chain.transfer(sender, receiver, 10**24)])
    chain.produce(3)
    assert chain.get_balance(sender) <= before - 10**24


def test_transactions_of_a_waiting_shard_are_no_work(chain: SmallChain) -> None:
    """Otherwise blocks would be made without end while the remote is asked."""
    sender = ACCOUNTS[0]
    chain.submit([chain.transfer(sender, sender)])
    assert chain.engine.has_transactions()
    chain.engine.held = frozenset({get_shard(chain, sender)})
    assert not chain.engine.has_transactions()


def test_chain_with_a_waiting_shard_is_the_same_after_a_restart(chain: SmallChain) -> None:
    """Nothing of it is only in memory."""
    sender = next(a for a in ACCOUNTS if get_shard(chain, a) != get_shard(chain, IMPLICIT))
    chain.submit([chain.transfer(sender, IMPLICIT, 10**24)])
    chain.produce()
    awaited = plan(chain)
    chain.produce()
    chain.storage.sync()
    chain.reopen()
    assert plan(chain) == awaited
    chain.engine.held = frozenset()
    chain.produce()
    assert chain.get_balance(IMPLICIT) == 10**24
