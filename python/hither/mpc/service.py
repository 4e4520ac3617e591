"""The signing network at work: follow the chain, sign what is asked, answer the contract.

The follower reads each new block's changes of the contract's data: a request that appears is a request to sign, one
that disappears was answered. When a development chain goes back, the follower goes back with it and forgets what
it saw; stores never go back.
"""

import asyncio
import contextlib
import logging
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hither.client import AsyncClient, BlockSummary, ClientError, ExecutionFailed, Signer, UnknownBlock
from hither.client.operations import Finality
from hither.codec import base58
from hither.mpc import engine
from hither.mpc.ceremony import Plan, Progress, ensure_keys, get_state, list_root_keys
from hither.mpc.engine import Effect, Event, GiveUp, Request, SendResponse, StartSigning
from hither.mpc.local import Domain, LocalNetwork, NotSigned
from hither.mpc.requests import decode_storage_key, decode_waiting, request_to_json, signature_to_json

logger = logging.getLogger(__name__)

POLL_S: Final = 0.02
RESPOND_GAS: Final = "300 Tgas"
STOCK_PER_SET: Final = 3


@dataclass(slots=True)
class Follower:
    """How far the chain has been read."""

    height: int
    block_hash: str


class SigningService:
    """Runs the engine of one process's nodes against the chain behind ``client``."""

    def __init__(self, client: AsyncClient, plan: Plan, network: LocalNetwork) -> None:
        self._client = client
        self._plan = plan
        self._network = network
        self._state = engine.State(tuple(network.participants))
        self._tasks: set[asyncio.Task[None]] = set()
        self._epoch_id = 0
        self.domains: tuple[Domain, ...] = ()

    async def start(self, progress: Progress) -> None:
        """Make keys if there are none, and a first stock. Raises CeremonyFailed."""
        self.domains = await ensure_keys(self._client, self._plan, self._network, progress)
        signing = [domain for domain in self.domains if domain.purpose == "Sign"]
        progress("filling the stock of presignatures")
        await asyncio.to_thread(self._network.fill_stock, signing, self._epoch_id, STOCK_PER_SET)
        self._network.keep_stock(signing, self._epoch_id, STOCK_PER_SET)

    async def describe(self) -> dict[str, Any]:
        """What programs need to know: the contract, its domains' root keys, and how many nodes sign."""
        state = await get_state(self._client, self._plan.contract_id)
        return {
            "contract_id": self._plan.contract_id,
            "nodes": len(self._network.nodes),
            "threshold": self._network.threshold,
            "domains": list_root_keys(state),
        }

    async def run(self) -> None:
        """Follow the chain until cancelled."""
        head = await self._client.get_block(Finality.OPTIMISTIC)
        # What already waits was asked for while nobody listened.
        await self._read_waiting(head.height)
        follower = Follower(head.height, head.hash)
        try:
            while True:
                try:
                    await self._follow(follower)
                except ClientError as error:
                    logger.warning("the chain does not answer: %s", error)
                await asyncio.sleep(POLL_S)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _follow(self, follower: Follower) -> None:
        head = await self._client.get_block(Finality.OPTIMISTIC)
        async for block in self._blocks_between(follower.height, head.height):
            header = block["header"]
            if header["prev_hash"] != follower.block_hash:
                break
            await self._read_block(block)
            follower.height, follower.block_hash = header["height"], header["hash"]
        if follower.block_hash != head.hash:
            await self._start_over(follower, head)
        self._dispatch(engine.Tick(_now_ms(), head.height))

    async def _start_over(self, follower: Follower, head: BlockSummary) -> None:
        """The chain went back, and perhaps on again: only what waits now counts."""
        logger.info("the chain went back from height %d and is at %d", follower.height, head.height)
        self._state = engine.State(self._state.participants)
        await self._read_waiting(head.height)
        follower.height, follower.block_hash = head.height, head.hash

    async def _blocks_between(self, after: int, until: int) -> AsyncIterator[dict[str, Any]]:
        for height in range(after + 1, until + 1):
            try:
                yield await self._client.request("block", {"block_id": height}, is_repeatable=True)
            except UnknownBlock:
                continue  # Heights that were skipped have no block.

    async def _read_block(self, block: dict[str, Any]) -> None:
        height = block["header"]["height"]
        params = {
            "block_id": height,
            "changes_type": "data_changes",
            "account_ids": [self._plan.contract_id],
            "key_prefix_base64": "AA==",
        }
        answer = await self._client.request("EXPERIMENTAL_changes", params, is_repeatable=True)
        entropy = base58.decode(block["header"]["random_value"])
        for entry in answer["changes"]:
            self._read_change(height, entropy, entry["type"], entry["change"])

    def _read_change(self, height: int, entropy: bytes, kind: str, change: dict[str, str]) -> None:
        request = decode_storage_key(b64decode(change["key_base64"]))
        if request is None:
            return
        if kind == "data_deletion":
            self._dispatch(engine.Gone(request))
            return
        # Equal requests share one answer: the first yield names them all.
        waiting = decode_waiting(b64decode(change["value_base64"]))
        self._dispatch(engine.Seen(Request(waiting[0], request, entropy, height), _now_ms()))

    async def _read_waiting(self, height: int) -> None:
        block = await self._client.request("block", {"block_id": height}, is_repeatable=True)
        entropy = base58.decode(block["header"]["random_value"])
        state = await self._client.get_state(self._plan.contract_id, prefix=b"\0", at=height)
        for key, value in state.items():
            request = decode_storage_key(key)
            if request is not None:
                id_ = decode_waiting(value)[0]
                self._dispatch(engine.Seen(Request(id_, request, entropy, height), _now_ms()))

    def _dispatch(self, event: Event) -> None:
        self._state, effects = engine.step(self._state, event)
        for effect in effects:
            task = asyncio.create_task(self._perform(effect))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case StartSigning(request, order):
                await self._sign(request, order)
            case SendResponse():
                await self._respond(effect)
            case GiveUp(request, reason):
                logger.error("gave up a request of domain %d: %s", request.request.domain_id, reason)

    async def _sign(self, request: Request, order: Sequence[int]) -> None:
        try:
            signature = await asyncio.to_thread(self._network.sign, request, self._epoch_id, order)
        except NotSigned as error:
            logger.warning("no signature from leader %d: %s", order[0], error)
            self._dispatch(engine.Failed(request.id, str(error), _now_ms()))
            return
        self._dispatch(engine.Signed(request.id, signature))

    async def _respond(self, effect: SendResponse) -> None:
        args = {
            "request": request_to_json(effect.request.request),
            "response": signature_to_json(effect.signature),
        }
        signer: Signer = self._plan.node_signers[effect.leader]
        try:
            await self._client.call(self._plan.contract_id, "respond", args, gas=RESPOND_GAS, signer=signer)
        except ExecutionFailed as error:
            if "timed out, was completed, or never existed" in str(error):
                # Somebody was quicker, or nobody waits any more.
                self._dispatch(engine.Gone(effect.request.request))
                return
            self._dispatch(engine.Failed(effect.request.id, str(error), _now_ms()))
        except ClientError as error:
            self._dispatch(engine.Failed(effect.request.id, str(error), _now_ms()))


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@contextlib.asynccontextmanager
async def serve(
    rpc_url: str, plan: Plan, network: LocalNetwork, progress: Progress
) -> AsyncIterator[SigningService]:
    """A network that answers requests for as long as the context is open."""
    async with AsyncClient(rpc_url) as client:
        service = SigningService(client, plan, network)
        await service.start(progress)
        running = asyncio.create_task(service.run())
        try:
            yield service
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
