"""Answers to the recorded questions about accounts, keys and data, from a trie alone."""

from typing import Any

from hither.crypto.keys import key_handle_to_str
from hither.primitives.types import AccountId
from hither.primitives.views.accounts import view_access_key, view_account, view_bytes
from hither.runtime import state_viewer as viewer
from hither.state import Trie
from tests.vectors.comparison import Json

STATE_SIZE_BYTES_MAX = 50_000
"""``trie_viewer_state_size_limit`` of the recorded node."""


def _answer(request_type: str, params: Json, trie: Trie) -> Json:
    account_id = AccountId(params["account_id"])
    if request_type == "view_account":
        return view_account(viewer.view_account(trie, account_id))
    if request_type == "view_access_key_list":
        page = viewer.view_access_keys(trie, account_id, None, None, None)
        return {
            "keys": [
                {"public_key": key_handle_to_str(handle), "access_key": view_access_key(access_key)}
                for handle, access_key in page.keys
            ]
        }
    assert (request_type, params["prefix_base64"], params["include_proof"]) == ("view_state", "", True)
    state = viewer.view_state(
        trie, account_id, viewer.StateRange(b"", include_proof=True), STATE_SIZE_BYTES_MAX
    )
    return {
        "values": [{"key": view_bytes(key), "value": view_bytes(value)} for key, value in state.values],
        "proof": [view_bytes(node) for node in state.proof],
    }


def _show_error(cause: str, info: Json, data: str) -> Json:
    return {
        "name": "HANDLER_ERROR",
        "cause": {"name": cause, "info": info},
        "code": -32000,
        "message": "Server error",
        "data": data,
    }


def answer_query(params: Json, block_hash: str, height: int, trie: Trie) -> tuple[str, Any]:
    """``result`` or ``error``, and its JSON."""
    block = {"block_hash": block_hash, "block_height": height}
    account_id = params["account_id"]
    try:
        return "result", _answer(params["request_type"], params, trie) | block
    except viewer.AccountDoesNotExist:
        text = f"account {account_id} does not exist while viewing"
        return "error", _show_error("UNKNOWN_ACCOUNT", block | {"requested_account_id": account_id}, text)
    except viewer.StateTooLarge:
        text = f"State of contract {account_id} is too large to be viewed"
        return "error", _show_error(
            "TOO_LARGE_CONTRACT_STATE", block | {"contract_account_id": account_id}, text
        )
