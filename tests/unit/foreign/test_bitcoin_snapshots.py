"""The development node goes back to snapshots, and keeps what waits over a stop of any kind."""

from pathlib import Path

import pytest

from hither.foreign.engines import UnknownSnapshot
from hither.foreign.engines.bitcoin_faucet import FAUCET_SCRIPT
from hither.foreign.engines.bitcoin_node import BitcoinNode
from tests.unit.foreign.test_bitcoin_node import ALICE_SCRIPT, BOB_SCRIPT, fund, node, pay, snapshot, submit

__all__ = ["node"]


def look(node: BitcoinNode) -> tuple[object, ...]:
    """All that a client can ask for."""
    return *snapshot(node.ledger), node.ledger.tip.block_hash, list(node.pool.entries)


def test_going_back_restores_chain_and_pool(node: BitcoinNode) -> None:
    """Tip, coins, history and what waited; and the same payment can be made again."""
    coin, other = fund(node), fund(node)
    waiting = pay(coin)
    submit(node, waiting)
    before = look(node)
    node.snapshot("first")
    node.generate(3, ALICE_SCRIPT)
    submit(node, pay(other))
    assert look(node) != before
    node.revert("first")
    assert look(node) == before
    node.generate(1, BOB_SCRIPT)
    assert node.ledger.transactions[waiting.id].height == node.ledger.height


def test_a_snapshot_is_used_up_with_all_later_ones(node: BitcoinNode) -> None:
    """Earlier ones stay; an unknown one changes nothing."""
    for name in ("first", "second", "third"):
        node.snapshot(name)
        node.generate(1, BOB_SCRIPT)
    before = look(node)
    with pytest.raises(UnknownSnapshot, match="fourth"):
        node.revert("fourth")
    assert look(node) == before
    node.revert("second")
    for name in ("second", "third"):
        with pytest.raises(UnknownSnapshot):
            node.revert(name)
    node.revert("first")


def test_a_name_that_is_used_again_is_the_newest(node: BitcoinNode) -> None:
    """Its first place is forgotten."""
    node.snapshot("first")
    node.generate(1, BOB_SCRIPT)
    node.snapshot("second")
    node.snapshot("first")
    height = node.ledger.height
    node.generate(1, BOB_SCRIPT)
    node.revert("first")
    assert node.ledger.height == height
    node.revert("second")


def test_snapshots_and_what_came_back_outlive_the_process(tmp_path: Path) -> None:
    """A restart after going back begins there, not where the lost branch ended; another snapshot is still good."""
    node = BitcoinNode(tmp_path)
    node.snapshot("first")
    beginning = look(node)
    coin = fund(node)
    submit(node, pay(coin))
    node.snapshot("second")
    middle = look(node)
    node.generate(2, BOB_SCRIPT)
    node.close()
    node = BitcoinNode(tmp_path)
    node.revert("second")
    assert look(node) == middle
    node.close()
    node = BitcoinNode(tmp_path)
    assert look(node) == middle
    node.revert("first")
    assert look(node) == beginning
    node.close()


def test_what_waits_outlives_the_process(tmp_path: Path) -> None:
    """Children after parents; what a block has included does not wait again."""
    node = BitcoinNode(tmp_path)
    mined = pay(fund(node))
    submit(node, mined)
    node.generate(1, FAUCET_SCRIPT)
    coins = [fund(node) for _ in range(3)]
    for coin in coins:
        submit(node, pay(coin))
    before = look(node)
    # Without a close: what is appended is in the file already.
    node._log.close()
    node._waiting.close()
    again = BitcoinNode(tmp_path)
    assert look(again) == before
    assert len(again.pool.entries) == 3
    again.generate(1, BOB_SCRIPT)
    again.close()
    third = BitcoinNode(tmp_path)
    assert not third.pool.entries
    third.close()


def test_going_back_beyond_a_reorganisation(node: BitcoinNode, tmp_path: Path) -> None:
    """The branch that had won is forgotten with all else."""
    fund(node)
    other = BitcoinNode(tmp_path / "other")
    for block in node.ledger.blocks[1:]:
        other.submit_block(block.raw)
    # The other began with as many blocks of its own, less one.
    assert other.ledger.tip.block_hash == node.ledger.tip.block_hash
    node.snapshot("first")
    before = look(node)
    node.generate(1, ALICE_SCRIPT)
    other.generate(2, BOB_SCRIPT)
    for block in other.ledger.blocks[-2:]:
        node.submit_block(block.raw)
    assert node.ledger.tip.block_hash == other.ledger.tip.block_hash
    node.revert("first")
    assert look(node) == before
    # What it forgot is new to it.
    for block in other.ledger.blocks[-2:]:
        assert node.submit_block(block.raw)
    assert node.ledger.tip.block_hash == other.ledger.tip.block_hash
    other.close()
