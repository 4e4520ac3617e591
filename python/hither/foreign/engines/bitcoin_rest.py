"""The REST of Esplora (blockstream.info) and mempool.space over the development node: what wallets and explorers read.

Amounts are satoshis, paths are Esplora's; ``/fees/recommended`` and what stands below ``/v1`` are mempool.space's.
"""

import json
from typing import Any, Final

from hither.foreign.bitcoin_addresses import REGTEST, parse_address
from hither.foreign.engines import bitcoin_rpc as rpc
from hither.foreign.engines import bitcoin_views as views
from hither.foreign.engines.bitcoin_ledger import Block, Included, Ledger, Point
from hither.foreign.engines.bitcoin_node import BitcoinNode
from hither.foreign.engines.bitcoin_pool import Entry
from hither.foreign.errors import InvalidAddress

HISTORY_MAX: Final = 50
BLOCK_PAGE: Final = 25


class NotFound(Exception):
    """No such path, address or transaction; ``status`` is HTTP's."""

    def __init__(self, message: str, status: int = 404) -> None:
        super().__init__(message)
        self.status = status


class Rest:
    """What explorers serve."""

    def __init__(self, node: BitcoinNode, methods: rpc.Methods) -> None:
        self._node = node
        self._methods = methods

    @property
    def _ledger(self) -> Ledger:
        return self._node.ledger

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
            case "GET" | "HEAD", ["block", name, *rest]:
                return self._answer_block(name, rest)
            case "GET" | "HEAD", ["mempool"]:
                entries = self._node.pool.entries.values()
                sizes, fees = sum(one.size for one in entries), sum(one.fee for one in entries)
                return {"count": len(entries), "vsize": sizes, "total_fee": fees, "fee_histogram": []}
            case "GET" | "HEAD", ["mempool", "txids"]:
                return [one.hex() for one in self._node.pool.entries]
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
        key = _read_hash(transaction_id)
        found = self._node.pool.entries.get(key) or self._ledger.transactions.get(key)
        if found is None:
            raise NotFound("Transaction not found")
        match rest:
            case []:
                return self._view(found)
            case ["hex"]:
                return found.transaction.serialize(True, check_validity=False).hex()
            case ["raw"]:
                return bytes(found.transaction.serialize(True, check_validity=False))
            case ["outspends"]:
                return self._list_spends(found)
            case ["status"]:
                return views.esplora_status(self._get_block(found))
        raise NotFound("not found")

    def _answer_block(self, name: str, rest: list[str]) -> Any:
        height = self._ledger.heights.get(_read_hash(name))
        if height is None:
            raise NotFound("Block not found")
        block = self._ledger.blocks[height]
        match rest:
            case []:
                return views.esplora_block(self._ledger, block)
            case ["raw"]:
                return block.raw
            case ["header"]:
                return block.raw[:80].hex()
            case ["status"]:
                following = self._ledger.blocks[height + 1 : height + 2]
                next_best = following[0].block_hash.hex() if following else None
                return {"in_best_chain": True, "height": height, "next_best": next_best}
            case ["txids"]:
                return [one.hex() for one in block.transaction_ids]
            case ["txs"]:
                ids = block.transaction_ids[:BLOCK_PAGE]
                return [self._view(self._ledger.transactions[one]) for one in ids]
        raise NotFound("not found")

    def _list_spends(self, one: Included | Entry) -> list[views.Json]:
        """For each output, whether and by what it is spent."""
        spends: list[views.Json] = []
        key = one.transaction.id
        for index in range(len(one.transaction.vout)):
            spender = self._find_spender((key, index), one.transaction.vout[index].script_pub_key.script)
            if spender is None:
                spends.append({"spent": False})
                continue
            place = [(entry.prev_out.tx_id, entry.prev_out.vout) for entry in spender.transaction.vin]
            spends.append(
                {
                    "spent": True,
                    "txid": spender.transaction.id.hex(),
                    "vin": place.index((key, index)),
                    "status": views.esplora_status(self._get_block(spender)),
                }
            )
        return spends

    def _find_spender(self, point: Point, script: bytes) -> Included | Entry | None:
        waiting = self._node.pool.get_spender(point)
        if waiting is not None:
            return self._node.pool.entries[waiting]
        if point in self._ledger.unspent:
            return None
        for name in self._ledger.histories.get(script, ()):
            included = self._ledger.transactions[name]
            if any((one.prev_out.tx_id, one.prev_out.vout) == point for one in included.transaction.vin):
                return included
        return None

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


def _read_hash(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise NotFound("Invalid hex string", 400) from None


def _read_address(text: str) -> bytes:
    try:
        return parse_address(text, REGTEST)
    except InvalidAddress as error:
        raise NotFound(f"Invalid Bitcoin address: {error}", 400) from None
