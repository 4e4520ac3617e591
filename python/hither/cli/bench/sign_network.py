"""A signing network of the benchmark's own beside a chain, requests to it, and what became of them on the chain."""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hither.chain.genesis import derive_development_key
from hither.cli.bench.options import BenchmarkFailed
from hither.cli.bench.programs import HITHER, run_program
from hither.client import AsyncClient, ClientError, Signer
from hither.mpc.client import SigningClient, SigningFailed
from hither.mpc.development import CONTRACT_ID, SIZE, get_node_home
from hither.mpc.requests import EcdsaPayload, EddsaPayload, Payload
from hither.mpc.schemes import SCHEMES
from hither.mpc.store import NodeStore, read_or_make_key
from hither.primitives.types import AccountId

READY_S_MAX = 600
"""A large stock of the slowest protocol is waited for."""

INTERVAL_S = 0.005
SENDER_ID = AccountId("alice.near")
PATH = "bench"
BLOCKS_MAX = 20
"""The answer is looked for in so many blocks after the question's."""


@dataclass(frozen=True, slots=True)
class SigningNetwork:
    """Three nodes at work: what they said when they were ready, and how long after their start."""

    home: Path
    url: str
    told: Mapping[str, Any]
    ready_s: float

    def get_domain_id(self, protocol: str) -> int:
        """Of the domain that signs for callers with this protocol."""
        for domain in self.told["domains"]:
            if (domain["protocol"], domain["purpose"]) == (protocol, "Sign"):
                return int(domain["id"])
        raise BenchmarkFailed(f"the network has no domain of {protocol}")

    def count_stock(self) -> dict[int, int]:
        """Presignatures by domain: every signer of a set holds its part of each."""
        parts: Counter[int] = Counter()
        for participant in range(SIZE):
            folder = get_node_home(self.home, participant)
            key = read_or_make_key(folder / "store.key")
            with NodeStore(folder / "store.sqlite", key, is_shared=True) as store:
                parts.update(store.count_presignatures())
        return {
            domain["id"]: parts[domain["id"]]
            // SCHEMES[domain["protocol"]].count_signers(self.told["threshold"])
            for domain in self.told["domains"]
        }


@contextlib.contextmanager
def run_signing_network(
    home: Path,
    url: str,
    *,
    domains: Sequence[str] = (),
    stock: Mapping[str, int] | None = None,
    has_processes: bool = False,
) -> Iterator[SigningNetwork]:
    """The signing network as ``hither up`` runs it, with this much stock. Raises BenchmarkFailed."""
    arguments = [*HITHER, "mpc", "local", "--home", str(home), "--rpc-url", url]
    arguments += ["--domains", ",".join(domains)] + (["--processes"] if has_processes else [])
    arguments += ["--stock", ",".join(f"{name}={count}" for name, count in (stock or {}).items())]
    log = home.parent / "signing.log"
    started = time.monotonic()
    with run_program(arguments, log) as process:
        while not (line := _find_ready(log)):
            if process.poll() is not None or time.monotonic() - started > READY_S_MAX:
                words = log.read_text(encoding="utf-8", errors="replace").strip()[-500:]
                raise BenchmarkFailed(f"the signing network did not come up: {words or 'it said nothing'}")
            time.sleep(INTERVAL_S)
        yield SigningNetwork(home, url, json.loads(line), time.monotonic() - started)


def _find_ready(log: Path) -> str | None:
    lines = log.read_text(encoding="utf-8").splitlines()
    return next((line for line in lines if line.startswith("{") and line.endswith("}")), None)


class Requests:
    """Signatures asked for by one account, each of another payload, each verified under the derived key."""

    def __init__(self, client: AsyncClient, domain_id: int, *, is_ecdsa: bool) -> None:
        self._client = client
        self._domain_id = domain_id
        self._is_ecdsa = is_ecdsa
        self._signing = SigningClient(client, CONTRACT_ID)
        self._signer = Signer(SENDER_ID, derive_development_key(SENDER_ID))
        self._numbers = itertools.count(time.time_ns())

    def _make_payload(self) -> Payload:
        digest = hashlib.sha256(next(self._numbers).to_bytes(8, "big")).digest()
        # The first byte keeps a digest below the order of the curve.
        return EcdsaPayload(b"\1" + digest[1:]) if self._is_ecdsa else EddsaPayload(digest)

    async def ask(self) -> float:
        """Milliseconds from the request to its verified signature. Raises BenchmarkFailed."""
        started = time.perf_counter()
        await self._sign(self._make_payload())
        return (time.perf_counter() - started) * 1e3

    async def ask_in_turn(self, count: int) -> list[float]:
        """One after the other; shortest first."""
        return sorted([await self.ask() for _ in range(count)])

    async def ask_at_once(self, count: int) -> float:
        """Seconds until all of them are answered."""
        started = time.perf_counter()
        await asyncio.gather(*(self.ask() for _ in range(count)))
        return time.perf_counter() - started

    async def count_blocks(self, delay_s: float) -> int:
        """Heights from the block that holds the yield of a request to the one that holds ``respond``."""
        await asyncio.sleep(delay_s)
        payload = self._make_payload()
        transaction_hash = await self._sign(payload)
        result = await self._client.wait_for(transaction_hash, SENDER_ID)
        (receipt_id,) = result.json["transaction_outcome"]["outcome"]["receipt_ids"]
        (block_hash,) = (
            row["block_hash"] for row in result.json["receipts_outcome"] if row["id"] == receipt_id
        )
        block = await self._client.request("block", {"block_id": block_hash}, is_repeatable=True)
        asked = int(block["header"]["height"])
        return await self._find_response(payload, asked) - asked

    async def _sign(self, payload: Payload) -> str:
        try:
            signed = await self._signing.sign(self._signer, PATH, payload, self._domain_id)
        except (ClientError, SigningFailed) as error:
            raise BenchmarkFailed(f"no signature: {error}") from error
        return signed.transaction_hash

    async def _find_response(self, payload: Payload, asked: int) -> int:
        data = payload.digest if isinstance(payload, EcdsaPayload) else payload.message
        for height in range(asked, asked + BLOCKS_MAX):
            with contextlib.suppress(ClientError):  # A height may have no block.
                block = await self._client.request("block", {"block_id": height}, is_repeatable=True)
                for chunk in block["chunks"]:
                    if chunk["height_included"] == height and await self._has_response(
                        chunk["chunk_hash"], data.hex()
                    ):
                        return height
        raise BenchmarkFailed(f"no block up to height {asked + BLOCKS_MAX} holds the answer")

    async def _has_response(self, chunk_hash: str, payload: str) -> bool:
        chunk = await self._client.request("chunk", {"chunk_id": chunk_hash}, is_repeatable=True)
        calls = (
            action["FunctionCall"]
            for transaction in chunk["transactions"]
            if transaction["receiver_id"] == CONTRACT_ID
            for action in transaction["actions"]
            if "FunctionCall" in action
        )
        return any(
            call["method_name"] == "respond" and payload in base64.b64decode(call["args"]).decode()
            for call in calls
        )
