"""Endpoints of a chain that stand before an honest one and do what a test says."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Lie = Callable[[str, Any], Any]
"""Of a method and its honest result: what is told."""


@contextlib.contextmanager
def odd_endpoint(
    url: str, lie: Lie | None = None, *, stalls: bool = False, limits: bool = False
) -> Iterator[str]:
    """Where it answers: with lies, never, or that it was asked too often."""
    ending = threading.Event()
    with httpx.Client(timeout=60) as client:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if stalls:
                    ending.wait()
                    return
                if limits:
                    self.send_response(429)
                    self.send_header("retry-after", "1")
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                answer = client.post(url, content=body, headers={"content-type": "application/json"})
                told = answer.json()
                if lie is not None and told.get("result") is not None:
                    told["result"] = lie(json.loads(body)["method"], told["result"])
                content = json.dumps(told).encode()
                with contextlib.suppress(OSError):  # Who has enough answers does not wait for this one.
                    self.send_response(answer.status_code)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_arguments: Any) -> None:
                """To nobody."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            ending.set()
            server.shutdown()
            server.server_close()
            thread.join()
