"""The order of the site's pages: tabs as below, in each the pages named first, then all others of its folder by name.

A hook of mkdocs (``mkdocs.yml``), so that a new page is in the site without being listed anywhere.
"""

from pathlib import Path
from typing import Any

TABS: dict[str, tuple[str, ...]] = {
    "tutorials": (
        "index.md",
        "first_contract.md",
        "first_signature_abroad.md",
        "contract_that_owns_bitcoin.md",
        "testing_across_shards.md",
        "gasless_onboarding.md",
    ),
    "guides": ("send_everywhere.md", "foreign_facts.md", "write_a_contract.md", "test_contracts.md"),
    "recipes": (),
    "concepts": (
        "accounts_and_keys.md",
        "shards_and_receipts.md",
        "finality.md",
        "fees.md",
        "chain_signatures.md",
    ),
    "reference": ("commands.md", "options.md", "client.md", "sdk.md", "plugin.md", "rpc.md", "errors.md"),
    "decisions": (),
}
START = ("index.md", "guides/first_steps.md", "status.md")
"""The first tab; what is named here stands in no other."""


def on_config(config: Any) -> Any:
    """Give mkdocs its navigation."""
    config["nav"] = make_navigation(Path(config["docs_dir"]))
    return config


def make_navigation(docs: Path) -> list[dict[str, list[str]]]:
    """Every page once. A page outside of the tabs' folders is left out, and mkdocs then says so."""
    tabs = [{"Start": list(START)}]
    for folder, first in TABS.items():
        pages = sorted(path.name for path in (docs / folder).glob("*.md"))
        pages.sort(key=lambda name: first.index(name) if name in first else len(first))
        tabs.append(
            {folder.capitalize(): [f"{folder}/{name}" for name in pages if f"{folder}/{name}" not in START]}
        )
    return tabs
