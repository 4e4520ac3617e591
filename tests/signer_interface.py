"""The signer contract's interface: read from its source and its wasm, held against NEAR's, written as a page.

    python tests/signer_interface.py --write      write the tables of docs/reference/signer_contract.md

`contracts/signer/interface.json` has what NEAR's contract offers: the 80 functions that `v1.signer` runs (releases
3.14.0 and 3.14.1, whose wasm carries its own description) and the 81 of the code of August 2026, with what the
deployed ones have otherwise than that code, and where ours deviates and why.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "contracts/signer/src"
WASM: Final = ROOT / "contracts/signer/signer.wasm"
DATA: Final = ROOT / "contracts/signer/interface.json"
PAGE: Final = ROOT / "docs/reference/signer_contract.md"
BEGIN: Final = "<!-- written by tests/signer_interface.py: {} -->"
END: Final = "<!-- end -->"

GENERATED_BY_SDK: Final = {"contract_source_metadata"}
"""near-sdk makes it of the build's own description (NEP-330)."""

GATES: Final = (
    ("get_attested", "attested node"),
    ("get_responder", "attested node"),
    ("get_ballot", "participant"),
    ("get_voter", "participant"),
)

OTHER_GATES: Final = {
    "vote_new_parameters": "proposed participant",
    "register_backup_service": "participant, present or proposed",
    "register_foreign_chains_config": "node, present or proposed",
    "start_node_migration": "participant",
    "update_participant_url": "participant",
    "conclude_node_migration": "participant, by the new key",
    "remove_non_participant_update_votes": "participant",
    "register_foreign_chain_config": "participant",
}


@dataclass(frozen=True)
class Function:
    """What a caller must know of a method."""

    name: str
    kind: str
    modifiers: tuple[str, ...]
    arguments: tuple[str, ...]
    encoding: str | None
    is_result_borsh: bool
    gate: str = ""

    @property
    def interface(self) -> tuple[object, ...]:
        """All but who may call it."""
        return (self.name, self.kind, self.modifiers, self.arguments, self.encoding, self.is_result_borsh)


def read_data() -> dict[str, Any]:
    """The table of NEAR's contract and of our deviations."""
    data: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return data


def read_theirs(entry: dict[str, Any]) -> Function:
    """A row of the table."""
    return Function(
        entry["name"],
        entry["kind"],
        tuple(entry["modifiers"]),
        tuple(entry["arguments"]),
        entry["encoding"],
        entry["result"] == "borsh",
    )


def read_ours() -> dict[str, Function]:
    """The methods in the source: public functions of the blocks that near-sdk exports."""
    found = {}
    for file in sorted(SOURCE.glob("**/*.rs")):
        for block in re.findall(
            r"^#\[near\]\nimpl SignerContract \{\n(.*?)^\}$",
            file.read_text(encoding="utf-8"),
            re.MULTILINE | re.DOTALL,
        ):
            for method in re.split(r"\n\n(?=    (?:///|#\[|pub fn))", block):
                function = parse_method(method)
                found[function.name] = function
    for name in GENERATED_BY_SDK:
        found[name] = Function(name, "view", (), (), None, False, "anyone")
    return found


def parse_method(text: str) -> Function:
    """One method with its attributes."""
    head = re.search(r"pub fn (\w+)\((.*?)\)(?: -> .*?)? \{\n(.*)", text, re.DOTALL)
    assert head is not None, text
    name, parameters, body = head.groups()
    attributes = text[: head.start()]
    names = [
        argument
        for attribute, argument in re.findall(
            r"(#\[callback_result\]\s*)?\b(\w+): ", strip_serializers(parameters)
        )
        if not attribute
    ]
    modifiers = tuple(
        word for word in ("init", "payable", "private") if re.search(rf"#\[{word}\b", attributes)
    )
    is_call = "&mut self" in parameters or "init" in modifiers
    encoding = None if not names else "borsh" if "serializer(borsh)" in parameters else "json"
    gate = next((who for call, who in GATES if f"{call}()" in body), OTHER_GATES.get(name, "anyone"))
    if "private" in modifiers:
        gate = "the contract"
    return Function(
        name,
        "call" if is_call else "view",
        modifiers,
        tuple(names),
        encoding,
        "result_serializer(borsh)" in attributes,
        gate,
    )


