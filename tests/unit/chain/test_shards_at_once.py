"""Calls of different shards run at the same time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hither.primitives.action import DeployContract, FunctionCall
from tests.unit.chain.chains import SmallChain
from tests.unit.runtime.programs import get_exerciser

MEETING_S_MAX = 120
TGAS = 10**12


class MeetingVm:
    """Two calls wait for each other before either runs."""

    def __init__(self, vm: Any) -> None:
        self._vm = vm
        self._barrier = threading.Barrier(2, timeout=MEETING_S_MAX)

    def call(self, *arguments: Any) -> Any:
        self._barrier.wait()
        return self._vm.call(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vm, name)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[SmallChain]:
    chain = SmallChain(tmp_path)
    yield chain
    chain.close()


def test_calls_of_two_shards_overlap(chain: SmallChain) -> None:
    """Each is inside the VM while the other is: one after the other, the first would wait for ever."""
    signers = ("alice.near", "heidi.near")
    layout = chain.parameters.shard_layout
    assert len({layout.get_shard_id(signer) for signer in signers}) == 2
    chain.submit([chain.sign(signer, signer, (DeployContract(get_exerciser()),)) for signer in signers])
    chain.produce(2)
    with ThreadPoolExecutor(2) as threads:
        chain.engine._threads = threads
        chain.engine._vm = MeetingVm(chain.engine._vm)  # type: ignore[assignment]
        call = FunctionCall("nothing", b"", 10 * TGAS, 0)
        chain.submit([chain.sign(signer, signer, (call,)) for signer in signers])
        applied = chain.produce()
    outcomes = [outcome for shard in applied.shards for outcome in shard.result.outcomes]
    assert len(outcomes) >= 4
