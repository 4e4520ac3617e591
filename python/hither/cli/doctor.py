"""``hither doctor``: what this machine lacks, and what of a running network does not answer."""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from hither.cli.parts import list_signing_parts
from hither.cli.ports import describe_owner
from hither.cli.problems import home_option
from hither.cli.rpc import NodeUnreachable, RpcCaller, RpcFailed
from hither.foreign.engines.ports import is_free
from hither.foreign.errors import RESTART
from hither.sdk.endpoints import NoNetwork, is_running, read_endpoints, resolve_home

DEFAULT_PORT = 3030
DISK_FREE_BYTES_MIN = 2 * 10**9
FILES_MIN = 1024
ANSWER_S_MAX = 5.0
# Families of chains -> the method that every node of theirs answers, with its height.
_QUESTIONS: Final = {"eip155": "eth_blockNumber", "bip122": "getblockcount", "solana": "getSlot"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``advice`` is there when something has to be done."""

    name: str
    found: str
    advice: str | None = None


def examine(home: str | None) -> Iterator[Finding]:
    """Look at everything that a network needs."""
    python = platform.python_version()
    yield Finding("python", python, None if sys.version_info >= (3, 11) else "install Python 3.11 or newer")
    system = f"{platform.system()} {platform.machine()}"
    known = platform.system() == "Linux" and platform.machine() == "x86_64"
    yield Finding("system", system, None if known else "only Linux on x86-64 is tested")
    yield _examine_native()
    folder = resolve_home(home)
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = os.access(existing, os.W_OK)
    yield Finding("home", str(folder), None if writable else "not writable; name another with --home")
    free = shutil.disk_usage(existing).free
    yield Finding("disk", f"{free / 10**9:.1f} GB free", None if free >= DISK_FREE_BYTES_MIN else "free 2 GB")
    if hasattr(os, "sysconf") and (count := os.sysconf("SC_OPEN_MAX")) >= 0:
        yield Finding("open files", str(count), None if count >= FILES_MIN else "raise it: ulimit -n 4096")
    try:
        endpoints = read_endpoints(folder)
    except NoNetwork:
        yield Finding("network", f"none runs in {folder}")
        if is_free(DEFAULT_PORT):
            yield Finding("port", f"{DEFAULT_PORT} is free")
        else:
            owner = f"{DEFAULT_PORT} is in use by {describe_owner(DEFAULT_PORT)}"
            yield Finding("port", owner, "stop it, or start with --port-offset 1")
        return
    yield from examine_network(endpoints, folder)


def examine_network(endpoints: dict[str, Any], folder: Path) -> Iterator[Finding]:
    """Ask each part of the network that runs in a home: our chain, the signer contract, every other chain."""
    near = endpoints["near"]
    caller = RpcCaller(near["rpc_url"], ANSWER_S_MAX)
    try:
        sync = caller.call("status", None)["sync_info"]
        yield Finding("network", f"{near['caip2']} at block {sync['latest_block_height']}, {near['rpc_url']}")
    except (NodeUnreachable, RpcFailed) as problem:
        yield Finding("network", str(problem), f"{RESTART}. What was wrong may be in {folder / 'rpc.log'}")
        return
    if "mpc" in endpoints:
        yield _examine_signing(endpoints, folder, caller)
    for row in endpoints.get("foreign", ()):
        method = _QUESTIONS[row["caip2"].partition(":")[0]]
        try:
            height = RpcCaller(row["rpc_url"], ANSWER_S_MAX).call(method, [])
        except (NodeUnreachable, RpcFailed) as problem:
            yield Finding("chain", f"{row['caip2']}: {problem}", RESTART)
        else:
            shown = int(height, 16) if isinstance(height, str) else height
            yield Finding("chain", f"{row['caip2']} at block {shown}, {row['rpc_url']}")


def _examine_signing(endpoints: dict[str, Any], folder: Path, caller: RpcCaller) -> Finding:
    """The contract has a key of each domain, and every process of the nodes lives."""
    signing = endpoints["mpc"]
    question = {
        "request_type": "call_function",
        "finality": "optimistic",
        "account_id": signing["contract_id"],
        "method_name": "public_key",
        "args_base64": "e30=",
    }
    try:
        answer = caller.call("query", question)
        if "error" in answer:
            return Finding("signing", f"{signing['contract_id']}: {answer['error']}", RESTART)
    except (NodeUnreachable, RpcFailed) as problem:
        return Finding("signing", str(problem), RESTART)
    for part in list_signing_parts(endpoints, folder):
        if not is_running(part.process_id):
            return Finding("signing", part.describe_end(), RESTART)
    return Finding(
        "signing", f"{signing['contract_id']}, {signing['threshold']} of {signing['nodes']} nodes sign"
    )


def _examine_native() -> Finding:
    try:
        module = importlib.import_module("hither_native")
    except ImportError as error:
        return Finding("native module", str(error), "run `make setup` in the checkout, or install the wheel")
    return Finding("native module", str(module.__file__))


@click.command("doctor")
@home_option
def command(home: str | None) -> None:
    """Check this machine, and the network that runs in the home; exit code 1 if something has to be done."""
    findings = list(examine(home))
    for finding in findings:
        mark = "✗" if finding.advice else "✓"
        click.echo(f"{mark} {finding.name:<14}{finding.found}")
        if finding.advice:
            click.echo(f"  hint: {finding.advice}")
    if any(finding.advice for finding in findings):
        raise click.exceptions.Exit(1)
