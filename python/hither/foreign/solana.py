"""Solana: transfers as legacy or v0 messages, over its JSON-RPC.

The whole message is signed, not a digest. A message names a recent blockhash and is good for about a minute; after
that it can never be included, which is how a dropped transaction is known.
"""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from solders.compute_budget import ID as COMPUTE_BUDGET_PROGRAM
from solders.hash import Hash, ParseHashError
from solders.instruction import CompiledInstruction
from solders.message import Message, MessageV0, from_bytes_versioned, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature as SoldersSignature
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import TransferParams, transfer
from solders.transaction import SanitizeError, VersionedTransaction

from hither.foreign.adapter import (
    EDDSA_MESSAGE_SIZE_MAX,
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
    EndpointError,
    InsufficientFunds,
    InvalidAddress,
    InvalidAmount,
    InvalidChainId,
    InvalidPublicKey,
    LyingEndpoint,
    MalformedTransaction,
    WrongNetwork,
    WrongSignature,
)
from hither.foreign.transport import JsonRpc

LAMPORTS_PER_SIGNATURE: Final = 5000
COMPUTE_UNITS_PER_INSTRUCTION: Final = 200_000
COMPUTE_UNITS_MAX: Final = 1_400_000
FINAL_CONFIRMATIONS: Final = 32
"""How many votes deep a block is when the chain calls it finalized."""

SOL: Final = Coin("SOL", 9)
AMOUNT_MAX: Final = 2**64 - 1

_TRANSFER_TAG: Final = (2).to_bytes(4, "little")
_COMMITMENT: Final = {"commitment": "confirmed"}
_NAMES: Final = {
    "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp": "Solana",
    "EtWTRABZaYq6iMfeYKouRu166VU2xqa1": "Solana devnet",
    "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z": "Solana testnet",
}


# Bytes in, bytes out


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """A transfer of lamports; ``is_legacy`` writes the message form that came before v0."""

    sender: Pubkey
    receiver: Pubkey
    lamports: int
    blockhash: Hash
    is_legacy: bool = False


def build_transfer_message(plan: TransferPlan) -> bytes:
    """What is signed."""
    payment = transfer(
        TransferParams(from_pubkey=plan.sender, to_pubkey=plan.receiver, lamports=plan.lamports)
    )
    if plan.is_legacy:
        return to_bytes_versioned(Message.new_with_blockhash([payment], plan.sender, plan.blockhash))
    return to_bytes_versioned(MessageV0.try_compile(plan.sender, [payment], [], plan.blockhash))


def decode_message(body: bytes) -> Message | MessageV0:
    """Legacy or v0, of exactly these bytes. Raises ``MalformedTransaction``."""
    if len(body) > EDDSA_MESSAGE_SIZE_MAX:
        raise MalformedTransaction(f"a message of {len(body)} bytes fits into no Solana packet")
    try:
        message = from_bytes_versioned(body)
        signatures = [SoldersSignature.default()] * message.header.num_required_signatures
        VersionedTransaction.populate(message, signatures).sanitize()
    except (ValueError, SanitizeError) as error:
        raise MalformedTransaction(f"not a Solana message: {error}") from None
    if not isinstance(message, Message | MessageV0) or to_bytes_versioned(message) != body:
        raise MalformedTransaction("not the bytes of a legacy or v0 message")
    return message


def attach_signatures(body: bytes, signatures: Sequence[bytes]) -> bytes:
    """The transaction as it is sent. Raises ``WrongSignature`` unless each is its signer's, over these bytes."""
    message = decode_message(body)
    wanted = message.header.num_required_signatures
    if len(signatures) != wanted:
        raise WrongSignature(f"{wanted} signatures are needed, {len(signatures)} were given")
    transaction = VersionedTransaction.populate(message, [SoldersSignature(item) for item in signatures])
    for key, is_good in zip(message.account_keys, transaction.verify_with_results(), strict=False):
        if not is_good:
            raise WrongSignature(f"the signature is not {key}'s, or for other bytes")
    return bytes(transaction)


