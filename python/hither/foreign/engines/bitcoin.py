"""The embedded Bitcoin node as an engine: started as a child of its own, spoken to over loopback.

Regtest. With instant blocks each transaction that is sent is in a block when the answer comes; else ``mine`` makes
them.
The folder keeps the chain over a stop of any kind.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hither.foreign.bitcoin_addresses import REGTEST
from hither.foreign.caip import ChainId
from hither.foreign.engines import UnknownSnapshot, faucet
from hither.foreign.engines.bitcoin_faucet import FAUCET_ADDRESS
from hither.foreign.engines.bitcoin_rpc import UNKNOWN_SNAPSHOT
from hither.foreign.engines.gate import CONTROL_PATH
from hither.foreign.engines.ports import must_be_free
from hither.foreign.engines.process import Child, start_child
from hither.foreign.errors import EndpointError, EngineError, TransportError
from hither.foreign.transport import JsonRpc, RetryPolicy

READY_SECONDS_MAX: Final = 30.0
_MODULE: Final = "hither.foreign.engines.bitcoin_server"


@dataclass(frozen=True, slots=True)
class BitcoinOptions:
    """``home`` keeps the chain; ``port`` 0 takes a free one."""

    home: Path
    port: int = 0
    is_instant: bool = True
    log_path: Path | None = None


class BitcoinEngine:
    """A running node. Made by ``start_bitcoin``."""

    chain: Final[ChainId] = REGTEST.chain

    def __init__(self, url: str, child: Child) -> None:
        self.url = url
        self._child = child
        # It is on this machine: either it answers or it is gone.
        self._rpc = JsonRpc(url + CONTROL_PATH, policy=RetryPolicy(attempts=1), timeout_seconds=60.0)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def process_id(self) -> int:
        """Of the node."""
        return self._child.process_id

    async def call(self, method: str, *params: Any) -> Any:
        """Core's JSON-RPC. Raises ``EndpointError``."""
        return await self._rpc.call(method, params, is_repeatable=False)

    async def is_healthy(self) -> bool:
        """Whether it answers, and as this chain."""
        if not self._child.is_running:
            return False
        try:
            return bool(await self._rpc.call("getblockhash", [0]) == REGTEST.genesis_hash)
        except (TransportError, EndpointError):
            return False

    async def fund(self, address: str, amount: int) -> str:
        """Satoshis from the faucet; returns the transaction's id once it is in a block."""
        return await faucet.fund(self.chain, self.url, address, amount)

    async def mine(self, blocks: int = 1) -> None:
        """Make blocks at once; the faucet gets their coins."""
        await self.call("generatetoaddress", blocks, FAUCET_ADDRESS)

    async def hold(self) -> None:
        """Take up nothing."""
        await self.call("hither_hold")

    async def release(self) -> None:
        """Go on."""
        await self.call("hither_release")

    async def snapshot(self, name: str) -> None:
        """Remember the present under a name, over a stop of any kind too."""
        await self.call("hither_snapshot", name)

    async def revert(self, name: str) -> None:
        """Go back to a snapshot, which uses up it and all later ones. Raises ``UnknownSnapshot``."""
        try:
            await self.call("hither_revert", name)
        except EndpointError as error:
            if error.rpc_code == UNKNOWN_SNAPSHOT:
                raise UnknownSnapshot(f"Bitcoin: {error}") from error
            raise

    async def persist(self) -> None:
        """Wait until the folder holds the present."""
        await self.call("hither_persist")

    async def stop(self) -> None:
        """End it and wait until it has ended."""
        await self._rpc.close()
        await self._child.stop()


async def start_bitcoin(options: BitcoinOptions) -> BitcoinEngine:
    """Start a node and wait until it answers. Raises ``EngineError``."""
    must_be_free(options.port)
    arguments = [sys.executable, "-m", _MODULE, "--home", str(options.home), "--port", str(options.port)]
    arguments += ["--blocks", "instant" if options.is_instant else "manual"]
    child = start_child("the Bitcoin node", arguments, log_path=options.log_path)
    output = await child.wait_until(_is_ready, READY_SECONDS_MAX)
    ready = json.loads(_find_ready_line(output))
    engine = BitcoinEngine(ready["url"], child)
    if not await engine.is_healthy():
        await engine.stop()
        raise EngineError("the Bitcoin node does not answer as regtest")
    return engine


def _is_ready(output: str) -> bool:
    return bool(_find_ready_line(output))


def _find_ready_line(output: str) -> str:
    """The line of JSON that it prints once it answers; empty before."""
    lines = output.split("\n")[:-1]
    return next((line for line in lines if line.startswith("{")), "")
