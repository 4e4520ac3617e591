"""Reading the chain as it grows: which requests come, and which are answered.

Each new block's changes of the contract's data are read: a request that appears is one to sign, one that disappears was
answered. Blocks are not final yet. When the chain goes back, everything that was seen is forgotten and the last
blocks are read anew; stores never go back. A request is known by the block that it came in, whoever reads it and
whenever.
"""

import logging
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hither.client import AsyncClient, ClientError, RpcError, UnknownBlock
from hither.client.operations import Finality
from hither.codec import base58
from hither.codec.borsh import InvalidBorsh
from hither.mpc.engine import LIFE_BLOCKS, Request
from hither.mpc.requests import (
    REQUEST_PREFIXES,
    AnyRequest,
    decode_storage_key,
    decode_waiting,
    encode_storage_key,
)

logger = logging.getLogger(__name__)
BEHIND_BLOCKS_MAX: Final = 10
TOO_LARGE: Final = "TOO_LARGE_CONTRACT_STATE"


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told: of a request that came, of one that is gone, and that everything begins anew."""

    seen: Callable[[Request], None]
    gone: Callable[[AnyRequest], None]
    over: Callable[[], None]


class Follower:
    """How far one reader has read. Raises ClientError from everything that reads."""

    def __init__(self, client: AsyncClient, contract_id: str, listener: Listener) -> None:
        self._client = client
        self._contract_id = contract_id
        self._listener = listener
        self.height = 0
        self.time_s = 0
        """The chain's clock, whole seconds; 0 before anything was read."""
        self._block_hash = ""

    async def follow(self) -> int:
        """Read what is new; the height of the chain's head."""
        head = await self._client.get_block(Finality.OPTIMISTIC)
        self.time_s = head.timestamp_ns // 10**9
        if head.hash == self._block_hash:
            return head.height
        new = await self._find_new(str(head.hash)) if self._block_hash else None
        if new is None:
            if self._block_hash:
                logger.info("the chain went back from height %d and is at %d", self.height, head.height)
                self._listener.over()
            await self._begin(await self._find_first(str(head.hash), head.height))
        else:
            for block in reversed(new):
                await self._read_block(block, self._listener)
        return head.height

    async def _begin(self, blocks: list[dict[str, Any]]) -> None:
        """Tell of what still waits after these blocks alone: nobody is to work for what was answered in them."""
        waiting: dict[tuple[bytes, bytes], Request] = {}

        def see(request: Request) -> None:
            waiting.setdefault((encode_storage_key(request.request), request.id), request)

        def lose(request: AnyRequest) -> None:
            gone = encode_storage_key(request)
            for name in [name for name in waiting if name[0] == gone]:
                del waiting[name]

        try:
            for block in reversed(blocks):
                await self._read_block(block, Listener(see, lose, self._listener.over))
        except ClientError:
            self._block_hash = ""  # Nothing of this was told: the next time it begins here again.
            raise
        for request in waiting.values():
            self._listener.seen(request)

    async def _find_new(self, block_hash: str) -> list[dict[str, Any]] | None:
        """Blocks after the one read last, newest first; None if the chain does not lead back to that one.

        Heights may be skipped, so the way is from each block to the one before it. Whoever was away for longer than a
        request lives begins anew.
        """
        blocks: list[dict[str, Any]] = []
        while len(blocks) < LIFE_BLOCKS:
            block = await self._get_block_optional(block_hash)
            if block is None or block["header"]["height"] <= self.height:
                return None
            blocks.append(block)
            block_hash = block["header"]["prev_hash"]
            if block_hash == self._block_hash:
                return blocks
        return None

    async def _find_first(self, block_hash: str, height: int) -> list[dict[str, Any]]:
        """The newest block and, if anything waits there, those in which it may have come in."""
        is_one_enough = not await self._may_wait(height)
        blocks: list[dict[str, Any]] = []
        while block := await self._get_block_optional(block_hash):
            if block["header"]["height"] <= height - LIFE_BLOCKS:
                break
            blocks.append(block)
            if is_one_enough:
                break
            block_hash = block["header"]["prev_hash"]
        return blocks

    async def _may_wait(self, height: int) -> bool:
        """Whether any request waits, as far as one can know."""
        try:
            for prefix in REQUEST_PREFIXES:
                keys = await self._client.get_state(self._contract_id, prefix=prefix, at=height)
                if any(decode_storage_key(key) is not None for key in keys):
                    return True
        except RpcError as error:
            # NEAR's nodes show no state of contracts that hold more than 50 kB, not even a part of it.
            if error.code != TOO_LARGE:
                raise
            return True
        return False

    async def _get_block_optional(self, block_hash: str) -> dict[str, Any] | None:
        try:
            block: dict[str, Any] = await self._client.request(
                "block", {"block_id": block_hash}, is_repeatable=True
            )
        except UnknownBlock:
            return None
        return block

    async def _read_block(self, block: dict[str, Any], listener: Listener) -> None:
        header = block["header"]
        params = {
            "block_id": header["hash"],
            "changes_type": "data_changes",
            "account_ids": [self._contract_id],
            "key_prefix_base64": "",  # Of every kind; what is none is not looked at.
        }
        answer = await self._client.request("EXPERIMENTAL_changes", params, is_repeatable=True)
        for entry in answer["changes"]:
            _read_change(header, entry["type"], entry["change"], listener)
        self.height, self._block_hash = header["height"], header["hash"]


def _read_change(header: dict[str, Any], kind: str, change: dict[str, str], listener: Listener) -> None:
    request = decode_storage_key(b64decode(change["key_base64"]))
    if request is None:
        return
    if kind == "data_deletion":
        listener.gone(request)
        return
    try:
        # Equal requests share one answer: the first yield names them all.
        waiting = decode_waiting(b64decode(change["value_base64"]))
    except InvalidBorsh:
        logger.warning("the contract keeps a request in a form that this program does not know")
        return
    entropy, block_hash = base58.decode(header["random_value"]), base58.decode(header["hash"])
    listener.seen(Request(waiting[0], request, entropy, header["height"], block_hash))
