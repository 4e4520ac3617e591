"""docs/status.md says what is so."""

import re

import pytest

from tests.status import (
    BY_HAND,
    NEVER_TOLD,
    PAGE,
    ROOT,
    Item,
    find_evidence,
    find_recorded,
    is_shown,
    list_items,
    make_page,
    read_file,
    read_recorded,
)

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


def test_item_that_nobody_tests_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search can come up empty, and the page says so and counts it."""
    added = [
        Item(section, name, (name,), "")
        for section, name in (
            ("Actions", "NoSuch" + "Action"),
            ("RPC methods", "EXPERIMENTAL_no" + "_such_method"),
            ("RPC errors", "query: NO" + "_SUCH_CAUSE"),
            ("Errors: InvalidTxError", "NoSuch" + "Error"),
        )
    ]
    assert [find_evidence(item) for item in added] == [[]] * 4
    monkeypatch.setattr("tests.status.list_items", lambda: [*ITEMS, *added])
    page = make_page()
    assert "\n4 are missing.\n" in page
    assert all(f"| {item.name} | **missing** |  |" in page.splitlines() for item in added)


SHOWN = {
    "a call": ("Actions", "Stake", "assert run(Stake(1))"),
    "a class that a helper gets": ("Actions", "Stake", "make(kind=Stake)"),
    "a request": ("RPC methods", "get_it_all", 'ask("get_it_all", {})'),
    "an assertion": ("Errors: X", "TooBad", 'assert error == "TooBad"'),
    "what an error has to match": (
        "Errors: X",
        "TooBad",
        'with pytest.raises(ValueError, match="TooBad"):\n        run()',
    ),
    "a table that is gone through": (
        "Errors: X",
        "TooBad",
        'cases = [(1, "TooBad")]\n    for value, name in cases:\n        assert run(value) == name',
    ),
    "a table of the file": ("Errors: X", "TooBad", "assert run(TABLE)"),
    "what a helper that asserts is given": ("Errors: X", "TooBad", 'must_fail("TooBad")'),
    "a row of errors": ("RPC errors", "query: TOO_BAD", "assert run(ROWS)"),
}
NOT_SHOWN = {
    "a class that is only named": ("Actions", "Stake", "kind: Stake = run()"),
    "a sentence": ("RPC methods", "get_it_all", 'assert run(), "get_it_all is fine"'),
    "a docstring": ("Errors: X", "TooBad", '"""TooBad is told."""\n    assert run()'),
    "what is made and not looked at": ("Errors: X", "TooBad", 'error = "TooBad"\n    assert run()'),
    "a helper that asserts nothing": ("Errors: X", "TooBad", 'show("TooBad")'),
    "half a row": ("RPC errors", "query: TOO_BAD", 'assert run("query") == "TOO_BAD"'),
    "a word of every day": ("RPC methods", "block", 'ask("block")'),
}
FILE = """
TABLE = {"TooBad": 1}
ROWS = ["query: TOO_BAD"]

def must_fail(name):
    assert run() == name

def show(name):
    print(name)

@pytest.mark.parametrize("x", [1])
def test_it(x):
    BODY
"""


def is_shown_by(case: tuple[str, str, str], decorator: str = "") -> bool:
    """Whether the one test of a file with this body shows the item."""
    section, name, body = case
    source = FILE.replace("BODY", body).replace("def test_it", f"{decorator}\ndef test_it")
    return any(is_shown(Item(section, name, (name,), ""), test) for test in read_file("f.py", source))


@pytest.mark.parametrize("case", SHOWN)
def test_a_test_shows_what_it_holds_on_to(case: str) -> None:
    assert is_shown_by(SHOWN[case])


@pytest.mark.parametrize("case", NOT_SHOWN)
def test_a_name_in_passing_shows_nothing(case: str) -> None:
    assert not is_shown_by(NOT_SHOWN[case])


@pytest.mark.parametrize("mark", ["long", "skip", "skipif(True)", "xfail"])
def test_a_test_that_is_not_run_shows_nothing(mark: str) -> None:
    assert not is_shown_by(SHOWN["an assertion"], f"@pytest.mark.{mark}")


def test_by_hand_are_only_items_that_are_there() -> None:
    """With tests that are there: `test_row_is_true` looks them up."""
    assert set(BY_HAND) <= {(item.section, item.name) for item in ITEMS}


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
