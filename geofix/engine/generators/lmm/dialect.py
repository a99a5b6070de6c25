"""What servers that call themselves OpenAI-compatible leave out, learnt from their complaints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum


class Feature(StrEnum):
    """A part of the API that not every server takes."""

    JSON_SCHEMA = "json-schema"
    N = "n"
    TEMPERATURE = "temperature"
    MAX_TOKENS = "max-tokens"
    """Without it the limit is called ``max_completion_tokens``."""
    THUMBNAILS = "thumbnails"


Dialect = frozenset[Feature]
FULL: Dialect = frozenset(Feature)

_LIKELIEST = (Feature.JSON_SCHEMA, Feature.N)
"""Given up in this order when a complaint names none."""
_COMPLAINTS: Mapping[Feature, re.Pattern[str]] = {
    Feature.MAX_TOKENS: re.compile(r"max_completion_tokens"),
    Feature.N: re.compile(r"""['"`]n['"`]|\bn ?[:=]|parameter:? n\b|candidate_?count"""),
    Feature.TEMPERATURE: re.compile(r"temperature"),
    Feature.THUMBNAILS: re.compile(r"\bimages?\b"),
    Feature.JSON_SCHEMA: re.compile(r"response_?format|schema|structured"),
}


def simpler(dialect: Dialect, complaint: str) -> Dialect | None:
    """The dialect without the feature that a complaint names, else without the likeliest one.

    None when there is nothing left to give up.
    """
    for feature, pattern in _COMPLAINTS.items():
        if feature in dialect and pattern.search(complaint):
            return dialect - {feature}
    return next((dialect - {feature} for feature in _LIKELIEST if feature in dialect), None)
