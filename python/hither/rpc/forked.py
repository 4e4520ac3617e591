"""The methods of a fork: those that name accounts copy them first, where they are not known.

What they then answer is what they answer on any chain. A question about a block at which the account was not known
yet is refused: the copy is in a later one.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from hither.chain.fork import list_accounts, list_missing
from hither.chain.reader import ControlRefused, Finality, GarbageCollectedBlock, UnknownBlock
from hither.primitives.types import AccountId
from hither.rpc.context import Context, Method
from hither.rpc.errors import RpcError, handler_error, transaction_internal_error
from hither.rpc.methods.query import QUESTIONS, Query
from hither.rpc.methods.transactions import SendRequest
from hither.state import StateGone, keys

SENDING: Final = ("send_tx", "broadcast_tx_commit", "broadcast_tx_async")
_EXPERIMENTAL: Final = "EXPERIMENTAL_"

ListAsked = Callable[[Any], Sequence[AccountId]]


def copy_first(methods: dict[str, Method]) -> dict[str, Method]:
    """The same methods, some with copying before them."""
    changed: dict[str, Method] = {}
    for name, method in methods.items():
        if name in SENDING:
            changed[name] = _wrap(method, _list_of_request, transaction_internal_error)
        elif name == "query" or name.removeprefix(_EXPERIMENTAL) in QUESTIONS:
            changed[name] = _wrap(method, _list_of_query, _make_refusal(name))
    return methods | changed


def _list_of_request(request: SendRequest) -> Sequence[AccountId]:
    return list_accounts(request.transaction)


def _list_of_query(query: Query) -> Sequence[AccountId]:
    about = query.values[0]
    return [AccountId(about)] if isinstance(about, str) else []


def _make_refusal(name: str) -> Callable[[str], RpcError]:
    family = name.removeprefix(_EXPERIMENTAL)
    return lambda text: handler_error(family, "INTERNAL_ERROR", error_message=text)


async def _bring(context: Context, asked: Sequence[AccountId]) -> None:
    """Copy those that the newest state does not know. Raises ControlRefused."""
    state = context.states.get(Finality.OPTIMISTIC)
    missing = list_missing(asked, state.get_trie)
    if missing:
        await context.control.bring(missing)


def _must_be_newer(context: Context, query: Query) -> None:
    """Raise ControlRefused for a block at which an account that is here now was not known yet."""
    if isinstance(query.reference, Finality):
        return
    newest = context.states.get(Finality.OPTIMISTIC)
    try:
        state = context.states.get(query.reference)
        for account_id in list_missing(_list_of_query(query), state.get_trie):
            if newest.get_trie(account_id).get(keys.account(account_id)) is not None:
                raise ControlRefused(
                    f"FORK_BLOCK_TOO_OLD: {account_id} was copied after block {state.height} "
                    "(ask again about a newer one)"
                )
    except (UnknownBlock, GarbageCollectedBlock, StateGone):
        return  # The method itself says so.


def _wrap(method: Method, list_asked: ListAsked, refuse: Callable[[str], RpcError]) -> Method:
    async def answer(context: Context, parameters: Any) -> Any:
        try:
            await _bring(context, list_asked(parameters))
            if isinstance(parameters, Query):
                _must_be_newer(context, parameters)
        except ControlRefused as error:
            raise refuse(str(error)) from None
        if method.kind == "waits":
            return await method.answer(context, parameters)
        if method.is_long is not None and method.is_long(parameters):
            return await asyncio.to_thread(method.answer, context, parameters)
        return method.answer(context, parameters)

    return msgspec.structs.replace(method, answer=answer, kind="waits", is_long=None)
