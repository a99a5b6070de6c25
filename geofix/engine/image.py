"""Bytes into an upright RGB picture, or into an error that says what is wrong with them.

Dimensions are checked before anything is decoded, large JPEGs are decoded at a reduced scale,
and of the metadata only the orientation is used. Everything here may run in several threads.
"""

from __future__ import annotations

import hashlib
import io
import math
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import SupportsFloat

import numpy as np
from PIL import ExifTags, Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from geofix.engine.container import (
    ANIMATION,
    JPEG_START,
    PNG_START,
    Parts,
    take_apart_jpeg,
    take_apart_png,
)
from geofix.engine.types import Photo, UInt8Array
from geofix.errors import (
    EmptyPhoto,
    InvalidPhoto,
    PhotoTooLarge,
    UnreadablePhoto,
    UnsupportedFormat,
)
from geofix.geo.coordinates import Coordinate

MAX_PIXELS = 50_000_000
"""Pixels decoded at most, after the scaled decoding of JPEG."""
MAX_JPEG_PIXELS = 256_000_000
"""Pixels of a JPEG that is decoded at a reduced scale: reading its code takes a second."""
MAX_FRAMED_WEBP_PIXELS = 18_000_000
"""Pillow holds 15 bytes for every pixel of a WEBP; larger ones are decoded without its frames,
which leaves no transparency."""
MAX_SIDE = 65_535
"""Of width and height, in pixels: the longest a JPEG can have."""
MAX_KEPT_PIXELS = 16_000_000
"""Of the result; reached by panoramas whose shortest side alone would allow more."""
STRIP_PIXELS = 1_000_000
"""Pixels turned into RGB at once, so that modes with alpha need no second full picture."""
JPEG_SCALES = (8, 4, 2, 1)
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1"}

_UPRIGHT: dict[int, Callable[[UInt8Array], UInt8Array]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}
"""EXIF orientation → the turn that undoes it."""

# For the whole process, as filters cannot be set for one thread: what Pillow would only warn of
# (a decompression bomb, a damaged EXIF block) is an error, and is handled as one below.
warnings.filterwarnings("error", module=r"PIL\.")


def _go_on() -> None:
    return None


def decode(data: bytes, *, target: int, pause: Callable[[], None] = _go_on) -> Photo:
    """The photo in ``data``, its shortest side in [target, 2·target) pixels where it was larger.

    Only pictures far longer than wide may end below that, see ``MAX_KEPT_PIXELS``. ``target`` is
    what the most demanding reader wants, for example twice a model's input size: each reader
    then resizes with its own filter. ``pause`` is called again and again while the file is read,
    about once a millisecond of a JPEG or PNG, and may take its time.

    Raises :class:`EmptyPhoto`, :class:`UnsupportedFormat` (not JPEG, PNG, WEBP or HEIF, or
    animated), :class:`PhotoTooLarge` (too many pixels) or :class:`UnreadablePhoto` (damaged).
    """
    try:
        parts, image = _open(data, pause)
        width, height = image.size
        _check_size(image, parts, target)
        orientation = _orientation(image, parts.exif)
        if _is_large_webp(image):
            pixels = _large_webp(data, _reduction(image.size, target))
        else:
            image.load()
            pixels = _rgb(image, _reduction(image.size, target))
    except InvalidPhoto:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise PhotoTooLarge("The photo has more pixels than can be read.") from error
    except Exception as error:  # decoders fail in a dozen ways, all of them the file's fault
        raise UnreadablePhoto("The photo is damaged or not complete.") from error
    upright = _UPRIGHT.get(orientation)
    if upright is not None:
        pixels = np.ascontiguousarray(upright(pixels))
    if orientation >= 5:
        width, height = height, width
    return Photo(
        pixels=pixels,
        sha256=hashlib.sha256(data).hexdigest(),
        width=width,
        height=height,
        format=image.format or "",
    )


def read_position(data: bytes) -> Coordinate | None:
    """Where the photo's EXIF block says it was taken; None when it says nothing that can be so.

    Only for building a gallery from a folder. Missing hemispheres, zero denominators, values
    out of range and the (0, 0) of receivers without a fix count as nothing.
    """
    try:
        parts, image = _open(data)
        gps = _exif(image, parts.exif).get_ifd(ExifTags.IFD.GPSInfo)
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef], "NS")
        lon = _degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef], "EW")
        if abs(lon) > 180 or (lat == 0 and lon == 0):
            return None
        return Coordinate(lat, lon)
    except Exception:  # metadata may be damaged in any way; then it says nothing
        return None


class _Paused(io.BytesIO):
    """A file that is read in pieces, with pauses in between."""

    def __init__(self, data: bytes, pause: Callable[[], None]) -> None:
        super().__init__(data)
        self._pause = pause

    def read(self, size: int | None = -1, /) -> bytes:
        self._pause()
        return super().read(size)


def _open(data: bytes, pause: Callable[[], None] = _go_on) -> tuple[Parts, ImageFile.ImageFile]:
    """The file taken apart and its header read, by the one decoder its first bytes allow."""
    if not data:
        raise EmptyPhoto("The photo is empty: it has no bytes.")
    if data.startswith(JPEG_START):
        parts = take_apart_jpeg(data)
        return parts, JpegImageFile(_Paused(parts.picture, pause))
    if data.startswith(PNG_START):
        parts = take_apart_png(data)
        return parts, PngImageFile(_Paused(parts.picture, pause))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return Parts(data), _open_webp(data)
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        return Parts(data), _open_heif(data)
    raise UnsupportedFormat("The photo must be a JPEG, PNG, WEBP or HEIF file.")


