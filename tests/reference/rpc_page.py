"""The page of JSON-RPC: the server's own table of methods, its readers of parameters, and a chain that is asked.

The examples are answers: a development chain with a fixed clock is made and asked each time, so that the page shows
what the code does. Nothing in them depends on the machine.
"""

import asyncio
import inspect
import json
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from hither.chain.genesis import DEVELOPMENT_BOUNDARIES, DevelopmentOptions, derive_development_key
from hither.chain.reader import BlockMode
from hither.client import Signer, actions
from hither.codec import base58
from hither.crypto.hashing import sha256
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import compute_public_key
from hither.node.home import init_home, read_home
from hither.node.node import Node, NodeOptions
from hither.primitives.action import Action
from hither.primitives.transaction import encode_signed_transaction
from hither.primitives.types import AccountId, CryptoHash, PublicKey
from hither.rpc.context import Context, RpcSettings
from hither.rpc.errors import TABLE
from hither.rpc.methods import make_methods
from hither.rpc.methods.query import QUESTIONS
from hither.rpc.parameters import REQUIRED, Field
from tests.status import METHODS_OF_FAMILY

Json = dict[str, Any]
ROOT: Final = Path(__file__).resolve().parents[2]
TOKEN: Final = ROOT / "contracts/fungible_token/fungible_token.wasm"
TIME_NS: Final = 1_800_000_000 * 10**9
TEXT_SHOWN_MAX: Final = 88
ITEMS_SHOWN_MAX: Final = 2
FIELDS_SHOWN_MAX: Final = 14
DEPTH_SHOWN_MAX: Final = 4
COMBINATORS: Final = ("structure", "flattened", "tagged", "enumeration", "flattened_enumeration", "untagged")

WITH: Final = ", with "
# Plain functions that are made of no other reader.
READ_BY_HAND: Final = {"_read_id_within": ("receipt_id", "a hash of 32 bytes in base58", "yes")}

# What parameters are


def get_kind(reader: Any) -> str:
    """The combinator that made a reader; empty for a plain function."""
    name, separator, _ = reader.__qualname__.partition(".<locals>")
    return name if separator and reader.__module__ in ("hither.rpc.parameters", "hither.rpc.values") else ""


def get_inner(reader: Any) -> dict[str, Any]:
    """What a reader was made of, and what it refers to."""
    seen = inspect.getclosurevars(reader)
    return {**seen.nonlocals, **seen.globals}


def find_behind(reader: Any) -> Any:
    """The reader that a plain function calls to read the form that is an object."""
    behind = [
        inner
        for inner in get_inner(reader).values()
        if inspect.isfunction(inner) and inner.__module__.startswith("hither.rpc")
    ]
    for kind in ("flattened", "structure", "flattened_enumeration", "enumeration", "untagged"):
        for inner in behind:
            if get_kind(inner) == kind:
                return inner
    raise AssertionError(f"{reader.__qualname__}: what it reads is not known to this page")


def describe(reader: Any) -> str:
    """What a value may be."""
    match get_kind(reader):
        case "optional":
            return f"{describe(get_inner(reader)['reader'])}; or null"
        case "list_of":
            return f"list: {describe(get_inner(reader)['reader'])}"
        case "structure" | "flattened":
            rows = [f"`{name}` ({words})" for name, words, _ in list_fields(reader)]
            return f"object with {', '.join(rows)}"
        case "enumeration":
            return "one of " + ", ".join(f"`{word}`" for word in get_inner(reader)["variants"])
    text = inspect.getdoc(reader)
    if text is None:
        return (
            "a signed transaction, borsh in base64"
            if "decode" in get_inner(reader)
            else describe(find_behind(reader))
        )
    line = text.splitlines()[0].replace("``", "`").rstrip(".")
    return line[0].lower() + line[1:]


