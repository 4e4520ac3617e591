"""A signing node's own look at other chains: is this transaction there, final and canonical, and what does it say?

Every endpoint of a chain is asked the whole question. An answer counts when more than half of all endpoints give it and
none gives another; endpoints that do not answer count for nothing. Nothing is signed on the word of another node.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from hither.foreign.errors import EndpointError, TransportError
from hither.foreign.transport import JsonRpc, RetryPolicy
from hither.mpc.foreign_requests import (
    BitcoinBlock,
    BitcoinQuestion,
    BlockHash,
    EvmBlock,
    EvmLog,
    EvmQuestion,
    ForeignTxRequest,
    Question,
    UnservedQuestion,
    Value,
    compute_payload_hash,
    count_quorum,
)
from hither.mpc.requests import AnyRequest, EcdsaPayload, SignatureRequest

TIMEOUT_SECONDS: Final = 5.0
_UNKNOWN_TRANSACTION: Final = -5


class NotConfirmed(Exception):
    """The chain does not say so (yet), or its endpoints do not agree; the message says why.

    ``code`` is the contract's word for it.
    """

    def __init__(self, reason: str, code: str = "ForeignTransactionNotConfirmed") -> None:
        super().__init__(reason)
        self.code = code


class Inspector:
    """Endpoints by the contract's names of chains."""

    def __init__(self, urls: Mapping[str, tuple[str, ...]]) -> None:
        self.urls = urls

    async def inspect(self, question: Question) -> bytes:
        """The payload to sign. Raises ``NotConfirmed``."""
        urls = self.urls.get(question.chain, ())
        if isinstance(question, UnservedQuestion):
            raise NotConfirmed(f"this node cannot look at {question.chain}", "UnsupportedForeignChain")
        if not urls:
            raise NotConfirmed(f"this node has no endpoint of {question.chain}", "UnsupportedForeignChain")
        found = await asyncio.gather(*(_ask(url, question) for url in urls))
        hashes = {payload for payload, _ in found if payload is not None}
        agreeing = sum(payload is not None for payload, _ in found)
        reasons = "; ".join(dict.fromkeys(reason for _, reason in found if reason))
        if len(hashes) > 1:
            raise NotConfirmed(f"endpoints of {question.chain} disagree", "ForeignProvidersDisagree")
        if agreeing < count_quorum(len(urls)):
            raise NotConfirmed(reasons)
        return hashes.pop()


async def look_for(asked: AnyRequest, inspector: Inspector) -> AnyRequest:
    """What is to be signed: the request itself, or what this node sees on another chain. Raises NotConfirmed."""
    if not isinstance(asked, ForeignTxRequest):
        return asked
    payload_hash = await inspector.inspect(asked.question)
    if asked.expected_payload_hash not in (None, payload_hash):
        raise NotConfirmed("the other chain says something else")
    # Facts are signed under a domain's root key itself.
    return SignatureRequest(bytes(32), EcdsaPayload(payload_hash), asked.domain_id)


async def _ask(url: str, question: BitcoinQuestion | EvmQuestion) -> tuple[bytes | None, str]:
    """One endpoint's payload, or why it gives none."""
    rpc = JsonRpc(url, policy=RetryPolicy(attempts=1), timeout_seconds=TIMEOUT_SECONDS)
    look: Callable[[JsonRpc], Awaitable[tuple[Value, ...]]]
    if isinstance(question, BitcoinQuestion):
        bitcoin = question

        async def look(rpc: JsonRpc) -> tuple[Value, ...]:
            return await _look_at_bitcoin(rpc, bitcoin)
    else:
        evm = question

        async def look(rpc: JsonRpc) -> tuple[Value, ...]:
            return await _look_at_evm(rpc, evm)

    try:
        values = await asyncio.wait_for(look(rpc), TIMEOUT_SECONDS)
    except NotConfirmed as error:
        return None, str(error)
    except (TransportError, EndpointError, TimeoutError):
        return None, f"{rpc.host} does not answer"
    except (KeyError, TypeError, ValueError, IndexError):
        return None, f"{rpc.host} answers what cannot be read"
    finally:
        await rpc.close()
    return compute_payload_hash(question, values), ""


async def _look_at_bitcoin(rpc: JsonRpc, question: BitcoinQuestion) -> tuple[Value, ...]:
    """Deep enough, in a block that is the canonical one at its height."""
    try:
        found = await rpc.call("getrawtransaction", [question.transaction_id.hex(), True])
    except EndpointError as error:
        if error.rpc_code == _UNKNOWN_TRANSACTION:
            raise NotConfirmed("the transaction is not known") from None
        raise
    if found["txid"] != question.transaction_id.hex():
        raise NotConfirmed("the endpoint gave another transaction")
    confirmations = int(found.get("confirmations") or 0)
    if confirmations < max(question.confirmations, 1):
        raise NotConfirmed(f"{confirmations} confirmations, of {question.confirmations} that are wanted")
    block_hash = found["blockhash"]
    header = await rpc.call("getblockheader", [block_hash])
    if await rpc.call("getblockhash", [header["height"]]) != block_hash:
        raise NotConfirmed("its block is no longer part of the chain")
    return tuple(BitcoinBlock(bytes.fromhex(block_hash)) for _ in question.extractors)


async def _look_at_evm(rpc: JsonRpc, question: EvmQuestion) -> tuple[Value, ...]:
    """Successful, below the block of that finality, in the canonical block at its height."""
    wanted = "0x" + question.transaction_id.hex()
    receipt = await rpc.call("eth_getTransactionReceipt", [wanted])
    if receipt is None or receipt.get("blockNumber") is None:
        raise NotConfirmed("the transaction is not known")
    if receipt["transactionHash"].lower() != wanted:
        raise NotConfirmed("the endpoint gave another transaction")
    if receipt["status"] != "0x1":
        raise NotConfirmed("the transaction failed")
    height = int(receipt["blockNumber"], 16)
    head = await rpc.call("eth_getBlockByNumber", [question.finality.lower(), False])
    if head is None or int(head["number"], 16) < height:
        raise NotConfirmed(f"its block is not {question.finality.lower()} yet")
    block = await rpc.call("eth_getBlockByNumber", [hex(height), False])
    if block is None or block["hash"] != receipt["blockHash"] or wanted not in block["transactions"]:
        raise NotConfirmed("its block is no longer part of the chain")
    logs = {int(log["logIndex"], 16): log for log in receipt["logs"]}
    values: list[Value] = []
    for extractor in question.extractors:
        if isinstance(extractor, BlockHash):
            values.append(EvmBlock(bytes.fromhex(receipt["blockHash"][2:])))
            continue
        log = logs.get(extractor.log_index)
        if log is None:
            raise NotConfirmed(f"the transaction has no log {extractor.log_index}")
        values.append(_read_log(log, receipt))
    return tuple(values)


def _read_log(log: dict[str, Any], receipt: dict[str, Any]) -> EvmLog:
    if (log["transactionHash"], log["blockHash"]) != (receipt["transactionHash"], receipt["blockHash"]):
        raise NotConfirmed("the log is another transaction's")
    return EvmLog(
        removed=bool(log.get("removed")),
        log_index=int(log["logIndex"], 16),
        transaction_index=int(log["transactionIndex"], 16),
        transaction_hash=bytes.fromhex(log["transactionHash"][2:]),
        block_hash=bytes.fromhex(log["blockHash"][2:]),
        block_number=int(log["blockNumber"], 16),
        address=bytes.fromhex(log["address"][2:]),
        data=log["data"].lower(),
        topics=tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
    )
