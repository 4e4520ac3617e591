"""State records in JSON, both ways."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from hither.primitives.state_record import (
    InvalidStateRecord,
    state_record_from_json,
    state_record_to_json,
)

GENESIS = Path(__file__).parents[2] / "vectors" / "nearcore-84" / "genesis.json.gz"

OTHERS: list[dict[str, Any]] = [
    {"Data": {"account_id": "alice.near", "data_key": "a2V5", "value": "dmFsdWU="}},
    {"Contract": {"account_id": "alice.near", "code": "AGFzbQ=="}},
    {
        "AccessKey": {
            "account_id": "alice.near",
            "public_key": "ed25519:11111111111111111111111111111111",
            "access_key": {
                "nonce": 5,
                "permission": {
                    "GasKeyFunctionCall": [
                        {"balance": "7", "num_nonces": 2},
                        {"allowance": None, "receiver_id": "bob.near", "method_names": ["a"]},
                    ]
                },
            },
        }
    },
    {
        "GasKeyNonce": {
            "account_id": "alice.near",
            "public_key": "ed25519:11111111111111111111111111111111",
            "index": 1,
            "nonce": 9,
        }
    },
    {
        "ReceivedData": {
            "account_id": "alice.near",
            "data_id": "11111111111111111111111111111111",
            "data": None,
        }
    },
    {
        "Account": {
            "account_id": "alice.near",
            "account": {
                "amount": "1",
                "locked": "2",
                "code_hash": "11111111111111111111111111111111",
                "storage_usage": 3,
                "version": "V2",
                "global_contract_account_id": "bob.near",
            },
        }
    },
    {
        "Account": {
            "account_id": "alice.near",
            "account": {
                "amount": "1",
                "locked": "0",
                "code_hash": "11111111111111111111111111111111",
                "storage_usage": 3,
                "version": "V1",
                "state": "uninitialized",
                "bootstrap_nonce": 4,
            },
        }
    },
]


@pytest.mark.parametrize("record", OTHERS)
def test_record_comes_back_as_it_was(record: dict[str, Any]) -> None:
    assert state_record_to_json(state_record_from_json(record)) == record


def test_records_of_nears_own_genesis_come_back_as_they_were() -> None:
    records = json.loads(gzip.decompress(GENESIS.read_bytes()))["records"]
    assert [state_record_to_json(state_record_from_json(record)) for record in records] == records


@pytest.mark.parametrize(
    "record",
    [
        None,
        {},
        {"Account": {}},
        {"Nothing": {"account_id": "alice.near"}},
        {"DelayedReceipt": {"account_id": "alice.near"}},
        {"Data": {"account_id": "alice.near", "data_key": "?", "value": ""}},
        {"Data": {"account_id": "alice.near", "data_key": 3, "value": ""}},
        {"Data": {"account_id": "A B", "data_key": "", "value": ""}},
        {"Data": {"account_id": 5, "data_key": "", "value": ""}},
        {"Data": {"account_id": "a", "data_key": "", "value": ""}},
    ],
)
def test_what_is_no_record_is_refused(record: Any) -> None:
    with pytest.raises(InvalidStateRecord):
        state_record_from_json(record)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "-5"),
        ("amount", str(2**128)),
        ("amount", 1.5),
        ("amount", " 7 "),
        ("amount", "1_0"),
        ("amount", True),
        ("amount", None),
        ("locked", "-1"),
        ("storage_usage", -1),
        ("storage_usage", 2**64),
        ("code_hash", "111"),
        ("global_contract_hash", "111"),
        ("global_contract_account_id", "A B"),
        ("version", "V9"),
    ],
)
def test_what_no_account_can_hold_is_refused(field: str, value: Any) -> None:
    """Before anything is written: a number has its width, a hash its size, an id its form."""
    fields = OTHERS[-2]["Account"]["account"]
    wanted = {
        name: old for name, old in fields.items() if not field.startswith("global") or "global" not in name
    }
    state_record_from_json({"Account": {"account_id": "alice.near", "account": fields}})
    with pytest.raises(InvalidStateRecord):
        state_record_from_json({"Account": {"account_id": "alice.near", "account": {**wanted, field: value}}})


@pytest.mark.parametrize("nonce", [-1, 2**64, "x", 1.0])
def test_what_no_key_can_hold_is_refused(nonce: Any) -> None:
    key = {"nonce": nonce, "permission": "FullAccess"}
    public_key = "ed25519:11111111111111111111111111111111"
    with pytest.raises(InvalidStateRecord, match="64 bits"):
        state_record_from_json(
            {"AccessKey": {"account_id": "alice.near", "public_key": public_key, "access_key": key}}
        )
