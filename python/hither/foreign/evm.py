"""EVM chains: Ethereum, its rollups, and others that speak its JSON-RPC.

Fees: two times the newest block's base price plus the tip that the endpoint proposes, so that a transaction stays
good over several full blocks; chains without a base price get a legacy transaction at the endpoint's price.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hither.crypto.hashing import keccak256
from hither.foreign import evm_abi
from hither.foreign import evm_addresses as addresses
from hither.foreign import evm_transactions as codec
from hither.foreign.adapter import (
    Coin,
    EcdsaSignature,
    Payload,
    Scheme,
    Signature,
    SignedTransaction,
    State,
    TransactionStatus,
    Transfer,
    UnsignedTransaction,
    format_transfer,
    must_match,
)
from hither.foreign.caip import ChainId, strip_chain
from hither.foreign.errors import (
    BroadcastRefused,
    EndpointError,
    InsufficientFunds,
    InvalidAmount,
    LyingEndpoint,
    MalformedTransaction,
    WrongNetwork,
)
from hither.foreign.evm_chains import EvmChain, read_chain_number
from hither.foreign.evm_transactions import EvmTransaction, FeeMarketTransaction, LegacyTransaction
from hither.foreign.transport import JsonRpc

BASE_PRICE_FACTOR: Final = 2
PLAIN_TRANSFER_GAS: Final = 21_000
GAS_MARGIN_PERCENT: Final = 20
AMOUNT_MAX: Final = 2**256 - 1


@dataclass(frozen=True, slots=True)
class _Prices:
    """Wei per unit of gas. ``priority_fee_max`` is none on chains without a base price."""

    gas_price_max: int
    priority_fee_max: int | None


class EvmAdapter:
    """One EVM chain behind one endpoint."""

    scheme: Final = Scheme.ECDSA

    def __init__(self, info: EvmChain, rpc: JsonRpc) -> None:
        self._info = info
        self._rpc = rpc
        self._number = read_chain_number(info.chain)
        self._is_chain_checked = False

    @property
    def chain(self) -> ChainId:
        """Which one."""
        return self._info.chain

    @property
    def coin(self) -> Coin:
        """Ether, or what the chain has in its place."""
        return self._info.coin

    async def close(self) -> None:
        """Close the connections."""
        await self._rpc.close()

    # Bytes in, bytes out

    def derive_address(self, public_key: bytes) -> str:
        """Of a compressed secp256k1 key, with its checksum."""
        return addresses.format_address(addresses.derive_address(public_key))

    def parse_address(self, text: str) -> str:
        """With its checksum. CAIP-10 texts of this chain are good too."""
        return addresses.format_address(addresses.parse_address(strip_chain(text, self.chain)))

    def list_payloads(self, unsigned: UnsignedTransaction) -> tuple[Payload, ...]:
        """The digest of the transaction."""
        self._decode(unsigned)
        return (Payload(self.scheme, self.scheme.value, keccak256(unsigned.body)),)

    def attach(self, unsigned: UnsignedTransaction, signatures: Sequence[Signature]) -> SignedTransaction:
        """Recovers the sender from the signature before it lets it pass."""
        must_match(unsigned, self.list_payloads(unsigned), signatures)
        signature = signatures[0]
        assert isinstance(signature, EcdsaSignature), "must_match lets only ECDSA pass"
        raw = codec.attach(unsigned.public_key, unsigned.body, signature)
        return SignedTransaction(self.chain, "0x" + keccak256(raw).hex(), raw)

    def inspect(self, unsigned: UnsignedTransaction) -> Transfer:
        """What it does with the chain's coin; the receiver is empty when it creates a contract."""
        transaction = self._decode(unsigned)
        receiver = addresses.format_address(transaction.receiver) if transaction.receiver else ""
        sender = self.derive_address(unsigned.public_key)
        return Transfer(sender, receiver, transaction.amount, transaction.fee_max)

    def describe(self, unsigned: UnsignedTransaction) -> str:
        """One plain sentence."""
        transfer = self.inspect(unsigned)
        data = self._decode(unsigned).data
        if transfer.receiver and not data:
            return format_transfer(transfer, self.coin, self._info.name)
        deed = f"Call the contract {transfer.receiver}" if transfer.receiver else "Create a contract"
        return (
            f"{deed} with {len(data)} bytes of data and {self.coin.format(transfer.amount)} "
            f"from {transfer.sender} on {self._info.name}, "
            f"for a fee of at most {self.coin.format(transfer.fee_max)}."
        )

    def _decode(self, unsigned: UnsignedTransaction) -> EvmTransaction:
        transaction = codec.decode_unsigned(unsigned.body)
        if unsigned.chain != self.chain or transaction.chain_id != self._number:
            raise WrongNetwork(
                f"the transaction is for {unsigned.chain} and says eip155:{transaction.chain_id}, "
                f"but this is {self.chain}"
            )
        return transaction

    # Asking the endpoint

    async def fetch_balance(self, address: str) -> int:
        """In wei, at the newest block."""
        return _read_quantity(await self._rpc.call("eth_getBalance", [self.parse_address(address), "latest"]))

    async def fetch_nonce(self, address: str) -> int:
        """How many transactions the address has sent, those waiting included."""
        params = [self.parse_address(address), "pending"]
        return _read_quantity(await self._rpc.call("eth_getTransactionCount", params))

    async def build_transfer(self, public_key: bytes, receiver: str, amount: int) -> UnsignedTransaction:
        """A transfer of the chain's coin."""
        return await self.build_call(public_key, receiver, b"", amount)

    async def build_call(
        self, public_key: bytes, receiver: str | None, data: bytes, amount: int = 0
    ) -> UnsignedTransaction:
        """A call of a contract, or with no receiver its creation."""
        if not 0 <= amount <= AMOUNT_MAX:
            raise InvalidAmount(f"{amount} wei cannot be sent")
        sender = self.derive_address(public_key)
        target = "" if receiver is None else self.parse_address(receiver)
        _, balance, nonce, prices = await asyncio.gather(
            self._check_chain(), self.fetch_balance(sender), self.fetch_nonce(sender), self._fetch_prices()
        )
        self._must_afford(sender, balance, amount)
        gas_limit = await self._estimate_gas(sender, target, data, amount)
        self._must_afford(sender, balance, amount + gas_limit * prices.gas_price_max)
        receiver_bytes = addresses.parse_address(target) if target else b""
        if prices.priority_fee_max is None:
            transaction: EvmTransaction = LegacyTransaction(
                self._number, nonce, prices.gas_price_max, gas_limit, receiver_bytes, amount, data
            )
        else:
            transaction = FeeMarketTransaction(
                self._number,
                nonce,
                prices.priority_fee_max,
                prices.gas_price_max,
                gas_limit,
                receiver_bytes,
                amount,
                data,
            )
        return UnsignedTransaction(self.chain, public_key, codec.encode_unsigned(transaction))

    async def read(self, contract: str, function: str, arguments: Sequence[Any] = ()) -> Any:
        """What a method returns that changes nothing: ``balanceOf(address)(uint256)``. Raises ``EndpointError``."""
        data = evm_abi.encode_call(function, arguments)
        call = {"to": self.parse_address(contract), "data": "0x" + data.hex()}
        answer = await self._rpc.call("eth_call", [call, "latest"])
        if not isinstance(answer, str) or not answer.startswith("0x"):
            raise LyingEndpoint(f"not the bytes of a result: {answer!r}")
        return evm_abi.decode_result(function, bytes.fromhex(answer[2:]))

    async def broadcast(self, signed: SignedTransaction) -> None:
        """Send it; good too when the endpoint has it already."""
        self._must_be_ours(signed)
        await self._check_chain()
        try:
            found = await self._rpc.call("eth_sendRawTransaction", ["0x" + signed.raw.hex()])
        except EndpointError as error:
            # It may have arrived by an earlier attempt, whatever words the endpoint has for that.
            if await self._rpc.call("eth_getTransactionByHash", [signed.transaction_id]) is not None:
                return
            raise BroadcastRefused(str(error), rpc_code=error.rpc_code, data=error.data) from error
        if found != signed.transaction_id:
            raise LyingEndpoint(f"{self._rpc.host} calls {signed.transaction_id} {found!r}")

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        """From the receipt; without one, from the pool and the sender's count."""
        self._must_be_ours(signed)
        receipt = await self._fetch_receipt(signed.transaction_id)
        if receipt is not None:
            return await self._judge(receipt)
        if await self._rpc.call("eth_getTransactionByHash", [signed.transaction_id]) is not None:
            return TransactionStatus(State.PENDING)
        transaction = codec.decode_signed(signed.raw)[0]
        sender = addresses.format_address(codec.recover_sender(signed.raw))
        used = _read_quantity(await self._rpc.call("eth_getTransactionCount", [sender, "latest"]))
        if used <= transaction.nonce:
            return TransactionStatus(State.UNKNOWN)
        # Its nonce is used: by another transaction, or by itself since we asked.
        receipt = await self._fetch_receipt(signed.transaction_id)
        return TransactionStatus(State.DROPPED) if receipt is None else await self._judge(receipt)

    async def _fetch_receipt(self, transaction_id: str) -> dict[str, Any] | None:
        receipt = await self._rpc.call("eth_getTransactionReceipt", [transaction_id])
        if receipt is None or receipt.get("blockNumber") is None:
            return None
        if receipt.get("transactionHash") != transaction_id:
            raise LyingEndpoint(f"{self._rpc.host} gave the receipt of another transaction")
        return dict(receipt)

    async def _judge(self, receipt: dict[str, Any]) -> TransactionStatus:
        """How deep the receipt's block lies, what it cost, and whether it had an effect."""
        height = _read_quantity(receipt["blockNumber"])
        newest = _read_quantity(await self._rpc.call("eth_blockNumber"))
        confirmations = max(newest - height + 1, 1)
        wanted = self._info.confirmations
        if wanted is None:
            block = await self._rpc.call("eth_getBlockByNumber", ["finalized", False])
            is_final = block is not None and _read_quantity(block["number"]) >= height
        else:
            is_final = confirmations >= wanted
        fee = _read_quantity(receipt["gasUsed"]) * _read_quantity(receipt["effectiveGasPrice"])
        return TransactionStatus(
            State.FINAL if is_final else State.INCLUDED,
            confirmations,
            height,
            # Rollups built on the OP stack also charge for their data on the parent chain.
            fee + _read_quantity(receipt.get("l1Fee") or "0x0"),
            None if receipt.get("status") == "0x1" else "the contract reverted or ran out of gas",
        )

    async def _check_chain(self) -> None:
        """Before money moves: the endpoint serves the chain that we think it does."""
        if self._is_chain_checked:
            return
        found = _read_quantity(await self._rpc.call("eth_chainId"))
        if found != self._number:
            raise LyingEndpoint(f"{self._rpc.host} serves eip155:{found}, not {self.chain}")
        self._is_chain_checked = True

    async def _fetch_prices(self) -> _Prices:
        block = await self._rpc.call("eth_getBlockByNumber", ["latest", False])
        if block.get("baseFeePerGas") is None:
            return _Prices(_read_quantity(await self._rpc.call("eth_gasPrice")), None)
        tip = _read_quantity(await self._rpc.call("eth_maxPriorityFeePerGas"))
        return _Prices(BASE_PRICE_FACTOR * _read_quantity(block["baseFeePerGas"]) + tip, tip)

    async def _estimate_gas(self, sender: str, receiver: str, data: bytes, amount: int) -> int:
        call = {"from": sender, "value": hex(amount), "data": "0x" + data.hex()}
        if receiver:
            call["to"] = receiver
        gas = _read_quantity(await self._rpc.call("eth_estimateGas", [call]))
        # What a contract does may cost more by the time it runs; a plain transfer costs the same for ever.
        return gas if gas == PLAIN_TRANSFER_GAS else gas * (100 + GAS_MARGIN_PERCENT) // 100

    def _must_afford(self, sender: str, balance: int, needed: int) -> None:
        if balance < needed:
            raise InsufficientFunds(
                f"{sender} has {self.coin.format(balance)} on {self._info.name}; "
                f"{self.coin.format(needed)} are needed, fee included",
                balance=balance,
                needed=needed,
            )

    def _must_be_ours(self, signed: SignedTransaction) -> None:
        if signed.chain != self.chain:
            raise WrongNetwork(f"the transaction is for {signed.chain}, but this is {self.chain}")
        if signed.transaction_id != "0x" + keccak256(signed.raw).hex():
            raise MalformedTransaction("the bytes are not those of this transaction id")


def _read_quantity(text: Any) -> int:
    """A number as EVM endpoints write it."""
    if not isinstance(text, str) or not text.startswith("0x"):
        raise LyingEndpoint(f"not a number: {text!r}")
    try:
        return int(text, 16)
    except ValueError:
        raise LyingEndpoint(f"not a number: {text!r}") from None
