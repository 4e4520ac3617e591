"""Three signing nodes as processes of their own: what they sign, that they heal, and that nobody has the key."""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coincurve
import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from hither import Account
from hither.client import Client, ExecutionFailed, Signer
from hither.codec import base58
from hither.foreign.transport import JsonRpc
from hither.mpc.client import SigningClient
from hither.mpc.config import CONFIG_FILE, format_config, read_config
from hither.mpc.foreign_requests import BitcoinBlock, BitcoinQuestion, BlockHash, compute_payload_hash
from hither.mpc.protocols import compute_app_id, make_app_secret, unmask_app_key
from hither.mpc.requests import EcdsaSignature, EddsaSignature, signature_from_json
from hither.mpc.store import NodeStore
from hither.sdk.endpoints import is_running
from tests.e2e.cli.running import PROGRAMS, Network, network
from tests.e2e.mpc.memory import list_forms, plant, save_memory, search_files, search_memory, search_pieces

pytestmark = pytest.mark.slow
CONTRACT_ID = "signer.test.near"
WASM = Path(__file__).resolve().parents[3] / "contracts/signer/signer.wasm"
BITCOIN = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
NOWHERE = "http://127.0.0.1:1"
DAY_NS = 86_400 * 10**9
PATH = "a path"
APP_KEYS_ID = 4
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
PLANT = "HITHER_TEST_PLANT"
MARKER = b"planted here:"
ROOM = "P" * 1_500
BECOMES_S_MAX = 150
ATTEMPTS_SAVED = 2
"""One at each of the two keys that are looked for."""


class Ceremony:
    """Saves each node's memory and files whenever the first node starts an attempt at a key."""

    def __init__(self, home: Path, saved: Path) -> None:
        self.home, self.saved = home, saved
        self.count = 0
        self.files: list[bytes] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._is_over.wait(0.01):
            self._look()
        while self._look():
            continue  # It began before the end, while another was being saved.

    def _look(self) -> bool:
        """Save, if an attempt has begun that was not saved."""
        log = self.home / "mpc" / "node0" / "node.log"
        text = log.read_text() if log.exists() else ""
        if min(text.count("starting attempt"), ATTEMPTS_SAVED) <= self.count:
            return False
        self.count += 1
        for process_id in find_nodes(self.home):
            with contextlib.suppress(OSError):
                save_memory(process_id, self.saved / f"{process_id}-{self.count}")
        for path in (self.home / "mpc").rglob("store.sqlite*"):
            with contextlib.suppress(OSError):  # A log goes when it is written back.
                self.files.append(path.read_bytes())
        return True

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
            home, "--quiet", "--mpc", "processes", "--domains", "robust,app-keys", "--evm", "", is_alone=False
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
        health: dict[str, Any] = httpx.get(f"{row['observe']}/health", timeout=BECOMES_S_MAX).json()
    except httpx.HTTPError:
        return {"connected": [], "status": "gone"}
    return health


def find_node(row: dict[str, Any]) -> list[int]:
    """The process that runs a node, whoever started it; none if it is not running."""
    found = []
    for process_id in find_nodes(Path(row["home"]).parent.parent):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{process_id}/cmdline").read_bytes().split(b"\0")
            found += [process_id] * (os.fsencode(row["home"]) in words)
    return found


def stop(row: dict[str, Any]) -> None:
    """Kill a node."""
    for process_id in find_node(row):
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


