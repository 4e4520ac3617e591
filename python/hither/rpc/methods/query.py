"""Reading state at a block: ``query`` with its types and old paths, and the ``EXPERIMENTAL_view_*`` methods.

``query`` and the newer methods ask the same questions; they differ in how they refuse. Through
``query``, a failed call and an unknown access key are *results* that hold an ``error``.
"""

import base64
from collections.abc import Callable
from typing import Any, Final

import msgspec

from hither.chain.reader import BlockReference, Finality, GarbageCollectedBlock, UnknownBlock
from hither.codec import base58
from hither.crypto.hashing import sha256
from hither.crypto.keys import PublicKey, compute_key_handle, key_handle_to_str, public_key_to_str
from hither.primitives import views
from hither.primitives.account import (
    GlobalContractByAccount,
    GlobalContractByHash,
    GlobalContractIdentifier,
)
from hither.primitives.types import AccountId, BlockHeight
from hither.rpc.context import Context, Foreseen, Method
from hither.rpc.debug_text import debug_call_error
from hither.rpc.errors import RpcError, handler_error, parse_error
from hither.rpc.methods.blocks import name_header
from hither.rpc.parameters import (
    Field,
    InvalidParameters,
    Reader,
    flattened,
    optional,
    read_base64,
    read_boolean,
    read_nonzero_u32,
    read_string,
    tagged,
)
from hither.rpc.state_cache import StateAtBlock
from hither.rpc.values import (
    debug_block_reference,
    describe_block_reference,
    read_account_id,
    read_block_reference_within,
    read_hash,
    read_key_handle,
    read_public_key,
)
from hither.runtime import state_viewer as viewer
from hither.state import DistantTrie, StateGone, keys

PATH_DATA_SIZE_MAX: Final = 10 * 1024
ACCESS_KEYS_MAX: Final = 100
FIRST_VERSION_WITH_PAGES: Final = 87
"""The release of protocol 87 is the first that limits lists of keys, and has pages."""

Answer = Callable[[Context, StateAtBlock, tuple[Any, ...]], dict[str, Any]]


class Question(msgspec.Struct, frozen=True):
    """A kind of query: its fields, and what answers.

    ``get_key`` is there where one record of the account that is named first answers it: that record's key.
    """

    fields: tuple[Field, ...]
    answer: Answer
    is_long: bool = False
    get_key: Callable[..., bytes] | None = None


class Query(msgspec.Struct, frozen=True, gc=False):
    """A question about the state at a block."""

    kind: str
    reference: BlockReference
    values: tuple[Any, ...]


def _view_account(context: Context, state: StateAtBlock, values: tuple[Any, ...]) -> dict[str, Any]:
    """What an account has: money, stake, bytes in storage, and the hash of its code, all ones without any."""
    (account_id,) = values
    return views.view_account(viewer.view_account(state.get_trie(account_id), account_id))


def _view_some_code(code: bytes) -> dict[str, Any]:
    return {"code_base64": base64.b64encode(code).decode(), "hash": base58.encode(sha256(code))}


def _view_code(context: Context, state: StateAtBlock, values: tuple[Any, ...]) -> dict[str, Any]:
    """The code that an account runs, its own or a global one, in base64, with its hash."""
    (account_id,) = values
    return _view_some_code(viewer.view_code(state.get_trie(account_id), account_id))


def _view_global_code(
    context: Context, state: StateAtBlock, identifier: GlobalContractIdentifier
) -> dict[str, Any]:
    return _view_some_code(viewer.view_global_code(state.get_first_trie(), identifier))


def _view_global_code_by_hash(
    context: Context, state: StateAtBlock, values: tuple[Any, ...]
) -> dict[str, Any]:
    """The code that was published under its hash, for every account to use."""
    return _view_global_code(context, state, GlobalContractByHash(values[0]))


def _view_global_code_by_account(
    context: Context, state: StateAtBlock, values: tuple[Any, ...]
) -> dict[str, Any]:
    """The code that an account publishes for others to use, as it is at that block."""
    return _view_global_code(context, state, GlobalContractByAccount(values[0]))


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _view_state(context: Context, state: StateAtBlock, values: tuple[Any, ...]) -> dict[str, Any]:
    """The records that a contract keeps under keys with a prefix, in the order of the keys.

    All of them, unless they are too large; with ``limit`` or ``after_key_base64`` a page, whose ``last_key`` is where
    to go on if there is more.
    """
    account_id, prefix, after_key, limit, include_proof = values
    asked = viewer.StateRange(prefix, after_key, limit, include_proof)
    size_max = context.settings.view_state_size_max
    page = viewer.view_state(state.get_trie(account_id), account_id, asked, size_max)
    answer: dict[str, Any] = {
        "values": [{"key": _to_base64(key), "value": _to_base64(value)} for key, value in page.values]
    }
    if page.proof:
        answer["proof"] = [_to_base64(node) for node in page.proof]
    if page.last_key is not None:
        answer["last_key"] = _to_base64(page.last_key)
    return answer


