"""The page on compatibility names every file of near-kit's suite once, with a test of ours that exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "compatibility.md").read_text(encoding="utf-8")
SCRIPT = (ROOT / "tests" / "e2e" / "clients" / "near_kit_sandbox.mjs").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([\w-]+)` \|[^|]+\| (\d+) \| (\d+) \| `(tests/[\w/]+\.py)::(\w+)` \|$", re.MULTILINE)
FILES = 23
TESTS = 281


def get_tests(path: str) -> dict[str, str]:
    """The test functions of a file, with their source."""
    source = (ROOT / path).read_text(encoding="utf-8")
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_source_segment(source, node) or "" for node in nodes}


def test_every_file_of_the_suite_has_a_row() -> None:
    """And its tests add up."""
    rows = ROW.findall(PAGE)
    assert len({name for name, *_ in rows}) == len(rows) == FILES
    assert sum(int(passed) + int(failed) for _, passed, failed, *_ in rows) == TESTS


def test_every_named_test_exists_and_is_about_its_file() -> None:
    """It holds what the function of that name in the script saw."""
    for name, _, _, path, test in ROW.findall(PAGE):
        assert f'seen["{name}"]' in get_tests(path)[test], (name, test)
        assert re.search(rf'^  async "?{re.escape(name)}"?\(\)', SCRIPT, re.MULTILINE), name
