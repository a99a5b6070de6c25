"""Two ways to the same answer: the engine in this process, or a running service's.

A data directory has one owner. Where that is a service, the command asks it over HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import ValidationError

from geofix.errors import Unavailable
from geofix.remote.client import address, connect
from geofix.remote.engine import Engine, RemoteEngine
from geofix.settings import Settings
from service.locate.options import Options
from service.locate.schemas import Answer


@asynccontextmanager
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    """The engine to ask: the service that owns the data directory, else one of our own."""
    if where := address(settings):
        async with connect(where, settings.api_key.get_secret_value()) as service:
            yield RemoteEngine(service)
    else:
        from geofix.engine.locate import Locator
        from service.locate.local import LocalEngine

        locator = await Locator.open(settings, role="cli")
        try:
            yield LocalEngine(locator, settings.neighbours)
        finally:
            await locator.close()


async def locate(asked: Engine, data: bytes, options: Options) -> Answer:
    """The answer for one photo. Raises a GeofixError where there is none."""
    text = await asked.locate(data, options.strings())
    try:
        return Answer.model_validate_json(text)
    except ValidationError as error:
        raise Unavailable("What the service answered is no answer of this version.") from error