def _view_access_key(context: Context, state: StateAtBlock, values: tuple[Any, ...]) -> dict[str, Any]:
    """What a key of an account may do, and the last nonce it used.

    Through ``query`` a key that the account does not have is a result that holds an ``error``.
    """
    account_id, public_key = values
    return views.view_access_key(viewer.view_access_key(state.get_trie(account_id), account_id, public_key))


def _view_access_keys(context: Context, state: StateAtBlock, values: tuple[Any, ...]) -> dict[str, Any]:
    """The keys of an account: what each may do, and its last nonce.

    With ``limit`` or ``after_key`` a page, whose ``last_key`` is where to go on if there is more.
    """
    account_id, after, limit = values
    count_max = ACCESS_KEYS_MAX if state.protocol_version >= FIRST_VERSION_WITH_PAGES else None
    page = viewer.view_access_keys(state.get_trie(account_id), account_id, after, limit, count_max)
    answer: dict[str, Any] = {
        "keys": [
            {"public_key": key_handle_to_str(handle), "access_key": views.view_access_key(access_key)}
            for handle, access_key in page.keys
        ]
    }
    if page.last_key is not None:
        answer["last_key"] = key_handle_to_str(page.last_key)
    return answer


def _view_gas_key_nonces(context: Context, state: StateAtBlock, values: tuple[Any, ...]) -> dict[str, Any]:
    """The last nonces that a gas key used, one an index."""
    account_id, public_key = values
    return {"nonces": viewer.view_gas_key_nonces(state.get_trie(account_id), account_id, public_key)}


def _call_function(context: Context, state: StateAtBlock, values: tuple[Any, ...]) -> dict[str, Any]:
    """What a method that cannot write returns, as a list of bytes, and what it logs.

    Through ``query`` a call that fails is a result that holds an ``error``.
    """
    account_id, method_name, args = values
    surroundings = viewer.ViewSurroundings(
        chain_id=context.reader.chain_id,
        protocol_version=state.protocol_version,
        block_height=state.height,
        block_timestamp_ns=state.timestamp_ns,
        epoch_height=state.epoch_height,
        validators=state.validators,
        gas_max=context.settings.view_gas_max,
        interrupt_after_ms=context.settings.view_timeout_ms,
    )
    call = viewer.ViewCall(account_id, method_name, args)
    result = viewer.call_function(context.vm, state.get_trie(account_id), surroundings, call)
    return {"result": list(result.result), "logs": result.logs}


def _get_access_key_key(account_id: AccountId, public_key: PublicKey) -> bytes:
    return keys.access_key(account_id, compute_key_handle(public_key))


_ACCOUNT: Final = Field("account_id", read_account_id)
_KEY: Final = Field("public_key", read_public_key)

QUESTIONS: Final[dict[str, Question]] = {
    "view_account": Question((_ACCOUNT,), _view_account, get_key=keys.account),
    "view_code": Question((_ACCOUNT,), _view_code),
    "view_state": Question(
        (
            _ACCOUNT,
            Field("prefix_base64", read_base64),
            Field("after_key_base64", optional(read_base64), None),
            Field("limit", optional(read_nonzero_u32), None),
            Field("include_proof", read_boolean, False),
        ),
        _view_state,
    ),
    "view_access_key": Question((_ACCOUNT, _KEY), _view_access_key, get_key=_get_access_key_key),
    "view_access_key_list": Question(
        (
            _ACCOUNT,
            Field("after_key", optional(read_key_handle), None),
            Field("limit", optional(read_nonzero_u32), None),
        ),
        _view_access_keys,
    ),
    "view_gas_key_nonces": Question((_ACCOUNT, _KEY), _view_gas_key_nonces),
    "call_function": Question(
        (_ACCOUNT, Field("method_name", read_string), Field("args_base64", read_base64)),
        _call_function,
        is_long=True,
    ),
    "view_global_contract_code": Question((Field("code_hash", read_hash),), _view_global_code_by_hash),
    "view_global_contract_code_by_account_id": Question((_ACCOUNT,), _view_global_code_by_account),
}

_read_query_object = flattened(
    "RpcQueryRequest",
    (),
    read_block_reference_within,
    tagged("request_type", {kind: question.fields for kind, question in QUESTIONS.items()}),
)


def _read_path_data(path: str, data: str) -> bytes:
    size_max = max(0, PATH_DATA_SIZE_MAX - len(path))
    try:
        decoded = base58.decode(data)
    except base58.WrongSize:
        raise parse_error("Query data size is too large") from None
    except base58.InvalidBase58 as error:
        raise parse_error(str(error)) from None
    if len(decoded) > size_max:
        raise parse_error("Query data size is too large")
    return decoded


