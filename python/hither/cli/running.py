"""Running a node with its server until a signal or a failure ends it.

The server has a process of its own, a child of this one, so that it and the chain do not share an interpreter lock.
"""

import asyncio
import contextlib
import errno
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop

from hither import __version__
from hither.chain.reader import BlockMode
from hither.cli.announce import describe_network, make_endpoints
from hither.cli.beside import ALONE, Companions, run_beside
from hither.cli.parts import watch_parts
from hither.cli.ports import describe_owner
from hither.cli.problems import stop
from hither.cli.watcher import Watcher
from hither.client.receipt_tree import COLOURS, PLAIN
from hither.foreign.errors import EngineError
from hither.node.configuration import make_rpc_settings
from hither.node.home import Home
from hither.node.node import Node, NodeOptions
from hither.node.server_process import ServerProcess, ServerStopped
from hither.rpc.addresses import parse_address
from hither.rpc.context import RpcSettings
from hither.rpc.server import bind, serve
from hither.sdk.endpoints import remove_endpoints, shorten, write_endpoints

SUPERVISION_INTERVAL_S = 0.2
FILES_MIN = 256
"""A network without a single client has about a hundred open."""
FILES_WANTED = 65_536


class Demo(Enum):
    """Whether one account transacts on every chain once all are ready, and whether that is all."""

    NONE = "none"
    THEN_STAY = "then stay"
    THEN_EXIT = "then exit"


class DemoUnsuccessful(Exception):
    """The demonstration, which was all that was asked for, failed."""


@dataclass(frozen=True)
class RunOptions:
    """Where the server listens and when blocks are made; ``is_shown``: for a person who watches.

    ``finality_block_time_ms`` is that of ``NodeOptions``. ``is_single``: the server in the node's own process.
    """

    host: str
    port: int
    block_time: tuple[BlockMode, int | None]
    is_shown: bool
    started_s: float
    finality_block_time_ms: int = 0
    companions: Companions = ALONE
    demo: Demo = Demo.NONE
    is_single: bool = False


def run_in_foreground(home: Home, options: RunOptions) -> None:
    """Run until SIGINT or SIGTERM. The caller holds the home's lock. A failure of the node ends the program."""
    must_have_file_handles()
    try:
        failure = uvloop.run(_run(home, options))
    except _PortTaken as error:
        stop(str(error), "stop it, or choose another port")
    except EngineError as error:
        stop(str(error), error.hint)
    except DemoUnsuccessful as error:
        stop(f"the demonstration failed: {error}")
    if failure is not None:
        stop(f"the chain stopped: {failure}", f"its data in {home.path} is as of the last block")


