"""Limits by account: so many requests a second, so many a day.

They are counted in fixed windows that open with an account's first request, in this process or,
with a Redis URL, in one place for every process. Each hit is one atomic increment, so a limit of
100 lets exactly 100 through, however many ask at once.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.errors import StorageError
from redis.asyncio import ConnectionPool

from geofix.errors import QuotaExceeded, Unavailable
from service.auth.caller import Caller

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands with one of its limits."""

    limit: RateLimitItem
    left: int
    resets_in_s: int

    @property
    def name(self) -> str:
        """Of the limit in headers, for example ``100-per-day``."""
        span = self.limit.GRANULARITY.name
        many = "" if self.limit.multiples == 1 else f"{self.limit.multiples}-"
        return f"{self.limit.amount}-per-{many}{span}"


class Quotas:
    """Counts what accounts ask for."""

    def __init__(self, shared: ConnectionPool | None = None) -> None:
        self._counts = _storage(shared)

    async def spend(self, caller: Caller, cost: int = 1) -> dict[str, str]:
        """Count ``cost`` requests of a caller; the headers that tell how they stand.

        Raises Exhausted, and Unavailable while Redis cannot be asked.
        """
        if not caller.limits:
            return {}
        try:
            standings = [
                await self._hit(caller.account, limit, cost) for limit in _parsed(caller.limits)
            ]
        except StorageError as error:
            log.warning("limits cannot be counted: %s", type(error.storage_error).__name__)
            raise Unavailable("Limits cannot be counted now. Try again shortly.") from error
        return _headers(standings)

    async def _hit(self, account: str, limit: RateLimitItem, cost: int) -> Standing:
        window = limit.key_for(account)
        # Several at once that are seen not to fit are not counted: others may still.
        seen = await self._counts.get(window) if cost > 1 else 0
        fits = seen + cost <= limit.amount
        count = await self._counts.incr(window, limit.get_expiry(), cost) if fits else seen
        over_in_s = math.ceil(await self._counts.get_expiry(window) - time.time())
        standing = Standing(limit, max(limit.amount - count, 0), max(over_in_s, 1))
        if not fits or count > limit.amount:
            raise Exhausted(standing)
        return standing


class Exhausted(QuotaExceeded):
    """QuotaExceeded that knows by which limit."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(
            f"The limit of {standing.limit} is reached. Try again in {standing.resets_in_s} s.",
            retry_after_s=standing.resets_in_s,
        )
        self.headers: Mapping[str, str] = _headers([standing])


@lru_cache(maxsize=1024)
def _parsed(limits: str) -> tuple[RateLimitItem, ...]:
    """The limits in a text, the shortest span first: it is the one that is reached in vain."""
    return tuple(sorted(parse_many(limits), key=lambda limit: limit.get_expiry()))


def _storage(shared: ConnectionPool | None) -> Storage:
    if shared is None:
        return MemoryStorage(wrap_exceptions=True)
    return RedisStorage(
        "async+redis://",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="geofix:limits",
        connection_pool=shared,  # type: ignore[arg-type]
    )


def _headers(standings: list[Standing]) -> dict[str, str]:
    """As in draft-ietf-httpapi-ratelimit-headers."""
    return {
        "RateLimit-Policy": ", ".join(
            f'"{s.name}";q={s.limit.amount};w={s.limit.get_expiry()}' for s in standings
        ),
        "RateLimit": ", ".join(f'"{s.name}";r={s.left};t={s.resets_in_s}' for s in standings),
    }
