"""The signer contract's interface is NEAR's, method by method; where it deviates, the table says why."""

import dataclasses
import re

import pytest

from tests.signer_interface import (
    PAGE,
    ROOT,
    WASM,
    Function,
    make_page,
    parse_method,
    read_data,
    read_exports,
    read_ours,
    read_refusals,
    read_theirs,
)

DATA = read_data()
DEPLOYED, HEAD = 80, 81
LEFT_OUT = {"metrics"}


def compare(theirs: Function, ours: Function | None) -> str | None:
    """How ours differs in what a caller must know."""
    if ours is None:
        return f"{theirs.name} is missing"
    if ours.interface != theirs.interface:
        return f"{ours.interface} is not {theirs.interface}"
    return None


def test_the_table_is_whole() -> None:
    """As many functions as the deployed contract and its newer code have, each once."""
    names = [entry["name"] for entry in DATA["functions"]]
    assert names == sorted(set(names))
    assert sum(entry["deployed"] for entry in DATA["functions"]) == DEPLOYED
    assert sum(entry["head"] for entry in DATA["functions"]) == HEAD
    assert {entry["name"] for entry in DATA["functions"] if not entry["head"]} == LEFT_OUT


def test_what_the_deployed_contract_has_otherwise_is_said() -> None:
    """Two chains, a field of requests, a setting, a rule: wherever a method that it has takes or gives them."""
    otherwise = [entry for entry in DATA["functions"] if "deployed_otherwise" in entry]
    assert all(entry["deployed"] and entry["head"] for entry in otherwise)
    texts = {entry["name"]: entry["deployed_otherwise"] for entry in otherwise}
    chains = {name for name in texts if "foreign" in name}
    assert chains == {
        entry["name"]
        for entry in DATA["functions"]
        if "foreign" in entry["name"] and entry["name"] != "clean_foreign_chain_data"
    }
    assert all("without Avalanche" in texts[name] for name in chains)
    assert {name for name in chains if "expected_payload_hash" in texts[name]} == {
        name for name in chains if "verify" in name
    }
    settings = {"config", "init", "init_running", "propose_update", "update_config"}
    assert texts.keys() - chains == settings | {"submit_participant_info"}


def test_every_method_has_the_interface_of_nears_contract() -> None:
    """Name, kind, payable, private, names of arguments, encodings; ours has no other than those listed as added."""
    ours = read_ours()
    wanted = [entry for entry in DATA["functions"] if entry["name"] not in LEFT_OUT] + DATA["extensions"]
    complaints = [compare(read_theirs(entry), ours.get(entry["name"])) for entry in wanted]
    assert [complaint for complaint in complaints if complaint] == []
    assert set(ours) == {entry["name"] for entry in wanted}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "view"},
        {"modifiers": ()},
        {"arguments": ("requests",)},
        {"encoding": "borsh"},
        {"is_result_borsh": True},
    ],
)
def test_a_difference_is_seen(change: dict[str, object]) -> None:
    """Each part of an interface counts."""
    sign = read_ours()["sign"]
    assert compare(sign, sign) is None
    assert compare(sign, dataclasses.replace(sign, **change)) is not None  # type: ignore[arg-type]
    assert compare(sign, None) == "sign is missing"


def test_methods_are_read_as_they_are_written() -> None:
    """Attributes, callbacks, encodings."""
    text = """    /// Words.
    #[private]
    pub fn resolve(&mut self, #[serializer(borsh)] context: A, #[callback_result] result: B) -> C {
        body"""
    expected = Function("resolve", "call", ("private",), ("context",), "borsh", False, "the contract")
    assert parse_method(text) == expected


def test_the_wasm_exports_what_the_source_says() -> None:
    """The committed program, not only its source."""
    assert read_exports() - {"__getrandom_custom"} == set(read_ours())


def test_every_deviation_names_a_test() -> None:
    """That is there."""
    for row in DATA["deviations"]:
        path, _, name = row["test"].partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), row["test"]


def test_every_refusal_is_met_in_a_test() -> None:
    """By its name, in a test that holds the contract's words against the table's."""
    files = [*ROOT.glob("tests/e2e/contracts/test_signer_*.py")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    names = [name for name, _ in read_refusals()]
    assert len(names) == len(set(names)) > 80
    assert [name for name in names if not re.search(rf'"{name}"', text)] == []


def test_the_page_is_up_to_date() -> None:
    """`python tests/signer_interface.py --write` writes its tables; the size is that of the committed program."""
    page = PAGE.read_text(encoding="utf-8")
    assert make_page(page) == page
    assert f"The wasm has {len(WASM.read_bytes()):,} bytes" in page
