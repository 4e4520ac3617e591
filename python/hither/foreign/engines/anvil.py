"""anvil, one process a chain id: a development chain for every EVM network.

A block is made at once for each transaction. What anvil does not model: the fees that rollups pay to their parent
chain, and their precompiled contracts.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hither.foreign.caip import ChainId
from hither.foreign.engines.process import LOOPBACK, Child, must_be_free, start_child
from hither.foreign.errors import EngineError, InvalidChainId, TransportError
from hither.foreign.transport import JsonRpc, RetryPolicy

READY_SECONDS_MAX: Final = 10.0
_LISTENING: Final = re.compile(r"^Listening on 127\.0\.0\.1:(\d+)$", re.MULTILINE)
_KEY: Final = re.compile(r"^\(\d+\) (0x[0-9a-f]{64})$", re.MULTILINE)
_BALANCE_ETHER: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class AnvilOptions:
    """``port`` 0 takes a free one; ``state_path`` keeps the chain over an orderly stop."""

    chain: ChainId
    port: int = 0
    state_path: Path | None = None
    log_path: Path | None = None


def find_anvil() -> Path:
    """The program that set-up left in the cache. Raises ``EngineError``."""
    cache = Path(os.environ.get("HITHER_CACHE") or Path.home() / ".cache" / "hither")
    path = cache / "tools" / "anvil"
    if not os.access(path, os.X_OK):
        raise EngineError(f"anvil is not at {path}", hint="run `make setup`, which fetches it")
    return path


class Anvil:
    """A running anvil. Made by ``start_anvil``."""

    def __init__(self, chain: ChainId, port: int, child: Child, development_keys: tuple[bytes, ...]) -> None:
        self.chain = chain
        self.port = port
        self.development_keys = development_keys
        self._child = child
        # It is on this machine: either it answers or it is gone.
        self._rpc = JsonRpc(self.url, policy=RetryPolicy(attempts=1))

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def process_id(self) -> int:
        """Of anvil itself."""
        return self._child.process_id

    async def is_healthy(self) -> bool:
        """Whether it answers, and as this chain."""
        if not self._child.is_running:
            return False
        try:
            return int(await self._rpc.call("eth_chainId"), 16) == int(self.chain.reference)
        except TransportError:
            return False

    async def fund(self, address: str, amount: int) -> str:
        """A transfer from the first development account; returns its id once it is in a block."""
        transfer = {"from": await self._get_funder(), "to": address, "value": hex(amount)}
        # One call that answers with the receipt; mining is asynchronous otherwise.
        receipt = await self._rpc.call("eth_sendTransactionSync", [transfer], is_repeatable=False)
        if receipt["status"] != "0x1":
            raise EngineError(f"anvil's faucet did not pay {amount} wei to {address}")
        return str(receipt["transactionHash"])

    async def _get_funder(self) -> str:
        accounts = await self._rpc.call("eth_accounts")
        return str(accounts[0])

    async def mine(self, blocks: int = 1) -> None:
        """Make blocks at once."""
        await self._rpc.call("anvil_mine", [hex(blocks)], is_repeatable=False)

    async def stop(self) -> None:
        """End it and wait until it has ended."""
        await self._rpc.close()
        await self._child.stop()


async def start_anvil(options: AnvilOptions) -> Anvil:
    """Start a chain and wait until it answers. Raises ``EngineError``."""
    if options.chain.namespace != "eip155" or not options.chain.reference.isdecimal():
        raise InvalidChainId(f"{options.chain} is not an EVM chain")
    must_be_free(options.port)
    arguments = [str(find_anvil()), "--host", LOOPBACK, "--port", str(options.port)]
    arguments += ["--chain-id", options.chain.reference, "--balance", str(_BALANCE_ETHER), "--color", "never"]
    if options.state_path is not None:
        arguments += ["--state", str(options.state_path)]
    child = start_child(f"anvil ({options.chain})", arguments, log_path=options.log_path)
    output = await child.wait_until(lambda text: _LISTENING.search(text) is not None, READY_SECONDS_MAX)
    listening = _LISTENING.search(output)
    assert listening is not None, "waited for"
    keys = tuple(bytes.fromhex(key[2:]) for key in _KEY.findall(output))
    engine = Anvil(options.chain, int(listening[1]), child, keys)
    if not await engine.is_healthy():
        await engine.stop()
        raise EngineError(f"anvil does not answer as {options.chain}")
    return engine
