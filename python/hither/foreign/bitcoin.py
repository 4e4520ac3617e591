"""Bitcoin, Litecoin and Dogecoin: transfers from a key's address to any, through a node that speaks Core's JSON-RPC.

``bitcoin_addresses`` knows networks and addresses, ``bitcoin_transactions`` the bytes, ``bitcoin_coins`` fees and the
choice of coins; here is what asks the node. Only confirmed coins are spent, so that nobody's replacement of an earlier
transaction can undo a later one.

The node finds a confirmed transaction by its id with ``txindex``, and without while one of its outputs is unspent.
Dogecoin's has no pass over all coins (``scantxoutset``): it lists those of addresses that it was told to watch
(``importaddress``), and it must have ``txindex``, as coins without witnesses are spent by the transactions that made
them.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from btclib.tx import Tx

from hither.foreign import adapter, bitcoin_coins
from hither.foreign import bitcoin_psbt as psbt
from hither.foreign import bitcoin_transactions as codec
from hither.foreign.adapter import (
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
from hither.foreign.bitcoin_addresses import (
    BitcoinNetwork,
    derive_address,
    derive_script,
    format_script,
    get_network,
    parse_address,
)
from hither.foreign.bitcoin_coins import Strategy
from hither.foreign.bitcoin_transactions import Coin, Draft, Output
from hither.foreign.caip import ChainId
from hither.foreign.errors import (
    BroadcastRefused,
    EndpointError,
    InsufficientFunds,
    InvalidInput,
    LyingEndpoint,
    MalformedTransaction,
    WrongNetwork,
)
from hither.foreign.transport import Rpc

COINBASE_DEPTH: Final = 100
FEE_TARGET_BLOCKS: Final = 6

_UNKNOWN_TRANSACTION: Final = -5
_ALREADY_IN_CHAIN: Final = -27


class BitcoinAdapter:
    """One Bitcoin network behind one node. Raises ``InvalidChainId`` for an unknown one."""

    scheme: Final = Scheme.ECDSA

    def __init__(self, chain: ChainId, rpc: Rpc, *, confirmations: int | None = None) -> None:
        self._network: BitcoinNetwork = get_network(chain)
        self._confirmations = confirmations or self._network.confirmations
        self._rpc = rpc
        self._is_chain_checked = False

    @property
    def coin(self) -> adapter.Coin:
        """What fees are paid in."""
        return self._network.coin

    @property
    def chain(self) -> ChainId:
        """Which one."""
        return self._network.chain

    async def close(self) -> None:
        """Close the connections."""
        await self._rpc.close()

    # Bytes in, bytes out

    def derive_address(self, public_key: bytes) -> str:
        """P2WPKH; P2PKH on Dogecoin."""
        return derive_address(public_key, self._network)

    def parse_address(self, text: str) -> str:
        """Every type that can be paid; CAIP-10 texts of this chain are good too."""
        address = format_script(parse_address(text, self._network), self._network)
        assert address is not None, "what was read from an address has one"
        return address

    def list_payloads(self, unsigned: UnsignedTransaction) -> tuple[Payload, ...]:
        """One digest an input (BIP-143)."""
        digests = codec.compute_digests(self._decode(unsigned), unsigned.public_key)
        return tuple(Payload(self.scheme, self.scheme.value, digest) for digest in digests)

    def attach(self, unsigned: UnsignedTransaction, signatures: Sequence[Signature]) -> SignedTransaction:
        """Each signature is checked against the key before it passes."""
        must_match(unsigned, self.list_payloads(unsigned), signatures)
        fitting = [signature for signature in signatures if isinstance(signature, EcdsaSignature)]
        signed = codec.attach(self._decode(unsigned), unsigned.public_key, fitting)
        raw = signed.serialize(True, check_validity=False)
        return SignedTransaction(self.chain, codec.compute_transaction_id(signed), raw)

    def inspect(self, unsigned: UnsignedTransaction) -> Transfer:
        """What leaves the sender, and to whom; several receivers are listed with commas."""
        draft = self._decode(unsigned)
        own = derive_script(unsigned.public_key, self._network)
        paid = [output for output in draft.outputs if output.script != own] or list(draft.outputs[:1])
        receivers = ", ".join(self._name_output(output) for output in paid)
        sender = self.derive_address(unsigned.public_key)
        return Transfer(sender, receivers, sum(output.amount for output in paid), draft.fee)

    def describe(self, unsigned: UnsignedTransaction) -> str:
        """One plain sentence."""
        return format_transfer(self.inspect(unsigned), self.coin, self._network.title)

    def replace(self, unsigned: UnsignedTransaction, rate: int) -> UnsignedTransaction:
        """The same payments for a higher fee (satoshis for 1,000 virtual bytes), to take the first one's place.

        Raises ``InvalidAmount`` when nodes would not take it, ``InsufficientFunds`` when the change is too small.
        """
        with self._naming_shortage(unsigned.public_key):
            draft = bitcoin_coins.replace_draft(
                self._decode(unsigned),
                derive_script(unsigned.public_key, self._network),
                rate,
                terms=self._network.terms,
            )
        return UnsignedTransaction(self.chain, unsigned.public_key, codec.encode_draft(draft))

    def sign_psbt(self, unsigned: UnsignedTransaction, signatures: Sequence[Signature]) -> bytes:
        """The PSBT with these signatures, for other programs to finalise; each is checked first."""
        self.attach(unsigned, signatures)
        encoded = [codec.encode_signature(one) for one in signatures if isinstance(one, EcdsaSignature)]
        signed = psbt.add_signatures(psbt.decode_psbt(unsigned.body), unsigned.public_key, encoded)
        return psbt.encode_psbt(signed)

    def extract_psbt(self, body: bytes) -> SignedTransaction:
        """What a PSBT sends once it holds all signatures; finalises what is left to. Raises ``WrongSignature``."""
        signed = psbt.extract(psbt.finalize(psbt.decode_psbt(body)))
        raw = signed.serialize(True, check_validity=False)
        return SignedTransaction(self.chain, codec.compute_transaction_id(signed), raw)

    @contextlib.contextmanager
    def _naming_shortage(self, public_key: bytes) -> Iterator[None]:
        """What the choice of coins misses, told with the address and in the chain's coin."""
        try:
            yield
        except InsufficientFunds as error:
            address, write = self.derive_address(public_key), self.coin.format
            raise InsufficientFunds(
                f"{address} has {write(error.balance)} on {self._network.title} that can be spent now; "
                f"{write(error.needed)} are needed, fee included ({error})",
                balance=error.balance,
                needed=error.needed,
                write=write,
                address=address,
            ) from None

    def _name_output(self, output: Output) -> str:
        if output.script[:1] == b"\x6a":
            return f"nobody (data {codec.read_data_script(output.script).hex()})"
        return format_script(output.script, self._network) or f"the script {output.script.hex()}"

    def _decode(self, unsigned: UnsignedTransaction) -> Draft:
        if unsigned.chain != self.chain:
            raise WrongNetwork(f"the transaction is for {unsigned.chain}, but this is {self.chain}")
        return codec.decode_draft(unsigned.body)

    # Asking the node

    async def fetch_balance(self, address: str) -> int:
        """Confirmed satoshis, fresh coins of miners included."""
        found = await self._scan(parse_address(address, self._network))
        return _read_amount(found["total_amount"])

    async def fetch_nonce(self, address: str) -> int:
        """How many transactions have left coins here that are unspent: nodes keep no history by address."""
        found = await self._scan(parse_address(address, self._network))
        return len({coin["txid"] for coin in found["unspents"]})

    async def fetch_coins(self, address: str) -> list[Coin]:
        """The confirmed coins that can be spent in the next block."""
        script = parse_address(address, self._network)
        found = await self._scan(script)
        coins = []
        for entry in found["unspents"]:
            depth = found["height"] + 1 - entry["height"]
            if entry["scriptPubKey"] != script.hex():
                raise LyingEndpoint(f"{self._rpc.host} gave a coin of another address")
            if not entry.get("coinbase") or depth >= COINBASE_DEPTH:
                amount = _read_amount(entry["amount"])
                coins.append(Coin(entry["txid"], entry["vout"], amount, script, entry["height"]))
        return coins

    async def fetch_rate(self, target_blocks: int = FEE_TARGET_BLOCKS) -> int:
        """Satoshis for 1,000 virtual bytes, to be in one of the next so many blocks: by default in an hour."""
        if self._network.terms.is_legacy:
            return self._network.terms.rate_min  # What Dogecoin's wallets pay, whatever waits.
        answer = await self._rpc.call("estimatesmartfee", [target_blocks])
        if "feerate" not in answer:
            if self._network.is_regtest:
                return self._network.terms.rate_min
            raise EndpointError(f"{self._rpc.host} cannot estimate a fee yet: {answer.get('errors')}")
        rate = max(_read_amount(answer["feerate"]), self._network.terms.rate_min)
        if rate > self._network.terms.rate_max:
            raise LyingEndpoint(f"{self._rpc.host} asks {rate} satoshis for 1,000 virtual bytes")
        return rate

    async def build_transfer(self, public_key: bytes, receiver: str, amount: int) -> UnsignedTransaction:
        """A payment to one address."""
        return await self.build_payment(public_key, [(receiver, amount)])

    async def build_payment(
        self,
        public_key: bytes,
        payments: Sequence[tuple[str, int]],
        *,
        data: bytes = b"",
        rate: int = 0,
        strategy: Strategy = Strategy.EXACT,
    ) -> UnsignedTransaction:
        """Payments to several addresses at once, with data beside (OP_RETURN); ``rate`` 0 asks the node."""
        outputs = [Output(amount, parse_address(receiver, self._network)) for receiver, amount in payments]
        if data:
            outputs.append(Output(0, codec.make_data_script(data)))
        bitcoin_coins.validate_outputs(outputs, self._network.terms)
        await self._check_chain()
        own = derive_script(public_key, self._network)
        coins = await self.fetch_coins(self.derive_address(public_key))
        rate = rate or await self.fetch_rate()
        while True:
            with self._naming_shortage(public_key):
                draft = bitcoin_coins.select_coins(coins, outputs, own, rate, strategy, self._network.terms)
            spent = await self._list_spent(draft.coins)
            if not spent:
                draft = await self._add_parents(draft)
                return UnsignedTransaction(self.chain, public_key, codec.encode_draft(draft))
            coins = [coin for coin in coins if coin not in spent]

    async def bump(self, unsigned: UnsignedTransaction, rate: int = 0) -> UnsignedTransaction:
        """The same payments for a higher fee, to take the place of one that waits; more coins pay when the change is
        too small. ``rate`` 0 asks the node for the next block's, and takes at least what a replacement must pay.
        """
        draft = self._decode(unsigned)
        coins = await self.fetch_coins(self.derive_address(unsigned.public_key))
        taken = await self._list_spent(coins)
        free = [coin for coin in coins if coin not in taken]
        size = bitcoin_coins.compute_size(len(draft.coins), draft.outputs, self._network.terms)
        least = -(-(draft.fee * 1_000) // size) + 2 * self._network.terms.rate_min
        rate = rate or max(await self.fetch_rate(1), least)
        own = derive_script(unsigned.public_key, self._network)
        with self._naming_shortage(unsigned.public_key):
            second = bitcoin_coins.replace_draft(draft, own, rate, free, self._network.terms)
        second = await self._add_parents(second)
        return UnsignedTransaction(self.chain, unsigned.public_key, codec.encode_draft(second))

    async def build_child(
        self, public_key: bytes, parent: SignedTransaction | str, rate: int = 0
    ) -> UnsignedTransaction:
        """Spend what a waiting transaction pays to this key, for a fee that gets both into a block.

        For payments that somebody else made, and for own ones without change. Raises ``InvalidInput`` when it does not
        wait or pays this key nothing.
        """
        name = parent if isinstance(parent, str) else parent.transaction_id
        found = await self._fetch_transaction(name)
        if found is None or int(found.get("confirmations") or 0) > 0:
            raise InvalidInput(f"{name} does not wait for a block")
        own = derive_script(public_key, self._network)
        indexes = [output["n"] for output in found["vout"] if output["scriptPubKey"]["hex"] == own.hex()]
        unspent = [
            (index, coin)
            for index in indexes
            if (coin := await self._rpc.call("gettxout", [name, index, True])) is not None
        ]
        if not unspent:
            raise InvalidInput(f"{name} pays nothing to {self.derive_address(public_key)} that is unspent")
        index, coin = max(unspent, key=lambda one: _read_amount(one[1]["value"]))
        entry = await self._rpc.call("getmempoolentry", [name])
        rate = rate or await self.fetch_rate(1)
        with self._naming_shortage(public_key):
            draft = bitcoin_coins.make_child(
                Coin(name, index, _read_amount(coin["value"]), own),
                _read_amount(entry["fees"]["ancestor"]),
                int(entry["ancestorsize"]),
                own,
                rate,
                self._network.terms,
            )
        draft = await self._add_parents(draft)
        return UnsignedTransaction(self.chain, public_key, codec.encode_draft(draft))

    async def broadcast(self, signed: SignedTransaction) -> None:
        """Send it; good too when the node has it already."""
        self._must_be_ours(signed)
        await self._check_chain()
        try:
            found = await self._rpc.call("sendrawtransaction", [signed.raw.hex()])
        except EndpointError as error:
            if error.rpc_code == _ALREADY_IN_CHAIN or await self._fetch_transaction(signed.transaction_id):
                return
            raise BroadcastRefused(str(error), rpc_code=error.rpc_code, data=error.data) from error
        if found != signed.transaction_id and await self._fetch_transaction(signed.transaction_id) is None:
            raise LyingEndpoint(f"{self._rpc.host} calls {signed.transaction_id} {found!r}")

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        """From the transaction's block; without one, from the pool and from who else spent its coins."""
        transaction = self._must_be_ours(signed)
        found = await self._fetch_transaction(signed.transaction_id)
        if found is not None:
            return await self._judge(found)
        for index in range(len(transaction.vout)):
            coin = await self._rpc.call("gettxout", [signed.transaction_id, index, False])
            if coin is not None:
                return await self._judge(coin)
        for entry in transaction.vin:
            if await self._is_spent_for_good(entry.prev_out.tx_id.hex(), entry.prev_out.vout):
                # By another transaction, or by this one since we asked.
                found = await self._fetch_transaction(signed.transaction_id)
                return TransactionStatus(State.DROPPED) if found is None else await self._judge(found)
        return TransactionStatus(State.UNKNOWN)

    async def _judge(self, found: dict[str, Any]) -> TransactionStatus:
        confirmations = int(found.get("confirmations") or 0)
        fee = _read_amount(found["fee"]) if "fee" in found else None
        if confirmations < 1:
            return TransactionStatus(State.PENDING, fee=fee)
        height = int(await self._rpc.call("getblockcount")) - confirmations + 1
        is_final = confirmations >= self._confirmations
        return TransactionStatus(State.FINAL if is_final else State.INCLUDED, confirmations, height, fee)

    async def _scan(self, script: bytes) -> dict[str, Any]:
        """The address's coins by a pass over all coins there are; on the main network that takes a minute."""
        if self._network.terms.is_legacy:
            return await self._list_watched(script)
        found = await self._rpc.call("scantxoutset", ["start", [f"raw({script.hex()})"]])
        if not found.get("success"):
            raise EndpointError(f"{self._rpc.host} could not list the coins of an address")
        return dict(found)

    async def _list_watched(self, script: bytes) -> dict[str, Any]:
        """The same of a node that knows the coins of the addresses that it watches."""
        address = format_script(script, self._network)
        height = int(await self._rpc.call("getblockcount"))
        found = await self._rpc.call("listunspent", [1, 9_999_999, [address]])
        coins = [
            {
                "txid": one["txid"],
                "vout": one["vout"],
                "scriptPubKey": one["scriptPubKey"],
                "amount": one["amount"],
                "height": height - int(one["confirmations"]) + 1,
            }
            for one in found
        ]
        total = sum(_read_amount(one["amount"]) for one in coins)
        return {"unspents": coins, "height": height, "total_amount": total / 10**8}

    async def _add_parents(self, draft: Draft) -> Draft:
        """To coins that are spent without a witness, the transactions that made them."""
        if not self._network.terms.is_legacy:
            return draft
        requests = (self._rpc.call("getrawtransaction", [coin.transaction_id, 0]) for coin in draft.coins)
        parents = [bytes.fromhex(text) for text in await asyncio.gather(*requests)]
        coins = tuple(replace(coin, parent=parent) for coin, parent in zip(draft.coins, parents, strict=True))
        return replace(draft, coins=coins)

    async def _list_spent(self, coins: Sequence[Coin]) -> set[Coin]:
        """Those that a transaction in the node's pool spends already, and miners' coins that are too fresh."""
        requests = (self._rpc.call("gettxout", [coin.transaction_id, coin.index, True]) for coin in coins)
        answers = await asyncio.gather(*requests)
        return {coin for coin, answer in zip(coins, answers, strict=True) if not _is_spendable(answer)}

    async def _fetch_transaction(self, transaction_id: str) -> dict[str, Any] | None:
        try:
            found = await self._rpc.call("getrawtransaction", [transaction_id, 2])
        except EndpointError as error:
            if error.rpc_code == _UNKNOWN_TRANSACTION:
                return None
            raise
        if found.get("txid") != transaction_id:
            raise LyingEndpoint(f"{self._rpc.host} gave another transaction than {transaction_id}")
        # Core's index keeps what was in a block that was taken off; in the pool it would stand without that block.
        is_forgotten = "blockhash" in found and not int(found.get("confirmations") or 0)
        return None if is_forgotten else dict(found)

    async def _is_spent_for_good(self, transaction_id: str, index: int) -> bool:
        """Whether a confirmed output is gone from the chain's coins."""
        if await self._rpc.call("gettxout", [transaction_id, index, False]) is not None:
            return False
        parent = await self._fetch_transaction(transaction_id)
        return parent is not None and int(parent.get("confirmations") or 0) > 0

    async def _check_chain(self) -> None:
        """Before money moves: the node serves the chain that we think it does."""
        if self._is_chain_checked:
            return
        found = await self._rpc.call("getblockhash", [0])
        if found != self._network.genesis_hash:
            raise LyingEndpoint(f"{self._rpc.host} serves the chain of {found}, not {self.chain}")
        self._is_chain_checked = True

    def _must_be_ours(self, signed: SignedTransaction) -> Tx:
        if signed.chain != self.chain:
            raise WrongNetwork(f"the transaction is for {signed.chain}, but this is {self.chain}")
        transaction = psbt.parse_transaction(signed.raw)
        if codec.compute_transaction_id(transaction) != signed.transaction_id:
            raise MalformedTransaction("the bytes are not those of this transaction id")
        return transaction


def _is_spendable(output: dict[str, Any] | None) -> bool:
    """In the next block. Not every node's list of coins says which of them are miners'."""
    if output is None:
        return False
    return not output.get("coinbase") or int(output["confirmations"]) >= COINBASE_DEPTH


def _read_amount(bitcoins: Any) -> int:
    """Satoshis from bitcoins as nodes write them; 53 bits hold every sum there is exactly."""
    if not isinstance(bitcoins, int | float) or not 0 <= bitcoins <= codec.SATOSHIS_MAX // 10**8:
        raise LyingEndpoint(f"not an amount of bitcoin: {bitcoins!r}")
    return int((Decimal(repr(bitcoins)) * 10**8).to_integral_value())
