"""Solana's subscriptions over a WebSocket: signatures, which clients wait for, and accounts.

A signature is told once and its subscription is over; one that is known already is told at once.
"""

import asyncio
from typing import Any, Final

import msgspec

from hither.foreign.engines.http_edge import Receive, Send
from hither.foreign.engines.solana_chain import SolanaChain
from hither.foreign.engines.solana_journal import Record
from hither.foreign.engines.solana_methods import (
    INVALID_PARAMS,
    MethodError,
    Methods,
    format_account,
    read_address,
    read_options,
    read_signature,
)

SUBSCRIPTIONS_MAX: Final = 1000
"""Of one connection."""


class Connection:
    """One client. Answers and notifications leave by one queue, so that an answer comes before what it leads to."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        self._chain: SolanaChain = methods.chain
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._signatures: dict[int, str] = {}
        self._accounts: dict[int, tuple[str, Any]] = {}
        self._next_id = 1

    async def serve(self, receive: Receive, send: Send) -> None:
        """Until the client goes."""
        await receive()
        await send({"type": "websocket.accept"})
        self._chain.listeners.append(self.tell)
        sender = asyncio.create_task(self._send_all(send))
        try:
            while (message := await receive())["type"] == "websocket.receive":
                body = message.get("text") or message.get("bytes") or ""
                self._outbox.put_nowait(msgspec.json.encode(self._answer(body)))
                self._tell_known()
        finally:
            self._chain.listeners.remove(self.tell)
            sender.cancel()

    async def _send_all(self, send: Send) -> None:
        while True:
            await send({"type": "websocket.send", "text": (await self._outbox.get()).decode()})

    def _answer(self, body: str | bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {
                "jsonrpc": "2.0",
                "error": {"code": -32700, "message": "Parse error", "data": {}},
                "id": None,
            }
        request_id = request.get("id") if isinstance(request, dict) else None
        try:
            result = self._perform(request)
        except MethodError as error:
            refusal = {"code": error.code, "message": str(error), "data": error.data}
            return {"jsonrpc": "2.0", "error": refusal, "id": request_id}
        return {"jsonrpc": "2.0", "result": result, "id": request_id}

    def _perform(self, request: Any) -> Any:
        if not isinstance(request, dict) or not isinstance(request.get("params") or [], list):
            raise MethodError(-32600, "Invalid request")
        params = request.get("params") or []
        match request.get("method"):
            case "signatureSubscribe":
                return self._subscribe(self._signatures, read_signature(params, 0))
            case "accountSubscribe":
                return self._subscribe(
                    self._accounts, (str(read_address(params, 0)), read_options(params, 1))
                )
            case "signatureUnsubscribe":
                return self._unsubscribe(self._signatures, params)
            case "accountUnsubscribe":
                return self._unsubscribe(self._accounts, params)
            case _:
                raise MethodError(-32601, "Method not found")

    def _subscribe(self, subscriptions: dict[int, Any], what: Any) -> int:
        if len(self._signatures) + len(self._accounts) >= SUBSCRIPTIONS_MAX:
            raise MethodError(INVALID_PARAMS, f"a connection holds {SUBSCRIPTIONS_MAX} subscriptions at most")
        subscription, self._next_id = self._next_id, self._next_id + 1
        subscriptions[subscription] = what
        return subscription

    def _unsubscribe(self, subscriptions: dict[int, Any], params: list[Any]) -> bool:
        if not params or not isinstance(params[0], int) or subscriptions.pop(params[0], None) is None:
            raise MethodError(INVALID_PARAMS, "Invalid subscription id.")
        return True

    def tell(self, record: Record) -> None:
        """The chain included a transaction."""
        for subscription, name in list(self._signatures.items()):
            if name == record.signature:
                del self._signatures[subscription]
                self._notify("signatureNotification", subscription, record.slot, {"err": record.error})
        for subscription, (address, options) in self._accounts.items():
            if address in record.account_keys:
                value = format_account(self._chain, address, options)
                self._notify("accountNotification", subscription, record.slot, value)

    def _tell_known(self) -> None:
        for name in list(self._signatures.values()):
            record = self._chain.records.get(name)
            if record is not None:
                self.tell(record)

    def _notify(self, method: str, subscription: int, slot: int, value: Any) -> None:
        params = {"result": {"context": {"slot": slot}, "value": value}, "subscription": subscription}
        self._outbox.put_nowait(msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params}))
