"""Three signing nodes as processes of their own: what they sign, that they heal, and that nobody has the key."""

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import coincurve
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from hither.client import Client, ExecutionFailed, Signer
from hither.codec import base58
from hither.mpc.config import CONFIG_FILE, read_config
from hither.mpc.requests import EcdsaSignature, EddsaSignature, signature_from_json
from hither.mpc.store import NodeStore
from hither.sdk.endpoints import is_running
from tests.e2e.cli.running import PROGRAMS, Network, network
from tests.e2e.mpc.memory import list_forms, plant, save_memory, search_files, search_memory, search_pieces

pytestmark = pytest.mark.slow
CONTRACT_ID = "signer.test.near"
PATH = "a path"
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
PLANT = "HITHER_TEST_PLANT"
MARKER = b"planted here:"
ROOM = "P" * 1_500
BECOMES_S_MAX = 60
ATTEMPTS_SAVED = 2
"""One at each of the two keys that are looked for."""


class Ceremony:
    """Saves the memory of each node's process whenever the first node starts an attempt at a key."""

    def __init__(self, home: Path, saved: Path) -> None:
        self.home, self.saved = home, saved
        self.count = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        log = self.home / "mpc" / "node0" / "node.log"
        while not self._is_over.wait(0.01):
            text = log.read_text() if log.exists() else ""
            if min(text.count("starting attempt"), ATTEMPTS_SAVED) > self.count:
                self.count += 1
                for process_id in find_nodes(self.home):
                    with contextlib.suppress(OSError):
                        save_memory(process_id, self.saved / f"{process_id}-{self.count}")

    def end(self) -> None:
        self._is_over.set()
        self._thread.join()


def find_nodes(home: Path) -> list[int]:
    """The processes that run nodes of a home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"run" in words and any(word.startswith(os.fsencode(home / "mpc" / "node")) for word in words):
                found.append(int(process.name))
    return sorted(found)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ceremony(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceremony]:
    """Watches while the network starts."""
    watched = Ceremony(home, tmp_path_factory.mktemp("memory"))
    yield watched
    watched.end()


@pytest.fixture(scope="module")
def running(home: Path, ceremony: Ceremony) -> Iterator[Network]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PLANT, MARKER.decode() + ROOM)
        with network(
            home, "--quiet", "--mpc", "processes", "--domains", "robust", "--evm", "", is_alone=False
        ) as up:
            ceremony.end()
            yield up


@pytest.fixture(scope="module")
def client(running: Network) -> Iterator[Client]:
    with Client(running.url, signer=Signer("alice.near", running.get_key("alice.near"))) as client:
        yield client


def ask(client: Client, text: str, domain_id: int = 0) -> Any:
    digest = hashlib.sha256(text.encode()).digest()
    payload = {"Eddsa": digest.hex()} if domain_id == 1 else {"Ecdsa": digest.hex()}
    request = {"path": PATH, "payload_v2": payload, "domain_id": domain_id}
    options: dict[str, Any] = {"gas": "60 Tgas", "deposit": "1 yoctonear"}
    return client.call(CONTRACT_ID, "sign", {"request": request}, **options).value_json()


def must_sign(client: Client, text: str, domain_id: int = 0) -> None:
    """Ask, and verify under the derived key with an independent library."""
    signature = signature_from_json(ask(client, text, domain_id))
    arguments = {"path": PATH, "predecessor": "alice.near", "domain_id": domain_id}
    key = base58.decode(client.view(CONTRACT_ID, "derived_public_key", arguments).json().partition(":")[2])
    digest = hashlib.sha256(text.encode()).digest()
    if domain_id == 1:
        assert isinstance(signature, EddsaSignature)
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature.signature, digest)
        return
    assert isinstance(signature, EcdsaSignature)
    recoverable = signature.r + signature.s + bytes([signature.recovery_id])
    recovered = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    assert recovered.format(compressed=False)[1:] == key


def must_become(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + BECOMES_S_MAX
    while not is_true():
        assert time.monotonic() < deadline, f"not {what} in {BECOMES_S_MAX} s"
        time.sleep(0.02)


def get_health(row: dict[str, Any]) -> dict[str, Any]:
    try:
        health: dict[str, Any] = httpx.get(f"{row['observe']}/health").json()
    except httpx.HTTPError:
        return {"connected": [], "status": "gone"}
    return health


def stop(row: dict[str, Any]) -> None:
    """Kill a node, whoever started it."""
    for process_id in find_nodes(Path(row["home"]).parent.parent):
        if os.fsencode(row["home"]) in Path(f"/proc/{process_id}/cmdline").read_bytes().split(b"\0"):
            os.kill(process_id, signal.SIGKILL)
            must_become(lambda process_id=process_id: not is_running(process_id), "stopped")


def start(row: dict[str, Any], stack: contextlib.ExitStack) -> subprocess.Popen[str]:
    """Start a node by hand, as an operator does."""
    command = [str(PROGRAMS / "hither"), "mpc", "run", "--home", row["home"]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def test_every_domain_signs(client: Client) -> None:
    """Cait-Sith, FROST and the robust protocol, each by messages between processes."""
    for domain_id in (0, 1, 3):
        must_sign(client, f"domain {domain_id}", domain_id)


def read_shares(row: dict[str, Any], domain_id: int) -> int:
    """The secret part of a node's share, read with its key beside the running node."""
    node = read_config(Path(row["home"]) / CONFIG_FILE)
    with NodeStore(node.store_path, node.read_key(), is_shared=True) as store:
        (place,) = (place for place in store.list_shares() if place[0] == domain_id)
        share = store.get_share_optional(*place)
    assert share is not None
    data = share.expose()
    assert int.from_bytes(data[:4], "little") == int(Path(row["home"]).name.removeprefix("node"))
    return int.from_bytes(data[8:40], "little" if domain_id == 1 else "big")


