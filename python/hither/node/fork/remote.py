"""The network that a fork was taken from, asked through JSON-RPC: few questions at once, at the pinned block alone."""

import base64
from typing import Any, Final

from hither.client.state_records import (
    ITEMS_IN_PAGE,
    KEYS_IN_PAGE,
    NO_CODE,
    has_nonces,
    make_account_record,
    make_key_record,
)
from hither.codec import base58
from hither.foreign.errors import EndpointError, ForeignError, RateLimited, TransportError
from hither.foreign.transport import JsonRpc, RateLimit, RetryPolicy
from hither.node.fork.accounts import (
    AccountCopy,
    get_global_contract,
    validate_copy,
)
from hither.node.fork.errors import RemoteLies, RemoteRefuses, RemoteSilent, StateTooLarge
from hither.node.fork.pin import ForkPin
from hither.primitives.account import GlobalContractByHash
from hither.primitives.types import ZERO_HASH, AccountId

STATE_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024
REQUESTS_PER_SECOND: Final = 20
REQUESTS_AT_ONCE: Final = 4
TIMEOUT_SECONDS: Final = 5.0
ATTEMPTS: Final = 3
HEIGHT_MAX: Final = 2**62
"""Above it a chain has no room to go on."""


def make_rpc(url: str) -> JsonRpc:
    """A client that public endpoints bear. It obeys them when they say how long to stay away.

    It gives up before those who ask us do, so that they are told why.
    """
    limit = RateLimit(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE)
    return JsonRpc(url, timeout_seconds=TIMEOUT_SECONDS, policy=RetryPolicy(ATTEMPTS), rate_limit=limit)


async def find_block(rpc: JsonRpc, url: str, height: int | None) -> ForkPin:
    """The block to fork at: the newest final one, or that of a height. Raises ForkProblem."""
    question: dict[str, Any] = {"finality": "final"} if height is None else {"block_id": height}
    status = await _ask(rpc, "status", {})
    block = await _ask(rpc, "block", question)
    try:
        header = block["header"]
        pin = ForkPin(
            url=url,
            chain_id=str(status["chain_id"]),
            protocol_version=int(status["protocol_version"]),
            height=int(header["height"]),
            block_hash=str(header["hash"]),
        )
        is_hash = len(base58.decode(pin.block_hash)) == len(ZERO_HASH)
    except (KeyError, TypeError, ValueError) as error:
        raise RemoteLies(f"{rpc.host}: no block of NEAR's: {error!r}") from error
    if not is_hash or not 0 <= pin.height <= HEIGHT_MAX or (height is not None and pin.height != height):
        raise RemoteLies(f"{rpc.host}: asked for block {height}, answered with {pin.height}")
    return pin


