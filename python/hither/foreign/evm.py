"""EVM chains: Ethereum, its rollups, and others that speak its JSON-RPC.

Fees: two times the newest block's base price plus the tip that the endpoint proposes, so that a transaction stays
good over several full blocks; chains without a base price get a legacy transaction at the endpoint's price. What
rollups charge beside gas is ``evm_rollups``.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hither.crypto.hashing import keccak256
from hither.foreign import evm_addresses as addresses
from hither.foreign import evm_transactions as codec
from hither.foreign.adapter import (
    Coin,
    EcdsaSignature,
    Payload,
    Scheme,
    Signature,
    SignedTransaction,
    TransactionStatus,
    Transfer,
    UnsignedTransaction,
    must_match,
)
from hither.foreign.caip import ChainId, strip_chain
from hither.foreign.errors import (
    BroadcastRefused,
    EndpointError,
    InsufficientFunds,
    InvalidAmount,
    InvalidArguments,
    LyingEndpoint,
    MalformedTransaction,
    WrongNetwork,
)
from hither.foreign.evm_calls import EvmCall
from hither.foreign.evm_chains import EvmChain, read_chain_number
from hither.foreign.evm_description import describe_transaction
from hither.foreign.evm_fees import BUMP_PERCENT_MIN, Prices, Speed, fetch_prices
from hither.foreign.evm_rollups import estimate_parent_gas, fetch_parent_fee
from hither.foreign.evm_rpc import explain, read_contract, read_quantity
from hither.foreign.evm_tracking import fetch_evm_status
from hither.foreign.evm_transactions import (
    AccessList,
    AccessListTransaction,
    EvmTransaction,
    FeeMarketTransaction,
    LegacyTransaction,
    SetCodeTransaction,
    SignedAuthorization,
)
from hither.foreign.transport import Rpc

PLAIN_TRANSFER_GAS: Final = 21_000
GAS_MARGIN_PERCENT: Final = 20
AUTHORIZATION_GAS: Final = 25_000
"""Of each authorization (EIP-7702), for endpoints that do not count them in an estimate."""
AMOUNT_MAX: Final = 2**256 - 1


def add_gas_margin(estimate: int) -> int:
    """A limit of gas: a contract may need more than its estimate by the time it runs, a plain transfer does not."""
    return estimate if estimate == PLAIN_TRANSFER_GAS else estimate * (100 + GAS_MARGIN_PERCENT) // 100


@dataclass(frozen=True, slots=True)
class EvmOptions:
    """How a transaction is made, where the usual is not wanted.

    ``is_legacy`` gives type 0 (with an access list type 1); authorizations give type 4. ``nonce`` and ``gas_limit``
    take the place of what the endpoint says.
    """

    speed: Speed = Speed.NORMAL
    is_legacy: bool = False
    nonce: int | None = None
    gas_limit: int | None = None
    access_list: AccessList = ()
    authorizations: tuple[SignedAuthorization, ...] = ()


USUAL: Final = EvmOptions()


@dataclass(frozen=True, slots=True)
class EvmFee:
    """At most, in wei. ``parent`` is charged beside gas, for data on the parent chain, at the time of asking."""

    gas: int
    parent: int

    @property
    def total(self) -> int:
        """Both."""
        return self.gas + self.parent


class EvmAdapter:
    """One EVM chain behind one endpoint, or behind several that agree."""

    scheme: Final = Scheme.ECDSA

    def __init__(self, info: EvmChain, rpc: Rpc) -> None:
        self._info = info
        self._rpc = rpc
        self._number = read_chain_number(info.chain)
        self._is_chain_checked = False
        self._tokens: dict[str, Coin] = {}

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
        """What it does with the chain's coin; the receiver is empty when it creates a contract.

        What chains of the OP stack charge beside gas is not in ``fee_max``; ``fetch_fee`` asks for it.
        """
        transaction = self._decode(unsigned)
        receiver = addresses.format_address(transaction.receiver) if transaction.receiver else ""
        sender = self.derive_address(unsigned.public_key)
        return Transfer(sender, receiver, transaction.amount, transaction.fee_max)

    def describe(self, unsigned: UnsignedTransaction) -> str:
        """One plain sentence."""
        sender = self.derive_address(unsigned.public_key)
        return describe_transaction(self._decode(unsigned), sender, self._info, self._tokens)

    def predict_contract(self, unsigned: UnsignedTransaction) -> str:
        """The address of the contract that a transaction creates. Raises ``InvalidArguments`` when it does not."""
        transaction = self._decode(unsigned)
        if transaction.receiver:
            raise InvalidArguments("the transaction creates no contract")
        creator = addresses.derive_address(unsigned.public_key)
        return addresses.format_address(addresses.compute_contract_address(creator, transaction.nonce))

    def _decode(self, unsigned: UnsignedTransaction) -> EvmTransaction:
        transaction = codec.decode_unsigned(unsigned.body)
        if unsigned.chain != self.chain or transaction.chain_id != self._number:
            raise WrongNetwork(
                f"the transaction is for {unsigned.chain} and says eip155:{transaction.chain_id}, "
                f"but this is {self.chain}"
            )
        return transaction

    # Reading

    async def fetch_balance(self, address: str) -> int:
        """In wei, at the newest block."""
        return read_quantity(await self._rpc.call("eth_getBalance", [self.parse_address(address), "latest"]))

    async def fetch_nonce(self, address: str) -> int:
        """How many transactions the address has sent, those waiting included."""
        params = [self.parse_address(address), "pending"]
        return read_quantity(await self._rpc.call("eth_getTransactionCount", params))

    async def read(self, contract: str, function: str, arguments: Sequence[Any] = ()) -> Any:
        """What a contract answers, as in ``read(token, "balanceOf(address)(uint256)", (owner,))``.

        Raises ``CallReverted``, ``InvalidArguments``.
        """
        return await read_contract(self._rpc, self.parse_address(contract), function, arguments)

    async def fetch_token(self, token: str) -> Coin:
        """Symbol and decimals of an ERC-20 token, from then on used in descriptions. They are the token's own words."""
        address = self.parse_address(token)
        if address not in self._tokens:
            symbol, decimals = await asyncio.gather(
                self.read(address, "symbol()(string)"), self.read(address, "decimals()(uint8)")
            )
            # A sentence must not be taken over by a name.
            shown = "".join(letter for letter in symbol if letter.isalnum() or letter in ".$-₮")[:16]
            self._tokens[address] = Coin(shown or "?", decimals)
        return self._tokens[address]

    # Building

    async def build_transfer(self, public_key: bytes, receiver: str, amount: int) -> UnsignedTransaction:
        """A transfer of the chain's coin."""
        return await self.build(public_key, EvmCall(receiver, b"", amount))

    async def build(
        self, public_key: bytes, call: EvmCall, options: EvmOptions = USUAL
    ) -> UnsignedTransaction:
        """Any transaction. Raises ``InvalidInput``, ``InsufficientFunds``, ``CallReverted``."""
        if not 0 <= call.amount <= AMOUNT_MAX:
            raise InvalidAmount(f"{call.amount} wei cannot be sent")
        sender = self.derive_address(public_key)
        target = "" if call.receiver is None else self.parse_address(call.receiver)
        if options.authorizations and not target:
            raise InvalidArguments("a transaction with authorizations cannot create a contract")
        _, balance, nonce, prices = await asyncio.gather(
            self._check_chain(),
            self.fetch_balance(sender),
            self.fetch_nonce(sender),
            fetch_prices(self._rpc, options.speed),
        )
        # Without this much a node estimates nothing; it is what the cheapest transaction costs.
        self._must_afford(sender, balance, call.amount + PLAIN_TRANSFER_GAS * prices.gas_price_max)
        if options.nonce is not None:
            nonce = options.nonce
        gas_limit = options.gas_limit
        if gas_limit is None:
            gas_limit = await self._estimate_gas(sender, target, call, options)
        self._must_afford(sender, balance, call.amount + gas_limit * prices.gas_price_max)
        receiver = addresses.parse_address(target) if target else b""
        rest = (gas_limit, receiver, call.amount, call.data)
        unsigned = self._encode(public_key, self._make(nonce, prices, rest, options))
        parent_fee = await fetch_parent_fee(self._rpc, self._info.family, unsigned.body)
        self._must_afford(sender, balance, call.amount + gas_limit * prices.gas_price_max + parent_fee)
        return unsigned

    def _make(
        self, nonce: int, prices: Prices, rest: tuple[int, bytes, int, bytes], options: EvmOptions
    ) -> EvmTransaction:
        """Of the type that options and chain ask for."""
        head = (self._number, nonce)
        price, tip, accesses = prices.gas_price_max, prices.priority_fee_max, options.access_list
        if options.is_legacy or (tip is None and not options.authorizations):
            if accesses:
                return AccessListTransaction(*head, price, *rest, accesses)
            return LegacyTransaction(*head, price, *rest)
        if options.authorizations:
            return SetCodeTransaction(*head, tip or 0, price, *rest, accesses, options.authorizations)
        return FeeMarketTransaction(*head, tip or 0, price, *rest, accesses)

    def _encode(self, public_key: bytes, transaction: EvmTransaction) -> UnsignedTransaction:
        return UnsignedTransaction(self.chain, public_key, codec.encode_unsigned(transaction))

    async def _estimate_gas(self, sender: str, receiver: str, call: EvmCall, options: EvmOptions) -> int:
        request: dict[str, Any] = {
            "from": sender,
            "value": hex(call.amount),
            "data": "0x" + call.data.hex(),
        }
        if receiver:
            request["to"] = receiver
        if options.access_list:
            request["accessList"] = [
                {"address": "0x" + address.hex(), "storageKeys": ["0x" + key.hex() for key in keys]}
                for address, keys in options.access_list
            ]
        try:
            gas = read_quantity(await self._rpc.call("eth_estimateGas", [request]))
        except EndpointError as error:
            raise explain(error) from error
        gas += AUTHORIZATION_GAS * len(options.authorizations)
        gas += await estimate_parent_gas(self._rpc, self._info.family, receiver, call.data)
        return add_gas_margin(gas)

    # Fees

    async def fetch_fee(self, unsigned: UnsignedTransaction) -> EvmFee:
        """What a transaction costs at most, the parent chain's part included."""
        gas = self._decode(unsigned).fee_max
        return EvmFee(gas, await fetch_parent_fee(self._rpc, self._info.family, unsigned.body))

    async def bump(self, unsigned: UnsignedTransaction, speed: Speed = Speed.FAST) -> UnsignedTransaction:
        """The same transaction at a price for which nodes let it take the place of the first.

        Raises ``InsufficientFunds`` when the sender cannot pay that.
        """
        transaction = self._decode(unsigned)
        sender = self.derive_address(unsigned.public_key)
        prices, balance = await asyncio.gather(
            self._raise_prices(transaction, speed), self.fetch_balance(sender)
        )
        self._must_afford(sender, balance, transaction.amount + transaction.gas_limit * prices.gas_price_max)
        if isinstance(transaction, LegacyTransaction | AccessListTransaction):
            return self._encode(unsigned.public_key, replace(transaction, gas_price=prices.gas_price_max))
        raised = replace(
            transaction,
            gas_price_max=prices.gas_price_max,
            priority_fee_max=prices.priority_fee_max or 0,
        )
        return self._encode(unsigned.public_key, raised)

    async def cancel(self, unsigned: UnsignedTransaction, speed: Speed = Speed.FAST) -> UnsignedTransaction:
        """A transaction that does nothing, to take the place of one that waits."""
        transaction = self._decode(unsigned)
        prices = await self._raise_prices(transaction, speed)
        rest = (PLAIN_TRANSFER_GAS, addresses.derive_address(unsigned.public_key), 0, b"")
        is_legacy = isinstance(transaction, LegacyTransaction | AccessListTransaction)
        nothing = self._make(transaction.nonce, prices, rest, EvmOptions(is_legacy=is_legacy))
        return self._encode(unsigned.public_key, nothing)

    async def _raise_prices(self, transaction: EvmTransaction, speed: Speed) -> Prices:
        """At least what nodes ask of a replacement, and what the chain takes by now."""
        if isinstance(transaction, LegacyTransaction | AccessListTransaction):
            before = Prices(transaction.gas_price, None)
        else:
            before = Prices(transaction.gas_price_max, transaction.priority_fee_max)
        _, now = await asyncio.gather(self._check_chain(), fetch_prices(self._rpc, speed))
        return before.raise_by(BUMP_PERCENT_MIN).max_with(now)

    # Sending

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
        if (
            found != signed.transaction_id
            and await self._rpc.call("eth_getTransactionByHash", [signed.transaction_id]) is None
        ):
            raise LyingEndpoint(f"{self._rpc.host} calls {signed.transaction_id} {found!r}")

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        """From the receipt; without one, from the pool and the sender's count."""
        self._must_be_ours(signed)
        return await fetch_evm_status(self._rpc, signed, self._info)

    async def _check_chain(self) -> None:
        """Before money moves: the endpoint serves the chain that we think it does."""
        if self._is_chain_checked:
            return
        found = read_quantity(await self._rpc.call("eth_chainId"))
        if found != self._number:
            raise LyingEndpoint(f"{self._rpc.host} serves eip155:{found}, not {self.chain}")
        self._is_chain_checked = True

    def _must_afford(self, sender: str, balance: int, needed: int) -> None:
        if balance < needed:
            raise InsufficientFunds(
                f"{sender} has {self.coin.format(balance)} on {self._info.name}; "
                f"{self.coin.format(needed)} are needed, fee included",
                balance=balance,
                needed=needed,
                write=self.coin.format,
                address=sender,
            )

    def _must_be_ours(self, signed: SignedTransaction) -> None:
        if signed.chain != self.chain:
            raise WrongNetwork(f"the transaction is for {signed.chain}, but this is {self.chain}")
        if signed.transaction_id != "0x" + keccak256(signed.raw).hex():
            raise MalformedTransaction("the bytes are not those of this transaction id")
