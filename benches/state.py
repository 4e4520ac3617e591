"""How long the trie takes per changed key, and what a million accounts cost.

``python -m benches.state [--json]`` prints one line a size, then memory, image and commit figures.
Keys are implicit accounts, each with an account record and one access key.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable
from typing import Any

from hither.state import STATE_TABLES, ChunkState, StateStore, Store, Trie

SIZES = (10_000, 100_000, 1_000_000)
BATCH = 2_000
ACCOUNT_SIZE, ACCESS_KEY_SIZE = 72, 9


def make_pairs(number: int) -> list[tuple[bytes, bytes]]:
    """The two records of an implicit account."""
    public_key = hashlib.sha256(number.to_bytes(8, "little")).digest()
    account_id = public_key.hex().encode()
    value = public_key + public_key + bytes(ACCOUNT_SIZE - 64)
    return [
        (b"\x00" + account_id, value),
        (b"\x02" + account_id + b"\x02\x00" + public_key, bytes(ACCESS_KEY_SIZE)),
    ]


def read_rss_mb() -> float:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1e6


def build(accounts: int) -> tuple[Trie, float]:
    """A trie of so many accounts, and the seconds that adding them took."""
    trie, seconds = Trie(), 0.0
    for start in range(0, accounts, 100_000):
        pairs = [
            pair for number in range(start, min(start + 100_000, accounts)) for pair in make_pairs(number)
        ]
        began = time.perf_counter()
        trie = trie.update(pairs)
        seconds += time.perf_counter() - began
    return trie, seconds


def measure(work: Callable[[int], Any], times: int) -> tuple[float, float]:
    """Seconds of the median run: on the clock, and of this process alone."""
    walls, cpus = [], []
    for index in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        work(index)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return sorted(walls)[times // 2], sorted(cpus)[times // 2]


def measure_updates(trie: Trie, accounts: int, seed: int) -> dict[str, float]:
    """Microseconds a key: a batch of random account records, and one chunk through the overlay."""
    chosen = random.Random(seed)
    batches = [
        [(make_pairs(chosen.randrange(accounts))[0][0], os.urandom(ACCOUNT_SIZE)) for _ in range(BATCH)]
        for _ in range(7)
    ]

    def run_chunk(index: int) -> None:
        state = ChunkState(trie)
        for key, value in batches[index]:
            state.get(key)
            state.set(key, value)
            state.commit(b"cause")
        state.seal()

    figures = {}
    for name, work in (("update", lambda index: trie.update(batches[index])), ("chunk", run_chunk)):
        wall, cpu = measure(work, len(batches))
        figures |= {f"{name}_us": wall / BATCH * 1e6, f"{name}_cpu_us": cpu / BATCH * 1e6}
    return figures


def measure_store(trie: Trie, accounts: int) -> dict[str, float]:
    """Genesis image, restart, and a synced commit of one chunk."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("HITHER_BENCH_DIR")) as home:
        store = Store(home, tables=list(STATE_TABLES))
        states = StateStore(store)
        began = time.perf_counter()
        for batch in states.genesis(0, {0: trie}):  # type: ignore[dict-item, arg-type]
            store.commit(batch)
        genesis_s = time.perf_counter() - began
        chosen = random.Random(1)
        seconds = []
        for height in range(1, 21):
            state = ChunkState(states.head(0)[1])  # type: ignore[arg-type]
            for _ in range(BATCH):
                state.set(make_pairs(chosen.randrange(accounts))[0][0], os.urandom(ACCOUNT_SIZE))
            state.commit(b"cause")
            sealed = state.seal()
            began = time.perf_counter()
            store.commit(states.append(height, 0, sealed))  # type: ignore[arg-type]
            seconds.append(time.perf_counter() - began)
        size_mb = store.size_bytes() / 1e6
        store.close()
        store = Store(home, tables=list(STATE_TABLES))
        began = time.perf_counter()
        StateStore(store).load()
        load_s = time.perf_counter() - began
        return {
            "genesis_s": genesis_s,
            "commit_ms": sorted(seconds)[len(seconds) // 2] * 1e3,
            "load_s": load_s,
            "disk_mb": size_mb,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--accounts", type=int, default=SIZES[-1], help="largest number of accounts")
    arguments = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    for accounts in [size for size in SIZES if size <= arguments.accounts]:
        before = read_rss_mb()
        trie, build_s = build(accounts)
        figure = {"build_us": build_s / (2 * accounts) * 1e6, "rss_mb": read_rss_mb() - before}
        figure |= measure_updates(trie, accounts, accounts)
        if accounts == arguments.accounts:
            figure |= measure_store(trie, accounts)
        figures[str(accounts)] = figure
        print(f"{accounts:>9,} accounts: " + ", ".join(f"{k} {v:.2f}" for k, v in figure.items()), flush=True)
    if arguments.json:
        print(json.dumps({"batch": BATCH, "cores": os.cpu_count(), "accounts": figures}))


if __name__ == "__main__":
    main()
