"""What is tested and what is missing: the table behind docs/status.md.

    python tests/status.py --write             write docs/status.md (`make status`)
    python tests/status.py --write-recorded    first find anew which names the recordings hold (half a minute)

The items come from the code itself (unions, method tables, error tables), so none can be forgotten. An
item's evidence is a recording of NEAR's node in which it occurs, which the tests of ``tests/vectors``
compare whole, or a test that holds on to it: that makes such an action, asks by that name, or passes only with
that error. Nothing is evidence by hand except the rows of ``BY_HAND``.
"""

import ast
import gzip
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import get_args

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "python")]

from hither.primitives import errors  # noqa: E402
from hither.primitives.action import Action  # noqa: E402
from hither.rpc.errors import TABLE as RPC_ERRORS  # noqa: E402
from hither.rpc.methods import make_methods  # noqa: E402
from hither.rpc.methods.query import QUESTIONS  # noqa: E402

PAGE = ROOT / "docs/status.md"
RECORDED = ROOT / "tests/vectors/recorded_names.json"
REPLAY = "tests/vectors/test_replay.py::test_group_replays_without_a_difference"
ANSWERS = "tests/vectors/test_answers.py::test_group_is_answered_as_recorded"
SEARCHED = (
    "tests/unit/runtime",
    "tests/unit/chain",
    "tests/unit/node",
    "tests/unit/vm",
    "tests/rpc",
    "tests/e2e",
)
ERROR_ENUMS = (
    "InvalidTxError",
    "InvalidAccessKeyError",
    "ActionsValidationError",
    "ReceiptValidationError",
    "ActionErrorKind",
)
RECEIPTS = "tests/unit/runtime/test_receipts.py"
TESTS_SHOWN_MAX = 2

# Items whose tests do not say their name.
BY_HAND: dict[tuple[str, str], tuple[str, ...]] = {
    ("Receipt bodies", "Action"): (REPLAY,),
    ("Receipt bodies", "Action, version 2 (refund_to)"): (
        f"{RECEIPTS}::test_deposits_come_back_to_whom_the_contract_names",
    ),
    ("Receipt bodies", "Data"): (REPLAY, f"{RECEIPTS}::test_results_are_joined_before_a_callback_runs"),
    ("Receipt bodies", "PromiseYield"): (REPLAY, f"{RECEIPTS}::test_a_yield_is_given_up_after_200_blocks"),
    ("Receipt bodies", "PromiseResume"): (REPLAY, f"{RECEIPTS}::test_a_yield_is_resumed_with_data"),
    ("Receipt bodies", "GlobalContractDistribution"): (
        REPLAY,
        "tests/unit/runtime/test_global_contracts.py::test_a_deployment_reaches_every_shard_and_burns_its_price",
    ),
}
BY_HAND["Errors: ReceiptValidationError", "InvalidReceiverId"] = (
    "tests/unit/runtime/test_receipt_validation.py::test_rule_refuses_what_breaks_it",
)
BY_HAND["Errors: InvalidTxError", "InvalidSignerId"] = (
    "tests/unit/runtime/test_transactions.py::test_unknown_signers_keys_and_bad_signatures_are_told_apart",
)
BY_HAND["Errors: ActionsValidationError", "MalformedUniversalStateInit"] = (
    "tests/unit/runtime/test_state_inits.py::test_only_canonical_bytes_of_the_right_account_are_a_state_init",
)
BY_HAND["RPC errors", "light_client_proof: NOT_CONFIRMED"] = (
    "tests/rpc/test_method_errors.py::test_outcome_that_no_chunk_commits_to_is_not_confirmed",
)
RECEIPT_BODIES = [name for section, name in BY_HAND if section == "Receipt bodies"]


@dataclass(frozen=True)
class Item:
    """One line of the table. ``words``: what evidence must contain; ``recorded_by``: the test of recordings."""

    section: str
    name: str
    words: tuple[str, ...]
    recorded_by: str


def list_items() -> list[Item]:
    """Everything that there is, by section."""
    items = [Item("Actions", kind.__name__, (kind.__name__,), REPLAY) for kind in get_args(Action)]
    items += [Item("Receipt bodies", name, (), REPLAY) for name in RECEIPT_BODIES]
    methods = make_methods(88, is_development=True)
    items += [Item("RPC methods", name, (name,), ANSWERS) for name in methods]
    items += [Item("Query types", name, (name,), ANSWERS) for name in QUESTIONS]
    for family, causes in RPC_ERRORS.items():
        items += [Item("RPC errors", f"{family}: {cause}", (family, cause), ANSWERS) for cause in causes]
    for enum in ERROR_ENUMS:
        # A name that two enums share says nothing by itself.
        shared = {name for other in ERROR_ENUMS if other != enum for name in errors.ERRORS[other]}
        items += [
            Item(f"Errors: {enum}", name, (enum, name) if name in shared else (name,), REPLAY)
            for name in errors.ERRORS[enum]
        ]
    return items