def test_an_app_gets_a_key_that_nobody_else_sees(client: Client) -> None:
    """Blinded by the app's own secret on its way, checked on chain; the same every time, another for another path."""
    root = base58.decode(
        client.view(CONTRACT_ID, "public_key", {"domain_id": APP_KEYS_ID}).json().partition(":")[2]
    )

    def ask_key(path: str) -> bytes:
        secret, (first, second) = make_app_secret()
        key = {
            "pk1": f"bls12381g1:{base58.encode(first)}",
            "pk2": f"bls12381g2:{base58.encode(second)}",
        }
        request = {
            "derivation_path": path,
            "app_public_key": {"AppPublicKeyPV": key},
            "domain_id": APP_KEYS_ID,
        }
        options: dict[str, Any] = {"gas": "100 Tgas", "deposit": "1 yoctonear"}
        answer = client.call(
            CONTRACT_ID, "request_app_private_key", {"request": request}, **options
        ).value_json()
        blinded = b"".join(base58.decode(answer[name].partition(":")[2]) for name in ("big_y", "big_c"))
        found = unmask_app_key(blinded, root, compute_app_id("alice.near", path), secret)
        assert found is not None
        assert found.expose() not in blinded
        return found.expose()

    assert ask_key("vault") == ask_key("vault") != ask_key("another")


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
    assert len(ceremony.files) >= 3 * ATTEMPTS_SAVED
    assert search_pieces(iter(ceremony.files), secrets) == set()
    # Keys that were made later: after the ceremony, as those.
    for domain_id in (2, 3):
        shares = {me: read_shares(row, domain_id) for me, row in enumerate(rows[:2])}
        forms = list_forms(combine(shares, SECP256K1_ORDER))
        secrets |= {f"domain {domain_id} {name}": form for name, form in forms.items()}
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
        text = httpx.get(f"{row['observe']}/metrics", timeout=BECOMES_S_MAX).text
        found = re.search(rf'^hither_mpc_events_total{{event="{what}"}} (\d+)$', text, re.MULTILINE)
        total += int(found.group(1)) if found else 0
    return total


def call_as_node(row: dict[str, Any], *arguments: str) -> str:
    """As its operator does."""
    command = [str(PROGRAMS / "hither"), "mpc", "call", "--home", row["home"], *arguments]
    called = subprocess.run(command, capture_output=True, text=True, timeout=BECOMES_S_MAX, check=False)
    assert called.returncode == 0, called.stderr
    return called.stdout


def test_a_network_goes_on_for_weeks(client: Client, running: Network) -> None:
    """Attestations live a week; each node renews its own in time, so nobody can take them away, and all sign."""
    rows = running.endpoints["mpc"]["processes"]
    tls_keys = [get_tls_key(row) for row in rows]
    for _ in range(3):
        at_ns = client.get_block().timestamp_ns + 8 * DAY_NS
        client.request("hither_set_time", {"timestamp_nanosec": at_ns})
        client.request("hither_mine", {"count": 1})

        def is_attested(tls_key: str, at_ns: int = at_ns) -> bool:
            arguments = {"tls_public_key": tls_key}
            stored = client.view(CONTRACT_ID, "get_attestation", arguments).json()
            end_s: int = stored["Mock"]["WithConstraints"]["expiry_timestamp_seconds"]
            return end_s * 10**9 > at_ns + 6 * DAY_NS

        must_become(lambda is_attested=is_attested: all(map(is_attested, tls_keys)), "attested anew")
        must_sign(client, f"at {at_ns}")
    assert call_as_node(rows[0], "verify_tee").startswith("verify_tee: true, in transaction ")
    assert client.call(CONTRACT_ID, "clean_invalid_attestations", {"max_scan": 30}).value_json() == 0
    for domain_id in (0, 1, 3):
        must_sign(client, "weeks later", domain_id)
    assert get_health(rows[0])["attested_s"] > 6 * DAY_NS // 10**9


def get_tls_key(row: dict[str, Any]) -> str:
    command = [str(PROGRAMS / "hither"), "mpc", "keys", "--home", row["home"]]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=BECOMES_S_MAX, check=True).stdout
    return shown.split("TLS key")[1].strip()


def test_what_operators_propose_is_written_in_json(client: Client, running: Network) -> None:
    """Also where the contract takes borsh: settings among those in force, endpoints of chains, and what is wrong."""
    rows = running.endpoints["mpc"]["processes"]
    proposed = call_as_node(rows[0], "propose_update", '{"config": {"key_event_timeout_blocks": 60}}')
    number = proposed.split(": ")[1].partition(",")[0]
    assert call_as_node(rows[0], "vote_update", f'{{"id": {number}}}').startswith("vote_update: false")
    assert call_as_node(rows[1], "vote_update", f'{{"id": {number}}}').startswith("vote_update: true")
    must_become(
        lambda: client.view(CONTRACT_ID, "config").json()["key_event_timeout_blocks"] == 60, "in force"
    )
    for row in rows:
        call_as_node(row, "vote_update_foreign_chain_providers", '{"Polygon": ["https://polygon.example"]}')
    assert b"https://polygon.example" in client.view(CONTRACT_ID, "allowed_foreign_chain_providers").value
    for arguments, reason in ('{"Mars": ["x"]}', "unknown chain Mars"), ("{}", "endpoints are written"):
        command = [str(PROGRAMS / "hither"), "mpc", "call", "--home", rows[0]["home"]]
        command += ["vote_update_foreign_chain_providers", arguments]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=BECOMES_S_MAX, check=False)
        assert refused.returncode == 1 and reason in refused.stderr
    code = call_as_node(rows[0], "propose_update", f'{{"code": "{WASM}"}}')
    assert code.startswith("propose_update: ")


