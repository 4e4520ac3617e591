"""How answers of several endpoints of one Solana network are compared (``quorum``).

The slot that an answer was read at is left out; of a status, whether it is final, where, and what it failed with. A
blockhash is taken from any endpoint if enough of them take it for good. The agreed answer is one endpoint's, whole.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hither.foreign.errors import LyingEndpoint
from hither.foreign.quorum import Reading, Rule, keep_params

_RULES: Final = {
    "getSlot": Rule.REACHED,
    "getBlockHeight": Rule.REACHED,
    "getLatestBlockhash": Rule.FIRST,
    "getRecentPrioritizationFees": Rule.MEDIAN,
    "sendTransaction": Rule.FIRST,
}
_ACCOUNT_FIELDS: Final = ("lamports", "owner", "data", "executable")


def _read_number(method: str, result: Any) -> int:
    if isinstance(result, int) and not isinstance(result, bool):
        return result
    if isinstance(result, list):  # What was paid lately: the middle of it.
        fees = sorted(one["prioritizationFee"] for one in result if isinstance(one, Mapping))
        if all(isinstance(fee, int) for fee in fees):
            return int(fees[len(fees) // 2]) if fees else 0
    raise LyingEndpoint(f"{method}: not a number: {result!r}")


def _project(method: str, result: Any) -> Any:
    if method == "getSignaturesForAddress" and isinstance(result, list):
        return [_pick(one, ("signature", "slot", "err")) for one in result]
    if method == "getTransaction" and isinstance(result, Mapping):
        return [result.get("slot"), _pick(result.get("meta"), ("err", "fee"))]
    value = result.get("value") if isinstance(result, Mapping) and "context" in result else result
    if method == "getAccountInfo" and isinstance(value, Mapping):
        return _pick(value, _ACCOUNT_FIELDS)
    if method == "simulateTransaction" and isinstance(value, Mapping):
        return value.get("err")
    if method == "getSignatureStatuses" and isinstance(value, list):
        return [_project_status(one) for one in value]
    return value


def _project_status(status: Any) -> Any:
    if not isinstance(status, Mapping):
        return status
    is_final = status.get("confirmationStatus") == "finalized"
    return {**_pick(status, ("slot", "err")), "is_final": is_final}


def _pick(found: Any, fields: tuple[str, ...]) -> Any:
    return {field: found.get(field) for field in fields} if isinstance(found, Mapping) else found


def _question(method: str, result: Any) -> tuple[str, Sequence[Any]] | None:
    """Whether a blockhash is one. Each endpoint has another for its newest."""
    if method != "getLatestBlockhash":
        return None
    value = result.get("value") if isinstance(result, Mapping) else None
    blockhash = value.get("blockhash") if isinstance(value, Mapping) else None
    return "isBlockhashValid", [str(blockhash), {"commitment": "confirmed"}]


SOLANA_READING: Final = Reading(_RULES, _read_number, _project, keep_params, _question)
