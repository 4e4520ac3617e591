"""What the receipts of a transaction wrote, from the answers of a node."""

import base64
import json
from typing import Any

from hither.client.trace import (
    describe_bytes,
    describe_changes,
    describe_value,
    export_trace,
    read_layout,
    render_trace,
    trace_transaction,
)
from tests.unit.client.test_receipt_tree import make_outcome, make_status

LAYOUT = {"V2": {"boundary_accounts": ["b", "c"], "shard_ids": [5, 7, 9], "version": 1}}


def encode(data: bytes) -> str:
    """As the node tells bytes."""
    return base64.b64encode(data).decode()


def make_change(receipt_id: str, kind: str, **content: Any) -> Any:
    """A change that a receipt caused."""
    cause = {"type": "receipt_processing", "receipt_hash": receipt_id}
    return {"cause": cause, "type": kind, "change": {"account_id": "bob.near", **content}}


WRITE = make_change("bob", "data_update", key_base64=encode(b"color"), value_base64=encode(b'{"hue": 7}'))
STATUS = make_status([make_outcome("bob", [])])
for item in (STATUS["transaction_outcome"], *STATUS["receipts_outcome"]):
    item["block_hash"] = f"block-{item['id']}"


class Refused(Exception):
    """What a caller raises."""


def answer(method: str, params: Any) -> Any:
    """A node with one write by this receipt, and one by somebody else's in the same block."""
    if method == "block":
        return {"header": {"height": 40 + len(params["block_id"])}}
    if method == "EXPERIMENTAL_protocol_config":
        return {"shard_layout": LAYOUT}
    if method == "query":
        return {"error": "MethodNotFound"}
    assert method == "EXPERIMENTAL_changes"
    is_asked = params["block_id"] == "block-bob" and params["account_ids"] == ["bob.near"]
    if params["changes_type"] != "data_changes" or not is_asked:
        return {"changes": []}
    foreign = make_change("other", "data_deletion", key_base64=encode(b"not ours"))
    return {"changes": [WRITE, foreign]}


def test_receipt_shows_shard_block_tokens_and_writes() -> None:
    """Its own writes alone, below its title."""
    lines = render_trace(trace_transaction(STATUS, answer, (Refused,)))
    assert lines[-2:] == [
        "      shard 7, block 49, burnt 0.00002231825625 N",
        '      write "color" = {"hue": 7}',
    ]
    assert not any("not ours" in line for line in lines)


def test_json_keeps_the_answer_and_adds_the_trace() -> None:
    """Everything that the node said, and by receipt where it ran and what it wrote."""
    exported = export_trace(trace_transaction(STATUS, answer, (Refused,)))
    assert {name: exported[name] for name in STATUS} == STATUS
    assert exported["trace"]["bob"] == {"shard_id": 7, "block_height": 49, "changes": [WRITE], "decoded": {}}
    assert exported["trace"]["alice"] == {"shard_id": 5, "block_height": 51, "changes": [], "decoded": {}}
    assert json.loads(json.dumps(exported)) == exported


def test_node_that_has_forgotten_the_blocks_still_shows_the_tree() -> None:
    """With one line of why more is not known."""

    def forget(method: str, params: Any) -> Any:
        raise Refused("UNKNOWN_BLOCK: garbage collected\x1b[2J")

    lines = render_trace(trace_transaction(STATUS, forget, (Refused,)))
    assert lines[0].startswith("✓ alice.near → bob.near")
    assert lines[-1] == "  not all that was written is known: UNKNOWN_BLOCK: garbage collected\\x1b[2J"


def test_transaction_that_waits_has_no_trace() -> None:
    """Nothing is asked about it."""
    trace = trace_transaction({"final_execution_status": "NONE"}, answer, (Refused,))
    assert export_trace(trace) == {"final_execution_status": "NONE", "trace": {}, "trace_notes": []}


def test_bytes_are_text_or_json_or_hex() -> None:
    """Text in quotes, JSON as it is, all else as hex, beside it what can be read; control characters never."""
    assert describe_bytes(encode("größe".encode())) == '"größe"'
    assert describe_bytes(encode(b'{"a":\n1}')) == '{"a":\\n1}'
    assert describe_bytes(encode(b"\x1b[2J")) == "0x1b5b324a"
    assert describe_bytes(encode(b"\x00\x05\x00\x00\x00alice")) == "0x0005000000616c696365 (·····alice)"
    assert describe_bytes("") == '""'
    assert len(describe_bytes(encode(b"\xff" * 5000))) < 200


def test_values_of_the_size_of_integers_are_read_as_such_too() -> None:
    """Little-endian, as borsh writes them; text of that size is text."""
    assert (
        describe_value(encode((1000).to_bytes(16, "little")))
        == "0xe8030000000000000000000000000000 (u128 1000)"
    )
    assert describe_value(encode(b"\x01\x02\x03\x04\x05\x06\x07\xff")).endswith(f"(u64 {0xFF07060504030201})")
    assert describe_value(encode(b"\xff\x00")) == "0xff00"
    assert describe_value(encode(b"four")) == '"four"'


def test_all_kinds_of_change_have_words() -> None:
    """Of a balance the last alone."""
    grant: Any = {"FunctionCall": {"receiver_id": "shop.near", "allowance": None, "method_names": []}}
    changes = [
        make_change("bob", "account_update", amount="1", storage_usage=9),
        make_change("bob", "account_update", amount=str(10**24), storage_usage=9),
        make_change(
            "bob", "access_key_update", public_key="ed25519:A", access_key={"nonce": 3, "permission": grant}
        ),
        make_change("bob", "access_key_deletion", public_key="ed25519:B"),
        make_change("bob", "contract_code_update", code_base64=encode(bytes(9))),
        make_change("bob", "contract_code_deletion"),
        make_change("bob", "data_deletion", key_base64=encode(b"k")),
        make_change("bob", "account_deletion"),
    ]
    assert describe_changes(changes) == [
        "balance 1 N, storage 9 bytes",
        "key ed25519:A: function call on shop.near, nonce 3",
        "key ed25519:B removed",
        "code 9 bytes",
        "code removed",
        'remove "k"',
        "account deleted",
    ]
    many = describe_changes([changes[-2]] * 60)
    assert many[-1] == "… 10 more writes (--json has them all)"


def test_layouts_of_all_networks_are_read() -> None:
    """With shard ids, without, and none at boundary accounts."""
    layout = read_layout({"shard_layout": {"V1": {"boundary_accounts": ["m"], "version": 1}}})
    assert layout is not None
    assert [layout.get_shard_id(name) for name in ("alice", "zoe")] == [0, 1]
    assert read_layout({"shard_layout": {"V0": {"num_shards": 4}}}) is None
