"""Every height of the recorded chains comes out as NEAR's own node had it.

One test a group, in the order of recording: a group needs the state that the
groups before it left, so they are replayed first, once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hither.vm import Vm
from tests.vectors.comparison import Difference, compare
from tests.vectors.conftest import Progress
from tests.vectors.coverage import INPUT, NOT_COMPARED, Coverage, get_excuse_optional, get_reason_optional
from tests.vectors.recording import CHAINS, Group, Line, RecordedChain
from tests.vectors.replay import Replay

GROUPS = [(name, group) for name, folder in CHAINS.items() for group in RecordedChain(folder).group_names]


@pytest.mark.parametrize(("chain", "group"), GROUPS)
def test_group_replays_without_a_difference(chains: dict[str, Progress], chain: str, group: str) -> None:
    chains[chain].run_until(group)
    found = chains[chain].found[group]
    assert not found, "\n".join(str(difference) for difference in found[:10])


@pytest.mark.parametrize(("chain", "group"), GROUPS)
def test_nothing_recorded_is_overlooked(chains: dict[str, Progress], chain: str, group: str) -> None:
    """Every line that the index promises is there; every value is compared, or has its reason in the table.

    The counts are printed.
    """
    chains[chain].run_until(group)
    coverage = chains[chain].get_coverage(group)
    assert dict(coverage.lines) == RecordedChain(CHAINS[chain]).get_line_counts(group)
    assert coverage.list_gaps() == []
    for what, count in sorted(coverage.summarise().items(), key=lambda item: -item[1]):
        print(f"{chain} {group}: {count} {what}")


def test_every_entry_of_the_table_is_needed(chains: dict[str, Progress]) -> None:
    """An excuse that excuses nothing would hide a later gap."""
    total = Coverage()
    for progress in chains.values():
        progress.run_until()
        for coverage in progress.node.replay.coverage.values():
            total.there.update(coverage.there)
            total.compared.update(coverage.compared)
    used = {
        get_excuse_optional(path)
        for path, count in total.there.items()
        if total.compared[path] < count or get_reason_optional(path) == INPUT
    }
    assert [pattern for pattern in NOT_COMPARED if pattern not in used] == []


# The comparison itself


def run_setup(tmp_path: Path, tamper: Callable[[Group], None]) -> list[Difference]:
    """The first group of the one-shard chain, with something changed in the recording."""
    replay = Replay(RecordedChain(CHAINS["one-shard"]), Vm(str(tmp_path)))
    group = replay.chain.read_group("setup")
    tamper(group)
    return list(replay.run_group(group))


def must_get_height(group: Group, height: int) -> Line:
    return next(line for line in group.get("height") if line["height"] == height)


def change_state_root(group: Group) -> None:
    must_get_height(group, 6)["block"]["chunks"][0]["prev_state_root"] = "1" * 32


def change_profile(group: Group) -> None:
    outcome = group.get("tx_status")[0]["result"]["receipts_outcome"][0]["outcome"]
    outcome["metadata"]["gas_profile"].append({"cost_category": "ACTION_COST", "cost": "X", "gas_used": "1"})


def change_cause(group: Group) -> None:
    change = must_get_height(group, 5)["changes"]["account_changes"][0]
    change["cause"]["tx_hash"] = "1" * 32


def drop_change(group: Group) -> None:
    must_get_height(group, 5)["changes"].pop("contract_code_changes")


def change_proof(group: Group) -> None:
    query = next(line for line in group.get("query") if "proof" in line.get("result", {}))
    query["result"]["proof"].pop()


def change_time(group: Group) -> None:
    """An input: the block is another one."""
    must_get_height(group, 4)["block"]["header"]["timestamp_nanosec"] = "1795412264852419661"


def change_transaction(group: Group) -> None:
    status = group.get("tx_status")[0]["result"]
    status["transaction"]["nonce"] += 1


@pytest.mark.parametrize(
    ("tamper", "where"),
    [
        (change_state_root, "height 6.block.chunks[0].prev_state_root"),
        (change_profile, "setup/deploy_exerciser.result.receipts_outcome[0].outcome.metadata.gas_profile"),
        (change_cause, "height 5 change of account ex.near [0].cause.tx_hash"),
        (drop_change, "height 5 change of contract_code ex.near"),
        (change_proof, "setup query"),
        (change_transaction, "setup/deploy_exerciser.result.transaction.nonce"),
        (change_time, "height 4.block.header.hash"),
    ],
)
def test_a_changed_recording_is_noticed(tmp_path: Path, tamper: Callable[[Group], None], where: str) -> None:
    found = run_setup(tmp_path, tamper)
    assert found
    assert found[0].where.startswith(where)


@pytest.mark.parametrize(
    ("ours", "recorded", "count"),
    [
        ({"a": 1, "b": [1, "2"]}, {"b": [1, "2"], "a": 1}, 0),
        ({"a": 1}, {"a": "1"}, 1),
        ({"a": 1}, {"a": True}, 1),
        ({"a": 1}, {}, 1),
        ({}, {"a": None}, 1),
        ([1, 2], [2, 1], 2),
        ([1], [1, 1], 1),
    ],
)
def test_values_are_compared_with_their_types(ours: Any, recorded: Any, count: int) -> None:
    assert len(compare("x", ours, recorded)) == count
