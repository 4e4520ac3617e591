"""docs/status.md says what is so."""

import re

import pytest

from tests.status import NEVER_TOLD, PAGE, ROOT, Item, find_evidence, find_recorded, list_items, read_recorded

ROW = re.compile(r"\| (.+?) \| (tested|never told|\*\*missing\*\*) \| (.*) \|")


def read_page() -> dict[tuple[str, str], tuple[bool, list[str]]]:
    """Section and item -> whether it is told to be tested, and by which tests."""
    rows, section = {}, ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif found := ROW.fullmatch(line):
            rows[section, found[1]] = (found[2] == "tested", re.findall(r"`([^`]+)`", found[3]))
    return rows


PAGE_ROWS = read_page()
ITEMS = list_items()


def test_page_lists_every_item_once() -> None:
    """What the code has and nothing else; `make status` writes the page anew."""
    assert list(PAGE_ROWS) == [(item.section, item.name) for item in ITEMS]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.section}-{item.name}")
def test_row_is_true(item: Item) -> None:
    """Tested only with tests that exist and name the item. A row that says too little is corrected by `make status`."""
    is_tested, named = PAGE_ROWS[item.section, item.name]
    evidence = find_evidence(item)
    assert bool(evidence) or not is_tested
    assert set(named) <= set(evidence)
    assert bool(named) == is_tested
    for test in evidence:
        file, _, function = test.partition("::")
        assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8")


def test_item_that_nobody_tests_has_no_evidence() -> None:
    """The search can come up empty."""
    words = ("NoSuch" + "Error",)
    assert find_evidence(Item("Errors: InvalidTxError", words[0], words, "")) == []


def test_what_is_never_told_is_not_told() -> None:
    """A reason belongs to an item, and no test sees that item after all."""
    by_name = {(item.section, item.name): item for item in ITEMS}
    for section, reasons in NEVER_TOLD.items():
        for name in reasons:
            assert find_evidence(by_name[section, name]) == [], f"{name} is told"


@pytest.mark.slow
def test_recorded_names_are_in_the_recordings() -> None:
    """The list beside the recordings is what they hold."""
    assert find_recorded() == read_recorded()
