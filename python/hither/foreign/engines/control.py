"""All engines of a network as one: snapshots that cover each of them, over a socket in the home.

The process that runs the engines serves it, the command line asks. The socket is a file that only its owner may open.
A snapshot's name is noted once every engine has it, so that a name either covers all or is refused before anything
has changed. From ``hold`` to the end of the connection that asked for it (which the kernel sees to, whatever ends who
asked) no engine takes up or answers anything: what is remembered or taken back in between, our chain too, is of one
moment.
"""

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from hither.foreign.engines import Engine, UnknownSnapshot
from hither.foreign.errors import RESTART, EngineError, ForeignError

SOCKET_NAME: Final = "control.sock"
_NOTES_NAME: Final = "snapshots.json"
_NAME: Final = re.compile(r"[0-9A-Za-z]{1,64}")
_LINE_BYTES_MAX: Final = 64 * 1024


class Snapshots:
    """Snapshots of several engines under one name each. ``folder`` keeps the names, oldest first."""

    def __init__(self, engines: Sequence[Engine], folder: Path) -> None:
        self._engines = engines
        self._notes = folder / _NOTES_NAME
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Nothing moves on any chain, and nobody else may do this. Raises ``ForeignError``."""
        async with self._turn:
            await self._must_live()
            try:
                held = await asyncio.gather(
                    *(engine.hold() for engine in self._engines), return_exceptions=True
                )
                for result in held:
                    if isinstance(result, BaseException):
                        raise result
                yield
            finally:
                # One that has died has nobody waiting.
                await asyncio.gather(*(engine.release() for engine in self._engines), return_exceptions=True)

    async def _must_live(self) -> None:
        """Before anything is held or moved: a snapshot of the rest would be none, and a way back half a way."""
        lives = await asyncio.gather(*(engine.is_healthy() for engine in self._engines))
        gone = [
            str(engine.chain) for engine, is_there in zip(self._engines, lives, strict=True) if not is_there
        ]
        if gone:
            raise EngineError(f"{', '.join(gone)} has ended", hint=RESTART)

    async def take(self, name: str) -> None:
        """Remember the present of every engine; who asks holds them. Raises ``ForeignError``."""
        if not _NAME.fullmatch(name):
            raise EngineError(f"{name!r} is not a name of a snapshot", hint="letters and digits")
        await asyncio.gather(*(engine.snapshot(name) for engine in self._engines))
        self._write([*(known for known in self._read() if known != name), name])

    def must_have(self, name: str) -> None:
        """Raises ``UnknownSnapshot`` unless every engine has it."""
        if name not in self._read():
            raise UnknownSnapshot(f"no snapshot {name!r} covers every chain; it may have been used")

    async def revert(self, name: str) -> None:
        """Every engine goes back; who asks holds them. It and all later ones are used up. Raises ``ForeignError``."""
        self.must_have(name)
        names = self._read()
        # Used up before the first engine moves: after a crash in the middle it covers them no more.
        self._write(names[: names.index(name)])
        await asyncio.gather(*(engine.revert(name) for engine in self._engines))

    def _read(self) -> list[str]:
        try:
            names: list[str] = json.loads(self._notes.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return names

    def _write(self, names: list[str]) -> None:
        temporary = self._notes.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(names, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._notes)


@contextlib.contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """The socket's path through a descriptor: the kernel takes a hundred characters, homes may lie deeper."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


@contextlib.asynccontextmanager
async def serve_control(snapshots: Snapshots, folder: Path) -> AsyncIterator[None]:
    """Answer on the socket in the folder for as long as the context is open."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with contextlib.AsyncExitStack() as holding:
                with contextlib.suppress(ConnectionError, ValueError):
                    while line := await reader.readline():
                        told = await _perform(snapshots, json.loads(line), holding)
                        writer.write(json.dumps(told).encode() + b"\n")
                        await writer.drain()
        finally:
            writer.close()

    (folder / SOCKET_NAME).unlink(missing_ok=True)
    with _short_path(folder) as path:
        server = await asyncio.start_unix_server(answer, path, limit=_LINE_BYTES_MAX)
    (folder / SOCKET_NAME).chmod(0o600)
    try:
        yield
    finally:
        server.close()
        (folder / SOCKET_NAME).unlink(missing_ok=True)


async def _perform(
    snapshots: Snapshots, request: dict[str, Any], holding: contextlib.AsyncExitStack
) -> dict[str, Any]:
    try:
        match request:
            case {"method": "hold"}:
                await holding.enter_async_context(snapshots.hold())
            case {"method": "snapshot", "name": str(name)}:
                await snapshots.take(name)
            case {"method": "check", "name": str(name)}:
                snapshots.must_have(name)
            case {"method": "revert", "name": str(name)}:
                await snapshots.revert(name)
            case _:
                raise EngineError("no such request")
    except ForeignError as error:
        return {"error": {"code": error.code, "message": str(error), "hint": error.hint}}
    return {"result": True}


class Control:
    """The engines of a running network, in the hands of one connection. Made by ``hold_engines``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, method: str, **parameters: str) -> None:
        """``snapshot``, ``check``, ``revert``. Raises ``EngineError``, ``UnknownSnapshot``."""
        line = b""
        with contextlib.suppress(ConnectionError):
            self._writer.write(json.dumps({"method": method, **parameters}).encode() + b"\n")
            await self._writer.drain()
            line = await self._reader.readline()
        if not line:
            raise EngineError(f"the other chains ended before {method} was done")
        refusal = json.loads(line).get("error")
        if refusal is not None:
            kind = UnknownSnapshot if refusal["code"] == UnknownSnapshot.code else EngineError
            raise kind(refusal["message"], hint=refusal["hint"])


@contextlib.asynccontextmanager
async def hold_engines(folder: Path) -> AsyncIterator[Control]:
    """Nothing moves on the other chains of a running network within. Raises ``EngineError``."""
    try:
        with _short_path(folder) as path:
            reader, writer = await asyncio.open_unix_connection(path, limit=_LINE_BYTES_MAX)
    except OSError as error:
        raise EngineError(
            f"the other chains do not answer: {error.strerror}", hint="see `hither status`"
        ) from error
    try:
        control = Control(reader, writer)
        await control.ask("hold")
        yield control
    finally:
        writer.close()
