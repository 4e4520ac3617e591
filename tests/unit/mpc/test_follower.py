"""Reading a chain that grows, skips heights, goes back and goes on elsewhere: what is seen, and in which block."""

import asyncio
import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import pytest

from hither.client import RpcError, UnknownBlock
from hither.codec import base58
from hither.mpc.engine import LIFE_BLOCKS, Request
from hither.mpc.follower import Follower, Listener
from hither.mpc.requests import AnyRequest, EcdsaPayload, SignatureRequest, encode_storage_key

GENESIS = base58.encode(bytes(32))


def make_request(number: int) -> SignatureRequest:
    return SignatureRequest(bytes(32), EcdsaPayload(number.to_bytes(32, "big")), 0)


@dataclass
class Summary:
    hash: str
    height: int
    timestamp_ns: int


@dataclass
class Chain:
    """Blocks by hash, what changed in each, and what waits at the head. It answers as a client would."""

    blocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    waiting: dict[bytes, bytes] = field(default_factory=dict)
    head: str = GENESIS
    asked: int = 0
    is_too_large: bool = False
    silent_at: str = ""

    def grow(self, height: int, asked: int | None = None, answered: int | None = None, fork: str = "") -> str:
        """A block in which a request comes in, or is answered."""
        raw = hashlib.sha256(f"{height} {self.head} {fork}".encode()).digest()
        name = base58.encode(raw)
        self.blocks[name] = {
            "header": {
                "hash": name,
                "height": height,
                "prev_hash": self.head,
                "random_value": base58.encode(hashlib.sha256(raw).digest()),
            }
        }
        rows = self.changes[name] = []
        if asked is not None:
            key = encode_storage_key(make_request(asked))
            value = (1).to_bytes(4, "little") + asked.to_bytes(32, "big")
            self.waiting[key] = value
            change = {"key_base64": b64encode(key).decode(), "value_base64": b64encode(value).decode()}
            rows.append({"type": "data_update", "change": change})
        if answered is not None:
            key = encode_storage_key(make_request(answered))
            del self.waiting[key]
            rows.append({"type": "data_deletion", "change": {"key_base64": b64encode(key).decode()}})
        self.head = name
        return name

    async def get_block(self, _finality: Any) -> Summary:
        height = self.blocks[self.head]["header"]["height"]
        return Summary(self.head, height, height * 10**9)

    async def get_state(self, _contract_id: str, *, prefix: bytes, at: int) -> dict[bytes, bytes]:
        assert at == self.blocks[self.head]["header"]["height"]
        if self.is_too_large:
            raise RpcError({"cause": {"name": "TOO_LARGE_CONTRACT_STATE"}}, 200)
        return {key: value for key, value in self.waiting.items() if key.startswith(prefix)}

    async def request(self, method: str, params: dict[str, Any], *, is_repeatable: bool) -> Any:
        self.asked += 1
        assert is_repeatable
        if method == "EXPERIMENTAL_changes":
            if params["block_id"] == self.silent_at:
                raise RpcError({"cause": {"name": "INTERNAL_ERROR"}}, 500)
            return {"changes": self.changes[params["block_id"]]}
        if params["block_id"] not in self.blocks:
            raise UnknownBlock({"cause": {"name": "UNKNOWN_BLOCK"}}, 200)
        return self.blocks[params["block_id"]]


class Reader:
    """A follower and what it has told."""

    def __init__(self, chain: Chain) -> None:
        self.seen: list[Request] = []
        self.gone: list[AnyRequest] = []
        self.restarts = 0
        listener = Listener(self.seen.append, self.gone.append, self._over)
        self.follower = Follower(chain, "signer", listener)  # type: ignore[arg-type]

    def _over(self) -> None:
        self.restarts += 1

    def read(self) -> None:
        asyncio.run(self.follower.follow())


@pytest.fixture
def chain() -> Chain:
    chain = Chain()
    for height in range(1, 4):
        chain.grow(height)
    return chain


