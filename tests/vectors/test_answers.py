"""Our JSON-RPC server answers what the recorded node was asked as it did.

One test a group, in the order of recording. What is not compared stands in
``ANSWERS_NOT_COMPARED``, by method and JSON path.
"""

import base64
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from hither.vm import Vm
from tests.vectors.answers import ANSWERS_NOT_COMPARED, Conversation, get_excuse_optional
from tests.vectors.comparison import Difference
from tests.vectors.conftest import Progress
from tests.vectors.recorded_node import RecordedNode
from tests.vectors.recording import CHAINS, Group, RecordedChain

GROUPS = [(name, group) for name, folder in CHAINS.items() for group in RecordedChain(folder).group_names]


@pytest.mark.parametrize(("chain", "group"), GROUPS)
def test_group_is_answered_as_recorded(chains: dict[str, Progress], chain: str, group: str) -> None:
    chains[chain].run_until(group)
    asked = chains[chain].asked[group]
    found = [difference for one in asked for difference in one.differences]
    counts = Counter(one.line["t"] for one in asked)
    print(f"{chain} {group}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    assert not found, "\n".join(str(difference) for difference in found[:10])


def test_every_entry_of_the_table_is_needed(chains: dict[str, Progress]) -> None:
    """An excuse for what does not differ would hide a later difference."""
    used: set[str | None] = set()
    for progress in chains.values():
        progress.run_until()
        for asked in (one for group in progress.asked.values() for one in group):
            used |= {get_excuse_optional(difference) for difference in asked.excused}
    assert [pattern for pattern in ANSWERS_NOT_COMPARED if pattern not in used] == []


def test_only_what_the_table_names_is_excused() -> None:
    assert get_excuse_optional(Difference("status.result.uptime_sec", 1, 2)) is not None
    assert get_excuse_optional(Difference("status.result.chain_id", 1, 2)) is None
    assert get_excuse_optional(Difference("status HTTP status", 200, 500)) is None
    assert get_excuse_optional(Difference("query.result.error", "this", "that")) is None


def change_stake(group: Group) -> None:
    line = next(line for line in group.get("query") if line["method"] == "validators")
    line["result"]["current_validators"][0]["stake"] = "1"


def change_height(group: Group) -> None:
    """A height that the chain does not have yet: no head gives this answer."""
    line = next(line for line in group.get("query") if line["method"] == "status")
    line["result"]["sync_info"]["latest_block_height"] += 1000


def change_outcome(group: Group) -> None:
    group.get("tx_status")[0]["result"]["transaction_outcome"]["outcome"]["gas_burnt"] += 1


def change_signature(group: Group) -> None:
    """The last byte: the transaction is known by its hash all the same, and refused."""
    line = group.get("send")[0]
    raw = bytearray(base64.b64decode(line["signed_tx_base64"]))
    raw[-2] ^= 1
    line["signed_tx_base64"] = base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("tamper", "where"),
    [
        (change_stake, "validators.result.current_validators[0].stake"),
        (change_height, "status.result.sync_info.latest_block_height"),
        (change_outcome, "EXPERIMENTAL_tx_status.result.transaction_outcome.outcome.gas_burnt"),
        (change_signature, "setup/deploy_exerciser accepted"),
    ],
)
def test_a_changed_recording_is_noticed(tmp_path: Path, tamper: Callable[[Group], None], where: str) -> None:
    vm = Vm(str(tmp_path / "compiled"))
    node = RecordedNode(RecordedChain(CHAINS["one-shard"]), vm, tmp_path / "store")
    assert node.run_group(node.replay.chain.read_group("setup")) == []
    group = node.replay.chain.read_group("setup")
    tamper(group)
    asked = Conversation(node, group, node.replay.coverage["setup"]).run()
    assert where in [difference.where for one in asked for difference in one.differences]
