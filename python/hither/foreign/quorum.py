"""Several endpoints of one chain, asked at once, of which so many must agree.

One endpoint can lie, stall, lag behind or be down. A read counts when ``agree`` of the endpoints give the same
answer; what honest nodes answer differently by nature (heights, prices) is reduced to a value that so many vouch
for. To send, one endpoint that takes the transaction is enough: the chain judges it, not the endpoint.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from hither.foreign.errors import EndpointError, EndpointsDisagree, ForeignError, TransportError
from hither.foreign.transport import RetryPolicy, Rpc


class Rule(Enum):
    """What becomes of several answers."""

    SAME = "the answer that enough endpoints give"
    REACHED = "the largest number that enough endpoints have reached"
    MEDIAN = "the number in the middle of all answers"
    FIRST = "the first answer; for sending"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a family's answers are compared.

    ``rules`` names what is not ``SAME``. ``read_number`` takes the number out of an answer. ``project`` leaves out what
    implementations of a node add or leave out, before answers are compared. ``pin`` names the block that all are asked
    about, where the request says "newest"; it may ask the quorum itself.
    """

    rules: Mapping[str, Rule]
    read_number: Callable[[str, Any], int]
    project: Callable[[str, Any], Any]
    pin: Callable[["Quorum", str, Sequence[Any]], Awaitable[Sequence[Any]]]


class Quorum:
    """Endpoints that must agree, in the place of one."""

    def __init__(
        self,
        endpoints: Sequence[Rpc],
        agree: int,
        reading: Reading,
        *,
        policy: RetryPolicy | None = None,
        grace_seconds: float = 1.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not 1 <= agree <= len(endpoints):
            raise ValueError(f"{agree} of {len(endpoints)} endpoints cannot agree")
        self._endpoints = tuple(endpoints)
        self._agree = agree
        self._reading = reading
        # Nodes that lag behind by a block are with the others a moment later.
        self._policy = policy or RetryPolicy(attempts=3, first_pause_seconds=0.5)
        # How long the others are waited for once enough have told a number: more answers make it better.
        self._grace_seconds = grace_seconds
        self._sleep = sleep

    @property
    def host(self) -> str:
        """All of them."""
        return ", ".join(endpoint.host for endpoint in self._endpoints)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(endpoint.close() for endpoint in self._endpoints))

    async def call(self, method: str, params: Sequence[Any] = (), *, is_repeatable: bool = True) -> Any:
        """The agreed result.

        Raises ``EndpointsDisagree``; and what the endpoints raise, when so many fail that the rest cannot agree.
        """
        rule = self._reading.rules.get(method, Rule.SAME)
        if rule is Rule.FIRST:
            return await self._send(method, params, is_repeatable)
        failures = 0
        while True:
            try:
                return await self._read(rule, method, await self._reading.pin(self, method, params))
            except EndpointsDisagree:
                failures += 1
                if failures >= self._policy.attempts:
                    raise
                await self._sleep(self._policy.compute_pause(failures, 1.0))

    async def _read(self, rule: Rule, method: str, params: Sequence[Any]) -> Any:
        """Stop asking once enough have answered, so that one that stalls holds nobody up."""
        waiting = {asyncio.create_task(_ask(endpoint, method, params)) for endpoint in self._endpoints}
        answers: list[_Answer] = []
        try:
            while waiting:
                given = sum(answer.error is None for answer in answers)
                patience = self._grace_seconds if rule is not Rule.SAME and given >= self._agree else None
                done, waiting = await asyncio.wait(
                    waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    break
                answers += [task.result() for task in done]
                agreed = self._find_agreed(method, answers) if rule is Rule.SAME else None
                if agreed is not None:
                    return agreed.get()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if rule is Rule.SAME:
            raise self._explain(method, answers)
        return self._reduce(rule, method, answers)

    def _find_agreed(self, method: str, answers: Sequence["_Answer"]) -> "_Answer | None":
        counts = Counter(answer.fingerprint(method, self._reading) for answer in answers if answer.is_given)
        for answer in answers:
            if answer.is_given and counts[answer.fingerprint(method, self._reading)] >= self._agree:
                return answer
        return None

    def _reduce(self, rule: Rule, method: str, answers: Sequence["_Answer"]) -> Any:
        """The answer whose number the rule chooses."""
        given: list[tuple[int, Any]] = []
        for answer in answers:
            if answer.error is None:
                try:
                    given.append((self._reading.read_number(method, answer.result), answer.result))
                except ForeignError as error:
                    answer.error = error
        if len(given) < self._agree:
            raise self._explain(method, answers)
        given.sort(key=lambda pair: pair[0])
        return given[len(given) // 2 if rule is Rule.MEDIAN else len(given) - self._agree][1]

    async def _send(self, method: str, params: Sequence[Any], is_repeatable: bool) -> Any:
        """To all, so that one which swallows it cannot hide it. Waits for all: each should have it."""
        answers = await asyncio.gather(
            *(_ask(endpoint, method, params, is_repeatable) for endpoint in self._endpoints)
        )
        for answer in answers:
            if answer.error is None:
                return answer.result
        raise self._explain(method, answers)

    def _explain(self, method: str, answers: Sequence["_Answer"]) -> ForeignError:
        """Why there is no answer: the endpoints' own error when they failed, else that they disagree."""
        given = [answer for answer in answers if answer.is_given]
        failed = [answer.error for answer in answers if answer.error is not None and not answer.is_given]
        if len(given) < self._agree and failed:
            return failed[0]
        refused = [answer.error for answer in given if answer.error is not None]
        if len(refused) == len(given) and refused:
            return refused[0]
        groups = Counter(answer.fingerprint(method, self._reading) for answer in given)
        sizes = sorted(groups.values(), reverse=True)
        return EndpointsDisagree(
            f"{method}: of {len(self._endpoints)} endpoints {self._agree} must agree; {len(given)} answered, "
            f"with {len(sizes)} answers in groups of {', '.join(map(str, sizes))} ({self.host})"
        )


@dataclass(slots=True)
class _Answer:
    """What one endpoint said: a result, or an error."""

    result: Any = None
    error: ForeignError | None = None

    @property
    def is_given(self) -> bool:
        """An error of the endpoint is an answer, which others can share; silence is none."""
        return self.error is None or (isinstance(self.error, EndpointError) and not self.error.retryable)

    def fingerprint(self, method: str, reading: Reading) -> bytes:
        """Equal for answers that mean the same."""
        if isinstance(self.error, EndpointError):
            # Each implementation has words of its own for the same refusal.
            return b"error %d" % (self.error.rpc_code or 0)
        return msgspec.json.encode(reading.project(method, self.result), order="deterministic")

    def get(self) -> Any:
        """The result, or the error that was agreed on."""
        if self.error is not None:
            raise self.error
        return self.result


async def _ask(endpoint: Rpc, method: str, params: Sequence[Any], is_repeatable: bool = True) -> _Answer:
    try:
        return _Answer(await endpoint.call(method, params, is_repeatable=is_repeatable))
    except (TransportError, EndpointError) as error:
        return _Answer(error=error)


async def keep_params(_quorum: Quorum, _method: str, params: Sequence[Any]) -> Sequence[Any]:
    """For families whose requests name no newest block."""
    return params


STRICT: Final = Reading({}, lambda _method, result: int(result), lambda _method, result: result, keep_params)
"""Everything must be the same."""
