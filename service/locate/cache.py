"""Answers kept for whoever asks the same of the same photo again.

They are kept in full for the account that asked, in memory and, with a Redis URL, in one place for
every service; whoever hands one out coarsens it anew. The key holds all that an answer depends on:
the photo's hash, the options, the model, the galleries, where they lie and their versions, a
counter that every change of a gallery's photos moves on, and what the service was started with: its
release, its models, their calibrations and its settings.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

from cachetools import TTLCache
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from geofix.engine import models
from geofix.engine.choosing import calibrations
from geofix.engine.types import GalleryInfo, LocateOptions
from geofix.settings import Settings
from geofix.settings.engine import EngineSettings
from geofix.settings.lmm import LmmSettings

log = logging.getLogger(__name__)

_PREFIX = "geofix:answers:"
_CHANGES = _PREFIX + "changes"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as JSON, and when it was given (seconds of the Unix epoch)."""

    text: str
    given_at: float

    @property
    def age_s(self) -> int:
        """How old it is."""
        return max(int(time.time() - self.given_at), 0)


class AnswerCache:
    """Keeps answers for a while. A Redis that cannot be asked costs only the repeats."""

    def __init__(self, config: Settings, shared: ConnectionPool | None) -> None:
        self._seconds = config.cache_s
        self._kept: TTLCache[str, KeptAnswer] = TTLCache(
            config.cache_bytes, max(config.cache_s, 1e-9), getsizeof=lambda kept: len(kept.text)
        )
        self._redis = Redis(connection_pool=shared) if shared is not None else None
        # Embedded galleries are a data directory's own, whoever else uses the same Redis.
        self._where = config.qdrant_url or f"{socket.gethostname()}:{config.data_dir.resolve()}"
        self._changes = 0
        self._config = config
        self._started_with = ""

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all."""
        return self._seconds > 0

    async def key(
        self,
        sha256: str,
        options: LocateOptions,
        encoder: str,
        galleries: Sequence[GalleryInfo],
    ) -> str:
        """Names the answer to these options for a photo, as things are now."""
        parts = {
            "photo": sha256,
            "options": asdict(options),
            "encoder": encoder,
            "where": self._where,
            "started with": await self._by_what(),
            "galleries": [asdict(gallery) for gallery in galleries],
            "changes": await self._changed(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    async def get(self, key: str) -> KeptAnswer | None:
        """The answer of this key, or None."""
        found = self._kept.get(key)
        if found is not None or self._redis is None:
            return found
        try:
            text = await self._redis.get(_PREFIX + key)
        except (RedisError, OSError) as error:
            return self._without(error)
        if text is None:
            return None
        given_at, _, answer = _text(text).partition("\n")
        return KeptAnswer(answer, float(given_at))

    async def put(self, key: str, text: str) -> None:
        """Keep an answer that was given just now."""
        kept = KeptAnswer(text, time.time())
        if len(text) <= self._kept.maxsize:
            self._kept[key] = kept
        if self._redis is not None:
            try:
                value = f"{kept.given_at}\n{text}"
                await self._redis.set(_PREFIX + key, value, px=int(self._seconds * 1000) or 1)
            except (RedisError, OSError) as error:
                self._without(error)

    async def forget(self) -> None:
        """Hand out no answer given until now: a gallery's photos have changed."""
        self._changes += 1
        self._kept.clear()
        if self._redis is not None:
            try:
                await self._redis.incr(_CHANGES)
            except (RedisError, OSError) as error:
                self._without(error)

    async def _by_what(self) -> str:
        if not self._started_with:
            self._started_with = await asyncio.to_thread(_started_with, self._config)
        return self._started_with

    async def _changed(self) -> str:
        """How often photos have changed: as all services count it, else as this one does."""
        if self._redis is not None:
            try:
                return _text(await self._redis.get(_CHANGES) or "0")
            except (RedisError, OSError) as error:
                self._without(error)
        return f"here {self._changes}"

    @staticmethod
    def _without(error: Exception) -> None:
        log.warning("kept answers cannot be had from Redis: %s", type(error).__name__)


def _started_with(config: Settings) -> str:
    """Changes with all that answers depend on and that only a restart changes."""
    fields = {*EngineSettings.model_fields, *LmmSettings.model_fields} - {"data_dir"}
    parts = {
        "release": version("geofix"),
        "models": {name: card.files for name, card in models.manifest(config.data_dir).items()},
        "calibrations": calibrations.fingerprint(config.data_dir),
        "settings": config.model_dump(mode="json", include=fields),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