def list_fields(reader: Any) -> Iterator[tuple[str, str, str]]:
    """Name, what it may be, and whether it must be there, of each parameter."""
    kind, inner = get_kind(reader), get_inner(reader)
    match kind:
        case "structure":
            yield from map(make_row, inner["fields"])
        case "flattened":
            yield from map(make_row, inner["fields"])
            for part in inner["parts"]:
                yield from list_fields(part)
        case "tagged":
            variants = inner["variants"]
            yield inner["tag"], "one of " + ", ".join(f"`{word}`" for word in variants), "yes"
            for word, fields in variants.items():
                for field in fields:
                    name, words, needed = make_row(field)
                    yield name, words, f"{needed}{WITH}`{word}`"
        case "flattened_enumeration" | "enumeration":
            for word, part in inner["variants"].items():
                yield word, "null" if part is None else describe(part), "one of these"
        case "untagged":
            for part in inner["readers"]:
                for name, words, _ in list_fields(part):
                    yield name, words, "one of these forms"
        case "single_or":
            yield from list_fields(inner["reader"])
        case _ if reader.__name__ in READ_BY_HAND:
            yield READ_BY_HAND[reader.__name__]
        case _:
            yield from list_fields(find_behind(reader))


def make_row(field: Field) -> tuple[str, str, str]:
    """Of one field."""
    if field.default is REQUIRED:
        return field.name, describe(field.reader), "yes"
    default = getattr(field.default, "name", field.default)
    return field.name, describe(field.reader), "no" if default is None else f"no: `{json.dumps(default)}`"


def make_parameters(method: str, reader: Any) -> str:
    """The table of a method's parameters; those of ``query`` stand with its kinds."""
    if reader.__name__ == "read_nothing":
        return "No parameters.\n"
    merged: dict[tuple[str, str], list[str]] = {}
    for name, words, needed in list_fields(reader):
        if method != "query" or WITH not in needed:
            merged.setdefault((name, words), []).append(needed)
    rows = [f"| `{name}` | {words} | {join(needs)} |" for (name, words), needs in merged.items()]
    return "\n".join(["| parameter | | needed |", "|---|---|---|", *rows]) + "\n"


def join(needs: list[str]) -> str:
    """``yes, with `a`, `b` `` of several that are alike."""
    first, *more = dict.fromkeys(needs)
    return ", ".join([first, *(needed.partition(WITH)[2] or needed for needed in more)])


# A chain that is asked


class Chain:
    """Of one home, without a socket."""

    def __init__(self, node: Node) -> None:
        settings = RpcSettings(rpc_address="127.0.0.1:3030", node_public_key=PublicKey(0, bytes(range(32))))
        self._context = Context(node.reader, node.control, node.vm, settings, now_seconds=lambda: 0.0)
        self._methods = make_methods(88, is_development=True)
        self._nonces: dict[str, int] = {}

    async def ask(self, name: str, params: Any) -> Any:
        """The result. Raises ``RpcError``."""
        method = self._methods[name]
        answer = method.answer(self._context, method.read(params))
        result = await answer if method.kind == "waits" else answer
        return json.loads(msgspec.json.encode(result))

    async def sign(self, signer_id: str, receiver_id: str, *batch: Action) -> str:
        """A transaction in base64."""
        signer = Signer(signer_id, derive_development_key(signer_id))
        block = await self.ask("block", {"finality": "final"})
        nonce = self._nonces[signer_id] = self._nonces.get(signer_id, 0) + 1
        block_hash = CryptoHash(base58.decode(block["header"]["hash"], 32))
        lane = signer.choose_lane()
        lane.observe(nonce - 1)
        signed = signer.sign_transaction(lane, lane.take(), AccountId(receiver_id), block_hash, batch)
        return b64encode(encode_signed_transaction(signed)).decode()

    async def send(self, signer_id: str, receiver_id: str, *batch: Action) -> str:
        """Send it and make the blocks in which all of it happens. Returns its hash."""
        signed = await self.sign(signer_id, receiver_id, *batch)
        sent = await self.ask("broadcast_tx_async", [signed])
        await self.ask("hither_mine", {"count": 5})
        return str(sent)


