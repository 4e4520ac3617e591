"""The page of contracts: what each offers, from its source, held against what its wasm exports.

The sources are what near-sdk makes the contracts from: functions of the blocks that it exports, and the types that
cross a call as JSON. The signer contract has a page of its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.signer_interface import GENERATED_BY_SDK, read_exports

FOLDER: Final = Path(__file__).resolve().parents[2] / "contracts"
CONTRACTS: Final = ("treasury", "deposits", "fungible_token", "nft", "ping_pong")
KINDS: Final = ("init", "payable", "private")
# Standards whose functions need no description here.
STANDARD: Final = {"fungible_token": "NEP-141, 145 and 148", "nft": "NEP-171, 177, 178 and 181"}


@dataclass(frozen=True)
class Method:
    """A function that the contract offers."""

    name: str
    arguments: tuple[str, ...]
    result: str
    kinds: tuple[str, ...]
    text: str


def read_sources(contract: str) -> str:
    """All of them, the entry first."""
    folder = FOLDER / contract / "src"
    files = [folder / "lib.rs", *sorted(path for path in folder.rglob("*.rs") if path.name != "lib.rs")]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def read_methods(contract: str) -> list[Method]:
    """In the order of the source."""
    blocks = re.findall(
        r"^#\[near\]\nimpl [^{]*\{\n(.*?)^\}$", read_sources(contract), re.MULTILINE | re.DOTALL
    )
    return [method for block in blocks for method in read_block(block)]


def read_block(block: str) -> Iterator[Method]:
    """The functions that a block exports: those of a trait, and the public ones of the contract itself."""
    pattern = r"((?:^    (?:///[^\n]*|#\[[^\n]*\])\n)*)^    (?:pub )?fn (\w+)\((.*?)\)(?: -> ([^{]*?))? \{$"
    is_trait = "    pub fn" not in block
    for found in re.finditer(pattern, block, re.MULTILINE | re.DOTALL):
        head, name, parameters, result = found.groups()
        if not is_trait and "    pub fn" not in found[0]:
            continue
        attributes = re.findall(r"#\[(\w+)", head)
        kinds = [kind for kind in KINDS if kind in attributes]
        is_view = "&self" in parameters and not kinds
        text = " ".join(re.findall(r"^    /// ?(.*)$", head, re.MULTILINE))
        yield Method(
            name,
            tuple(split_arguments(parameters)),
            result or "",
            tuple(kinds or (["view"] if is_view else ["call"])),
            text,
        )


def split_arguments(parameters: str) -> Iterator[str]:
    """``name: type`` of each, without ``self`` and what a callback is given by the chain."""
    flat = re.sub(r"\s+", " ", parameters).strip().rstrip(",")
    for part in re.split(r", (?=(?:#\[\w+\] )?\w+: )", flat):
        if ": " in part and "callback" not in part:
            yield part


def read_types(contract: str) -> list[str]:
    """The source of each type that crosses a call as JSON, without its attributes."""
    found = re.findall(
        r"((?:^///[^\n]*\n)*)^#\[near\(serializers = \[[^\]]*json[^\]]*\]\)\]\n"
        r"(?:^#\[[^\n]*\n)*(^pub (?:struct|enum) .*?^\})",
        read_sources(contract),
        re.MULTILINE | re.DOTALL,
    )
    return [re.sub(r"^ *#\[[^\n]*\n", "", f"{text}{body}", flags=re.MULTILINE) for text, body in found]


def make_contracts() -> str:
    """All of them."""
    return "\n".join(make_contract(name) for name in CONTRACTS)


def make_contract(name: str) -> str:
    """One contract: what it is for, what it offers, what its arguments are made of."""
    methods = read_methods(name)
    exported = read_exports(FOLDER / name / f"{name}.wasm") - GENERATED_BY_SDK
    assert {method.name for method in methods} == exported, f"{name}: the wasm and the source differ"
    source = (FOLDER / name / "src/lib.rs").read_text(encoding="utf-8")
    text = "\n".join(re.findall(r"^//! ?(.*)$", source, re.MULTILINE))
    parts = [f"## {name}\n", text + "\n", "| method | | arguments | result | |", "|---|---|---|---|---|"]
    for method in methods:
        arguments = "<br>".join(f"`{argument}`" for argument in method.arguments)
        result = f"`{method.result}`" if method.result else ""
        told = method.text or (f"as {STANDARD[name]} say" if name in STANDARD else "")
        parts.append(f"| `{method.name}` | {', '.join(method.kinds)} | {arguments} | {result} | {told} |")
    if types := read_types(name):
        parts.append(
            "\nTypes, as JSON by near-sdk's rules (`U64`, `U128`: decimal digits in a text; `Base64VecU8`: base64):\n"
        )
        parts += ["\n".join(f"    {line}".rstrip() for line in one.splitlines()) + "\n" for one in types]
    return "\n".join(parts) + "\n"
