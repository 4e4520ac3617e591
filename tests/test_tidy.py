"""The habits of STYLE.md that a program can check. Each rule is a pure function from a file to complaints.

A rule that is wrong for one file gets a row in that rule's table, with the reason; it is not switched off.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The formatters break code at 110; prose in comments and strings has a little more room.
LINE_LENGTH_MAX = 120
FILE_LINES_MAX = 640
BODY_LINES_MAX = 70

# Path -> why it may be longer. Tables and recorded data may; logic may not.
LONG_FILES: dict[str, str] = {}
# Path:function -> why its body may be longer.
LONG_FUNCTIONS = {
    "tests/e2e/clients/py_near_python.py:run_scenario": "a list of steps, the same in every library"
}
# Path:function -> the top loop it is: what must go on when anything below it fails.
CATCH_ALL: dict[str, str] = {}

DOORS = ("crypto", "params", "state", "vm")
DOOR_EXCEPTIONS = {"python/hither/mpc/protocols.py": "the door to the threshold protocols"}
CONSENSUS = ("codec", "crypto", "primitives", "params", "state", "vm", "runtime", "chain")
AMBIENT_MODULES = ("time", "datetime", "random", "secrets", "uuid", "locale")
# Path:module -> why consensus code may import it.
AMBIENT_EXCEPTIONS = {"python/hither/chain/genesis.py:datetime": "reads and writes the genesis time"}

# Written in halves, so that this file passes its own rules.
UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X(?!X)", "HA" + "CK:")))
PRIVATE_PATHS = re.compile(
    "|".join((r"(?<![\w.])/wo" + r"rk/", r"(?<![\w.])/ro" + r"ot/", r"/home/[a-z]+/\."))
)
_HOSTS = [r"py" + r"pi\.org", r"python" + r"hosted", r"npm" + r"js\.(org|com)", r"crates" + r"\.io/"]
_HOSTS += [r"deb" + r"ian\.org", r"proxy\." + r"golang", r"maven\." + r"org"]
REGISTRY_HOSTS = re.compile("|".join(_HOSTS))
TEXT_SUFFIXES = {
    ".py",
    ".pyi",
    ".rs",
    ".toml",
    ".md",
    ".sh",
    ".js",
    ".mjs",
    ".ts",
    ".yml",
    ".yaml",
    ".txt",
    "",
}


@dataclass(frozen=True)
class Source:
    """One file of the repository."""

    path: str
    text: str

    @property
    def is_python(self) -> bool:
        """Whether Python's parser reads it."""
        return self.path.endswith(".py")

    @property
    def package(self) -> str:
        """`chain` for python/hither/chain/block.py; empty elsewhere."""
        parts = self.path.split("/")
        return parts[2] if parts[:2] == ["python", "hither"] and len(parts) > 3 else ""

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)


