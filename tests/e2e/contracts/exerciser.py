"""Programs for the exerciser: which host functions a call makes, with which arguments.

The form is in contracts/exerciser/src/lib.rs, whose table gives the numbers.
"""

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3] / "contracts/exerciser/src/lib.rs"
EXTRAS = {"unreachable": 200, "spin": 201, "descend": 202, "grow": 203, "copy": 204, "store": 205}


def read_numbers() -> dict[str, int]:
    """Name to number, from the table in the source."""
    text = SOURCE.read_text(encoding="utf-8")
    table = text[text.index("\nhost_functions! {") :]
    return {name: int(number) for number, name in re.findall(r"^    (\d+) (\w+)\(", table, re.MULTILINE)}


NUMBERS = read_numbers() | EXTRAS


@dataclass(frozen=True)
class Scratch:
    """An address in the contract's zeroed memory."""

    offset: int


@dataclass(frozen=True)
class Result:
    """What an earlier step returned."""

    step: int


@dataclass(frozen=True)
class Address:
    """Where some data is; ``Program.data`` makes them."""

    offset: int


Argument = int | Scratch | Result | Address


@dataclass
class Program:
    """Steps of one call. ``call`` gives the step's result for later ones."""

    _data: bytearray = field(default_factory=bytearray)
    _steps: bytearray = field(default_factory=bytearray)
    _count: int = 0

    def data(self, content: bytes) -> tuple[int, Address]:
        """Size and address of some bytes, as host functions take them."""
        offset = len(self._data)
        self._data += content
        return len(content), Address(offset)

    def amount(self, value: int) -> Address:
        """The address of an amount of tokens."""
        return self.data(value.to_bytes(16, "little"))[1]

    def call(self, name: str, *arguments: Argument) -> Result:
        """Call a host function or an extra."""
        self._steps.append(NUMBERS[name])
        for argument in arguments:
            match argument:
                case Address(offset):
                    kind, value = 1, offset
                case Result(step):
                    kind, value = 2, step
                case Scratch(offset):
                    kind, value = 3, offset
                case _:
                    kind, value = 0, argument
            self._steps += struct.pack("<BQ", kind, value)
        self._count += 1
        return Result(self._count - 1)

    def return_register(self, register: int, size: int) -> "Program":
        """Give so many bytes of a register back as the value of the call."""
        self.call("read_register", register, Scratch(4096))
        self.call("value_return", size, Scratch(4096))
        return self

    def return_result(self, result: Result) -> "Program":
        """Give a step's result back as eight bytes."""
        self.call("store", Scratch(0), result)
        self.call("value_return", 8, Scratch(0))
        return self

    def encode(self) -> bytes:
        """The input of the call."""
        return struct.pack("<I", len(self._data)) + bytes(self._data) + bytes(self._steps)
