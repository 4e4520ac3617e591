"""One account transacts on every chain of a running network, and shows each proof.

The account is new, with a random name: before anything is funded, its balance and nonce are zero on every chain. Each
signature on another chain comes from the signing network; the transaction on our chain that asked for it
stands in the row. Then it swaps on Uniswap v3, moves a token on Solana, and has a treasury that it shares with others
pay a bitcoin address (``demo_acts``). In the end each row is read again by a client that is not ours.
"""

import functools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hither.client import AsyncClient, Signer, UnknownAccount
from hither.crypto.keys import public_key_to_str
from hither.foreign.caip import ChainId
from hither.foreign.engines.faucet import fund
from hither.sdk.account import Account, OnChain
from hither.sdk.amounts import Units
from hither.sdk.demo_acts import find_chain, show_swap, show_token, show_treasury
from hither.sdk.demo_rows import Before, DemoFailed, Row, Say, Stage, make_claim, make_row, naming
from hither.sdk.network import Network
from hither.sdk.verification import Claim, verify

PARENT_ID: Final = "test.near"
RECEIVER_ID: Final = "bob.near"
TRANSFER: Final = "transfer"
START_AMOUNT: Final = "50 N"
FUNDS: Final = {"eip155": 10**18, "bip122": 10**8, "solana": 10**9}
AMOUNTS: Final = {
    "near": Units(10**24),
    "eip155": Units(10**15),
    "bip122": Units(10**5),
    "solana": Units(10**7),
}


Act = Callable[[Stage, ChainId], Awaitable[tuple[Row, Claim]]]


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it.

    ``total_s`` is from the account's creation to the last transfer final, faucets included and before any act;
    ``verify_s`` is the re-reading.
    """

    rows: tuple[Row, ...]
    total_s: float
    verify_s: float


def say_nothing(_text: str) -> None:
    """Progress for nobody."""


def show_nobody(_row: Row) -> None:
    """Rows for nobody, until all are there."""


async def run_demo(
    endpoints: Mapping[str, Any],
    home: Path,
    say: Say = say_nothing,
    *,
    note: Say = say_nothing,
    on_row: Callable[[Row], None] = show_nobody,
    has_acts: bool = True,
) -> Report:
    """All rows, our chain first, each read again in the end; without acts, transfers alone.

    ``note`` gets what shall stay of the progress: that each address is new. ``on_row`` gets each row when it is final,
    before it was read again.

    Raises DemoFailed, NotVerified.
    """
    network = Network.from_endpoints(endpoints, home / "transfers")
    keys = {row["account_id"]: row["secret_key"] for row in endpoints["near"]["accounts"]}
    account_id = f"demo-{secrets.token_hex(4)}.{PARENT_ID}"
    signer = Signer.generate(account_id)
    async with AsyncClient(network.rpc_url, signer=Signer(PARENT_ID, keys[PARENT_ID])) as client:
        with naming(network.chain, TRANSFER):
            await _must_be_new(client, account_id)
            note(f"{network.chain}: {account_id} does not exist, so it has balance 0 and nonce 0; making it")
            started = time.monotonic()
            await client.create_account(account_id, public_key_to_str(signer.public_key), START_AMOUNT)
    async with (
        Account(network, signer) as account,
        Account(network, Signer(RECEIVER_ID, keys[RECEIVER_ID])) as receiver,
    ):
        stage = Stage(network, account, receiver, say, note)
        made: list[tuple[Row, Claim]] = []
        for chain in account.chains:
            with naming(chain, TRANSFER):
                made.append(await _show_transfer(stage, chain))
            on_row(made[-1][0])
        final = time.monotonic()
        if has_acts:
            async for row, claim in _show_acts(stage, keys):
                made.append((row, claim))
                on_row(row)
    say("every row is final; independent clients read them again")
    reading = time.monotonic()
    facts = await verify([claim for _, claim in made])
    rows = (replace(row, verified_by=fact.verified_by) for (row, _), fact in zip(made, facts, strict=True))
    return Report(tuple(rows), final - started, time.monotonic() - reading)


async def _show_acts(stage: Stage, keys: dict[str, str]) -> AsyncIterator[tuple[Row, Claim]]:
    """Those for which the network has the chain."""
    acts: list[tuple[str, str, Act]] = [
        ("eip155", "swap on Uniswap v3", show_swap),
        ("solana", "SPL token", show_token),
        ("bip122", "paid by a treasury", functools.partial(show_treasury, keys=keys)),
    ]
    for namespace, deed, show in acts:
        if (chain := find_chain(stage, namespace)) is not None:
            with naming(chain, deed):
                shown = await show(stage, chain)
            yield shown


async def _must_be_new(client: AsyncClient, account_id: str) -> None:
    try:
        await client.get_account(account_id)
    except UnknownAccount:
        return
    raise DemoFailed(f"{account_id} is there already")


async def _show_transfer(stage: Stage, chain: str) -> tuple[Row, Claim]:
    sender, receiver = stage.account.on(chain), stage.receiver.on(chain)
    is_home = sender.chain == stage.network.chain
    if not is_home:
        await _fund_new_address(stage, sender)
    target, amount = await receiver.address(), AMOUNTS[sender.chain.namespace]
    before = await receiver.balance()
    sent = await sender.send(target, amount, progress=stage.follow)
    gained = await receiver.balance() - before
    if gained != amount:
        raise DemoFailed(f"{chain}: the receiver has {gained} more, not {amount}")
    claim = make_claim(stage.network, sent, deed=TRANSFER, nonce=0)
    return make_row(sender, sent, Before(), deed=TRANSFER), claim


async def _fund_new_address(stage: Stage, on: OnChain) -> None:
    address, balance, nonce = await on.address(), await on.balance(), await on.nonce()
    if balance or nonce:
        raise DemoFailed(f"{on.chain}: {address} is new, but has {balance} and nonce {nonce}")
    stage.note(f"{on.chain}: {address} has balance {on.format(balance)} and nonce {nonce}; funding it")
    await fund(on.chain, stage.network.endpoints[on.chain].url, address, FUNDS[on.chain.namespace])