def _read_path(path: str, data: str) -> Query:
    """The old form: ``account/<id>``, ``access_key/<id>[/<key>]``, ``code/…``, ``contract/…``, ``call/<id>/<name>``."""
    command, slash, rest = path.partition("/")
    if not slash:
        raise parse_error("Not enough query parameters provided")
    account_text, has_argument, argument = rest.partition("/")
    try:
        account_id = read_account_id(account_text)
    except InvalidParameters as error:
        raise parse_error(str(error).partition(", ")[2]) from None
    kind, values = _read_path_command(command, account_id, argument if has_argument else None, path, data)
    return Query(kind, Finality.OPTIMISTIC, values)


def _read_path_command(
    command: str, account_id: str, argument: str | None, path: str, data: str
) -> tuple[str, tuple[Any, ...]]:
    match command, argument:
        case "account", _:
            return "view_account", (account_id,)
        case "access_key", None:
            return "view_access_key_list", (account_id, None, None)
        case "access_key", _:
            try:
                return "view_access_key", (account_id, read_public_key(argument))
            except InvalidParameters:
                raise parse_error("Invalid public key") from None
        case "code", _:
            return "view_code", (account_id,)
        case "contract", _:
            return "view_state", (account_id, _read_path_data(path, data), None, None, False)
        case "call", None:
            raise parse_error("Method name is missing")
        case "call", _:
            return "call_function", (account_id, argument, _read_path_data(path, data))
    raise parse_error(f"Unknown path {command}")


def read_query(value: Any) -> Query:
    """An object, or an array of a path and data."""
    if isinstance(value, list) and len(value) == 2:
        return _read_path(read_string(value[0]), read_string(value[1]))
    reference, (kind, values) = _read_query_object(value)
    return Query(kind, reference, values)


def make_question_reader(kind: str, name: str) -> Reader[Query]:
    """The parameters of a method that asks one kind of question."""
    question = QUESTIONS[kind]
    read_object = flattened(name, question.fields, read_block_reference_within)

    def read(value: Any) -> Query:
        *values, reference = read_object(value)
        return Query(kind, reference, tuple(values))

    return read


def _get_state(context: Context, family: str, reference: BlockReference) -> StateAtBlock:
    try:
        return context.states.get(reference)
    except UnknownBlock as error:
        raise _unknown_block(family, reference, name_header(error.reference)) from None
    except GarbageCollectedBlock as error:
        raise _garbage_collected(family, error) from None


def _unknown_block(family: str, reference: BlockReference, text: str) -> RpcError:
    described = describe_block_reference(reference)
    is_height = isinstance(reference, int)
    message = f"DB Not Found Error: {text}" + (" \n Cause: Unknown" if is_height else "")
    return handler_error(
        family,
        "UNKNOWN_BLOCK",
        block_reference=described,
        error_message=message,
        reference_text=debug_block_reference(reference),
    )


def _garbage_collected(family: str, error: GarbageCollectedBlock) -> RpcError:
    if family == "query":
        block_hash = base58.encode(error.block_hash)
        return handler_error(
            family, "GARBAGE_COLLECTED_BLOCK", block_height=error.height, block_hash=block_hash
        )
    text = (
        f"The data for block #{error.height} is garbage collected on this node, "
        "use an archival node to fetch historical data"
    )
    return handler_error(family, "INTERNAL_ERROR", error_message=text)


def _gone(family: str, state: StateAtBlock) -> RpcError:
    """The block was there a moment ago, or only its header is kept (that of the genesis, for ever)."""
    return _garbage_collected(family, GarbageCollectedBlock(BlockHeight(state.height), state.hash))


def _translate(family: str, state: StateAtBlock, error: viewer.ViewError) -> RpcError:
    """NEAR's error for a question without an answer."""
    block: dict[str, Any] = {"block_height": state.height, "block_hash": state.hash_text}
    match error:
        case viewer.AccountDoesNotExist(account_id=account_id):
            return handler_error(family, "UNKNOWN_ACCOUNT", requested_account_id=account_id, **block)
        case viewer.NoContractCode(account_id=account_id):
            return handler_error(family, "NO_CONTRACT_CODE", contract_account_id=account_id, **block)
        case viewer.StateTooLarge(account_id=account_id):
            return handler_error(family, "TOO_LARGE_CONTRACT_STATE", contract_account_id=account_id, **block)
        case viewer.AccessKeyDoesNotExist(public_key=public_key):
            key = public_key_to_str(public_key)
            return handler_error(family, "UNKNOWN_ACCESS_KEY", public_key=key, **block)
        case viewer.GasKeyDoesNotExist(public_key=public_key):
            return handler_error(family, "UNKNOWN_GAS_KEY", public_key=public_key_to_str(public_key), **block)
        case viewer.NoGlobalContractCode(identifier=identifier):
            shown = views.view_global_contract_identifier(identifier, state.protocol_version)
            text = _debug_identifier(identifier)
            return handler_error(
                family, "NO_GLOBAL_CONTRACT_CODE", identifier=shown, identifier_text=text, **block
            )
        case viewer.TooManyAccessKeys():
            return _too_many_access_keys(family, state, error)
        case viewer.ContractFailed(error=vm_error):
            text = debug_call_error(vm_error)
            return handler_error(
                family, "CONTRACT_EXECUTION_ERROR", vm_error=vm_error, error_text=text, **block
            )
    return handler_error(family, "INTERNAL_ERROR", error_message=str(error))


