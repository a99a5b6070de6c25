"""Two ways to the same answer: the engine in this process, or a running service's.

A data directory has one owner. Where that is a service, the command asks it over HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import httpx
from pydantic import ValidationError

from geofix.engine.gallery.directory import DataDirectory
from geofix.errors import GeofixError, Unavailable
from geofix.settings import Settings
from service.locate.options import Options
from service.locate.schemas import Answer

if TYPE_CHECKING:
    from geofix.engine.locate import Locator

_PATIENCE_S = 120.0


class Engine(Protocol):
    """Something that says where a photo was taken."""

    async def locate(self, data: bytes, options: Options) -> Answer:
        """The answer. Raises a GeofixError where there is none."""
        ...


class RefusedError(GeofixError):
    """A problem that a running service answered with."""

    def __init__(self, problem: dict[str, object]) -> None:
        super().__init__(str(problem.get("detail", "The service refused the request.")))
        self.problem = problem


@asynccontextmanager
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    """The engine to ask: the service that owns the data directory, else one of our own."""
    owner = DataDirectory(settings.data_dir).owner()
    if owner is not None and owner.address:
        async with httpx.AsyncClient(base_url=owner.address, timeout=_PATIENCE_S) as client:
            yield _Service(client)
    else:
        from geofix.engine.locate import Locator

        locator = await Locator.open(settings, role="cli")
        try:
            yield _InProcess(locator, settings)
        finally:
            await locator.close()


class _InProcess:
    def __init__(self, locator: Locator, settings: Settings) -> None:
        self._locator = locator
        self._neighbours = settings.neighbours

    async def locate(self, data: bytes, options: Options) -> Answer:
        asked = options.engine(neighbours=self._neighbours)
        return Answer.of(await self._locator.locate(data, asked))


class _Service:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def locate(self, data: bytes, options: Options) -> Answer:
        try:
            response = await self._client.post(
                "/v1/locate",
                files={"photo": ("photo", data)},
                data=options.strings(),
            )
        except httpx.HTTPError as error:
            raise Unavailable(
                f"The service at {self._client.base_url} owns the data directory and does not "
                f"answer ({type(error).__name__}). Wait for it, or stop it."
            ) from error
        return _answer(response)


def _answer(response: httpx.Response) -> Answer:
    try:
        if response.is_success:
            return Answer.model_validate_json(response.content)
        raise RefusedError(response.json())
    except (ValidationError, ValueError) as error:
        raise Unavailable("What the service answered is no answer of this version.") from error