def strip_serializers(parameters: str) -> str:
    """Parameters without the words that say how they are encoded."""
    return re.sub(r"#\[serializer\(borsh\)\]", "", parameters)


def read_exports(file: Path = WASM) -> set[str]:
    """The functions that a committed wasm exports."""
    wasm = file.read_bytes()
    at, exports = 8, set()
    while at < len(wasm):
        section, (size, start) = wasm[at], read_number(wasm, at + 1)
        at = start + size
        if section != 7:
            continue
        count, start = read_number(wasm, start)
        for _ in range(count):
            length, start = read_number(wasm, start)
            name, kind = wasm[start : start + length].decode(), wasm[start + length]
            _, start = read_number(wasm, start + length + 1)
            if kind == 0:
                exports.add(name)
    return exports


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """A LEB128 number and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def read_refusals() -> list[tuple[str, str]]:
    """Each refusal of errors.rs and its words, with names for what it fills in."""
    source = (SOURCE / "errors.rs").read_text(encoding="utf-8")
    table = source[source.index("\nrefusals! {") : source.index("\nimpl Refusal {")]
    texts = re.sub(r"\\\n\s*", "", table)
    found = re.findall(r'^\s+(\w+)(?:\s*\{[^}]*\})?\s*=>\s*"((?:[^"\\]|\\.)*)"', texts, re.MULTILINE)
    return [(name, text.replace('\\"', '"')) for name, text in found]


def make_methods() -> str:
    """The table of all methods."""
    data, ours = read_data(), read_ours()
    lines = ["| Method | | Arguments | Who | Deployed 3.14 | Ours |", "|---|---|---|---|---|---|"]
    for entry in data["functions"]:
        mine = ours.get(entry["name"])
        function = mine or read_theirs(entry)
        remark = entry["deviation"] or "the same"
        deployed = "yes" if entry["deployed"] else "no"
        if "deployed_otherwise" in entry:
            deployed += f", {entry['deployed_otherwise']}"
        lines.append(f"{describe(function)} {deployed} | {remark} |")
    lines += [
        f"{describe(ours[entry['name']])} no | **added**: {entry['reason']} |" for entry in data["extensions"]
    ]
    return "\n".join(lines)


def describe(function: Function) -> str:
    """The first columns of a method."""
    kind = ", ".join((function.kind, *function.modifiers))
    arguments = ", ".join(f"`{name}`" for name in function.arguments)
    if function.encoding == "borsh":
        arguments += " (borsh)"
    return f"| `{function.name}` | {kind} | {arguments} | {function.gate} |"


def make_deviations() -> str:
    """The table of what ours does otherwise."""
    lines = ["| | NEAR's | Ours | Because | Test |", "|---|---|---|---|---|"]
    lines += [
        "| "
        + " | ".join([row["about"], row["theirs"], row["ours"], row["reason"], f"`{row['test']}`"])
        + " |"
        for row in read_data()["deviations"]
    ]
    return "\n".join(lines)


def make_refusals() -> str:
    """The table of all refusals."""
    lines = ["| | Words |", "|---|---|"]
    for name, text in read_refusals():
        words = re.sub(r"\{(\w+)(?::\?)?\}", r"*\1*", text.replace("{{", "\0").replace("}}", "\1"))
        lines.append(f"| {name} | {words.replace(chr(0), '{').replace(chr(1), '}')} |")
    return "\n".join(lines)


TABLES: Final = {"methods": make_methods, "deviations": make_deviations, "refusals": make_refusals}


def make_page(page: str) -> str:
    """The page with its tables as they should be."""
    for name, make in TABLES.items():
        begin = BEGIN.format(name)
        before, rest = page.split(begin)
        page = before + begin + "\n" + make() + "\n" + END + rest.split(END, 1)[1]
    return page


def main() -> int:
    """Write the page."""
    if sys.argv[1:] != ["--write"]:
        print(__doc__, file=sys.stderr)
        return 2
    PAGE.write_text(make_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
