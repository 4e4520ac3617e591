"""How one transfer goes on when something is lost: a chain, a signing network and a journal made of plain objects."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hither.client import InvalidTransaction, Signer, TransactionResult, UnknownTransaction
from hither.codec import base58
from hither.crypto.signing import secret_key_from_seed
from hither.foreign.adapter import (
    EddsaSignature,
    Payload,
    Scheme,
    Signature,
    SignedTransaction,
    State,
    TransactionStatus,
    UnsignedTransaction,
)
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_addresses import REGTEST
from hither.foreign.caip import ChainId
from hither.foreign.errors import (
    BroadcastRefused,
    FinalityTimeout,
    InsufficientFunds,
    TransactionFailed,
    TransportError,
)
from hither.mpc.client import Signed
from hither.primitives import transaction as wire
from hither.primitives.types import ED25519, AccountId, CryptoHash, Nonce
from hither.sdk.amounts import round_up
from hither.sdk.events import say_nothing
from hither.sdk.home_transfers import HomeTransfer
from hither.sdk.journal import Entry, Journal
from hither.sdk.transfers import Means, Transfer
from hither.sdk.work import NotOnThisChain

KEY = b"\x07" * 32
HOME = ChainId("near", "localnet")
DEED = {"kind": "send", "receiver": "bob", "amount": 5}
SIGNER = Signer("alice.near", secret_key_from_seed(ED25519, KEY))


@dataclass
class FakeChain:
    """An adapter whose chain does what a test says. ``verdicts`` answer the first broadcasts; then all are taken."""

    chain: ChainId
    verdicts: list[Exception] = field(default_factory=list)
    dropped: set[bytes] = field(default_factory=set)
    failure: str | None = None
    balance: int = 100
    built: int = 0
    taken: list[bytes] = field(default_factory=list)
    scheme: Scheme = Scheme.EDDSA

    def derive_address(self, _key: bytes) -> str:
        return "alice"

    def list_payloads(self, unsigned: UnsignedTransaction) -> tuple[Payload, ...]:
        return (Payload(Scheme.EDDSA, 1, unsigned.body),)

    def attach(self, unsigned: UnsignedTransaction, signatures: Sequence[Signature]) -> SignedTransaction:
        (signature,) = signatures
        assert isinstance(signature, EddsaSignature)
        raw = unsigned.body + signature.signature
        return SignedTransaction(self.chain, hashlib.sha256(raw).hexdigest(), raw)

    def describe(self, _unsigned: UnsignedTransaction) -> str:
        return "Send 5."

    async def build_transfer(self, key: bytes, _receiver: str, amount: int) -> UnsignedTransaction:
        if amount > self.balance:
            raise InsufficientFunds("too little", balance=self.balance, needed=amount)
        self.built += 1
        return UnsignedTransaction(self.chain, key, b"transaction %d" % self.built)

    async def broadcast(self, signed: SignedTransaction) -> None:
        if self.verdicts:
            raise self.verdicts.pop(0)
        self.taken.append(signed.raw)

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        if any(signed.raw.startswith(body) for body in self.dropped):
            return TransactionStatus(State.DROPPED, has_expired=self.chain.namespace == "solana")
        if signed.raw in self.taken:
            return TransactionStatus(State.FINAL, 1, 9, 2, self.failure)
        return TransactionStatus(State.UNKNOWN)


class FakeSigning:
    """Signs as the network does: a request is a transaction of ours, whose answer can be read again."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, bytes] = {}
        self.is_answer_lost = False
        self.refusal: InvalidTransaction | None = None

    async def derive_key(self, *_arguments: Any) -> bytes:
        return KEY

    async def sign(self, signer: Signer, _path: str, payload: Any, _domain_id: int, on_signed: Any) -> Signed:
        lane = signer.lanes[0]
        block_hash = CryptoHash(bytes(32))
        nonce = Nonce(len(self.asked) + 1)
        request = signer.sign_transaction(lane, nonce, AccountId("signer.near"), block_hash, ())
        on_signed(request)
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(str(len(self.asked)))
        signature = hashlib.sha512(payload.message + bytes([len(self.asked)])).digest()
        self.answers[request.hash.hex()] = signature
        if self.is_answer_lost:
            raise TransportError("the answer was lost")
        return Signed(EddsaSignature(signature), f"request {len(self.asked)}")

    async def read_answer(self, result: TransactionResult, *_arguments: Any) -> Signed:
        return Signed(EddsaSignature(self.answers[result.hash]), result.hash)


