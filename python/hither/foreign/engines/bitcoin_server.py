"""The development node's process: Core's JSON-RPC by POST to ``/``, and the REST that Esplora and mempool.space serve.

The REST paths stand at the root and below ``/api``. ``python -m hither.foreign.engines.bitcoin_server --home DIR``
prints one line of JSON once it answers and stops on SIGTERM; it listens on loopback alone, and serves one request at a
time.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn

from hither.foreign.bitcoin_addresses import REGTEST, parse_address
from hither.foreign.engines import bitcoin_rpc as rpc
from hither.foreign.engines import bitcoin_views as views
from hither.foreign.engines.bitcoin_ledger import Block, Included
from hither.foreign.engines.bitcoin_node import BitcoinNode
from hither.foreign.engines.bitcoin_pool import Entry
from hither.foreign.engines.process import LOOPBACK
from hither.foreign.errors import EngineError, InvalidAddress

BODY_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024
BATCH_MAX: Final = 1_000
HISTORY_MAX: Final = 50

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = tuple[int, str, bytes]

_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"*"),
)


class NotFound(Exception):
    """No such path, address or transaction; ``status`` is HTTP's."""

    def __init__(self, message: str, status: int = 404) -> None:
        super().__init__(message)
        self.status = status


class Application:
    """The ASGI callable."""

    def __init__(self, node: BitcoinNode, *, is_instant: bool) -> None:
        self._methods = rpc.Methods(node, is_instant=is_instant)
        self._rest = Rest(node, self._methods)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, kind, body = self._route(scope["method"], scope["path"], await _read_body(receive))
        headers = (
            *_CORS,
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _route(self, method: str, path: str, body: bytes | None) -> Answer:
        if body is None:
            return 413, _TEXT, b"the request is too large"
        if method == "OPTIONS":
            return 204, _TEXT, b""
        if method == "POST" and path in ("/", "/wallet/"):
            return self.answer_rpc(body)
        try:
            result = self._rest.answer(method, path.removeprefix("/api").strip("/").split("/"), body)
        except NotFound as error:
            return error.status, _TEXT, str(error).encode()
        if isinstance(result, str):
            return 200, _TEXT, result.encode()
        return 200, _JSON, msgspec.json.encode(result)

    def answer_rpc(self, body: bytes) -> Answer:
        """One request or a list of them."""
        try:
            request = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return 500, _JSON, msgspec.json.encode(_make_error(None, rpc.PARSE_ERROR, "Parse error"))
        if isinstance(request, list) and 0 < len(request) <= BATCH_MAX:
            return 200, _JSON, msgspec.json.encode([self._answer_one(one)[1] for one in request])
        status, answer = self._answer_one(request)
        return status, _JSON, msgspec.json.encode(answer)

    def _answer_one(self, request: Any) -> tuple[int, views.Json]:
        """Status and answer in the form of the version that was asked in."""
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return 400, _make_error(None, rpc.INVALID_REQUEST, "Invalid Request object")
        request_id = request.get("id")
        is_second = request.get("jsonrpc") == "2.0"
        params = request.get("params")
        if params is not None and not isinstance(params, list | dict):
            error = _make_error(request_id, rpc.INVALID_REQUEST, "Params must be an array or object")
            return 200 if is_second else 500, error
        try:
            result = self._methods.answer(request["method"], params or [])
        except rpc.RpcError as error:
            answer = _make_error(request_id, error.code, str(error))
            if is_second:
                del answer["result"]
                return 200, {"jsonrpc": "2.0", **answer}
            return 404 if error.code == rpc.METHOD_NOT_FOUND else 500, answer
        if is_second:
            return 200, {"jsonrpc": "2.0", "result": result, "id": request_id}
        return 200, {"result": result, "error": None, "id": request_id}


class Rest:
    """What explorers serve."""

    def __init__(self, node: BitcoinNode, methods: rpc.Methods) -> None:
        self._node = node
        self._ledger = node.ledger
        self._methods = methods

    def answer(self, method: str, path: list[str], body: bytes) -> Any:
        """Text, or what becomes JSON. Raises ``NotFound``."""
        match method, path:
            case "GET" | "HEAD", ["address", address, *rest]:
                return self._answer_address(_read_address(address), address, rest)
            case "GET" | "HEAD", ["tx", transaction_id, *rest]:
                return self._answer_transaction(transaction_id, rest)
            case "GET" | "HEAD", ["fees", "recommended"] | ["v1", "fees", "recommended"]:
                names = ("fastestFee", "halfHourFee", "hourFee", "economyFee", "minimumFee")
                return dict.fromkeys(names, 1)
            case "GET" | "HEAD", ["fee-estimates"]:
                return {str(target): 1.0 for target in (1, 2, 3, 6, 12, 24, 144, 504, 1008)}
            case "GET" | "HEAD", ["blocks", "tip", "height"]:
                return str(self._ledger.height)
            case "GET" | "HEAD", ["blocks", "tip", "hash"]:
                return self._ledger.tip.block_hash.hex()
            case "GET" | "HEAD", ["block-height", height] if height.isdecimal():
                if int(height) <= self._ledger.height:
                    return self._ledger.blocks[int(height)].block_hash.hex()
            case "POST", ["tx"]:
                return self._send(body)
        raise NotFound("not found")

    def _answer_address(self, script: bytes, address: str, rest: list[str]) -> Any:
        history = self._ledger.histories.get(script, [])
        waiting = self._node.pool.list_of_script(script)
        if rest == ["utxo"]:
            return self._list_coins(script, waiting)
        if rest == ["txs"]:
            newest: list[Included | Entry] = [*reversed(waiting)]
            newest += [self._ledger.transactions[one] for one in reversed(history[-HISTORY_MAX:])]
            return [self._view(one) for one in newest]
        if rest:
            raise NotFound("not found")
        included = [self._ledger.transactions[one] for one in history]
        confirmed = [(one.transaction, one.spent) for one in included]
        return {
            "address": address,
            "chain_stats": views.esplora_statistics(script, confirmed),
            "mempool_stats": views.esplora_statistics(
                script, [(one.transaction, one.spent) for one in waiting]
            ),
        }

    def _list_coins(self, script: bytes, waiting: list[Entry]) -> list[views.Json]:
        """What a new transaction may spend, unconfirmed outputs included."""
        coins = []
        for point, output in self._ledger.list_unspent(script):
            if self._node.pool.get_spender(point) is None:
                assert output.height is not None, "the ledger's outputs are in blocks"
                block = self._ledger.blocks[output.height]
                coins.append(views.esplora_coin(point, output.amount, block))
        for entry in waiting:
            for index, one in enumerate(entry.transaction.vout):
                point = (entry.transaction_id, index)
                if one.script_pub_key.script == script and self._node.pool.get_spender(point) is None:
                    coins.append(views.esplora_coin(point, one.value, None))
        return coins

    def _answer_transaction(self, transaction_id: str, rest: list[str]) -> Any:
        try:
            key = bytes.fromhex(transaction_id)
        except ValueError:
            raise NotFound("Invalid hex string", 400) from None
        found = self._node.pool.entries.get(key) or self._ledger.transactions.get(key)
        if found is None:
            raise NotFound("Transaction not found")
        match rest:
            case []:
                return self._view(found)
            case ["hex"]:
                return found.transaction.serialize(True, check_validity=False).hex()
            case ["status"]:
                return views.esplora_status(self._get_block(found))
        raise NotFound("not found")

    def _view(self, one: Included | Entry) -> views.Json:
        return views.esplora_transaction(one.transaction, one.spent, self._get_block(one))

    def _get_block(self, one: Included | Entry) -> Block | None:
        return self._ledger.blocks[one.height] if isinstance(one, Included) else None

    def _send(self, body: bytes) -> str:
        try:
            return self._methods.sendrawtransaction(body.decode().strip())
        except (rpc.RpcError, UnicodeDecodeError) as error:
            code = error.code if isinstance(error, rpc.RpcError) else 0
            message = json.dumps({"code": code, "message": str(error)})
            raise NotFound(f"sendrawtransaction RPC error: {message}", 400) from None


def _read_address(text: str) -> bytes:
    try:
        return parse_address(text, REGTEST)
    except InvalidAddress as error:
        raise NotFound(f"Invalid Bitcoin address: {error}", 400) from None


async def _read_body(receive: Receive) -> bytes | None:
    """None when it is too large."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > BODY_SIZE_BYTES_MAX:
            return None
        if not message.get("more_body"):
            return b"".join(pieces)


def _make_error(request_id: Any, code: int, message: str) -> views.Json:
    return {"result": None, "error": {"code": code, "message": message}, "id": request_id}


class _QuietServer(uvicorn.Server):
    """Leaves signals to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


async def serve(home: Path, port: int, *, is_instant: bool) -> None:
    """Until SIGTERM or SIGINT. Raises ``EngineError``."""
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    # With the protocol named, asyncio switches Nagle's algorithm off, which holds answers back for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as error:
        raise EngineError(f"port {port} is taken: {error.strerror}", hint="choose another port") from error
    node = BitcoinNode(home)
    try:
        config = uvicorn.Config(
            Application(node, is_instant=is_instant),
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        server = _QuietServer(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not running.done():
            await asyncio.sleep(0.001)
        if not running.done():
            url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
            _announce({"name": "bitcoin", "chain": str(REGTEST.chain), "url": url, "process_id": os.getpid()})
            stopping = asyncio.create_task(ending.wait())
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await running
    finally:
        node.close()
        listener.close()


def _announce(ready: views.Json) -> None:
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="bitcoin_server")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--blocks", choices=("instant", "manual"), default="instant")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    try:
        asyncio.run(serve(options.home, options.port, is_instant=options.blocks == "instant"))
    except EngineError as error:
        sys.exit(f"{error}; {error.hint}" if error.hint else str(error))


if __name__ == "__main__":
    main()
