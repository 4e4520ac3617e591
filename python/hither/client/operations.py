"""What a client does, as flows: reads, view calls, and sending with nonces and retries.

``Session`` holds what is shared between operations of one client: the policy, the cached block
hash, the protocol of sending. It performs no I/O.
"""

import contextlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, Final

import msgspec

from hither.client.actions import Args, encode_args, parse_account_id, parse_public_key
from hither.client.errors import (
    ClientError,
    ContractFailed,
    ExecutionFailed,
    InvalidRequest,
    InvalidTransaction,
    RequestTimeout,
    TransactionTimeout,
    TransportError,
    UnknownAccessKey,
    UnknownTransaction,
)
from hither.client.flow import AskTime, Flow, Pause, RetryPolicy, TakeTurn, call
from hither.client.results import (
    AccessKeyState,
    AccountState,
    BlockSummary,
    CallResult,
    Code,
    TransactionResult,
    read_permission,
)
from hither.client.signer import Lane, Signer
from hither.codec import base58
from hither.crypto.keys import PublicKey, public_key_to_str
from hither.primitives.action import Action, Delegate
from hither.primitives.transaction import SignedTransaction, encode_signed_transaction
from hither.primitives.types import AccountId, CryptoHash

BLOCK_HASH_AGE_SECONDS_MAX: Final = 30.0
DEFAULT_WAIT_SECONDS: Final = 60.0
QUICK_SIGN_ATTEMPTS: Final = 8
"""After so many there are pauses between attempts."""
DELEGATE_LIFE_BLOCKS: Final = 200


class WaitUntil(Enum):
    """How far a transaction must have come before ``send`` returns."""

    NONE = "NONE"
    """The node has taken it."""
    INCLUDED = "INCLUDED"
    """It is in a block."""
    EXECUTED_OPTIMISTIC = "EXECUTED_OPTIMISTIC"
    """All that came of it but refunds has run; the blocks may not be final."""
    INCLUDED_FINAL = "INCLUDED_FINAL"
    """The block that it is in is final."""
    EXECUTED = "EXECUTED"
    """All but refunds has run, and the block that it is in is final."""
    FINAL = "FINAL"
    """Every block that it or something that came of it is in is final."""


class Finality(Enum):
    """Which head a read is about."""

    OPTIMISTIC = "optimistic"
    """The newest block."""
    NEAR_FINAL = "near-final"
    """The newest block that one more block follows."""
    FINAL = "final"
    """The newest block that nothing takes away again."""


At = Finality | int | str
"""A finality, a height, or a block hash."""


def _reference(at: At) -> dict[str, Any]:
    return {"finality": at.value} if isinstance(at, Finality) else {"block_id": at}


def tell_nobody(_signed: SignedTransaction) -> None:
    """For senders that keep no journal."""


class SendOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to send: how far to wait, and for how long at most.

    ``on_signed`` gets each transaction before it leaves, so that a journal can ask for it after a crash. There are
    several when one had to be signed again; only the last can run.
    """

    wait_until: WaitUntil = WaitUntil.EXECUTED_OPTIMISTIC
    timeout_seconds: float = DEFAULT_WAIT_SECONDS
    raise_on_failure: bool = True
    on_signed: Callable[[SignedTransaction], None] = tell_nobody


class Session:
    """Shared by the operations of one client."""

    def __init__(self, policy: RetryPolicy | None = None) -> None:
        self.policy = policy or RetryPolicy()
        self._block_hash: CryptoHash | None = None
        self._block_hash_time = 0.0

    # Reads

    def read(self, method: str, params: Any) -> Flow[Any]:
        """A request that changes nothing."""
        return (yield from call(method, params, self.policy))

    def query(self, request_type: str, at: At, **params: Any) -> Flow[Any]:
        """A read of state; errors that come as results are raised."""
        answer = yield from self.read("query", {"request_type": request_type, **_reference(at), **params})
        if isinstance(answer, dict) and "error" in answer:
            text = str(answer["error"])
            if request_type == "call_function":
                raise ContractFailed(text, answer.get("block_height"))
            body = {"name": "HANDLER_ERROR", "cause": {"name": "UNKNOWN_ACCESS_KEY"}, "data": text}
            raise UnknownAccessKey(body, 200)
        return answer

    def get_account(self, account_id: str, at: At) -> Flow[AccountState]:
        """The account. Raises ``UnknownAccount``."""
        answer = yield from self.query("view_account", at, account_id=parse_account_id(account_id))
        return msgspec.convert(answer, AccountState, strict=False)

    def get_access_key(self, account_id: str, key: PublicKey | str, at: At) -> Flow[AccessKeyState]:
        """One key. Raises ``UnknownAccessKey``."""
        text = public_key_to_str(parse_public_key(key))
        answer = yield from self.query(
            "view_access_key", at, account_id=parse_account_id(account_id), public_key=text
        )
        return AccessKeyState(answer["nonce"], read_permission(answer["permission"]))

    def get_access_keys(self, account_id: str, at: At) -> Flow[dict[str, AccessKeyState]]:
        """All keys, by their text; in pages where the node wants that."""
        found: dict[str, AccessKeyState] = {}
        page: dict[str, Any] = {}
        while True:
            try:
                answer = yield from self.query(
                    "view_access_key_list", at, account_id=parse_account_id(account_id), **page
                )
            except ClientError as error:
                if error.code != "TOO_MANY_ACCESS_KEYS" or page:
                    raise
                page = {"limit": 100}
                continue
            for item in answer["keys"]:
                state = item["access_key"]
                permission = read_permission(state["permission"])
                found[item["public_key"]] = AccessKeyState(state["nonce"], permission)
            if answer.get("last_key") is None:
                return found
            at = answer["block_hash"]
            page = {"limit": 100, "after_key": answer["last_key"]}

    def get_code(self, account_id: str, at: At) -> Flow[Code]:
        """The code that an account runs."""
        answer = yield from self.query("view_code", at, account_id=parse_account_id(account_id))
        return Code(b64decode(answer["code_base64"]), answer["hash"])

    def get_state(self, account_id: str, prefix: bytes, at: At) -> Flow[dict[bytes, bytes]]:
        """A contract's own records, by key."""
        encoded = b64encode(prefix).decode()
        answer = yield from self.query(
            "view_state", at, account_id=parse_account_id(account_id), prefix_base64=encoded
        )
        return {b64decode(item["key"]): b64decode(item["value"]) for item in answer["values"]}

    def view(self, contract_id: str, method: str, args: Args, at: At) -> Flow[CallResult]:
        """Call a method that cannot write. Raises ``ContractFailed``."""
        answer = yield from self.query(
            "call_function",
            at,
            account_id=parse_account_id(contract_id),
            method_name=method,
            args_base64=b64encode(encode_args(args)).decode(),
        )
        value, logs = bytes(answer["result"]), tuple(answer["logs"])
        return CallResult(value, logs, answer["block_height"], answer["block_hash"])

    def get_block(self, at: At) -> Flow[BlockSummary]:
        """Height, hash, time and gas price of a block."""
        answer = yield from self.read("block", _reference(at))
        header = answer["header"]
        return BlockSummary(
            header["height"], header["hash"], int(header["timestamp_nanosec"]), int(header["gas_price"])
        )

    # Sending

    def _get_cached_block_hash(self) -> Flow[CryptoHash | None]:
        """The one asked for last, while it is fresh."""
        now = yield AskTime()
        return self._block_hash if now - self._block_hash_time <= BLOCK_HASH_AGE_SECONDS_MAX else None

    def _get_recent_block_hash(self) -> Flow[CryptoHash]:
        """A final block's hash."""
        cached = yield from self._get_cached_block_hash()
        if cached is not None:
            return cached
        block = yield from self.get_block(Finality.FINAL)
        self._block_hash = CryptoHash(base58.decode(block.hash, 32))
        self._block_hash_time = yield AskTime()
        return self._block_hash

    def forget_block_hash(self) -> None:
        """Ask for a fresh one next time."""
        self._block_hash = None

    def _prepare_lane(self, signer: Signer, lane: Lane) -> Flow[None]:
        """Ask the chain for the lane's nonce unless it is known."""
        if lane.nonce is not None:
            return
        if lane.nonce_index is None:
            state = yield from self.get_access_key(signer.account_id, lane.public_key, Finality.OPTIMISTIC)
            lane.observe(state.nonce)
            return
        key = public_key_to_str(lane.public_key)
        answer = yield from self.query(
            "view_gas_key_nonces", Finality.OPTIMISTIC, account_id=signer.account_id, public_key=key
        )
        lane.observe(answer["nonces"][lane.nonce_index])

    def send(
        self, signer: Signer, receiver_id: str, actions: Sequence[Action], options: SendOptions
    ) -> Flow[TransactionResult]:
        """Sign and send; a nonce that was too low or an expired block hash is replaced and signed again.

        That is safe: a transaction with a used nonce or an expired block hash can never run.
        """
        receiver = parse_account_id(receiver_id)
        if not actions:
            raise InvalidRequest("a transaction needs an action")
        lane = signer.choose_lane()
        started = yield AskTime()
        attempt = 0
        with _counted(lane):
            while True:
                attempt += 1
                signed, is_announced = yield from self._sign(signer, lane, receiver, actions, options)
                try:
                    return (yield from self.submit(signed, options, is_announced=is_announced))
                except InvalidTransaction as error:
                    found = yield from self._recover(error, lane, signed, options)
                    if found is not None:
                        return found
                    now = yield AskTime()
                    if now - started >= options.timeout_seconds:
                        raise
                if attempt > QUICK_SIGN_ATTEMPTS:
                    yield Pause(self.policy.get_pause(attempt - QUICK_SIGN_ATTEMPTS))

    def _sign(
        self,
        signer: Signer,
        lane: Lane,
        receiver_id: AccountId,
        actions: Sequence[Action],
        options: SendOptions,
    ) -> Flow[tuple[SignedTransaction, bool]]:
        """A signed transaction, and whether the node has it already.

        Several that are sent at once may overtake each other. Usually that does no harm, because they come
        into the same block; once it did, or where nobody would be told, they are brought to the node in turn.
        """
        block_hash = yield from self._get_cached_block_hash()
        is_ordered = lane.is_ordered or options.wait_until is WaitUntil.NONE
        if not is_ordered and lane.nonce is not None and block_hash is not None:
            signed = signer.sign_transaction(lane, lane.take(), receiver_id, block_hash, actions)
            options.on_signed(signed)
            return signed, False
        end_turn = yield TakeTurn(lane)
        try:
            yield from self._prepare_lane(signer, lane)
            block_hash = yield from self._get_recent_block_hash()
            signed = signer.sign_transaction(lane, lane.take(), receiver_id, block_hash, actions)
            options.on_signed(signed)
            if is_ordered:
                params = {"signed_tx_base64": _encode(signed), "wait_until": WaitUntil.NONE.value}
                yield from call("send_tx", params, self.policy)
        finally:
            end_turn()
        return signed, is_ordered

    def _recover(
        self, error: InvalidTransaction, lane: Lane, signed: SignedTransaction, options: SendOptions
    ) -> Flow[TransactionResult | None]:
        """Prepare for signing again, or find the transaction after all. Raises what signing cannot cure."""
        if error.kind == "Expired":
            self.forget_block_hash()
            return None
        if error.kind != "InvalidNonce":
            raise error
        chain_nonce = error.fields.get("ak_nonce")
        if not isinstance(chain_nonce, int):
            raise error
        lane.observe(chain_nonce)
        lane.is_ordered = lane.in_flight > 1
        if not error.was_sent_before:
            return None
        # An earlier request whose answer was lost may be what used the nonce.
        try:
            return (
                yield from self.wait_for(base58.encode(signed.hash), signed.transaction.signer_id, options)
            )
        except UnknownTransaction:
            return None

    def submit(
        self, signed: SignedTransaction, options: SendOptions, *, is_announced: bool = False
    ) -> Flow[TransactionResult]:
        """Send a signed transaction, as often as needed: a node takes it again without effect.

        One that the node ``is_announced`` to is asked about instead, which tells refusals as well.
        """
        transaction_hash = base58.encode(signed.hash)
        if is_announced and options.wait_until is WaitUntil.NONE:
            return TransactionResult({"final_execution_status": "NONE"}, transaction_hash)
        method = "tx" if is_announced else "send_tx"
        params = {"signed_tx_base64": _encode(signed), "wait_until": options.wait_until.value}
        started = yield AskTime()
        is_repeated = is_announced
        while True:
            try:
                answer = yield from call(method, params, self.policy)
            except RequestTimeout:
                now = yield AskTime()
                if now - started >= options.timeout_seconds:
                    raise TransactionTimeout(transaction_hash) from None
                is_repeated = True
                continue
            except InvalidTransaction as error:
                error.was_sent_before |= is_repeated
                raise
            return _finish(TransactionResult(answer, transaction_hash), options)

    def wait_for(
        self, transaction_hash: str, sender_id: str, options: SendOptions
    ) -> Flow[TransactionResult]:
        """The result of a transaction sent before, once it has come as far as asked. Raises ``UnknownTransaction``."""
        params = {"tx_hash": transaction_hash, "sender_account_id": parse_account_id(sender_id)}
        known = yield from self.read("tx", {**params, "wait_until": "NONE"})
        result = TransactionResult(known, transaction_hash)
        if _is_as_far_as(result.status, options.wait_until):
            return _finish(result, options)
        started = yield AskTime()
        while True:
            try:
                answer = yield from self.read("tx", {**params, "wait_until": options.wait_until.value})
            except RequestTimeout:
                now = yield AskTime()
                if now - started >= options.timeout_seconds:
                    raise TransactionTimeout(transaction_hash) from None
                continue
            return _finish(TransactionResult(answer, transaction_hash), options)

    # Meta-transactions

    def delegate(
        self, signer: Signer, receiver_id: str, actions: Sequence[Action], life_blocks: int
    ) -> Flow[Delegate]:
        """Sign actions for somebody else to submit; they are valid for so many blocks from now."""
        lane = signer.choose_lane()
        yield from self._prepare_lane(signer, lane)
        block = yield from self.get_block(Finality.OPTIMISTIC)
        receiver = parse_account_id(receiver_id)
        return signer.sign_delegate(lane, lane.take(), receiver, actions, block.height + life_blocks)

    def relay(self, relayer: Signer, delegate: Delegate, options: SendOptions) -> Flow[TransactionResult]:
        """Submit somebody's delegate action and pay for it."""
        receiver: AccountId = delegate.delegate_action.sender_id
        return (yield from self.send(relayer, receiver, [delegate], options))