def combine(shares: dict[int, int], order: int) -> int:
    """Lagrange at zero; a share's place is the participant's number plus one."""
    total = 0
    for me, share in shares.items():
        term = share
        for other in shares.keys() - {me}:
            term = term * (other + 1) * pow(other - me, -1, order) % order
        total += term
    return total % order


def test_nobody_has_the_key(running: Network, client: Client, ceremony: Ceremony, home: Path) -> None:
    """Not in memory nor on disk, during the ceremony or after it, in any form; a planted number is found in each."""
    rows = running.endpoints["mpc"]["processes"]
    must_sign(client, "used once more", 0)
    must_sign(client, "used once more", 1)
    assert ceremony.count == ATTEMPTS_SAVED
    saved = sorted(ceremony.saved.iterdir())
    assert len(saved) == 3 * ATTEMPTS_SAVED
    secrets: dict[str, bytes] = {}
    foreign: dict[int, dict[str, bytes]] = {0: {}, 1: {}, 2: {}}
    for domain_id, order in ((0, SECP256K1_ORDER), (1, ED25519_ORDER)):
        shares = {me: read_shares(row, domain_id) for me, row in enumerate(rows)}
        secret = combine({me: shares[me] for me in (0, 1)}, order)
        assert secret == combine({me: shares[me] for me in (1, 2)}, order)
        if domain_id == 0:
            root: str = client.view(CONTRACT_ID, "public_key", {"domain_id": 0}).json()
            public = coincurve.PrivateKey(secret.to_bytes(32, "big")).public_key.format(compressed=False)
            assert base58.decode(root.partition(":")[2]) == public[1:]
        secrets |= {f"domain {domain_id} {name}": form for name, form in list_forms(secret).items()}
        for me in range(3):
            for other in {0, 1, 2} - {me}:
                foreign[me][f"domain {domain_id}, share {other}"] = shares[other].to_bytes(32, "big")
                foreign[me][f"domain {domain_id}, share {other} back"] = shares[other].to_bytes(32, "little")
    assert search_pieces((path.read_bytes() for path in saved), secrets) == set()
    assert search_files(home / "mpc", secrets) == set()
    planted = list_forms(int.from_bytes(hashlib.sha256(b"planted").digest(), "big") % ED25519_ORDER)
    for me, row in enumerate(rows):
        assert search_memory(row["pid"], secrets | foreign[me] | planted) == set()
        plant(row["pid"], MARKER, b"".join(planted.values()))
        assert search_memory(row["pid"], planted) == set(planted)
        (Path(row["home"]) / "planted").write_bytes(b"".join(planted.values()))
        assert search_files(Path(row["home"]), planted) == set(planted)
        (Path(row["home"]) / "planted").unlink()


