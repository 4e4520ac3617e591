"""The sixteen actions (wire tags 0 to 15, in this order)."""

from typing import Any, Final

import msgspec

from hither.codec.borsh import (
    BYTES,
    STRING,
    U8,
    U16,
    U64,
    U128,
    Codec,
    UnknownTag,
    chosen,
    mapped,
    prefixed,
    record,
    refused,
    sequence,
    shared,
    sorted_map,
    tagged,
    tuple_of,
)
from hither.crypto.hashing import sha256
from hither.crypto.keys import PUBLIC_KEY, SIGNATURE
from hither.primitives.account import (
    ACCESS_KEY,
    GLOBAL_CONTRACT_IDENTIFIER,
    AccessKey,
    DeployMode,
    GlobalContractIdentifier,
)
from hither.primitives.ids import ACCOUNT_ID
from hither.primitives.types import AccountId, Balance, Gas, Nonce, PublicKey, Signature


class CreateAccount(msgspec.Struct, frozen=True, gc=False):
    """Make the receiver an account."""


class DeployContract(msgspec.Struct, frozen=True, gc=False):
    """Set the receiver's own code."""

    code: bytes


class FunctionCall(msgspec.Struct, frozen=True, gc=False):
    """Call a method of the receiver's contract."""

    method_name: str
    args: bytes
    gas: Gas
    deposit: Balance


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """Move money to the receiver."""

    deposit: Balance


class Stake(msgspec.Struct, frozen=True, gc=False):
    """Offer a stake for validating."""

    stake: Balance
    public_key: PublicKey


class AddKey(msgspec.Struct, frozen=True, gc=False):
    """Give the receiver another access key."""

    public_key: PublicKey
    access_key: AccessKey


class DeleteKey(msgspec.Struct, frozen=True, gc=False):
    """Take an access key away."""

    public_key: PublicKey


class DeleteAccount(msgspec.Struct, frozen=True, gc=False):
    """Remove the receiver and send what it had to the beneficiary."""

    beneficiary_id: AccountId


class DelegateAction(msgspec.Struct, frozen=True, gc=False):
    """What a user signs for a relayer to submit (NEP-366).

    ``nonce_index`` is None for a plain nonce; only version 2 can have one.
    """

    sender_id: AccountId
    receiver_id: AccountId
    actions: "tuple[Action, ...]"
    nonce: Nonce
    max_block_height: int
    public_key: PublicKey
    nonce_index: int | None = None


class Delegate(msgspec.Struct, frozen=True, gc=False):
    """A signed delegate action, version 1."""

    delegate_action: DelegateAction
    signature: Signature


class DeployGlobalContract(msgspec.Struct, frozen=True, gc=False):
    """Publish code that any account can use."""

    code: bytes
    deploy_mode: DeployMode


class UseGlobalContract(msgspec.Struct, frozen=True, gc=False):
    """Make the receiver run a global contract."""

    contract_identifier: GlobalContractIdentifier


class DeterministicStateInit(msgspec.Struct, frozen=True, gc=False):
    """Make a ``0s`` account from the code and data its id is derived from (NEP-616).

    ``data`` is sorted by key, each key once.
    """

    code: GlobalContractIdentifier
    data: tuple[tuple[bytes, bytes], ...]
    deposit: Balance


class TransferToGasKey(msgspec.Struct, frozen=True, gc=False):
    """Put money on a gas key (85)."""

    public_key: PublicKey
    deposit: Balance


class WithdrawFromGasKey(msgspec.Struct, frozen=True, gc=False):
    """Take money from a gas key (85)."""

    public_key: PublicKey
    amount: Balance


class DelegateV2(msgspec.Struct, frozen=True, gc=False):
    """A signed delegate action, version 2 (85 and 86 only)."""

    delegate_action: DelegateAction
    signature: Signature


class UniversalStateInit(msgspec.Struct, frozen=True, gc=False):
    """Make a ``0u`` account from the bytes its id is derived from (88)."""

    state_init: bytes
    deposit: Balance


Action = (
    CreateAccount
    | DeployContract
    | FunctionCall
    | Transfer
    | Stake
    | AddKey
    | DeleteKey
    | DeleteAccount
    | Delegate
    | DeployGlobalContract
    | UseGlobalContract
    | DeterministicStateInit
    | TransferToGasKey
    | WithdrawFromGasKey
    | DelegateV2
    | UniversalStateInit
)


def _decode_deploy_mode(number: int) -> DeployMode:
    if number > 1:
        raise UnknownTag(number)
    return DeployMode(number)


_STATE_INIT_FIELDS: dict[str, Codec[Any]] = {
    "code": GLOBAL_CONTRACT_IDENTIFIER,
    "data": sorted_map(BYTES, BYTES),
}
_STATE_INIT = prefixed(b"\0", record(DeterministicStateInit, _STATE_INIT_FIELDS, {"deposit": 0}))

