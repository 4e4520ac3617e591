"""The peer: anvil, given the same load by its fastest documented way (batches, no mining, then ``evm_mine``)."""

import contextlib
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hither.cli.bench.load import send_once
from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.bench.programs import find_tool, run_program, wait_until_ready
from hither.cli.bench.world import SEED
from hither.cli.rpc import RpcCaller
from hither.crypto.hashing import keccak256, sha256
from hither.crypto.keys import SECP256K1, SecretKey
from hither.crypto.signing import compute_public_key, secret_key_from_seed, sign
from hither.foreign.engines.ports import find_free_port
from hither.foreign.evm_transactions import (
    LegacyTransaction,
    encode_signed,
    encode_unsigned,
)

CHAIN_ID = 31337
BATCH = 200
CONNECTIONS = 4
SINGLE_CONNECTIONS = 64
"""As many as our own server gets in ``rpc_tps``."""

SEQUENTIAL_MAX = 1_000
"""How many a client sends that waits for each answer."""

WAYS = (("peer", BATCH, CONNECTIONS), ("peer_single", 1, SINGLE_CONNECTIONS), ("peer_sequential", 1, 0))
"""Name of the figure, transactions a request, connections: the documented way, the way our server is driven, and the
way of a simple script, which is no load at all: none but the caller's own connection, one request after the other.
"""

TPS_MAX = 15_000
"""Transfers are signed beforehand, enough for this rate."""

MINING_S_MAX = 20.0
"""Without a transaction in a block."""

GAS_PRICE_WEI = 2_000_000_000
TRANSFER_GAS = 21_000
BALANCE_WEI = 10**24


@dataclass(frozen=True, slots=True)
class EvmSender:
    """Who signs on the peer."""

    secret: SecretKey
    address: bytes


def make_senders(count: int) -> list[EvmSender]:
    """Senders with keys of their own."""
    senders = []
    for index in range(count):
        secret = secret_key_from_seed(SECP256K1, sha256(b"bench %d" % index))
        senders.append(EvmSender(secret, keccak256(compute_public_key(secret).data)[12:]))
    return senders


def sign_transaction(sender: EvmSender, transaction: LegacyTransaction) -> bytes:
    """The raw transaction."""
    signature = sign(sender.secret, keccak256(encode_unsigned(transaction))).data
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return encode_signed(transaction, signature[64], r, s)


def list_receivers(accounts: int) -> list[bytes]:
    """Addresses of accounts that do not send."""
    return [keccak256(b"account %d" % index)[12:] for index in range(accounts)]


@contextlib.contextmanager
def run_anvil(folder: Path, addresses: Sequence[bytes]) -> Iterator[RpcCaller]:
    """An anvil that mines when told, with money at these addresses."""
    balance = hex(BALANCE_WEI)
    genesis = {
        "config": {"chainId": CHAIN_ID},
        "gasLimit": hex(2**53),
        "difficulty": "0x0",
        "alloc": {"0x" + address.hex(): {"balance": balance} for address in addresses},
    }
    (folder / "genesis.json").write_text(json.dumps(genesis), encoding="utf-8")
    port = find_free_port()
    arguments = (find_tool("anvil"), "--port", str(port), "--no-mining", "--silent", "--accounts", "1")
    options = ("--init", str(folder / "genesis.json"), "--disable-block-gas-limit", "--order", "fifo")
    log = folder / "anvil.log"
    with run_program((*arguments, *options), log) as process:
        caller = RpcCaller(f"http://127.0.0.1:{port}", timeout_s=300)
        wait_until_ready(process, caller, "eth_chainId", log)
        yield caller
        caller.close()