def test_a_request_is_known_by_the_block_it_came_in(chain: Chain) -> None:
    """Seen once, with that block's hash and random value; gone when it is answered; nothing is read twice."""
    reader = Reader(chain)
    reader.read()
    name = chain.grow(4, asked=7)
    reader.read()
    reader.read()
    (request,) = reader.seen
    header = chain.blocks[name]["header"]
    assert base58.encode(request.block_hash) == name
    assert base58.encode(request.entropy) == header["random_value"]
    assert (request.block_height, request.request) == (4, make_request(7))
    chain.grow(5, answered=7)
    asked = chain.asked
    reader.read()
    assert reader.gone == [make_request(7)]
    assert chain.asked == asked + 2  # The block and its changes.


def test_whoever_comes_later_sees_the_same(chain: Chain) -> None:
    """A reader that starts while requests wait finds the block they came in, not the one it started at."""
    early = Reader(chain)
    early.read()
    chain.grow(4, asked=7)
    for height in range(5, 20):
        chain.grow(height)
    early.read()
    late = Reader(chain)
    late.read()
    assert late.seen == early.seen
    assert late.seen[0].key == early.seen[0].key


def test_a_contract_that_holds_much_is_read_from_its_blocks(chain: Chain) -> None:
    """Nodes show no state of one with more than 50 kB; who starts sees what waits all the same, and that alone."""
    chain.grow(4, asked=7)
    chain.grow(5, asked=8)
    chain.grow(6, answered=7)
    whole = Reader(chain)
    whole.read()
    chain.is_too_large = True
    late = Reader(chain)
    late.read()
    assert [request.request for request in late.seen] == [make_request(8)]
    assert (late.seen, late.gone) == (whole.seen, [])


def test_a_beginning_that_fails_begins_again(chain: Chain) -> None:
    """What was read before the node stopped answering is not lost."""
    chain.grow(4, asked=7)
    chain.silent_at = chain.grow(5)
    reader = Reader(chain)
    with pytest.raises(RpcError):
        reader.read()
    assert reader.seen == []
    chain.silent_at = ""
    reader.read()
    assert [request.request for request in reader.seen] == [make_request(7)]


def test_skipped_heights_cost_nothing(chain: Chain) -> None:
    """A chain that was moved on by a hundred thousand heights is read block by block."""
    reader = Reader(chain)
    reader.read()
    asked = chain.asked
    chain.grow(100_000, asked=1)
    chain.grow(200_000, asked=2)
    reader.read()
    assert [request.block_height for request in reader.seen] == [100_000, 200_000]
    assert (chain.asked - asked, reader.restarts) == (4, 0)


@pytest.mark.parametrize("length", [0, 1, 5])
def test_another_fork_is_read_anew(chain: Chain, length: int) -> None:
    """Shorter, as long, or longer: what was seen is forgotten, and the same id comes in another block."""
    before = chain.head
    reader = Reader(chain)
    reader.read()
    chain.grow(4, asked=7)
    chain.grow(5)
    reader.read()
    chain.head = before
    chain.waiting.clear()
    chain.grow(4, asked=7, fork="other")
    for height in range(5, 5 + length):
        chain.grow(height, fork="other")
    reader.read()
    assert reader.restarts == 1
    first, second = reader.seen
    assert first.id == second.id
    assert first.key != second.key


def test_whoever_was_away_for_long_begins_anew(chain: Chain) -> None:
    """What came in meanwhile and still waits is found, what is older than a request lives is not looked for."""
    reader = Reader(chain)
    reader.read()
    chain.grow(4, asked=1)
    chain.grow(5, answered=1)
    for height in range(6, 6 + 2 * LIFE_BLOCKS):
        chain.grow(height)
    name = chain.grow(6 + 2 * LIFE_BLOCKS, asked=2)
    reader.read()
    assert reader.restarts == 1
    assert [base58.encode(request.block_hash) for request in reader.seen] == [name]
    assert chain.asked < 4 * LIFE_BLOCKS
