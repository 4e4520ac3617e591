"""``hither send CHAIN TO AMOUNT --from ACCOUNT``: an account of our chain pays on any chain."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hither.cli.problems import home_option, stop
from hither.cli.progress import Progress
from hither.sdk.endpoints import resolve_home

if TYPE_CHECKING:
    from hither.foreign.caip import ChainId
    from hither.sdk.account import Account
    from hither.sdk.network import Network
    from hither.sdk.work import Sent

T = TypeVar("T")
FAMILY_NAMES = {"near": "near", "bitcoin": "bip122", "solana": "solana"}


@click.command("send")
@click.argument("chain")
@click.argument("to")
@click.argument("amount")
@click.option("--from", "sender", metavar="ACCOUNT", required=True, help="Who pays; its key is in the home.")
@click.option("--reference", help="A payment of this name happens once, however often it is asked for.")
@click.option("--path", help="The derivation path of the paying address [default: the usual one].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@home_option
def command(
    chain: str,
    to: str,
    amount: str,
    sender: str,
    reference: str | None,
    path: str | None,
    as_json: bool,
    home: str | None,
) -> None:
    """Send AMOUNT (with its unit: "0.1 ETH") on CHAIN to TO, and wait until that is final.

    CHAIN is a name (near, bitcoin, solana, base, arbitrum) or a CAIP-2 id. TO is an address there, or an account of our
    chain, which has one on every chain. One that was interrupted goes on with `hither transfers resume`.
    """

    async def send(account: "Account", progress: Progress) -> dict[str, Any]:
        on = account.on(find_chain(account.network, chain), path=path)
        receiver = to
        if "." in to and on.chain != account.network.chain:
            receiver = await find_address(account.network, to, on.chain)
            progress.note(f"{to} is {receiver} there")
        sent = await on.send(
            receiver, amount, reference=reference, progress=lambda event: progress.say(str(event))
        )
        return describe_sent(account, sent)

    show(with_account(sender, home, send), as_json=as_json)


def find_chain(network: "Network", text: str) -> "ChainId":
    """The network's chain of that name. Raises ``InvalidChainId``."""
    from hither.foreign.caip import parse_chain_id
    from hither.foreign.evm_chains import find_evm_chain

    namespace = FAMILY_NAMES.get(text.lower())
    if namespace is not None:
        known = (network.chain, *network.endpoints)
        found = next((one for one in known if one.namespace == namespace), None)
        return found if found is not None else parse_chain_id(text)
    return parse_chain_id(text) if ":" in text else find_evm_chain(text)


async def find_address(network: "Network", name: str, chain: "ChainId", path: str | None = None) -> str:
    """Of an account that exists: nobody has the addresses of a name that is mistyped. Raises ``UnknownAccount``."""
    from hither.client import AsyncClient
    from hither.client.actions import parse_account_id
    from hither.sdk.account import list_addresses_of

    async with AsyncClient(network.rpc_url) as client:
        await client.get_account(parse_account_id(name))
    rows = await list_addresses_of(network, [name], [] if path is None else [path])
    return next(row.address for row in rows if row.chain == str(chain) and path in (None, row.path))


def with_account(
    account_id: str, home: str | None, work: Callable[["Account", Progress], Coroutine[Any, Any, T]]
) -> T:
    """What an account does, with progress; one sentence and what to do when it fails."""

    async def run(progress: Progress) -> T:
        from hither.sdk.account import Account

        async with await Account.load(account_id, home=resolve_home(home)) as account:
            return await work(account, progress)

    return run_or_stop(run)


def run_or_stop(work: Callable[[Progress], Coroutine[Any, Any, T]]) -> T:
    """Its result; when it fails, one sentence and what to do, and the end of the command."""
    from hither.client import ClientError
    from hither.foreign.errors import ForeignError
    from hither.mpc.client import SigningFailed
    from hither.sdk.endpoints import NoKey, NoNetwork
    from hither.sdk.network import UnknownChain

    progress = Progress()
    try:
        return asyncio.run(work(progress))
    except (ClientError, ForeignError, NoKey, NoNetwork, SigningFailed, UnknownChain) as problem:
        progress.close()
        stop(str(problem), getattr(problem, "hint", None))
    except ExceptionGroup as problems:
        progress.close()
        # What to do is often the same for several.
        hints = dict.fromkeys(hint for one in problems.exceptions if (hint := getattr(one, "hint", None)))
        message = "\n".join([problems.message, *(f"  {one}" for one in problems.exceptions)])
        stop(message, "; ".join(hints) or None)
    finally:
        progress.close()


def describe_sent(account: "Account", sent: "Sent") -> dict[str, Any]:
    """A transfer that is final, as JSON has it: amounts in the smallest unit, and as texts."""
    write = account.on(sent.chain).format
    texts = {"amount_text": write(sent.amount), "fee_text": None if sent.fee is None else write(sent.fee)}
    return dataclasses.asdict(sent) | {"chain": str(sent.chain)} | texts


def show(row: dict[str, Any], *, as_json: bool) -> None:
    """What ``describe_sent`` gives."""
    if as_json:
        click.echo(json.dumps(row))
        return
    for name, value in {
        "transaction": row["transaction_id"],
        "from": row["address"],
        "to": row["receiver"],
        "amount": row["amount_text"],
        "fee": row["fee_text"] or "unknown",
        "confirmations": row["confirmations"],
        "signed by": ", ".join(row["sign_transactions"]) or "the account's own key",
    }.items():
        click.echo(f"{name:<14}{value}")