class FakeClient:
    """Our chain: it knows the requests that arrived."""

    def __init__(self, signing: FakeSigning) -> None:
        self.signing = signing
        self.forgets = False
        self.submitted = 0

    async def wait_for(self, hash_: str, _account_id: str) -> TransactionResult:
        key = base58.decode(hash_).hex()
        if self.forgets or key not in self.signing.answers:
            raise UnknownTransaction({"cause": {"name": "UNKNOWN_TRANSACTION"}}, 200)
        return TransactionResult({}, key)

    async def submit(self, signed: wire.SignedTransaction) -> TransactionResult:
        self.submitted += 1
        return TransactionResult({}, signed.hash.hex())


@dataclass
class Stage:
    """One transfer on a chain of a family."""

    journal: Journal
    chain: FakeChain
    signing: FakeSigning
    client: FakeClient
    entry: Entry

    def open(self) -> Transfer:
        means = Means(self.client, self.signing, SIGNER, HOME, 0.0)  # type: ignore[arg-type]
        return Transfer(means, self.chain, self.entry, say_nothing)  # type: ignore[arg-type]

    def again(self) -> Transfer:
        """As another process would."""
        transfer_id = self.entry.record.id
        self.entry.close()
        self.entry = self.journal.open(transfer_id)
        return self.open()


def make_stage(folder: Path, family: str) -> Stage:
    journal, signing = Journal(folder, "alice.near"), FakeSigning()
    chain = FakeChain(ChainId(family, "1"))
    return Stage(
        journal, chain, signing, FakeClient(signing), journal.begin(chain.chain, "path", dict(DEED), None)
    )


async def perform(transfer: Transfer) -> Any:
    await transfer.bring_to_chain()
    return await transfer.follow()


def test_expired_bytes_are_built_anew_on_solana(tmp_path: Path) -> None:
    """What was signed before the blockhash was too old can never come; the same deed is signed under a new one."""
    stage = make_stage(tmp_path, "solana")
    stage.chain.verdicts = [BroadcastRefused("BlockhashNotFound")]
    stage.chain.dropped = {b"transaction 1"}
    asyncio.run(perform(stage.open()))
    assert [raw[:13] for raw in stage.chain.taken] == [b"transaction 2"]
    assert len(stage.signing.asked) == 2
    assert stage.entry.record.step == "final"


@pytest.mark.parametrize("family", ["eip155", "bip122"])
def test_dropped_bytes_are_never_built_anew_elsewhere(tmp_path: Path, family: str) -> None:
    """Something else has their nonce or coins, perhaps this very transfer with a higher fee."""
    stage = make_stage(tmp_path, family)
    stage.chain.verdicts = [BroadcastRefused("nonce too low")]
    stage.chain.dropped = {b"transaction 1"}
    with pytest.raises(BroadcastRefused):
        asyncio.run(perform(stage.open()))
    assert (stage.chain.built, stage.chain.taken, stage.entry.record.step) == (1, [], "dropped")


def test_refusal_that_may_pass_leaves_the_bytes(tmp_path: Path) -> None:
    """A full pool: the next attempt sends the same transaction, and asks for no further signature."""
    stage = make_stage(tmp_path, "eip155")
    stage.chain.verdicts = [BroadcastRefused("the pool is full"), TransportError("away")]
    for error in (BroadcastRefused, TransportError):
        with pytest.raises(error):
            asyncio.run(perform(stage.again()))
    asyncio.run(perform(stage.again()))
    assert (stage.chain.built, len(stage.chain.taken), len(stage.signing.asked)) == (1, 1, 1)


