"""A filter as conditions on indexed fields, for any store: keywords, a range, ids.

Areas become S2 tokens. A store's own geo index over-counts its cells and then walks a graph that
the filter has cut into pieces, which loses most of the neighbours; keywords do not. A covering
reaches a little beyond its area, so the caller tests the points it gets once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy.typing as npt

from geofix.engine.gallery.captured import span
from geofix.engine.region import coverings
from geofix.engine.types import Filter
from geofix.geo import cells

CELL_LEVELS = (2, 5, 8, 11)
"""S2 levels stored with every point; their cells are about 2300, 290, 36 and 4.5 km wide."""

KEYWORDS = ("cell", "country", "source", "licence", "contributor", "sha256")
"""Fields of which every store keeps an index of exact values."""

_MAX_TOKENS = 512
_REFINE_UP_TO = 32
"""A covering of more cells than this follows its area closely enough already."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """All must hold."""

    any_of: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Fields, each with the values of which it must hold one."""
    none_of: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Fields, each with the values that it must not hold."""
    without_ids: tuple[str, ...] = ()
    captured: tuple[float | None, float | None] | None = None
    """First and last moment in Unix seconds."""


def conditions(where: Filter) -> Conditions:
    """The conditions of a filter. Raises InvalidOption or InvalidCoordinate for a bad one."""
    keywords = [
        ("country", where.countries),
        ("source", where.sources),
        ("licence", where.licences),
        *(("cell", _finest(cover)) for cover in coverings(where)),
    ]
    captured = None
    if where.captured_from or where.captured_to:
        first = span(where.captured_from)[0] if where.captured_from else None
        last = span(where.captured_to)[1] if where.captured_to else None
        captured = (first, last)
    contributors = where.exclude_contributors
    return Conditions(
        any_of=tuple((field, values) for field, values in keywords if values),
        none_of=(("contributor", contributors),) if contributors else (),
        without_ids=where.exclude_ids,
        captured=captured,
    )


def cell_tokens(latlon: npt.ArrayLike) -> list[list[str]]:
    """The tokens stored with each of the points [N, 2], coarse to fine."""
    finest = cells.cell_ids(latlon, CELL_LEVELS[-1])
    levels = [cells.parents(finest, level) for level in CELL_LEVELS]
    return [list(row) for row in zip(*(cells.tokens_of(ids) for ids in levels), strict=True)]


def _finest(cover: Callable[[int], list[str]]) -> tuple[str, ...]:
    """The covering of the finest stored level that is still a short list."""
    tokens = cover(CELL_LEVELS[0])
    for level in CELL_LEVELS[1:]:
        if len(tokens) > _REFINE_UP_TO:
            break
        finer = cover(level)
        if len(finer) > _MAX_TOKENS:
            break
        tokens = finer
    return tuple(tokens)
