"""What ``hither up`` runs beside the chain: the signing network and the chains of other families."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hither.cli.children import run_child


@dataclass(frozen=True, slots=True)
class Companions:
    """What is wanted. ``evm`` are chain ids; empty lists and False leave a part out."""

    has_signing_network: bool = False
    has_signing_processes: bool = False
    signing_domains: tuple[str, ...] = ()
    has_foreign_chains: bool = False
    evm: tuple[int, ...] = ()
    port_offset: int = 0


ALONE = Companions()


@contextlib.asynccontextmanager
async def run_beside(
    companions: Companions,
    home: Path,
    rpc_url: str,
    ending: asyncio.Event,
    progress: Callable[[str], None],
) -> AsyncIterator[dict[str, Any] | None]:
    """Run it; what programs are told about it, or None if the end came first. Raises EngineError."""
    async with contextlib.AsyncExitStack() as stack:
        starting = asyncio.ensure_future(_start_all(stack, companions, home, rpc_url, progress))
        waiting = asyncio.ensure_future(ending.wait())
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not starting.done():
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
            yield None
            return
        yield starting.result()


def list_foreign_urls(companions: Companions) -> dict[str, str]:
    """Where the other chains will answer, by the signer contract's names, as far as it has any."""
    from hither.cli.foreign import BITCOIN_PORT, EVM_PORT
    from hither.foreign.bitcoin_addresses import REGTEST
    from hither.mpc.foreign_requests import CHAIN_NAMES

    if not companions.has_foreign_chains:
        return {}
    ports = {str(REGTEST.chain): BITCOIN_PORT}
    ports |= {f"eip155:{chain_id}": EVM_PORT + index for index, chain_id in enumerate(companions.evm)}
    return {
        CHAIN_NAMES[chain]: f"http://127.0.0.1:{port + companions.port_offset}"
        for chain, port in ports.items()
        if chain in CHAIN_NAMES
    }


async def _start_all(
    stack: contextlib.AsyncExitStack,
    companions: Companions,
    home: Path,
    rpc_url: str,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Start everything at once; each child ends with the stack."""
    children: list[tuple[str, Sequence[str]]] = []
    if companions.has_signing_network:
        signing = ["mpc", "local", "--home", str(home), "--rpc-url", rpc_url]
        if companions.has_signing_processes:
            signing.append("--processes")
        if companions.signing_domains:
            signing += ["--domains", ",".join(companions.signing_domains)]
        for chain, url in list_foreign_urls(companions).items():
            signing += ["--foreign", f"{chain}={url}"]
        children.append(("signing network", signing))
    if companions.has_foreign_chains:
        evm = ",".join(str(chain_id) for chain_id in companions.evm)
        offset = str(companions.port_offset)
        children.append(
            ("other chains", ["foreign", "run", "--home", str(home), "--evm", evm, "--port-offset", offset])
        )

    async def start(name: str, arguments: Sequence[str]) -> dict[str, Any]:
        log_path = home / f"{arguments[0]}.log"
        child = await stack.enter_async_context(run_child(name, arguments, log_path, progress))
        return (
            child.ready
            if "foreign" in child.ready
            else {"mpc": {**child.ready, "pid": child.process.process_id}}
        )

    told = await asyncio.gather(*(start(name, arguments) for name, arguments in children))
    return {key: value for part in told for key, value in part.items()}
