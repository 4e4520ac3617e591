"""What an EVM transaction does, in one plain sentence, read from the bytes that are signed.

Calls of token standards are told in words; a token's symbol and decimals must have been read from the chain before,
else its smallest units and its address stand there. What is not known is called what it is: data for a contract.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from hither.foreign import evm_abi as abi
from hither.foreign.adapter import Coin, Transfer, format_transfer
from hither.foreign.errors import InvalidArguments
from hither.foreign.evm_addresses import format_address
from hither.foreign.evm_chains import EvmChain, Family, get_evm_chain
from hither.foreign.evm_transactions import EvmTransaction, SetCodeTransaction

UNLIMITED: Final = 2**255
"""From here on an allowance is as good as without limit."""

Coins = Mapping[str, Coin]


def describe_transaction(transaction: EvmTransaction, sender: str, info: EvmChain, coins: Coins) -> str:
    """One sentence. ``coins`` are tokens that were read from the chain, by address."""
    receiver = format_address(transaction.receiver) if transaction.receiver else ""
    transfer = Transfer(sender, receiver, transaction.amount, transaction.fee_max)
    codes = _describe_codes(transaction)
    if receiver and not transaction.data and not codes:
        sentence = format_transfer(transfer, info.coin, info.name)
        return _add_parent_fee(sentence, info)
    parts = [*codes, *_describe_deed(transaction, receiver, coins)]
    if transaction.amount:
        goal = receiver or "the new contract"
        parts.append(f"send {info.coin.format(transaction.amount)} to {goal}")
    deed = " and ".join(parts) or f"send nothing to {receiver}"
    sentence = (
        f"{deed[0].upper()}{deed[1:]}, from {sender} on {info.name}, "
        f"for a fee of at most {info.coin.format(transaction.fee_max)}."
    )
    return _add_parent_fee(sentence, info)


def _add_parent_fee(sentence: str, info: EvmChain) -> str:
    """Chains of the OP stack charge for more than gas."""
    if info.family is not Family.OP_STACK:
        return sentence
    parent = "its parent chain" if info.parent is None else get_evm_chain(info.parent).name
    return f"{sentence.removesuffix('.')} and the price of its data on {parent}."


def _describe_codes(transaction: EvmTransaction) -> list[str]:
    """Authorizations: they hand an account over to a program, so they come first."""
    if not isinstance(transaction, SetCodeTransaction):
        return []
    sentences = []
    for signed in transaction.authorizations:
        account = signed.recover_account()
        name = format_address(account) if account else "nobody"
        delegate = signed.authorization.delegate
        where = " on every chain" if signed.authorization.chain_id == 0 else ""
        if any(delegate):
            sentences.append(f"let the code of {format_address(delegate)} act for the account {name}{where}")
        else:
            sentences.append(f"take the code away from the account {name}{where}")
    return sentences


def _describe_deed(transaction: EvmTransaction, receiver: str, coins: Coins) -> list[str]:
    data = transaction.data
    if not receiver:
        return [f"create a contract with {len(data)} bytes of code"]
    if not data:
        return []
    known = _KNOWN.get(data[:4])
    if known is not None:
        function, tell = known
        try:
            return [tell(receiver, coins.get(receiver), *abi.decode_call(function, data))]
        except InvalidArguments:
            pass  # It only begins like that call.
    return [f"call the contract {receiver} with {len(data)} bytes of data (function 0x{data[:4].hex()})"]


def _count(coin: Coin | None, amount: int, token: str) -> str:
    if coin is None:
        return f"{amount} smallest units of the token {token}"
    return f"{coin.format(amount)} (token {token})"


def _tell_transfer(token: str, coin: Coin | None, receiver: str, amount: int) -> str:
    return f"transfer {_count(coin, amount, token)} to {receiver}"


def _tell_approve(token: str, coin: Coin | None, spender: str, amount: int) -> str:
    if amount >= UNLIMITED:
        name = f"{coin.symbol} (token {token})" if coin else f"the token {token}"
        return f"let {spender} take any amount of {name}"
    return f"let {spender} take up to {_count(coin, amount, token)}"


def _tell_take(token: str, coin: Coin | None, owner: str, receiver: str, number: int) -> str:
    if coin is not None:
        return f"transfer {_count(coin, number, token)} from {owner} to {receiver}"
    # The same function is that of fungible tokens and of collections.
    return f"transfer {number} (units, or the item of that number) of the token {token} from {owner} to {receiver}"


def _tell_item(token: str, _coin: Coin | None, owner: str, receiver: str, item: int, *_data: bytes) -> str:
    return f"transfer item {item} of the collection {token} from {owner} to {receiver}"


def _tell_items(
    token: str, _coin: Coin | None, owner: str, receiver: str, item: int, count: int, _data: bytes
) -> str:
    return f"transfer {count} of item {item} of the collection {token} from {owner} to {receiver}"


def _tell_approve_all(token: str, _coin: Coin | None, operator: str, is_allowed: bool) -> str:
    verb = "let" if is_allowed else "no longer let"
    return f"{verb} {operator} take every item of the collection {token}"


_Tell = Callable[..., str]
_TOLD: Final[dict[str, _Tell]] = {
    "transfer(address,uint256)": _tell_transfer,
    "approve(address,uint256)": _tell_approve,
    "transferFrom(address,address,uint256)": _tell_take,
    "safeTransferFrom(address,address,uint256)": _tell_item,
    "safeTransferFrom(address,address,uint256,bytes)": _tell_item,
    "safeTransferFrom(address,address,uint256,uint256,bytes)": _tell_items,
    "setApprovalForAll(address,bool)": _tell_approve_all,
}
_KNOWN: Final[dict[bytes, tuple[str, Any]]] = {
    abi.parse_function(function).selector: (function, tell) for function, tell in _TOLD.items()
}
