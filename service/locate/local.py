"""The engine of this process, asked as a remote one is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from geofix.engine.locate import Locator
from geofix.engine.types import Lane, LocateOptions, Prediction
from geofix.errors import GeofixError, Unavailable
from geofix.observability import requests, tracing
from geofix.remote.engine import Fault, Located, Reference
from service.locate.options import from_strings
from service.locate.schemas import Answer
from service.precision import coarsened

Reader = Callable[[Reference], Awaitable[bytes]]
"""Reads the photo that a reference names. Raises a GeofixError where it cannot."""

log = logging.getLogger("geofix.service")

_AT_ONCE = 4
"""Photos of one call in work, of which there are two at a time: enough to keep the processor busy
and read the next ones; more would only wait, in front of a person."""


class LocalEngine:
    """Asks the engine that this process holds."""

    def __init__(self, locator: Locator, neighbours: int, read: Reader | None = None) -> None:
        self._locator = locator
        self._neighbours = neighbours
        self._read = read

    async def locate(self, data: bytes, options: Mapping[str, str]) -> str:
        """As ``Engine.locate``."""
        asked = from_strings(tuple(options.items())).engine(neighbours=self._neighbours)
        return await self._answer(data, asked)

    async def locate_references(
        self, references: Sequence[Reference], options: Mapping[str, str], account: str = ""
    ) -> AsyncIterator[Located]:
        """As ``Engine.locate_references``."""
        asked = await self.understand(options, account)
        async for located in self.locate_each(references, asked):
            yield located

    async def understand(self, options: Mapping[str, str], account: str) -> LocateOptions:
        """The options of a batch, checked before any photo is read.

        Raises InvalidOption, InvalidCoordinate, NotFound or Conflict where no photo will do.
        """
        asked = from_strings(tuple(options.items())).engine(neighbours=self._neighbours)
        asked = replace(asked, lane=Lane.BATCH, account=account)
        await self._locator.check(asked)
        return asked

    async def locate_each(
        self, references: Sequence[Reference], asked: LocateOptions
    ) -> AsyncIterator[Located]:
        """What came of each photo, in the order they finish."""
        waiting = iter(enumerate(references))
        working: set[asyncio.Task[Located]] = set()
        try:
            while True:
                while len(working) < _AT_ONCE and (entry := next(waiting, None)) is not None:
                    working.add(asyncio.create_task(self._one(*entry, asked)))
                if not working:
                    return
                done, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in working:
                task.cancel()

    async def _one(self, index: int, reference: Reference, asked: LocateOptions) -> Located:
        if self._read is None:
            raise Unavailable("This engine has no object store to read from.")
        with tracing.part("photo", {"geofix.index": index}):
            return await self._outcome(index, reference, asked, self._read)

    async def _outcome(
        self, index: int, reference: Reference, asked: LocateOptions, read: Reader
    ) -> Located:
        try:
            answer = await self._answer(await read(reference), asked)
        except GeofixError as error:
            requests.refused(error.slug)
            return Located(index=index, fault=Fault.of(error))
        except Exception:  # what nobody foresaw in one photo must not cost the others theirs
            log.exception("a photo of a batch failed")
            unforeseen = GeofixError("Something went wrong on our side.")
            requests.refused(unforeseen.slug)
            return Located(index=index, fault=Fault.of(unforeseen))
        return Located(index=index, answer=answer)

    async def _answer(self, data: bytes, asked: LocateOptions) -> str:
        prediction = await self._locator.locate(data, asked)
        await self._locator.courtesy.step_aside(asked.lane)
        return await asyncio.to_thread(_json, prediction)


def _json(prediction: Prediction) -> str:
    return coarsened(Answer.of(prediction), prediction.cap_km).model_dump_json()
