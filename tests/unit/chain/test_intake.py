"""A producer takes what chunks can execute: fully used, and next to nothing put off."""

from collections.abc import Sequence

import pytest

from hither.chain.intake import Intake, compute_gas_max, observe_chunk

LIMIT = 1_000
CONVERSION = 1
"""Gas of converting one transaction."""

UNKNOWN_TAKEN = 500
"""What the protocol would let a chunk take."""


def run(costs: Sequence[int]) -> tuple[list[int], list[int]]:
    """Chunks full of transactions whose receipts cost so much each, from a backlog without end: work done, put off."""
    intake, queue, incoming = Intake(), [], 0
    done_by_chunk, delayed_by_chunk = [], []
    for cost in costs:
        gas_max = compute_gas_max(intake, LIMIT)
        taken = min(UNKNOWN_TAKEN, UNKNOWN_TAKEN if gas_max is None else gas_max) // CONVERSION
        queue += [cost] * incoming
        done, receipts = taken * CONVERSION, 0
        while queue and done < LIMIT:
            done += queue.pop(0)
            receipts += 1
        incoming = taken
        intake = observe_chunk(intake, taken * CONVERSION, done, receipts, len(queue))
        done_by_chunk.append(done)
        delayed_by_chunk.append(len(queue))
    return done_by_chunk, delayed_by_chunk


@pytest.mark.parametrize("cost", [1, 3, 10, 40])
def test_chunks_become_nearly_full_and_nothing_is_put_off(cost: int) -> None:
    done, delayed = run([cost] * 100)
    assert not any(delayed[60:])
    assert min(done[60:]) >= LIMIT * 85 // 100


def test_costlier_calls_are_put_off_for_a_few_chunks_only() -> None:
    """And cheaper ones fill the chunks again."""
    done, delayed = run([3] * 40 + [30] * 80 + [3] * 40)
    assert any(delayed[40:50])
    assert not any(delayed[110:120])
    assert min(done[150:]) >= LIMIT * 85 // 100


def test_a_call_larger_than_a_chunk_does_not_stop_the_intake() -> None:
    """One transaction at least is taken, whatever was seen."""
    intake = observe_chunk(Intake(), 1, 50 * LIMIT, 1, 9)
    gas_max = compute_gas_max(intake, LIMIT)
    assert gas_max is not None
    assert gas_max >= 1


def test_nothing_is_limited_before_something_was_seen() -> None:
    assert compute_gas_max(Intake(), LIMIT) is None
    assert compute_gas_max(observe_chunk(Intake(), 0, 0, 0, 0), LIMIT) is None
