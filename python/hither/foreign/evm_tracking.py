"""How far an EVM transaction is, asked of an endpoint: in a block, waiting, held up, replaced."""

from typing import Any, Final

from hither.foreign import evm_transactions as codec
from hither.foreign.adapter import SignedTransaction, State, TransactionStatus
from hither.foreign.errors import EndpointError, LyingEndpoint
from hither.foreign.evm_addresses import format_address
from hither.foreign.evm_chains import EvmChain, Family
from hither.foreign.evm_rollups import compute_paid_parent_fee
from hither.foreign.evm_rpc import read_list, read_object, read_quantity
from hither.foreign.transport import Rpc

BLOCKS_SEARCHED_MAX: Final = 120
"""How far back the transaction is looked for that took another's place; nodes keep the states of 128 blocks."""


async def fetch_evm_status(rpc: Rpc, signed: SignedTransaction, info: EvmChain) -> TransactionStatus:
    """From the receipt; without one, from the pool and the sender's count."""
    receipt = await fetch_receipt(rpc, signed.transaction_id)
    if receipt is not None:
        return await _judge(rpc, receipt, signed, info)
    is_known = await rpc.call("eth_getTransactionByHash", [signed.transaction_id]) is not None
    transaction = codec.decode_signed(signed.raw)[0]
    sender = format_address(codec.recover_sender(signed.raw))
    used = await _fetch_count(rpc, sender, "latest")
    if used > transaction.nonce:
        # Its nonce is used: by itself since we asked, or by another transaction.
        receipt = await fetch_receipt(rpc, signed.transaction_id)
        if receipt is not None:
            return await _judge(rpc, receipt, signed, info)
        return TransactionStatus(
            State.DROPPED, replaced_by=await find_by_nonce(rpc, sender, transaction.nonce)
        )
    state = State.PENDING if is_known else State.UNKNOWN
    if used == transaction.nonce:
        return TransactionStatus(state)
    # Those before it may wait in the pool too; then nothing is missing.
    ready = max(used, await _fetch_count(rpc, sender, "pending"))
    return TransactionStatus(state, missing_nonce=ready if ready < transaction.nonce else None)


async def fetch_receipt(rpc: Rpc, transaction_id: str) -> dict[str, Any] | None:
    """Of a transaction that is in a block. Raises ``LyingEndpoint`` for another one's."""
    receipt = await rpc.call("eth_getTransactionReceipt", [transaction_id])
    if receipt is None or read_object(receipt).get("blockNumber") is None:
        return None
    if receipt.get("transactionHash") != transaction_id:
        raise LyingEndpoint(f"{rpc.host} gave the receipt of another transaction")
    return dict(receipt)


async def find_by_nonce(rpc: Rpc, sender: str, nonce: int) -> str | None:
    """The id of the transaction that used a nonce, if that was not long ago and the endpoint remembers."""
    try:
        return await _find_by_nonce(rpc, sender, nonce)
    except EndpointError:
        return None


async def _find_by_nonce(rpc: Rpc, sender: str, nonce: int) -> str | None:
    high = read_quantity(await rpc.call("eth_blockNumber"))
    low = max(high - BLOCKS_SEARCHED_MAX, 0)
    if await _fetch_count(rpc, sender, hex(low)) > nonce:
        return None
    while low + 1 < high:  # Not yet used at low, used at high.
        middle = (low + high) // 2
        if await _fetch_count(rpc, sender, hex(middle)) > nonce:
            high = middle
        else:
            low = middle
    block = read_object(await rpc.call("eth_getBlockByNumber", [hex(high), True]))
    for found in map(read_object, read_list(block.get("transactions"))):
        if str(found.get("from")).lower() == sender.lower() and read_quantity(found.get("nonce")) == nonce:
            return str(found.get("hash"))
    return None


async def _fetch_count(rpc: Rpc, sender: str, block: str) -> int:
    return read_quantity(await rpc.call("eth_getTransactionCount", [sender, block]))


async def _judge(
    rpc: Rpc, receipt: dict[str, Any], signed: SignedTransaction, info: EvmChain
) -> TransactionStatus:
    """How deep the receipt's block lies, what it cost, and whether it had an effect."""
    height = read_quantity(receipt.get("blockNumber"))
    newest = read_quantity(await rpc.call("eth_blockNumber"))
    confirmations = max(newest - height + 1, 1)
    if info.confirmations is None:
        block = await rpc.call("eth_getBlockByNumber", ["finalized", False])
        is_final = block is not None and read_quantity(read_object(block).get("number")) >= height
    else:
        is_final = confirmations >= info.confirmations
    fee = read_quantity(receipt.get("gasUsed")) * read_quantity(receipt.get("effectiveGasPrice"))
    if info.family is Family.OP_STACK:
        told = receipt.get("l1Fee")
        fee += await compute_paid_parent_fee(rpc, signed.raw) if told is None else read_quantity(told)
    return TransactionStatus(
        State.FINAL if is_final else State.INCLUDED,
        confirmations,
        height,
        fee,
        None if receipt.get("status") == "0x1" else "the contract reverted or ran out of gas",
    )