def compute_fee_max(message: Message | MessageV0) -> int:
    """In lamports: the base fee, and the priority fee for all compute units that the message may use."""
    unit_limit: int | None = None
    unit_price = 0
    others = 0
    for instruction in message.instructions:
        data = bytes(instruction.data)
        if message.account_keys[instruction.program_id_index] != COMPUTE_BUDGET_PROGRAM:
            others += 1
        elif data[:1] == b"\2":
            unit_limit = int.from_bytes(data[1:5], "little")
        elif data[:1] == b"\3":
            unit_price = int.from_bytes(data[1:9], "little")
    if unit_limit is None:
        unit_limit = others * COMPUTE_UNITS_PER_INSTRUCTION
    priority = -(-min(unit_limit, COMPUTE_UNITS_MAX) * unit_price // 1_000_000)
    return LAMPORTS_PER_SIGNATURE * message.header.num_required_signatures + priority


def read_transfer(message: Message | MessageV0) -> Transfer | None:
    """What a message does that only moves lamports, once; None for any other."""
    keys = message.account_keys
    if isinstance(message, MessageV0) and message.address_table_lookups:
        return None
    payments = [
        instruction
        for instruction in message.instructions
        if keys[instruction.program_id_index] != COMPUTE_BUDGET_PROGRAM
    ]
    if len(payments) != 1 or not _is_payment(payments[0], keys):
        return None
    accounts, data = bytes(payments[0].accounts), bytes(payments[0].data)
    return Transfer(
        sender=str(keys[accounts[0]]),
        receiver=str(keys[accounts[1]]),
        amount=int.from_bytes(data[4:], "little"),
        fee_max=compute_fee_max(message),
    )


def _is_payment(instruction: CompiledInstruction, keys: Sequence[Pubkey]) -> bool:
    data = bytes(instruction.data)
    return (
        keys[instruction.program_id_index] == SYSTEM_PROGRAM
        and len(data) == 12
        and data[:4] == _TRANSFER_TAG
        and len(instruction.accounts) == 2
    )


class SolanaAdapter:
    """A Solana network behind one endpoint."""

    scheme: Final = Scheme.EDDSA
    coin: Final = SOL

    def __init__(self, chain: ChainId, rpc: JsonRpc) -> None:
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
        found = read_transfer(message)
        if found is not None:
            return format_transfer(found, SOL, self._name)
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

    async def build_transfer(self, public_key: bytes, receiver: str, amount: int) -> UnsignedTransaction:
        """A transfer that leaves both accounts with what the chain asks accounts to hold, or empty."""
        sender = Pubkey.from_string(self.derive_address(public_key))
        target = self._parse(receiver)
        if not 0 < amount <= AMOUNT_MAX:
            raise InvalidAmount(f"{amount} lamports cannot be sent")
        _, balance, received, rent, blockhash = await asyncio.gather(
            self._check_chain(),
            self.fetch_balance(str(sender)),
            self.fetch_balance(str(target)),
            self._rpc.call("getMinimumBalanceForRentExemption", [0]),
            self._fetch_blockhash(),
        )
        rent = _read_number(rent)
        body = build_transfer_message(TransferPlan(sender, target, amount, blockhash))
        needed = amount + compute_fee_max(decode_message(body))
        if balance < needed:
            raise InsufficientFunds(
                f"{sender} has {SOL.format(balance)} on {self._name}; "
                f"{SOL.format(needed)} are needed, fee included",
                balance=balance,
                needed=needed,
            )
        if target != sender and received + amount < rent:
            raise InvalidAmount(
                f"{target} would hold {SOL.format(received + amount)}; accounts hold at least {SOL.format(rent)}"
            )
        if 0 < balance - needed < rent and target != sender:
            raise InvalidAmount(
                f"{sender} would keep {SOL.format(balance - needed)}; accounts hold at least {SOL.format(rent)}",
                hint=f"send all but the fee, {balance - needed + amount} lamports, or less",
            )
        return UnsignedTransaction(self._chain, public_key, body)

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
        if found != signed.transaction_id:
            raise LyingEndpoint(f"{self._rpc.host} calls {signed.transaction_id} {found!r}")

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        """From the endpoint's statuses; without one, from the age of the blockhash."""
        message = self._must_be_ours(signed)
        status = await self._fetch_signature_status(signed)
        if status is None:
            params = [str(message.recent_blockhash), _COMMITMENT]
            if _read_value(await self._rpc.call("isBlockhashValid", params)):
                return TransactionStatus(State.UNKNOWN)
            # Too old to come now; it may have come since we asked.
            status = await self._fetch_signature_status(signed)
            if status is None:
                return TransactionStatus(State.DROPPED)
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


def _read_value(answer: Any) -> Any:
    """What an answer holds beside the slot that it was read at."""
    if not isinstance(answer, dict) or "value" not in answer:
        raise LyingEndpoint(f"not an answer with a value: {answer!r}")
    return answer["value"]


def _read_number(found: Any) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise LyingEndpoint(f"not a number: {found!r}")
    return found
