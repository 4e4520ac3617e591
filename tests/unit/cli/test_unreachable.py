"""What commands say of a node that is not there."""

import json
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from hither.chain.genesis import derive_development_key
from hither.cli.main import group
from hither.client import Client, TransportError
from hither.crypto.keys import secret_key_to_str
from hither.sdk.endpoints import write_endpoints

HASH = "1" * 32
OF_ANY_NODE = (["tx", HASH], ["state", "export", "alice.near"], ["snapshot"], ["revert", "0123456789abcdef"])
OF_A_HOME = (
    ["status"],
    ["accounts", "create", "carl.near"],
    ["contracts", "call", "counter.near", "get", "--as", "near"],
)


@pytest.fixture
def silent_url() -> Iterator[str]:
    """An address that is taken and where nobody listens, with what must not be told."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://user:password@127.0.0.1:{bound.getsockname()[1]}/provider-key"


def write_home(home: Path, url: str) -> None:
    """A home whose network runs, as far as the file says."""
    account = {"account_id": "near", "secret_key": secret_key_to_str(derive_development_key("near"))}
    write_endpoints(home, {"pid": os.getpid(), "near": {"rpc_url": url, "accounts": [account]}})


@pytest.mark.parametrize(
    ("command", "is_named"),
    [(command, True) for command in OF_ANY_NODE]
    + [(command, False) for command in (*OF_ANY_NODE, *OF_A_HOME)],
)
def test_every_command_says_what_to_do(
    command: list[str], is_named: bool, silent_url: str, tmp_path: Path
) -> None:
    """Where nobody answers, and the next step; never what an address holds beside the host."""
    write_home(tmp_path, "http://127.0.0.1:1" if is_named else silent_url)
    options = ["--node", silent_url] if is_named else []
    result = CliRunner().invoke(group, [*command, *options, "--home", str(tmp_path)])
    place = silent_url.rpartition("@")[2].partition("/")[0]
    assert result.exit_code == 1, result.output
    assert f"Error: no node answers at http://{place}: " in result.output
    assert "hint: start one with `hither up`, or " in result.output
    assert "password" not in result.output and "provider-key" not in result.output


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "gopher://127.0.0.1", "http://"])
def test_what_is_no_address_is_told(url: str) -> None:
    result = CliRunner().invoke(group, ["tx", HASH, "--node", url])
    assert result.exit_code == 1
    assert "expected an address like http://127.0.0.1:3030" in result.output


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"7", b"{}", json.dumps({"error": "no"}).encode()])
def test_what_answers_and_is_no_node_is_told(body: bytes) -> None:
    """A web server, say, on the port that somebody mistyped."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        result = CliRunner().invoke(group, ["tx", HASH, "--node", f"127.0.0.1:{server.server_port}"])
        server.shutdown()
        thread.join()
    assert result.exit_code == 1
    assert f"no node answers at http://127.0.0.1:{server.server_port}: what does is not JSON" in result.output


def test_clients_say_it_too(silent_url: str) -> None:
    """For programs the advice is the error's ``hint``."""
    with Client(silent_url) as client, pytest.raises(TransportError) as raised:
        client.get_block()
    assert str(raised.value).startswith(f"no node answers at http://{silent_url.rpartition('@')[2][:-13]}")
    assert raised.value.hint is not None and "hither up" in raised.value.hint
