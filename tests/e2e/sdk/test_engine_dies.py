"""A chain that dies in the middle of a transfer: who sends is told what to do, and the journal finishes it."""

import asyncio
import contextlib
import dataclasses
import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from embit.ec import PrivateKey
from embit.networks import NETWORKS as embit_networks
from embit.script import p2wpkh
from eth_account import Account as EthereumAccount
from solders.keypair import Keypair

from hither import BlockingAccount
from hither import Network as SdkNetwork
from hither.foreign.engines.faucet import fund
from hither.foreign.errors import FinalityTimeout, TransportError
from hither.foreign.transport import JsonRpc
from hither.sdk.endpoints import is_running
from hither.sdk.events import Event, Step
from tests.e2e.cli.running import Network, hither, must_hither, network

pytestmark = pytest.mark.slow
SENDER = "carol.near"
FUNDS = {"eip155": 10**18, "bip122": 10**8, "solana": 10**10}
AMOUNTS = {"eip155": "5 gwei", "bip122": "1_000 sat", "solana": "0.002 SOL"}
UNITS = {"eip155": 5 * 10**9, "bip122": 1_000, "solana": 2_000_000}
AWAY = ("check that the endpoint runs", "resume the transfer, which sends nothing twice")
LATE = ("it may still happen", "resume() follows it further")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Network]:
    """Our chain, the signing network, Bitcoin, one EVM chain and Solana."""
    with begin(tmp_path) as everything:
        yield everything


def begin(home: Path) -> contextlib.AbstractContextManager[Network]:
    return network(home, "--quiet", "--evm", "8453", is_alone=False)


def list_chains(running: Network) -> dict[str, str]:
    """By family; Solana comes last, as its engine's process is the parent of the others."""
    found = {row["caip2"].partition(":")[0]: row["caip2"] for row in running.endpoints["foreign"]}
    return {family: found[family] for family in FUNDS}


def make_address(family: str) -> str:
    """One that nobody has used."""
    if family == "eip155":
        return str(EthereumAccount.create().address)
    if family == "solana":
        return str(Keypair().pubkey())
    key = PrivateKey(secrets.token_bytes(32)).get_public_key()
    return str(p2wpkh(key).address(embit_networks["regtest"]))


def kill(process_id: int) -> None:
    """At once; returns when nothing of it can answer any more."""
    os.kill(process_id, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while is_running(process_id):
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.005)


def read_balance(account: BlockingAccount, chain: str, address: str) -> int:
    inner = account._inner
    return account._loop.run(inner.get_adapter(inner.on(chain).chain).fetch_balance(address))


def make_no_blocks(running: Network) -> None:
    """What is sent waits in the memory of the EVM node, which a kill wipes; the Bitcoin node's pool is kept."""
    (url,) = [row["rpc_url"] for row in running.endpoints["foreign"] if row["caip2"].startswith("eip155")]
    asyncio.run(ask(url, "evm_setAutomine", False))


async def ask(url: str, method: str, *params: Any) -> Any:
    rpc = JsonRpc(url)
    try:
        return await rpc.call(method, params, is_repeatable=False)
    finally:
        await rpc.close()


def send_and_lose_the_engine(
    running: Network, carol: BlockingAccount, chain: str, receiver: str, last: Step
) -> None:
    """The engine dies once that step is in the journal."""
    (row,) = [row for row in running.endpoints["foreign"] if row["caip2"] == chain]
    on = carol.on(chain)

    def kill_after(event: Event) -> None:
        if event.step is last:
            kill(row["pid"])

    is_sent = last is Step.BROADCAST
    with pytest.raises(FinalityTimeout if is_sent else TransportError) as caught:
        on.send(receiver, AMOUNTS[on.chain.namespace], reference=f"lost {chain}", progress=kill_after)
    for advice in LATE if is_sent else AWAY:
        assert advice in str(caught.value.hint)
    assert caught.value.retryable
    assert row["rpc_url"].removeprefix("http://") in str(caught.value)
    assert [one.step for one in carol.list_transfers() if str(one.chain) == chain] == [last.value]


@pytest.mark.parametrize("last", [Step.READY, Step.BROADCAST])
def test_transfer_is_finished_after_its_chain_has_died(running: Network, last: Step) -> None:
    """Signed and not sent, or sent and forgotten: an error with what to do; on the next start it is finished, once."""
    chains = list_chains(running)
    receivers = {family: make_address(family) for family in chains}
    # Looks once whether a transfer is final.
    impatient = dataclasses.replace(SdkNetwork.load(running.home), final_timeout_seconds=0.0)
    with BlockingAccount.load(SENDER, home=running.home, network=impatient) as carol:
        for row in running.endpoints["foreign"]:
            on = carol.on(row["caip2"])
            asyncio.run(fund(on.chain, row["rpc_url"], on.address(), FUNDS[on.chain.namespace]))
        nonce = carol.on(chains["eip155"]).nonce()
        if last is Step.BROADCAST:
            make_no_blocks(running)
        for family, chain in chains.items():
            send_and_lose_the_engine(running, carol, chain, receivers[family], last)
        signed = {str(one.chain): one.transaction_id for one in carol.list_transfers()}
    if last is Step.READY:
        # A person is told the same, as long as the chains are away.
        refused = hither("transfers", "resume", "--of", SENDER, home=running.home)
        assert (refused.returncode, "Traceback" in refused.stderr) == (1, False), refused.stderr
        assert all(advice in refused.stderr for advice in AWAY), refused.stderr
    running.end()
    with begin(running.home) as again, BlockingAccount.load(SENDER, home=again.home) as carol:
        finished = {str(sent.chain): sent for sent in carol.resume()}
        assert set(finished) == set(chains.values())
        assert (carol.resume(), carol.list_transfers()) == ([], [])
        for family, chain in chains.items():
            assert read_balance(carol, chain, receivers[family]) == UNITS[family], chain
            # The same bytes, but for Solana's, which may have expired meanwhile.
            assert family == "solana" or finished[chain].transaction_id == signed[chain]
            # To ask once more for the same pays nothing.
            on = carol.on(chain)
            assert on.send(receivers[family], AMOUNTS[family], reference=f"lost {chain}") == finished[chain]
            assert read_balance(carol, chain, receivers[family]) == UNITS[family], chain
        assert carol.on(chains["eip155"]).nonce() == nonce + 1
        assert json.loads(must_hither("transfers", "--json", home=again.home)) == []
        again.end()
