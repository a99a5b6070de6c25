"""Files that are no photos, in twenty ways; made, never stored."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image


def _picture(size: int = 64) -> Image.Image:
    pixels = np.random.default_rng(3).integers(0, 255, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _saved(form: str, *, frames: int = 1) -> bytes:
    stream = io.BytesIO()
    picture = _picture()
    if frames > 1:
        more = [picture.rotate(90 * n) for n in range(1, frames)]
        picture.save(stream, form, save_all=True, append_images=more)
    else:
        picture.save(stream, form)
    return stream.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bomb(side: int) -> bytes:
    """A PNG of ``side`` × ``side`` black pixels in some kilobytes."""
    rows = zlib.compressobj(9)
    line = bytes(1 + side // 8 + 1)
    packed = b"".join(rows.compress(line) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("photo.jpg", _saved("JPEG"))
    return stream.getvalue()


def _half(form: str) -> bytes:
    data = _saved(form)
    return data[: len(data) // 2]


KINDS: Mapping[str, Callable[[], bytes]] = {
    "text": lambda: b"this is no photo\n" * 40,
    "html": lambda: b"<!doctype html><title>not found</title>",
    "json": lambda: b'{"error": "expired"}',
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "pdf": lambda: b"%PDF-1.7\n%%EOF\n",
    "zip": _archive,
    "mp4": lambda: b"\x00\x00\x00\x20ftypisom" + bytes(500),
    "zeros": lambda: bytes(4096),
    "noise": lambda: np.random.default_rng(1).bytes(4096),
    "gif": lambda: _saved("GIF"),
    "bmp": lambda: _saved("BMP"),
    "tiff": lambda: _saved("TIFF"),
    "half a jpeg": lambda: _half("JPEG"),
    "the head of a jpeg": lambda: _saved("JPEG")[:24],
    "half a png": lambda: _half("PNG"),
    "a png of no pixels": lambda: _bomb(0),
    "half a webp": lambda: _half("WEBP"),
    "animated webp": lambda: _saved("WEBP", frames=3),
    "81 megapixels": lambda: _bomb(9_000),
    "169 megapixels": lambda: _bomb(13_000),
}
"""How each is made, by what it is."""
