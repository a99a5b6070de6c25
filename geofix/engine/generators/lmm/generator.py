"""The generator that asks a large multimodal model where a photo was taken."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from cachetools import TTLCache

from geofix.engine.choosing.published import g3_read
from geofix.engine.generators.lmm import picture
from geofix.engine.generators.lmm.atlas import Atlas
from geofix.engine.generators.lmm.breaker import Breaker, State
from geofix.engine.generators.lmm.chat import Generation
from geofix.engine.generators.lmm.outcome import Outcome
from geofix.engine.generators.lmm.prompts import PROMPT_VERSION, ensemble, shortest
from geofix.engine.generators.lmm.questions import (
    Question,
    Thumbnails,
    gather_pictures,
    questions,
    text_tokens,
)
from geofix.engine.generators.lmm.reading import Guess, Rejection, read
from geofix.engine.generators.lmm.spending import Accounts, Amount, Means, Prices, Purse
from geofix.engine.generators.lmm.votes import candidates
from geofix.engine.types import Channel, Degradation, LmmCall, Proposal, Query
from geofix.engine.watching import Watcher
from geofix.errors import InvalidOption
from geofix.settings import Settings

_THUMBNAILS_SHARE = 0.2
"""Of the budget: pictures that take longer are left out."""
_UNUSABLE = (Rejection.EMPTY, Rejection.NO_COORDINATES, Rejection.UNFINISHED)
"""An endpoint that says nothing but these is no better than a broken one."""

Reading = Guess | Rejection


@dataclass(frozen=True, slots=True)
class _Heard:
    """One generation: as Geofix reads it, and as G3 does."""

    reading: Reading
    as_g3: tuple[float, float]


@dataclass(slots=True)
class _Sample:
    """What one question brought."""

    question: Question
    heard: list[_Heard] = field(default_factory=list)
    calls: list[LmmCall] = field(default_factory=list)
    failures: list[Outcome] = field(default_factory=list)

    @property
    def missing(self) -> int:
        return self.question.prompt.n - len(self.heard)


class LmmGenerator:
    """Asks an ensemble of prompts in parallel and reads every generation.

    Whatever the endpoint does, ``propose`` returns within its budget: with the candidates that
    came in time, every call's cost, the rejected generations counted by reason, and the cause when
    something is missing. Belongs to one event loop at a time.
    """

    def __init__(
        self,
        settings: Settings,
        thumbnails: Thumbnails | None = None,
        watch: Watcher | None = None,
    ) -> None:
        """Take the settings' endpoint; opens no socket.

        Raises InvalidOption when they name none, or one that cannot be used.
        """
        require_endpoint(settings)
        # Not above: the SDK takes a second to import, and most processes never need it.
        from geofix.engine.generators.lmm.asking import Asker  # noqa: PLC0415
        from geofix.engine.generators.lmm.endpoint import Endpoint  # noqa: PLC0415

        self.breaker = Breaker(settings.lmm_breaker_failures, settings.lmm_breaker_reset_s)
        self._settings = settings
        self._watch = watch or Watcher()
        self._endpoint = Endpoint(settings)
        self._asker = Asker(self._endpoint, settings, self._watch)
        self._thumbnails = thumbnails if settings.lmm_thumbnails else None
        self._atlas = Atlas()
        self._accounts = Accounts(
            Amount(
                settings.lmm_key_max_calls,
                settings.lmm_key_max_tokens,
                settings.lmm_key_max_cost_usd,
            )
        )
        self._cache: TTLCache[str, tuple[_Heard, ...]] = TTLCache(
            maxsize=settings.lmm_cache_size, ttl=settings.lmm_cache_ttl_s
        )
        self._secret = secrets.token_bytes(32)

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        thumbnails: Thumbnails | None = None,
        watch: Watcher | None = None,
    ) -> LmmGenerator | None:
        """The configured generator; None, and no SDK imported, when no model is configured."""
        if not (settings.lmm_configured or settings.lmm_base_url):
            return None
        return cls(settings, thumbnails, watch)

    @property
    def channel(self) -> Channel:
        """Always ``lmm``."""
        return Channel.LMM

    @property
    def budget_s(self) -> float:
        """Wall-clock seconds; ``propose`` ends a little earlier."""
        return self._settings.lmm_budget_s

    @property
    def references(self) -> int:
        """How many similar photos, and as many dissimilar ones, its longest prompt names."""
        return max(prompt.references for prompt in self._settings.lmm_prompts)

    def affords(self, account: str = "") -> bool:
        """Whether the budget of a caller's key still pays for one generation."""
        settings = self._settings
        tokens_in = picture.tokens(settings.lmm_image_side) + text_tokens(shortest())
        tokens_out = settings.lmm_max_output_tokens
        usd = Prices(settings.lmm_input_usd, settings.lmm_output_usd).of(tokens_in, tokens_out)
        return self._accounts.purse(account).affords(Amount(1, tokens_in + tokens_out, usd))

    async def propose(self, query: Query) -> Proposal:
        """A candidate for every generation that holds a legal position."""
        loop = asyncio.get_running_loop()
        # The last moments are for reading: the caller stops waiting when the budget ends.
        budget_s = min(self.budget_s, query.left_s())
        deadline = loop.time() + budget_s - min(0.05 * budget_s, 0.25)
        try:
            async with asyncio.timeout_at(deadline):
                asked = await self._questions(query, _THUMBNAILS_SHARE * budget_s)
        except TimeoutError:
            return Proposal(Channel.LMM, degraded=(Degradation(Channel.LMM, "timeout"),))
        settings = self._settings
        limit = Amount(settings.lmm_max_calls, settings.lmm_max_tokens, settings.lmm_max_cost_usd)
        means = Means(deadline, (Purse(limit), self._accounts.purse(query.account)))
        samples: list[_Sample] = []
        if self.breaker.state is not State.CLOSED:  # one question probes, the others wait for it
            samples.append(await self._sample(asked.pop(0), query, means))
        samples += await asyncio.gather(*(self._sample(one, query, means) for one in asked))
        return self._proposal(samples)

    async def close(self) -> None:
        """Give the connections back."""
        await self._endpoint.close()

    async def _questions(self, query: Query, pictures_s: float) -> list[Question]:
        settings = self._settings
        prompts = await asyncio.to_thread(ensemble, settings.lmm_prompts, query, self._atlas.place)
        pictures = await gather_pictures(prompts, self._thumbnails, pictures_s)
        return await asyncio.to_thread(
            questions, prompts, query.photo, pictures, settings.lmm_image_side
        )

    async def _sample(self, question: Question, query: Query, means: Means) -> _Sample:
        """All generations of one question: from the cache, in one call, or in as many as needed."""
        sample = _Sample(question)
        key = self._cache_key(question, query)
        cached = self._cache.get(key)
        if cached is not None:
            sample.heard += cached
            self._asker.note(sample.calls, question, Outcome.CACHED, len(cached))
            return sample
        if self._asker.takes_n or self.breaker.state is not State.CLOSED:
            await self._ask(sample, sample.missing, means)
        if not sample.failures and sample.missing:
            await asyncio.gather(*(self._ask(sample, 1, means) for _ in range(sample.missing)))
        useful = any(isinstance(one.reading, Guess) for one in sample.heard)
        if useful and not sample.missing and self._settings.lmm_cache_size:
            self._cache[key] = tuple(sample.heard)
        return sample

    async def _ask(self, sample: _Sample, n: int, means: Means) -> None:
        """Up to n generations more, if the circuit lets the call pass."""
        permit = self.breaker.admit()
        if permit is None:
            sample.failures.append(Outcome.CIRCUIT_OPEN)
            self._asker.note(sample.calls, sample.question, Outcome.CIRCUIT_OPEN)
            return
        healthy: bool | None = None
        try:
            reply = await self._asker.ask(sample.question, n, means)
            sample.calls += reply.calls
            if reply.outcome is not Outcome.OK:
                sample.failures.append(reply.outcome)
                healthy = False if reply.outcome.blames_endpoint else None
                return
            heard = await asyncio.to_thread(self._read, reply.generations)
            sample.heard += heard
            healthy = not all(one.reading in _UNUSABLE for one in heard)
        finally:
            self.breaker.settle(permit, healthy)

    def _read(self, generations: Sequence[Generation]) -> list[_Heard]:
        return [
            _Heard(
                Rejection.REFUSAL
                if generation.refused
                else read(generation.text, finished=generation.finished, atlas=self._atlas),
                g3_read(generation.text),
            )
            for generation in generations
        ]

    def _cache_key(self, question: Question, query: Query) -> str:
        """Tells prompts about photos apart, and nobody which photos they were."""
        settings, prompt = self._settings, question.prompt
        content = (
            *(query.photo.sha256, settings.lmm_image_side),
            *(settings.lmm_base_url, settings.lmm_model, settings.lmm_max_output_tokens),
            *(PROMPT_VERSION, prompt.style, prompt.text, prompt.n, prompt.temperature),
            question.illustrated,
        )
        return hashlib.blake2b(repr(content).encode(), key=self._secret).hexdigest()

    def _proposal(self, samples: Sequence[_Sample]) -> Proposal:
        guesses: list[tuple[str, Guess]] = []
        rejected: Counter[str] = Counter()
        for sample in samples:
            source = f"lmm:{self._settings.lmm_model}:{sample.question.prompt.name}"
            for i, one in enumerate(sample.heard):
                if isinstance(one.reading, Guess):
                    guesses.append((f"{source}:{i}", one.reading))
                else:
                    rejected[one.reading.value] += 1
        self._watch.rejected(rejected)
        causes = [failure.cause for sample in samples for failure in sample.failures]
        if not guesses and not causes:
            causes = ["failed"]  # it answered, and nothing of it can be used
        return Proposal(
            channel=Channel.LMM,
            candidates=candidates(guesses, len(guesses) + rejected.total()),
            calls=tuple(call for sample in samples for call in sample.calls),
            rejected=dict(rejected),
            read_as_g3=_in_g3s_order(samples),
            degraded=tuple(Degradation(Channel.LMM, cause) for cause in dict.fromkeys(causes)),
        )


def _in_g3s_order(samples: Sequence[_Sample]) -> tuple[tuple[float, float], ...]:
    """G3 compares the first generation of each prompt, then the second of each, and so on.

    The prompt without references comes last.
    """
    ordered = sorted(samples, key=lambda sample: not sample.question.prompt.references)
    rounds = zip_longest(*(sample.heard for sample in ordered))
    return tuple(one.as_g3 for each in rounds for one in each if one is not None)


def require_endpoint(settings: Settings) -> None:
    """Raise InvalidOption unless the settings name an endpoint that can be asked."""
    if not settings.lmm_configured:
        raise InvalidOption(
            "GEOFIX_LMM_MODEL must name a model, together with GEOFIX_LMM_BASE_URL or "
            "GEOFIX_LMM_API_KEY."
        )
    if settings.lmm_base_url and not settings.lmm_base_url.startswith(("http://", "https://")):
        raise InvalidOption("GEOFIX_LMM_BASE_URL must begin with http:// or https://.")
    key = settings.lmm_api_key.get_secret_value()
    if not (key.isascii() and key.isprintable()):
        raise InvalidOption("GEOFIX_LMM_API_KEY holds characters that no key has.")