def _open_webp(data: bytes) -> ImageFile.ImageFile:
    image = WebPImageFile(io.BytesIO(data))
    if image.is_animated:
        raise UnsupportedFormat(ANIMATION)
    return image


def _open_heif(data: bytes) -> ImageFile.ImageFile:
    try:
        plugin = import_module("pillow_heif")
    except ImportError as error:
        raise UnsupportedFormat(
            "HEIF photos can be read where geofix[heif] is installed; send a JPEG here."
        ) from error
    image: ImageFile.ImageFile = plugin.HeifImageFile(io.BytesIO(data))
    return image


def _check_size(image: ImageFile.ImageFile, parts: Parts, target: int) -> None:
    """Choose the scale of a JPEG; :class:`PhotoTooLarge` when even that is too much."""
    width, height = image.size
    if max(width, height) > MAX_SIDE:
        raise PhotoTooLarge(f"The photo's longer side has more than {MAX_SIDE} pixels.")
    limit = MAX_PIXELS
    if _is_large_webp(image) and image.mode != "RGB":
        limit = MAX_FRAMED_WEBP_PIXELS
    if isinstance(image, JpegImageFile):
        scale = _jpeg_scale(width, height, target)
        image.draft(None, (max(1, width // scale), max(1, height // scale)))
        if parts.row_by_row:
            limit = min(MAX_JPEG_PIXELS, MAX_PIXELS * scale**2)
    if width * height > limit:
        raise PhotoTooLarge(
            f"The photo has {width * height / 1e6:.0f} megapixels; "
            f"of a {image.format} file at most {limit / 1e6:.0f} are read."
        )


def _jpeg_scale(width: int, height: int, target: int) -> int:
    """The largest divisor that leaves ``target``, or the smallest that leaves few enough pixels."""
    wanted = (s for s in JPEG_SCALES if min(width, height) // s >= target)
    needed = (s for s in reversed(JPEG_SCALES) if width * height <= MAX_PIXELS * s**2)
    return max(next(wanted, 1), next(needed, 1))


def _reduction(size: tuple[int, int], target: int) -> int:
    """By how much the decoded picture is to be divided."""
    for_target = min(size) // target
    for_memory = math.ceil(math.sqrt(size[0] * size[1] / MAX_KEPT_PIXELS))
    return max(1, for_target, for_memory)


def _rgb(image: Image.Image, factor: int) -> UInt8Array:
    """uint8 [⌈height / factor⌉, ⌈width / factor⌉, 3], each pixel the mean of a square.

    Works in strips: the peak is the decoded picture and the result, whatever the mode.
    """
    if factor == 1 and _is_opaque_rgb(image):
        return np.asarray(image)
    width, height = image.size
    rows = factor * max(1, STRIP_PIXELS // (width * factor))
    strips = [
        np.asarray(_opaque(image.crop((0, top, width, min(top + rows, height)))).reduce(factor))
        for top in range(0, height, rows)
    ]
    return np.concatenate(strips)


def _is_opaque_rgb(image: Image.Image) -> bool:
    return image.mode == "RGB" and not image.has_transparency_data


def _is_large_webp(image: ImageFile.ImageFile) -> bool:
    width, height = image.size
    return isinstance(image, WebPImageFile) and width * height > MAX_FRAMED_WEBP_PIXELS


def _large_webp(data: bytes, factor: int) -> UInt8Array:
    """Like ``_rgb``, of an opaque WEBP too large for Pillow's decoder; divided by an even number.

    OpenCV halves the picture itself, and holds the whole of it once rather than twice for that.
    """
    import cv2  # noqa: PLC0415 - loading it takes longer than decoding most photos

    flags = cv2.IMREAD_REDUCED_COLOR_2 | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    if decoded is None:
        raise UnreadablePhoto("The photo is damaged or not complete.")
    rest = max(1, factor // 2)
    rows = rest * max(1, STRIP_PIXELS // (decoded.shape[1] * rest))
    strips = [
        np.asarray(Image.fromarray(decoded[top : top + rows, :, ::-1].copy()).reduce(rest))
        for top in range(0, decoded.shape[0], rows)
    ]
    return np.concatenate(strips)


def _opaque(image: Image.Image) -> Image.Image:
    """8-bit RGB; 16-bit grey is scaled, what is transparent lies on white."""
    if _is_opaque_rgb(image):
        return image
    if image.mode.startswith("I"):
        # Pillow's own conversion would clip at 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _exif(image: ImageFile.ImageFile, block: bytes) -> Image.Exif:
    if not block:
        return image.getexif()
    exif = Image.Exif()
    exif.load(block)
    return exif


def _orientation(image: ImageFile.ImageFile, block: bytes) -> int:
    """EXIF orientation, 1 to 8; 1 where the block is missing, damaged or makes no sense."""
    try:
        orientation = int(_exif(image, block).get(ExifTags.Base.Orientation, 1))
    except Exception:  # a fine picture is not refused for its metadata
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _degrees(parts: Sequence[SupportsFloat], hemisphere: str, names: str) -> float:
    """Degrees, minutes and seconds with their hemisphere → signed degrees; ValueError if wrong."""
    degrees = math.fsum(float(part) / 60.0**i for i, part in enumerate(parts))
    sign = {names[0]: 1, names[1]: -1}[hemisphere.strip("\0 ").upper()]
    if not math.isfinite(degrees):
        raise ValueError("a denominator is zero")
    return sign * degrees
