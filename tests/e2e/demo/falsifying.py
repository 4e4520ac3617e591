"""A façade that tells everybody what an endpoint tells, but for one answer."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Falsify = Callable[[Any], Any]


@contextlib.contextmanager
def falsified(url: str, method: str, falsify: Falsify) -> Iterator[str]:
    """Where the façade answers. ``falsify`` makes the result of ``method`` another one; None stays."""
    with httpx.Client(timeout=20) as client:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = client.post(url, content=body, headers={"content-type": "application/json"})
                content = answer.content
                if json.loads(body)["method"] == method:
                    told = answer.json()
                    if told.get("result") is not None:
                        told["result"] = falsify(told["result"])
                    content = json.dumps(told).encode()
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
            server.shutdown()
            server.server_close()
            thread.join()
