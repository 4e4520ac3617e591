"""Reads bitcoin transactions from whole blocks with Python's standard library alone.

A program of its own, run by file: it shares no line with the adapter whose work it looks at. It takes a list of
``{"url", "transaction_id"}`` on standard input and prints a list of facts, or of ``{"error"}``.

It walks from the tip back to the block that holds the transaction: each block's header hashes to what the next one
names, satisfies its own target, and commits to the block's transactions. How many blocks that took are the
confirmations; what was spent is read from the transactions that paid it, whose ids are hashes too.
"""

import hashlib
import itertools
import json
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

DEPTH_MAX = 1_000
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
PREFIX = "bcrt"


class Contradiction(Exception):
    """What the node says does not fit together."""


def must(is_true: bool, text: str) -> None:
    """Raises ``Contradiction`` unless it is true."""
    if not is_true:
        raise Contradiction(text)


def sha256d(data: bytes) -> bytes:
    """Bitcoin's hash."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


@dataclass
class Transaction:
    """The part of a transaction that money is in."""

    transaction_id: str
    inputs: list[tuple[str, int]]
    outputs: list[tuple[int, bytes]]


class Reader:
    """Bytes from the front on."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        must(self.at + size <= len(self.data), "the bytes end too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        """Little-endian."""
        return int.from_bytes(self.take(size), "little")

    def count(self) -> int:
        """A compact size."""
        first = self.number(1)
        return first if first < 0xFD else self.number({0xFD: 2, 0xFE: 4, 0xFF: 8}[first])

    def transaction(self) -> Transaction:
        """With or without witnesses (BIP-144); the id is the hash of the form without."""
        version = self.take(4)
        has_witness = self.data[self.at] == 0
        if has_witness:
            must(self.take(2) == b"\0\1", "unknown flags")
        start = self.at
        inputs = []
        for _ in range(self.count()):
            inputs.append((self.take(32)[::-1].hex(), self.number(4)))
            self.take(self.count())
            self.take(4)
        outputs = [(self.number(8), self.take(self.count())) for _ in range(self.count())]
        core = self.data[start : self.at]
        if has_witness:
            for _ in inputs:
                for _ in range(self.count()):
                    self.take(self.count())
        lock_time = self.take(4)
        return Transaction(sha256d(version + core + lock_time)[::-1].hex(), inputs, outputs)


def read_block(raw: bytes, block_hash: str) -> tuple[str, list[Transaction]]:
    """The hash of the block before, and the transactions. Raises ``Contradiction``."""
    header = raw[:80]
    found = sha256d(header)
    must(found[::-1].hex() == block_hash, "the block has another hash")
    bits = int.from_bytes(header[72:76], "little")
    target = (bits & 0x7FFFFF) << 8 * ((bits >> 24) - 3)
    must(int.from_bytes(found, "little") <= target, "the block lacks its work")
    reader = Reader(raw)
    reader.take(80)
    transactions = [reader.transaction() for _ in range(reader.count())]
    level = [bytes.fromhex(one.transaction_id)[::-1] for one in transactions]
    while len(level) > 1:
        level += level[-1:] * (len(level) % 2)
        level = [sha256d(left + right) for left, right in zip(level[::2], level[1::2], strict=True)]
    must(level[0] == header[36:68], "the block does not commit to its transactions")
    return header[4:36][::-1].hex(), transactions


def call(url: str, method: str, *params: Any) -> Any:
    """One method of Core's RPC."""
    body = json.dumps({"jsonrpc": "1.0", "id": "witness", "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = json.load(answer)
    except urllib.error.HTTPError as error:
        content = json.load(error)
    must(content["error"] is None, f"{method}: {content['error']}")
    return content["result"]


def read_transaction(url: str, transaction_id: str) -> dict[str, Any]:
    """The facts about one transaction. Raises ``Contradiction``."""
    block_hash = call(url, "getbestblockhash")
    for confirmations in itertools.count(1):
        must(confirmations <= DEPTH_MAX, f"the last {DEPTH_MAX} blocks do not hold it")
        before, transactions = read_block(bytes.fromhex(call(url, "getblock", block_hash, 0)), block_hash)
        found = next((one for one in transactions if one.transaction_id == transaction_id), None)
        if found is not None:
            break
        must(before != "0" * 64, "no block holds it")
        block_hash = before
    assert found is not None, "the loop ends with it"
    spent = []
    for parent_id, index in found.inputs:
        parent = Reader(bytes.fromhex(call(url, "getrawtransaction", parent_id))).transaction()
        must(parent.transaction_id == parent_id, "the node gave another transaction")
        spent.append(parent.outputs[index])
    senders = {script for _, script in spent}
    must(len(senders) == 1, "several addresses pay")
    (own,) = senders
    paid = [(amount, script) for amount, script in found.outputs if script != own]
    return {
        "by": "blocks, read with Python's standard library",
        "sender": format_address(own),
        "receiver": ", ".join(format_address(script) for _, script in paid),
        "amount": sum(amount for amount, _ in paid),
        "fee": sum(amount for amount, _ in spent) - sum(amount for amount, _ in found.outputs),
        "has_succeeded": True,
        "confirmations": confirmations,
    }


def format_address(script: bytes) -> str:
    """Of a witness program on regtest (BIP-173, BIP-350); the script's hex for others."""
    if not (len(script) in (22, 34) and script[0] in (0, 0x51) and script[1] == len(script) - 2):
        return script.hex()
    version = script[0] & 15
    bits = "".join(f"{byte:08b}" for byte in script[2:])
    bits += "0" * (-len(bits) % 5)
    data = [version, *(int(bits[at : at + 5], 2) for at in range(0, len(bits), 5))]
    expanded = [ord(char) >> 5 for char in PREFIX] + [0] + [ord(char) & 31 for char in PREFIX]
    sum_ = _polymod(expanded + data + [0] * 6) ^ (0x2BC830A3 if version else 1)
    data += [sum_ >> 5 * (5 - at) & 31 for at in range(6)]
    return PREFIX + "1" + "".join(BECH32[value] for value in data)


def _polymod(values: list[int]) -> int:
    sum_ = 1
    for value in values:
        top = sum_ >> 25
        sum_ = (sum_ & 0x1FFFFFF) << 5 ^ value
        for at, term in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            sum_ ^= term if top >> at & 1 else 0
    return sum_


def main() -> None:
    """Facts for each line of the question."""
    facts: list[dict[str, Any]] = []
    for question in json.load(sys.stdin):
        try:
            facts.append(read_transaction(question["url"], question["transaction_id"]))
        except (Contradiction, OSError, ValueError, KeyError, IndexError) as error:
            facts.append({"error": f"{type(error).__name__}: {error}"})
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