def must_have_file_handles() -> None:
    """As many as the system grants to this user, for this process and its children; too few end the program."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    granted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if granted < FILES_MIN:
        stop(
            f"too few file handles: {granted} are allowed, {FILES_MIN} are needed",
            f"raise the hard limit, for example with `ulimit -Hn {FILES_WANTED}` as root",
        )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < granted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))


class _PortTaken(Exception):
    """Somebody listens there already."""


async def _run(home: Home, options: RunOptions) -> BaseException | None:
    settings = make_rpc_settings(home)
    listener = _must_bind(options.host, options.port)
    settings = _check_metrics_address(settings, options)
    mode, interval_ms = options.block_time
    node_options = NodeOptions(mode=mode, finality_block_time_ms=options.finality_block_time_ms)
    if interval_ms is not None:
        node_options = msgspec.structs.replace(node_options, interval_ms=interval_ms)
    # Before anything else: it gets ready while the node opens its data.
    server = None if options.is_single else ServerProcess.spawn(listener, home.path)
    try:
        node = Node.open(home, node_options)
    except BaseException:
        if server is not None:
            await server.close()
        raise
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    await node.start()
    try:
        async with contextlib.AsyncExitStack() as stack:
            if server is None:
                alone = await stack.enter_async_context(
                    serve(node.reader, node.control, node.vm, listener, settings)
                )
                address = alone.address
            else:
                stack.push_async_callback(server.close)
                await _run_until(ending, server.attach(node, settings))
                address = server.address
            url = f"http://{address.replace('0.0.0.0', '127.0.0.1')}"
            show = click.echo if options.is_shown else _say_nothing
            beside = await stack.enter_async_context(
                run_beside(options.companions, home.path, url, ending, show)
            )
            if beside is not None:
                endpoints = make_endpoints(home.genesis, url, os.getpid(), __version__) | beside
                await _work(home, node, server, endpoints, options, ending)
    except ServerStopped as error:
        return error
    finally:
        await node.stop()
    return node.failure or (server.failure if server is not None else None)


def _must_bind(host: str, port: int) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        owner = f", {describe_owner(port)}" if error.errno == errno.EADDRINUSE else ""
        raise _PortTaken(f"cannot listen on {host}:{port}: {error.strerror}{owner}") from error


def _check_metrics_address(settings: RpcSettings, options: RunOptions) -> RpcSettings:
    """Tell here what the server could not tell as well. As at NEAR, one address for both is one door."""
    if settings.metrics_address is None:
        return settings
    address = parse_address(settings.metrics_address)
    if address == (options.host, options.port):
        return msgspec.structs.replace(settings, metrics_address=None)
    _must_bind(*address).close()
    return settings


async def _work(
    home: Home,
    node: Node,
    server: ServerProcess | None,
    endpoints: dict[str, Any],
    options: RunOptions,
    ending: asyncio.Event,
) -> None:
    """From ready to the end. Raises DemoUnsuccessful."""
    async with contextlib.AsyncExitStack() as stack:
        write_endpoints(home.path, endpoints)
        stack.callback(remove_endpoints, home.path, os.getpid())
        if options.is_shown:
            ready_s = time.monotonic() - options.started_s
            for line in describe_network(endpoints, home.genesis, shorten(home.path), ready_s):
                click.echo(line)
        parts = asyncio.create_task(watch_parts(endpoints, home.path, _say_problem))
        stack.push_async_callback(_cancel, parts)
        if options.demo is not Demo.NONE:
            await _run_until(ending, _show_demo(endpoints, home.path, options.demo))
        if options.demo is Demo.THEN_EXIT:
            return
        if options.is_shown:
            style = COLOURS if sys.stdout.isatty() else PLAIN
            watching = asyncio.create_task(Watcher(node.reader, click.echo, style).run(node.control))
            stack.push_async_callback(_cancel, watching)
        await _wait(ending, node, server)


async def _run_until(ending: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, unless the end comes first. Raises what the work raises."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(ending.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    await _cancel(waiting)
    if working.done():
        working.result()
    else:
        await _cancel(working)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _show_demo(endpoints: dict[str, Any], home: Path, demo: Demo) -> None:
    """One account on every chain. Its failure ends the program only if nothing else was asked for."""
    from hither.cli.demo import PROBLEMS, format_table, show_demo
    from hither.cli.progress import Progress

    try:
        click.echo(format_table(await show_demo(endpoints, home, Progress(sys.stdout))))
    except PROBLEMS as problem:
        if demo is Demo.THEN_EXIT:
            raise DemoUnsuccessful(str(problem)) from problem
        click.echo(f"the demonstration failed: {problem}", err=True)
        if (hint := getattr(problem, "hint", None)) is not None:
            click.echo(f"hint: {hint}", err=True)


def _say_nothing(_line: str) -> None:
    """For nobody watches."""


def _say_problem(line: str) -> None:
    """To a person who does not watch transactions too."""
    click.echo(line, err=True)


async def _wait(ending: asyncio.Event, node: Node, server: ServerProcess | None) -> None:
    """Until a signal, or until the chain or its server has stopped by itself."""
    while not ending.is_set() and node.failure is None and (server is None or server.failure is None):
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(ending.wait(), SUPERVISION_INTERVAL_S)