# What NEAR's types know and a node of this kind never tells, with the reason.
NEVER_BEHIND = "one machine makes all blocks, so it is never behind"
ALL_SHARDS = "the node tracks every shard"
ALL_ORIGINS = "where every receipt came from is kept"
STOPS = "a node that fails inside stops; it does not go on to answer"
CHECKED_BEFORE = "malformed account ids are refused when parameters are read"
NEVER_TOLD: dict[str, dict[str, str]] = {
    "RPC errors": {
        "block: NOT_SYNCED_YET": NEVER_BEHIND,
        "changes: NOT_SYNCED_YET": NEVER_BEHIND,
        "query: NO_SYNCED_BLOCKS": NEVER_BEHIND,
        "status: NODE_IS_SYNCING": NEVER_BEHIND,
        "status: NO_NEW_BLOCKS": NEVER_BEHIND,
        "status: EPOCH_OUT_OF_BOUNDS": NEVER_BEHIND,
        "next_light_client_block: EPOCH_OUT_OF_BOUNDS": NEVER_BEHIND,
        "changes: SHARD_NOT_APPLIED": ALL_SHARDS,
        "light_client_proof: UNAVAILABLE_SHARD": ALL_SHARDS,
        "light_client_proof: INCONSISTENT_STATE": ALL_SHARDS,
        "query: UNAVAILABLE_SHARD": ALL_SHARDS,
        "transaction: DOES_NOT_TRACK_SHARD": ALL_SHARDS,
        "transaction: REQUEST_ROUTED": ALL_SHARDS,
        **{
            f"receipt_to_tx: {cause}": ALL_ORIGINS
            for cause in (
                "DEPTH_EXCEEDED",
                "UNSUPPORTED",
                "OUTCOMES_NOT_STORED",
                "WINDOW_TOO_LARGE",
                "MALFORMED_HINT",
                "BUDGET_EXCEEDED",
            )
        },
        **{
            f"{family}: INVALID_ACCOUNT": CHECKED_BEFORE
            for family in ("query", *(kind for kind in QUESTIONS if kind in RPC_ERRORS))
        },
        **{
            f"{family}: INTERNAL_ERROR": STOPS
            for family in (
                *("block", "chunk", "changes", "gas_price", "protocol_config", "next_light_client_block"),
                *("validators", "receipt", "receipt_to_tx", "transaction", "status", "network_info"),
                *("client_config", "maintenance_windows", "split_storage", "development", "query"),
            )
        },
        "view_access_key: UNKNOWN_ACCOUNT": "it is an unknown key",
        "view_gas_key_nonces: UNKNOWN_ACCOUNT": "it is an unknown key",
        "view_access_key_list: UNKNOWN_ACCOUNT": "it has no keys",
        "call_function: NO_CONTRACT_CODE": "it is a CONTRACT_EXECUTION_ERROR",
    },
    "Errors: InvalidTxError": {
        "InvalidChain": "there is one fork",
        "StorageError": STOPS,
        "InvalidReceiverId": CHECKED_BEFORE,
    },
    "Errors: ReceiptValidationError": {
        "InvalidDataReceiverId": CHECKED_BEFORE,
        "InvalidSignerId": CHECKED_BEFORE,
    },
    "Errors: ActionErrorKind": {
        "TotalPromiseInputSizeExceeded": "its limit begins after protocol 88",
        "MalformedUniversalStateInit": "such an action is refused before it runs",
    },
}

# Evidence in tests


@dataclass(frozen=True)
class TestFunction:
    """A test and what it shows, in what decorates it and in the helpers and tables of its file that it uses.

    ``made``: what it calls or gives to a call. ``said``: the strings that it says as a whole. ``held``: the words that
    decide whether it passes: in an assertion, in what an error has to match, in the table that feeds either.
    """

    name: str
    made: frozenset[str]
    said: frozenset[str]
    held: frozenset[str]


@lru_cache
def read_tests() -> tuple[TestFunction, ...]:
    """Every test function that may be evidence."""
    found = []
    for folder in SEARCHED:
        for file in sorted((ROOT / folder).rglob("test_*.py")):
            name = file.relative_to(ROOT).as_posix()
            found += list(read_file(name, file.read_text(encoding="utf-8")))
    return tuple(found)


