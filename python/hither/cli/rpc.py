"""The smallest JSON-RPC caller: one request after another over one kept connection, standard library only.

Commands use it because it starts in milliseconds. Programs use ``hither.client``.
"""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

_CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class NodeUnreachable(Exception):
    """Nothing answers at that address, or something that is not a node."""


class RpcFailed(Exception):
    """The node answered with an error; ``error`` is its object."""

    def __init__(self, error: dict[str, Any]) -> None:
        cause = error.get("cause") or {}
        self.error = error
        self.name: str = cause.get("name") or str(error.get("name", ""))
        super().__init__(f"{self.name or error.get('message')}: {error.get('data') or cause.get('info')}")


class RpcCaller:
    """Calls methods of one node."""

    def __init__(self, url: str, timeout_s: float = 15.0) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in _CONNECTIONS or not parts.hostname:
            raise NodeUnreachable(f"{url}: expected an address like http://127.0.0.1:3030")
        self.url = parts.geturl()
        self._path = parts.path or "/"
        self._connection = _CONNECTIONS[parts.scheme](parts.hostname, parts.port, timeout=timeout_s)

    def call(self, method: str, params: Any) -> Any:
        """The result of one method. Raises RpcFailed, NodeUnreachable."""
        body = json.dumps({"jsonrpc": "2.0", "id": "hither", "method": method, "params": params})
        try:
            answer = json.loads(self._post(body.encode()))
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise NodeUnreachable(f"{self.url}: {error or type(error).__name__}") from error
        except ValueError as error:
            raise NodeUnreachable(f"{self.url}: the answer is not JSON; is this a NEAR node?") from error
        if "error" in answer:
            raise RpcFailed(answer["error"])
        return answer["result"]

    def _post(self, body: bytes) -> bytes:
        for attempt in (1, 2):
            try:
                self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
                return bytes(self._connection.getresponse().read())
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A kept connection that the server has closed meanwhile: once more on a new one.
                self._connection.close()
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