class Remote:
    """Questions about accounts at the pinned block."""

    def __init__(self, rpc: JsonRpc, pin: ForkPin) -> None:
        self._rpc = rpc
        self._pin = pin

    async def close(self) -> None:
        """Close the connections."""
        await self._rpc.close()

    async def fetch_account(self, account_id: AccountId) -> AccountCopy:
        """All of it, or a copy without records where it does not exist. Raises ForkProblem."""
        view = await self._query_optional("view_account", account_id)
        if view is None:
            return AccountCopy(account_id, [])
        try:
            return await self._fetch_rest(account_id, view)
        except (KeyError, TypeError, ValueError) as error:
            raise RemoteLies(f"{self._rpc.host}: {account_id}: {error}") from error

    async def _fetch_rest(self, account_id: AccountId, view: dict[str, Any]) -> AccountCopy:
        records = [make_account_record(account_id, view)]
        records += await self._fetch_keys(account_id)
        copy = AccountCopy(account_id, records)
        if view["code_hash"] != NO_CODE:
            code = await self._query("view_code", account_id)
            records.append({"Contract": {"account_id": account_id, "code": code["code_base64"]}})
        contract = get_global_contract(copy)
        if contract is not None:
            copy = AccountCopy(account_id, records, await self._fetch_global_code(contract))
        # Also without code: a contract that is gone may have left something.
        records += await self._fetch_state(account_id)
        validate_copy(copy)
        return copy

    async def _fetch_keys(self, account_id: AccountId) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        page: dict[str, Any] = {"limit": KEYS_IN_PAGE}
        while True:
            answer = await self._query("view_access_key_list", account_id, **page)
            for listed in answer["keys"]:
                records.append(make_key_record(account_id, listed))
                if has_nonces(listed):
                    records += await self._fetch_nonces(account_id, listed["public_key"])
            if answer.get("last_key") is None:
                return records
            page["after_key"] = answer["last_key"]

    async def _fetch_nonces(self, account_id: AccountId, public_key: str) -> list[dict[str, Any]]:
        answer = await self._query("view_gas_key_nonces", account_id, public_key=public_key)
        name = {"account_id": account_id, "public_key": public_key}
        return [
            {"GasKeyNonce": {**name, "index": index, "nonce": nonce}}
            for index, nonce in enumerate(answer["nonces"])
        ]

    async def _fetch_state(self, account_id: AccountId) -> list[dict[str, Any]]:
        """In pages. A node that knows none answers with everything, or that it is too much."""
        records: list[dict[str, Any]] = []
        page: dict[str, Any] = {"prefix_base64": "", "limit": ITEMS_IN_PAGE}
        size = 0
        while True:
            answer = await self._query("view_state", account_id, **page)
            for item in answer["values"]:
                size += len(item["key"]) + len(item["value"])
                data = {"account_id": account_id, "data_key": item["key"], "value": item["value"]}
                records.append({"Data": data})
            if answer.get("last_key") is None:
                return records
            if size > STATE_SIZE_BYTES_MAX:
                raise StateTooLarge(f"{account_id} holds more than {STATE_SIZE_BYTES_MAX} bytes of state")
            page["after_key_base64"] = answer["last_key"]

    async def _fetch_global_code(self, contract: Any) -> bytes:
        if isinstance(contract, GlobalContractByHash):
            code_hash = base58.encode(contract.code_hash)
            answer = await self._ask_at_block("view_global_contract_code", code_hash=code_hash)
        else:
            kind = "view_global_contract_code_by_account_id"
            answer = await self._ask_at_block(kind, account_id=contract.account_id)
        return base64.b64decode(answer["code_base64"], validate=True)

    async def _query(self, kind: str, account_id: AccountId, **fields: Any) -> dict[str, Any]:
        """About an account that is there."""
        answer = await self._query_optional(kind, account_id, **fields)
        if answer is None:
            raise RemoteLies(f"{self._rpc.host}: {account_id} is there and is not")
        return answer

    async def _query_optional(self, kind: str, account_id: AccountId, **fields: Any) -> dict[str, Any] | None:
        try:
            return await self._ask_at_block(kind, account_id=account_id, **fields)
        except _Answered as answered:
            if answered.name == "TOO_LARGE_CONTRACT_STATE":
                raise StateTooLarge(f"{account_id} holds more state than {self._rpc.host} shows") from None
            if answered.name != "UNKNOWN_ACCOUNT":
                raise RemoteRefuses(f"{self._rpc.host}: {answered}") from None
            self._must_be_pinned(kind, answered.info)
            return None

    async def _ask_at_block(self, kind: str, **fields: Any) -> dict[str, Any]:
        question = {"request_type": kind, "block_id": self._pin.block_hash, **fields}
        answer = await _ask(self._rpc, "query", question)
        self._must_be_pinned(kind, answer)
        if "error" in answer:
            raise RemoteRefuses(f"{self._rpc.host}: {kind}: {answer['error']}")
        return answer

    def _must_be_pinned(self, kind: str, answer: dict[str, Any]) -> None:
        """Raise RemoteLies unless the answer names the block that was asked about."""
        height, block_hash = answer.get("block_height"), answer.get("block_hash")
        if (height, block_hash) != (self._pin.height, self._pin.block_hash):
            raise RemoteLies(
                f"{self._rpc.host}: {kind}: asked about block {self._pin.height} ({self._pin.block_hash}), "
                f"answered about {height} ({block_hash})"
            )


class _Answered(RemoteRefuses):
    """The remote's own error, with the name of its cause."""

    def __init__(self, text: str, name: str, info: dict[str, Any]) -> None:
        super().__init__(text)
        self.name = name
        self.info = info


async def _ask(rpc: JsonRpc, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result. Raises ForkProblem."""
    try:
        answer = await rpc.call(method, params)
    except (RateLimited, TransportError) as error:
        raise RemoteSilent(str(error)) from error
    except EndpointError as error:
        cause = error.cause if isinstance(error.cause, dict) else {}
        info = cause.get("info")
        name = str(cause.get("name", ""))
        text = f"{name or error}: {error.data}" if error.data else name or str(error)
        raise _Answered(text, name, info if isinstance(info, dict) else {}) from error
    except ForeignError as error:
        raise RemoteRefuses(str(error)) from error
    if not isinstance(answer, dict):
        raise RemoteLies(f"{rpc.host}: {method}: the answer is no object")
    return answer
