"""Having things on the disk before going on."""

from __future__ import annotations

import os
from pathlib import Path


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


def replace_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all; on the disk when it returns."""
    written = path.with_name(f"{path.name}.writing")
    written.write_text(text + "\n", "utf-8")
    sync_file(written)
    written.replace(path)
    sync_directory(path.parent)
