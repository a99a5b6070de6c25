"""Where finished models are put: each in a folder of its own under ``<data_dir>/models/``."""

from __future__ import annotations

import re
from pathlib import Path

from geofix.engine.models import built_in
from geofix.errors import InvalidSource

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def model_name(name: str) -> str:
    """``name``, if a model may be called so; else :class:`InvalidSource`."""
    if not NAME.fullmatch(name):
        raise InvalidSource(f"{name!r} cannot name a model: use a-z, 0-9, dot, dash, underscore.")
    if name in built_in():
        raise InvalidSource(f"{name!r} is a built-in model; choose another name.")
    return name


def place(fresh: Path, data_dir: Path, name: str) -> Path:
    """Move the folder ``fresh``, which holds a whole model, to where ``name`` belongs.

    An older model of that name is moved beside ``fresh``, to be deleted with it.
    """
    target = data_dir / "models" / name
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        target.rename(fresh.with_name(f"{fresh.name}.replaced"))
    return fresh.rename(target)