@lru_cache
def read_sources() -> tuple[Source, ...]:
    """Every text file that is committed or about to be; generated and recorded files aside."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    sources = []
    for path in sorted(listed.stdout.split("\n")):
        file = ROOT / path
        if not path or Path(path).suffix not in TEXT_SUFFIXES or not file.is_file():
            continue
        if path.startswith("tests/vectors/") and not path.endswith(".py"):
            continue
        sources.append(Source(path, file.read_text(encoding="utf-8")))
    return tuple(sources)


def iterate_functions(
    tree: ast.AST, prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function with its dotted name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from iterate_functions(node, f"{prefix}{node.name}.")
        else:
            yield from iterate_functions(node, prefix)


def find_long_lines(source: Source) -> Iterator[str]:
    """Lines over the limit in code. Prose wraps by itself; a long address cannot be broken."""
    if not source.path.endswith((".py", ".pyi", ".rs")):
        return
    for number, line in enumerate(source.text.split("\n"), 1):
        if len(line) > LINE_LENGTH_MAX and "https://" not in line:
            yield f"{source.path}:{number}: {len(line)} characters"


def find_long_files(source: Source) -> Iterator[str]:
    """Code files that hold more than one reader holds at once."""
    count = source.text.count("\n")
    is_code = source.path.endswith((".py", ".rs", ".js", ".mjs", ".ts"))
    if is_code and count > FILE_LINES_MAX and source.path not in LONG_FILES:
        yield f"{source.path}: {count} lines"


def find_long_functions(source: Source) -> Iterator[str]:
    """Function bodies over the limit, docstring not counted."""
    if not source.is_python:
        return
    for name, function in iterate_functions(source.tree):
        body = function.body[1:] if ast.get_docstring(function) is not None else function.body
        if not body or f"{source.path}:{name}" in LONG_FUNCTIONS:
            continue
        length = (body[-1].end_lineno or 0) - body[0].lineno + 1
        if length > BODY_LINES_MAX:
            yield f"{source.path}:{function.lineno}: {name} has a body of {length} lines"


def find_missing_docstrings(source: Source) -> Iterator[str]:
    """Modules, and public classes and functions at their top level, that do not say what they are."""
    if not source.is_python or not source.path.startswith("python/") or "/templates/" in source.path:
        return  # Templates are their users' own, who write as they like.
    if source.text and ast.get_docstring(source.tree) is None:
        yield f"{source.path}: the module has no docstring"
    for node in source.tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if not node.name.startswith("_") and ast.get_docstring(node) is None:
            yield f"{source.path}:{node.lineno}: {node.name} has no docstring"


def find_unfinished(source: Source) -> Iterator[str]:
    """Promises in comments. What is missing belongs in docs/status.md."""
    for number, line in enumerate(source.text.split("\n"), 1):
        if UNFINISHED.search(line):
            yield f"{source.path}:{number}: {line.strip()[:80]}"


def find_private_places(source: Source) -> Iterator[str]:
    """Folders of one machine, and hosts of package registries: neither belongs in a public repository."""
    for number, line in enumerate(source.text.split("\n"), 1):
        if PRIVATE_PATHS.search(line) or REGISTRY_HOSTS.search(line):
            yield f"{source.path}:{number}: {line.strip()[:80]}"


def find_catch_alls(source: Source) -> Iterator[str]:
    """Handlers that swallow what nobody foresaw."""
    if not source.is_python or not source.path.startswith("python/"):
        return
    for name, function in iterate_functions(source.tree):
        for node in ast.walk(function):
            if not isinstance(node, ast.ExceptHandler) or f"{source.path}:{name}" in CATCH_ALL:
                continue
            names = (
                {item.id for item in ast.walk(node.type) if isinstance(item, ast.Name)} if node.type else {""}
            )
            is_reraised = isinstance(node.body[-1], ast.Raise)
            if names & {"", "Exception", "BaseException"} and not is_reraised:
                yield f"{source.path}:{node.lineno}: {name} catches everything"


def iterate_imports(source: Source) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, item.name) for item in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module or ""


def find_native_imports(source: Source) -> Iterator[str]:
    """Uses of the native module outside its doors."""
    if not source.is_python or not source.path.startswith("python/"):
        return
    if source.package in DOORS or source.path in DOOR_EXCEPTIONS:
        return
    for line, name in iterate_imports(source):
        if name.split(".")[0] == "hither_native":
            yield f"{source.path}:{line}: only {', '.join(DOORS)} import the native module"


def find_nondeterminism(source: Source) -> Iterator[str]:
    """Clocks, randomness and iteration over sets, where every node must compute the same."""
    if not source.is_python or source.package not in CONSENSUS:
        return
    for line, name in iterate_imports(source):
        top = name.split(".")[0]
        if top in AMBIENT_MODULES and f"{source.path}:{top}" not in AMBIENT_EXCEPTIONS:
            yield f"{source.path}:{line}: imports {top}"
    for node in ast.walk(source.tree):
        iterated = node.iter if isinstance(node, ast.For | ast.comprehension) else None
        if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Name):
            is_set = iterated.func.id in ("set", "frozenset")
        else:
            is_set = isinstance(iterated, ast.Set | ast.SetComp)
        if is_set and iterated is not None:
            yield f"{source.path}:{iterated.lineno}: iterates over a set; sort it"


Rule = Callable[[Source], Iterator[str]]
RULES: tuple[Rule, ...] = (
    find_long_lines,
    find_long_files,
    find_long_functions,
    find_missing_docstrings,
    find_unfinished,
    find_private_places,
    find_catch_alls,
    find_native_imports,
    find_nondeterminism,
)

# For each rule a file that breaks it, so that a rule which has stopped working is seen.
PLANTED: tuple[tuple[Rule, str, str], ...] = (
    (find_long_lines, "python/hither/a.py", "x = 1" + " " * 120),
    (find_long_files, "rust/native/src/a.rs", "\n" * 700),
    (find_long_functions, "tests/a.py", "def f():\n" + "    a = 1\n" * 71),
    (find_missing_docstrings, "python/hither/a.py", '"""Doc."""\ndef f(): ...'),
    (find_missing_docstrings, "python/hither/a.py", "x = 1"),
    (find_unfinished, "docs/a.md", "TO" + "DO: later"),
    (find_private_places, "scripts/a", "cat /ro" + "ot/key"),
    (find_private_places, "requirements/a.txt", "-i https://py" + "pi.org/simple"),
    (find_catch_alls, "python/hither/a.py", "def f():\n  try: g()\n  except Exception: pass"),
    (find_catch_alls, "python/hither/a.py", "def f():\n  try: g()\n  except: pass"),
    (find_native_imports, "python/hither/chain/a.py", "import hither_native"),
    (find_native_imports, "python/hither/rpc/a.py", "def f():\n  from hither_native import Trie"),
    (find_nondeterminism, "python/hither/chain/a.py", "import time"),
    (find_nondeterminism, "python/hither/vm/a.py", "for x in {1, 2}: pass"),
    (find_nondeterminism, "python/hither/vm/a.py", "y = [x for x in set(z)]"),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_repository_keeps_the_rule(rule: Rule) -> None:
    """No file breaks it."""
    complaints = [complaint for source in read_sources() for complaint in rule(source)]
    assert not complaints, "\n".join(["", *complaints])


@pytest.mark.parametrize(
    ("rule", "path", "text"), PLANTED, ids=lambda value: getattr(value, "__name__", None)
)
def test_the_rule_sees_a_planted_breach(rule: Rule, path: str, text: str) -> None:
    """A rule that finds nothing anywhere would pass for ever."""
    assert list(rule(Source(path, text)))


def test_every_exception_is_needed() -> None:
    """A row whose reason has gone would hide the next breach."""
    paths = {source.path for source in read_sources()}
    tables = (LONG_FILES, LONG_FUNCTIONS, CATCH_ALL, DOOR_EXCEPTIONS, AMBIENT_EXCEPTIONS)
    missing = [row for table in tables for row in table if row.split(":")[0] not in paths]
    assert not missing


def test_requirements_hold_no_addresses() -> None:
    """A lock names versions and hashes; where they come from is the reader's own setting."""
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        for line in path.read_text().splitlines():
            assert "://" not in line, f"{path.name}: {line}"
            assert re.match(r"[a-z0-9-]+==|    --hash=sha256:[0-9a-f]{64}", line), f"{path.name}: {line}"
