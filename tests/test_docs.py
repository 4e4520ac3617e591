"""The documents are true: links lead somewhere, named tests exist, shell lines and snippets are valid.

A fenced block is checked by its language: `sh`, `python`, `js`, `json`, `toml`. Programs and shell lines are run by
tests/e2e/docs; what is not run, what a program prints among it (`output`), is named below with the test that holds it.
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
from hither.mpc.config import read_config
from hither.sdk.network import read_chosen_endpoints

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "contracts/**/*.md", "packages/*/*.md", "tests/vectors/*.md")
    for path in ROOT.glob(pattern)
)
RUN = {"sh", "python", "js"}
LANGUAGES = RUN | {"json", "toml", "output"}
# Blocks of a language that are not typed, and the test that holds them to the truth. A new one needs its row.
HELD_BY = {
    ("ARCHITECTURE.md", "output"): "tests/test_docs.py::test_layers_are_those_that_are_checked",
    ("README.md", "output"): "tests/e2e/docs/test_readme.py::test_what_it_shows_is_what_is_printed",
    # `make setup` and `make check`: set-up in a clone; `make test`, which runs both, cannot run within itself.
    (
        "CONTRIBUTING.md",
        "sh",
    ): "tests/e2e/test_fresh_machine.py::test_clone_with_an_empty_cache_shows_every_chain",
    # Each takes a minute; what they call is a test of its own.
    ("tests/vectors/README.md", "sh"): "tests/vectors/test_replay.py",
    (
        "docs/guides/run_a_signing_node.md",
        "toml",
    ): "tests/test_docs.py::test_settings_are_read_by_their_readers",
    # A vote of four operators, with their keys left out.
    ("docs/guides/run_a_signing_node.md", "json"): "tests/e2e/mpc/test_resharing.py",
    ("docs/guides/send_everywhere.md", "toml"): "tests/test_docs.py::test_settings_are_read_by_their_readers",
    ("docs/reference/rpc.md", "json"): "tests/test_reference.py::test_page_is_what_the_code_says",
    ("docs/reference/signer_contract.md", "json"): "tests/e2e/contracts/test_signer_requests.py",
    # In projects of their own, under both runners.
    (
        "packages/hither/README.md",
        "sh",
    ): "tests/e2e/kit/test_typescript.py::test_package_is_used_from_a_checkout_as_it_is",
    ("packages/hither/README.md", "js"): "tests/e2e/kit/test_typescript.py::test_what_the_readme_shows_runs",
}


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


def test_what_is_not_run_is_held_by_a_test() -> None:
    """Every block is run by tests/e2e/docs, or another test that exists is named for it above."""
    run = set(list_pages_to_run())
    left_out = {
        (block.page, block.language) for block in BLOCKS if block.page not in run or block.language not in RUN
    }
    assert left_out == HELD_BY.keys()
    assert [test for test in HELD_BY.values() if not find_test(test)] == []


def list_pages_to_run() -> list[str]:
    """Pages whose shell lines and programs tests/e2e/docs runs, in their order."""
    held = {page for page, language in HELD_BY if language in RUN}
    return [
        page for page in PAGES if page not in held and any(one.language in RUN for one in read_blocks(page))
    ]


def test_layers_are_those_that_are_checked() -> None:
    """The picture in ARCHITECTURE names what import-linter knows, in its order."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "layers")
    checked = [name.strip("() ") for layer in layers for name in layer.split("|")]
    (picture,) = [block for block in BLOCKS if block.page == "ARCHITECTURE.md"]
    drawn = [name for line in picture.text.splitlines() for name in line.split("   ")[0].split()]
    packages = {path.name for path in (ROOT / "python/hither").iterdir() if (path / "__init__.py").exists()}
    assert set(drawn) == packages & set(checked) == packages
    position = {name: at for at, layer in enumerate(layers) for name in re.findall(r"\w+", layer)}
    assert [position[name] for name in drawn] == sorted(position[name] for name in drawn)


def test_the_map_names_every_folder() -> None:
    """ARCHITECTURE says what is where, of each folder that has files of ours."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    places = {tuple(path.split("/")[:2]) for path in listed.splitlines() if path.count("/") > 1}
    folders = {first for first, _ in places if not first.startswith(".")}
    parts = {part for first, part in places if first in ("contracts", "rust", "packages", "docs")}
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    missing = [name for name in folders | parts - {"stylesheets"} if not re.search(rf"\b{name}\b", text)]
    assert missing == []


def test_every_target_of_make_is_described() -> None:
    """Where contributors look."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8") + (ROOT / "README.md").read_text(
        encoding="utf-8"
    )
    assert [name for name in get_make_targets() - {"help"} if f"make {name}" not in text] == []


def test_settings_are_read_by_their_readers(tmp_path: Path) -> None:
    """The files that two guides show are files of ours: every key of them is known."""
    settings = {block.page: block.text for block in BLOCKS if block.language == "toml"}
    (tmp_path / "config.toml").write_text(settings.pop("docs/guides/run_a_signing_node.md"), encoding="utf-8")
    assert read_config(tmp_path / "config.toml").config.account_id == "node.test.near"
    (tmp_path / "chains.toml").write_text(settings.pop("docs/guides/send_everywhere.md"), encoding="utf-8")
    assert [str(endpoint.chain) for endpoint in read_chosen_endpoints(tmp_path)] == ["eip155:8453"]
    assert settings == {}


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_commands_in_prose_are_valid(page: str) -> None:
    """`hither …` within a sentence names a command and options that there are."""
    for line in re.findall(r"`(hither [^`]+)`", read_prose(page)):
        must_parse_command(shlex.split(line))


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
