"""The shell lines and snippets of the pages run, in their order, on one network a page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli.running import hither
from tests.e2e.docs.pages import (
    LANGUAGES,
    TUTORIALS,
    list_tutorials,
    make_environment,
    must_run,
    read_blocks_in,
)
from tests.e2e.docs.step_times import make_rows, read_rows
from tests.test_docs import ROOT, Block, list_pages_to_run, read_blocks

pytestmark = pytest.mark.slow
PAGES = [page for page in list_pages_to_run() if page not in list_tutorials("Rust")]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """That of a new person; their network ends with the test."""
    environment = make_environment(tmp_path)
    yield environment
    hither("down", home=Path(environment["HITHER_HOME"]))


@pytest.mark.parametrize("page", PAGES)
def test_page_runs_from_top_to_bottom(page: str, environment: dict[str, str]) -> None:
    """What it tells a person to type works, typed in that order."""
    blocks = read_blocks(page)
    if needs_network(blocks):
        must_run(Block(page, 0, "sh", "hither up --detach"), environment)
    for block in blocks:
        must_run(block, environment)


@pytest.mark.parametrize("language", LANGUAGES)
def test_newcomer_follows_the_tutorials(language: str, environment: dict[str, str]) -> None:
    """One after the other in one home, as somebody does who knows one language: to a contract that sends abroad."""
    for page in list_tutorials(language):
        for block in read_blocks_in(page, language):
            must_run(block, environment)


def test_no_tutorial_is_left_out() -> None:
    """Whoever knows Rust runs them all, and a block of another language is run by those who know it."""
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / TUTORIALS).glob("*.md")}
    assert set(list_tutorials("Rust")) == pages - {f"{TUTORIALS}/index.md"}
    for page in list_tutorials("Rust"):
        run = [block for language in LANGUAGES for block in read_blocks_in(page, language)]
        assert {block.line for block in run} == {block.line for block in read_blocks(page)}


def needs_network(blocks: list[Block]) -> bool:
    """Whether a page takes for granted that one runs."""
    starts_one = any("hither up" in block.text for block in blocks if block.language == "sh")
    return not starts_one and any(block.language in ("sh", "python") for block in blocks)


@pytest.mark.parametrize("page", list_tutorials("Rust"))
def test_each_step_of_a_tutorial_has_its_time(page: str) -> None:
    """Measured by running it: python -m tests.e2e.docs.step_times --write"""
    assert read_rows(page) == make_rows(page)


def test_block_that_fails_is_seen(environment: dict[str, str]) -> None:
    """A page with a mistake fails, and the message says where."""
    with pytest.raises(AssertionError, match=r"(?s)a\.md:7.*failed: hither nothing"):
        must_run(Block("a.md", 7, "sh", "hither nothing\ntrue"), environment)
    with pytest.raises(AssertionError, match="No module named"):
        must_run(Block("a.md", 7, "python", "import hither.nothing"), environment)


def test_result_that_is_not_as_said_is_seen(environment: dict[str, str]) -> None:
    """What a page says that a command prints is compared with what it prints."""
    must_run(Block("a.md", 7, "sh", "echo 5 passed", said=("5 passed",)), environment)
    with pytest.raises(AssertionError, match="does not say '6 passed'"):
        must_run(Block("a.md", 7, "sh", "echo 5 passed", said=("6 passed",)), environment)


def test_reason_is_the_last_thing_said(environment: dict[str, str]) -> None:
    """A log that is cut in its middle still says why."""
    with pytest.raises(AssertionError) as failure:
        must_run(Block("a.md", 7, "sh", "echo why >&2; seq 9999; exit 3"), environment)
    assert str(failure.value).endswith("why")
    assert "a.md:7 ended with 3" in str(failure.value)
