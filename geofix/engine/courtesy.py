"""Photos of batch jobs step aside between their stages while a person waits for an answer.

The lanes of batching order what is decoded and encoded; what comes behind that runs at once for
every photo in work. Here those of the batch lane pause, so that a person's photo has the
processor; each of them only for a while, so that no crowd of persons stops a job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from geofix.engine.types import Lane

LONGEST_S = 0.25
"""How long one photo steps aside before one stage."""


class Courtesy:
    """Who is in work. For the tasks of one event loop."""

    def __init__(self) -> None:
        self._persons = 0
        self._alone = asyncio.Event()
        self._alone.set()

    @contextmanager
    def present(self, lane: Lane) -> Iterator[None]:
        """A photo of this lane is in work."""
        if lane is Lane.BATCH:
            yield
            return
        self._persons += 1
        self._alone.clear()
        try:
            yield
        finally:
            self._persons -= 1
            if not self._persons:
                self._alone.set()

    async def step_aside(self, lane: Lane) -> None:
        """Let persons go first, where this photo is of a batch job."""
        if lane is Lane.BATCH and self._persons:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._alone.wait(), LONGEST_S)
