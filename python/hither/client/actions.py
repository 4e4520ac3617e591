"""Actions for transactions, from amounts as people write them.

Amounts are text with a unit (``"1.5 N"``, ``"1 yoctonear"``, ``"30 Tgas"``); a bare number is refused
with advice, because nobody can tell which unit it is in. ``Yocto`` marks an integer as yoctonear.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from hither.client.errors import InvalidRequest
from hither.codec.units import InvalidAmount, parse_gas, parse_near
from hither.crypto.keys import InvalidKey, PublicKey, public_key_from_str
from hither.primitives import action as wire
from hither.primitives.account import (
    AccessKey,
    AccessKeyPermission,
    DeployMode,
    FullAccess,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyInfo,
    GlobalContractByAccount,
    GlobalContractByHash,
    GlobalContractIdentifier,
)
from hither.primitives.ids import explain_account_id, is_valid_account_id
from hither.primitives.types import AccountId, Balance, CryptoHash, Gas, Nonce

DEFAULT_GAS: Final = "30 Tgas"


class Yocto(int):
    """An amount in yoctonear."""


Amount = str | Yocto
"""Money: text with a unit (``"1.5 N"``, ``"1 yoctonear"``), or yoctonear."""

Args = bytes | Mapping[str, Any] | list[Any] | None
"""What a method is called with: bytes as they are, anything else as JSON."""


def parse_amount(amount: Amount) -> Balance:
    """Yoctonear; raises ``InvalidRequest`` for a number without a unit."""
    if isinstance(amount, Yocto):
        if not 0 <= amount < 2**128:
            raise InvalidRequest(f"{int(amount)} is not an amount")
        return Balance(int(amount))
    if not isinstance(amount, str):
        raise InvalidRequest(f"{amount!r} has no unit; write '{amount} N', or Yocto({amount}) for yoctonear")
    try:
        return Balance(parse_near(amount))
    except InvalidAmount as error:
        raise InvalidRequest(str(error)) from None


def parse_gas_amount(gas: str) -> Gas:
    """Gas; raises ``InvalidRequest`` for a number without a unit."""
    if not isinstance(gas, str):
        raise InvalidRequest(f"{gas!r} has no unit; write for example '{DEFAULT_GAS}'")
    try:
        return Gas(parse_gas(gas))
    except InvalidAmount as error:
        raise InvalidRequest(str(error)) from None


def parse_account_id(text: str) -> AccountId:
    """A valid account id."""
    if not is_valid_account_id(text):
        raise InvalidRequest(f"{text!r}: {explain_account_id(text)}")
    return AccountId(text)


def parse_public_key(key: PublicKey | str) -> PublicKey:
    """A key, also from text."""
    if isinstance(key, PublicKey):
        return key
    try:
        return public_key_from_str(key)
    except InvalidKey as error:
        raise InvalidRequest(f"{key!r}: {error}") from None


def encode_args(args: Args) -> bytes:
    """Arguments as contracts take them: bytes as they are, everything else as JSON."""
    if args is None:
        return b""
    return args if isinstance(args, bytes) else msgspec.json.encode(args)


def create_account() -> wire.CreateAccount:
    """Make the receiver an account."""
    return wire.CreateAccount()


def transfer(amount: Amount) -> wire.Transfer:
    """Move money to the receiver."""
    return wire.Transfer(parse_amount(amount))


def function_call(
    method: str, args: Args = None, *, gas: str = DEFAULT_GAS, deposit: Amount = "0 N"
) -> wire.FunctionCall:
    """Call a method of the receiver's contract."""
    return wire.FunctionCall(method, encode_args(args), parse_gas_amount(gas), parse_amount(deposit))


def deploy(code: bytes) -> wire.DeployContract:
    """Set the receiver's own code."""
    return wire.DeployContract(code)


def _add(key: PublicKey | str, permission: AccessKeyPermission) -> wire.AddKey:
    return wire.AddKey(parse_public_key(key), AccessKey(Nonce(0), permission))


def add_full_access_key(key: PublicKey | str) -> wire.AddKey:
    """Give the receiver a key that may do everything."""
    return _add(key, FullAccess())


def add_call_key(
    key: PublicKey | str,
    contract_id: str,
    methods: Iterable[str] = (),
    allowance: Amount | None = None,
) -> wire.AddKey:
    """Give the receiver a key that may only call one contract, any method if none is named."""
    limit = None if allowance is None else parse_amount(allowance)
    return _add(key, FunctionCallPermission(limit, parse_account_id(contract_id), tuple(methods)))


def add_gas_key(key: PublicKey | str, nonces: int) -> wire.AddKey:
    """Give the receiver a key with money for gas of its own and so many independent nonces (85)."""
    return _add(key, GasKeyFullAccess(GasKeyInfo(Balance(0), nonces)))


def fund_gas_key(key: PublicKey | str, amount: Amount) -> wire.TransferToGasKey:
    """Put money on a gas key (85)."""
    return wire.TransferToGasKey(parse_public_key(key), parse_amount(amount))


def withdraw_from_gas_key(key: PublicKey | str, amount: Amount) -> wire.WithdrawFromGasKey:
    """Take money from a gas key (85)."""
    return wire.WithdrawFromGasKey(parse_public_key(key), parse_amount(amount))


def delete_key(key: PublicKey | str) -> wire.DeleteKey:
    """Take an access key away."""
    return wire.DeleteKey(parse_public_key(key))


def delete_account(beneficiary_id: str) -> wire.DeleteAccount:
    """Remove the receiver; what it had goes to the beneficiary."""
    return wire.DeleteAccount(parse_account_id(beneficiary_id))


def stake(amount: Amount, key: PublicKey | str) -> wire.Stake:
    """Offer a stake for validating."""
    return wire.Stake(parse_amount(amount), parse_public_key(key))


def deploy_global(code: bytes, *, by_account: bool = False) -> wire.DeployGlobalContract:
    """Publish code for all accounts, named by its hash or by the receiver."""
    return wire.DeployGlobalContract(code, DeployMode.ACCOUNT_ID if by_account else DeployMode.CODE_HASH)


def use_global(contract: bytes | str) -> wire.UseGlobalContract:
    """Make the receiver run a global contract: a hash of 32 bytes, or the account that published it."""
    identifier: GlobalContractIdentifier
    if isinstance(contract, bytes):
        if len(contract) != 32:
            raise InvalidRequest(f"a code hash has 32 bytes, not {len(contract)}")
        identifier = GlobalContractByHash(CryptoHash(contract))
    else:
        identifier = GlobalContractByAccount(parse_account_id(contract))
    return wire.UseGlobalContract(identifier)
