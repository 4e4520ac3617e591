"""Bitcoin Knots beside the development node: the same blocks, the same questions."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from btclib.tx import Tx

from hither.foreign.engines.bitcoin_node import BitcoinNode
from hither.foreign.engines.bitcoin_rpc import Methods, RpcError
from hither.foreign.engines.full_nodes import FullNode, run_full_node
from hither.foreign.errors import EndpointError


class Pair:
    """Our node, in this process, and Knots. What one is told the other is told too."""

    def __init__(self, node: BitcoinNode, judge: FullNode, runner: asyncio.Runner) -> None:
        self.node = node
        self._methods = Methods(node, is_instant=False)
        self._judge = judge
        self._runner = runner

    def ask_us(self, method: str, *params: Any) -> Any:
        """The result as a client reads it, or code and message."""
        try:
            return msgspec.json.decode(msgspec.json.encode(self._methods.answer(method, list(params))))
        except RpcError as error:
            return error.code, str(error)

    def ask_them(self, method: str, *params: Any) -> Any:
        """The same of Knots."""
        try:
            return self._runner.run(self._judge.call(method, *params))
        except EndpointError as error:
            return error.rpc_code, str(error).removeprefix(f"{method}: ")

    def ask(self, method: str, *params: Any) -> tuple[Any, Any]:
        """Both."""
        return self.ask_us(method, *params), self.ask_them(method, *params)

    def follow(self) -> None:
        """Give Knots the blocks that it lacks."""
        height = self.ask_them("getblockcount")
        while self.node.ledger.blocks[height].block_hash.hex() != self.ask_them("getblockhash", height):
            height -= 1
        for block in self.node.ledger.blocks[height + 1 :]:
            assert self.ask_them("submitblock", block.raw.hex()) in (None, "inconclusive")
        assert self.ask_them("getbestblockhash") == self.node.ledger.tip.block_hash.hex()

    def send(self, transaction: Tx) -> None:
        """A good one, to both."""
        raw = transaction.serialize(True, check_validity=False).hex()
        ours, theirs = self.ask("sendrawtransaction", raw, 0)
        assert ours == theirs == transaction.id.hex()

    def clear(self, script: bytes) -> None:
        """Mine what waits."""
        self.node.generate(1, script)
        self.follow()


@contextlib.contextmanager
def run_pair(home: Path) -> Iterator[Pair]:
    """Both, at the same height."""
    node = BitcoinNode(home / "ours")
    (home / "theirs").mkdir()
    with asyncio.Runner() as runner, contextlib.closing(node):
        running = run_full_node("bitcoind", home / "theirs")
        judge = runner.run(running.__aenter__())
        try:
            pair = Pair(node, judge, runner)
            pair.follow()
            yield pair
        finally:
            runner.run(running.__aexit__(None, None, None))
