"""What the README shows a person is what they will see, hashes and figures aside."""

import re
from pathlib import Path

import pytest

from hither.client import Client, Signer
from tests.e2e.cli.running import network
from tests.test_docs import BLOCKS

pytestmark = pytest.mark.slow


def compute_shape(line: str) -> str:
    """A line without what differs from run to run: every word that holds a digit, and how wide its columns are."""
    words = line.replace("…", "").split()
    return " ".join("#" if re.search(r"\d", word) else word for word in words)


def test_what_it_shows_is_what_is_printed(tmp_path: Path) -> None:
    """`make up` in an empty home, and the transfer of its second program."""
    shown = [
        block.text.splitlines() for block in BLOCKS if (block.page, block.language) == ("README.md", "output")
    ]
    with network(tmp_path / "home", "--demo", is_alone=False) as running:
        running.must_show("paid by a treasury after a vote\n")
        with Client(running.url, signer=Signer("alice.near", running.get_key("alice.near"))) as client:
            result = client.transfer("trent.near", "1.5 N")
        running.must_show(f"transaction {result.hash}")
        running.must_become(lambda: "refund 0." in running.text, "showing the last receipt")
        printed = {compute_shape(line) for line in running.lines}
    missing = [line for lines in shown for line in lines if compute_shape(line) not in printed | {""}]
    assert missing == []


def test_a_line_that_nobody_prints_is_seen() -> None:
    """Figures may differ, words may not."""
    assert compute_shape("  sent          0.001 BTC, for 1 BTC") == compute_shape(
        "  sent  0.2 BTC, for 0.5 BTC"
    )
    assert compute_shape("  sent  0.001 BTC") != compute_shape("  paid  0.001 BTC")
