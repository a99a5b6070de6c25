"""Asking a question until it is answered, the deadline nears or the budget is spent."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import tenacity

from geofix.engine.generators.lmm.chat import ChatAnswer, Generation, chat_answer
from geofix.engine.generators.lmm.dialect import FULL, Dialect, Feature, simpler
from geofix.engine.generators.lmm.endpoint import Endpoint
from geofix.engine.generators.lmm.outcome import CallFailed, Outcome
from geofix.engine.generators.lmm.questions import Question, text_tokens
from geofix.engine.generators.lmm.spending import Amount, Means, Prices, reserve
from geofix.engine.types import LmmCall
from geofix.engine.watching import Watcher
from geofix.settings import Settings

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call."""

    tokens_in: int
    tokens_out: int
    estimated: bool = False
    """Whether they are our own upper bound."""


NOTHING = Usage(0, 0)


@dataclass(slots=True)
class Reply:
    """What came of a question, with every attempt."""

    outcome: Outcome
    generations: tuple[Generation, ...] = ()
    calls: list[LmmCall] = field(default_factory=list)


class Asker:
    """Retries, pays and records; remembers what the server does not take."""

    def __init__(self, endpoint: Endpoint, settings: Settings, watch: Watcher) -> None:
        self._endpoint = endpoint
        self._watch = watch
        self._model = settings.lmm_model
        self._retries = settings.lmm_retries
        self._max_output_tokens = settings.lmm_max_output_tokens
        self._prices = Prices(settings.lmm_input_usd, settings.lmm_output_usd)
        self._dialect = FULL

    @property
    def takes_n(self) -> bool:
        """Whether the server gives several generations in one call, as far as is known."""
        return Feature.N in self._dialect

    def note(
        self,
        calls: list[LmmCall],
        question: Question,
        outcome: Outcome,
        generations: int = 0,
        latency_ms: float = 0.0,
        usage: Usage = NOTHING,
    ) -> None:
        """Record a call, or why there was none."""
        call = LmmCall(
            model=self._model,
            prompt=question.prompt.name,
            outcome=outcome,
            generations=generations,
            latency_ms=latency_ms,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            cost_usd=self._prices.of(usage.tokens_in, usage.tokens_out),
            estimated=usage.estimated,
        )
        calls.append(call)
        self._watch.call(call)

    async def ask(self, question: Question, n: int, means: Means) -> Reply:
        """Ask for n generations; fewer may come, and never later than the deadline."""
        reply = Reply(Outcome.OK)
        dialect = self._dialect
        while True:
            try:
                answer = await self._persist(question, n, dialect, means, reply.calls)
            except CallFailed as failure:
                reply.outcome = failure.outcome
                if failure.outcome is not Outcome.BAD_REQUEST:
                    return reply
                fewer = simpler(dialect, failure.complaint)
                if fewer is None:
                    return reply
                dialect = fewer
                continue
            if 1 == len(answer.generations) < n:
                dialect -= {Feature.N}
            # Learnt from success only: a request may be bad for a reason of its own.
            self._dialect &= dialect
            reply.outcome = Outcome.OK
            reply.generations = answer.generations[:n]
            return reply

    async def _persist(
        self, question: Question, n: int, dialect: Dialect, means: Means, calls: list[LmmCall]
    ) -> ChatAnswer:
        loop = asyncio.get_running_loop()

        def give_up(state: tenacity.RetryCallState) -> bool:
            too_late = loop.time() + state.upcoming_sleep >= means.deadline
            return too_late or state.attempt_number > self._retries

        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, CallFailed) and error.outcome.may_pass
            ),
            wait=_pause,
            stop=give_up,
            reraise=True,
        )
        return await attempts(self._attempt, question, n, dialect, means, calls)

    async def _attempt(
        self, question: Question, n: int, dialect: Dialect, means: Means, calls: list[LmmCall]
    ) -> ChatAnswer:
        """One call: reserved before, paid and recorded after."""
        together = n if Feature.N in dialect else 1
        bound = question.tokens_in, together * self._max_output_tokens
        reservation = reserve(means.purses, self._amount(*bound))
        if reservation is None:
            self.note(calls, question, Outcome.OVER_BUDGET)
            raise CallFailed(Outcome.OVER_BUDGET)
        started = time.perf_counter()

        def settle(outcome: Outcome, usage: Usage, generations: int = 0) -> None:
            reservation.correct(self._amount(usage.tokens_in, usage.tokens_out))
            latency_ms = (time.perf_counter() - started) * 1000.0
            self.note(calls, question, outcome, generations, latency_ms, usage)

        # A server that was late, wrote nonsense or was left may have done, and billed, it all.
        everything = Usage(*bound, estimated=True)
        try:
            answer = await self._post(question, together, dialect, means.deadline)
        except CallFailed as failure:
            worked = failure.outcome in (Outcome.TIMEOUT, Outcome.GARBAGE)
            settle(failure.outcome, everything if worked else NOTHING)
            raise
        except asyncio.CancelledError:
            settle(Outcome.CANCELLED, everything)
            raise
        settle(Outcome.OK, _usage(answer, question), min(len(answer.generations), n))
        return answer

    async def _post(
        self, question: Question, n: int, dialect: Dialect, deadline: float
    ) -> ChatAnswer:
        """What the endpoint answers in time. Raises CallFailed."""
        try:
            async with asyncio.timeout_at(deadline):
                body = await self._endpoint.post(question, n, dialect)
        except TimeoutError:
            raise CallFailed(Outcome.TIMEOUT) from None
        answer = await asyncio.to_thread(chat_answer, body)  # megabytes, if it wants to hold us up
        if answer is None:
            raise CallFailed(Outcome.GARBAGE)
        return answer

    def _amount(self, tokens_in: int, tokens_out: int) -> Amount:
        return Amount(1, tokens_in + tokens_out, self._prices.of(tokens_in, tokens_out))


def _usage(answer: ChatAnswer, question: Question) -> Usage:
    """What the server says was used; an estimate of what it does not say."""
    tokens_in, tokens_out = answer.tokens_in, answer.tokens_out
    if tokens_in is not None and tokens_out is not None:
        return Usage(tokens_in, tokens_out)
    written = sum(text_tokens(generation.text) for generation in answer.generations)
    return Usage(
        question.tokens_in if tokens_in is None else tokens_in,
        written if tokens_out is None else tokens_out,
        estimated=True,
    )


def _pause(state: tenacity.RetryCallState) -> float:
    """What the server asks for, else twice as long each time; with jitter, against herds."""
    error = state.outcome.exception() if state.outcome is not None else None
    longest = min(_FIRST_PAUSE_S * 2.0 ** (state.attempt_number - 1), _LONGEST_PAUSE_S)
    jitter = random.uniform(0.0, longest)  # noqa: S311 - no secret
    if isinstance(error, CallFailed) and error.retry_after_s is not None:
        return error.retry_after_s + jitter
    return longest / 2.0 + jitter / 2.0