_SIMPLE_ACTIONS: dict[int, tuple[type, Codec[Any]]] = {
    0: (CreateAccount, record(CreateAccount, {})),
    1: (DeployContract, record(DeployContract, {"code": BYTES})),
    2: (
        FunctionCall,
        record(FunctionCall, {"method_name": STRING, "args": BYTES, "gas": U64, "deposit": U128}),
    ),
    3: (Transfer, record(Transfer, {"deposit": U128})),
    4: (Stake, record(Stake, {"stake": U128, "public_key": PUBLIC_KEY})),
    5: (AddKey, record(AddKey, {"public_key": PUBLIC_KEY, "access_key": ACCESS_KEY})),
    6: (DeleteKey, record(DeleteKey, {"public_key": PUBLIC_KEY})),
    7: (DeleteAccount, record(DeleteAccount, {"beneficiary_id": ACCOUNT_ID})),
    9: (
        DeployGlobalContract,
        record(DeployGlobalContract, {"code": BYTES, "deploy_mode": mapped(U8, int, _decode_deploy_mode)}),
    ),
    10: (UseGlobalContract, record(UseGlobalContract, {"contract_identifier": GLOBAL_CONTRACT_IDENTIFIER})),
    11: (
        DeterministicStateInit,
        prefixed(b"\0", record(DeterministicStateInit, {**_STATE_INIT_FIELDS, "deposit": U128})),
    ),
    12: (TransferToGasKey, record(TransferToGasKey, {"public_key": PUBLIC_KEY, "deposit": U128})),
    13: (WithdrawFromGasKey, record(WithdrawFromGasKey, {"public_key": PUBLIC_KEY, "amount": U128})),
    15: (UniversalStateInit, record(UniversalStateInit, {"state_init": BYTES, "deposit": U128})),
}

VERSIONED_NONCE: Codec[tuple[Nonce, int | None]] = chosen(
    lambda nonce: 0 if nonce[1] is None else 1,
    {
        0: mapped(U64, lambda nonce: nonce[0], lambda nonce: (nonce, None)),
        1: tuple_of(U64, U16),
    },
)
"""A nonce and, for gas keys, the index of the key's nonce."""

_NESTED = refused("DelegateAction mustn't contain a nested one")
_SIMPLE_ACTION = tagged({**_SIMPLE_ACTIONS, 8: (Delegate, _NESTED), 14: (DelegateV2, _NESTED)})

_DELEGATE_ACTION_V1: Codec[DelegateAction] = record(
    DelegateAction,
    {
        "sender_id": ACCOUNT_ID,
        "receiver_id": ACCOUNT_ID,
        "actions": sequence(_SIMPLE_ACTION),
        "nonce": U64,
        "max_block_height": U64,
        "public_key": PUBLIC_KEY,
    },
)
_DELEGATE_ACTION_V2: Codec[DelegateAction] = prefixed(
    b"\0",
    record(
        DelegateAction,
        {
            "sender_id": ACCOUNT_ID,
            "receiver_id": ACCOUNT_ID,
            "actions": sequence(_SIMPLE_ACTION),
            "nonce nonce_index": VERSIONED_NONCE,
            "max_block_height": U64,
            "public_key": PUBLIC_KEY,
        },
    ),
)

ACTION: Codec[Action] = tagged(
    {
        **_SIMPLE_ACTIONS,
        8: (
            Delegate,
            record(Delegate, {"delegate_action": shared(_DELEGATE_ACTION_V1), "signature": SIGNATURE}),
        ),
        14: (
            DelegateV2,
            record(DelegateV2, {"delegate_action": shared(_DELEGATE_ACTION_V2), "signature": SIGNATURE}),
        ),
    }
)
ACTIONS: Codec[tuple[Action, ...]] = sequence(ACTION)

encode_action = ACTION.encode
decode_action = ACTION.decode
encode_actions = ACTIONS.encode
decode_actions = ACTIONS.decode
encode_deterministic_state_init = _STATE_INIT.encode
"""What a ``0s`` id is the hash of: version, code and data, without the deposit."""

_DELEGATE_DOMAIN_V1: Final = (2**30 + 366).to_bytes(4, "little")
_DELEGATE_DOMAIN_V2: Final = (2**30 + 611).to_bytes(4, "little")


def compute_delegate_hash(delegate: Delegate | DelegateV2) -> bytes:
    """What the sender of a delegate action signs (NEP-366, NEP-461)."""
    if isinstance(delegate, Delegate):
        return sha256(_DELEGATE_DOMAIN_V1 + _DELEGATE_ACTION_V1.encode(delegate.delegate_action))
    return sha256(_DELEGATE_DOMAIN_V2 + _DELEGATE_ACTION_V2.encode(delegate.delegate_action))


_WITH_MAPS: Final = frozenset({DeterministicStateInit, Delegate, DelegateV2})


def has_one_encoding(actions: tuple[Action, ...]) -> bool:
    """False if the bytes that these came from may have held a map in another order than ours."""
    return all(type(action) not in _WITH_MAPS for action in actions)
