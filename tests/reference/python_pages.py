"""The pages of Python packages: what they export, with signatures and docstrings, read from the source by griffe.

Reading does not import: signatures stand on the page as they stand in the source.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import griffe

from hither.testing import plugin

PYTHON: Final = Path(__file__).resolve().parents[2] / "python"
LINE_LENGTH_MAX: Final = 100
SHOWN_SPECIAL: Final = frozenset({"__aenter__", "__enter__"})
"""Of the methods with underscores those that a reader calls, by ``with``."""

KINDS_OF_DATA: Final = ("msgspec.Struct", "Enum", "IntEnum", "StrEnum", "NamedTuple")
# Where a parameter's kind begins, for the marks between parameters.
_KEYWORD_ONLY: Final = "keyword-only"
_REST: Final = "variadic positional"
_REST_BY_NAME: Final = "variadic keyword"


def load(package: str) -> griffe.Object:
    """A package with all its modules."""
    loaded = griffe.load(package, search_paths=[PYTHON])
    return resolve(loaded)


def resolve(item: Any) -> griffe.Object:
    """Where a name leads."""
    found = item.final_target if item.is_alias else item
    assert isinstance(found, griffe.Object)
    return found


# Parts of a page


def make_text(item: griffe.Object) -> str:
    """A docstring as Markdown."""
    assert item.docstring is not None, f"{item.path} has no docstring"
    text = item.docstring.value.replace("``", "`")
    # A block after `::` is indented, which is code in Markdown as well.
    text = re.sub(r"::\n\n(?=    )", ":\n\n", text)
    return text.strip()


def make_signature(function: griffe.Function, name: str, *, is_method: bool) -> str:
    """As it stands in the source, without ``self``."""
    parts, has_star = [], False
    for parameter in list(function.parameters)[1 if is_method else 0 :]:
        kind = parameter.kind.value if parameter.kind else ""
        if kind == _REST:
            has_star = True
        elif kind == _KEYWORD_ONLY and not has_star:
            parts.append("*")
            has_star = True
        star = "*" if kind == _REST else "**" if kind == _REST_BY_NAME else ""
        typed = f": {parameter.annotation}" if parameter.annotation is not None else ""
        default = "" if parameter.default is None or star else str(parameter.default)
        spaced = f" = {default}" if typed else f"={default}"
        parts.append(f"{star}{parameter.name}{typed}{spaced if default else ''}")
    result = f" -> {function.returns}" if function.returns is not None else ""
    head = "await " if "async" in function.labels else ""
    line = f"{head}{name}({', '.join(parts)}){result}"
    if len(line) > LINE_LENGTH_MAX:
        line = f"{head}{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"
    return "\n".join(f"    {part}" for part in line.replace('"', "'").splitlines())


def make_function(function: griffe.Function, heading: str, *, is_method: bool = False) -> str:
    """A function with its heading."""
    signature = make_signature(function, function.name, is_method=is_method)
    return f"{heading} {function.name}\n\n{signature}\n\n{make_text(function)}\n"


def make_class(item: griffe.Class, heading: str = "##") -> str:
    """A class: how it is made, what it holds, what it does."""
    bases = [str(base) for base in item.bases if not str(base).startswith("_")]
    shown = [base for base in bases if base not in KINDS_OF_DATA]
    parts = [f"{heading} {item.name}\n", make_text(item) + "\n"]
    if shown:
        parts.insert(1, f"A kind of {', '.join(f'`{base}`' for base in shown)}.\n")
    members = [member for name, member in item.members.items() if not member.is_alias]
    constructor = item.members.get("__init__")
    if isinstance(constructor, griffe.Function) and len(constructor.parameters) > 1:
        signature = make_signature(constructor, item.name, is_method=True)
        parts.append(signature.removesuffix(" -> None") + "\n")
    is_enum = any("Enum" in base for base in bases)
    fields = [member for member in members if isinstance(member, griffe.Attribute) and is_shown(member)]
    rows = [row for field in fields if (row := make_row(item, field, is_enum=is_enum))]
    if rows:
        parts.append("| | | |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    parts += [
        make_function(member, heading + "#", is_method="staticmethod" not in member.labels)
        for member in members
        if isinstance(member, griffe.Function) and is_shown(member)
    ]
    return "\n".join(parts)


def is_shown(member: griffe.Object) -> bool:
    """Whether it is for others, and says what it is."""
    return not member.name.startswith("_") or (member.name in SHOWN_SPECIAL and member.docstring is not None)


def make_row(item: griffe.Class, field: griffe.Attribute, *, is_enum: bool) -> str:
    """A field or a property: name, type or value, what it is. Empty where the constructor has said it all."""
    text = make_text(field).replace("\n", " ").replace("|", "\\|") if field.docstring else ""
    if "dataclass" in item.labels and not text:
        return ""
    if is_enum:
        shown = str(field.value)
    else:
        shown = str(field.annotation or get_parameter_type(item, str(field.value)))
        is_default = "class-attribute" in field.labels and field.value is not None
        shown += f" = {field.value}" if is_default and "dataclass" not in item.labels else ""
    kind = f"`{shown.replace('|', chr(92) + '|')}`" if shown else ""
    return f"| `{field.name}` | {kind} | {text} |"


def get_parameter_type(item: griffe.Class, name: str) -> str:
    """Of what the constructor keeps as it is; empty if it is something else."""
    constructor = item.members.get("__init__")
    if not isinstance(constructor, griffe.Function) or name not in constructor.parameters:
        return ""
    return str(constructor.parameters[name].annotation or "")


def list_exports(package: griffe.Object) -> Iterator[griffe.Object]:
    """What a package offers, in the order of its list."""
    assert isinstance(package, griffe.Module) and package.exports
    for name in package.exports:
        yield resolve(package[str(name)])


def make_members(items: Sequence[griffe.Object]) -> str:
    """Classes, functions and types, one section each."""
    parts = []
    for item in items:
        if isinstance(item, griffe.Class):
            parts.append(make_class(item))
        elif isinstance(item, griffe.Function):
            parts.append(make_function(item, "##"))
        elif isinstance(item, griffe.Attribute):
            parts.append(f"## {item.name}\n\n{make_text(item)}\n")
    return "\n".join(parts)


def make_types(items: Sequence[griffe.Object]) -> str:
    """Names for types."""
    rows = ["## Types\n\n| | | |\n|---|---|---|"]
    for item in items:
        assert isinstance(item, griffe.Attribute)
        shown = str(item.value).replace("|", "\\|")
        rows.append(f"| `{item.name}` | `{shown}` | {make_text(item)} |")
    return "\n".join(rows) + "\n"


# The pages


def make_client() -> str:
    """hither.client."""
    package = load("hither.client")
    items = {item.name: item for item in list_exports(package)}
    blocking, awaiting = items.pop("Client"), items.pop("AsyncClient")
    module = items.pop("actions")
    assert isinstance(blocking, griffe.Class) and isinstance(awaiting, griffe.Class)
    assert isinstance(module, griffe.Module)
    errors = {name: item for name, item in items.items() if is_error(item)}
    rest = [item for name, item in sorted(items.items()) if name not in errors]
    parts = [make_class(blocking), make_twin(awaiting, blocking)]
    parts += [f"## actions\n\n{make_text(module)}\n"]
    parts += [
        make_function(member, "###")
        for member in module.members.values()
        if isinstance(member, griffe.Function) and is_shown(member)
    ]
    names = ", ".join(f"`{name}`" for name in sorted(errors))
    types = [resolve(package[path]) for path in ("actions.Amount", "actions.Args", "operations.At")]
    parts += [
        make_types(types),
        make_members(rest),
        f"## Exceptions\n\n{names}: [Errors](errors.md) says of each what to do.\n",
    ]
    return "\n".join(parts)


def is_error(item: griffe.Object) -> bool:
    """Whether the errors' page has it."""
    return item.module.name == "errors"


