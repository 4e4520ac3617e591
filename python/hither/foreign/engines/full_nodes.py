"""Full nodes that judge: Bitcoin Knots and litecoind, on regtest, on loopback, without peers and without wallets.

They are fetched by set-up (``scripts/setup.d``) and are no part of a running network: the demo has its bitcoin payment
read again by one that was fed the development node's blocks (``read_payments``), and tests compare with them.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from hither.foreign.cache import find_cache
from hither.foreign.engines.ports import LOOPBACK, find_free_port
from hither.foreign.engines.process import Child, start_child
from hither.foreign.errors import EndpointError, EngineError, LyingEndpoint, TransportError
from hither.foreign.transport import JsonRpc, RetryPolicy

READY_SECONDS_MAX: Final = 30.0
_POLL_SECONDS: Final = 0.02
_WARMING_UP: Final = -28
_COMMON: Final = (
    "-regtest",
    "-server",
    "-listen=0",
    "-connect=0",
    "-dnsseed=0",
    "-disablewallet",
    "-txindex",
    "-rpcallowip=127.0.0.1",
    f"-rpcbind={LOOPBACK}",
    "-dbcache=8",
)
_OWN: Final = {
    # Core's relay policy instead of Knots' stricter one, and no date after which it refuses to start.
    "bitcoind": ("-corepolicy=1", "-softwareexpiry=0", "-persistmempool=0"),
    "litecoind": ("-persistmempool=0",),
}


def find_program(name: str) -> Path:
    """A full node or its command line, where set-up left it in the cache. Raises ``EngineError``."""
    path = find_cache() / "bitcoin-nodes" / "bin" / name
    if not os.access(path, os.X_OK):
        raise EngineError(f"{name} is not at {path}", hint="run `make setup`, which fetches it")
    return path


class FullNode:
    """A running node. Made by ``run_full_node``."""

    def __init__(self, port: int, cookie: Path, child: Child) -> None:
        self.port = port
        self._cookie = cookie
        self._child = child
        self._rpc: JsonRpc | None = None

    @property
    def rpc(self) -> JsonRpc:
        """Its JSON-RPC, with the credentials that it made."""
        assert self._rpc is not None, "made when it was ready"
        return self._rpc

    async def call(self, method: str, *params: Any) -> Any:
        """One request. Raises ``EndpointError``."""
        return await self.rpc.call(method, params, is_repeatable=False)

    async def wait_until_ready(self) -> None:
        """Raises ``EngineError``."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while self._child.is_running and time.monotonic() < deadline:
            if self._rpc is None and self._cookie.exists():
                user, _, password = self._cookie.read_text().partition(":")
                self._rpc = JsonRpc(
                    f"http://{LOOPBACK}:{self.port}",
                    policy=RetryPolicy(attempts=1),
                    timeout_seconds=60,
                    credentials=(user, password),
                )
            if self._rpc is not None:
                try:
                    await self._rpc.call("getblockcount")
                    return
                except TransportError:
                    pass
                except EndpointError as error:
                    if error.rpc_code != _WARMING_UP:
                        raise
            await asyncio.sleep(_POLL_SECONDS)
        raise EngineError(f"the full node did not become ready: {self._child.read_output()[-1000:].strip()}")

    async def feed(self, source: JsonRpc) -> None:
        """Give it the chain of another node. Raises ``LyingEndpoint`` when it does not take that for the best one."""
        tip = await source.call("getbestblockhash")
        missing = []
        block_hash = tip
        while not await self._has_block(block_hash):
            missing.append(await source.call("getblock", [block_hash, 0]))
            block_hash = (await source.call("getblockheader", [block_hash]))["previousblockhash"]
        for raw in reversed(missing):
            refusal = await self.call("submitblock", raw)
            # "inconclusive" is a good block on a branch that is not yet the longest.
            if refusal not in (None, "inconclusive"):
                raise LyingEndpoint(f"the full node refuses a block of {source.host}: {refusal}")
        found = await self.call("getbestblockhash")
        if found != tip:
            raise LyingEndpoint(f"the full node is at {found}, {source.host} at {tip}")

    async def _has_block(self, block_hash: str) -> bool:
        try:
            await self.call("getblockheader", block_hash)
        except EndpointError:
            return False
        return True

    async def close(self) -> None:
        """End it and wait until it has ended."""
        if self._rpc is not None:
            await self._rpc.close()
        await self._child.stop()


