"""Photos of batch jobs step aside while a person waits for an answer.

The lanes of batching order what waits. What is at work already shares the processor, and what runs
beside a person's photo makes it slower: so photos of the batch lane pause between their stages,
and while they are decoded, as long as a person's is in work. Each of them only for a while, so
that no crowd of persons stops a job.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from geofix.engine.types import Lane

LONGEST_S = 0.25
"""How long one photo steps aside before one stage, and all in all while it is decoded."""


class Courtesy:
    """Who is in work. Persons come and go on one event loop; any thread may step aside."""

    def __init__(self) -> None:
        self._persons = 0
        self._alone = asyncio.Event()
        self._alone_in_threads = threading.Event()
        self._change()

    @contextmanager
    def present(self, lane: Lane) -> Iterator[None]:
        """A photo of this lane is in work."""
        if lane is Lane.BATCH:
            yield
            return
        self._persons += 1
        self._change()
        try:
            yield
        finally:
            self._persons -= 1
            self._change()

    async def step_aside(self, lane: Lane) -> None:
        """Let persons go first, where this photo is of a batch job."""
        if lane is Lane.BATCH and self._persons:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._alone.wait(), LONGEST_S)

    def pause(self, lane: Lane) -> Callable[[], None]:
        """What a thread that works on one photo of this lane calls every now and then."""
        left_s = 0.0 if lane is Lane.INTERACTIVE else LONGEST_S

        def pause() -> None:
            nonlocal left_s
            if left_s > 0.0 and not self._alone_in_threads.is_set():
                began = time.monotonic()
                self._alone_in_threads.wait(left_s)
                left_s -= time.monotonic() - began

        return pause

    def _change(self) -> None:
        for event in (self._alone, self._alone_in_threads):
            if self._persons:
                event.clear()
            else:
                event.set()