def make_twin(awaiting: griffe.Class, blocking: griffe.Class) -> str:
    """A class whose methods are those of another, with ``await``; anything else fails."""
    ours, theirs = (
        {name: member for name, member in one.members.items() if not name.startswith("_")}
        for one in (awaiting, blocking)
    )
    assert ours.keys() == theirs.keys(), "the two clients offer the same"
    for name, member in ours.items():
        other = theirs[name]
        assert isinstance(member, griffe.Function) and isinstance(other, griffe.Function)
        # Where a line was broken says nothing.
        mine, its = (
            re.sub(r"\s|,(?=\s*\))|await ", "", make_signature(one, name, is_method=True))
            for one in (member, other)
        )
        assert mine == its, name
    text = f"The methods of `{blocking.name}`, each with `await`; `async with` closes it.\n"
    return f"## {awaiting.name}\n\n{make_text(awaiting)}\n\n{text}"


def make_sdk() -> str:
    """hither.sdk, and what its calls return."""
    package = load("hither.sdk")
    items = list(list_exports(package))
    more = [resolve(package[path]) for path in ("account.OnChain", "account.DerivedAddress")]
    at = [item.name for item in items].index("Account") + 1
    return make_members([*items[:at], *more, *items[at:]])


def make_plugin() -> str:
    """hither.testing: fixtures, marker, options, and the classes behind the fixtures."""
    package = load("hither.testing")
    module = resolve(package["plugin"])
    parts = ["## Fixtures\n\n| | scope | |\n|---|---|---|"]
    for name, scope, function in list_fixtures(module):
        parts.append(f"| `{name}` | {scope} | {make_text(function).replace(chr(10), ' ')} |")
    recorder = Recorder()
    plugin.pytest_addoption(recorder)  # type: ignore[arg-type]
    parts.append("\n## Marker\n\n| | |\n|---|---|")
    marker, text = plugin.MARKER_LINE.split(": ", 1)
    parts.append(f"| `@pytest.mark.{marker}` | {text} |")
    parts.append("\n## Options\n\n| | default | |\n|---|---|---|")
    parts += recorder.rows
    whole = resolve(package["whole_network.WholeNetwork"])
    return "\n".join(parts) + "\n\n" + make_members([*list_exports(package), whole])


class Recorder:
    """Stands for pytest's parser and remembers what it is told."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def getgroup(self, name: str) -> "Recorder":
        """The group is the whole."""
        del name
        return self

    def addoption(self, name: str, *, help: str, **_: Any) -> None:
        """On the command line."""
        self.rows.append(f"| `pytest {name}` | | {help} |")

    def addini(self, name: str, help: str, *, default: str) -> None:
        """In the settings."""
        self.rows.append(f"| `{name}` in `[tool.pytest.ini_options]` | `{default}` | {help} |")


def list_fixtures(module: griffe.Object) -> Iterator[tuple[str, str, griffe.Object]]:
    """Name, scope, and the function with the docstring, of each that is for others."""
    for member in module.members.values():
        if member.name.startswith("_"):
            continue
        made = str(member.value) if isinstance(member, griffe.Attribute) else ""
        if isinstance(member, griffe.Function):
            made = " ".join(str(decorator.value) for decorator in member.decorators)
        if "pytest.fixture" not in made:
            continue
        scope = re.search(r"scope=['\"](\w+)", made)
        behind = re.search(r"\)\((\w+)\)$", made)
        function = resolve(module[behind[1]]) if behind else member
        yield member.name, scope[1] if scope else "function", function
