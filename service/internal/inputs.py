"""Photos of jobs, read from the object store by whoever holds the engine."""

from __future__ import annotations

from geofix.errors import InvalidRequest, NotFound, PhotoTooLarge
from geofix.jobs.objects import Objects
from geofix.remote.engine import Reference
from geofix.settings import Settings

_JOBS = "jobs/"


class Inputs:
    """Reads photos below the jobs' prefix, and below those that the operator lets jobs name."""

    def __init__(self, config: Settings) -> None:
        self._config = config
        self._stores: dict[str, Objects] = {}

    async def read(self, reference: Reference) -> bytes:
        """The bytes of a photo. Raises InvalidRequest, NotFound, PhotoTooLarge, Unavailable."""
        store = self._store(reference)
        limit = self._config.job_max_photo_bytes
        length = limit + 1 if reference.length is None else reference.length
        if length > limit + 1:
            raise _too_large(limit)
        data = await store.get_range(reference.path, reference.start, length)
        if data is None:
            raise NotFound("The photo is not in the object store any more.")
        if len(data) > limit:
            raise _too_large(limit)
        return data

    def _store(self, reference: Reference) -> Objects:
        inside = ".." not in reference.path.split("/")
        if reference.prefix:
            allowed = inside and reference.prefix in self._config.job_reference_prefixes
        else:
            allowed = inside and reference.path.startswith(_JOBS)
        if not allowed:
            raise InvalidRequest("The reference lies outside what jobs may name.")
        if reference.prefix not in self._stores:
            opened = Objects.at(reference.prefix) if reference.prefix else Objects.of(self._config)
            self._stores[reference.prefix] = opened
        return self._stores[reference.prefix]


def _too_large(limit: int) -> PhotoTooLarge:
    return PhotoTooLarge(f"The photo is larger than {limit / 2**20:g} MiB.")
