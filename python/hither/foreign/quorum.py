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


def _trust(_method: str, _result: Any) -> None:
    """The chain judges it."""


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
    question: Callable[[str, Any], tuple[str, Sequence[Any]] | None] = _trust
    """Of an answer that one endpoint alone gives: what the others are asked about it; true lets it pass."""


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
        tie_seconds: float = 5.0,
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
        # How long the others are waited for when those that have answered differ.
        self._tie_seconds = tie_seconds
        self._sleep = sleep
        # Places of those that had not answered when enough others had, and have not done better since.
        self._late: set[int] = set()

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
        has_agreed: Callable[[Sequence[_Answer]], bool] = (
            (lambda answers: self._find_agreed(method, answers) is not None)
            if rule is Rule.SAME
            else (lambda _: False)
        )
        answers = await self._gather(method, params, True, has_agreed, is_patient=rule is Rule.SAME)
        if rule is not Rule.SAME:
            return self._reduce(rule, method, answers)
        agreed = self._find_agreed(method, answers)
        if agreed is None:
            raise self._explain(method, answers)
        return agreed.get()

    async def _gather(
        self,
        method: str,
        params: Sequence[Any],
        is_repeatable: bool,
        has_enough: Callable[[Sequence["_Answer"]], bool],
        *,
        is_patient: bool,
        is_sending: bool = False,
    ) -> list["_Answer"]:
        """Answers of all at once, until there is enough in them.

        Once so many as must agree have answered, and differ, the rest get a while to settle it: longer than a slow node
        takes, shorter than one that stalls, as those that lagged may agree when they are asked again. Who is not
        patient gives the rest a moment, and none to those that were late before.
        """
        waiting = {
            asyncio.create_task(_ask(endpoint, method, params, is_repeatable)): index
            for index, endpoint in enumerate(self._endpoints)
        }
        answers: list[_Answer] = []
        try:
            while waiting and not has_enough(answers):
                patience = None
                if is_patient and sum(answer.is_given for answer in answers) >= self._agree:
                    patience = self._tie_seconds
                elif not is_patient and self._has_served(answers, is_sending=is_sending):
                    patience = 0.0 if self._late.issuperset(waiting.values()) else self._grace_seconds
                done, _ = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    self._late.update(waiting.values())
                    break
                self._late.difference_update(waiting.pop(task) for task in done)
                answers += [task.result() for task in done]
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return answers

    def _has_served(self, answers: Sequence["_Answer"], *, is_sending: bool) -> bool:
        """Whether those that have answered will do. Who gets what another has sent already may refuse it."""
        good = sum(answer.error is None for answer in answers)
        if is_sending:
            return good > 0 and sum(answer.is_given for answer in answers) >= self._agree
        return good >= self._agree

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
        """To all, so that one which swallows it cannot hide it. Once enough have it, the others get a moment more.

        Of their answers the one that most give comes first, and one that the others deny does not count.
        """
        answers = await self._gather(
            method, params, is_repeatable, lambda _: False, is_patient=False, is_sending=True
        )
        good = [answer for answer in answers if answer.error is None]
        counts = Counter(answer.fingerprint(method, self._reading) for answer in good)
        good.sort(key=lambda answer: -counts[answer.fingerprint(method, self._reading)])
        for answer in good:
            question = self._reading.question(method, answer.result)
            if question is None or await self._is_confirmed(question):
                return answer.result
        raise self._explain(method, answers)

    async def _is_confirmed(self, question: tuple[str, Sequence[Any]]) -> bool:
        try:
            answer = await self.call(*question)
        except EndpointError:
            return False
        return bool(answer.get("value") if isinstance(answer, dict) else answer)

    def _explain(self, method: str, answers: Sequence["_Answer"]) -> ForeignError:
        """Why there is no answer: the endpoints' own error when they failed, else that they disagree."""
        given = [answer for answer in answers if answer.is_given]
        failed = [answer.error for answer in answers if answer.error is not None and not answer.is_given]
        count = f"{self._agree} of {len(self._endpoints)} endpoints must agree, {len(given)} answered"
        if len(given) < self._agree and failed:
            failed[0].hint = f"{count}; wait, or put others in the place of those that fail"
            return failed[0]
        refused = [answer.error for answer in given if answer.error is not None]
        if len(refused) == len(given) and refused:
            return refused[0]
        groups: dict[bytes, list[str]] = {}
        for answer in given:
            groups.setdefault(answer.fingerprint(method, self._reading), []).append(answer.host)
        sides = sorted((sorted(hosts) for hosts in groups.values()), key=lambda hosts: (-len(hosts), hosts))
        return EndpointsDisagree(
            f"{method}: {count}, and say different things: "
            + "; ".join(f"{' and '.join(hosts)} alike" if len(hosts) > 1 else hosts[0] for hosts in sides)
        )


@dataclass(slots=True)
class _Answer:
    """What one endpoint said: a result, or an error."""

    host: str
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
        return _Answer(endpoint.host, await endpoint.call(method, params, is_repeatable=is_repeatable))
    except (TransportError, EndpointError) as error:
        return _Answer(endpoint.host, error=error)


async def keep_params(_quorum: Quorum, _method: str, params: Sequence[Any]) -> Sequence[Any]:
    """For families whose requests name no newest block."""
    return params


STRICT: Final = Reading({}, lambda _method, result: int(result), lambda _method, result: result, keep_params)
"""Everything must be the same."""
