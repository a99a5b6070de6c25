"""What pydantic refuses, as a deliberate error with a sentence: the only reader of its errors."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from geofix.errors import GeofixError, InvalidCoordinate, InvalidOption, InvalidRequest

_TOLD = 5
_LONGEST = 200
_PHOTOS = frozenset({"photo", "photos"})
_FOLDERS = frozenset({"options", "path", "query", "body"})
"""Where a field stands in a request; its name is enough for whoever reads the sentence."""


def refusal(
    error: ValidationError | RequestValidationError, known: Collection[str] = ()
) -> GeofixError:
    """The error of a body, a form or options that a model refused.

    InvalidRequest for what has no content or the wrong shape, InvalidCoordinate for a latitude or
    longitude out of range, InvalidOption for the rest, with up to five sentences. ``known`` are
    the names among which an unknown one is likely to have been meant.
    """
    sentences = []
    for entry in error.errors():
        kind, path, message = entry["type"], _path(entry["loc"]), entry["msg"]
        message = message.removeprefix("Value error, ")
        if kind == "json_invalid":
            return InvalidRequest(f"The body is not valid JSON: {message}.")
        if not entry["loc"]:
            return InvalidRequest(f"The body cannot be understood: {message}.")
        if kind == "missing" and isinstance(entry["loc"][-1], str):
            where = "query parameter" if entry["loc"][0] == "query" else "field"
            return InvalidRequest(f"The {where} {path!r} is missing.")
        if entry["loc"][0] in _PHOTOS and kind == "string_type":
            return InvalidRequest(f"{path} must be a string: the photo's file in base64.")
        if path in ("lat", "lon"):
            return InvalidCoordinate(f"{path}: {message}.")
        sentences.append(
            _unknown(path, known) if kind == "extra_forbidden" else f"{path}: {message}."
        )
    return InvalidOption(" ".join(list(dict.fromkeys(sentences))[:_TOLD]))


def _path(loc: Sequence[int | str]) -> str:
    parts = [str(part) for part in loc]
    if len(parts) > 1 and parts[0] in _FOLDERS:
        parts = parts[1:]
    return ".".join(parts)[:_LONGEST]


def _unknown(name: str, known: Collection[str]) -> str:
    if name in known:
        return f"Option {name!r} belongs to the first request, which sends the photo."
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"Unknown option {name[:80]!r}. Did you mean {close[0]!r}?"
    listed = f" Options are {', '.join(known)}." if known else ""
    return f"Unknown option {name[:80]!r}.{listed}"
