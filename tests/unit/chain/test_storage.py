"""What is kept of a chain: restart, revert, pruning."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hither.chain import storage as storage_module
from hither.chain.genesis import DEVELOPMENT_BOUNDARIES, DevelopmentOptions
from hither.chain.reader import GarbageCollectedBlock, UnknownBlock
from hither.chain.rows import TABLES
from tests.unit.chain.chains import SmallChain, describe_head


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[SmallChain]:
    chain = SmallChain(
        tmp_path, DevelopmentOptions(boundary_accounts=DEVELOPMENT_BOUNDARIES, epoch_length=12)
    )
    yield chain
    chain.close()


def send_some(chain: SmallChain) -> None:
    """Transfers within and between all three shards."""
    pairs = (("alice.near", "bob.near"), ("alice.near", "peggy.near"), ("ivan.near", "carol.near"))
    nonce = chain.engine.head.height * 1000
    chain.submit(chain.transfer(*pair, nonce=nonce + at) for at, pair in enumerate(pairs, 1))


def test_a_chain_goes_on_after_a_restart_at_any_height(chain: SmallChain) -> None:
    """Over three epochs, with transfers under way, reading back gives the head that was left."""
    chain.produce(2)
    for _ in range(40):
        send_some(chain)
        chain.produce()
        chain.storage.sync()
        before = describe_head(chain)
        chain.reopen()
        assert describe_head(chain) == before
    assert chain.engine.head.epoch.epoch_height == 3


def test_a_restarted_chain_makes_the_block_that_it_would_have_made(chain: SmallChain) -> None:
    """The same transactions at the same time give the same hash."""
    chain.produce(5)
    send_some(chain)
    chain.produce()
    chain.storage.sync()
    expected = chain.produce(3).block.hash
    chain.lose_power()
    assert chain.engine.head.height == 6
    assert chain.produce(3).block.hash == expected


def test_what_was_not_synced_is_gone_after_a_restart(chain: SmallChain) -> None:
    """All of a height or nothing of it."""
    chain.produce(4)
    chain.storage.sync()
    kept = describe_head(chain)
    send_some(chain)
    lost = chain.transfer("judy.near", "bob.near")
    chain.submit([lost])
    chain.produce(3)
    chain.lose_power()
    assert describe_head(chain) == kept
    assert chain.reader.get_transaction(lost.hash) is None


@pytest.mark.parametrize("height", [3, 11, 12, 13, 14, 25])
def test_a_revert_brings_back_the_head_of_that_height(chain: SmallChain, height: int) -> None:
    """Also across the ends of epochs; what came after is unknown, and can happen again."""
    chain.produce(2)
    while chain.engine.head.height < height:
        send_some(chain)
        chain.produce()
    expected = describe_head(chain)
    undone = chain.transfer("alice.near", "trent.near", nonce=height * 1000 + 900)
    chain.submit([undone])
    first = chain.produce(15).block.hash
    assert chain.reader.get_outcome(undone.hash) is not None
    chain.engine.revert_to(chain.engine.load_head(height))
    chain.reader.publish(chain.engine.head, is_revert=True)
    assert describe_head(chain) == expected
    assert chain.reader.get_outcome(undone.hash) is None
    assert chain.reader.get_transaction(undone.hash) is None
    with pytest.raises(UnknownBlock):
        chain.reader.get_header(first)
    chain.reopen()
    assert describe_head(chain) == expected
    chain.submit([undone])
    assert chain.produce(15).block.hash == first


def test_receipts_under_way_survive_a_revert(chain: SmallChain) -> None:
    """A receipt that was made before the revert and executed after it is made again on its way."""
    chain.produce(2)
    transfer = chain.transfer("alice.near", "peggy.near")
    chain.submit([transfer])
    chain.produce()
    height = chain.engine.head.height
    before = chain.get_balance("peggy.near")
    chain.produce(5)
    assert chain.get_balance("peggy.near") == before + 10**24
    chain.engine.revert_to(chain.engine.load_head(height))
    chain.reader.publish(chain.engine.head, is_revert=True)
    assert chain.get_balance("peggy.near") == before
    outcome = chain.reader.get_outcome(transfer.hash)
    assert outcome is not None
    receipt_id = outcome.outcome.receipt_ids[0]
    assert chain.reader.get_outcome(receipt_id) is None
    receipt, origin = chain.reader.get_receipt(receipt_id), chain.reader.get_receipt_origin(receipt_id)
    assert receipt is not None
    assert origin is not None
    assert (receipt.receiver_id, origin.transaction_hash) == ("peggy.near", transfer.hash)
    chain.produce(5)
    assert chain.get_balance("peggy.near") == before + 10**24


def test_pruning_bounds_every_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 40 heights kept, rows and the file stop growing, and the chain restarts from what is left."""
    monkeypatch.setattr(storage_module, "RETENTION_HEIGHTS_MAX", 40)
    chain = SmallChain(tmp_path, DevelopmentOptions(epoch_length=10))

    def count_rows() -> dict[str, int]:
        return {table: len(chain.store.scan(table)) for table in TABLES}

    chain.produce(2)
    counts, sizes = [], []
    for _ in range(6):
        while chain.engine.head.height % 100:
            send_some(chain)
            chain.produce()
        chain.storage.sync()
        counts.append(count_rows())
        sizes.append(sum(path.stat().st_size for path in tmp_path.rglob("*.mdb")))
        send_some(chain)
        chain.produce()
    growing = ("epochs", "epoch_starts", "epoch_summaries")
    for table in TABLES:
        if table not in growing:
            assert counts[3][table] <= counts[2][table] + 20, (table, counts)
    assert counts[3]["blocks"] < 60
    # The first hundred blocks took so much; from where as much is freed as is written, two hundred take a tenth.
    assert sizes[5] - sizes[3] < sizes[0] / 4, sizes
    chain.storage.sync()
    before = describe_head(chain)
    chain.reopen()
    assert describe_head(chain) == before
    height = chain.engine.head.height
    with pytest.raises(GarbageCollectedBlock):
        chain.reader.get_header(height - 70)
    with pytest.raises(UnknownBlock):
        chain.reader.get_header(height + 1)
    assert chain.reader.get_header("genesis").height == 0
    assert chain.reader.get_header("earliest_available").height == chain.reader.get_earliest_height() > 300
    chain.close()


def test_proofs_hold_after_pruning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block that is left can be proved under the newest final one."""
    from hither.primitives.merkle import compute_root_from_path

    monkeypatch.setattr(storage_module, "RETENTION_HEIGHTS_MAX", 40)
    chain = SmallChain(tmp_path, DevelopmentOptions(epoch_length=10))
    chain.produce(203)
    head = chain.reader.get_header(chain.engine.head.final_height)
    for height in range(chain.reader.get_earliest_height(), head.height):
        block = chain.reader.get_header(height)
        path = chain.reader.get_block_proof(block.hash, head.hash)
        assert compute_root_from_path(block.hash, path) == head.block_merkle_root
    chain.close()
