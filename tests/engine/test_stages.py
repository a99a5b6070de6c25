"""The stages' clock, and what becomes of generators when an answer's time is over."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from geofix.engine.stages import Stopwatch, propose_all
from geofix.engine.types import (
    Channel,
    Degradation,
    Embedding,
    Filter,
    Photo,
    Proposal,
    Query,
    StageEvent,
)


class Sleeper:
    """A generator that takes its time."""

    channel = Channel.TEXT

    def __init__(self, seconds: float, budget_s: float) -> None:
        self.budget_s = budget_s
        self._seconds = seconds

    async def propose(self, query: Query) -> Proposal:
        await asyncio.sleep(self._seconds)
        return Proposal(self.channel)


def query(left_s: float) -> Query:
    photo = Photo(np.zeros((2, 2, 3), np.uint8), "", 2, 2, "JPEG")
    embedding = Embedding(np.ones(1, np.float32))
    return Query(photo, embedding, (), Filter(), deadline=time.monotonic() + left_s)


def test_a_stage_that_is_run_again_adds_to_its_time() -> None:
    told: list[StageEvent] = []

    async def run() -> dict[str, float]:
        clock = Stopwatch(told.append, None, told.append)
        for _ in range(2):
            await clock.stage("posterior", asyncio.sleep(0.02))
        return clock.total()

    timings = asyncio.run(run())
    assert [event.stage for event in told] == ["posterior"] * 4
    assert timings["posterior"] >= 40.0
    assert timings["posterior"] == sum(event.ms for event in told[::2])
    assert timings["total"] >= timings["posterior"]


def test_the_answers_time_and_the_generators_own_both_bind() -> None:
    for left_s, budget_s in ((0.05, 30.0), (30.0, 0.05), (0.0, 30.0)):
        begun = time.monotonic()
        proposals, degraded = asyncio.run(
            propose_all([Sleeper(10.0, budget_s)], query(left_s), Stopwatch())
        )
        assert time.monotonic() - begun < 5.0
        assert proposals == []
        assert degraded == [Degradation("text", "timeout")]
