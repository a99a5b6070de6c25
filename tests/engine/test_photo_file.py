"""Reading a photo's file: whole, but never without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from geofix.engine import photo_file
from geofix.engine.photo_file import read_photo_file
from geofix.errors import PhotoTooLarge, UnreadablePhoto


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    assert read_photo_file(path) == b"12345"


def test_a_device_that_never_ends_is_refused() -> None:
    with pytest.raises(UnreadablePhoto, match="device"):
        read_photo_file(Path("/dev/zero"))


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(photo_file.MAX_FILE_BYTES + 1)
    with pytest.raises(PhotoTooLarge, match="200 MiB"):
        read_photo_file(path)


def test_a_missing_file_and_a_folder_are_errors_of_the_system(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(OSError, match=path.name):
            read_photo_file(path)
