"""A chain under a virtual clock: random events, the same every time, invariants after each block."""

import itertools
import random
from pathlib import Path

import pytest

from hither.chain.genesis import DEVELOPMENT_ACCOUNTS, DEVELOPMENT_BOUNDARIES, DevelopmentOptions
from hither.chain.sequencer.embedded import (
    BlockMade,
    BlocksAsked,
    Event,
    FastForwardAsked,
    MakeBlock,
    ModeSet,
    SequencerState,
    Ticked,
    TransactionsArrived,
    WakeAt,
    WentBack,
    step,
)
from hither.primitives.action import DeployContract, FunctionCall
from hither.primitives.types import BlockHeight
from hither.state.records import get_account_record_optional
from tests.unit.chain.chains import START_NS, SmallChain
from tests.unit.runtime import programs

MS = 1_000_000
TERA = 10**12
YIELD_LIFE_BLOCKS = 200


class ChainLoop:
    """Sequencer and engine without threads; time passes only when the loop says so."""

    def __init__(self, folder: Path) -> None:
        options = DevelopmentOptions(boundary_accounts=DEVELOPMENT_BOUNDARIES, epoch_length=30)
        self.chain = SmallChain(folder, options)
        self.now_ns = START_NS
        self.state = SequencerState(next_epoch_height=31, timestamp_ns=START_NS)
        self.wake_at_ns: int | None = None
        self.blocks = 0

    def send(self, event: Event) -> None:
        """One event, and every block that follows from it."""
        self.state, effects = step(self.state, event)
        while effects:
            effect = effects.pop()
            if isinstance(effect, WakeAt):
                self.wake_at_ns = effect.time_ns
            else:
                self.state, effects = step(self.state, self._make(effect))

    def _make(self, effect: MakeBlock) -> BlockMade:
        engine = self.chain.engine
        before = engine.head
        applied = engine.produce(effect.height, effect.timestamp_ns)
        head = engine.head
        self.blocks += 1
        assert head.height > before.height
        assert head.block.header.timestamp_ns > before.block.header.timestamp_ns
        assert head.final_height <= head.height - 2 or head.final_height == 0
        assert head.final_height >= before.final_height
        self.now_ns += MS
        return BlockMade(
            self.now_ns,
            head.height,
            head.block.header.timestamp_ns,
            head.final_height,
            self._get_next_epoch_height(),
            is_busy=any(shard.result.outcomes for shard in applied.shards),
            has_receipts=head.has_waiting_receipts(),
            has_transactions=engine.has_transactions(),
            has_refunds_only=head.has_only_refunds_waiting(),
            is_finality_awaited=self.blocks % 3 == 0,
            yield_until=engine.find_next_timeout() or BlockHeight(0),
        )

    def _get_next_epoch_height(self) -> int:
        return max(self.chain.engine.head.position.first.height, 1) + 30

    def advance(self, milliseconds: int) -> None:
        """Let time pass, waking the sequencer whenever it wants."""
        end = self.now_ns + milliseconds * MS
        while self.wake_at_ns is not None and self.wake_at_ns <= end:
            self.now_ns, self.wake_at_ns = max(self.now_ns, self.wake_at_ns), None
            self.send(Ticked(self.now_ns))
        self.now_ns = max(self.now_ns, end)

    def revert(self, height: int) -> None:
        self.chain.engine.revert_to(self.chain.engine.load_head(height))
        head = self.chain.engine.head
        self.send(
            WentBack(
                self.now_ns,
                head.height,
                head.block.header.timestamp_ns,
                head.final_height,
                self._get_next_epoch_height(),
                head.has_waiting_receipts(),
            )
        )

    def sum_balances(self) -> int:
        """All money of accounts."""
        total = 0
        for shard in self.chain.engine.head.shards:
            for key, _ in shard.trie.scan(b"\x00"):
                account = get_account_record_optional(shard.trie, key[1:].decode())
                assert account is not None
                total += account.amount + getattr(account, "locked", 0)
        return total