def measure_raw(
    caller: RpcCaller,
    raws: Sequence[bytes],
    folder: Path,
    seconds: float,
    *,
    batch: int = BATCH,
    connections: int = CONNECTIONS,
) -> tuple[int, float]:
    """Send raw transactions in batches and mine until none waits; how many, and how long it took."""
    if not connections:
        return measure_sequential(caller, raws[:SEQUENTIAL_MAX])
    bodies = [make_batch(raws[at : at + batch]) for at in range(0, len(raws), batch)]
    before = int(caller.call("eth_blockNumber", []), 16)
    sent = send_once(caller.url, bodies, folder, connections, seconds)
    if sent.refused or sent.lost:
        raise BenchmarkFailed(f"anvil refused part of {sent.refused} requests and did not answer {sent.lost}")
    expected = sum(len(raws[at * batch : (at + 1) * batch]) for at in range(sent.sent))
    mined = mine_all(caller, before, expected)
    ended = time.time()
    if mined != expected:
        raise BenchmarkFailed(f"anvil took {mined} of {expected} transactions")
    return mined, ended - sent.started


def measure_sequential(caller: RpcCaller, raws: Sequence[bytes]) -> tuple[int, float]:
    """Send them one after the other, each when the last is answered, and mine; how many, and how long it took."""
    before = int(caller.call("eth_blockNumber", []), 16)
    started = time.monotonic()
    for raw in raws:
        caller.call("eth_sendRawTransaction", ["0x" + raw.hex()])
    mined = mine_all(caller, before, len(raws))
    if mined != len(raws):
        raise BenchmarkFailed(f"anvil took {mined} of {len(raws)} transactions")
    return mined, time.monotonic() - started


def mine_all(caller: RpcCaller, height: int, expected: int) -> int:
    """Mine until blocks above that height hold so many transactions, or no more come; how many they hold.

    A block can be there later than the answer that it was mined.
    """
    mined, progress = 0, time.monotonic()
    while mined < expected and time.monotonic() - progress < MINING_S_MAX:
        if any(int(count, 16) for count in caller.call("txpool_status", []).values()):
            caller.call("evm_mine", [])
        for number in range(height + 1, int(caller.call("eth_blockNumber", []), 16) + 1):
            height = number
            count = int(caller.call("eth_getBlockTransactionCountByNumber", [hex(number)]), 16)
            if count:
                mined, progress = mined + count, time.monotonic()
    return mined


def make_batch(raws: Sequence[bytes]) -> bytes:
    """One request with many ``eth_sendRawTransaction``; of one alone, a plain request."""
    calls = [
        {"jsonrpc": "2.0", "id": at, "method": "eth_sendRawTransaction", "params": ["0x" + raw.hex()]}
        for at, raw in enumerate(raws)
    ]
    return json.dumps(calls if len(calls) > 1 else calls[0]).encode()


def measure_anvil_transfers(options: BenchOptions) -> Figures:
    """As many accounts and senders, the same amounts, each of ``WAYS`` on a chain of its own."""
    choose = random.Random(SEED)
    senders = make_senders(options.senders)
    receivers = list_receivers(max(1, options.accounts - options.senders))
    count = int(TPS_MAX * options.seconds) // options.senders + 1
    raws = []
    for nonce in range(count):
        for sender in senders:
            amount = choose.randrange(1, 10**18)
            receiver = choose.choice(receivers)
            transaction = LegacyTransaction(CHAIN_ID, nonce, GAS_PRICE_WEI, TRANSFER_GAS, receiver, amount)
            raws.append(sign_transaction(sender, transaction))
    addresses = [*(sender.address for sender in senders), *receivers]
    figures: Figures = {}
    for name, batch, connections in WAYS:
        with tempfile.TemporaryDirectory() as folder, run_anvil(Path(folder), addresses) as caller:
            mined, seconds = measure_raw(
                caller, raws, Path(folder), options.seconds, batch=batch, connections=connections
            )
            figures |= {
                "peer": caller.call("web3_clientVersion", []),
                f"{name}_tps": round(mined / seconds),
                f"{name}_transfers": mined,
                f"{name}_seconds": round(seconds, 2),
            }
    return figures
