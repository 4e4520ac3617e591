"""Errors have the bodies and statuses of NEAR's node."""

from hither.rpc.errors import (
    TABLE,
    handler_error,
    invalid_transaction,
    method_not_found,
    parse_error,
    transaction_internal_error,
)


def test_method_error_tells_cause_and_data() -> None:
    """``info`` has the fields of the row, ``data`` the sentence."""
    error = handler_error("chunk", "INVALID_SHARD_ID", shard_id=7)
    assert error.http_status == 200
    assert error.body == {
        "name": "HANDLER_ERROR",
        "cause": {"name": "INVALID_SHARD_ID", "info": {"shard_id": 7}},
        "code": -32000,
        "message": "Server error",
        "data": "Shard id 7 does not exist",
    }


def test_some_families_repeat_the_cause_as_data() -> None:
    """There ``data`` is an object."""
    error = handler_error("receipt", "UNKNOWN_RECEIPT", receipt_id="abc")
    assert (
        error.body["data"]
        == error.body["cause"]
        == {"name": "UNKNOWN_RECEIPT", "info": {"receipt_id": "abc"}}
    )


def test_cause_without_fields_has_no_info() -> None:
    """A cause that never has fields differs from one whose fields are not told."""
    assert handler_error("validators", "UNKNOWN_EPOCH").body["cause"] == {"name": "UNKNOWN_EPOCH"}
    told = handler_error("block", "UNKNOWN_BLOCK", error_message="x").body["cause"]
    assert told == {"name": "UNKNOWN_BLOCK", "info": {}}


def test_internal_errors_and_time_outs_have_a_status_of_their_own() -> None:
    """500 and 408; an internal error has another outer name."""
    internal = handler_error("block", "INTERNAL_ERROR", error_message="x")
    assert (internal.http_status, internal.body["name"]) == (500, "INTERNAL_ERROR")
    timeout = handler_error("transaction", "TIMEOUT_ERROR", cause="NOT_OBSERVED")
    assert timeout.http_status == 408
    assert timeout.body["cause"] == {"name": "TIMEOUT_ERROR", "info": {"cause": "NOT_OBSERVED"}}


def test_refused_transaction_carries_its_error_whole() -> None:
    """Clients look into ``data.TxExecutionError``."""
    error = invalid_transaction({"InvalidNonce": {"ak_nonce": 2, "tx_nonce": 1}})
    assert error.body["cause"] == {"name": "INVALID_TRANSACTION", "info": {}}
    inner = {"InvalidNonce": {"ak_nonce": 2, "tx_nonce": 1}}
    assert error.body["data"] == {"TxExecutionError": {"InvalidTxError": inner}}


def test_transaction_internal_error_hides_its_text_in_data() -> None:
    """NEAR's node looks for the text under another name than it has."""
    error = transaction_internal_error("disk")
    message = "InternalError happened during serializing InternalError"
    assert error.body["cause"]["info"] == {"error_message": message}
    assert error.body["data"].endswith("More details: disk")


def test_requests_that_cannot_be_read_are_400() -> None:
    """With the codes of JSON-RPC."""
    bad = parse_error("why")
    assert (bad.http_status, bad.body["code"], bad.body["data"]) == (400, -32700, "why")
    missing = method_not_found("nothing")
    assert (missing.http_status, missing.body["code"]) == (400, -32601)
    assert missing.body["cause"]["info"] == {"method_name": "nothing"}


def test_every_row_can_be_told() -> None:
    """Each template of the table is filled by the fields of its own and a few texts."""
    texts = dict.fromkeys(
        ("error_message", "error", "debug_info", "reference_text", "identifier_text", "error_text"), "text"
    )
    for family, rows in TABLE.items():
        for cause, row in rows.items():
            values = {**texts, **dict.fromkeys(row.info or (), 1)}
            assert handler_error(family, cause, **values).cause_name == cause
