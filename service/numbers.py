"""Numbers as they stand in a query string or a form: digits as anybody writes them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, FiniteFloat


def _without_underscores(value: object) -> object:
    """Refuse ``1_0``: Python reads it as ten, its sender hardly meant that."""
    if isinstance(value, str) and "_" in value:
        raise ValueError(f"{value[:40]!r} is no number")
    return value


Number = Annotated[FiniteFloat, BeforeValidator(_without_underscores)]
Whole = Annotated[int, BeforeValidator(_without_underscores)]
