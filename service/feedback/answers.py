"""The answers given lately, so that somebody may tell what was true."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from cachetools import TTLCache

from geofix.errors import Conflict, NotFound
from geofix.observability import metrics
from geofix.settings import Settings
from service.feedback import journal
from service.feedback.schemas import Given, Measured, Recorded, Row, Truth
from service.locate.schemas import Answer

MOST_TRUTHS = 10
"""Of one answer, told one after the other: each is a line in the file."""

_Key = tuple[str, str]
"""An answer's id and the account that asked."""


class AnswersGiven:
    """What the last answers promised, in memory, and the truths told of them, on disk."""

    def __init__(self, config: Settings) -> None:
        self._data_dir: Path = config.data_dir
        self._given: TTLCache[_Key, Given] = TTLCache(config.feedback_answers, config.feedback_s)
        self._told: TTLCache[_Key, tuple[Truth, ...]] = TTLCache(
            config.feedback_answers, config.feedback_s
        )
        """Every truth that was told of an answer; the last one holds."""
        self._one_at_a_time = asyncio.Lock()

    def remember(self, answer: Answer, account: str) -> None:
        """Remember an answer as it was sent to an account."""
        self._given[answer.id, account] = Given.by(answer)

    async def tell(self, truth: Truth, account: str) -> Measured:
        """Keep the truth of an answer; what is returned is on the disk.

        Raises NotFound for an answer that this account was not given, or that is forgotten, and
        Conflict for one whose truth was changed too often.
        """
        key = (truth.id, account)
        given = self._given.get(key)
        if given is None:
            raise NotFound(
                "No answer of this id is known: it was not given to you, or too long ago, or "
                "before the service was last started."
            )
        distance_km = given.distance_km(truth)
        async with self._one_at_a_time:
            told = self._told.get(key, ())
            known = told[-1] if told else None
            if known != truth:
                if len(told) == MOST_TRUTHS:
                    raise Conflict(
                        f"{MOST_TRUTHS} truths of this answer were told; the last one stands."
                    )
                row = Row(at=datetime.now(UTC), truth=truth, answer=given, distance_km=distance_km)
                await asyncio.to_thread(journal.append, self._data_dir, row)
                self._told[key] = (*told, truth)
            if known is None:
                radii_km = {"50": given.radius_50_km, "90": given.radius_90_km}
                metrics.measured(distance_km, radii_km)
        return Measured(
            id=truth.id,
            recorded=_recorded(known, truth),
            distance_km=distance_km,
            within_radius_50=distance_km <= given.radius_50_km,
            within_radius_90=distance_km <= given.radius_90_km,
        )


def _recorded(known: Truth | None, truth: Truth) -> Recorded:
    if known is None:
        return Recorded.NEW
    return Recorded.SAME if known == truth else Recorded.REPLACED