def test_a_revert_of_the_chain_reuses_nothing(client: Client, running: Network) -> None:
    """Signed, reverted, another payload at the same heights: both signatures hold, and two presignatures are gone."""
    rows = running.endpoints["mpc"]["processes"]
    snapshot = client.request("hither_snapshot", [])["snapshot_id"]
    used_before = count_events(rows, "signatures made")
    must_sign(client, "before")
    client.request("hither_revert", [snapshot])
    assert client.signer is not None
    client.signer.forget_nonces()
    client.session.forget_block_hash()
    must_sign(client, "after")
    assert count_events(rows, "signatures made") >= used_before + 2


def count_events(rows: list[dict[str, Any]], what: str) -> int:
    """Of all nodes, as Prometheus would read them."""
    total = 0
    for row in rows:
        text = httpx.get(f"{row['observe']}/metrics").text
        found = re.search(rf'^hither_mpc_events_total{{event="{what}"}} (\d+)$', text, re.MULTILINE)
        total += int(found.group(1)) if found else 0
    return total


def test_nodes_are_stopped_and_started_one_after_the_other(client: Client, running: Network) -> None:
    """Without the third: sign. Without the second too: none. With the third again: another pair, the same key."""
    rows = running.endpoints["mpc"]["processes"]
    with contextlib.ExitStack() as stack:
        stop(rows[2])
        must_become(lambda: get_health(rows[0])["connected"] == [1], "noticed")
        for domain_id in (0, 1):
            must_sign(client, "without the third", domain_id)
        started = time.monotonic()
        with pytest.raises(
            ExecutionFailed, match="RobustSetIncomplete: 3 signers are needed, and 2 are to be"
        ):
            ask(client, "by all three", 3)
        assert time.monotonic() - started < BECOMES_S_MAX
        stop(rows[1])
        must_become(lambda: get_health(rows[0])["connected"] == [], "noticed")
        assert get_health(rows[0])["problems"] == ["2 signers are needed, and 1 are to be reached"]
        refused = count_events(rows[:1], "requests refused")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ask, client, "by one alone")
            # It tells the contract why; but one of three alone cannot fail what two others might still sign.
            must_become(lambda: count_events(rows[:1], "requests refused") > refused, "refused")
            client.request("sandbox_fast_forward", {"delta_height": 250})
            reason = "timed out. A node said: SignersUnavailable: 2 signers are needed"
            with pytest.raises(ExecutionFailed, match=reason):
                waiting.result(BECOMES_S_MAX)
        start(rows[2], stack)
        must_become(lambda: get_health(rows[0])["connected"] == [2], "back")
        for domain_id in (0, 1):
            must_sign(client, "with the first and the third", domain_id)
        start(rows[1], stack)
        must_become(lambda: get_health(rows[0])["connected"] == [1, 2], "complete")
        must_sign(client, "by all three again", 3)


def test_a_node_of_the_network_cannot_be_run_twice(running: Network) -> None:
    """The second process is refused, and told why."""
    row = running.endpoints["mpc"]["processes"][0]
    command = [str(PROGRAMS / "hither"), "mpc", "run", "--home", row["home"]]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "another process runs the node" in second.stderr


def test_nodes_die_with_the_network(running: Network, home: Path) -> None:
    """Also when it is killed without a chance to end them."""
    assert find_nodes(home)
    running.process.kill()
    running.process.wait()
    must_become(lambda: not find_nodes(home), "gone")
