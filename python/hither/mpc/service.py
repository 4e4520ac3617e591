"""The signing network at work: follow the chain and the contract, sign what is asked, answer, make keys.

The same for nodes of one process and for a node of its own: what differs is behind ``Signers``.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from hither.client import AsyncClient, ClientError, ExecutionFailed, Signer
from hither.mpc import engine
from hither.mpc.attestations import Attest, Keeper, attest_by_mock
from hither.mpc.contract import KeyEvent, NetworkView, UnknownState, key_to_text, read_state
from hither.mpc.engine import (
    Effect,
    Event,
    GiveUp,
    Request,
    SendRefusal,
    SendResponse,
    StartSigning,
    TellPassed,
)
from hither.mpc.follower import Follower, Listener
from hither.mpc.requests import (
    AnyRequest,
    AppKeyRequest,
    ForeignTxRequest,
    SignatureRequest,
    answer_to_json,
    request_to_json,
    request_to_tagged_json,
)
from hither.mpc.signers import KeyFailed, NotSigned, Signers, StockLacking

logger = logging.getLogger(__name__)

POLL_S: Final = 0.02
STATE_POLL_S: Final = 1.0
EVENT_POLL_S: Final = 0.1
"""While keys are made."""
RETRY_S: Final = 0.2
RESPOND_GAS: Final = "300 Tgas"
VOTE_GAS: Final = "100 Tgas"
REASON_BYTES_MAX: Final = 200
_METHODS: Final = {
    SignatureRequest: "respond",
    AppKeyRequest: "respond_ckd",
    ForeignTxRequest: "respond_verify_foreign_tx",
}
NOT_WAITING: Final = "timed out, was completed, or never existed"


class SigningService:
    """Runs the engine of one process's participants. ``accounts``: the account and key of each, by account id."""

    def __init__(
        self,
        client: AsyncClient,
        contract_id: str,
        accounts: Mapping[str, Signer],
        signers: Signers,
        poll_s: float = POLL_S,
        rpc_urls: Sequence[str] = (),
        attest: Attest | None = attest_by_mock,
    ) -> None:
        self._client = client
        self._contract_id = contract_id
        self._accounts = accounts
        self._signers = signers
        self._poll_s = poll_s
        self._rpc_urls = itertools.cycle(rpc_urls or (client.url,))
        self._state = engine.make_state((), ())
        self._follower = Follower(
            client, contract_id, Listener(self._see, self._lose_request, self._begin_anew)
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempts: set[tuple[int, int, int]] = set()
        self._attestations = Keeper(client, contract_id, attest)
        self.view: NetworkView | None = None
        self.counts: dict[str, int] = {}

    def count(self, what: str) -> None:
        """One more of these."""
        self.counts[what] = self.counts.get(what, 0) + 1

    @property
    def height(self) -> int:
        """How far the chain has been read."""
        return self._follower.height

    def count_attested_s(self, tls_key: bytes) -> int | None:
        """For how long a node's attestation is still in force, by the chain's clock; None while that is not known."""
        end_s = self._attestations.get_end_s(tls_key)
        return None if end_s is None else max(0, end_s - self._follower.time_s)

    @property
    def pending(self) -> int:
        """Requests that wait for a signature."""
        return len(self._state.pending)

    async def fetch_view(self) -> NetworkView:
        """What the contract says now. Raises ClientError, UnknownState."""
        view = read_state((await self._client.view(self._contract_id, "state")).json())
        if self.view is not None and view == self.view:
            return self.view  # The very same: work that was begun by it goes on only while it is in force.
        self.view = view
        self._signers.set_view(view)
        mine = self._signers.get_mine(view)
        exact = frozenset(id_ for id_, key in view.keys.items() if key.domain.scheme.needs_all)
        self._dispatch(engine.Members(view.leader_ids, mine, _now_ms(), exact))
        return view

    async def make_keys(self) -> NetworkView:
        """Take part in key events until none is left. Raises ClientError, UnknownState."""
        while True:
            view = await self.fetch_view()
            if view.event is None:
                return view
            await self._advance_event(view, view.event)
            await asyncio.sleep(self._poll_s)

    async def run(self) -> None:
        """Follow chain and contract until cancelled."""
        watching = asyncio.create_task(self._watch_contract())
        try:
            while True:
                try:
                    height = await self._follower.follow()
                except ClientError as error:
                    logger.warning("the chain does not answer: %s", error)
                    self.count("chain not answering")
                    self._client.url = next(self._rpc_urls)
                    await asyncio.sleep(RETRY_S)
                else:
                    alive = self._signers.get_alive(self._follower.height)
                    if alive | self._state.mine != self._state.alive:
                        self._dispatch(engine.Reached(alive, _now_ms()))
                    self._dispatch(engine.Tick(_now_ms(), height))
                await asyncio.sleep(self._poll_s)
        finally:
            for task in (watching, *self._tasks):
                task.cancel()
            await asyncio.gather(watching, *self._tasks, return_exceptions=True)

    async def _watch_contract(self) -> None:
        while True:
            is_busy = False
            try:
                view = await self.fetch_view()
                is_busy = view.event is not None
                if view.event is not None:
                    await self._advance_event(view, view.event)
                await self._keep_attested(view)
            except (ClientError, UnknownState) as error:
                logger.warning("the contract does not answer: %s", error)
            await asyncio.sleep(max(EVENT_POLL_S, self._poll_s) if is_busy else STATE_POLL_S)

    async def _keep_attested(self, view: NetworkView) -> None:
        if self._follower.time_s == 0:
            return
        mine = self._signers.get_mine(view)
        nodes = [(self._accounts[row.account_id], row.tls_key) for row in view.everyone if row.id in mine]
        await self._attestations.keep(nodes, self._follower.time_s)

    def _see(self, request: Request) -> None:
        self._signers.note_request(request)
        self._dispatch(engine.Seen(request, _now_ms()))

    def _lose_request(self, request: AnyRequest) -> None:
        self._dispatch(engine.Gone(request))

    def _begin_anew(self) -> None:
        self._signers.forget_requests()
        self._attestations.forget()
        self._state = engine.forget_requests(self._state)

    def hear_passed(self, participant: int, key: bytes) -> None:
        """Another participant led a request and failed."""
        self._dispatch(engine.Passed(key, participant, _now_ms()))

    def _dispatch(self, event: Event) -> None:
        self._state, effects = engine.step(self._state, event)
        for effect in effects:
            self._spawn(effect)

    def _spawn(self, effect: Effect) -> None:
        match effect:
            case TellPassed(request):
                self._signers.tell_passed(request)
                return
            case GiveUp(request, reason):
                self.count("requests given up")
                logger.error("gave up a request of domain %d: %s", request.request.domain_id, reason)
                return
            case StartSigning(request, order):
                work = self._sign(request, order)
            case SendResponse():
                work = self._respond(effect)
            case SendRefusal():
                work = self._refuse(effect)
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sign(self, request: Request, order: tuple[int, ...]) -> None:
        view = self.view
        assert view is not None, "participants are known before anything is signed"
        started_s = time.monotonic()
        try:
            signature = await self._signers.sign(request, view, order)
        except NotSigned as error:
            self.count("signing attempts failed")
            logger.warning("no signature from leader %d: %s", order[0], error)
            is_lacking = isinstance(error, StockLacking)
            self._dispatch(engine.Failed(request.key, str(error), _now_ms(), error.code, is_lacking))
            return
        self.count("signatures made")
        logger.debug("signed in %.1f ms", 1e3 * (time.monotonic() - started_s))
        self._dispatch(engine.Signed(request.key, signature, _now_ms()))

    def _get_account(self, participant: int) -> Signer:
        assert self.view is not None
        (account_id,) = (row.account_id for row in self.view.everyone if row.id == participant)
        return self._accounts[account_id]

    async def _respond(self, effect: SendResponse) -> None:
        args = {
            "request": request_to_json(effect.request.request),
            "response": answer_to_json(effect.signature),
        }
        signer = self._get_account(effect.leader)
        try:
            method = _METHODS[type(effect.request.request)]
            await self._client.call(self._contract_id, method, args, gas=RESPOND_GAS, signer=signer)
        except ExecutionFailed as error:
            if NOT_WAITING in str(error):
                # Somebody was quicker, or nobody waits any more.
                self._dispatch(engine.Gone(effect.request.request))
                return
            self._dispatch(engine.Failed(effect.request.key, str(error), _now_ms()))
        except ClientError as error:
            self._dispatch(engine.Failed(effect.request.key, str(error), _now_ms()))
        else:
            self.count("responses sent")

    async def _refuse(self, effect: SendRefusal) -> None:
        """Let the caller know. Nothing hangs on it: this node tries on meanwhile."""
        reason = {"code": effect.code, "detail": effect.reason[:REASON_BYTES_MAX]}
        args = {"request": request_to_tagged_json(effect.request.request), "reason": reason}
        refusing = [effect.participant]
        if isinstance(effect.request.request, ForeignTxRequest):
            # Every signer that runs here has looked for itself, and saw the same.
            refusing = sorted({effect.participant} | self._state.mine)
        for participant in refusing:
            try:
                await self._client.call(
                    self._contract_id,
                    "respond_failure",
                    args,
                    gas=RESPOND_GAS,
                    signer=self._get_account(participant),
                )
            except ClientError as error:
                # Often because enough have refused already.
                logger.info("a refusal was not taken: %s", error)
            else:
                self.count("requests refused")

    async def _advance_event(self, view: NetworkView, event: KeyEvent) -> None:
        """Start an attempt if that is ours to do, or take part in the one under way."""
        ids = {participant.id for participant in event.participants}
        mine = self._signers.get_mine(view) & ids
        head = self._follower.height or (await self._client.get_block()).height
        if event.attempt_id is None or head >= event.expires_on:
            is_complete = ids <= self._signers.get_alive(head) | mine
            if event.leader in mine and is_complete:
                await self._start_attempt(event)
            return
        attempt = (event.epoch_id, event.domain.id, event.attempt_id)
        if attempt in self._attempts or not mine - set(event.completed):
            return
        self._attempts.add(attempt)
        task = asyncio.create_task(
            self._take_part(view, event, event.attempt_id, mine - set(event.completed))
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_attempt(self, event: KeyEvent) -> None:
        method = "start_reshare_instance" if event.is_reshare else "start_keygen_instance"
        args = {"key_event_id": event.identify(event.next_attempt_id)}
        logger.info("starting attempt %d at domain %d", event.next_attempt_id, event.domain.id)
        try:
            await self._client.call(
                self._contract_id, method, args, gas=VOTE_GAS, signer=self._get_account(event.leader)
            )
        except ClientError as error:
            logger.warning("no attempt was started: %s", error)

    async def _take_part(
        self, view: NetworkView, event: KeyEvent, attempt_id: int, voters: frozenset[int] | set[int]
    ) -> None:
        args = {"key_event_id": event.identify(attempt_id)}
        keys = {self._signers.find_key(event, attempt_id, me) for me in voters}
        key = keys.pop() if len(keys) == 1 else None
        try:
            key = key or await self._signers.make_key(view, event, attempt_id)
        except KeyFailed as error:
            self.count("key attempts failed")
            logger.warning("attempt %d at domain %d failed: %s", attempt_id, event.domain.id, error)
            await self._vote("vote_abort_key_event_instance", args, [min(voters)])
            return
        self.count("key attempts completed")
        if event.is_reshare:
            await self._vote("vote_reshared", args, sorted(voters))
        else:
            text = key_to_text(event.domain.curve, key)
            await self._vote("vote_pk", args | {"public_key": text}, sorted(voters))

    async def _vote(self, method: str, args: Mapping[str, object], voters: list[int]) -> None:
        calls = (
            self._client.call(
                self._contract_id, method, dict(args), gas=VOTE_GAS, signer=self._get_account(me)
            )
            for me in voters
        )
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(answer, ClientError):
                logger.warning("%s was refused: %s", method, answer)
            elif isinstance(answer, BaseException):
                raise answer


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@contextlib.asynccontextmanager
async def running(service: SigningService) -> AsyncIterator[SigningService]:
    """The service follows the chain for as long as the context is open."""
    task = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
