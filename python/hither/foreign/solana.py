"""Solana: transfers of SOL and of tokens as legacy or v0 messages, over its JSON-RPC.

The whole message is signed, not a digest. A message names a recent blockhash and is good for about a minute; after
that it can never be included, which is how a dropped transaction is known, and ``renew`` gives it another one to be
signed again. One that names a durable nonce instead is good until that is used. ``Wishes`` say what stands beside a
transfer: a memo, a priority fee, a nonce, lookup tables.
"""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from solders.account import Account
from solders.address_lookup_table_account import ID as LOOKUP_TABLE_PROGRAM
from solders.address_lookup_table_account import AddressLookupTable, AddressLookupTableAccount
from solders.hash import Hash, ParseHashError
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature as SoldersSignature
from solders.transaction import VersionedTransaction

from hither.foreign.adapter import (
    Coin,
    EddsaSignature,
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
    CallReverted,
    EndpointError,
    InsufficientFunds,
    InvalidAddress,
    InvalidAmount,
    InvalidChainId,
    InvalidInput,
    InvalidPublicKey,
    LyingEndpoint,
    MalformedTransaction,
    WrongNetwork,
)
from hither.foreign.solana_instructions import (
    NONCE_SIZE_BYTES,
    DurableNonce,
    MessagePlan,
    SolanaCall,
    TokenTransfer,
    build_message,
    find_nonce_account,
    make_nonce_account,
    make_token_transfer,
    read_memo,
    read_token_transfer,
)
from hither.foreign.solana_messages import (
    attach_signatures,
    compute_fee_max,
    count_bytes_before_blockhash,
    decode_message,
    make_payment,
    read_transfer,
)
from hither.foreign.solana_priority import read_unit_price, write_unit_price
from hither.foreign.solana_tokens import derive_holding, read_holding, read_mint
from hither.foreign.transport import Rpc

FINAL_CONFIRMATIONS: Final = 32
"""How many votes deep a block is when the chain calls it finalized."""

SOL: Final = Coin("SOL", 9)
AMOUNT_MAX: Final = 2**64 - 1

