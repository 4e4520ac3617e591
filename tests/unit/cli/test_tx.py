"""What `hither tx` says of what is no hash."""

import pytest
from click.testing import CliRunner

from hither.cli.main import group


@pytest.mark.parametrize("text", ["ABC", "0x" + "12" * 32, "I" * 43, "1" * 33, ""])
def test_what_is_no_hash_is_said_before_a_node_is_asked(text: str) -> None:
    """Nobody listens there."""
    result = CliRunner().invoke(group, ["tx", text, "--node", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert f"{text!r} is no transaction hash of our chain" in result.output
    assert "hint: " in result.output
