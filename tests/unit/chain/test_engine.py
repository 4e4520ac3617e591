"""The engine: shards side by side, supply, the first blocks, gas price."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hither.chain.genesis import DEVELOPMENT_BOUNDARIES, DevelopmentOptions
from hither.chain.genesis_block import make_genesis_tries
from hither.chain.production import compute_next_gas_price
from hither.chain.verification import ChainDiffers, reexecute
from hither.primitives.action import DeployContract, FunctionCall, Stake
from hither.primitives.chunk import ChunkHeader
from hither.primitives.outcome import Failure
from hither.state.records import get_account_record_optional
from tests.unit.chain.chains import SmallChain
from tests.unit.chain.recordings import ROOT as RECORDINGS

TERA = 10**12
EXERCISER = (RECORDINGS / "exerciser.wasm").read_bytes()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[SmallChain]:
    chain = SmallChain(
        tmp_path, DevelopmentOptions(boundary_accounts=DEVELOPMENT_BOUNDARIES, epoch_length=20)
    )
    chain.produce(2)
    yield chain
    chain.close()


def burn(rounds: int) -> FunctionCall:
    """A call that computes for a while and writes nothing."""
    return FunctionCall("run", b"\x07" + rounds.to_bytes(8, "little"), 100 * TERA, 0)


def sum_balances(chain: SmallChain) -> int:
    total = 0
    for shard in chain.engine.head.shards:
        for key, _ in shard.trie.scan(b"\x00"):
            account = get_account_record_optional(shard.trie, key[1:].decode())
            assert account is not None
            total += account.amount + getattr(account, "locked", 0)
    return total


def run_contracts(chain: SmallChain) -> list[bytes]:
    """Deploy in all three shards, then call each from the others; the hashes of all blocks."""
    owners = ("alice.near", "ivan.near", "sybil.near")
    chain.submit(chain.sign(owner, owner, (DeployContract(EXERCISER),)) for owner in owners)
    hashes = [chain.produce().block.hash for _ in range(4)]
    nonce = chain.engine.head.height * 1000 + 500
    for at in range(3):
        chain.submit(
            chain.sign(sender, receiver, (burn(1000 * (at + 1)),), nonce + at)
            for sender, receiver in zip(owners, owners[1:] + owners[:1], strict=True)
        )
        hashes.append(chain.produce().block.hash)
    return hashes + [chain.produce().block.hash for _ in range(4)]


def test_shards_at_once_give_what_shards_in_turn_give(tmp_path: Path) -> None:
    """Contract calls in three shards on three threads: the same blocks, to the hash."""
    hashes = []
    for threads in (None, ThreadPoolExecutor(3)):
        options = DevelopmentOptions(boundary_accounts=DEVELOPMENT_BOUNDARIES)
        chain = SmallChain(tmp_path / str(threads is None), options)
        chain.engine._threads = threads
        chain.produce(2)
        hashes.append(run_contracts(chain))
        failed = [
            outcome
            for height in range(1, chain.engine.head.height + 1)
            for outcome in chain.reader.get_block_outcomes(chain.reader.get_header(height).hash)
            if isinstance(outcome.outcome.status, Failure)
        ]
        assert failed == []
        chain.close()
    assert hashes[0] == hashes[1]


def test_the_supply_is_the_sum_of_all_balances_at_each_epoch_s_end(chain: SmallChain) -> None:
    """Over five epochs with transfers and a new staker: rewards come in, burnt gas goes out."""
    from hither.chain.genesis import derive_development_key
    from hither.crypto.signing import compute_public_key

    key = compute_public_key(derive_development_key("peggy.near"))
    chain.submit([chain.sign("peggy.near", "peggy.near", (Stake(500_000 * 10**24, key),))])
    checked = 0
    while chain.engine.head.height < 105:
        chain.submit([chain.transfer("alice.near", "trent.near")])
        chain.produce(5)
        head = chain.engine.head
        if not head.has_waiting_receipts():
            burnt = sum(shard.result.balance_burnt for shard in head.shards)
            assert sum_balances(chain) == head.block.header.total_supply - burnt
            checked += 1
    assert checked >= 10
    # The stake takes a seat two epochs later; this chain has one seat for blocks, so it validates only.
    assert [v.account_id for v in chain.engine.head.epoch.validators] == ["test.near", "peggy.near"]


def test_a_stake_comes_back_after_three_epochs(chain: SmallChain) -> None:
    """Unstaking unlocks the money when no epoch needs it any more."""
    from hither.chain.genesis import derive_development_key
    from hither.crypto.signing import compute_public_key
    from hither.state.records import get_account_optional

    key = compute_public_key(derive_development_key("peggy.near"))

    def get_locked() -> int:
        account = get_account_optional(chain.engine.head.get_shard(2).trie, "peggy.near")
        assert account is not None
        return account.locked

    chain.submit([chain.sign("peggy.near", "peggy.near", (Stake(500_000 * 10**24, key),))])
    chain.produce(4)
    assert get_locked() == 500_000 * 10**24
    chain.submit([chain.sign("peggy.near", "peggy.near", (Stake(0, key),))])
    chain.produce(4)
    assert get_locked() == 500_000 * 10**24
    heights = []
    while get_locked():
        chain.produce()
        heights.append(chain.engine.head.height)
    assert chain.engine.head.position.first.height == chain.engine.head.height
    assert chain.engine.head.height <= 101


def test_the_gas_price_follows_use(chain: SmallChain) -> None:
    """Half full: unchanged. Full: half a percent more. Empty: the minimum holds. No chunks: unchanged."""
    template = chain.engine.head.block.chunks[0]

    def price(start: int, *used: int) -> int:
        limit = 10**15
        chunks = [make_header(template, gas, limit) for gas in used]
        return compute_next_gas_price(start, chunks, chain.parameters)

    assert price(10**9, 5 * 10**14) == 10**9
    assert price(10**9, 10**15) == 1_005_000_000
    assert price(10**9, 0) == 995_000_000
    assert price(10**8, 0) == 10**8
    assert price(10**9, 10**15, 0) == 10**9
    assert price(10**9) == 10**9
    assert price(int("9" * 22), 10**15) == 10**22


def make_header(template: ChunkHeader, gas_used: int, gas_limit: int) -> ChunkHeader:
    import msgspec

    return msgspec.structs.replace(template, prev_gas_used=gas_used, gas_limit=gas_limit)


def test_a_chain_can_be_applied_again_from_genesis(chain: SmallChain) -> None:
    """The same head comes out, contracts and epochs included."""
    run_contracts(chain)
    chain.produce(30)
    tries = make_genesis_tries(chain.genesis, chain.parameters)
    head = reexecute(chain.parameters, tries, chain.storage, chain.vm)
    assert head.hash == chain.engine.head.hash
    assert [s.trie.root for s in head.shards] == [s.trie.root for s in chain.engine.head.shards]


def test_applying_again_finds_what_is_wrong(chain: SmallChain) -> None:
    """From another genesis state, the first chunk commits to another root."""
    chain.produce(3)
    tries = dict(make_genesis_tries(chain.genesis, chain.parameters))
    tries[0] = tries[0].update([(b"\x00stranger", b"x" * 72)])
    with pytest.raises(ChainDiffers, match="does not follow"):
        reexecute(chain.parameters, tries, chain.storage, chain.vm)


def test_the_first_block_has_no_chunks_and_a_transaction_waits_for_the_second(tmp_path: Path) -> None:
    chain = SmallChain(tmp_path)
    chain.submit([chain.transfer("alice.near", "bob.near", nonce=1)])
    assert chain.produce().chunks == ()
    assert len(chain.produce().chunks[0].transactions) == 1
    chain.close()