_COMMITMENT: Final = {"commitment": "confirmed"}
_NAMES: Final = {
    "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp": "Solana",
    "EtWTRABZaYq6iMfeYKouRu166VU2xqa1": "Solana devnet",
    "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z": "Solana testnet",
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What stands beside the instructions of a transaction.

    ``unit_price`` is the priority fee in millionths of a lamport for each compute unit, "market" what accounts like
    these paid lately; ``nonce_account`` names a durable nonce of the signer's; ``tables`` are lookup tables.
    """

    memo: str = ""
    is_legacy: bool = False
    unit_limit: int | None = None
    unit_price: int | Literal["market"] | None = None
    nonce_account: str | None = None
    tables: Sequence[str] = ()


NO_WISHES: Final = Wishes()


class SolanaAdapter:
    """A Solana network behind one endpoint."""

    scheme: Final = Scheme.EDDSA
    coin: Final = SOL

    def __init__(self, chain: ChainId, rpc: Rpc) -> None:
        if chain.namespace != "solana":
            raise InvalidChainId(f"{chain} is not a Solana network")
        self._chain = chain
        self._rpc = rpc
        self._name = _NAMES.get(chain.reference, str(chain))
        self._is_chain_checked = False

    @property
    def chain(self) -> ChainId:
        """Which network: its reference begins the hash of its genesis."""
        return self._chain

    async def close(self) -> None:
        """Close the connections."""
        await self._rpc.close()

    # Bytes in, bytes out

    def derive_address(self, public_key: bytes) -> str:
        """Of an ed25519 key: the key itself in base58."""
        if len(public_key) != 32 or not Pubkey(public_key).is_on_curve():
            raise InvalidPublicKey("not an ed25519 key: 32 bytes, a point of the curve")
        return str(Pubkey(public_key))

    def parse_address(self, text: str) -> str:
        """CAIP-10 texts of this network are good too."""
        return str(self._parse(text))

    def _parse(self, text: str) -> Pubkey:
        address = strip_chain(text, self._chain)
        try:
            return Pubkey.from_string(address)
        except ValueError:
            raise InvalidAddress(
                f"not a Solana address: {address!r}", hint="32 bytes in base58, 32 to 44 characters"
            ) from None

    def list_payloads(self, unsigned: UnsignedTransaction) -> tuple[Payload, ...]:
        """The whole message, for the one signer."""
        self._decode(unsigned)
        return (Payload(self.scheme, self.scheme.value, unsigned.body),)

    def attach(self, unsigned: UnsignedTransaction, signatures: Sequence[Signature]) -> SignedTransaction:
        """Verifies the signature before it lets it pass."""
        must_match(unsigned, self.list_payloads(unsigned), signatures)
        signature = signatures[0]
        assert isinstance(signature, EddsaSignature), "must_match lets only EdDSA pass"
        raw = attach_signatures(unsigned.body, [signature.signature])
        return SignedTransaction(self._chain, str(SoldersSignature(signature.signature)), raw)

    def inspect(self, unsigned: UnsignedTransaction) -> Transfer:
        """What it does, when it is a plain transfer."""
        found = read_transfer(self._decode(unsigned))
        if found is None:
            raise MalformedTransaction("the message is not a plain transfer")
        return found

    def describe(self, unsigned: UnsignedTransaction) -> str:
        """One plain sentence."""
        message = self._decode(unsigned)
        memo = read_memo(message)
        beside = f' The memo "{memo}" goes with it.' if memo else ""
        found = read_transfer(message)
        if found is not None:
            return format_transfer(found, SOL, self._name) + beside
        moved = read_token_transfer(message)
        if moved is not None:
            token = Coin(f"of the token {moved.mint}", moved.decimals)
            transfer_ = Transfer(
                str(moved.sender), str(moved.receiver), moved.amount, compute_fee_max(message)
            )
            return _format_token_transfer(transfer_, token, self._name) + beside
        used = dict.fromkeys(
            str(message.account_keys[instruction.program_id_index]) for instruction in message.instructions
        )
        return (
            f"Run {len(message.instructions)} instructions of {', '.join(used)} "
            f"as {self.derive_address(unsigned.public_key)} on {self._name}, "
            f"for a fee of at most {SOL.format(compute_fee_max(message))}."
        )

    def _decode(self, unsigned: UnsignedTransaction) -> Message | MessageV0:
        if unsigned.chain != self._chain:
            raise WrongNetwork(f"the transaction is for {unsigned.chain}, but this is {self._chain}")
        message = decode_message(unsigned.body)
        is_only_signer = message.header.num_required_signatures == 1
        if not is_only_signer or bytes(message.account_keys[0]) != unsigned.public_key:
            raise MalformedTransaction("the message must have this key as its one signer")
        return message

    # Asking the endpoint

    async def fetch_balance(self, address: str) -> int:
        """In lamports."""
        answer = await self._rpc.call("getBalance", [self.parse_address(address), _COMMITMENT])
        return _read_number(_read_value(answer))

    async def fetch_nonce(self, address: str) -> int:
        """Solana keeps no count: how many of its transactions the endpoint knows, a thousand at most."""
        params = [self.parse_address(address), _COMMITMENT]
        return len(await self._rpc.call("getSignaturesForAddress", params))

    async def build_transfer(
        self, public_key: bytes, receiver: str, amount: int, *, wishes: Wishes = NO_WISHES
    ) -> UnsignedTransaction:
        """A transfer that leaves both accounts with what the chain asks accounts to hold, or empty."""
        sender = Pubkey.from_string(self.derive_address(public_key))
        target = self._parse(receiver)
        if not 0 < amount <= AMOUNT_MAX:
            raise InvalidAmount(f"{amount} lamports cannot be sent")
        unsigned, balance, received, rent = await asyncio.gather(
            self.build(public_key, [make_payment(sender, target, amount)], wishes=wishes),
            self.fetch_balance(str(sender)),
            self.fetch_balance(str(target)),
            self.fetch_rent(0),
        )
        needed = amount + compute_fee_max(decode_message(unsigned.body))
        if target != sender and received + amount < rent:
            raise InvalidAmount(
                f"{target} would hold {SOL.format(received + amount)}; accounts hold at least {SOL.format(rent)}",
                hint=f"send at least {SOL.format(rent - received)} there",
            )
        if balance < needed:
            raise await self._make_shortage(sender, balance, needed)
        if 0 < balance - needed < rent and target != sender:
            raise InvalidAmount(
                f"{sender} would keep {SOL.format(balance - needed)}; accounts hold at least {SOL.format(rent)}",
                hint=f"send all but the fee, {SOL.format(balance - needed + amount)}, or less",
            )
        return unsigned

    async def build_token_transfer(
        self, public_key: bytes, mint: str, receiver: str, amount: int, *, wishes: Wishes = NO_WISHES
    ) -> UnsignedTransaction:
        """Tokens of either program, in their smallest unit; the sender pays for the receiver's account if it has none.

        Raises ``InvalidInput`` when ``mint`` is none, ``InsufficientFunds`` for tokens and for lamports.
        """
        sender = Pubkey.from_string(self.derive_address(public_key))
        target, token = self._parse(receiver), self._parse(mint)
        found = read_mint(await self._fetch_account(token))
        if found is None:
            raise InvalidInput(f"{token} is no token on {self._name}")
        if not 0 < amount <= AMOUNT_MAX:
            raise InvalidAmount(f"{amount} units of a token cannot be sent")
        moved = TokenTransfer(found.program, token, sender, target, amount, found.decimals)
        source, account = (derive_holding(one, token, found.program) for one in (sender, target))
        unsigned, own, theirs, balance = await asyncio.gather(
            self.build(public_key, make_token_transfer(moved), wishes=wishes),
            self._fetch_account(source),
            self._fetch_account(account),
            self.fetch_balance(str(sender)),
        )
        holding = read_holding(own)
        if holding is None or holding.amount < amount:
            has = 0 if holding is None else holding.amount
            raise InsufficientFunds(
                f"{sender} has {has} units of {token}; {amount} are needed", balance=has, needed=amount
            )
        size = len(own.data) if own is not None else 0
        # An account of the same token takes as much room as the sender's own.
        rent = await self.fetch_rent(size) if theirs is None else 0
        needed = rent + compute_fee_max(decode_message(unsigned.body))
        if balance < needed:
            raise await self._make_shortage(sender, balance, needed)
        return unsigned

    async def build_calls(self, public_key: bytes, calls: Sequence[SolanaCall]) -> UnsignedTransaction:
        """Instructions of any programs in one transaction: all of them happen or none. Tried before it is signed.

        Raises ``InvalidInput``, ``InsufficientFunds``, ``CallReverted`` with the program's last words.
        """
        sender = Pubkey.from_string(self.derive_address(public_key))
        instructions = []
        for call in calls:
            metas = [
                AccountMeta(self._parse(one.address), one.is_signer, one.is_writable) for one in call.accounts
            ]
            for meta in metas:
                if meta.is_signer and meta.pubkey != sender:
                    raise InvalidInput(f"{meta.pubkey} cannot sign; {sender} alone does")
            instructions.append(Instruction(self._parse(call.program), call.data, metas))
        if not instructions:
            raise InvalidInput("a transaction of no instructions")
        unsigned, balance = await asyncio.gather(
            self.build(public_key, instructions), self.fetch_balance(str(sender))
        )
        needed = compute_fee_max(decode_message(unsigned.body))
        if balance < needed:
            raise await self._make_shortage(sender, balance, needed)
        await self._try_out(unsigned)
        return unsigned

    async def _try_out(self, unsigned: UnsignedTransaction) -> None:
        """Nothing is signed that would fail now."""
        unsealed = VersionedTransaction.populate(decode_message(unsigned.body), [SoldersSignature.default()])
        raw = base64.b64encode(bytes(unsealed)).decode()
        options = {**_COMMITMENT, "encoding": "base64", "sigVerify": False}
        result = _read_value(await self._rpc.call("simulateTransaction", [raw, options]))
        if not isinstance(result, dict) or result.get("err") is None:
            return
        logs = [line for line in result.get("logs") or () if isinstance(line, str)]
        said = [line for line in logs if "log:" in line or "failed" in line or "Error" in line]
        reason = json.dumps(result["err"], separators=(",", ":"))
        raise CallReverted(" | ".join([f"{self._name}: {reason}", *said[-3:]]))

    async def build_nonce_account(self, public_key: bytes, seed: str) -> UnsignedTransaction:
        """Make a durable nonce of that name; its account is ``derive_nonce_account``'s."""
        owner = Pubkey.from_string(self.derive_address(public_key))
        rent = await self.fetch_rent(NONCE_SIZE_BYTES)
        return await self.build(public_key, make_nonce_account(owner, seed, rent))

    async def build(
        self, public_key: bytes, instructions: Sequence[Instruction], *, wishes: Wishes = NO_WISHES
    ) -> UnsignedTransaction:
        """Any instructions that need no signature but the key's. Raises ``InvalidInput``, ``MalformedTransaction``."""
        payer = Pubkey.from_string(self.derive_address(public_key))
        _, blockhash, nonce, tables, price = await asyncio.gather(
            self._check_chain(),
            self._fetch_blockhash(),
            self._fetch_nonce_value(payer, wishes.nonce_account),
            asyncio.gather(*(self._fetch_table(one) for one in wishes.tables)),
            self._fetch_price(payer, instructions, wishes.unit_price),
        )
        plan = MessagePlan(
            payer,
            instructions,
            blockhash,
            is_legacy=wishes.is_legacy,
            unit_limit=wishes.unit_limit,
            unit_price=price,
            memo=wishes.memo,
            nonce=nonce,
            tables=tables,
        )
        unsigned = UnsignedTransaction(self._chain, public_key, build_message(plan))
        self._decode(unsigned)
        return unsigned

    async def renew(
        self, unsigned: UnsignedTransaction, *, unit_price: int | None = None
    ) -> UnsignedTransaction:
        """The same under the newest blockhash (or the nonce's present value), to be signed again.

        Only for a transaction that was dropped or never sent: else both could be included. ``unit_price`` [as before]
        gives it another priority fee.
        """
        message = self._decode(unsigned)
        if unit_price is not None:
            unsigned = replace(unsigned, body=write_unit_price(message, unit_price))
            message = self._decode(unsigned)
        account = find_nonce_account(message)
        if account is None:
            blockhash = await self._fetch_blockhash()
        else:
            nonce = await self._fetch_nonce_value(Pubkey(unsigned.public_key), str(account))
            assert nonce is not None, "one was asked for"
            blockhash = nonce.value
        # The blockhash follows the keys, whose number stands before them in one byte.
        start = count_bytes_before_blockhash(message)
        body = unsigned.body[:start] + bytes(blockhash) + unsigned.body[start + 32 :]
        return replace(unsigned, body=body)

    async def bump(self, unsigned: UnsignedTransaction, unit_price: int) -> UnsignedTransaction:
        """The same for a higher priority fee, to take the place of one that waits and names a durable nonce.

        Both use the same value of the nonce, so that one alone can be included. Raises ``InvalidInput`` for one that
        names a blockhash, ``InvalidAmount`` when the price is no higher, ``InsufficientFunds``.
        """
        message = self._decode(unsigned)
        if find_nonce_account(message) is None:
            raise InvalidInput(
                "two transactions that name blockhashes could both be included",
                hint="wait until this one is dropped, a minute at most, and renew it with a higher unit_price",
            )
        before = read_unit_price(message)
        if unit_price <= before:
            raise InvalidAmount(f"a price of {unit_price} for a compute unit is no more than {before}")
        raised = write_unit_price(message, unit_price)
        sender = Pubkey.from_string(self.derive_address(unsigned.public_key))
        transfer = read_transfer(decode_message(raised))
        needed = compute_fee_max(decode_message(raised)) + (transfer.amount if transfer is not None else 0)
        balance = await self.fetch_balance(str(sender))
        if balance < needed:
            raise await self._make_shortage(sender, balance, needed)
        return replace(unsigned, body=raised)

    async def fetch_rent(self, size: int) -> int:
        """What an account of so many bytes holds at least, in lamports."""
        return _read_number(await self._rpc.call("getMinimumBalanceForRentExemption", [size]))

    async def fetch_token_balance(self, address: str, mint: str) -> int:
        """In the token's smallest unit; of the owner's associated account."""
        owner, token = self._parse(address), self._parse(mint)
        found = read_mint(await self._fetch_account(token))
        if found is None:
            raise InvalidInput(f"{token} is no token on {self._name}")
        holding = read_holding(await self._fetch_account(derive_holding(owner, token, found.program)))
        return 0 if holding is None else holding.amount

    async def _make_shortage(self, sender: Pubkey, balance: int, needed: int) -> InsufficientFunds:
        """An account that is not emptied must keep what accounts hold at least."""
        return InsufficientFunds(
            f"{sender} has {SOL.format(balance)} on {self._name}; {SOL.format(needed)} are needed, fee included",
            balance=balance,
            needed=needed,
            write=SOL.format,
            address=str(sender),
            spare=await self.fetch_rent(0),
        )

    async def _fetch_account(self, address: Pubkey) -> Account | None:
        options = {**_COMMITMENT, "encoding": "base64"}
        value = _read_value(await self._rpc.call("getAccountInfo", [str(address), options]))
        if value is None:
            return None
        try:
            data = base64.b64decode(value["data"][0], validate=True)
            return Account(_read_number(value["lamports"]), data, Pubkey.from_string(value["owner"]))
        except (KeyError, TypeError, IndexError, ValueError):
            raise LyingEndpoint(f"{self._rpc.host}: not an account: {address}") from None

    async def _fetch_nonce_value(self, authority: Pubkey, account: str | None) -> DurableNonce | None:
        if account is None:
            return None
        address = self._parse(account)
        found = await self._fetch_account(address)
        data = b"" if found is None else bytes(found.data)
        if len(data) != NONCE_SIZE_BYTES or data[4:8] != b"\1\0\0\0":
            raise InvalidInput(f"{address} is no nonce account on {self._name}")
        if data[8:40] != bytes(authority):
            raise InvalidInput(f"the nonce account {address} is another key's")
        return DurableNonce(address, Hash(data[40:72]))

    async def _fetch_table(self, text: str) -> AddressLookupTableAccount:
        address = self._parse(text)
        found = await self._fetch_account(address)
        if found is None or found.owner != LOOKUP_TABLE_PROGRAM:
            raise InvalidInput(f"{address} is no lookup table on {self._name}")
        return AddressLookupTableAccount(address, AddressLookupTable.deserialize(bytes(found.data)).addresses)

    async def _fetch_price(
        self, payer: Pubkey, instructions: Sequence[Instruction], wish: int | Literal["market"] | None
    ) -> int | None:
        """The middle of what was paid lately where the same accounts were written."""
        if wish != "market":
            return wish
        written = {str(payer)} | {
            str(meta.pubkey) for one in instructions for meta in one.accounts if meta.is_writable
        }
        answer = await self._rpc.call("getRecentPrioritizationFees", [sorted(written)])
        fees = sorted(_read_number(one["prioritizationFee"]) for one in answer)
        return fees[len(fees) // 2] if fees else 0

    async def broadcast(self, signed: SignedTransaction) -> None:
        """Send it; good too when the endpoint has it already."""
        self._must_be_ours(signed)
        await self._check_chain()
        raw = base64.b64encode(signed.raw).decode()
        options = {"encoding": "base64", "preflightCommitment": "confirmed"}
        try:
            found = await self._rpc.call("sendTransaction", [raw, options])
        except EndpointError as error:
            if await self._fetch_signature_status(signed) is not None:
                return
            raise BroadcastRefused(str(error), rpc_code=error.rpc_code, data=error.data) from error
        if found != signed.transaction_id and await self._fetch_signature_status(signed) is None:
            raise LyingEndpoint(f"{self._rpc.host} calls {signed.transaction_id} {found!r}")

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        """From the endpoint's statuses; without one, from the age of the blockhash."""
        message = self._must_be_ours(signed)
        status = await self._fetch_signature_status(signed)
        if status is None:
            if await self._can_still_come(message):
                return TransactionStatus(State.UNKNOWN)
            # Too old to come now; it may have come since we asked.
            status = await self._fetch_signature_status(signed)
            if status is None:
                # A used nonce says nothing of what used it.
                return TransactionStatus(State.DROPPED, has_expired=find_nonce_account(message) is None)
        is_final = status.get("confirmationStatus") == "finalized"
        confirmations = FINAL_CONFIRMATIONS if is_final else int(status.get("confirmations") or 0)
        error = status.get("err")
        return TransactionStatus(
            State.FINAL if is_final else State.INCLUDED,
            confirmations,
            _read_number(status.get("slot")),
            await self._fetch_fee(signed) if is_final else None,
            None if error is None else f"the transaction failed with {error}",
        )

    async def _can_still_come(self, message: Message | MessageV0) -> bool:
        """Whether its blockhash is young enough, or its durable nonce not used."""
        account = find_nonce_account(message)
        if account is not None:
            found = await self._fetch_account(account)
            return found is not None and bytes(found.data)[40:72] == bytes(message.recent_blockhash)
        params = [str(message.recent_blockhash), _COMMITMENT]
        return bool(_read_value(await self._rpc.call("isBlockhashValid", params)))

    async def _fetch_fee(self, signed: SignedTransaction) -> int | None:
        """None when the endpoint keeps no history."""
        options = {**_COMMITMENT, "encoding": "base64", "maxSupportedTransactionVersion": 0}
        found = await self._rpc.call("getTransaction", [signed.transaction_id, options])
        return None if found is None else _read_number(found["meta"]["fee"])

    async def _fetch_signature_status(self, signed: SignedTransaction) -> dict[str, Any] | None:
        options = {"searchTransactionHistory": True}
        answer = await self._rpc.call("getSignatureStatuses", [[signed.transaction_id], options])
        found = _read_value(answer)[0]
        return None if found is None else dict(found)

    async def _fetch_blockhash(self) -> Hash:
        value = _read_value(await self._rpc.call("getLatestBlockhash", [_COMMITMENT]))
        try:
            return Hash.from_string(value["blockhash"])
        except (ParseHashError, KeyError, TypeError):
            raise LyingEndpoint(f"{self._rpc.host}: not a blockhash: {value!r}") from None

    async def _check_chain(self) -> None:
        """Before money moves: the endpoint serves the network that we think it does."""
        if self._is_chain_checked:
            return
        found = str(await self._rpc.call("getGenesisHash"))[:32]
        if found != self._chain.reference:
            raise LyingEndpoint(f"{self._rpc.host} serves solana:{found}, not {self._chain}")
        self._is_chain_checked = True

    def _must_be_ours(self, signed: SignedTransaction) -> Message | MessageV0:
        if signed.chain != self._chain:
            raise WrongNetwork(f"the transaction is for {signed.chain}, but this is {self._chain}")
        try:
            transaction = VersionedTransaction.from_bytes(signed.raw)
        except ValueError as error:
            raise MalformedTransaction(f"not a Solana transaction: {error}") from None
        if str(transaction.signatures[0]) != signed.transaction_id:
            raise MalformedTransaction("the bytes are not those of this transaction id")
        return decode_message(to_bytes_versioned(transaction.message))


def _format_token_transfer(found: Transfer, token: Coin, chain_name: str) -> str:
    return (
        f"Send {token.format(found.amount)} from {found.sender} to {found.receiver} on {chain_name}, for a fee of "
        f"at most {SOL.format(found.fee_max)}, and rent if the receiver has no account for it."
    )


def _read_value(answer: Any) -> Any:
    """What an answer holds beside the slot that it was read at."""
    if not isinstance(answer, dict) or "value" not in answer:
        raise LyingEndpoint(f"not an answer with a value: {answer!r}")
    return answer["value"]


def _read_number(found: Any) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise LyingEndpoint(f"not a number: {found!r}")
    return found
