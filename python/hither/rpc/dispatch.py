"""From the text of a request to the text of its answer. No socket here.

A request is read strictly (``jsonrpc`` "2.0", ``method``, ``id``, optional ``params``, nothing else,
nothing twice); batches and notifications are refused, as NEAR's node refuses them.
"""

import asyncio
import json
import re
from typing import Any, Final, Literal

import msgspec

from hither.rpc import syntax
from hither.rpc.context import Context, Foreseen, Method
from hither.rpc.errors import RpcError, method_not_found, parse_error
from hither.rpc.parameters import InvalidParameters

FORMAT_EXPECTED: Final = "JSON RPC Request format was expected"
NESTING_SUSPECT: Final = syntax.DEPTH_MAX
"""A text with no more brackets than this cannot be nested too deeply."""

EXPLAINED_SIZE_MAX: Final = 256 * 1024
"""Larger texts are not searched for the exact place of a fault."""


class Request(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A JSON-RPC request."""

    jsonrpc: Literal["2.0"]
    method: str
    id: Any
    params: Any = None


Answered = tuple[int, bytes]
"""HTTP status and JSON of an answer."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request that was read: what answers it, with what, and since when."""

    request: Request
    method: Method
    parameters: Any
    started_seconds: float

    @property
    def is_at_once(self) -> bool:
        """Whether it can be answered without waiting and without keeping a core busy."""
        is_long = self.method.is_long
        return self.method.kind == "at_once" and (is_long is None or not is_long(self.parameters))


class InvalidJson(Exception):
    """The text is not JSON."""


_decoder: Final = msgspec.json.Decoder(Request)
_encode: Final = msgspec.json.Encoder().encode
_STRING_OR_BRACKET: Final = re.compile(rb'"[^"\\\\]*(?:\\\\.[^"\\\\]*)*"|[][{}]', re.DOTALL)
_FIELD_NAMES: Final = (b'"jsonrpc"', b'"method"', b'"id"', b'"params"')


def _explain(text: bytes, reason: str) -> InvalidJson:
    explained = syntax.explain(text) if len(text) <= EXPLAINED_SIZE_MAX else None
    return InvalidJson(f"Failed to parse the request body as JSON: {explained or reason}")


def _has_field_twice(text: bytes) -> bool:
    """Whether a field of the request itself stands there more than once."""
    if not any(text.count(name) > 1 for name in _FIELD_NAMES):
        return False
    outermost: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Called for inner objects first, so what is left at the end is the outermost.
        outermost[:] = pairs
        return dict(pairs)

    json.loads(text, object_pairs_hook=keep)
    names = [name for name, _ in outermost]
    return len(names) != len(set(names))


def read_request(text: bytes) -> Request:
    """The request; raises ``InvalidJson``, or ``RpcError`` when it is JSON of another shape."""
    if text.count(b"[") + text.count(b"{") > NESTING_SUSPECT:
        explained = syntax.explain(text) if _is_nested_too_deeply(text) else None
        if explained is not None:
            raise InvalidJson(f"Failed to parse the request body as JSON: {explained}")
    try:
        request = _decoder.decode(text)
    except msgspec.ValidationError:
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise _explain(text, str(error)) from None
        raise parse_error(FORMAT_EXPECTED) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _explain(text, str(error)) from None
    if _has_field_twice(text):
        raise parse_error(FORMAT_EXPECTED)
    return request


def _is_nested_too_deeply(text: bytes) -> bool:
    """Whether arrays and objects stand deeper than allowed (brackets within strings left out)."""
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                if depth > syntax.DEPTH_MAX:
                    return True
            case b"]" | b"}":
                depth -= 1
    return False


class Dispatcher:
    """The methods by name, and the way through them."""

    def __init__(self, context: Context, methods: dict[str, Method]) -> None:
        self.context = context
        self.methods = methods

    def read(self, text: bytes) -> Call | Answered:
        """What is to be done; or the answer, where the request cannot be read. Raises ``InvalidJson``."""
        try:
            request = read_request(text)
        except RpcError as error:
            return error.http_status, _encode({"jsonrpc": "2.0", "error": error.body, "id": None})
        started_seconds = self.context.now_seconds()
        method = self.methods.get(request.method)
        if method is None:
            return self.refuse(
                request, "UNSUPPORTED_METHOD", started_seconds, method_not_found(request.method)
            )
        try:
            parameters = self.read_parameters(method, request.params)
        except RpcError as error:
            return self.refuse(request, request.method, started_seconds, error)
        return Call(request, method, parameters, started_seconds)

    def foresee(self, call: Call) -> Foreseen | None:
        """Which record of a state in another process the answer will need, where that is known."""
        foresee = call.method.foresee
        return None if foresee is None else foresee(self.context, call.parameters)

    def answer_at_once(self, call: Call) -> Answered:
        """The answer of a method that neither waits nor takes long."""
        try:
            result = call.method.answer(self.context, call.parameters)
        except RpcError as error:
            return self.refuse(call.request, call.request.method, call.started_seconds, error)
        return self.accept(call, result)

    async def answer_later(self, call: Call) -> Answered:
        """The answer of any other."""
        try:
            if call.method.kind == "waits":
                result = await call.method.answer(self.context, call.parameters)
            else:
                result = await asyncio.to_thread(call.method.answer, self.context, call.parameters)
        except RpcError as error:
            return self.refuse(call.request, call.request.method, call.started_seconds, error)
        return self.accept(call, result)

    def accept(self, call: Call, result: Any) -> Answered:
        """The answer with a result."""
        context, request = self.context, call.request
        context.metrics.observe(request.method, context.now_seconds() - call.started_seconds)
        return 200, _encode({"jsonrpc": "2.0", "result": result, "id": request.id})

    def refuse(self, request: Request, name: str, started_seconds: float, error: RpcError) -> Answered:
        """The answer with an error; ``name`` is what is counted."""
        context = self.context
        context.metrics.errors[name, error.body["code"]] += 1
        context.metrics.observe(name, context.now_seconds() - started_seconds)
        status = self.get_http_status(error, request.params)
        return status, _encode({"jsonrpc": "2.0", "error": error.body, "id": request.id})

    @staticmethod
    def read_parameters(method: Method, params: Any) -> Any:
        """The typed parameters."""
        try:
            return method.read(params)
        except InvalidParameters as error:
            raise parse_error(f"Failed parsing args: {error}") from None

    def get_http_status(self, error: RpcError, params: Any) -> int:
        """422 for a block by height that is below the head and not known: skipped, or no longer kept."""
        if error.http_status != 200 or error.cause_name != "UNKNOWN_BLOCK" or not isinstance(params, dict):
            return error.http_status
        height = params.get("block_id")
        if not isinstance(height, int) or isinstance(height, bool):
            return 200
        return 422 if 0 <= height < self.context.reader.get_head().height else 200
