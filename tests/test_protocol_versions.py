"""The reference page of protocol versions names every change and only tests that exist."""

import ast
import re
from pathlib import Path

from hither.params import NEWEST_PROTOCOL_VERSION, ProtocolFeature

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "protocol_versions.md").read_text()


def test_every_change_has_a_row_with_its_version() -> None:
    rows = {
        (name, int(version)) for name, version in re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE, re.MULTILINE)
    }
    changes = {
        (feature.near_name, feature.version)
        for feature in ProtocolFeature
        if feature.version <= NEWEST_PROTOCOL_VERSION
    }
    assert rows == changes


def test_every_named_test_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 20
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (
            path,
            name,
        )