UNSERVED = {
    "Solana": {
        "finality": "Finalized",
        "tx_id": "01" * 64,
        "extractors": [{"SolanaDataHash": {"ix_index": 0}}],
    },
    "Ton": {
        "finality": "MasterchainIncluded",
        "tx_id": "01" * 32,
        "account": {"workchain": -1, "hash": "02" * 32},
        "extractors": [{"Log": {"message_index": 0}}],
    },
}


def test_a_chain_that_nobody_looks_at_is_refused_at_once(client: Client, running: Network) -> None:
    """By the contract; and by the nodes where operators have registered it all the same."""
    requests = [
        {"request": {chain: body}, "domain_id": 2, "payload_version": 1} for chain, body in UNSERVED.items()
    ]
    options: dict[str, Any] = {"gas": "60 Tgas", "deposit": "1 yoctonear"}
    with pytest.raises(ExecutionFailed, match="Solana"):
        client.call(CONTRACT_ID, "verify_foreign_transaction", {"request": requests[0]}, **options)
    urls = json.dumps({chain: ["https://chain.example"] for chain in UNSERVED})
    chains = json.dumps({"foreign_chain_support": ["Bitcoin", *UNSERVED]})
    for row in running.endpoints["mpc"]["processes"]:
        call_as_node(row, "vote_update_foreign_chain_providers", urls)
        call_as_node(row, "register_foreign_chain_support", chains)
    for request, chain in zip(requests, UNSERVED, strict=True):
        with pytest.raises(ExecutionFailed, match=f"refused: UnsupportedForeignChain: .* look at {chain}"):
            client.call(CONTRACT_ID, "verify_foreign_transaction", {"request": request}, **options)


def test_who_falls_silent_is_told_of_where_all_are_needed(client: Client, running: Network) -> None:
    """Whichever is stopped, just before the request: its connections stand. Others sign what needs two; all heal."""
    rows = running.endpoints["mpc"]["processes"]
    for silent, row in enumerate(rows):
        (process_id,) = find_node(row)
        os.kill(process_id, signal.SIGSTOP)
        try:
            started_s = time.monotonic()
            with pytest.raises(ExecutionFailed, match="Request was refused: RobustSetIncomplete: ") as caught:
                ask(client, f"while {silent} is silent", 3)
            print(f"node {silent} silent: told after {time.monotonic() - started_s:.2f} s: {caught.value}")
            for domain_id in (0, 1):
                must_sign(client, f"while {silent} is silent", domain_id)
        finally:
            os.kill(process_id, signal.SIGCONT)
        must_become(
            lambda: all(
                health["status"] == "ok" and len(health["connected"]) == 2 for health in map(get_health, rows)
            ),
            "healed",
        )
        must_sign(client, f"with {silent} again", 3)


def start_with(row: dict[str, Any], urls: tuple[str, ...], stack: contextlib.ExitStack) -> None:
    """The node again, by hand, with these endpoints of Bitcoin."""
    stop(row)
    path = Path(row["home"]) / CONFIG_FILE
    config = msgspec.structs.replace(read_config(path).config, foreign_chains={"Bitcoin": urls})
    path.write_text(format_config(config))
    start(row, stack)


