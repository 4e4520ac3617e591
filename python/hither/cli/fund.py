"""``hither fund CHAIN AMOUNT --account NAME``: coins from a development chain's faucet."""

import json

import click

from hither.cli.problems import home_option
from hither.cli.progress import Progress
from hither.cli.send import find_address, find_chain, run_or_stop


@click.command("fund")
@click.argument("chain")
@click.argument("amount")
@click.option("--account", "account_id", metavar="NAME", help="Whose address there gets them.")
@click.option("--to", "address", metavar="ADDRESS", help="An address of the chain, instead of an account's.")
@click.option("--path", help="The derivation path of the account's address [default: the usual one].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@home_option
def command(
    chain: str,
    amount: str,
    account_id: str | None,
    address: str | None,
    path: str | None,
    as_json: bool,
    home: str | None,
) -> None:
    """Put AMOUNT (with its unit: "0.1 ETH") of CHAIN's coin on an address, for nothing.

    CHAIN is a development chain: a name (bitcoin, solana, base, arbitrum) or a CAIP-2 id. Returns when the coins are
    there. On our own chain, `hither send` from one of the funded accounts.
    """
    if (account_id is None) == (address is None) or (path is not None and account_id is None):
        raise click.UsageError("name an account (--account, which may have a --path), or an address (--to)")

    async def pay(_progress: Progress) -> dict[str, str]:
        from hither.sdk.network import Network
        from hither.sdk.work import NotOnThisChain

        network = Network.load(home)
        found = find_chain(network, chain)
        if found == network.chain:
            raise NotOnThisChain(
                f"{found} has no faucet",
                hint="pay from a funded account: `hither send near NAME AMOUNT --from`",
            )
        adapter = network.open_adapter(found)
        try:
            receiver = address or await find_address(network, str(account_id), found, path)
            transaction_id = await network.fund(found, receiver, amount)
            plain = adapter.parse_address(receiver)
            balance = adapter.coin.format(await adapter.fetch_balance(plain))
        finally:
            await adapter.close()
        return {"chain": str(found), "address": plain, "transaction": transaction_id, "balance": balance}

    row = run_or_stop(pay)
    if as_json:
        click.echo(json.dumps(row))
        return
    for name, value in row.items():
        click.echo(f"{name:<14}{value}")
