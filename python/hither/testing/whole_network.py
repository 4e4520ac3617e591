"""`hither up` for the length of a test run: our chain, the signing network, Bitcoin, EVM chains and Solana."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hither.foreign.engines.ports import find_network_offset
from hither.foreign.errors import EngineError
from hither.sdk import BlockingAccount
from hither.sdk.endpoints import NoNetwork, read_endpoints
from hither.sdk.network import Network
from hither.sdk.snapshots import revert, take_snapshot
from hither.testing.abroad import ContractAbroad
from hither.testing.chain import Chain, Contract

READY_S_MAX: Final = 120.0
POLL_S: Final = 0.02
STOP_S_MAX: Final = 20.0


class WholeNetwork:
    """A running network. ``endpoints`` is the content of its endpoints.json."""

    def __init__(self, home: Path, endpoints: dict[str, Any]) -> None:
        self.home = home
        self.endpoints = endpoints
        self.url: str = endpoints["near"]["rpc_url"]
        self.signer_id: str = endpoints["mpc"]["contract_id"]
        self._opened: list[BlockingAccount | Chain] = []
        self._chain: Chain | None = None

    @property
    def chain(self) -> Chain:
        """Our chain, with all that the fixture ``chain`` can: ``network.chain.deploy("counter.wasm")``."""
        if self._chain is None:
            self._chain = Chain(self.url)
            self._opened.append(self._chain)
        return self._chain

    def abroad(self, contract: Contract, chain: str, path: str) -> ContractAbroad:
        """A contract's address on another chain, for one of its paths."""
        return ContractAbroad(Network.from_endpoints(self.endpoints), contract.id, chain, path)

    def account(self, account_id: str) -> BlockingAccount:
        """An account on every chain: one of the funded ones, or one whose key is kept in the home."""
        account = BlockingAccount.load(account_id, home=self.home)
        self._opened.append(account)
        return account

    @contextlib.contextmanager
    def anchor(self) -> Iterator[None]:
        """Whatever happens on any chain within has not happened afterwards. Signing nodes forget nothing."""
        snapshot_id = asyncio.run(take_snapshot(self.endpoints, self.home))
        try:
            yield
        finally:
            while self._opened:
                self._opened.pop().close()
            self._chain = None
            asyncio.run(revert(self.endpoints, self.home, snapshot_id))


@contextlib.contextmanager
def run_whole_network(home: Path) -> Iterator[WholeNetwork]:
    """Start ``hither up`` on a home and stop it in the end; it ends with this process too. Raises ``EngineError``."""
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "hither.cli.main", "up", "--while-stdin", "--quiet", "--home", str(home)]
    command += ["--port-offset", str(find_network_offset())]
    log = home / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield WholeNetwork(home, wait_until_ready(process, home, log))
    finally:
        process.terminate()
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def wait_until_ready(process: subprocess.Popen[bytes], home: Path, log: Path) -> dict[str, Any]:
    """The endpoints, once they are there. Raises ``EngineError`` with what the program said."""
    deadline = time.monotonic() + READY_S_MAX
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(NoNetwork):
            return read_endpoints(home)
        time.sleep(POLL_S)
    said = log.read_text(errors="replace")[-2_000:]
    raise EngineError(f"the network did not start: {said}", hint=f"the whole log is {log}")