def play(folder: Path, seed: int) -> tuple[bytes, int]:
    """A hundred random events; the hash of the last block and how many blocks there were."""
    chance, loop = random.Random(seed), ChainLoop(folder)
    loop.send(Ticked(loop.now_ns))
    for at in range(100):
        match chance.randrange(10):
            case 0 | 1 | 2 | 3:
                names = chance.sample(DEVELOPMENT_ACCOUNTS, 4)
                nonce = loop.chain.engine.head.height * 10_000 + at
                if loop.chain.engine.head.height > 1:
                    loop.chain.submit(
                        loop.chain.transfer(a, b, chance.randrange(10**24), nonce)
                        for a, b in itertools.pairwise(names)
                    )
                    loop.send(TransactionsArrived(loop.now_ns))
            case 4 | 5 | 6:
                loop.advance(chance.randrange(3000))
            case 7:
                loop.send(FastForwardAsked(loop.now_ns, chance.randrange(1, 80)))
            case 8:
                loop.send(BlocksAsked(loop.now_ns, chance.randrange(1, 4)))
                loop.send(ModeSet(loop.now_ns, chance.choice(["instant", "interval", "manual"]), 300))
            case 9 if loop.chain.engine.head.height > 20:
                loop.revert(_choose_height(loop, chance))
    loop.send(ModeSet(loop.now_ns, "instant"))
    loop.send(BlocksAsked(loop.now_ns))
    loop.advance(3000)
    head = loop.chain.engine.head
    assert not head.has_waiting_receipts()
    assert loop.sum_balances() == head.block.header.total_supply - _get_burnt_but_not_counted(loop)
    loop.chain.close()
    return head.hash, loop.blocks


def _get_burnt_but_not_counted(loop: ChainLoop) -> int:
    """What the newest block burnt: the next header takes it from the supply."""
    return sum(shard.result.balance_burnt for shard in loop.chain.engine.head.shards)


def _choose_height(loop: ChainLoop, chance: random.Random) -> int:
    """A height, not too far back, that has a block."""
    height = loop.chain.engine.head.height - chance.randrange(1, 15)
    while loop.chain.storage.get_block(height) is None:
        height -= 1
    return height


@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_random_events_keep_the_invariants_and_repeat_exactly(tmp_path: Path, seed: int) -> None:
    """Heights and time rise, finality never goes back but by a revert, and no money is lost."""
    first = play(tmp_path / "first", seed)
    assert first == play(tmp_path / "second", seed)
    assert first[1] > 80


def _yield_once(loop: ChainLoop) -> None:
    """A contract of alice's that waits for somebody to resume it."""
    wait = programs.promise_yield_create("run", programs.LOG_LAST, 10 * TERA, 0, 0)
    for action in (
        DeployContract(programs.get_exerciser()),
        FunctionCall("run", wait, 100 * TERA, 0),
    ):
        loop.chain.submit([loop.chain.sign("alice.near", "alice.near", (action,))])
        loop.send(TransactionsArrived(loop.now_ns))


def _send_for(loop: ChainLoop, milliseconds: int) -> None:
    """One transfer every 30 ms, and each is four blocks where nothing holds them up."""
    until_ns = loop.now_ns + milliseconds * MS
    nonces = itertools.count(loop.chain.engine.head.height * 1000)
    while loop.now_ns < until_ns:
        loop.chain.submit([loop.chain.transfer("bob.near", "carol.near", 1, next(nonces))])
        loop.send(TransactionsArrived(loop.now_ns))
        loop.advance(30)


def test_traffic_takes_no_time_away_from_who_resumes_a_yield(tmp_path: Path) -> None:
    """Under load there are a hundred blocks a second and more; a yield lives 200 of them, and many seconds at least."""
    loop = ChainLoop(tmp_path)
    loop.send(Ticked(loop.now_ns))
    loop.advance(2000)
    _yield_once(loop)
    expires_at = loop.chain.engine.find_next_timeout()
    assert expires_at is not None
    _send_for(loop, 5_000)
    assert loop.chain.engine.find_next_timeout() == expires_at, "it still waits"
    assert loop.chain.engine.head.height > expires_at - 100, "it was in the second half of its life"
    loop.send(BlocksAsked(loop.now_ns, YIELD_LIFE_BLOCKS))
    assert loop.chain.engine.find_next_timeout() is None, "blocks that are asked for give it up"
    before = loop.blocks
    _send_for(loop, 300)
    assert loop.blocks >= before + 30, "blocks come quickly again"
    loop.chain.close()
