"""Accounts, tokens and transactions as Solana's JSON shows them."""

import base64
from typing import Any, Final

from solders.compute_budget import ID as COMPUTE_BUDGET_PROGRAM
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey

from hither.codec import base58
from hither.foreign.engines.solana_journal import Record
from hither.foreign.solana_instructions import MEMO_PROGRAM
from hither.foreign.solana_tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Holding, Mint

Json = dict[str, Any]

PROGRAM_NAMES: Final = {TOKEN_PROGRAM: "spl-token", TOKEN_2022_PROGRAM: "spl-token-2022"}
BUDGET_PROGRAM: Final = str(COMPUTE_BUDGET_PROGRAM)
MEMO_PROGRAMS: Final = (str(MEMO_PROGRAM), "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo")


# Tokens


def view_amount(amount: int, decimals: int) -> Json:
    """The amount as text, as a number that may round, and as the number's text."""
    whole, rest = divmod(amount, 10**decimals)
    fraction = f"{rest:0{decimals}d}".rstrip("0") if rest else ""
    text = f"{whole}.{fraction}" if fraction else str(whole)
    return {
        "amount": str(amount),
        "decimals": decimals,
        "uiAmount": amount / 10**decimals,
        "uiAmountString": text,
    }


def view_holding(holding: Holding, decimals: int) -> Json:
    """As ``jsonParsed`` shows a token account."""
    info: Json = {
        "isNative": holding.native_reserve is not None,
        "mint": str(holding.mint),
        "owner": str(holding.owner),
        "state": holding.state,
        "tokenAmount": view_amount(holding.amount, decimals),
    }
    if holding.native_reserve is not None:
        info["rentExemptReserve"] = view_amount(holding.native_reserve, decimals)
    if holding.delegate is not None:
        info["delegate"] = str(holding.delegate)
        info["delegatedAmount"] = view_amount(holding.delegated_amount, decimals)
    if holding.close_authority is not None:
        info["closeAuthority"] = str(holding.close_authority)
    return {"info": info, "type": "account"}


def view_mint(mint: Mint) -> Json:
    """As ``jsonParsed`` shows a mint."""
    authorities = (mint.mint_authority, mint.freeze_authority)
    mint_authority, freeze_authority = (None if one is None else str(one) for one in authorities)
    info = {
        "decimals": mint.decimals,
        "freezeAuthority": freeze_authority,
        "isInitialized": True,
        "mintAuthority": mint_authority,
        "supply": str(mint.supply),
    }
    return {"info": info, "type": "mint"}


# Transactions


def view_status(record: Record | None) -> Json | None:
    """None for the unknown; what is included is final."""
    if record is None:
        return None
    return {
        "slot": record.slot,
        "confirmations": None,
        "err": record.error,
        "status": {"Ok": None} if record.error is None else {"Err": record.error},
        "confirmationStatus": "finalized",
    }


def view_transaction(record: Record, encoding: str) -> Any:
    """In the encoding that was asked for."""
    raw = record.raw
    if encoding == "base64":
        return [base64.b64encode(raw).decode(), "base64"]
    if encoding in ("base58", "binary"):
        return [base58.encode(raw), "base58"] if encoding == "base58" else base58.encode(raw)
    message = record.transaction.message
    body: Json = {
        "accountKeys": [str(key) for key in message.account_keys],
        "recentBlockhash": str(message.recent_blockhash),
    }
    if encoding == "jsonParsed":
        body["accountKeys"] = _view_parsed_keys(record)
        body["instructions"] = [
            {
                "programId": record.account_keys[instruction.program_id_index],
                "accounts": [record.account_keys[index] for index in instruction.accounts],
                "data": base58.encode(bytes(instruction.data)),
                "stackHeight": 1,
            }
            for instruction in message.instructions
        ]
    else:
        header = message.header
        body["header"] = {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        }
        body["instructions"] = [
            {
                "programIdIndex": instruction.program_id_index,
                "accounts": list(instruction.accounts),
                "data": base58.encode(bytes(instruction.data)),
                "stackHeight": 1,
            }
            for instruction in message.instructions
        ]
    if isinstance(message, MessageV0):
        body["addressTableLookups"] = [
            {
                "accountKey": str(lookup.account_key),
                "writableIndexes": list(lookup.writable_indexes),
                "readonlyIndexes": list(lookup.readonly_indexes),
            }
            for lookup in message.address_table_lookups
        ]
    return {"signatures": [str(item) for item in record.transaction.signatures], "message": body}


