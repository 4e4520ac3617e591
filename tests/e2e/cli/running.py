"""Programs of the command line, started as a person starts them, and ended with the test."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hither.foreign.engines.ports import find_network_offset
from hither.sdk.endpoints import NoNetwork, read_endpoints

NODE_PORT = 3030
READY_S_MAX = 180
PROGRAMS = Path(sys.executable).parent


def hither(*arguments: str, home: Path, timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    environment = os.environ | {"HITHER_HOME": str(home)}
    command = [str(PROGRAMS / "hither"), *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def must_hither(*arguments: str, home: Path) -> str:
    """The same; its output, and a failed test if the command failed."""
    result = hither(*arguments, home=home)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip()


class Network:
    """A running ``hither up``."""

    def __init__(self, home: Path, *arguments: str, is_alone: bool = True) -> None:
        self.home = home
        self.offset = find_network_offset()
        command = [str(PROGRAMS / "hither"), "up", "--home", str(home), "--port-offset", str(self.offset)]
        if is_alone:
            command.append("--alone")  # Quicker, and enough for most.
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.must_become(lambda: self._is_ready(), "ready")
        self.endpoints = read_endpoints(home)
        self.url: str = self.endpoints["near"]["rpc_url"]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.text
        try:
            return bool(read_endpoints(self.home)["pid"] == self.process.pid)
        except NoNetwork:
            return False

    @property
    def text(self) -> str:
        """Everything printed so far."""
        return "\n".join(self.lines)

    def get_key(self, account_id: str) -> str:
        """The secret key of a funded account."""
        accounts = self.endpoints["near"]["accounts"]
        return str(next(row["secret_key"] for row in accounts if row["account_id"] == account_id))

    def must_become(self, is_true: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + READY_S_MAX
        while not is_true():
            assert time.monotonic() < deadline, f"not {what} in {READY_S_MAX} s:\n{self.text}"
            time.sleep(0.01)

    def must_show(self, text: str) -> None:
        """Wait until the program has printed something."""
        self.must_become(lambda: text in self.text, f"showing {text!r}")

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self._reader.join(timeout=60)
        return code


@contextlib.contextmanager
def network(home: Path, *arguments: str, is_alone: bool = True) -> Iterator[Network]:
    """A network for the length of a block: our chain, with everything beside it unless alone."""
    running = Network(home, *arguments, is_alone=is_alone)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
