"""The feedback file: one JSON line for each truth that was told, appended and fsynced."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from geofix.engine.gallery.durable import sync_directory
from service.feedback.schemas import Row

FILE = "feedback.jsonl"


def append(data_dir: Path, row: Row) -> None:
    """Add a row; it is on the disk when this returns. One writer at a time."""
    path = data_dir / FILE
    is_new = not path.exists()
    with path.open("ab+") as file:
        file.write(_line_end_missing(path) + row.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_directory(data_dir)


def read(data_dir: Path) -> list[Row]:
    """The last row of every answer, in the order in which answers were first told about."""
    return list({row.truth.id: row for row in _rows(data_dir / FILE)}.values())


def _rows(path: Path) -> Iterator[Row]:
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            try:
                yield Row.model_validate_json(line)
            except ValidationError:
                continue  # a line cut off by a crash was never acknowledged


def _line_end_missing(path: Path) -> bytes:
    """What must be written first so that a line cut off by a crash stays a line of its own."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return b""
        file.seek(-1, os.SEEK_END)
        return b"" if file.read(1) == b"\n" else b"\n"
