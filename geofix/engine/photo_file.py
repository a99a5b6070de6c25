"""A photo's file, read whole but never without end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from geofix.errors import PhotoTooLarge, UnreadablePhoto

MAX_FILE_BYTES = 200 * 2**20


def read_photo_file(path: Path) -> bytes:
    """The bytes of a file or a pipe.

    Raises OSError, UnreadablePhoto for a device (some never end), PhotoTooLarge.
    """
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise UnreadablePhoto("It is a device, not a file.")
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise PhotoTooLarge(f"The file is larger than {MAX_FILE_BYTES >> 20} MiB.")
    return data