def test_what_nodes_have_forgotten_is_sent_again(tmp_path: Path) -> None:
    """They took it, and ended before a block had it: the same bytes, and only where nobody knows them."""
    stage = make_stage(tmp_path, "eip155")
    asyncio.run(stage.open().bring_to_chain())
    asyncio.run(stage.again().bring_to_chain())
    assert len(stage.chain.taken) == 1
    (raw,) = stage.chain.taken
    stage.chain.taken.clear()
    with pytest.raises(FinalityTimeout):
        asyncio.run(stage.again().follow())
    stage.chain.verdicts = [BroadcastRefused("the pool is full")]
    with pytest.raises(FinalityTimeout):
        asyncio.run(perform(stage.again()))
    asyncio.run(perform(stage.again()))
    assert (stage.chain.taken, stage.chain.built, len(stage.signing.asked)) == ([raw], 1, 1)
    stage.chain.taken.clear()
    asyncio.run(stage.again().bring_to_chain())
    assert stage.chain.taken == []


def test_lost_answer_is_read_again(tmp_path: Path) -> None:
    """The request arrived, its answer did not: it is not asked twice."""
    stage = make_stage(tmp_path, "eip155")
    stage.signing.is_answer_lost = True
    with pytest.raises(TransportError):
        asyncio.run(perform(stage.open()))
    stage.signing.is_answer_lost = False
    asyncio.run(perform(stage.again()))
    assert (len(stage.signing.asked), stage.client.submitted, len(stage.chain.taken)) == (1, 0, 1)


def test_request_that_did_not_leave_is_sent_as_it_was(tmp_path: Path) -> None:
    """The very same transaction of ours, which cannot run twice."""
    stage = make_stage(tmp_path, "eip155")
    stage.signing.is_answer_lost = True
    with pytest.raises(TransportError):
        asyncio.run(perform(stage.open()))
    stage.client.forgets = True
    asyncio.run(perform(stage.again()))
    assert (len(stage.signing.asked), stage.client.submitted, len(stage.chain.taken)) == (1, 1, 1)


def test_what_cannot_be_paid_ends_before_anything_is_built(tmp_path: Path) -> None:
    """Nothing hangs that would be sent later by surprise."""
    stage = make_stage(tmp_path, "eip155")
    stage.chain.balance = 4
    with pytest.raises(InsufficientFunds):
        asyncio.run(perform(stage.open()))
    assert stage.entry.record.step == "abandoned"
    assert stage.signing.asked == []


def test_included_without_effect_is_an_end(tmp_path: Path) -> None:
    """It was paid for; another attempt would be another transfer."""
    stage = make_stage(tmp_path, "eip155")
    stage.chain.failure = "reverted"
    with pytest.raises(TransactionFailed):
        asyncio.run(perform(stage.open()))
    assert stage.entry.record.step == "failed"


def make_refusal(reason: Any) -> InvalidTransaction:
    """As a node writes it."""
    return InvalidTransaction({"data": {"TxExecutionError": {"InvalidTxError": reason}}}, 200)


POOR = {"NotEnoughBalance": {"signer_id": "alice.near", "balance": str(10**24), "cost": str(3 * 10**24)}}


def test_request_that_cannot_be_paid_leaves_nothing_to_happen_later(tmp_path: Path) -> None:
    """Nothing was signed. A person would be surprised to see it sent before the next transfer, when there is money."""
    stage = make_stage(tmp_path, "eip155")
    stage.signing.refusal = make_refusal(POOR)
    with pytest.raises(
        InsufficientFunds, match=r"alice\.near has 1 N on near:localnet; 3 N are needed"
    ) as told:
        asyncio.run(perform(stage.open()))
    assert told.value.hint == "2 N more are needed on alice.near"
    assert (stage.entry.record.step, stage.signing.asked, stage.chain.taken) == ("abandoned", [], [])


