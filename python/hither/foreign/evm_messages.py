"""Messages that EVM accounts sign beside transactions: personal ones (EIP-191) and typed data (EIP-712). No I/O.

A typed message is a document as wallets take it: ``types``, ``primaryType``, ``domain``, ``message``. Every value
must be of its type, and there must be no other: what is not signed would still be shown to the person who signs.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from hither.crypto.hashing import keccak256
from hither.foreign import evm_abi as abi
from hither.foreign.adapter import Payload, Scheme
from hither.foreign.errors import InvalidArguments, WrongNetwork
from hither.foreign.evm_chains import EvmChain, read_chain_number

DEPTH_MAX: Final = 32
_DOMAIN: Final = "EIP712Domain"
_DOMAIN_FIELDS: Final = {
    "name": "string",
    "version": "string",
    "chainId": "uint256",
    "verifyingContract": "address",
    "salt": "bytes32",
}
_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_ARRAY: Final = re.compile(r"(.+)\[(\d{0,6})\]")

Types = Mapping[str, tuple[tuple[str, str], ...]]
"""Struct -> its fields as (name, type)."""


def hash_message(message: str | bytes) -> bytes:
    """What ``personal_sign`` signs."""
    data = message.encode() if isinstance(message, str) else message
    return keccak256(b"\x19Ethereum Signed Message:\n%d" % len(data) + data)


def hash_typed_data(document: Mapping[str, Any]) -> bytes:
    """What ``eth_signTypedData_v4`` signs. Raises ``InvalidArguments``."""
    types, primary, domain, message = _read_document(document)
    parts = [b"\x19\x01", _hash_struct(types, _DOMAIN, domain, 0)]
    if primary != _DOMAIN:
        parts.append(_hash_struct(types, primary, message, 0))
    return keccak256(b"".join(parts))


def make_message_payload(message: str | bytes) -> Payload:
    """For the signing network."""
    return Payload(Scheme.ECDSA, Scheme.ECDSA.value, hash_message(message))


def make_typed_payload(document: Mapping[str, Any], info: EvmChain) -> Payload:
    """For the signing network. Raises ``InvalidArguments``; ``WrongNetwork`` when it is for another chain."""
    digest = hash_typed_data(document)
    told = document["domain"].get("chainId")
    if told is not None and _read_integer("uint256", told) != read_chain_number(info.chain):
        raise WrongNetwork(f"the message is for the chain {told}, but this is {info.chain}")
    return Payload(Scheme.ECDSA, Scheme.ECDSA.value, digest)


def describe_typed_data(document: Mapping[str, Any], signer: str) -> str:
    """One plain sentence: for whom, what kind, and every value. Raises ``InvalidArguments``."""
    hash_typed_data(document)
    domain, message = document["domain"], document["message"]
    where = [str(domain["name"])] if domain.get("name") else []
    where += [f"the contract {domain['verifyingContract']}"] if domain.get("verifyingContract") else []
    goal = ", ".join(where) or "nobody in particular"
    return f"Sign {document['primaryType']} with {_tell(message)} for {goal}, as {signer}."


def _tell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_tell(part)}" for name, part in value.items()) or "nothing"
    if isinstance(value, list | tuple):
        return f"[{'; '.join(map(_tell, value))}]"
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


# Reading the document


def _read_document(
    document: Mapping[str, Any],
) -> tuple[Types, str, Mapping[str, Any], Mapping[str, Any]]:
    fields = {"types", "primaryType", "domain", "message"}
    if not isinstance(document, Mapping) or set(document) != fields:
        raise InvalidArguments(f"typed data has {', '.join(sorted(fields))}, and nothing else")
    domain, message = document["domain"], document["message"]
    if not isinstance(domain, Mapping) or not isinstance(message, Mapping):
        raise InvalidArguments("domain and message of typed data are objects")
    types = _read_types(document["types"])
    if _DOMAIN not in types:
        # Some libraries leave it out; its fields then follow from the domain's values.
        known = tuple((name, type_) for name, type_ in _DOMAIN_FIELDS.items() if name in domain)
        types = {**types, _DOMAIN: known}
    elif any(_DOMAIN_FIELDS.get(name) != type_ for name, type_ in types[_DOMAIN]):
        raise InvalidArguments(f"{_DOMAIN} has a field that the standard does not know")
    primary = document["primaryType"]
    if primary not in types:
        raise InvalidArguments(f"no type is named {primary!r}")
    if primary == _DOMAIN and message:
        raise InvalidArguments("a domain alone has no message")
    return types, primary, domain, message


def _read_types(value: Any) -> dict[str, tuple[tuple[str, str], ...]]:
    if not isinstance(value, Mapping):
        raise InvalidArguments("types of typed data are an object")
    types: dict[str, tuple[tuple[str, str], ...]] = {}
    for struct, fields in value.items():
        if not isinstance(fields, list | tuple) or not _NAME.fullmatch(str(struct)) or _is_atom(struct):
            raise InvalidArguments(f"not a struct of typed data: {struct!r}")
        rows = [field for field in fields if isinstance(field, Mapping) and set(field) == {"name", "type"}]
        pairs = tuple((str(row["name"]), str(row["type"])) for row in rows)
        names = {name for name, _ in pairs}
        if len(rows) != len(fields) or len(names) != len(pairs) or not all(map(_NAME.fullmatch, names)):
            raise InvalidArguments(f"the fields of {struct} are not names with types")
        types[struct] = pairs
    return types


def _is_atom(type_: str) -> bool:
    """Whether Solidity has it; ``uint`` alone is none here."""
    try:
        return not type_.endswith("]") and str(abi.parse_type(type_)) == type_
    except InvalidArguments:
        return False


# Hashing


def _hash_struct(types: Types, struct: str, value: Any, depth: int) -> bytes:
    if depth > DEPTH_MAX:
        raise InvalidArguments("typed data nests too deep")
    if not isinstance(value, Mapping):
        raise InvalidArguments(f"{struct} is an object, not {value!r}")
    fields = types[struct]
    if set(value) != {name for name, _ in fields}:
        raise InvalidArguments(
            f"{struct} has the fields {', '.join(name for name, _ in fields)}, and no other"
        )
    words = [_encode(types, type_, value[name], depth + 1) for name, type_ in fields]
    return keccak256(keccak256(_write_type(types, struct).encode()) + b"".join(words))


def _encode(types: Types, type_: str, value: Any, depth: int) -> bytes:
    """One value as 32 bytes."""
    array = _ARRAY.fullmatch(type_)
    if array:
        if depth > DEPTH_MAX:
            raise InvalidArguments("typed data nests too deep")
        inner, count = array[1], array[2]
        if not isinstance(value, list | tuple) or (count and len(value) != int(count)):
            raise InvalidArguments(f"not a {type_}: {value!r}")
        return keccak256(b"".join(_encode(types, inner, item, depth + 1) for item in value))
    if type_ in types:
        return _hash_struct(types, type_, value, depth)
    if not _is_atom(type_):
        raise InvalidArguments(f"no type is named {type_!r}")
    if type_ in ("bytes", "string"):
        data = value.encode() if type_ == "string" and isinstance(value, str) else _read_data(type_, value)
        return keccak256(data)
    if type_.startswith("bytes"):
        value = _read_data(type_, value)
    elif type_.startswith(("uint", "int")):
        value = _read_integer(type_, value)
    return abi.encode(abi.parse_type(type_), value)


def _read_data(type_: str, value: Any) -> bytes:
    if isinstance(value, bytes) and type_ != "string":
        return value
    if isinstance(value, str) and type_ != "string" and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            pass
    raise InvalidArguments(f"not a {type_}: {value!r}")


def _read_integer(type_: str, value: Any) -> int:
    """JSON has no large numbers, so they come as texts too."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,78}|0x[0-9a-fA-F]{1,64}", value):
        return int(value, 16 if value.startswith("0x") else 10)
    raise InvalidArguments(f"not a {type_}: {value!r}")


def _write_type(types: Types, struct: str) -> str:
    """The struct, then all that it names, by name."""
    found = {struct}
    waiting = [struct]
    while waiting:
        for _, type_ in types[waiting.pop()]:
            plain = type_.partition("[")[0]
            if plain in types and plain not in found:
                found.add(plain)
                waiting.append(plain)
    ordered = [struct, *sorted(found - {struct})]
    return "".join(
        f"{name}({','.join(f'{type_} {field}' for field, type_ in types[name])})" for name in ordered
    )
