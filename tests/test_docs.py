"""The documents are true: links lead somewhere, named tests exist, shell lines and snippets are valid.

A fenced block is checked by its language: `sh`, `python`, `json`, `toml`. The one marker that says "not to
be run" is `output`; how many a page has is counted here, so that none is added by habit.
"""

import ast
import importlib
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import pytest

from hither.cli.main import COMMANDS, group

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("contracts/**/*.md")]
)
LANGUAGES = {"sh", "python", "json", "toml", "output"}
OUTPUT_BLOCKS = {"ARCHITECTURE.md": 1, "README.md": 1}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, the heading above it, and what the page says below it that it prints."""

    page: str
    line: int
    language: str
    text: str
    heading: str = ""
    said: tuple[str, ...] = ()


def read_blocks(page: str) -> list[Block]:
    """All fenced blocks of a page."""
    blocks: list[Block] = []
    opened: tuple[int, str] | None = None
    heading = ""
    lines: list[str] = []
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if opened is None:
                blocks[-1:] = [replace(block, said=find_said(lines)) for block in blocks[-1:]]
                opened, lines = (number, line[3:].strip()), []
            else:
                blocks.append(Block(page, opened[0], opened[1], "\n".join(lines), heading))
                opened, lines = None, []
        else:
            lines.append(line)
            if opened is None and (found := re.match(r"#+ (.+)$", line)):
                heading = found[1]
    assert opened is None, f"{page}: a block is not closed"
    blocks[-1:] = [replace(block, said=find_said(lines)) for block in blocks[-1:]]
    return blocks


def find_said(prose: list[str]) -> tuple[str, ...]:
    """What a page promises with the words: it says `…`."""
    return tuple(re.findall(r"\b[Ii]t\ssays\s`([^`]+)`", "\n".join(prose)))


def read_prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(
        r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


BLOCKS = [block for page in PAGES for block in read_blocks(page)]


def compute_anchors(page: str) -> set[str]:
    """The anchors that a page's headings make."""
    headings = re.findall(r"^#+ +(.+)$", read_prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Files exist, and so do the headings that an anchor names."""
    for target in re.findall(r"\]\(([^)\s]+)\)", read_prose(page)):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in compute_anchors(file.resolve().relative_to(ROOT).as_posix()), f"{page}: {target}"


def find_test(name: str) -> bool:
    """Whether `tests/…/test_x.py::test_y` (or the file alone) exists."""
    path, _, function = name.partition("::")
    file = ROOT / path
    if not file.exists() or not function:
        return file.exists()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("page", PAGES)
def test_named_tests_exist(page: str) -> None:
    """A page that names a test as evidence must not outlive it."""
    for name in re.findall(r"tests/[\w/.\-]+(?:::\w+)?", read_prose(page)):
        assert find_test(name.rstrip(".")), f"{page}: {name}"


def test_missing_test_is_seen() -> None:
    """The check above can fail."""
    assert find_test("tests/test_docs.py::test_missing_test_is_seen")
    assert not find_test("tests/test_docs.py::test_that_nobody_wrote")
    assert not find_test("tests/nowhere.py")


def test_blocks_have_a_known_language() -> None:
    """A block without one would be checked by nobody."""
    assert [f"{block.page}:{block.line}" for block in BLOCKS if block.language not in LANGUAGES] == []


def test_output_blocks_are_counted() -> None:
    """`output` skips a block, so each one is a decision."""
    counts: dict[str, int] = {}
    for block in BLOCKS:
        if block.language == "output":
            counts[block.page] = counts.get(block.page, 0) + 1
    assert counts == OUTPUT_BLOCKS


def iterate_shell_lines(block: Block) -> Iterator[list[str]]:
    """The commands of a shell block, each as words; continued lines joined, comments and here-documents left out."""
    text = re.sub(r"(<<'?END'?.*$)(?s:.*?)^END$", r"\1", block.text, flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def get_make_targets() -> set[str]:
    """Targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def must_parse_command(words: list[str]) -> None:
    """Resolve a `hither …` line to its command and parse its options, without running it."""
    command: click.Command = group
    context = click.Context(group, info_name="hither")
    arguments = words[1:]
    while isinstance(command, click.Group):
        name = next((word for word in arguments if not word.startswith("-")), None)
        if name is None:
            return
        arguments = arguments[arguments.index(name) + 1 :]
        found = command.get_command(context, name)
        assert found is not None, f"no command {name!r} in {' '.join(words)}"
        command = found
    command.make_parser(click.Context(command, **command.context_settings)).parse_args(list(arguments))


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "sh"], ids=lambda b: f"{b.page}:{b.line}"
)
def test_shell_lines_are_valid(block: Block) -> None:
    """The shell can read them, targets of make exist, and so do our commands and their options."""
    result = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    for words in iterate_shell_lines(block):
        program = Path(words[0]).name
        if program == "make":
            assert {word for word in words[1:] if "=" not in word} <= get_make_targets()
        elif program == "hither":
            must_parse_command([word for word in words if word != "&"])
        elif words[0].startswith(("scripts/", "contracts/")):
            assert (ROOT / words[0]).exists()


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "python"], ids=lambda b: f"{b.page}:{b.line}"
)
def test_python_snippets_parse_and_import(block: Block) -> None:
    """What a snippet imports from hither is there."""
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hither":
            module = importlib.import_module(node.module)
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_data_snippets_parse() -> None:
    """JSON and TOML."""
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_reference(name: str) -> None:
    """A command that nobody describes does not exist for a reader."""
    text = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    assert re.search(rf"^## hither {name}$", text, re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/decisions/")])
def test_decision_says_what_it_costs(page: str) -> None:
    """A decision without a price was not one."""
    assert "**Negative:**" in read_prose(page)
