"""What a replica asks of the service it copies.

Models, calibrations and galleries are copied: what an answer rests on. What each service writes
down for itself, keys, audit and feedback, is not.
"""

from __future__ import annotations

from pydantic import BaseModel

ORIGINAL_PATH = "/v1/internal/original"
FILE_PATH = f"{ORIGINAL_PATH}/file"
GALLERY_PATH = f"{ORIGINAL_PATH}/galleries/{{name}}"
FOLDERS = ("models", "calibrations")


class OriginalFile(BaseModel):
    """One file of the original's data directory."""

    path: str
    """Below the data directory, with slashes."""
    bytes: int
    modified_ns: int


class Original(BaseModel):
    """What there is to copy."""

    files: list[OriginalFile]
    galleries: list[str]
