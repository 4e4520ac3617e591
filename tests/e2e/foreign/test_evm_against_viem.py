"""EVM bytes against viem, a library in another language than ours and eth-account."""

import json
import os
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from eth_utils import to_checksum_address

from hither.crypto.hashing import keccak256
from hither.foreign import evm_abi as abi
from hither.foreign import evm_messages as messages
from hither.foreign import evm_transactions as codec
from hither.foreign.caip import parse_chain_id
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.evm_user_operations import EntryPointVersion, UserOperation, hash_user_operation
from tests.unit.foreign.test_evm_messages import DOCUMENTS
from tests.unit.foreign.test_evm_transactions import ALICE, ALICE_KEY, CASES, sign

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).with_name("evm_viem.mjs")
SECRET = "0x" + ALICE.secret.hex()
BOB = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def ask(*questions: dict[str, Any]) -> list[str]:
    """One run of node for all of them."""
    cache = Path(os.environ.get("HITHER_CACHE") or Path.home() / ".cache" / "hither")
    lock = sha256((ROOT / "tests/e2e/chainsig/package-lock.json").read_bytes()).hexdigest()[:16]
    viem = cache / "chainsig" / lock / "node_modules" / "viem"
    lines = "\n".join(json.dumps(to_json(question)) for question in questions)
    result = subprocess.run(["node", PROGRAM, viem], input=lines, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    answers: list[str] = json.loads(result.stdout)
    return answers


def to_json(value: Any) -> Any:
    """Numbers as marked texts, bytes as hexadecimal ones."""
    if isinstance(value, dict):
        return {key: to_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(part) for part in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return f"n{value}" if isinstance(value, int) and not isinstance(value, bool) else value


def to_viem(transaction: codec.EvmTransaction) -> dict[str, Any]:
    """As viem takes it."""
    kinds = {
        codec.LegacyTransaction: "legacy",
        codec.AccessListTransaction: "eip2930",
        codec.FeeMarketTransaction: "eip1559",
        codec.SetCodeTransaction: "eip7702",
    }
    fields: dict[str, Any] = {
        "type": kinds[type(transaction)],
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "gas": transaction.gas_limit,
        "value": transaction.amount,
        "data": transaction.data,
    }
    if transaction.receiver:
        fields["to"] = to_checksum_address(transaction.receiver)
    if isinstance(transaction, codec.LegacyTransaction):
        return {**fields, "gasPrice": transaction.gas_price}
    fields["accessList"] = [
        {"address": to_checksum_address(address), "storageKeys": list(keys)}
        for address, keys in transaction.access_list
    ]
    if isinstance(transaction, codec.AccessListTransaction):
        return {**fields, "gasPrice": transaction.gas_price}
    fields["maxFeePerGas"] = transaction.gas_price_max
    fields["maxPriorityFeePerGas"] = transaction.priority_fee_max
    if isinstance(transaction, codec.SetCodeTransaction):
        fields["authorizationList"] = [
            {
                "chainId": signed.authorization.chain_id,
                "address": to_checksum_address(signed.authorization.delegate),
                "nonce": signed.authorization.nonce,
                "yParity": signed.parity,
                "r": signed.r.to_bytes(32, "big"),
                "s": signed.s.to_bytes(32, "big"),
            }
            for signed in transaction.authorizations
        ]
    return fields


# viem takes ids, nonces as JavaScript's numbers, and refuses a tip above the price.
TRANSACTIONS = {
    name: transaction
    for name, transaction in CASES.items()
    if getattr(transaction, "priority_fee_max", 0) <= getattr(transaction, "gas_price_max", 0)
}


def test_transactions_have_the_same_bytes() -> None:
    """Digest before signing and the whole afterwards, of all four types."""
    bodies = [codec.encode_unsigned(transaction) for transaction in TRANSACTIONS.values()]
    questions = [
        {"kind": kind, "transaction": to_viem(transaction), "secret": SECRET}
        for kind in ("digest", "signed")
        for transaction in TRANSACTIONS.values()
    ]
    ours = [keccak256(body) for body in bodies]
    ours += [codec.attach(ALICE_KEY, body, sign(body)) for body in bodies]
    for (name, kind), own, other in zip(
        [(name, kind) for kind in ("digest", "signed") for name in TRANSACTIONS],
        ours,
        ask(*questions),
        strict=True,
    ):
        assert "0x" + own.hex() == other, f"{kind} of {name}"


def test_authorizations_have_the_same_signature() -> None:
    """r, s and parity; both sign deterministically."""
    authorization = codec.Authorization(8453, b"\3" * 20, 77)
    fields = {"chainId": 8453, "address": to_checksum_address(b"\3" * 20), "nonce": 77}
    (other,) = ask({"kind": "authorization", "authorization": fields, "secret": SECRET})
    signature = ALICE.ecdsa.sign_recoverable(authorization.digest, hasher=None)
    assert other == "0x" + signature.hex()


def test_messages_have_the_same_hashes() -> None:
    """Personal ones and typed data."""
    raws = [b"", b"hello", bytes(32), b"\xff" * 300]
    questions = [{"kind": "message", "raw": raw} for raw in raws]
    questions += [{"kind": "typed", "document": document} for document in DOCUMENTS.values()]
    ours = [messages.hash_message(raw) for raw in raws]
    ours += [messages.hash_typed_data(document) for document in DOCUMENTS.values()]
    assert ask(*questions) == ["0x" + own.hex() for own in ours]


def test_calls_have_the_same_bytes() -> None:
    """Nested tuples, arrays of arrays, empty ones."""
    calls: list[tuple[str, list[Any]]] = [
        ("transfer(address,uint256)", [BOB, 2**256 - 1]),
        ("f()", []),
        ("g(bytes,string,bool,bytes4,int8)", [b"\1" * 33, "ä ₿ 🦊", True, b"abcd", -128]),
        ("h(uint256[],uint256[2][],string[])", [[], [[1, 2], [3, 4]], ["", "x" * 40]]),
        ("k((address,(bytes,uint8)[])[],bytes32)", [[[BOB, [[b"", 255]]], [BOB, []]], b"\7" * 32]),
    ]
    questions = [{"kind": "call", "signature": signature, "args": args} for signature, args in calls]
    assert ask(*questions) == ["0x" + abi.encode_call(*call).hex() for call in calls]


@pytest.mark.parametrize("version", list(EntryPointVersion))
def test_user_operations_have_the_same_hash(version: EntryPointVersion) -> None:
    """Plain, with a factory, with a paymaster."""
    entry_point = "0x0000000071727De22E5E9d8BAf0edAc6f37da032"
    plain = UserOperation(BOB, 7, b"\1\2\3", 10, 20, 30, 40, 5)
    factory = UserOperation(BOB, 2**70, b"", 1, 2, 3, 4, 5, creation=b"\3" * 20 + b"\4" * 7)
    limits = (11).to_bytes(16, "big") + (12).to_bytes(16, "big")
    paid = UserOperation(BOB, 0, b"x", 1, 2, 3, 4, 5, paymaster=b"\5" * 20 + limits + b"data")
    info = get_evm_chain(parse_chain_id("eip155:10"))
    extras: list[dict[str, Any]] = [
        {},
        {"factory": to_checksum_address(b"\3" * 20), "factoryData": b"\4" * 7},
        {
            "paymaster": to_checksum_address(b"\5" * 20),
            "paymasterVerificationGasLimit": 11,
            "paymasterPostOpGasLimit": 12,
            "paymasterData": b"data",
        },
    ]
    operations = (plain, factory, paid)
    questions = []
    for operation, extra in zip(operations, extras, strict=True):
        fields = {
            "sender": operation.sender,
            "nonce": operation.nonce,
            "callData": operation.call_data,
            "callGasLimit": operation.call_gas,
            "verificationGasLimit": operation.verification_gas,
            "preVerificationGas": operation.before_verification_gas,
            "maxFeePerGas": operation.gas_price_max,
            "maxPriorityFeePerGas": operation.priority_fee_max,
            "signature": b"",
            **extra,
        }
        questions.append(
            {
                "kind": "operation",
                "chainId": 10,
                "entryPoint": entry_point,
                "version": version.value,
                "operation": fields,
            }
        )
    ours = [hash_user_operation(operation, entry_point, info, version) for operation in operations]
    assert ask(*questions) == ["0x" + own.hex() for own in ours]
