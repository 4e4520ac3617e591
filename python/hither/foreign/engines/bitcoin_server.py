"""The development node's process: Core's JSON-RPC by POST to ``/``, and the REST that Esplora and mempool.space serve.

The REST paths stand at the root and below ``/api``. ``python -m hither.foreign.engines.bitcoin_server --home DIR``
prints one line of JSON once it answers and stops on SIGTERM; it listens on loopback alone, and serves one request at a
time.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from hither.foreign.bitcoin_addresses import REGTEST
from hither.foreign.engines import bitcoin_rpc as rpc
from hither.foreign.engines.bitcoin_node import BitcoinNode
from hither.foreign.engines.bitcoin_rest import NotFound, Rest
from hither.foreign.engines.bitcoin_views import Json
from hither.foreign.engines.gate import CONTROL_PATH, Gate
from hither.foreign.engines.http_edge import JSON, TEXT, Answer, Edge, Server, listen, read_json
from hither.foreign.errors import EngineError

BODY_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024
BATCH_MAX: Final = 1_000


class Application:
    """What the node answers, over whatever edge."""

    def __init__(self, node: BitcoinNode, gate: Gate, *, is_instant: bool) -> None:
        self._methods = rpc.Methods(node, gate, is_instant=is_instant)
        self._rest = Rest(node, self._methods)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """To one HTTP request."""
        if method == "POST" and (path in ("/", CONTROL_PATH) or path.startswith("/wallet/")):
            return self.answer_rpc(body)
        try:
            result = self._rest.answer(method, path.removeprefix("/api").strip("/").split("/"), body)
        except NotFound as error:
            return error.status, TEXT, str(error).encode()
        if isinstance(result, bytes):
            return 200, "application/octet-stream", result
        if isinstance(result, str):
            return 200, TEXT, result.encode()
        return 200, JSON, msgspec.json.encode(result)

    def answer_rpc(self, body: bytes) -> Answer:
        """One request or a list of them."""
        try:
            request = read_json(body)
        except ValueError:
            return 500, JSON, msgspec.json.encode(_make_error(None, rpc.PARSE_ERROR, "Parse error"))
        if isinstance(request, list) and 0 < len(request) <= BATCH_MAX:
            return 200, JSON, msgspec.json.encode([self._answer_one(one)[1] for one in request])
        status, answer = self._answer_one(request)
        return status, JSON, msgspec.json.encode(answer)

    def _answer_one(self, request: Any) -> tuple[int, Json]:
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


def _make_error(request_id: Any, code: int, message: str) -> Json:
    return {"result": None, "error": {"code": code, "message": message}, "id": request_id}


async def serve(home: Path, port: int, *, is_instant: bool) -> None:
    """Until SIGTERM or SIGINT. Raises ``EngineError``."""
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    listeners = listen(port)
    try:
        node = BitcoinNode(home)
    except EngineError:
        listeners[0].close()
        raise
    gate = Gate()
    application = Application(node, gate, is_instant=is_instant)
    edge = Edge(application.answer, body_bytes_max=BODY_SIZE_BYTES_MAX, gate=gate)
    server = Server(edge, listeners)
    try:
        await server.start()
        ready = {"name": "bitcoin", "chain": str(REGTEST.chain), "url": server.url, "process_id": os.getpid()}
        _announce(ready)
        waiting = [asyncio.create_task(one) for one in (server.wait(), ending.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await server.stop()
        node.close()


def _announce(ready: Json) -> None:
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