def test_nodes_are_stopped_and_started_one_after_the_other(client: Client, running: Network) -> None:
    """Without the third: sign. Without the second too: none. With the third again: another pair, the same key."""
    rows = running.endpoints["mpc"]["processes"]
    with contextlib.ExitStack() as stack:
        stop(rows[2])
        must_become(lambda: get_health(rows[0])["connected"] == [1], "noticed")
        for domain_id in (0, 1):
            must_sign(client, "without the third", domain_id)
        # One refusal is enough where all are needed: nothing waits for a time-out of the contract.
        reason = "Request was refused: RobustSetIncomplete: 3 signers are needed, and 2 are to be reached"
        with pytest.raises(ExecutionFailed, match=reason):
            ask(client, "by all three", 3)
        stop(rows[1])
        must_become(lambda: get_health(rows[0])["connected"] == [], "noticed")
        assert get_health(rows[0])["problems"] == ["2 signers are needed, and 1 are to be reached"]
        # It tells the contract why; once two others have had their time to sign all the same, that ends the request.
        reason = "Request was refused: SignersUnavailable: 2 signers are needed, and 1 are to be reached"
        with pytest.raises(ExecutionFailed, match=reason):
            ask(client, "by one alone")
        start(rows[2], stack)
        must_become(
            lambda: get_health(rows[0])["connected"] == [2] and get_health(rows[2])["status"] == "ok", "back"
        )
        for domain_id in (0, 1):
            must_sign(client, "with the first and the third", domain_id)
        start(rows[1], stack)
        must_become(lambda: all(len(get_health(row)["connected"]) == 2 for row in rows), "complete")
        must_sign(client, "by all three again", 3)


def test_each_process_looks_at_other_chains_through_its_own_endpoints(running: Network) -> None:
    """What more than half of a node's endpoints say is signed; where two nodes lack that, the caller learns why."""
    rows = running.endpoints["mpc"]["processes"]
    url = next(row["rpc_url"] for row in running.endpoints["foreign"] if row["caip2"] == BITCOIN)

    def must_be_connected() -> None:
        """And have read the chain."""
        must_become(
            lambda: all(
                health["status"] == "ok" and len(health["connected"]) == 2 for health in map(get_health, rows)
            ),
            "connected",
        )

    async def confirm(transaction_id: bytes, confirmations: int) -> None:
        question = BitcoinQuestion(transaction_id, confirmations, (BlockHash(),))
        async with await Account.load("alice.near", home=running.home) as alice:
            signing = SigningClient(alice.client, CONTRACT_ID)
            confirmed = await signing.confirm(alice.signer, question, 2)
        rpc = JsonRpc(url)
        found = await rpc.call("getrawtransaction", [transaction_id.hex(), True])
        await rpc.close()
        block = BitcoinBlock(bytes.fromhex(found["blockhash"]))
        assert confirmed.payload_hash == compute_payload_hash(question, (block,))

    async def pay() -> bytes:
        async with await Account.load("alice.near", home=running.home) as alice:
            on = alice.on(BITCOIN)
            await on.fund("1 BTC")
            sent = await on.send("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "10_000 sat")
            return bytes.fromhex(sent.transaction_id)

    with contextlib.ExitStack() as stack:
        for row in rows[1:]:
            start_with(row, (url, url, NOWHERE), stack)
        must_be_connected()
        transaction_id = asyncio.run(pay())
        # Each by another pair: whoever leads, one of those with three endpoints takes part.
        for _ in range(3):
            asyncio.run(confirm(transaction_id, 1))
        for row in rows[1:]:
            start_with(row, (url, NOWHERE, NOWHERE), stack)
        must_be_connected()
        with pytest.raises(ExecutionFailed, match=r"ForeignTransactionNotConfirmed: .* does not answer"):
            asyncio.run(confirm(transaction_id, 1))
        for row in rows[1:]:
            start_with(row, (url,), stack)
        must_be_connected()
        asyncio.run(confirm(transaction_id, 1))


def test_a_node_of_the_network_cannot_be_run_twice(running: Network) -> None:
    """The second process is refused, and told why."""
    row = running.endpoints["mpc"]["processes"][0]
    command = [str(PROGRAMS / "hither"), "mpc", "run", "--home", row["home"]]
    second = subprocess.run(command, capture_output=True, text=True, timeout=BECOMES_S_MAX, check=False)
    assert second.returncode == 1
    assert "another process runs the node" in second.stderr


def test_nodes_die_with_the_network(running: Network, home: Path) -> None:
    """Also when it is killed without a chance to end them."""
    assert find_nodes(home)
    running.process.kill()
    running.process.wait()
    must_become(lambda: not find_nodes(home), "gone")
