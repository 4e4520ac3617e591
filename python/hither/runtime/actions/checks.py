"""Whether an action may be performed at all: does the receiver exist, and may this actor do it.

Source: nearcore ``check_account_existence``, ``check_actor_permissions``.
"""

from typing import Final

from hither.primitives.account import Account, UninitialisedAccount
from hither.primitives.action import (
    Action,
    AddKey,
    CreateAccount,
    DeleteAccount,
    DeleteKey,
    DeployContract,
    DeployGlobalContract,
    DeterministicStateInit,
    Stake,
    Transfer,
    UniversalStateInit,
    UseGlobalContract,
    WithdrawFromGasKey,
)
from hither.primitives.ids import AccountKind, compute_account_kind
from hither.runtime.action_result import ErrorKind
from hither.runtime.receipt_frame import ReceiptFrame

_OWNER_ONLY: Final = (
    DeployContract,
    Stake,
    AddKey,
    DeleteKey,
    DeployGlobalContract,
    UseGlobalContract,
    WithdrawFromGasKey,
    DeleteAccount,
)

BATCHED_DETERMINISTIC_CREATION_LAST_VERSION: Final = 84
"""Up to this version a ``0s`` account is created by a transfer among other actions too."""


def find_obstacle(frame: ReceiptFrame, action: Action) -> ErrorKind | None:
    """NEAR's error if the action may not be performed."""
    error = _find_existence_error(frame, action)
    if error is None and isinstance(action, _OWNER_ONLY):
        error = _find_permission_error(frame, action)
    return error


def effective_account_kind(frame: ReceiptFrame) -> AccountKind:
    """What the receiver's id means at this version: kinds not yet in force are plain names."""
    kind = compute_account_kind(frame.account_id)
    wasm = frame.run.config.wasm
    if kind is AccountKind.UNIVERSAL and not wasm.universal_accounts:
        return AccountKind.NAMED
    if kind is AccountKind.ETH_IMPLICIT and not wasm.eth_implicit_accounts:
        return AccountKind.NAMED
    return kind


def _find_existence_error(frame: ReceiptFrame, action: Action) -> ErrorKind | None:
    account = frame.account
    fields = {"account_id": frame.account_id}
    if isinstance(action, Transfer):
        if account is None and not _may_create_by_transfer(frame):
            return {"AccountDoesNotExist": fields}
        return None
    if isinstance(action, CreateAccount):
        if account is not None:
            return {"AccountAlreadyExists": fields}
        if effective_account_kind(frame) is not AccountKind.NAMED:
            # Only a transfer creates it, or whoever came first could add a key that is not the owner's.
            return {"OnlyImplicitAccountCreationAllowed": fields}
        return None
    if isinstance(action, (DeterministicStateInit, UniversalStateInit)):
        return None
    if account is None:
        return {"AccountDoesNotExist": fields}
    if isinstance(account, UninitialisedAccount):
        return {"AccountNotInitialized": fields}
    return None


def _may_create_by_transfer(frame: ReceiptFrame) -> bool:
    """Refunds are free, so they never create; named accounts are created by an action of their own.

    An implicit account is created by a transfer that is alone in its receipt: any
    other action could hijack it. A universal id commits to its keys and needs no such rule.
    """
    if frame.is_refund:
        return False
    kind = effective_account_kind(frame)
    if kind is AccountKind.NAMED:
        return False
    if kind is AccountKind.UNIVERSAL or len(frame.body.actions) == 1:
        return True
    return (
        kind is AccountKind.DETERMINISTIC and frame.run.version <= BATCHED_DETERMINISTIC_CREATION_LAST_VERSION
    )


def _find_permission_error(frame: ReceiptFrame, action: Action) -> ErrorKind | None:
    if frame.actor_id != frame.account_id:
        fields = {"account_id": frame.account_id, "actor_id": frame.actor_id}
        return {"ActorNoPermission": fields}
    if isinstance(action, DeleteAccount):
        account = frame.account
        assert isinstance(account, Account)
        if account.locked != 0:
            return {"DeleteAccountStaking": {"account_id": frame.account_id}}
    return None