@pytest.mark.parametrize(("reason", "was_sent_before"), [("ShardCongested", False), ("InvalidChain", True)])
def test_request_that_may_have_arrived_stays_open(tmp_path: Path, reason: str, was_sent_before: bool) -> None:
    """A refusal that passes, or one of a second sending whose first may have run: it is finished, once."""
    stage = make_stage(tmp_path, "eip155")
    stage.signing.refusal = make_refusal({reason: {}})
    stage.signing.refusal.was_sent_before = was_sent_before
    with pytest.raises(InvalidTransaction):
        asyncio.run(perform(stage.open()))
    assert stage.entry.record.step == "asked"
    (asked,) = stage.entry.record.asked.values()
    stage.signing.refusal = None
    # It arrived meanwhile, by the same bytes.
    stage.signing.answers[base58.decode(asked[0]).hex()] = hashlib.sha512(b"signed").digest()
    asyncio.run(perform(stage.again()))
    assert (stage.entry.record.step, len(stage.chain.taken), stage.signing.asked) == ("final", 1, [])


@pytest.mark.parametrize(("reason", "step"), [(POOR, "abandoned"), ({"ShardCongested": {}}, "intended")])
def test_transfer_at_home_that_is_refused_has_ended(tmp_path: Path, reason: Any, step: str) -> None:
    """Unless the refusal passes: then it is tried again."""

    class RefusingClient:
        async def send(self, *_arguments: Any, **_options: Any) -> None:
            raise make_refusal(reason)

    entry = Journal(tmp_path, "alice.near").begin(HOME, "", dict(DEED, receiver="bob.near"), None)
    work = HomeTransfer(RefusingClient(), SIGNER, entry, say_nothing)  # type: ignore[arg-type]
    with pytest.raises(InsufficientFunds if step == "abandoned" else InvalidTransaction):
        asyncio.run(work.bring_to_chain())
    assert entry.record.step == step
    entry.close()


@pytest.mark.parametrize(
    ("amount", "least"), [(1, 1), (99, 99), (100, 100), (101, 110), (5_000_042, 5_100_000)]
)
def test_amounts_to_fund_are_rounded_up(amount: int, least: int) -> None:
    """In two digits, never less."""
    assert round_up(amount) == least >= amount


# Fees that are raised


class FakeBump(BitcoinAdapter):
    """A bitcoin adapter whose chain does what a test says: what waits, waits until a test lets it come."""

    def __init__(self) -> None:
        super().__init__(REGTEST.chain, None)  # type: ignore[arg-type]
        self.inner = FakeChain(REGTEST.chain)
        self.waiting: list[bytes] = []
        self.come: bytes | None = None
        self.refuses = False
        self.bumps = 0

    def derive_address(self, _key: bytes) -> str:
        return "alice"

    def describe(self, _unsigned: UnsignedTransaction) -> str:
        return "Send 5."

    def list_payloads(self, unsigned: UnsignedTransaction) -> tuple[Payload, ...]:
        return self.inner.list_payloads(unsigned)

    def attach(self, unsigned: UnsignedTransaction, signatures: Sequence[Signature]) -> SignedTransaction:
        return self.inner.attach(unsigned, signatures)

    async def build_transfer(self, key: bytes, receiver: str, amount: int) -> UnsignedTransaction:
        return await self.inner.build_transfer(key, receiver, amount)

    async def bump(self, unsigned: UnsignedTransaction, rate: int = 0) -> UnsignedTransaction:
        assert rate == 0
        self.bumps += 1
        return UnsignedTransaction(self.chain, unsigned.public_key, unsigned.body + b" bumped")

    async def broadcast(self, signed: SignedTransaction) -> None:
        if self.refuses or self.come is not None:
            raise BroadcastRefused("too little more")
        self.waiting = [signed.raw]

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        if self.come is not None:
            is_this = signed.raw == self.come
            return TransactionStatus(State.FINAL, 1, 9, 2) if is_this else TransactionStatus(State.DROPPED)
        return TransactionStatus(State.PENDING if signed.raw in self.waiting else State.UNKNOWN)


