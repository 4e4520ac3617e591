"""Records of state as genesis files, state dumps and ``sandbox_patch_state`` write them in JSON.

Text forms are those of NEAR's ``StateRecord``: amounts are decimal strings,
bytes base64, hashes base58. Receipts waiting in state (``PostponedReceipt``,
``DelayedReceipt``) are not taken: nothing that makes such a file writes them.
"""

import base64
import binascii
from typing import Any, Final

import msgspec

from hither.codec import base58
from hither.crypto.keys import InvalidKey, KeyHandle, key_handle_from_str, key_handle_to_str
from hither.primitives.account import (
    AccessKey,
    AccessKeyPermission,
    Account,
    Contract,
    FullAccess,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    GasKeyInfo,
    GlobalContractByAccount,
    GlobalContractByHash,
    LocalContract,
    UninitialisedAccount,
)
from hither.primitives.ids import explain_account_id, is_valid_account_id
from hither.primitives.types import ZERO_HASH, AccountId, Balance, CryptoHash, Nonce

_NO_CODE: Final = base58.encode(ZERO_HASH)


class InvalidStateRecord(ValueError):
    """The JSON is not a record of state."""


class AccountRecord(msgspec.Struct, frozen=True, gc=False):
    """An account. Genesis computes ``storage_usage`` itself."""

    account_id: AccountId
    account: Account | UninitialisedAccount


class DataRecord(msgspec.Struct, frozen=True, gc=False):
    """A contract's own key and value."""

    account_id: AccountId
    key: bytes
    value: bytes


class ContractRecord(msgspec.Struct, frozen=True, gc=False):
    """The code of an account; its hash must be the one that the account names."""

    account_id: AccountId
    code: bytes


class AccessKeyRecord(msgspec.Struct, frozen=True, gc=False):
    """An access key, or a gas key without its nonces."""

    account_id: AccountId
    key: KeyHandle
    access_key: AccessKey


class GasKeyNonceRecord(msgspec.Struct, frozen=True, gc=False):
    """One nonce of a gas key."""

    account_id: AccountId
    key: KeyHandle
    index: int
    nonce: Nonce


class ReceivedDataRecord(msgspec.Struct, frozen=True, gc=False):
    """Data that waits for the receipt it is an input of; None says that its sender failed."""

    account_id: AccountId
    data_id: CryptoHash
    data: bytes | None


StateRecord = (
    AccountRecord | DataRecord | ContractRecord | AccessKeyRecord | GasKeyNonceRecord | ReceivedDataRecord
)


# From JSON


def _read_account_id(text: Any) -> AccountId:
    if not isinstance(text, str) or not is_valid_account_id(text):
        reason = explain_account_id(text) if isinstance(text, str) else "it is no text"
        raise InvalidStateRecord(f"{text!r} is no account id: {reason}")
    return AccountId(text)


def _read_amount(value: Any) -> Balance:
    return Balance(_read_number(value, 128))


def _read_number(value: Any, bits: int = 64) -> int:
    """As a number or in decimal digits, as NEAR's files have large ones."""
    is_text = isinstance(value, str) and value.isascii() and value.isdigit()
    number = int(value) if is_text or type(value) is int else -1
    if number < 0 or number.bit_length() > bits:
        raise InvalidStateRecord(f"{value!r} is no whole number of {bits} bits")
    return number


def _read_hash(text: str) -> CryptoHash:
    return CryptoHash(base58.decode(text, len(ZERO_HASH)))


def _parse_account(fields: dict[str, Any]) -> Account | UninitialisedAccount:
    amount, storage_usage = _read_amount(fields["amount"]), _read_number(fields["storage_usage"])
    if fields.get("state", "initialized") != "initialized":
        nonce = Nonce(_read_number(fields["bootstrap_nonce"]))
        return UninitialisedAccount(amount, storage_usage, nonce)
    # A genesis may hold a million accounts without code.
    code_hash = fields["code_hash"]
    code_hash = ZERO_HASH if code_hash == _NO_CODE else _read_hash(code_hash)
    by_account, by_hash = fields.get("global_contract_account_id"), fields.get("global_contract_hash")
    contracts: list[Contract] = []
    if code_hash != ZERO_HASH:
        contracts.append(LocalContract(code_hash))
    if by_hash is not None:
        contracts.append(GlobalContractByHash(_read_hash(by_hash)))
    if by_account is not None:
        contracts.append(GlobalContractByAccount(_read_account_id(by_account)))
    if len(contracts) > 1:
        raise InvalidStateRecord("an account has at most one contract")
    contract = contracts[0] if contracts else None
    version = {"V1": 1, "V2": 2}[fields.get("version", "V1")]
    if version == 1 and isinstance(contract, (GlobalContractByAccount, GlobalContractByHash)):
        raise InvalidStateRecord("an account of version V1 has no global contract")
    return Account(amount, _read_amount(fields["locked"]), storage_usage, contract, version)


def _parse_function_call(fields: dict[str, Any]) -> FunctionCallPermission:
    allowance = fields.get("allowance")
    return FunctionCallPermission(
        None if allowance is None else _read_amount(allowance),
        str(fields["receiver_id"]),
        tuple(str(name) for name in fields["method_names"]),
    )


def _parse_gas_key(fields: dict[str, Any]) -> GasKeyInfo:
    return GasKeyInfo(_read_amount(fields["balance"]), _read_number(fields["num_nonces"], 16))


