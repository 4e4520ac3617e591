"""anvil, one process a chain id: a development chain for every EVM network.

A block is made at once for each transaction. Chains of the OP stack run anvil's optimism mode and have the OP
stack's own contracts, whose prices for data anvil then charges; Arbitrum's have NodeInterface (``anvil_genesis``).
What is not modelled: rollups' own rules for the price of gas; Arbitrum's charge for data, and its other precompiled
contracts; those of the ZK Stack; anything that reaches the parent chain.
"""

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from hither.foreign.cache import find_cache
from hither.foreign.caip import ChainId
from hither.foreign.engines import UnknownSnapshot, faucet
from hither.foreign.engines.anvil_genesis import write_genesis
from hither.foreign.engines.anvil_journal import AnvilKeeper, dump_state, replace_file
from hither.foreign.engines.anvil_relay import Relay
from hither.foreign.engines.ports import LOOPBACK, must_be_free
from hither.foreign.engines.process import Child, start_child
from hither.foreign.errors import EngineError, TransportError
from hither.foreign.evm_chains import Family, get_evm_chain, read_chain_number
from hither.foreign.evm_rpc import read_quantity
from hither.foreign.transport import JsonRpc, RetryPolicy

READY_SECONDS_MAX: Final = 30.0
_LISTENING: Final = re.compile(r"^Listening on 127\.0\.0\.1:(\d+)$", re.MULTILINE)
_KEY: Final = re.compile(r"^\(\d+\) (0x[0-9a-f]{64})$", re.MULTILINE)
_BALANCE_ETHER: Final = 1_000_000_000
_OWN: Final = {
    Family.OP_STACK: ("--network", "optimism"),
    # Gas for the parent chain counts in a transaction's limit: 128 KiB at the lowest price take half of this. Arbitrum
    # One's blocks say 2^50, but here a contract that never ends must end.
    Family.ARBITRUM: ("--gas-limit", "4000000000"),
}


@dataclass(frozen=True, slots=True)
class AnvilOptions:
    """``port`` 0 takes a free one; ``folder`` keeps the chain, without one it is gone at the end."""

    chain: ChainId
    port: int = 0
    folder: Path | None = None
    log_path: Path | None = None


def find_anvil() -> Path:
    """The program that set-up left in the cache. Raises ``EngineError``."""
    path = find_cache() / "tools" / "anvil"
    if not os.access(path, os.X_OK):
        raise EngineError(f"anvil is not at {path}", hint="run `make setup`, which fetches it")
    return path


