"""Files of state: what is read, what is refused, and how it is sent."""

import base64
import json
from typing import Any

import pytest

from hither.client import state_records
from hither.client.state_records import InvalidStateFile, import_records, make_key_record, read_records
from hither.codec import base58
from hither.crypto.hashing import sha256
from hither.primitives.state_record import state_record_from_json

CODE = b"\0asm\1\0\0\0"
KEY = "ed25519:" + base58.encode(bytes(range(32)))


def make_account(account_id: str, code: bytes | None = None) -> Any:
    """A record of an account."""
    account = {
        "amount": "5",
        "locked": "0",
        "code_hash": "1" * 32 if code is None else base58.encode(sha256(code)),
        "storage_usage": 182,
        "version": "V1",
    }
    return {"Account": {"account_id": account_id, "account": account}}


def make_code(account_id: str, code: bytes) -> Any:
    """A record of code."""
    return {"Contract": {"account_id": account_id, "code": base64.b64encode(code).decode()}}


DATA = {"Data": {"account_id": "a.near", "data_key": "a2V5", "value": "dg=="}}


def test_array_and_genesis_are_read() -> None:
    """The same records either way."""
    records = [make_account("a.near", CODE), make_code("a.near", CODE), DATA]
    assert read_records(json.dumps(records)) == records
    assert read_records(json.dumps({"chain_id": "x", "records": records})) == records


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("7", "expected an array"),
        ({"genesis": []}, "expected an array"),
        ([make_account("a.near"), {"Nonsense": {"account_id": "a.near"}}], "record 1: .*Nonsense"),
        ([make_account("a.near"), {"Data": {"account_id": "a.near", "data_key": "?"}}], "record 1"),
        ([make_account("a.near"), make_account("a.near")], "record 1: a.near has the same Account twice"),
        ([make_account("a.near"), DATA, DATA], "record 2: a.near has the same Data twice"),
        ([DATA], "a.near has records, but no account"),
        ([make_account("a.near", CODE)], "a.near: the code is not the one"),
        ([make_account("a.near"), make_code("a.near", CODE)], "a.near: the code is not the one"),
        ([make_account("a.near", CODE), make_code("a.near", CODE + b"x")], "a.near: the code is not the one"),
    ],
)
def test_wrong_files_are_refused(content: Any, message: str) -> None:
    """With the place, before anything is sent."""
    with pytest.raises(InvalidStateFile, match=message):
        read_records(content if isinstance(content, str) else json.dumps(content))


def test_accounts_come_first_and_calls_stay_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code may only come when its account is there; a record larger than a batch goes alone."""
    monkeypatch.setattr(state_records, "BATCH_BYTES_MAX", 400)
    sent: list[list[Any]] = []
    records = [DATA, make_code("a.near", CODE * 100), make_account("a.near", CODE * 100)]
    count = import_records(records, lambda _method, params: sent.append(params["records"]))
    assert count == len(sent) == 2
    assert sent == [[records[2], records[0]], [records[1]]]


def test_gas_key_with_a_function_is_split_as_records_have_it() -> None:
    """Views tell its two parts as one object."""
    fields = {"balance": "7", "num_nonces": 2, "allowance": None, "receiver_id": "b.near", "method_names": []}
    listed = {"public_key": KEY, "access_key": {"nonce": 0, "permission": {"GasKeyFunctionCall": fields}}}
    state_record_from_json(make_key_record("a.near", listed))
