"""Programs for the exerciser contract of ``contracts/exerciser``, and calls that run them."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hither_native import Call, ChunkState, Trie

CONTRACT = Path(__file__).parents[3] / "contracts" / "exerciser"

ACCOUNT = "ex.near"
CODE_KEY = b"\x01" + ACCOUNT.encode()
TGAS = 10**12
YOCTO_NEAR = 10**24

HOST_FUNCTIONS = {
    name: int(number)
    for number, name in re.findall(
        r"^ {4}(\d+) (\w+)\(", (CONTRACT / "src" / "lib.rs").read_text(), flags=re.MULTILINE
    )
}
EXTRAS = {"trap": 200, "spin": 201, "descend": 202, "memory_grow": 203, "copy": 204, "poke": 205}


@dataclass(frozen=True)
class Argument:
    """A word by its kind: 0 itself, 1 address of data, 2 result of a step, 3 address of scratch."""

    kind: int
    value: int

    def encode(self) -> bytes:
        """As the contract reads it."""
        return bytes([self.kind]) + self.value.to_bytes(8, "little")


def result_of(step: int) -> Argument:
    """What an earlier step gave."""
    return Argument(2, step)


def scratch(offset: int) -> Argument:
    """An address for the host to write to."""
    return Argument(3, offset)


@dataclass
class Program:
    """Data and steps of one input."""

    data: bytearray = field(default_factory=bytearray)
    steps: list[bytes] = field(default_factory=list)

    def pair(self, value: bytes) -> tuple[Argument, Argument]:
        """Size and address of bytes."""
        return Argument(0, len(value)), self.at(value)

    def at(self, value: bytes) -> Argument:
        """Address of bytes."""
        offset = len(self.data)
        self.data += value
        return Argument(1, offset)

    def amount(self, value: int) -> Argument:
        """Address of a balance."""
        return self.at(value.to_bytes(16, "little"))

    def step(self, name: str, *arguments: "int | Argument | tuple[Argument, Argument]") -> int:
        """Add a call of the host; gives the step's number."""
        number = HOST_FUNCTIONS[name] if name in HOST_FUNCTIONS else EXTRAS[name]
        words = bytearray([number])
        for argument in arguments:
            items = argument if isinstance(argument, tuple) else (argument,)
            for item in items:
                words += (item if isinstance(item, Argument) else Argument(0, item)).encode()
        self.steps.append(bytes(words))
        return len(self.steps) - 1

    def return_register(self, register: int) -> None:
        """Give back what is in a register."""
        self.step("value_return", 2**64 - 1, register)

    def encode(self) -> bytes:
        """The call's input."""
        return len(self.data).to_bytes(4, "little") + bytes(self.data) + b"".join(self.steps)


def read_code(protocol_version: int) -> bytes:
    """The exerciser that links at a version."""
    name = "exerciser.wasm" if protocol_version == 88 else f"exerciser_{protocol_version}.wasm"
    return (CONTRACT / name).read_bytes()


def make_state(code: bytes, extra: list[tuple[bytes, bytes]] | None = None) -> ChunkState:
    """A state with the account and its code."""
    return ChunkState(make_trie(code, extra))


def make_trie(code: bytes, extra: list[tuple[bytes, bytes]] | None = None) -> Trie:
    """The same, as a trie."""
    return Trie().update([(b"\x00" + ACCOUNT.encode(), b"account"), (CODE_KEY, code), *(extra or [])])


def make_call(code: bytes, method: str = "run", args: bytes = b"", **changes: Any) -> Call:
    """A call of the account's contract by alice."""
    code_hash = hashlib.sha256(code).digest()
    fields: dict[str, Any] = {
        "protocol_version": 88,
        "chain_id": "localnet",
        "current_account_id": ACCOUNT,
        "signer_account_id": "alice.near",
        "signer_public_key": bytes(33),
        "predecessor_account_id": "alice.near",
        "refund_to_account_id": "alice.near",
        "method_name": method,
        "args": args,
        "promise_results": [],
        "block_height": 10,
        "block_timestamp": 1_000,
        "epoch_height": 1,
        "account_balance": 1_000 * YOCTO_NEAR,
        "account_locked_balance": 0,
        "storage_usage": 10_000,
        "account_contract": b"\x01" + code_hash,
        "code_hash": code_hash,
        "code_key": CODE_KEY,
        "attached_deposit": 0,
        "prepaid_gas": 300 * TGAS,
        "random_seed": bytes(32),
        "output_data_receivers": [],
        "action_hash": b"\x07" * 32,
        "validators": [],
        "recorded_size_before_receipt": 0,
    }
    return Call(**(fields | changes))