def make_waiting(folder: Path) -> tuple[Stage, FakeBump]:
    """A transfer that was sent and is in no block."""
    stage = make_stage(folder, "bip122")
    chain = FakeBump()
    stage.chain = chain  # type: ignore[assignment]
    stage.entry.record.chain = chain.chain
    asyncio.run(stage.open().bring_to_chain())
    with pytest.raises(FinalityTimeout) as caught:
        asyncio.run(stage.open().follow())
    assert f"bump('{stage.entry.record.id}')" in str(caught.value.hint)
    return stage, chain


def test_higher_fee_takes_the_place_of_what_waits(tmp_path: Path) -> None:
    """Twice; the last is the one that comes, and what asked for its signatures stands in the end."""
    stage, chain = make_waiting(tmp_path)
    for _ in range(2):
        asyncio.run(stage.again().bump())
    (chain.come,) = chain.waiting
    assert chain.come.startswith(b"transaction 1 bumped bumped")
    sent = asyncio.run(stage.again().follow())
    assert sent.transaction_id == hashlib.sha256(chain.come).hexdigest()
    assert (sent.sign_transactions, len(stage.signing.asked), chain.inner.built) == (("request 3",), 3, 1)


def test_first_that_comes_after_all_is_the_transfer(tmp_path: Path) -> None:
    """Not the one with the higher fee: it has its own id and its own signatures."""
    stage, chain = make_waiting(tmp_path)
    (first,) = chain.waiting
    asyncio.run(stage.again().bump())
    chain.come = first
    sent = asyncio.run(stage.again().follow())
    assert (sent.transaction_id, sent.sign_transactions) == (
        hashlib.sha256(first).hexdigest(),
        ("request 1",),
    )


def test_refused_fee_leaves_the_first_where_it_was(tmp_path: Path) -> None:
    """It is told, and both are followed from then on."""
    stage, chain = make_waiting(tmp_path)
    (first,) = chain.waiting
    chain.refuses = True
    with pytest.raises(BroadcastRefused):
        asyncio.run(stage.again().bump())
    assert (stage.entry.record.step, len(stage.entry.record.attempts)) == ("broadcast", 2)
    chain.come = first
    assert asyncio.run(stage.again().follow()).transaction_id == hashlib.sha256(first).hexdigest()


def test_nothing_is_signed_for_a_fee_that_is_not_needed_any_more(tmp_path: Path) -> None:
    """The first came while the second was built, or before anybody asked for it."""
    stage, chain = make_waiting(tmp_path)
    (chain.come,) = chain.waiting
    asyncio.run(stage.again().bump())
    assert (chain.bumps, len(stage.signing.asked)) == (0, 1)

    stage, chain = make_waiting(tmp_path / "other")
    (first,) = chain.waiting
    stage.signing.is_answer_lost = True
    with pytest.raises(TransportError):
        asyncio.run(stage.again().bump())
    chain.come = first
    asyncio.run(perform(stage.again()))
    assert (stage.entry.record.step, len(stage.signing.asked)) == ("final", 2)


def test_fees_are_raised_where_only_one_can_come(tmp_path: Path) -> None:
    """Elsewhere the second would be a second payment."""
    stage = make_stage(tmp_path, "solana")
    asyncio.run(stage.open().bring_to_chain())
    with pytest.raises(NotOnThisChain, match="another's place"):
        asyncio.run(stage.again().bump())
    assert len(stage.signing.asked) == 1
