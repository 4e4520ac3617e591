"""The sixteen actions (wire tags 0 to 15, in this order)."""

import msgspec

from hither.primitives.account import AccessKey, DeployMode, GlobalContractIdentifier
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
