"""The generated pages of docs/reference say what the code says."""

import pytest

from tests.reference import FOLDER, HEADS, PAGES, make_page
from tests.reference.rpc_page import EXAMPLES, QUERIES, make_methods


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_the_code_says(name: str) -> None:
    """``make status`` writes it anew."""
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    made = make_page(name)
    assert page == made, f"docs/reference/{name}.md is stale: python -m tests.reference --write {name}"


def test_every_page_has_its_head() -> None:
    """And no head is left without a page."""
    assert sorted(path.stem for path in HEADS.glob("*.md")) == sorted(PAGES)


def test_every_method_is_asked() -> None:
    """By one of its names; a new method fails here until it has an example."""
    methods = make_methods(88, is_development=True)
    asked = {methods[name].answer for name in EXAMPLES}
    asked |= {methods[name].answer for kind in QUERIES if (name := f"EXPERIMENTAL_{kind}") in methods}
    assert {name for name, method in methods.items() if method.answer not in asked} == set()