class _SnapshotFiles:
    """States by name, in a folder; oldest first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = folder / "snapshots.json"
        self.names: list[str] = []
        if self._index.exists():
            self.names = msgspec.json.decode(self._index.read_bytes(), type=list[str])

    def write(self, name: str, state: bytes) -> None:
        """The state first, then the name."""
        replace_file(self._get_path(name), state)
        self.names = [*(known for known in self.names if known != name), name]
        self._write_index()

    def read(self, name: str) -> bytes:
        """Its state."""
        return self._get_path(name).read_bytes()

    def remove_from(self, name: str) -> None:
        """It and all later ones."""
        gone = self.names[self.names.index(name) :]
        self.names = self.names[: self.names.index(name)]
        self._write_index()
        for one in gone:
            self._get_path(one).unlink(missing_ok=True)

    def _get_path(self, name: str) -> Path:
        return self._folder / f"snapshot-{name}.json"

    def _write_index(self) -> None:
        replace_file(self._index, msgspec.json.encode(self.names))


class Anvil:
    """A running anvil. Made by ``start_anvil``."""

    def __init__(self, options: AnvilOptions) -> None:
        self.chain = options.chain
        self.port = options.port
        self.development_keys: tuple[bytes, ...] = ()
        self._options = options
        self._child: Child | None = None
        self._rpc = JsonRpc("http://127.0.0.1")
        self._keeper: AnvilKeeper | None = None
        self._relay: Relay | None = None
        self._files = None if options.folder is None else _SnapshotFiles(options.folder)
        # Of this process: name -> anvil's own number for it, and how many came before.
        self._live: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def process_id(self) -> int:
        """Of anvil itself."""
        assert self._child is not None, "made by start_anvil"
        return self._child.process_id

    async def start(self) -> None:
        """Run the program and wait until it answers, at the present that the folder keeps. Raises ``EngineError``."""
        has_folder = self._options.folder is not None
        if has_folder and self._relay is None:
            self._relay = Relay(self.port, self._keep)
            self.port = self._relay.port
        with _find_beginning(self._options) as beginning:
            self._child = _start_child(self._options, 0 if has_folder else self.port, beginning)
            output = await self._child.wait_until(
                lambda text: _LISTENING.search(text) is not None, READY_SECONDS_MAX
            )
        listening = _LISTENING.search(output)
        assert listening is not None, "waited for"
        port = int(listening[1])
        self.development_keys = tuple(bytes.fromhex(key[2:]) for key in _KEY.findall(output))
        await self._rpc.close()
        # It is on this machine: either it answers or it is gone.
        policy = RetryPolicy(attempts=1)
        self._rpc = JsonRpc(f"http://{LOOPBACK}:{port}", policy=policy, timeout_seconds=60.0)
        if not await self.is_healthy():
            await self.stop()
            raise EngineError(f"anvil does not answer as {self.chain}")
        if self._options.folder is None or self._relay is None:
            self.port = port
            return
        self._keeper = AnvilKeeper(self._options.folder, self._rpc, port)
        await self._keeper.restore()
        await self._keeper.watch(f"ws://{LOOPBACK}:{port}")
        await self._relay.start(port)

    async def is_healthy(self) -> bool:
        """Whether it answers, and as this chain."""
        if self._child is None or not self._child.is_running:
            return False
        try:
            number = read_quantity(await self._rpc.call("eth_chainId"))
        except TransportError:
            return False
        return number == read_chain_number(self.chain)

    async def fund(self, address: str, amount: int) -> str:
        """A transfer from the first development account; returns its id once it is in a block."""
        transaction_id = await faucet.fund(self.chain, self.url, address, amount)
        await self._keep()
        return transaction_id

    async def mine(self, blocks: int = 1) -> None:
        """Make blocks at once."""
        await self._rpc.call("anvil_mine", [hex(blocks)], is_repeatable=False)
        await self._keep()

    async def _keep(self) -> None:
        """Before we tell of a block it is in the journal."""
        if self._keeper is not None:
            await self._keeper.keep_present()

    async def hold(self) -> None:
        """Take up nothing and answer nobody; without a folder there is nothing between anvil and its clients."""
        if self._relay is not None:
            self._relay.gate.hold()

    async def release(self) -> None:
        """Go on."""
        if self._relay is not None:
            self._relay.gate.release()

    async def snapshot(self, name: str) -> None:
        """Remember the present under a name; with a folder, over a stop too."""
        if self._files is not None:
            state, _ = await dump_state(self._rpc)
            self._files.write(name, state)
        self._live.pop(name, None)
        self._live[name] = await self._rpc.call("evm_snapshot", is_repeatable=False)

    async def revert(self, name: str) -> None:
        """Go back to it. One of an earlier process needs a new process, at the same port."""
        if name not in (self._live if self._files is None else self._files.names):
            raise UnknownSnapshot(f"{self.chain} has no snapshot {name!r}; it may have been used")
        state = None if self._files is None else self._files.read(name)
        number = self._live.get(name)
        if number is not None:
            if not await self._rpc.call("evm_revert", [number], is_repeatable=False):
                raise EngineError(f"anvil did not go back to the snapshot {name!r}")
            if self._keeper is not None:
                await self._keeper.write_state()
        else:
            assert state is not None and self._keeper is not None and self._child is not None
            await self._keeper.forget(state)
            await self._end()
            await self.start()
        names = list(self._live)
        self._live = {one: self._live[one] for one in names[: names.index(name) if name in names else 0]}
        if self._files is not None:
            self._files.remove_from(name)

    async def persist(self) -> None:
        """Write the whole present."""
        if self._keeper is not None:
            await self._keeper.write_state()

    async def stop(self) -> None:
        """End it and wait until it has ended."""
        if self._keeper is not None and await self.is_healthy():
            await self._keeper.write_state()
        if self._relay is not None:
            await self._relay.stop()
        await self._end()
        await self._rpc.close()

    async def _end(self) -> None:
        if self._keeper is not None:
            await self._keeper.stop()
            self._keeper = None
        if self._child is not None:
            await self._child.stop()


def _start_child(options: AnvilOptions, port: int, beginning: Sequence[str]) -> Child:
    arguments = [str(find_anvil()), "--host", LOOPBACK, "--port", str(port)]
    arguments += ["--chain-id", options.chain.reference, "--balance", str(_BALANCE_ETHER), "--color", "never"]
    arguments += [*_OWN.get(get_evm_chain(options.chain).family, ()), *beginning]
    return start_child(f"anvil ({options.chain})", arguments, log_path=options.log_path)


@contextlib.contextmanager
def _find_beginning(options: AnvilOptions) -> Iterator[Sequence[str]]:
    """How anvil is told its state, else its genesis; the file is there while it starts."""
    state_path = None if options.folder is None else options.folder / "state.json"
    if state_path is not None and state_path.exists():
        yield ["--load-state", str(state_path)]
        return
    genesis = write_genesis(get_evm_chain(options.chain), int(time.time()))
    if genesis is None:
        yield []
    else:
        with tempfile.NamedTemporaryFile(prefix="hither-genesis-", suffix=".json") as file:
            file.write(genesis)
            file.flush()
            yield ["--init", file.name]


async def start_anvil(options: AnvilOptions) -> Anvil:
    """Start a chain and wait until it answers. Raises ``EngineError``, ``InvalidChainId``."""
    read_chain_number(options.chain)
    must_be_free(options.port)
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    engine = Anvil(options)
    await engine.start()
    return engine