GAS_KEY: Final = public_key_to_str(compute_public_key(derive_development_key("gas")))
ALICE_KEY: Final = public_key_to_str(compute_public_key(derive_development_key("alice.near")))


async def prepare(chain: Chain) -> dict[str, Any]:
    """What the examples are about: texts that stand in them as ``$name``."""
    await chain.ask("hither_mine", {"count": 2})
    moved = await chain.send("alice.near", "bob.near", actions.transfer("1 N"))
    new = {"owner_id": "alice.near", "total_supply": "1000"}
    code = TOKEN.read_bytes()
    await chain.send(
        "carol.near", "carol.near", actions.deploy(code), actions.function_call("new_default", new)
    )
    await chain.send("alice.near", "alice.near", actions.add_gas_key(GAS_KEY, 2))
    await chain.send("bob.near", "bob.near", actions.deploy_global(code))
    await chain.send("bob.near", "bob.near", actions.deploy_global(code, by_account=True))
    status = await chain.ask(
        "EXPERIMENTAL_tx_status", {"tx_hash": moved, "sender_account_id": "alice.near", "wait_until": "NONE"}
    )
    outcome = status["transaction_outcome"]
    block = await chain.ask("block", {"block_id": outcome["block_hash"]})
    before = await chain.ask("block", {"block_id": block["header"]["prev_hash"]})
    head = await chain.ask("block", {"finality": "final"})
    snapshot = await chain.ask("hither_snapshot", None)
    return {
        "moved": moved,
        "receipt": outcome["outcome"]["receipt_ids"][0],
        "block": block["header"]["hash"],
        "before": before["header"]["hash"],
        "head": head["header"]["hash"],
        "chunk": block["chunks"][0]["chunk_hash"],
        "height": block["header"]["height"],
        "code": base58.encode(sha256(code)),
        "signed": await chain.sign("alice.near", "bob.near", actions.transfer("1 N")),
        "snapshot": snapshot["snapshot_id"],
        "later": str(TIME_NS + 3_600 * 10**9),
    }


FINAL: Final[Json] = {"finality": "final"}
SENT: Final[Json] = {"tx_hash": "$moved", "sender_account_id": "alice.near", "wait_until": "EXECUTED"}
PROOF: Final[Json] = {
    "type": "transaction",
    "transaction_hash": "$moved",
    "sender_id": "alice.near",
    "light_client_head": "$head",
}
CHANGES: Final[Json] = {
    "block_id": "$block",
    "changes_type": "account_changes",
    "account_ids": ["alice.near"],
}
CALL: Final[Json] = {
    "account_id": "carol.near",
    "method_name": "ft_balance_of",
    "args_base64": b64encode(b'{"account_id":"alice.near"}').decode(),
}
QUERIES: Final[dict[str, Json]] = {
    "view_account": {"account_id": "alice.near"},
    "view_code": {"account_id": "carol.near"},
    "view_state": {"account_id": "carol.near", "prefix_base64": "", "limit": 1},
    "view_access_key": {"account_id": "alice.near", "public_key": ALICE_KEY},
    "view_access_key_list": {"account_id": "alice.near"},
    "view_gas_key_nonces": {"account_id": "alice.near", "public_key": GAS_KEY},
    "call_function": CALL,
    "view_global_contract_code": {"code_hash": "$code"},
    "view_global_contract_code_by_account_id": {"account_id": "bob.near"},
}
RECORD: Final[Json] = {"Data": {"account_id": "carol.near", "data_key": "a2V5", "value": "dmFsdWU="}}
EXAMPLES: Final[dict[str, Any]] = {
    "block": {"block_id": "$height"},
    "chunk": {"chunk_id": "$chunk"},
    "EXPERIMENTAL_congestion_level": {"block_id": "$height", "shard_id": 0},
    "gas_price": {"block_id": None},
    "block_effects": {"block_id": "$block"},
    "changes": CHANGES,
    "genesis_config": None,
    "EXPERIMENTAL_protocol_config": FINAL,
    "client_config": None,
    "light_client_proof": PROOF,
    "EXPERIMENTAL_light_client_block_proof": {"block_hash": "$block", "light_client_head": "$head"},
    "next_light_client_block": {"last_block_hash": "$before"},
    "query": FINAL | {"request_type": "view_account", "account_id": "alice.near"},
    "EXPERIMENTAL_receipt": {"receipt_id": "$receipt"},
    "EXPERIMENTAL_receipt_to_tx": {"receipt_id": "$receipt"},
    "status": None,
    "health": None,
    "network_info": None,
    "EXPERIMENTAL_split_storage_info": {},
    "tx": SENT,
    "EXPERIMENTAL_tx_status": SENT,
    "broadcast_tx_async": ["$signed"],
    "send_tx": {"signed_tx_base64": "$signed", "wait_until": "NONE"},
    "broadcast_tx_commit": ["$signed"],
    "validators": {"latest": None},
    "EXPERIMENTAL_validators_ordered": {"block_id": None},
    "maintenance_windows": {"account_id": "test.near"},
    "sandbox_patch_state": {"records": [RECORD]},
    "sandbox_fast_forward": {"delta_height": 100},
    "hither_snapshot": None,
    "hither_set_time": {"timestamp_nanosec": "$later"},
    "hither_set_block_mode": {"mode": "manual"},
    "hither_mine": {"count": 2},
    "hither_revert": {"snapshot_id": "$snapshot"},
}
SNAPSHOT_SHOWN: Final = "9f2d4c1b7a60e853"
CHANGING: Final = ("broadcast_tx_commit",)
"""It waits until the transaction has run, so blocks must be made meanwhile."""