def _debug_identifier(identifier: GlobalContractIdentifier) -> str:
    if isinstance(identifier, GlobalContractByHash):
        return f"CodeHash({base58.encode(identifier.code_hash)})"
    return f'AccountId(AccountId("{identifier.account_id}"))'


def _too_many_access_keys(family: str, state: StateAtBlock, error: viewer.TooManyAccessKeys) -> RpcError:
    if family == "query":
        return handler_error(
            family,
            "TOO_MANY_ACCESS_KEYS",
            requested_account_id=error.account_id,
            limit=error.limit,
            block_height=state.height,
            block_hash=state.hash_text,
        )
    text = (
        f'Unexpected query error: TooManyAccessKeys {{ requested_account_id: AccountId("{error.account_id}"), '
        f"limit: {error.limit}, block_height: {state.height}, block_hash: {state.hash_text} }}"
    )
    return handler_error(family, "INTERNAL_ERROR", error_message=text)


def _answer(context: Context, state: StateAtBlock, query: Query) -> dict[str, Any]:
    answer = QUESTIONS[query.kind].answer(context, state, query.values)
    answer["block_height"] = state.height
    answer["block_hash"] = state.hash_text
    return answer


def answer_query(context: Context, query: Query) -> dict[str, Any]:
    """``query``: one question, of the kinds below, about the state at a block."""
    state = _get_state(context, "query", query.reference)
    try:
        return _answer(context, state, query)
    except viewer.ContractFailed as error:
        text = error.text
    except viewer.AccessKeyDoesNotExist as error:
        text = f"access key {public_key_to_str(error.public_key)} does not exist while viewing"
    except viewer.ViewError as error:
        raise _translate("query", state, error) from None
    except (GarbageCollectedBlock, UnknownBlock, StateGone):
        raise _gone("query", state) from None
    return {"error": text, "logs": [], "block_height": state.height, "block_hash": state.hash_text}


def make_question_answer(family: str) -> Callable[[Context, Query], dict[str, Any]]:
    """The answer of a method that asks one kind of question."""

    def answer(context: Context, query: Query) -> dict[str, Any]:
        state = _get_state(context, family, query.reference)
        try:
            return _answer(context, state, query)
        except viewer.ViewError as error:
            raise _translate(family, state, error) from None
        except (GarbageCollectedBlock, UnknownBlock, StateGone):
            raise _gone(family, state) from None

    return answer


def foresee_query(context: Context, query: Query) -> Foreseen | None:
    """The record that answering will read first, where it is one, at a head, and in another process."""
    get_key = QUESTIONS[query.kind].get_key
    if get_key is None or not isinstance(query.reference, Finality):
        return None
    state = context.states.get_kept(query.reference)
    if state is None:
        return None
    trie = state.get_trie(query.values[0])
    return (trie, get_key(*query.values)) if isinstance(trie, DistantTrie) else None


def is_long_query(query: Query) -> bool:
    """Whether answering may take a core for a while: calls do, plain reads do not."""
    return QUESTIONS[query.kind].is_long


_REQUEST_NAMES: Final = {
    "view_account": "RpcViewAccountRequest",
    "view_code": "RpcViewCodeRequest",
    "view_state": "RpcViewStateRequest",
    "view_access_key": "RpcViewAccessKeyRequest",
    "view_access_key_list": "RpcViewAccessKeyListRequest",
    "view_gas_key_nonces": "RpcViewGasKeyNoncesRequest",
    "call_function": "RpcCallFunctionRequest",
}

METHODS: Final = {
    "query": Method(read_query, answer_query, is_long=is_long_query, foresee=foresee_query),
    **{
        f"EXPERIMENTAL_{kind}": Method(
            make_question_reader(kind, name),
            make_question_answer(kind),
            is_long=is_long_query,
            foresee=foresee_query,
        )
        for kind, name in _REQUEST_NAMES.items()
    },
}
