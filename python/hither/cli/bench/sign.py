"""``hither bench sign``: how soon and how many signatures three nodes make, of which two are enough (robust: all).

Stock is filled before any clock runs, and counted. ``e2e`` and the burst live from it with refilling off: who makes
triples only when they are asked for fails here, and so does who does not use the stock. Before that the same while
what is used is made again; Cait-Sith's takes longer to make than to use, so there that goes on all the while.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.bench.rpc import get_quantile
from hither.cli.bench.sign_network import Requests, SigningNetwork, run_signing_network
from hither.cli.bench.start import run_network
from hither.client import AsyncClient
from hither.mpc.schemes import SCHEMES
from hither.mpc.throughput import Scheme, measure_sustained
from hither.sdk.endpoints import read_endpoints

PROTOCOLS: Final[dict[Scheme, str]] = {"cait-sith": "CaitSith", "robust": "DamgardEtAl", "frost": "Frost"}
SLOWEST: Final = "CaitSith"
BURST: Final = 100
SPARE: Final = 20
"""More stock than is used: signer sets are chosen at random, and none should run out."""

WARM_UPS: Final = 3
TIMED: Final = 100
BLOCKS_TIMED: Final = 20
BLOCKS_PAUSE_S: Final = 0.17
"""No divisor of the time between blocks: requests come at every moment of it."""

SUSTAINED_S: Final = 10.0
REFILLED_ROUNDS_MAX: Final = 30
"""More requests than there is stock, also where only a few are timed."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """How much is asked for."""

    timed: int
    burst: int
    blocks: int
    sustained_s: float


def measure(options: BenchOptions) -> Figures:
    """All figures of one scheme. Raises BenchmarkFailed when anything is not answered, or answered wrongly."""
    scheme = next(name for name in PROTOCOLS if name == options.scheme)
    extent = _Extent(TIMED, BURST, BLOCKS_TIMED, SUSTAINED_S)
    if options.seconds < 1:
        extent = _Extent(8, 8, 2, options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(scheme, Path(folder), extent, has_processes=options.has_processes)
        figures: Figures = {"scheme": scheme, **bench.measure()}
    return figures | {
        "sustained_per_s": round(measure_sustained(scheme, extent.sustained_s), 1),
        "sustained_s": extent.sustained_s,
        "mpc": "processes" if options.has_processes else "together",
    }


class _Bench:
    """One scheme on one home."""

    def __init__(self, scheme: Scheme, folder: Path, extent: _Extent, *, has_processes: bool) -> None:
        self.protocol = PROTOCOLS[scheme]
        self.domains = ("robust",) if scheme == "robust" else ()
        self.has_processes = has_processes
        self.folder = folder
        self.extent = extent

    def measure(self) -> Figures:
        """With blocks as they are needed, then every 600 ms."""
        with run_network(self.folder, "--alone") as chain:
            url = read_endpoints(chain.home)["near"]["rpc_url"]
            with self._run(chain.home, url) as network:
                figures: Figures = {
                    "nodes": network.told["nodes"],
                    "threshold": network.told["threshold"],
                    "ready_first_s": round(network.ready_s, 2),
                }
            with self._run(chain.home, url) as network:
                figures["ready_warm_s"] = round(network.ready_s, 2)
            figures |= self._measure_stocked(chain.home, url)
        with run_network(self.folder, "--alone", "--block-time", "600ms") as chain:
            url = read_endpoints(chain.home)["near"]["rpc_url"]
            with self._run(chain.home, url) as network:
                blocks = asyncio.run(self._count_blocks(network))
        return figures | {"block_times": statistics.median(blocks), "block_times_each": blocks}

    def _run(
        self, home: Path, url: str, stock: Mapping[str, int] | None = None
    ) -> AbstractContextManager[SigningNetwork]:
        return run_signing_network(
            home, url, domains=self.domains, stock=stock, has_processes=self.has_processes
        )

    def _measure_stocked(self, home: Path, url: str) -> Figures:
        """While stock is refilled, then without refilling."""
        with self._run(home, url, stock=self._fill(self.extent.timed)) as network:
            slow_ms, made = self._measure_refilled(network)
        filled = self._fill(self.extent.timed + self.extent.burst)
        with self._run(home, url, stock=filled):
            pass  # It is ready once its stock is there.
        none = dict.fromkeys(SCHEMES, 0)  # Less than there is: nothing is made.
        with self._run(home, url, stock=none) as network:
            stock = network.count_stock()[network.get_domain_id(self.protocol)]
            if stock < filled[self.protocol]:
                raise BenchmarkFailed(f"the stock was to be {filled[self.protocol]} before, and was {stock}")
            e2e_ms = asyncio.run(self._ask_in_turn(network))
            burst_s = asyncio.run(self._ask_at_once(network))
            spent = stock - network.count_stock()[network.get_domain_id(self.protocol)]
        if spent < self.extent.timed + self.extent.burst:
            raise BenchmarkFailed(f"only {spent} signatures were made from stock")
        return {
            "stock_before": stock,
            "stock_spent": spent,
            "e2e_p50_ms": round(get_quantile(e2e_ms, 0.5), 1),
            "e2e_p99_ms": round(get_quantile(e2e_ms, 0.99), 1),
            "requests": len(e2e_ms),
            "burst_100_s": round(burst_s, 2),
            "burst_requests": self.extent.burst,
            "refill_p50_ms": round(get_quantile(slow_ms, 0.5), 1),
            "refill_p99_ms": round(get_quantile(slow_ms, 0.99), 1),
            "refill_made": made,
            "p99_refill_ratio": round(get_quantile(slow_ms, 0.99) / get_quantile(e2e_ms, 0.99), 2),
        }

    def _measure_refilled(self, network: SigningNetwork) -> tuple[list[float], int]:
        """Until some stock was made meanwhile: a few requests may leave a batch that is large enough."""
        before, slow_ms = sum(network.count_stock().values()), list[float]()
        for rounds in range(1, REFILLED_ROUNDS_MAX + 1):
            slow_ms += asyncio.run(self._ask_in_turn(network))
            left = max(0, before - rounds * (self.extent.timed + WARM_UPS))
            made = sum(network.count_stock().values()) - left
            if made > 0:
                return sorted(slow_ms), made
        raise BenchmarkFailed("no stock was made while signatures were timed")

    def _fill(self, requests: int) -> dict[str, int]:
        """Stock for so many requests, and of Cait-Sith's for those that are timed.

        Twice as much where nodes are processes: the next leader signs as well when one takes longer than its turn.
        """
        times = 2 if self.has_processes else 1
        return {SLOWEST: self.extent.timed + SPARE} | {self.protocol: times * (requests + WARM_UPS) + SPARE}

    def _make_requests(self, client: AsyncClient, network: SigningNetwork) -> Requests:
        is_ecdsa = SCHEMES[self.protocol].curve == "secp256k1"
        return Requests(client, network.get_domain_id(self.protocol), is_ecdsa=is_ecdsa)

    async def _ask_in_turn(self, network: SigningNetwork) -> list[float]:
        async with AsyncClient(network.url) as client:
            requests = self._make_requests(client, network)
            await requests.ask_in_turn(WARM_UPS)
            return await requests.ask_in_turn(self.extent.timed)

    async def _ask_at_once(self, network: SigningNetwork) -> float:
        async with AsyncClient(network.url) as client:
            requests = self._make_requests(client, network)
            await requests.ask()
            return await requests.ask_at_once(self.extent.burst)

    async def _count_blocks(self, network: SigningNetwork) -> list[int]:
        async with AsyncClient(network.url) as client:
            requests = self._make_requests(client, network)
            await requests.ask()
            delays_s = (BLOCKS_PAUSE_S * number for number in range(self.extent.blocks))
            return sorted(await asyncio.gather(*map(requests.count_blocks, delays_s)))
