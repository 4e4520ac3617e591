"""The table of errors: constructors, and every error of the recordings fits it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hither.crypto.keys import PublicKey
from hither.primitives import errors
from tests.vectors.recording import CHAINS, RecordedChain


def test_errors_are_tagged_by_their_name() -> None:
    """Alone, around a value, around fields; balances as text, keys as text."""
    assert errors.make_error("InvalidTxError", "Expired") == "Expired"
    inner = errors.make_error(
        "ActionsValidationError", "TotalNumberOfActionsExceeded", limit=1, total_number_of_actions=2
    )
    assert inner == {"TotalNumberOfActionsExceeded": {"limit": 1, "total_number_of_actions": 2}}
    assert errors.make_error("InvalidTxError", "ActionsValidation", inner) == {"ActionsValidation": inner}
    key = PublicKey(0, bytes(32))
    error = errors.make_error(
        "InvalidAccessKeyError",
        "NotEnoughAllowance",
        account_id="a.near",
        public_key=key,
        allowance=10**30,
        cost=1,
    )
    assert error == {
        "NotEnoughAllowance": {
            "account_id": "a.near",
            "allowance": "1" + "0" * 30,
            "cost": "1",
            "public_key": "ed25519:11111111111111111111111111111111",
        }
    }
    kind = errors.make_error("ActionErrorKind", "DelegateActionExpired")
    assert errors.make_action_error(2, kind) == {"ActionError": {"index": 2, "kind": "DelegateActionExpired"}}


@pytest.mark.parametrize(
    ("enum", "value"),
    [
        ("InvalidTxError", "Nothing"),
        ("InvalidTxError", {"Expired": {}}),
        ("InvalidTxError", "NotEnoughBalance"),
        ("InvalidTxError", {"NotEnoughBalance": {"signer_id": "a", "balance": 1, "cost": "1"}}),
        ("InvalidTxError", {"NotEnoughBalance": {"signer_id": "a", "balance": "1"}}),
        ("InvalidTxError", {"NotEnoughBalance": {"signer_id": "a", "balance": "01", "cost": "1"}}),
        ("InvalidTxError", {"InvalidNonce": {"tx_nonce": "1", "ak_nonce": 1}}),
        ("InvalidTxError", {"InvalidNonce": {"tx_nonce": 2**64, "ak_nonce": 1}}),
        ("InvalidTxError", {"ActionsValidation": "Expired"}),
        ("ActionError", {"index": 0}),
        ("TxExecutionError", {"ActionError": {"index": None, "kind": {"FunctionCallError": "HostError"}}}),
        ("HostError", ["GasExceeded"]),
    ],
)
def test_misfits_are_named(enum: str, value: Any) -> None:
    """Wrong names, wrong fields, wrong kinds of numbers."""
    assert errors.explain_misfit(enum, value) is not None


def find_errors(value: Any) -> Iterator[Any]:
    """Every ``Failure`` and every refusal inside a recorded answer."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "Failure" or (name == "TxExecutionError"):
                yield inner
            else:
                yield from find_errors(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from find_errors(inner)


@pytest.mark.slow
def test_recorded_errors_fit() -> None:
    """Every failure that NEAR's node showed, refusals included."""
    found = set()
    for folder in CHAINS.values():
        chain = RecordedChain(folder)
        for name in chain.group_names:
            group = chain.read_group(name)
            bodies = [line["body"] for line in group.get("send") if line.get("body", "").startswith("{")]
            answers = [json.loads(body) for body in bodies]
            for error in find_errors([group.get("tx_status"), group.get("case"), answers]):
                assert errors.explain_misfit("TxExecutionError", error) is None
                found.add(str(error))
    assert len(found) > 200
