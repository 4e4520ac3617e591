"""How answers of several nodes of one bitcoin network are compared (``quorum``).

Releases of nodes add and leave out members; what is compared is what the adapter reads, confirmations included, so that
nodes agree once they are at the same tip. The agreed answer is one endpoint's, whole.
"""

from collections.abc import Mapping
from typing import Any, Final

from hither.foreign.errors import LyingEndpoint
from hither.foreign.quorum import Reading, Rule, keep_params

_RULES: Final = {
    "getblockcount": Rule.REACHED,
    "estimatesmartfee": Rule.MEDIAN,
    "sendrawtransaction": Rule.FIRST,
}
_COIN_FIELDS: Final = ("txid", "vout", "scriptPubKey", "amount", "height", "confirmations")
_TRANSACTION_FIELDS: Final = ("txid", "hex", "blockhash", "confirmations")
_OUTPUT_FIELDS: Final = ("bestblock", "confirmations", "value", "coinbase")


def _read_number(method: str, result: Any) -> int:
    if method == "getblockcount" and isinstance(result, int):
        return result
    rate = result.get("feerate") if isinstance(result, Mapping) else None
    if not isinstance(rate, int | float):
        raise LyingEndpoint(f"{method}: not a number: {result!r}")
    return round(rate * 10**8)


def _project(method: str, result: Any) -> Any:
    if method == "scantxoutset" and isinstance(result, Mapping):
        coins = [_pick(one, _COIN_FIELDS[:5]) for one in result.get("unspents") or ()]
        return [result.get("height"), result.get("total_amount"), coins]
    if method == "listunspent" and isinstance(result, list):
        coins = [_pick(one, _COIN_FIELDS) for one in result]
        return sorted(coins, key=lambda coin: (str(coin["txid"]), str(coin["vout"])))
    if method == "getrawtransaction" and isinstance(result, Mapping):
        return {**_pick(result, _TRANSACTION_FIELDS), "outputs": _list_outputs(result)}
    if method == "gettxout" and isinstance(result, Mapping):
        return _pick(result, _OUTPUT_FIELDS)
    if method == "getmempoolentry" and isinstance(result, Mapping):
        return [result.get("ancestorsize"), (result.get("fees") or {}).get("ancestor")]
    return result


def _list_outputs(transaction: Mapping[str, Any]) -> list[Any]:
    return [
        [one.get("n"), one.get("value"), (one.get("scriptPubKey") or {}).get("hex")]
        for one in transaction.get("vout") or ()
        if isinstance(one, Mapping)
    ]


def _pick(found: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    return {field: found.get(field) for field in fields} if isinstance(found, Mapping) else {"not": found}


BITCOIN_READING: Final = Reading(_RULES, _read_number, _project, keep_params)
