"""A trace as a picture: well-formed, each receipt once, in its shard's lane, below what caused it."""

import copy
from typing import Any
from xml.etree import ElementTree

import pytest

from hither.client.trace import Trace
from hither.client.trace_picture import draw_trace
from hither.primitives.sharding import ShardLayout
from hither.primitives.types import AccountId, ShardId
from tests.unit.client.test_receipt_tree import PANIC, make_outcome, make_status

SVG = "{http://www.w3.org/2000/svg}"
LAYOUT = ShardLayout((AccountId("b"),), (ShardId(0), ShardId(1)))


def make_trace(*, heights: bool = True) -> Trace:
    """alice calls bob, who panics with hostile text; alice is paid back."""
    status = make_status([make_outcome("bob", ["back"], PANIC, ["<script>&\x07"]), make_outcome("back", [])])
    status = copy.deepcopy(status)
    outcomes: list[Any] = [status["transaction_outcome"], *status["receipts_outcome"]]
    known = {}
    for height, item in zip((7, 8, 12), outcomes, strict=True):
        item["block_hash"] = f"block {height}"
        known[item["block_hash"]] = height
    outcomes[2]["outcome"]["executor_id"] = "alice.near"
    return Trace(status, {}, known if heights else {}, LAYOUT)


def find_boxes(root: ElementTree.Element) -> dict[str, tuple[int, int]]:
    """Where each box is, by the id in its tip."""
    boxes = {}
    for group in root.iter(f"{SVG}g"):
        title, rectangle = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None and title.text is not None and rectangle is not None
        boxes[title.text.splitlines()[0]] = (int(rectangle.attrib["x"]), int(rectangle.attrib["y"]))
    return boxes


@pytest.mark.parametrize("heights", [True, False])
def test_receipts_stand_in_lanes_below_their_causes(heights: bool) -> None:
    """Also when the node no longer tells the heights: then by steps."""
    drawn = draw_trace(make_trace(heights=heights))
    root = ElementTree.fromstring(drawn)
    boxes = find_boxes(root)
    assert set(boxes) == {"alice", "bob", "back"}
    assert boxes["alice"][0] == boxes["back"][0] < boxes["bob"][0]
    assert boxes["alice"][1] < boxes["bob"][1] < boxes["back"][1]
    assert len([path for path in root.iter(f"{SVG}path") if path.get("class") == "arrow"]) == 2
    assert ("block 12" in drawn) is heights
    assert ("step 2" in drawn) is not heights


def test_text_of_contracts_stays_text() -> None:
    """No element and no control character comes from a log."""
    drawn = draw_trace(make_trace())
    assert "<script" not in drawn
    assert "\x07" not in drawn and "\x1b" not in drawn
    assert "&lt;script&gt;" in drawn


def test_transaction_that_waits_is_not_drawn() -> None:
    """There is nothing yet."""
    with pytest.raises(ValueError, match="not run yet"):
        draw_trace(Trace({"final_execution_status": "NONE"}, {}, {}, None))
