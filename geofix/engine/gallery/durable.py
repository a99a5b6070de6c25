"""Having things on the disk before going on, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what shall take the place of ``path``: a file beside it, not there yet.

    On leaving, it is on the disk and has the name; whoever reads, also after a power failure, finds
    the old content or the new one, whole. What fails on the way leaves the old one.
    """
    written = path.with_name(f"{path.name}.writing")
    written.unlink(missing_ok=True)
    try:
        yield written
        sync_file(written)
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def replace_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all; on the disk when it returns."""
    with replacing(path) as written:
        written.write_text(text + "\n", "utf-8")


def sync_file(path: Path) -> None:
    """Have the file's bytes on the disk before going on."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
