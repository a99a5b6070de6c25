"""The photos of one chunk on their way through the engine, each with its own tries.

All of them are asked for in one call. A photo with which the engine was lost, or which it failed
on without saying why, is then asked for alone, so that it costs no other photo its answer; after
a few tries it is given up. Waiting for a busy engine, or for one that is not there, is no try.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from geofix.errors import EngineLost, Unavailable
from geofix.jobs.chunks import MAX_TRIES, Chunks
from geofix.jobs.types import Claim, Item, Outcome, Problem
from geofix.remote.engine import Engine, Fault, Located, Reference

_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


class Photos:
    """What there is to do in a claimed chunk, and what became of it."""

    def __init__(
        self, engine: Callable[[], Awaitable[Engine]], chunks: Chunks, claim: Claim
    ) -> None:
        self._engine = engine
        self._chunks = chunks
        self._claim = claim
        self._done: dict[int, Outcome] = {}
        self._tries: Counter[int] = Counter()

    def finished(self) -> list[Outcome]:
        """The outcomes there are so far, in the chunk's order."""
        return [self._done[index] for index in sorted(self._done)]

    async def work(self) -> None:
        """Work until every photo has its outcome.

        Raises RefusedError when the engine refuses the whole call: no photo will fare better.
        """
        while waiting := [item for item in self._claim.items if item.index not in self._done]:
            fresh = [item for item in waiting if not self._tries[item.index]]
            if self._claim.isolated:
                await self._isolated(waiting[0])
            else:
                await self._pause(await self._ask(fresh or waiting[:1]))

    async def _isolated(self, item: Item) -> None:
        """One photo of a chunk with which a worker was lost, on the record."""
        given_up = await self._chunks.begin(self._claim, item)
        if given_up is not None:
            self._done[item.index] = given_up
            return
        try:
            while item.index not in self._done:
                await self._pause(await self._ask([item]))
        except asyncio.CancelledError:
            await self._chunks.excuse(self._claim, item)  # it was not the photo that ended this
            raise
        await self._chunks.keep(self._claim, self._done[item.index])

    async def _ask(self, items: Sequence[Item]) -> float:
        """Ask for these photos in one call; returns how long to wait before the next one."""
        references = [Reference.model_validate(item.source) for item in items]
        options, owner = self._claim.options, self._claim.owner
        pause_s = 0.0
        try:
            engine = await self._engine()
            async for located in engine.locate_references(references, options, owner):
                pause_s = max(pause_s, self._take(items[located.index], located))
        except EngineLost as error:
            for item in items:
                if item.index not in self._done:
                    self._failed(item, Fault.of(error))
            return _PAUSE_S
        except Unavailable as error:
            return float(error.retry_after_s)
        return pause_s

    def _take(self, item: Item, located: Located) -> float:
        """Take what came of one photo; returns how long to wait where the engine was busy."""
        fault = located.fault
        if fault is None:
            self._done[item.index] = Outcome(item.index, item.custom_id, located.answer)
        elif fault.retry_after_s is not None:
            return fault.retry_after_s
        elif fault.status >= 500:
            self._failed(item, fault)
        else:
            self._give_up(item, fault)
        return 0.0

    def _failed(self, item: Item, fault: Fault) -> None:
        self._tries[item.index] += 1
        if self._tries[item.index] >= MAX_TRIES:
            self._give_up(item, fault)

    def _give_up(self, item: Item, fault: Fault) -> None:
        problem = Problem(fault.type, fault.title, fault.status, fault.detail)
        self._done[item.index] = Outcome(item.index, item.custom_id, problem=problem)

    async def _pause(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(min(seconds, _LONGEST_PAUSE_S))
