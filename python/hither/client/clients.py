"""The two clients: ``Client`` blocks, ``AsyncClient`` awaits. Both drive the same operations."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import httpx

from hither.client.actions import (
    DEFAULT_GAS,
    Amount,
    Args,
    add_full_access_key,
    create_account,
    function_call,
    transfer,
)
from hither.client.actions import deploy as deploy_action
from hither.client.errors import ClientError, InvalidRequest, TransportError
from hither.client.flow import (
    AskTime,
    Call,
    Effect,
    Flow,
    Pause,
    RetryPolicy,
    TakeTurn,
    call,
    decode_answer,
    encode_request,
)
from hither.client.operations import (
    DEFAULT_WAIT_SECONDS,
    DELEGATE_LIFE_BLOCKS,
    At,
    Finality,
    SendOptions,
    Session,
    WaitUntil,
    tell_nobody,
)
from hither.client.results import (
    AccessKeyState,
    AccountState,
    BlockSummary,
    CallResult,
    Code,
    TransactionResult,
)
from hither.client.signer import Lane, Signer
from hither.codec.address import hide_secrets
from hither.crypto.keys import PublicKey
from hither.primitives.action import Action, Delegate
from hither.primitives.transaction import SignedTransaction

T = TypeVar("T")

NETWORKS: Final = {
    "mainnet": "https://free.rpc.fastnear.com",
    "testnet": "https://test.rpc.fastnear.com",
    "localnet": "http://127.0.0.1:3030",
}
"""Names that may stand for a URL."""

REQUEST_TIMEOUT_SECONDS: Final = 30.0
CONNECTIONS_MAX: Final = 100
_HEADERS: Final = {"content-type": "application/json"}
_TIMEOUT: Final = httpx.Timeout(REQUEST_TIMEOUT_SECONDS, pool=None)
_LIMITS: Final = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)


def _make_options(
    wait_until: WaitUntil,
    timeout_seconds: float | None,
    raise_on_failure: bool,
    on_signed: Callable[[SignedTransaction], None] = tell_nobody,
) -> SendOptions:
    return SendOptions(
        wait_until=wait_until,
        timeout_seconds=DEFAULT_WAIT_SECONDS if timeout_seconds is None else timeout_seconds,
        raise_on_failure=raise_on_failure,
        on_signed=on_signed,
    )


def _make_transport_error(url: str, problem: httpx.HTTPError) -> TransportError:
    """What happened and where, and nothing that only we should know of the address."""
    place = hide_secrets(url)
    if not isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout):
        return TransportError(f"{place}: {type(problem).__name__}: {problem}")
    error = TransportError(f"no node answers at {place}: {str(problem) or type(problem).__name__}")
    error.hint = "start one with `hither up`, or give the address of another"
    return error


def _unexpected(effect: Effect) -> AssertionError:
    return AssertionError(f"an effect that no client knows: {effect}")


class _Base:
    """What both clients share."""

    def __init__(self, url: str, *, signer: Signer | None = None, policy: RetryPolicy | None = None) -> None:
        self.url = NETWORKS.get(url, url)
        self.signer = signer
        self.session = Session(policy)
        self._request_ids = itertools.count(1)

    def _get_signer(self, signer: Signer | None) -> Signer:
        chosen = signer or self.signer
        if chosen is None:
            raise InvalidRequest("sending needs a signer: give one to the client or to the call")
        return chosen


class Client(_Base):
    """A client that blocks. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        signer: Signer | None = None,
        policy: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, signer=signer, policy=policy)
        self._http = httpx.Client(timeout=_TIMEOUT, limits=_LIMITS, transport=transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _request(self, effect: Call) -> Any:
        try:
            body = encode_request(next(self._request_ids), effect)
            answer = self._http.post(self.url, content=body, headers=_HEADERS)
        except httpx.HTTPError as error:
            raise _make_transport_error(self.url, error) from error
        return decode_answer(answer.status_code, answer.content)

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Call():
                return self._request(effect)
            case Pause(seconds):
                time.sleep(seconds)
                return None
            case AskTime():
                return time.monotonic()
            case TakeTurn(lane):
                lane.turn.acquire()
                return lane.turn.release
        raise _unexpected(effect)

    def run(self, flow: Flow[T]) -> T:
        """Perform an operation of ``session``, which has also those that this class does not offer."""
        try:
            effect = next(flow)
            while True:
                try:
                    answer = self._perform(effect)
                except ClientError as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            flow.close()  # Who is interrupted ends its turn.

    def request(self, method: str, params: Any, *, is_repeatable: bool = False) -> Any:
        """Any method of the node; ``is_repeatable`` allows retries."""
        return self.run(call(method, params, self.session.policy if is_repeatable else None))

    def get_account(self, account_id: str, *, at: At = Finality.OPTIMISTIC) -> AccountState:
        """The account. Raises ``UnknownAccount``."""
        return self.run(self.session.get_account(account_id, at))

    def get_access_key(
        self, account_id: str, key: PublicKey | str, *, at: At = Finality.OPTIMISTIC
    ) -> AccessKeyState:
        """One key of an account. Raises ``UnknownAccessKey``."""
        return self.run(self.session.get_access_key(account_id, key, at))

    def get_access_keys(self, account_id: str, *, at: At = Finality.OPTIMISTIC) -> dict[str, AccessKeyState]:
        """All keys of an account, by their text."""
        return self.run(self.session.get_access_keys(account_id, at))

    def get_code(self, account_id: str, *, at: At = Finality.OPTIMISTIC) -> Code:
        """The code that an account runs."""
        return self.run(self.session.get_code(account_id, at))

    def get_state(
        self, account_id: str, prefix: bytes = b"", *, at: At = Finality.OPTIMISTIC
    ) -> dict[bytes, bytes]:
        """A contract's own records, by key."""
        return self.run(self.session.get_state(account_id, prefix, at))

    def view(
        self, contract_id: str, method: str, args: Args = None, *, at: At = Finality.OPTIMISTIC
    ) -> CallResult:
        """Call a method that cannot write. Raises ``ContractFailed``."""
        return self.run(self.session.view(contract_id, method, args, at))

    def get_block(self, at: At = Finality.OPTIMISTIC) -> BlockSummary:
        """Height, hash, time and gas price of a block."""
        return self.run(self.session.get_block(at))

    def send(
        self,
        receiver_id: str,
        *actions: Action,
        signer: Signer | None = None,
        wait_until: WaitUntil = WaitUntil.EXECUTED_OPTIMISTIC,
        timeout_seconds: float | None = None,
        raise_on_failure: bool = True,
        on_signed: Callable[[SignedTransaction], None] = tell_nobody,
    ) -> TransactionResult:
        """Sign these actions as one transaction and send it: all of them happen or none.

        Raises ``InvalidTransaction``, ``ExecutionFailed``, ``TransactionTimeout``.
        """
        options = _make_options(wait_until, timeout_seconds, raise_on_failure, on_signed)
        return self.run(self.session.send(self._get_signer(signer), receiver_id, actions, options))

    def submit(
        self, signed: SignedTransaction, *, wait_until: WaitUntil = WaitUntil.EXECUTED_OPTIMISTIC
    ) -> TransactionResult:
        """Send a transaction that was signed before; to send it again has no further effect."""
        return self.run(self.session.submit(signed, _make_options(wait_until, None, True)))

    def wait_for(
        self,
        transaction_hash: str,
        sender_id: str,
        *,
        wait_until: WaitUntil = WaitUntil.EXECUTED_OPTIMISTIC,
        timeout_seconds: float | None = None,
        raise_on_failure: bool = True,
    ) -> TransactionResult:
        """The result of a transaction sent before. Raises ``UnknownTransaction``."""
        options = _make_options(wait_until, timeout_seconds, raise_on_failure)
        return self.run(self.session.wait_for(transaction_hash, sender_id, options))

    def transfer(
        self, receiver_id: str, amount: Amount, *, signer: Signer | None = None
    ) -> TransactionResult:
        """Move money. Raises what ``send`` raises."""
        return self.send(receiver_id, transfer(amount), signer=signer)

    def call(
        self,
        contract_id: str,
        method: str,
        args: Args = None,
        *,
        gas: str = DEFAULT_GAS,
        deposit: Amount = "0 N",
        signer: Signer | None = None,
    ) -> TransactionResult:
        """Call a contract's method. Raises what ``send`` raises; ``value_json`` has what it returned."""
        action = function_call(method, args, gas=gas, deposit=deposit)
        return self.send(contract_id, action, signer=signer)

    def create_account(
        self, account_id: str, key: PublicKey | str, amount: Amount, *, signer: Signer | None = None
    ) -> TransactionResult:
        """Make a sub-account of the signer with a full-access key and money, in one transaction."""
        actions: Sequence[Action] = (create_account(), transfer(amount), add_full_access_key(key))
        return self.send(account_id, *actions, signer=signer)

    def deploy(self, code: bytes, *, signer: Signer | None = None) -> TransactionResult:
        """Set the signer's own code."""
        chosen = self._get_signer(signer)
        return self.send(chosen.account_id, deploy_action(code), signer=chosen)

    def delegate(
        self,
        receiver_id: str,
        *actions: Action,
        signer: Signer | None = None,
        life_blocks: int = DELEGATE_LIFE_BLOCKS,
    ) -> Delegate:
        """Sign actions for a relayer to submit."""
        return self.run(self.session.delegate(self._get_signer(signer), receiver_id, actions, life_blocks))

    def relay(
        self,
        delegate: Delegate,
        *,
        signer: Signer | None = None,
        wait_until: WaitUntil = WaitUntil.EXECUTED_OPTIMISTIC,
    ) -> TransactionResult:
        """Submit somebody's delegate action and pay for it."""
        options = _make_options(wait_until, None, True)
        return self.run(self.session.relay(self._get_signer(signer), delegate, options))


class AsyncClient(_Base):
    """A client that awaits. Used from one event loop."""

    def __init__(
        self,
        url: str,
        *,
        signer: Signer | None = None,
        policy: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, signer=signer, policy=policy)
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, limits=_LIMITS, transport=transport)
        self._turns: WeakKeyDictionary[Lane, asyncio.Lock] = WeakKeyDictionary()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _request(self, effect: Call) -> Any:
        try:
            body = encode_request(next(self._request_ids), effect)
            answer = await self._http.post(self.url, content=body, headers=_HEADERS)
        except httpx.HTTPError as error:
            raise _make_transport_error(self.url, error) from error
        return decode_answer(answer.status_code, answer.content)

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Call():
                return await self._request(effect)
            case Pause(seconds):
                await asyncio.sleep(seconds)
                return None
            case AskTime():
                return time.monotonic()
            case TakeTurn(lane):
                turn = self._turns.setdefault(lane, asyncio.Lock())
                await turn.acquire()
                return turn.release
        raise _unexpected(effect)

    async def run(self, flow: Flow[T]) -> T:
        """Perform an operation of ``session``, which has also those that this class does not offer."""
        try:
            effect = next(flow)
            while True:
                try:
                    answer = await self._perform(effect)
                except ClientError as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            flow.close()  # Who is interrupted ends its turn.

    async def request(self, method: str, params: Any, *, is_repeatable: bool = False) -> Any:
        """Any method of the node; ``is_repeatable`` allows retries."""
        return await self.run(call(method, params, self.session.policy if is_repeatable else None))

    async def get_account(self, account_id: str, *, at: At = Finality.OPTIMISTIC) -> AccountState:
        """The account. Raises ``UnknownAccount``."""
        return await self.run(self.session.get_account(account_id, at))

    async def get_access_key(
        self, account_id: str, key: PublicKey | str, *, at: At = Finality.OPTIMISTIC
    ) -> AccessKeyState:
        """One key of an account. Raises ``UnknownAccessKey``."""
        return await self.run(self.session.get_access_key(account_id, key, at))

    async def get_access_keys(
        self, account_id: str, *, at: At = Finality.OPTIMISTIC
    ) -> dict[str, AccessKeyState]:
        """All keys of an account, by their text."""
        return await self.run(self.session.get_access_keys(account_id, at))

    async def get_code(self, account_id: str, *, at: At = Finality.OPTIMISTIC) -> Code:
        """The code that an account runs."""
        return await self.run(self.session.get_code(account_id, at))

    async def get_state(
        self, account_id: str, prefix: bytes = b"", *, at: At = Finality.OPTIMISTIC
    ) -> dict[bytes, bytes]:
        """A contract's own records, by key."""
        return await self.run(self.session.get_state(account_id, prefix, at))

    async def view(
        self, contract_id: str, method: str, args: Args = None, *, at: At = Finality.OPTIMISTIC
    ) -> CallResult:
        """Call a method that cannot write. Raises ``ContractFailed``."""
        return await self.run(self.session.view(contract_id, method, args, at))

    async def get_block(self, at: At = Finality.OPTIMISTIC) -> BlockSummary:
        """Height, hash, time and gas price of a block."""
        return await self.run(self.session.get_block(at))

    async def send(
        self,
        receiver_id: str,
        *actions: Action,
        signer: Signer | None = None,
        wait_until: WaitUntil = WaitUntil.EXECUTED_OPTIMISTIC,
        timeout_seconds: float | None = None,
        raise_on_failure: bool = True,
        on_signed: Callable[[SignedTransaction], None] = tell_nobody,
    ) -> TransactionResult:
        """Sign these actions as one transaction and send it: all of them happen or none.

        Raises ``InvalidTransaction``, ``ExecutionFailed``, ``TransactionTimeout``.
        """
        options = _make_options(wait_until, timeout_seconds, raise_on_failure, on_signed)
        return await self.run(self.session.send(self._get_signer(signer), receiver_id, actions, options))

    async def submit(
        self, signed: SignedTransaction, *, wait_until: WaitUntil = WaitUntil.EXECUTED_OPTIMISTIC
    ) -> TransactionResult:
        """Send a transaction that was signed before; to send it again has no further effect."""
        return await self.run(self.session.submit(signed, _make_options(wait_until, None, True)))

    async def wait_for(
        self,
        transaction_hash: str,
        sender_id: str,
        *,
        wait_until: WaitUntil = WaitUntil.EXECUTED_OPTIMISTIC,
        timeout_seconds: float | None = None,
        raise_on_failure: bool = True,
    ) -> TransactionResult:
        """The result of a transaction sent before. Raises ``UnknownTransaction``."""
        options = _make_options(wait_until, timeout_seconds, raise_on_failure)
        return await self.run(self.session.wait_for(transaction_hash, sender_id, options))

    async def transfer(
        self, receiver_id: str, amount: Amount, *, signer: Signer | None = None
    ) -> TransactionResult:
        """Move money. Raises what ``send`` raises."""
        return await self.send(receiver_id, transfer(amount), signer=signer)

    async def call(
        self,
        contract_id: str,
        method: str,
        args: Args = None,
        *,
        gas: str = DEFAULT_GAS,
        deposit: Amount = "0 N",
        signer: Signer | None = None,
    ) -> TransactionResult:
        """Call a contract's method. Raises what ``send`` raises; ``value_json`` has what it returned."""
        action = function_call(method, args, gas=gas, deposit=deposit)
        return await self.send(contract_id, action, signer=signer)

    async def create_account(
        self, account_id: str, key: PublicKey | str, amount: Amount, *, signer: Signer | None = None
    ) -> TransactionResult:
        """Make a sub-account of the signer with a full-access key and money, in one transaction."""
        actions: Sequence[Action] = (create_account(), transfer(amount), add_full_access_key(key))
        return await self.send(account_id, *actions, signer=signer)

    async def deploy(self, code: bytes, *, signer: Signer | None = None) -> TransactionResult:
        """Set the signer's own code."""
        chosen = self._get_signer(signer)
        return await self.send(chosen.account_id, deploy_action(code), signer=chosen)

    async def delegate(
        self,
        receiver_id: str,
        *actions: Action,
        signer: Signer | None = None,
        life_blocks: int = DELEGATE_LIFE_BLOCKS,
    ) -> Delegate:
        """Sign actions for a relayer to submit."""
        return await self.run(
            self.session.delegate(self._get_signer(signer), receiver_id, actions, life_blocks)
        )

    async def relay(
        self,
        delegate: Delegate,
        *,
        signer: Signer | None = None,
        wait_until: WaitUntil = WaitUntil.EXECUTED_OPTIMISTIC,
    ) -> TransactionResult:
        """Submit somebody's delegate action and pay for it."""
        options = _make_options(wait_until, None, True)
        return await self.run(self.session.relay(self._get_signer(signer), delegate, options))
