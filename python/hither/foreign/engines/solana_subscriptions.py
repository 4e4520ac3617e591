"""Solana's subscriptions over a WebSocket: signatures, which clients wait for, accounts, programs, logs, slots.

A signature is told once and its subscription is over; one that is known already is told at once.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from solders.pubkey import Pubkey

from hither.foreign.engines.http_edge import Receive, Send, read_json
from hither.foreign.engines.solana_chain import SLOT_SECONDS, SolanaChain
from hither.foreign.engines.solana_journal import Record
from hither.foreign.engines.solana_methods import Methods, view_account
from hither.foreign.engines.solana_params import (
    INVALID_PARAMS,
    MethodError,
    Options,
    Params,
    read_address,
    read_options,
    read_signature,
)

SUBSCRIPTIONS_MAX: Final = 1000
"""Of one connection."""

NO_OPTIONS: Final = Options()

Kind = Literal["signature", "account", "program", "logs", "slot", "root"]
KINDS: Final[tuple[Kind, ...]] = ("signature", "account", "program", "logs", "slot", "root")


@dataclass(frozen=True, slots=True)
class Subscription:
    """``what`` is a signature or an address; None is everything."""

    kind: Kind
    what: str | None = None
    options: Options = NO_OPTIONS


class Connection:
    """One client. Answers and notifications leave by one queue, so that an answer comes before what it leads to."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        self._chain: SolanaChain = methods.chain
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._subscriptions: dict[int, Subscription] = {}
        self._next_id = 1
        self._told_slot = 0

    async def serve(self, receive: Receive, send: Send) -> None:
        """Until the client goes."""
        await receive()
        await send({"type": "websocket.accept"})
        self._chain.listeners.append(self.tell)
        tasks = [asyncio.create_task(self._send_all(send)), asyncio.create_task(self._tell_slots())]
        try:
            while (message := await receive())["type"] == "websocket.receive":
                body = message.get("text") or message.get("bytes") or ""
                self._outbox.put_nowait(msgspec.json.encode(self._answer(body)))
                self._tell_known()
        finally:
            self._chain.listeners.remove(self.tell)
            for task in tasks:
                task.cancel()

    async def _send_all(self, send: Send) -> None:
        while True:
            await send({"type": "websocket.send", "text": (await self._outbox.get()).decode()})

    async def _tell_slots(self) -> None:
        """By the clock; a transaction's own slot is told with it."""
        while True:
            await asyncio.sleep(SLOT_SECONDS)
            if any(one.kind in ("slot", "root") for one in self._subscriptions.values()):
                self._chain.advance()
                self._tell_slot(self._chain.slot)

    def _answer(self, body: str | bytes) -> dict[str, Any]:
        try:
            request = read_json(body)
        except ValueError:
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
        method = str(request.get("method"))
        for kind in KINDS:
            if method == f"{kind}Subscribe":
                return self._subscribe(_read_subscription(kind, params))
            if method == f"{kind}Unsubscribe":
                return self._unsubscribe(kind, params)
        raise MethodError(-32601, "Method not found")

    def _subscribe(self, subscription: Subscription) -> int:
        if len(self._subscriptions) >= SUBSCRIPTIONS_MAX:
            raise MethodError(INVALID_PARAMS, f"a connection holds {SUBSCRIPTIONS_MAX} subscriptions at most")
        number, self._next_id = self._next_id, self._next_id + 1
        self._subscriptions[number] = subscription
        return number

    def _unsubscribe(self, kind: Kind, params: Params) -> bool:
        found = self._subscriptions.get(params[0]) if params and isinstance(params[0], int) else None
        if found is None or found.kind != kind:
            raise MethodError(INVALID_PARAMS, "Invalid subscription id.")
        del self._subscriptions[params[0]]
        return True

    def tell(self, record: Record) -> None:
        """The chain included a transaction."""
        for number, one in list(self._subscriptions.items()):
            match one.kind:
                case "signature":
                    self._tell_signature(number, record)
                case "account" if one.what in record.account_keys:
                    value = view_account(self._chain, Pubkey.from_string(str(one.what)), one.options)
                    self._notify("account", number, record.slot, value)
                case "program":
                    self._tell_program(number, one, record)
                case "logs" if one.what is None or one.what in record.account_keys:
                    logs = {
                        "signature": record.signature,
                        "err": record.error,
                        "logs": record.outcome["logs"],
                    }
                    self._notify("logs", number, record.slot, logs)
        self._tell_slot(record.slot)

    def _tell_program(self, number: int, one: Subscription, record: Record) -> None:
        """Each account of the program that the transaction names."""
        for name in record.account_keys:
            account = self._chain.get_account(Pubkey.from_string(name))
            if account is None or str(account.owner) != one.what:
                continue
            if all(each.is_met(bytes(account.data)) for each in one.options.filters or ()):
                view = view_account(self._chain, Pubkey.from_string(name), one.options)
                self._notify("program", number, record.slot, {"pubkey": name, "account": view})

    def _tell_signature(self, number: int, record: Record) -> None:
        if self._subscriptions[number].what == record.signature:
            del self._subscriptions[number]
            self._notify("signature", number, record.slot, {"err": record.error})

    def _tell_slot(self, slot: int) -> None:
        """Once, though the clock and a transaction come to it."""
        if slot == self._told_slot:
            return
        self._told_slot = slot
        for number, one in self._subscriptions.items():
            if one.kind == "slot":
                self._send("slot", number, {"slot": slot, "parent": slot - 1, "root": slot})
            elif one.kind == "root":
                self._send("root", number, slot)

    def _tell_known(self) -> None:
        for number, one in list(self._subscriptions.items()):
            record = self._chain.records.get(str(one.what)) if one.kind == "signature" else None
            if record is not None:
                self._tell_signature(number, record)

    def _notify(self, kind: Kind, number: int, slot: int, value: Any) -> None:
        self._send(kind, number, {"context": {"slot": slot}, "value": value})

    def _send(self, kind: Kind, number: int, result: Any) -> None:
        body = {
            "jsonrpc": "2.0",
            "method": f"{kind}Notification",
            "params": {"result": result, "subscription": number},
        }
        self._outbox.put_nowait(msgspec.json.encode(body))


def _read_subscription(kind: Kind, params: Params) -> Subscription:
    """Raises ``MethodError``."""
    match kind:
        case "signature":
            return Subscription(kind, read_signature(params, 0))
        case "account" | "program":
            return Subscription(kind, str(read_address(params, 0)), read_options(params, 1))
        case "logs":
            return Subscription(kind, _read_logs_filter(params))
    return Subscription(kind)


def _read_logs_filter(params: Params) -> str | None:
    """One address, or None for all."""
    wish = params[0] if params else None
    if wish in ("all", "allWithVotes"):
        return None
    mentions = wish.get("mentions") if isinstance(wish, dict) else None
    if not isinstance(mentions, list) or len(mentions) != 1:
        raise MethodError(INVALID_PARAMS, 'Invalid params: "all", or one address that is mentioned')
    return str(read_address(mentions, 0))