def read_file(file_name: str, source: str) -> Iterator[TestFunction]:
    """The tests of a file that run in every run of all tests."""
    definitions: dict[str, ast.AST] = {}
    for node in ast.parse(source).body:
        if isinstance(node, Function | ast.ClassDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            definitions |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    for name, test in definitions.items():
        if not name.startswith("test_") or not isinstance(test, Function) or _is_left_out(test):
            continue
        used = [definitions[other] for other in sorted((_get_names(test) & set(definitions)) - {name})]
        trees = [test, *used]
        yield TestFunction(
            f"{file_name}::{name}",
            frozenset(name for tree in trees for name in _list_made(tree)),
            frozenset(text for tree in trees for text in _list_texts(tree)),
            frozenset(word for tree in _list_deciding(test, used, definitions) for word in _get_words(tree)),
        )


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _is_left_out(test: Function) -> bool:
    """Whether `make test` does not run it, or does not mind its failing."""
    return any(
        _get_attributes(decorator) & {"long", "skip", "skipif", "xfail"} for decorator in test.decorator_list
    )


def _get_attributes(tree: ast.AST) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def _get_names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _list_made(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for part in (node.func, *node.args, *(keyword.value for keyword in node.keywords)):
                if isinstance(part, ast.Name | ast.Attribute):
                    yield part.id if isinstance(part, ast.Name) else part.attr


def _is_expectation(node: ast.AST) -> bool:
    """``assert …`` or ``pytest.raises(…)``."""
    is_raises = (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "raises"
    )
    return is_raises or isinstance(node, ast.Assert)


def _list_deciding(
    test: Function, used: Iterable[ast.AST], definitions: Mapping[str, ast.AST]
) -> list[ast.AST]:
    """What decides whether a test passes."""
    checking = {
        name
        for name, definition in definitions.items()
        if isinstance(definition, Function) and any(map(_is_expectation, ast.walk(definition)))
    }
    found: list[ast.AST] = list(test.decorator_list)
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in checking:
            # What is given to a helper that asserts.
            found += [*node.args, *(keyword.value for keyword in node.keywords)]
    for definition in (test, *used):
        if isinstance(definition, ast.Assign | ast.AnnAssign):
            found.append(definition)
        else:
            found += filter(_is_expectation, ast.walk(definition))
    return [*found, *_list_bound(test, found)]


def _list_bound(test: Function, deciding: Iterable[ast.AST]) -> list[ast.AST]:
    """The values that local names of deciding expressions stand for: what was assigned, what a loop goes over."""
    values: list[tuple[set[str], ast.AST]] = []
    for node in ast.walk(test):
        match node:
            case ast.Assign():
                values.append((set().union(*map(_get_names, node.targets)), node.value))
            case ast.For() | ast.comprehension():
                values.append((_get_names(node.target), node.iter))
    found: list[ast.AST] = []
    names = set().union(*map(_get_names, deciding))
    while reached := [value for targets, value in values if targets & names and value not in found]:
        found += reached
        names |= set().union(*map(_get_names, reached))
    return found


def _list_texts(tree: ast.AST) -> Iterator[str]:
    """Strings that are not docstrings: those are no evidence."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, Function | ast.ClassDef) and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def _get_words(tree: ast.AST) -> set[str]:
    """Names, attributes, and words of strings."""
    words = _get_names(tree) | _get_attributes(tree)
    for text in _list_texts(tree):
        # The name of a row as a whole shows that row alone, not each of its words.
        is_row = re.fullmatch(r"[a-z_]+: [A-Z_]+", text) is not None
        words |= {text} if is_row else set(re.findall(r"\w+", text))
    return words


# Evidence in recordings


@lru_cache
def read_recorded() -> dict[str, list[str]]:
    """Section to the names that the recordings hold."""
    content = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def find_recorded() -> dict[str, list[str]]:
    """Look through all recordings: requested methods and query types, causes told, names in outcomes."""
    methods, questions, causes, blobs = set(), set(), set(), []
    for file in sorted((ROOT / "tests/vectors/nearcore-84").rglob("*.jsonl.gz")):
        text = gzip.decompress(file.read_bytes()).decode()
        blobs.append(text)
        for line in text.splitlines():
            if not line.startswith(
                ('{"t":"rpc"', '{"t": "rpc"', '{"t":"query"', '{"t": "query"', '{"t":"send"', '{"t": "send"')
            ):
                continue
            record = json.loads(line)
            request = record.get("request", record)
            method, params = request.get("method") or "send_tx", request.get("params")
            methods.add(method)
            if isinstance(params, dict) and "request_type" in params:
                questions.add(params["request_type"])
            body = record.get("body")
            if isinstance(body, str) and '"cause"' in body:
                cause = (json.loads(body).get("error") or {}).get("cause") or {}
                causes.add(f"{method}: {cause.get('name')}")
    names = [
        item.name for item in list_items() if item.section == "Actions" or item.section.startswith("Errors")
    ]
    kept = [name for name in sorted(set(names)) if any(_occurs(name, blob) for blob in blobs)]
    return {
        "methods": sorted(method for method in methods if method),
        "questions": sorted(questions),
        "causes": sorted(causes),
        "names": kept,
    }


def _occurs(name: str, blob: str) -> bool:
    return f'"{name}"' in blob or f'"{name}\\"' in blob


# The method that a family of errors belongs to, where the name is another.
METHODS_OF_FAMILY = {
    "transaction": ("send_tx", "tx", "broadcast_tx_commit", "broadcast_tx_async", "EXPERIMENTAL_tx_status"),
    "changes": ("EXPERIMENTAL_changes", "EXPERIMENTAL_changes_in_block", "changes", "block_effects"),
    "light_client_proof": ("light_client_proof", "EXPERIMENTAL_light_client_proof"),
    "receipt": ("EXPERIMENTAL_receipt",),
    "receipt_to_tx": ("EXPERIMENTAL_receipt_to_tx",),
    "protocol_config": ("EXPERIMENTAL_protocol_config",),
    "chunk": ("chunk", "EXPERIMENTAL_congestion_level"),
    "validators": ("validators", "EXPERIMENTAL_validators_ordered"),
    "split_storage": ("EXPERIMENTAL_split_storage_info",),
}


def is_recorded(item: Item) -> bool:
    """Whether a recording holds it."""
    recorded = read_recorded()
    match item.section:
        case "RPC methods":
            return item.name in recorded["methods"]
        case "Query types":
            return item.name in recorded["questions"]
        case "RPC errors":
            family, _, cause = item.name.partition(": ")
            methods = METHODS_OF_FAMILY.get(family, (family, f"EXPERIMENTAL_{family}"))
            return any(f"{method}: {cause}" in recorded["causes"] for method in methods)
    return item.name in recorded["names"]


def find_evidence(item: Item) -> list[str]:
    """The tests that show an item; empty: it is missing."""
    by_hand = list(BY_HAND.get((item.section, item.name), ()))
    recorded = [item.recorded_by] if item.words and is_recorded(item) else []
    return [*by_hand, *recorded, *(test.name for test in read_tests() if is_shown(item, test))]


def is_shown(item: Item, test: TestFunction) -> bool:
    """Whether a test shows an item by itself, without a recording of NEAR's node."""
    match item.section:
        case "Actions":
            return item.name in test.made
        case "RPC methods" | "Query types":
            # Words of every day would find tests that are about something else.
            return "_" in item.name and item.name in test.said
        case "RPC errors":
            return item.name in test.held
    return bool(item.words) and set(item.words) <= test.held


def get_reason(item: Item) -> str | None:
    """Why the node never tells this, if it does not."""
    return NEVER_TOLD.get(item.section, {}).get(item.name)


def describe(tests: Iterable[str]) -> str:
    """The first tests, as the page names them."""
    return ", ".join(f"`{test}`" for test in list(tests)[:TESTS_SHOWN_MAX])


def make_page() -> str:
    """The text of docs/status.md."""
    items = list_items()
    evidence = {(item.section, item.name): find_evidence(item) for item in items}
    tested = sum(1 for tests in evidence.values() if tests)
    never = sum(1 for item in items if get_reason(item) and not evidence[item.section, item.name])
    lines = [
        "# Status",
        "",
        "Written by `make status`; `tests/test_status.py` fails when something in it is not true. The items come from",
        "the code; a *tested* one names its tests, first the recordings of NEAR's own node that hold it.",
        "",
        f"Of {len(items)} items {tested} are tested, {never} are never told by a node of this kind, and",
        f"{len(items) - tested - never} are missing.",
    ]
    section = ""
    for item in items:
        if item.section != section:
            section = item.section
            lines += ["", f"## {section}", "", "| item | | evidence |", "|---|---|---|"]
        tests = evidence[item.section, item.name]
        reason = get_reason(item)
        state = "tested" if tests else "never told" if reason else "**missing**"
        lines.append(f"| {item.name} | {state} | {describe(tests) or reason or ''} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write what the options say."""
    if "--write-recorded" in sys.argv:
        RECORDED.write_text(json.dumps(find_recorded(), indent=1) + "\n", encoding="utf-8")
    if len(sys.argv) > 1:
        PAGE.write_text(make_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
