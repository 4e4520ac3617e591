"""Pages of docs/reference that are made from the code, each by one function of ``PAGES``.

    python -m tests.reference --write [NAME...]      write them (`make status`)

``tests/test_reference.py`` fails when one is not what the code says. What a person has to know before reading a page
stands in ``tests/reference/heads``, with snippets that the tests of documents run; all below it is generated.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.reference import commands_page, contracts_page, python_pages, rpc_page

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "docs/reference"
HEADS: Final = Path(__file__).parent / "heads"

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "client": python_pages.make_client,
    "sdk": python_pages.make_sdk,
    "plugin": python_pages.make_plugin,
    "contracts": contracts_page.make_contracts,
    "options": commands_page.make_commands,
    "rpc": rpc_page.make_rpc,
}


def make_page(name: str) -> str:
    """The whole page: what is written by hand, then what the code says."""
    head = (HEADS / f"{name}.md").read_text(encoding="utf-8")
    return f"{head.rstrip()}\n\n{PAGES[name]().rstrip()}\n"