def _parse_permission(permission: Any) -> AccessKeyPermission:
    if permission == "FullAccess":
        return FullAccess()
    ((name, body),) = permission.items()
    if name == "FunctionCall":
        return _parse_function_call(body)
    if name == "GasKeyFullAccess":
        return GasKeyFullAccess(_parse_gas_key(body))
    if name == "GasKeyFunctionCall":
        gas_key, function_call = body
        return GasKeyFunctionCall(_parse_gas_key(gas_key), _parse_function_call(function_call))
    raise InvalidStateRecord(f"unknown permission {name}")


def _parse(kind: str, fields: dict[str, Any]) -> StateRecord:
    account_id = _read_account_id(fields["account_id"])
    match kind:
        case "Account":
            return AccountRecord(account_id, _parse_account(fields["account"]))
        case "Data":
            key, value = _from_base64(fields["data_key"]), _from_base64(fields["value"])
            return DataRecord(account_id, key, value)
        case "Contract":
            return ContractRecord(account_id, _from_base64(fields["code"]))
        case "AccessKey":
            permission = _parse_permission(fields["access_key"]["permission"])
            access_key = AccessKey(Nonce(_read_number(fields["access_key"]["nonce"])), permission)
            return AccessKeyRecord(account_id, key_handle_from_str(fields["public_key"]), access_key)
        case "GasKeyNonce":
            key_handle = key_handle_from_str(fields["public_key"])
            return GasKeyNonceRecord(
                account_id,
                key_handle,
                _read_number(fields["index"], 16),
                Nonce(_read_number(fields["nonce"])),
            )
        case "ReceivedData":
            data = fields["data"]
            data_id = _read_hash(fields["data_id"])
            return ReceivedDataRecord(account_id, data_id, None if data is None else _from_base64(data))
    raise InvalidStateRecord(f"records of kind {kind} are not taken")


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def state_record_from_json(record: Any) -> StateRecord:
    """The record for ``{kind: fields}``. Raises ``InvalidStateRecord``."""
    try:
        ((kind, fields),) = record.items()
        return _parse(kind, fields)
    except InvalidStateRecord:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error, InvalidKey) as error:
        raise InvalidStateRecord(f"not a state record: {error!r}") from error


# To JSON


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _account_to_json(account: Account | UninitialisedAccount) -> dict[str, Any]:
    if isinstance(account, UninitialisedAccount):
        return {
            "amount": str(account.amount),
            "locked": "0",
            "code_hash": base58.encode(ZERO_HASH),
            "storage_usage": account.storage_usage,
            "version": "V1",
            "state": "uninitialized",
            "bootstrap_nonce": account.bootstrap_nonce,
        }
    fields: dict[str, Any] = {
        "amount": str(account.amount),
        "locked": str(account.locked),
        "code_hash": base58.encode(account.local_code_hash),
        "storage_usage": account.storage_usage,
        "version": f"V{account.version}",
    }
    if isinstance(account.contract, GlobalContractByHash):
        fields["global_contract_hash"] = base58.encode(account.contract.code_hash)
    elif isinstance(account.contract, GlobalContractByAccount):
        fields["global_contract_account_id"] = account.contract.account_id
    return fields


def _function_call_to_json(permission: FunctionCallPermission) -> dict[str, Any]:
    return {
        "allowance": None if permission.allowance is None else str(permission.allowance),
        "receiver_id": permission.receiver_id,
        "method_names": list(permission.method_names),
    }


def _gas_key_to_json(info: GasKeyInfo) -> dict[str, Any]:
    return {"balance": str(info.balance), "num_nonces": info.num_nonces}


def _permission_to_json(permission: AccessKeyPermission) -> Any:
    match permission:
        case FullAccess():
            return "FullAccess"
        case FunctionCallPermission():
            return {"FunctionCall": _function_call_to_json(permission)}
        case GasKeyFullAccess(gas_key=gas_key):
            return {"GasKeyFullAccess": _gas_key_to_json(gas_key)}
        case GasKeyFunctionCall(gas_key=gas_key, function_call=function_call):
            return {"GasKeyFunctionCall": [_gas_key_to_json(gas_key), _function_call_to_json(function_call)]}


def state_record_to_json(record: StateRecord) -> dict[str, Any]:
    """The inverse of ``state_record_from_json``."""
    fields: dict[str, Any] = {"account_id": record.account_id}
    match record:
        case AccountRecord(account=account):
            return {"Account": fields | {"account": _account_to_json(account)}}
        case DataRecord(key=key, value=value):
            return {"Data": fields | {"data_key": _to_base64(key), "value": _to_base64(value)}}
        case ContractRecord(code=code):
            return {"Contract": fields | {"code": _to_base64(code)}}
        case AccessKeyRecord(key=handle, access_key=access_key):
            fields["public_key"] = key_handle_to_str(handle)
            permission = _permission_to_json(access_key.permission)
            return {
                "AccessKey": fields | {"access_key": {"nonce": access_key.nonce, "permission": permission}}
            }
        case GasKeyNonceRecord(key=handle, index=index, nonce=nonce):
            fields["public_key"] = key_handle_to_str(handle)
            return {"GasKeyNonce": fields | {"index": index, "nonce": nonce}}
        case ReceivedDataRecord(data_id=data_id, data=data):
            text = None if data is None else _to_base64(data)
            return {"ReceivedData": fields | {"data_id": base58.encode(data_id), "data": text}}