_RANK: Final = {
    "NONE": 0,
    "INCLUDED": 1,
    "EXECUTED_OPTIMISTIC": 2,
    "INCLUDED_FINAL": 3,
    "EXECUTED": 4,
    "FINAL": 5,
}


def _is_as_far_as(status: str, wanted: WaitUntil) -> bool:
    """Final inclusion says nothing about execution."""
    if wanted is WaitUntil.EXECUTED_OPTIMISTIC and status == "INCLUDED_FINAL":
        return False
    return _RANK.get(status, 0) >= _RANK[wanted.value]


def _encode(signed: SignedTransaction) -> str:
    return b64encode(encode_signed_transaction(signed)).decode()


def _finish(result: TransactionResult, options: SendOptions) -> TransactionResult:
    if options.raise_on_failure and result.failure is not None:
        raise ExecutionFailed(result.failure, result)
    return result


@contextlib.contextmanager
def _counted(lane: Lane) -> Iterator[None]:
    """One more transaction of this lane is on its way."""
    lane.in_flight += 1
    try:
        yield
    finally:
        lane.in_flight -= 1
        if lane.in_flight == 0:
            lane.is_ordered = False


def is_outcome_unknown(error: BaseException) -> bool:
    """Whether a transaction may run in spite of this error."""
    return isinstance(error, TransportError | TransactionTimeout | RequestTimeout)