def _view_parsed_keys(record: Record) -> list[Json]:
    message = record.transaction.message
    assert isinstance(message, Message | MessageV0), "others are refused when they come in"
    own = len(message.account_keys)
    return [
        {
            "pubkey": name,
            "signer": index < message.header.num_required_signatures,
            "writable": _is_writable(message, index)
            if index < own
            else index < own + len(record.writable_loaded),
            "source": "transaction" if index < own else "lookupTable",
        }
        for index, name in enumerate(record.account_keys)
    ]


def _is_writable(message: Message | MessageV0, index: int) -> bool:
    """By the place of a message's own key: signers come first, within each group the writable ones."""
    header = message.header
    if index < header.num_required_signatures:
        return index < header.num_required_signatures - header.num_readonly_signed_accounts
    return index < len(message.account_keys) - header.num_readonly_unsigned_accounts


def view_meta(record: Record) -> Json:
    """What came of it."""
    view: Json = {
        "err": record.error,
        "status": {"Ok": None} if record.error is None else {"Err": record.error},
        "fee": record.outcome["fee"],
        "preBalances": list(record.balances_before),
        "postBalances": list(record.balances_after),
        "innerInstructions": view_inner(record.outcome),
        "logMessages": record.outcome["logs"],
        "preTokenBalances": list(record.tokens_before),
        "postTokenBalances": list(record.tokens_after),
        "rewards": [],
        "loadedAddresses": {
            "writable": list(record.writable_loaded),
            "readonly": list(record.readonly_loaded),
        },
        "computeUnitsConsumed": record.outcome["compute_units_consumed"],
    }
    returned = view_returned(record.outcome)
    if returned is not None:
        view["returnData"] = returned
    return view


def view_inner(outcome: Json) -> list[Json]:
    """What programs called, by the instruction that caused it."""
    return [
        {"index": index, "instructions": [_view_inner_one(one) for one in inner]}
        for index, inner in enumerate(outcome.get("inner_instructions", []))
        if inner
    ]


def _view_inner_one(one: Json) -> Json:
    instruction = one["instruction"]
    # Lists of one byte first count themselves in the virtual machine's JSON.
    return {
        "programIdIndex": instruction["programIdIndex"],
        "accounts": _drop_count(instruction["accounts"]),
        "data": base58.encode(bytes(_drop_count(instruction["data"]))),
        "stackHeight": one["stackHeight"],
    }


def _drop_count(values: list[Any]) -> list[int]:
    return (
        [value for value in values if isinstance(value, int)]
        if values and isinstance(values[0], list)
        else values
    )


def view_returned(outcome: Json) -> Json | None:
    """What the last program returned; None for nothing."""
    returned = outcome.get("return_data") or {}
    data = bytes(returned.get("data") or [])
    if not data:
        return None
    program = str(Pubkey(bytes(returned["program_id"])))
    return {"programId": program, "data": [base64.b64encode(data).decode(), "base64"]}


def describe_memos(record: Record) -> str | None:
    """As histories show them: each with its length before it."""
    message = record.transaction.message
    memos = [
        bytes(one.data)
        for one in message.instructions
        if record.account_keys[one.program_id_index] in MEMO_PROGRAMS
    ]
    return "; ".join(f"[{len(memo)}] {memo.decode(errors='replace')}" for memo in memos) or None


def compute_priority_price(record: Record) -> int:
    """What it paid for each compute unit, in millionths of a lamport."""
    for one in record.transaction.message.instructions:
        data = bytes(one.data)
        if record.account_keys[one.program_id_index] == BUDGET_PROGRAM and data[:1] == b"\3":
            return int.from_bytes(data[1:9], "little")
    return 0


def list_writable(record: Record) -> list[str]:
    """The accounts that a transaction may write."""
    message = record.transaction.message
    assert isinstance(message, Message | MessageV0), "others are refused when they come in"
    own = len(message.account_keys)
    return [
        name
        for index, name in enumerate(record.account_keys)
        if (_is_writable(message, index) if index < own else index < own + len(record.writable_loaded))
    ]
