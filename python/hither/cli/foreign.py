"""``hither foreign``: development chains of other families, in one process beside ours."""

import asyncio
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from hither.cli.problems import stop

BITCOIN_PORT: Final = 18443
EVM_PORT: Final = 8545
SOLANA_PORT: Final = 8899
CONFIRMATIONS: Final = 1
"""Nobody reorganises a development chain: what is in a block is final."""


@click.group("foreign")
def command() -> None:
    """Development chains of other families."""


@command.command("run", hidden=True)
@click.option("--home", required=True, type=click.Path(path_type=Path))
@click.option("--evm", required=True, help="Chain ids, separated by commas.")
@click.option("--port-offset", type=int, default=0)
def run(home: Path, evm: str, port_offset: int) -> None:
    """Every chain in one process; ``hither up`` starts it."""
    from hither.foreign.errors import ForeignError

    chain_ids = [int(text) for text in evm.split(",") if text]
    try:
        asyncio.run(_run(home, chain_ids, port_offset))
    except ForeignError as problem:
        stop(str(problem), problem.hint)


@dataclass(frozen=True, slots=True)
class _Running:
    engine: Any
    row: dict[str, Any]


async def _run(home: Path, evm_ids: list[int], port_offset: int) -> None:
    from hither.foreign.engines.control import Snapshots, serve_control

    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    folder = home / "foreign"
    folder.mkdir(parents=True, exist_ok=True)
    starts = [
        _start_anvil(folder, chain_id, EVM_PORT + index + port_offset)
        for index, chain_id in enumerate(evm_ids)
    ]
    results = await asyncio.gather(
        _start_bitcoin(folder, BITCOIN_PORT + port_offset),
        *starts,
        _start_solana(folder, SOLANA_PORT + port_offset),
        return_exceptions=True,
    )
    running = [result for result in results if isinstance(result, _Running)]
    try:
        for result in results:
            if isinstance(result, BaseException):
                raise result
        snapshots = Snapshots([entry.engine for entry in running], folder)
        async with serve_control(snapshots, folder):
            click.echo(json.dumps({"foreign": [entry.row for entry in running]}))
            await ending.wait()
    finally:
        await asyncio.gather(*(entry.engine.stop() for entry in running))


async def _describe(engine: Any) -> _Running:
    from hither.foreign.engines.development_accounts import fund_development_accounts

    try:
        accounts = await fund_development_accounts(engine)
    except BaseException:
        await engine.stop()
        raise
    row = {
        "caip2": str(engine.chain),
        "rpc_url": engine.url,
        "pid": engine.process_id,
        "confirmations": CONFIRMATIONS,
        "accounts": accounts,
    }
    return _Running(engine, row)


async def _start_anvil(folder: Path, chain_id: int, port: int) -> _Running:
    from hither.foreign.caip import ChainId
    from hither.foreign.engines.anvil import AnvilOptions, start_anvil

    chain = ChainId("eip155", str(chain_id))
    log_path = folder / f"anvil-{chain_id}.log"
    options = AnvilOptions(chain, port, folder / f"anvil-{chain_id}", log_path)
    return await _describe(await start_anvil(options))


async def _start_bitcoin(folder: Path, port: int) -> _Running:
    from hither.foreign.engines.bitcoin import BitcoinOptions, start_bitcoin

    options = BitcoinOptions(folder / "bitcoin", port, log_path=folder / "bitcoin.log")
    return await _describe(await start_bitcoin(options))


async def _start_solana(folder: Path, port: int) -> _Running:
    from hither.foreign.engines.solana import start_solana

    return await _describe(await start_solana(port, home=folder / "solana"))
