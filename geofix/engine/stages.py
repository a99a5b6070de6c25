"""Running the stages: their clock, and generators that may be late or fail."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from geofix.engine.generators.port import Generator
from geofix.engine.types import Degradation, Proposal, Query, StageEvent

log = logging.getLogger(__name__)

Observer = Callable[[StageEvent], None]
_T = TypeVar("_T")
_Detail = Callable[[_T], Mapping[str, object]]


class Stopwatch:
    """Times the stages of one locate and tells observers as each ends."""

    def __init__(self, *observers: Observer | None) -> None:
        self.timings_ms: dict[str, float] = {}
        self._observers = [observe for observe in observers if observe is not None]
        self._started = time.perf_counter()

    async def stage(self, name: str, work: Awaitable[_T], detail: _Detail[_T] | None = None) -> _T:
        """Await one stage."""
        started = time.perf_counter()
        result = await work
        self.finish(name, started, detail(result) if detail else {})
        return result

    def finish(self, name: str, started: float, detail: Mapping[str, object]) -> None:
        """Record a stage that began at ``started`` (of ``time.perf_counter``).

        A stage that is run again adds to its time.
        """
        ms = (time.perf_counter() - started) * 1000.0
        self.timings_ms[name] = self.timings_ms.get(name, 0.0) + ms
        for observe in self._observers:
            observe(StageEvent(name, ms, detail))

    def total(self) -> dict[str, float]:
        """Every stage in ms, and the time since the start as ``total``."""
        return {**self.timings_ms, "total": (time.perf_counter() - self._started) * 1000.0}


async def propose_all(
    generators: Sequence[Generator], query: Query, clock: Stopwatch
) -> tuple[list[Proposal], list[Degradation]]:
    """Ask all generators at once; a late or failing one is named, never waited for or raised."""
    outcomes = await asyncio.gather(*(_propose(g, query, clock) for g in generators))
    return (
        [outcome for outcome in outcomes if isinstance(outcome, Proposal)],
        [outcome for outcome in outcomes if isinstance(outcome, Degradation)],
    )


async def _propose(generator: Generator, query: Query, clock: Stopwatch) -> Proposal | Degradation:
    name = str(generator.channel)
    started = time.perf_counter()
    try:
        budget_s = min(generator.budget_s, query.left_s())
        proposal = await asyncio.wait_for(generator.propose(query), budget_s)
    except TimeoutError:
        clock.finish(name, started, {"degraded": "timeout"})
        return Degradation(name, "timeout")
    except Exception:  # one channel's failure must not cost the answer
        log.exception("generator %s failed", name)
        clock.finish(name, started, {"degraded": "failed"})
        return Degradation(name, "failed")
    clock.finish(name, started, {"candidates": len(proposal.candidates)})
    return proposal
