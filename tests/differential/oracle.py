"""Ask NEAR's own types: a child process that answers lines of JSON (``rust/oracle``)."""

import base64
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


def find_oracle() -> str:
    """The program that ``make setup`` built."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/hither/target"))
    for path in (ROOT / ".venv/bin/hither-oracle", target / "release/hither-oracle"):
        if path.exists():
            return str(path)
    found = shutil.which("hither-oracle")
    assert found is not None, "make setup builds the oracle"
    return found


class Refused(Exception):
    """The oracle does not take the bytes or the text; the message is NEAR's."""


class Decoded(NamedTuple):
    """What NEAR makes of bytes: the bytes it would write, a hash and a view where there is one."""

    bytes: bytes
    hash: str | None
    view: Any


class Oracle:
    """One child process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([find_oracle()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> "Oracle":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ask(self, **question: Any) -> Any:
        """The answer, or ``Refused``."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(question).encode() + b"\n")
        stdin.flush()
        line = stdout.readline()
        assert line, f"the oracle died of {str(question)[:500]}"
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    def decode(self, type_name: str, data: bytes) -> Decoded:
        """Borsh of a named type."""
        answer = self.ask(op="decode", type=type_name, bytes=to_base64(data))
        return Decoded(base64.b64decode(answer["bytes"]), answer["hash"], answer["view"])

    def try_decode(self, type_name: str, data: bytes) -> "Decoded | Refused":
        """The same with the refusal as a value."""
        try:
            return self.decode(type_name, data)
        except Refused as refused:
            return refused

    def reprint(self, type_name: str, value: Any) -> Any:
        """Parse JSON as a named type (views, errors; RPC answers by method) and print it again."""
        return self.ask(op="reprint", type=type_name, json=value)

    def parse_text(self, type_name: str, text: str) -> str:
        """The canonical text of a key, signature, hash or account id."""
        answer: str = self.ask(op="text", type=type_name, text=text)
        return answer

    def derive(self, what: str, **given: Any) -> Any:
        """Derived ids, Merkle trees, outcome hashes, trie keys."""
        return self.ask(op="derive", what=what, **given)


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@cache
def get_oracle() -> Oracle:
    """One for the whole test run; it ends when its standard input does."""
    return Oracle()
