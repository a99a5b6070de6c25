"""The photos in a folder, by the names of their files."""

from __future__ import annotations

from pathlib import Path

import click

from geofix.cli.rendering import plain

_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".heic", ".heif"})


def photos_below(folder: Path) -> list[Path]:
    """Every photo of a folder and those in it, by path. Raises a usage error for none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise click.UsageError(f"There is no photo in the folder {plain(str(folder))!r}.")
    return found
