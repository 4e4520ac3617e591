"""Reads transactions of EVM chains with web3.py alone, and believes no answer that another one contradicts.

A program of its own, run by file: it shares no line with the adapter whose work it looks at. It takes a list of
``{"url", "chain_id", "transaction_id"}`` on standard input and prints a list of facts, or of ``{"error"}``.

For each transaction: its bytes hash to its id and its sender is recovered from them; its block names it; the block's
receipts hash to the root in the header; what the receipt says it cost follows from the bytes and the header; balances
and the sender's count before and after the block differ by exactly that.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import rlp  # type: ignore[import-untyped]  # it has no types
import web3 as web3_package
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import Web3Exception

LEGACY_FIELDS = 9
FEE_VAULT = Web3.to_checksum_address("0x420000000000000000000000000000000000001a")
"""L1FeeVault, a predeployed contract of every chain of the OP stack."""


class Contradiction(Exception):
    """Two answers of the endpoint do not fit together."""


def must(is_true: bool, text: str) -> None:
    """Raises ``Contradiction`` unless it is true."""
    if not is_true:
        raise Contradiction(text)


def read_transaction(client: Web3, chain_id: int, transaction_id: str) -> dict[str, Any]:
    """The facts about one transaction. Raises ``Contradiction`` or a ``Web3Exception``."""
    must(client.eth.chain_id == chain_id, f"the endpoint serves chain {client.eth.chain_id}")
    raw = bytes(client.eth.get_raw_transaction(transaction_id))  # type: ignore[arg-type]
    must("0x" + bytes(Web3.keccak(raw)).hex() == transaction_id, "the bytes are another transaction's")
    fields = decode(raw)
    sender = Account.recover_transaction(raw)
    receipt = client.eth.get_transaction_receipt(transaction_id)  # type: ignore[arg-type]
    number = receipt["blockNumber"]
    block: Any = client.eth.get_block(number)
    must(receipt["blockHash"] == block["hash"], "the receipt names another block")
    hashes = ["0x" + bytes(one).hex() for one in block["transactions"]]
    must(hashes.count(transaction_id) == 1, "the receipt's block does not hold the transaction")
    index = hashes.index(transaction_id)
    must(receipt["transactionIndex"] == index, "the receipt names another place in the block")
    receipts = [
        receipt if one == transaction_id else client.eth.get_transaction_receipt(one)  # type: ignore[arg-type]
        for one in hashes
    ]
    root = compute_root([encode_receipt(one) for one in receipts])
    must(root == bytes(block["receiptsRoot"]), "the receipts are not those of the block's header")
    gas_before = receipts[index - 1]["cumulativeGasUsed"] if index else 0
    must(receipt["gasUsed"] == receipt["cumulativeGasUsed"] - gas_before, "the receipt's gas is wrong")
    price = compute_price(fields, block.get("baseFeePerGas"))
    must(receipt["effectiveGasPrice"] == price, "the receipt's price is wrong")
    must(
        len(hashes) == 1, "the block holds other transactions too: balances would not tell this one's effect"
    )
    fee = receipt["gasUsed"] * price + read_parent_fee(client, number)
    has_succeeded = receipt["status"] == 1
    count = client.eth.get_transaction_count
    must(count(sender, number - 1) <= fields["nonce"] < count(sender, number), "the sender's count is wrong")
    receiver = Web3.to_checksum_address(fields["to"] or receipt["contractAddress"] or "")
    paid = fields["value"] if has_succeeded and receiver != sender else 0
    change = client.eth.get_balance(sender, number) - client.eth.get_balance(sender, number - 1)
    # A contract may pay the sender back, never take more.
    must(change >= -paid - fee, "the sender's balance fell by more than amount and fee")
    is_plain = not client.eth.get_code(receiver)
    must(change == -paid - fee or not is_plain, "the sender's balance did not fall by amount and fee")
    gained = client.eth.get_balance(receiver, number) - client.eth.get_balance(receiver, number - 1)
    must(gained == paid or not is_plain or receiver == sender, "the receiver did not get the amount")
    return {
        "sender": sender,
        "receiver": receiver,
        "nonce": fields["nonce"],
        "amount": fields["value"],
        "fee": fee,
        "has_succeeded": has_succeeded,
        "confirmations": client.eth.block_number - number + 1,
        "height": number,
        "logs": [
            {
                "address": log["address"],
                "topics": [bytes(topic).hex() for topic in log["topics"]],
                "data": bytes(log["data"]).hex(),
            }
            for log in receipt["logs"]
        ],
    }


def read_parent_fee(client: Web3, number: int) -> int:
    """What a chain of the OP stack charged for the block's data on its parent chain: all of it goes to one vault."""
    if not client.eth.get_code(FEE_VAULT):
        return 0
    return client.eth.get_balance(FEE_VAULT, number) - client.eth.get_balance(FEE_VAULT, number - 1)