@contextlib.asynccontextmanager
async def run_full_node(name: str = "bitcoind", home: Path | None = None) -> AsyncIterator[FullNode]:
    """A node as long as the block runs, in a folder, or in one that is gone afterwards. Raises ``EngineError``."""
    with contextlib.ExitStack() as ending:
        if home is None:
            home = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="hither-full-node-")))
        port = find_free_port()
        arguments = [str(find_program(name)), *_COMMON, *_OWN[name], f"-datadir={home}", f"-rpcport={port}"]
        cookie = home / "regtest" / ".cookie"
        cookie.unlink(missing_ok=True)
        node = FullNode(port, cookie, start_child(name, arguments, log_path=home / "output.log"))
        try:
            await node.wait_until_ready()
            yield node
        finally:
            await node.close()


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """A confirmed transaction as a full node tells it; amounts in satoshis, by address."""

    transaction_id: str
    confirmations: int
    height: int
    fee: int
    taken: dict[str, int]
    paid: dict[str, int]


async def read_payments(url: str, transaction_ids: Sequence[str]) -> list[PaymentFacts]:
    """What Bitcoin Knots says of transactions once it has checked every block of the node at ``url``.

    It takes nothing from that node but blocks, each of which it validates. Raises ``LyingEndpoint`` when it does not
    take the node's chain, or knows no such transaction in it; ``EngineError`` when it does not start.
    """
    source = JsonRpc(url)
    try:
        async with run_full_node() as node:
            await node.feed(source)
            return [await _read_payment(node, transaction_id) for transaction_id in transaction_ids]
    finally:
        await source.close()


async def _read_payment(node: FullNode, transaction_id: str) -> PaymentFacts:
    found = await _find_transaction(node, transaction_id)
    inputs = [(one["prevout"]["scriptPubKey"], one["prevout"]["value"]) for one in found["vin"]]
    outputs = [(one["scriptPubKey"], one["value"]) for one in found["vout"]]
    header = await node.call("getblockheader", found["blockhash"])
    return PaymentFacts(
        transaction_id,
        int(found["confirmations"]),
        int(header["height"]),
        _count_satoshis(found["fee"]),
        _sum_by_address(inputs),
        _sum_by_address(outputs),
    )


async def _find_transaction(node: FullNode, transaction_id: str) -> dict[str, Any]:
    """The index of transactions follows the blocks a moment later."""
    while True:
        height = await node.call("getblockcount")
        index = (await node.call("getindexinfo", "txindex"))["txindex"]
        if index["best_block_height"] >= height:
            break
        await asyncio.sleep(_POLL_SECONDS)
    try:
        found = dict(await node.call("getrawtransaction", transaction_id, 2))
    except EndpointError as error:
        raise LyingEndpoint(f"the full node knows no transaction {transaction_id}: {error}") from error
    if int(found.get("confirmations") or 0) < 1:
        raise LyingEndpoint(f"the full node has {transaction_id} in no block")
    return found


def _sum_by_address(parts: Sequence[tuple[dict[str, Any], Any]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for script, value in parts:
        owner = str(script.get("address", script["hex"]))
        sums[owner] = sums.get(owner, 0) + _count_satoshis(value)
    return sums


def _count_satoshis(bitcoins: Any) -> int:
    return int((Decimal(repr(bitcoins)) * 10**8).to_integral_value())