def fill(params: Any, values: Json) -> Any:
    """Names replaced by what they stand for."""
    if isinstance(params, dict):
        return {name: fill(value, values) for name, value in params.items()}
    if isinstance(params, list):
        return [fill(value, values) for value in params]
    return values[params[1:]] if isinstance(params, str) and params.startswith("$") else params


async def ask_all() -> dict[str, tuple[Any, Any]]:
    """Parameters and result of each example, by method; ``query`` by its kind as well."""
    with tempfile.TemporaryDirectory() as folder:
        init_home(Path(folder), DevelopmentOptions(boundary_accounts=DEVELOPMENT_BOUNDARIES), TIME_NS)
        options = NodeOptions(mode=BlockMode.MANUAL, clock_ns=lambda: TIME_NS)
        node = Node.open(read_home(Path(folder)), options)
        await node.start()
        try:
            chain = Chain(node)
            values = await prepare(chain)
            asked: dict[str, tuple[Any, Any]] = {}
            for name, params in iterate_requests():
                filled = fill(params, values)
                method = "query" if name in QUERIES else name
                task = asyncio.create_task(chain.ask(method, filled))
                if name in CHANGING:
                    await asyncio.sleep(0)
                    await chain.ask("hither_mine", {"count": 4})
                asked[name] = (filled, await task)
            return hide_chance(asked)
        finally:
            await node.stop()