def decode(raw: bytes) -> dict[str, Any]:
    """Nonce, receiver, amount and prices, from the signed bytes."""
    if raw[0] > 0x7F:
        parts: Any = rlp.decode(raw)
        must(len(parts) == LEGACY_FIELDS, "not a legacy transaction")
        names = ("nonce", "gasPrice", "gas", "to", "value")
        found = dict(zip(names, parts, strict=False))
        return {
            name: value if name == "to" else int.from_bytes(value, "big") for name, value in found.items()
        }
    fields: dict[str, Any] = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    return fields


def compute_price(fields: dict[str, Any], base_price: int | None) -> int:
    """Wei per gas, by the rule of EIP-1559."""
    if base_price is None or "gasPrice" in fields:
        return int(fields["gasPrice"])
    return int(min(fields["maxFeePerGas"], base_price + fields["maxPriorityFeePerGas"]))


def encode_receipt(receipt: Any) -> bytes:
    """A receipt as the block's receipt trie holds it (EIP-2718)."""
    kind = int(receipt["type"])
    logs = [
        [bytes.fromhex(log["address"][2:]), [bytes(topic) for topic in log["topics"]], bytes(log["data"])]
        for log in receipt["logs"]
    ]
    parts = [int(receipt["status"]), receipt["cumulativeGasUsed"], bytes(receipt["logsBloom"]), logs]
    body: bytes = rlp.encode(parts)
    return body if kind == 0 else bytes([kind]) + body


def compute_root(values: Sequence[bytes]) -> bytes:
    """The root of the trie that maps the index of each value to it."""
    entries = []
    for index, value in enumerate(values):
        key: bytes = rlp.encode(index)
        entries.append(([nibble for byte in key for nibble in (byte >> 4, byte & 15)], value))
    return bytes(Web3.keccak(rlp.encode(_make_node(entries))))


def _make_node(entries: list[tuple[list[int], bytes]]) -> list[Any]:
    if len(entries) == 1:
        ((path, value),) = entries
        return [_pack(path, is_leaf=True), value]
    shared = 0
    while len({tuple(path[: shared + 1]) for path, _ in entries}) == 1:
        shared += 1
    if shared:
        rest = [(path[shared:], value) for path, value in entries]
        return [_pack(entries[0][0][:shared], is_leaf=False), _refer(_make_node(rest))]
    children = []
    for nibble in range(16):
        below = [(path[1:], value) for path, value in entries if path and path[0] == nibble]
        children.append(_refer(_make_node(below)) if below else b"")
    return [*children, b""]  # No index is the beginning of another one's encoding.


def _refer(node: list[Any]) -> Any:
    encoded: bytes = rlp.encode(node)
    return node if len(encoded) < 32 else bytes(Web3.keccak(encoded))


def _pack(path: list[int], *, is_leaf: bool) -> bytes:
    flag = 2 * is_leaf + len(path) % 2
    nibbles = [flag, *path] if len(path) % 2 else [flag, 0, *path]
    return bytes(16 * high + low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))


def main() -> None:
    """Facts for each line of the question."""
    facts: list[dict[str, Any]] = []
    for question in json.load(sys.stdin):
        client = Web3(Web3.HTTPProvider(question["url"], request_kwargs={"timeout": 10}))
        try:
            found = read_transaction(client, question["chain_id"], question["transaction_id"])
        except (Contradiction, Web3Exception, OSError, ValueError, KeyError, TypeError) as error:
            facts.append({"error": f"{type(error).__name__}: {error}"})
            continue
        facts.append({"by": f"web3.py {web3_package.__version__}", **found})
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
