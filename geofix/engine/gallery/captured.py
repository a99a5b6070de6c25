"""When a photo was taken: ISO 8601 texts of any precision, as moments that can be compared."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

from geofix.errors import InvalidOption

_MONTH = re.compile(r"(\d{4})(?:-(\d{2}))?")
_EPOCH = re.compile(r"\d{10}|\d{13}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def normalise(text: str) -> str:
    """``text`` as ISO 8601: kept as it is, or converted from Unix seconds or milliseconds.

    Raises InvalidOption when it is neither.
    """
    text = text.strip()
    if _EPOCH.fullmatch(text):
        seconds = int(text) / (1000 if len(text) == 13 else 1)
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    span(text)
    return text


def span(text: str) -> tuple[float, float]:
    """First and last moment that an ISO 8601 text names, in Unix seconds.

    ``2019`` is a year long, ``2019-05`` a month, ``2019-05-03`` a day, a time one moment. Without
    a zone it is UTC. Raises InvalidOption for anything else.
    """
    try:
        if match := _MONTH.fullmatch(text):
            year, month = int(match[1]), int(match[2] or 1)
            days = calendar.monthrange(year, month)[1] if match[2] else 365 + calendar.isleap(year)
            return _from(datetime(year, month, 1, tzinfo=UTC), days)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return _from(moment, 1) if _DAY.fullmatch(text) else (moment.timestamp(),) * 2
    except (ValueError, OverflowError) as error:
        raise InvalidOption(
            f"{text[:40]!r} is no date: write it like 2019, 2019-05, 2019-05-03 or "
            "2019-05-03T10:20:30Z."
        ) from error


def _from(start: datetime, days: int) -> tuple[float, float]:
    return start.timestamp(), (start + timedelta(days=days)).timestamp() - 1e-3