def hide_chance(asked: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """Ids of snapshots are drawn by lot; on the page they are always the same."""
    shown = {"snapshot_id": SNAPSHOT_SHOWN}
    assert asked["hither_snapshot"][1].keys() == shown.keys()
    return asked | {"hither_snapshot": (None, shown), "hither_revert": (shown, asked["hither_revert"][1])}


def iterate_requests() -> Iterator[tuple[str, Any]]:
    """The examples, questions first, since they leave the chain as it is."""
    for kind, more in QUERIES.items():
        yield kind, FINAL | {"request_type": kind} | more
    yield from EXAMPLES.items()


def shorten(value: Any, depth: int = 0) -> Any:
    """An answer that a person can read: what is long is cut, and says so."""
    if isinstance(value, str) and len(value) > TEXT_SHOWN_MAX:
        return value[: TEXT_SHOWN_MAX - 20] + "…"
    if isinstance(value, list):
        if depth >= DEPTH_SHOWN_MAX and value:
            return [f"… {len(value)}"]
        shown = [shorten(item, depth + 1) for item in value[:ITEMS_SHOWN_MAX]]
        return [*shown, f"… {len(value) - ITEMS_SHOWN_MAX} more"] if len(value) > ITEMS_SHOWN_MAX else shown
    if isinstance(value, dict):
        if depth >= DEPTH_SHOWN_MAX and value:
            return {"…": f"{len(value)} fields"}
        items = list(value.items())
        cut = {name: shorten(item, depth + 1) for name, item in items[:FIELDS_SHOWN_MAX]}
        return cut | (
            {"…": f"{len(items) - FIELDS_SHOWN_MAX} more fields"} if len(items) > FIELDS_SHOWN_MAX else {}
        )
    return value


# The page


def make_rpc() -> str:
    """Every method."""
    methods = make_methods(88, is_development=True)
    asked = asyncio.run(ask_all())
    parts: list[str] = []
    names: dict[Any, list[str]] = {}
    for name, method in methods.items():
        names.setdefault(method.answer, []).append(name)
    for answer, same in names.items():
        if (kind := same[0].removeprefix("EXPERIMENTAL_")) in QUESTIONS:
            continue
        parts.append(make_method(same, methods[same[0]].read, answer, asked))
        if kind == "query":
            parts += [make_question(kind, asked[kind], methods) for kind in QUESTIONS]
    return "\n".join(parts)


def make_method(same: list[str], reader: Any, answer: Callable[..., Any], asked: Json) -> str:
    """One method under all its names."""
    shown = next((name for name in same if name in EXAMPLES), same[0])
    text = (inspect.getdoc(answer) or "").replace("``", "`")
    first, _, rest = text.partition(": ")
    assert first in [f"`{name}`" for name in same] and rest, (
        f"{shown}: its docstring is its name and what it does"
    )
    parts = [f"## {shown}\n", rest[0].upper() + rest[1:] + "\n"]
    if others := [f"`{name}`" for name in same if name != shown]:
        parts.append(f"The same under the name of {', '.join(others)}.\n")
    parts.append(make_parameters(shown, reader))
    parts.append(make_example(shown, *asked[shown]))
    return "\n".join([*parts, make_causes(shown)])


def make_question(kind: str, example: tuple[Any, Any], methods: Json) -> str:
    """One kind of ``query``."""
    rows = [
        f"| `{name}` | {words} | {needed} |" for name, words, needed in map(make_row, QUESTIONS[kind].fields)
    ]
    text = (inspect.getdoc(QUESTIONS[kind].answer) or "").replace("``", "`")
    assert text, f"query: {kind}: its docstring is what it answers"
    parts = [f"### query: {kind}\n", text + "\n"]
    if (own := f"EXPERIMENTAL_{kind}") in methods:
        parts.append(
            f"Also as a method of its own, `{own}`, without `request_type`, which answers every refusal as an error.\n"
        )
    parts.append("\n".join(["| parameter | | needed |", "|---|---|---|", *rows]) + "\n")
    parts.append(make_example("query", *example))
    return "\n".join([*parts, make_causes(kind) if own in methods else ""])


def make_example(method: str, params: Any, result: Any) -> str:
    """A request and its answer."""
    request = json.dumps({"method": method, "params": shorten(params)}, ensure_ascii=False)
    answer = json.dumps(shorten(result), indent=1, ensure_ascii=False)
    return f"```json\n{request}\n```\n\n```json\n{answer}\n```\n"


def make_causes(method: str) -> str:
    """The causes of the errors of a method."""
    families = {name: family for family, names in METHODS_OF_FAMILY.items() for name in names}
    plain = method.removeprefix("EXPERIMENTAL_")
    if method.startswith(("hither_", "sandbox_")):
        family = "sandbox" if method.startswith("sandbox_") else "development"
    else:
        family = families.get(method) or (method if method in TABLE else plain)
    rows = TABLE.get(family)
    if not rows:
        return "It has no errors of its own.\n"
    return "Causes of errors: " + ", ".join(f"`{cause}`" for cause in rows) + ".\n"
