"""docs/reference/errors.md, made from the code: every error a developer can meet, and the next step.

python -m tests.errors_page --write
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

from hither.client.advice import ADVICE, CAUSE_ADVICE
from hither.client.errors import ClientError, RpcError
from hither.foreign.errors import ForeignError

PAGE = Path(__file__).parents[1] / "docs/reference/errors.md"
# Packages that add classes to the two trees.
PACKAGES = ("hither.client", "hither.foreign", "hither.sdk")
TREES: dict[str, type[ClientError] | type[ForeignError]] = {
    "Our chain, by hither.client": ClientError,
    "Other chains and transfers, by hither.foreign and hither.sdk": ForeignError,
}
HEAD = """# Errors

Each error that a program can meet has a stable `code`, says in `retryable` whether the same request may succeed
later, and has a `hint`: what to do next. The hint of a node's refusal follows from its cause, that of an error that
NEAR tells of a transaction from the innermost variant. `make status` writes this page.
"""


def walk(root: type[ClientError] | type[ForeignError]) -> Iterator[type]:
    """A class and all below it, in the order of their names within a level."""
    yield root
    for child in sorted(root.__subclasses__(), key=lambda one: one.__name__):
        yield from walk(child)


def make_page() -> str:
    """The whole page."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    lines = [HEAD]
    for title, root in TREES.items():
        lines += [f"## {title}\n", "| code | class | what | next step |", "|---|---|---|---|"]
        for one in walk(root):
            if one is root or not one.__module__.startswith(PACKAGES):
                continue
            what = (inspect.getdoc(one) or "").splitlines()[0].replace("``", "`")
            hint = one.hint or ("by its cause, below" if issubclass(one, RpcError) else "by its kind, below")
            code = "the cause's name" if issubclass(one, RpcError) else f"`{one.code}`"
            lines.append(f"| {code} | `{one.__name__}` | {what} | {hint} |")
        lines.append("")
    lines += ["## What a node refuses, by its cause\n", "| code | next step |", "|---|---|"]
    lines += [f"| `{cause}` | {step} |" for cause, step in CAUSE_ADVICE.items()]
    lines.append("")
    lines.append("## What NEAR tells\n")
    for enum, steps in ADVICE.items():
        lines += [f"### {enum}\n", "| variant | next step |", "|---|---|"]
        lines += [f"| `{variant}` | {step} |" for variant, step in steps.items()]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(make_page())
    else:
        print(make_page())
