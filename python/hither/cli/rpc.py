"""The smallest JSON-RPC caller: one request after another over one kept connection, standard library only.

Commands use it because it starts in milliseconds. Programs use ``hither.client``.
"""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from hither.codec.address import hide_secrets

_CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class NodeUnreachable(Exception):
    """Nothing answers at that address, or something that is not a node; ``hint`` says what to do."""

    hint = "start one with `hither up`, or name another with --node"


class RpcFailed(Exception):
    """The node answered with an error; ``error`` is its object."""

    def __init__(self, error: dict[str, Any]) -> None:
        cause = error.get("cause") or {}
        self.error = error
        self.name: str = cause.get("name") or str(error.get("name", ""))
        super().__init__(f"{self.name or error.get('message')}: {error.get('data') or cause.get('info')}")

    @property
    def hint(self) -> str | None:
        """What to do about it, as ``hither.client`` says."""
        # It is asked for when a command ends, and costs more than the command.
        from hither.client.errors import make_rpc_error

        return make_rpc_error(self.error, 200).hint


class RpcCaller:
    """Calls methods of one node."""

    def __init__(self, url: str, timeout_s: float = 15.0) -> None:
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port
        except ValueError as error:
            raise NodeUnreachable(
                f"{url}: {error}; expected an address like http://127.0.0.1:3030"
            ) from error
        if parts.scheme not in _CONNECTIONS or not parts.hostname:
            raise NodeUnreachable(f"{url}: expected an address like http://127.0.0.1:3030")
        self.url = parts.geturl()
        self._place = hide_secrets(self.url)
        self._path = parts.path or "/"
        self._connection = _CONNECTIONS[parts.scheme](parts.hostname, port, timeout=timeout_s)

    def call(self, method: str, params: Any) -> Any:
        """The result of one method. Raises RpcFailed, NodeUnreachable."""
        body = json.dumps({"jsonrpc": "2.0", "id": "hither", "method": method, "params": params})
        try:
            answer = json.loads(self._post(body.encode()))
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NodeUnreachable(f"no node answers at {self._place}: {reason}") from error
        except ValueError as error:
            raise NodeUnreachable(f"no node answers at {self._place}: what does is not JSON") from error
        refusal = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(refusal, dict):
            raise RpcFailed(refusal)
        if not isinstance(answer, dict) or "result" not in answer:
            raise NodeUnreachable(f"no node answers at {self._place}: what does is not JSON-RPC")
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
