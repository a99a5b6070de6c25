"""Decoding of fine, odd, damaged and hostile photos."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from geofix.engine.image import decode, read_position
from geofix.errors import (
    EmptyPhoto,
    InvalidPhoto,
    PhotoTooLarge,
    UnreadablePhoto,
    UnsupportedFormat,
)

TARGET = 448
PHOTOS = Path(os.environ.get("GEOFIX_TEST_PHOTOS", Path(__file__).parents[3] / "shared" / "data"))


def scene(width: int = 320, height: int = 200) -> Image.Image:
    """Red top left, green top right, blue bottom left, white bottom right, softly blended."""
    corners = np.array(
        [[(230, 30, 30), (30, 200, 30)], [(30, 30, 230), (240, 240, 240)]], dtype=np.uint8
    )
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(width: int, height: int, *, bits: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    """A black PNG of any size, made row by row."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    row = bytes(1 + (width * bits * channels + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def with_jpeg_size(data: bytes, width: int, height: int) -> bytes:
    """The same JPEG with a lie about its size."""
    start = next(data.find(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data)
    return data[: start + 5] + struct.pack(">HH", height, width) + data[start + 9 :]


def exif(orientation: int = 1, gps: Mapping[int, object] | None = None) -> bytes:
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = orientation
    if gps is not None:
        block[ExifTags.IFD.GPSInfo] = dict(gps)
    return block.tobytes()


def quadrants(pixels: np.ndarray) -> list[str]:
    """Names of the colours near the four corners, reading order."""
    names = []
    for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        r, g, b = (int(v) for v in pixels[y, x])
        names.append("w" if min(r, g, b) > 180 else "rgb"[int(np.argmax((r, g, b)))])
    return names


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_formats_that_are_read(kind: str) -> None:
    data = encode(scene(), kind)
    photo = decode(data, target=TARGET)
    assert photo.format == kind
    assert (photo.width, photo.height) == (320, 200)
    assert photo.pixels.shape == (200, 320, 3)
    assert photo.pixels.dtype == np.uint8
    assert quadrants(photo.pixels) == ["r", "g", "b", "w"]


def test_heif_is_read_where_the_extra_is_installed() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra geofix[heif] is absent")
    stream = io.BytesIO()
    try:
        pillow_heif.from_pillow(scene()).save(stream)
    except RuntimeError:
        pytest.skip("this build of pillow-heif cannot write HEIF")
    photo = decode(stream.getvalue(), target=TARGET)
    assert photo.format == "HEIF"
    assert quadrants(photo.pixels) == ["r", "g", "b", "w"]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_reaches_the_decoder_unchanged_but_for_its_metadata(progressive: bool) -> None:
    data = encode(scene(), "JPEG", progressive=progressive, exif=exif(), comment=b"hello")
    plain = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(decode(data, target=TARGET).pixels, plain)


def test_real_photos_decode_as_pillow_does() -> None:
    if not PHOTOS.is_dir():
        pytest.skip(f"no photos at {PHOTOS}; set GEOFIX_TEST_PHOTOS")
    files = sorted(PHOTOS.glob("*/images/*"))[::9]
    assert files
    for file in files:
        data = file.read_bytes()
        plain = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert np.array_equal(decode(data, target=10_000).pixels, plain), file.name


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (1000, 900), (899, 896)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_shortest_side_ends_between_one_and_two_targets(
    size: tuple[int, int], kind: str
) -> None:
    photo = decode(encode(scene(*size), kind), target=TARGET)
    assert (photo.width, photo.height) == size
    assert TARGET <= min(photo.pixels.shape[:2]) < 2 * TARGET
    assert quadrants(photo.pixels) == ["r", "g", "b", "w"]


def test_a_large_webp_is_read_like_a_small_one() -> None:
    lying = scene(6000, 4000).transpose(Image.Transpose.ROTATE_90)
    data = encode(lying, "WEBP", exif=exif(6), method=0)
    photo = decode(data, target=TARGET)
    assert (photo.width, photo.height, photo.format) == (6000, 4000, "WEBP")
    assert TARGET <= min(photo.pixels.shape[:2]) < 2 * TARGET
    assert quadrants(photo.pixels) == ["r", "g", "b", "w"]
    with pytest.raises(UnreadablePhoto):
        decode(data[: len(data) // 2], target=TARGET)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_decoding_can_pause_many_times(kind: str) -> None:
    noise = np.random.default_rng(5).integers(0, 255, (1000, 1000, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    pauses: list[None] = []
    paused = decode(data, target=100, pause=lambda: pauses.append(None))
    assert len(pauses) > len(data) / 100_000
    assert np.array_equal(paused.pixels, decode(data, target=100).pixels)


def test_small_photos_are_not_enlarged() -> None:
    assert decode(encode(scene(40, 30), "PNG"), target=TARGET).pixels.shape == (30, 40, 3)
    assert decode(encode(scene(1, 1), "PNG"), target=TARGET).pixels.shape == (1, 1, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "transpose"),
    [
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_orientation_is_honoured(kind: str, orientation: int, transpose: Image.Transpose) -> None:
    lying = scene().transpose(transpose)
    photo = decode(encode(lying, kind, exif=exif(orientation)), target=TARGET)
    assert (photo.width, photo.height) == (320, 200)
    assert photo.pixels.shape == (200, 320, 3)
    assert quadrants(photo.pixels) == ["r", "g", "b", "w"]


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\xff\xff\xff\xff" * 3,
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        exif(9),
        exif(0),
    ],
)
def test_damaged_exif_does_not_cost_a_fine_picture(block: bytes) -> None:
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    data = encode(scene(), "JPEG")
    photo = decode(data[:2] + segment + data[2:], target=TARGET)
    assert quadrants(photo.pixels) == ["r", "g", "b", "w"]


def test_cmyk_jpeg() -> None:
    photo = decode(encode(scene().convert("CMYK"), "JPEG"), target=TARGET)
    assert quadrants(photo.pixels) == ["r", "g", "b", "w"]


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256 * 4).reshape(4, 256).astype(np.uint16)
    pixels = decode(encode(Image.fromarray(ramp), "PNG"), target=TARGET).pixels
    assert np.array_equal(pixels[..., 0], (ramp >> 8).astype(np.uint8))


def test_sixteen_bit_colour_png() -> None:
    photo = decode(png(60, 40, bits=16, colour=2), target=TARGET)
    assert photo.pixels.shape == (40, 60, 3)
    assert not photo.pixels.any()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_other_modes_of_png(mode: str) -> None:
    photo = decode(encode(scene().convert(mode), "PNG"), target=TARGET)
    assert photo.pixels.shape == (200, 320, 3)
    assert photo.pixels[-1, -1].min() > 200  # the white corner
    assert photo.pixels[-1, 0].mean() < 160  # the blue one


@pytest.mark.parametrize("size", [(64, 48), (2600, 1900)])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_lie_on_white(mode: str, size: tuple[int, int]) -> None:
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, size[0] // 2, size[1]))
    pixels = decode(encode(picture.convert(mode), "PNG"), target=TARGET).pixels
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[0, -1].tolist() == [255, 255, 255]


def test_the_hash_is_of_the_bytes() -> None:
    assert (
        decode(encode(Image.new("L", (2, 2)), "PNG"), target=1).sha256
        != decode(encode(Image.new("L", (2, 2)), "PNG", compress_level=0), target=1).sha256
    )


def test_several_pictures_in_one_jpeg_count_as_the_first() -> None:
    data = encode(scene(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64))])
    photo = decode(data, target=TARGET)
    assert photo.format == "JPEG"
    assert quadrants(photo.pixels) == ["r", "g", "b", "w"]


def test_a_film_behind_the_picture_is_ignored() -> None:
    film = np.random.default_rng(0).bytes(3_000_000)
    data = encode(scene(), "JPEG", progressive=True)
    assert quadrants(decode(data + film, target=TARGET).pixels) == ["r", "g", "b", "w"]


def test_more_megapixels_where_scaled_decoding_affords_them() -> None:
    photo = decode(encode(Image.new("L", (12_000, 9_000), 200), "JPEG"), target=TARGET)
    assert (photo.width, photo.height) == (12_000, 9_000)
    assert TARGET <= min(photo.pixels.shape[:2]) < 2 * TARGET


def test_a_panorama_is_scaled_below_the_target_rather_than_refused() -> None:
    photo = decode(encode(Image.new("L", (40_000, 2_000), 200), "JPEG"), target=1280)
    assert (photo.width, photo.height) == (40_000, 2_000)
    assert photo.pixels.shape[0] < 1280


JPEG = encode(scene(800, 600), "JPEG", quality=90)
PROGRESSIVE = encode(scene(800, 600), "JPEG", quality=90, progressive=True)
WEBP = encode(scene(800, 600), "WEBP")
LAST_SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
SECOND_FRAME = [Image.new("RGB", (64, 64), "red")]

BAD: dict[str, tuple[Callable[[], bytes], type[InvalidPhoto]]] = {
    "empty": (lambda: b"", EmptyPhoto),
    "text": (lambda: b"This is not a photo.\n" * 40, UnsupportedFormat),
    "one byte": (lambda: b"\xff", UnsupportedFormat),
    "GIF": (lambda: encode(scene(64, 64), "GIF"), UnsupportedFormat),
    "TIFF": (lambda: encode(scene(64, 64), "TIFF"), UnsupportedFormat),
    "animated WEBP": (
        lambda: encode(scene(64, 64), "WEBP", save_all=True, append_images=SECOND_FRAME),
        UnsupportedFormat,
    ),
    "animated PNG": (
        lambda: encode(scene(64, 64), "PNG", save_all=True, append_images=SECOND_FRAME),
        UnsupportedFormat,
    ),
    "half a JPEG": (lambda: JPEG[: len(JPEG) // 2], UnreadablePhoto),
    "half a progressive JPEG": (lambda: PROGRESSIVE[: len(PROGRESSIVE) // 2], UnreadablePhoto),
    "header of a JPEG": (lambda: JPEG[:60], UnreadablePhoto),
    "start of a JPEG": (lambda: JPEG[:3], UnreadablePhoto),
    "JPEG without a picture": (lambda: b"\xff\xd8\xff\xd9", UnreadablePhoto),
    "half a PNG": (lambda: encode(scene(), "PNG")[:400], UnreadablePhoto),
    "signature of a PNG": (lambda: png(1, 1)[:8], UnreadablePhoto),
    "half a WEBP": (lambda: WEBP[: len(WEBP) // 2], UnreadablePhoto),
    "start of a WEBP": (lambda: WEBP[:16], UnreadablePhoto),
    "81 megapixels of PNG in 10 KB": (lambda: png(9_000, 9_000, bits=1), PhotoTooLarge),
    "169 megapixels of PNG": (lambda: png(13_000, 13_000, bits=1), PhotoTooLarge),
    "PNG of 2 billion by 2 billion": (
        lambda: with_png_size(png(8, 8), 2**31 - 1, 2**31 - 1),
        PhotoTooLarge,
    ),
    "a PNG with 70 000 columns": (lambda: png(70_000, 1), PhotoTooLarge),
    "WEBP of 16384 by 16384": (lambda: with_webp_canvas(WEBP, 16_384, 16_384), PhotoTooLarge),
    "JPEG of 65500 by 65500": (lambda: with_jpeg_size(JPEG, 65_500, 65_500), PhotoTooLarge),
    "progressive JPEG of 225 megapixels": (
        lambda: with_jpeg_size(PROGRESSIVE, 15_000, 15_000),
        PhotoTooLarge,
    ),
    "JPEG of no pixels": (lambda: with_jpeg_size(JPEG, 0, 600), UnreadablePhoto),
    "thousands of scans": (
        lambda: PROGRESSIVE[:-2] + LAST_SCAN * 3_000 + b"\xff\xd9",
        UnreadablePhoto,
    ),
    "millions of segments": (lambda: b"\xff\xd8" + b"\xff\xe0\0\x02" * 4_000_000, UnreadablePhoto),
    "nothing but FF": (lambda: b"\xff\xd8" + b"\xff" * 16_000_000, UnreadablePhoto),
    "millions of chunks": (
        lambda: png(8, 8)[:33] + chunk(b"IDAT", b"") * 1_000_000,
        UnreadablePhoto,
    ),
}


def with_png_size(data: bytes, width: int, height: int) -> bytes:
    header = struct.pack(">II", width, height) + data[24:29]
    return data[:8] + chunk(b"IHDR", header) + data[33:]


def with_webp_canvas(data: bytes, width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size + data[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("name", BAD)
def test_bad_input_has_its_own_error(name: str) -> None:
    make, error = BAD[name]
    with pytest.raises(error) as raised:
        decode(make(), target=TARGET)
    assert type(raised.value) is error
    assert str(raised.value)
    assert read_position(make()) is None


def test_bad_input_costs_little_memory_and_time(tmp_path: Path) -> None:
    """In a process of its own, where the peak is that of decoding alone."""
    hostile = {
        "iccp": png(64, 64, extra=chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(40_000_000), 9))),
        "text": png(
            64, 64, extra=chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1_000_000), 9)) * 4_000
        ),
        "progressive": with_jpeg_size(PROGRESSIVE, 8_000, 6_000),
        "wide": with_jpeg_size(JPEG, 16_000, 15_900),
    }
    for name, (make, _) in BAD.items():
        hostile[name] = make()
    for name, data in hostile.items():
        (tmp_path / name).write_bytes(data)
    cost = costs(sorted(hostile), tmp_path)
    assert max(one["megabytes"] for one in cost.values()) < 300, cost
    assert max(one["seconds"] for one in cost.values()) < 2, cost


LARGEST: dict[str, Callable[[], bytes]] = {
    "WEBP": lambda: encode(scene(7_071, 7_071), "WEBP", method=0, quality=30),
    "transparent WEBP": lambda: encode(
        scene(4_242, 4_242).convert("RGBA"), "WEBP", method=0, quality=30
    ),
    "PNG": lambda: png(7_071, 7_071, colour=2),
    "PNG with alpha": lambda: png(7_071, 7_071, colour=6),
    "16-bit PNG": lambda: png(7_071, 7_071, bits=16, colour=0),
    "JPEG": lambda: encode(Image.new("L", (16_000, 15_900), 200), "JPEG"),
    "progressive JPEG": lambda: encode(
        Image.new("L", (7_071, 7_071), 200), "JPEG", progressive=True
    ),
}


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_photos_that_are_read_cost_under_300_mb(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(LARGEST[name]())
    (cost,) = costs([name], tmp_path).values()
    assert cost["shortest"] >= TARGET, "it was refused"
    assert cost["megabytes"] < 300


def costs(names: list[str], folder: Path) -> dict[str, dict[str, float]]:
    """Memory so far, processor time and shortest side (0 when refused) of each decoded file.

    All in one process of its own. The peak is the kernel's ``VmHWM``, which starts anew in a new
    program; ``ru_maxrss`` does not. It holds the bytes of the file, too.
    """
    script = """
import json, sys, time
from pathlib import Path
from geofix.engine.image import decode
from geofix.errors import InvalidPhoto
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
found, before = {}, peak()
for file in map(Path, sys.argv[1:]):
    data, start, shortest = file.read_bytes(), time.process_time(), 0
    try:
        shortest = min(decode(data, target=448).pixels.shape[:2])
    except InvalidPhoto:
        pass
    seconds = time.process_time() - start
    found[file.name] = {"megabytes": peak() - before, "seconds": seconds, "shortest": shortest}
print(json.dumps(found))
"""
    files = [str(folder / name) for name in names]
    command = [sys.executable, "-W", "error", "-c", script, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "WEBP"]))
def test_any_damage_gives_a_picture_or_a_deliberate_error(data: st.DataObject, kind: str) -> None:
    original = {"JPEG": JPEG, "PNG": SMALL_PNG, "WEBP": WEBP}[kind]
    bytes_ = bytearray(original)
    for _ in range(data.draw(st.integers(1, 8))):
        bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(bytes_[: data.draw(st.integers(1, len(bytes_)))])
    try:
        photo = decode(cut, target=64)
    except InvalidPhoto:
        return
    assert photo.pixels.ndim == 3


SMALL_PNG = encode(scene(64, 48), "PNG")


def test_threads_decode_side_by_side() -> None:
    """Good and bad photos together: no warning filter or other shared state is disturbed."""
    bad, outcomes = png(9_000, 9_000, bits=1), []

    def work() -> None:
        for _ in range(10):
            assert decode(JPEG, target=TARGET).width == 800
            try:
                decode(bad, target=TARGET)
            except PhotoTooLarge:
                outcomes.append(True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 40


KAUAI = {1: "N", 2: (22.0, 13.0, 12.0), 3: "W", 4: (159.0, 30.0, 0.0)}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_position_from_exif(kind: str) -> None:
    place = read_position(encode(scene(), kind, exif=exif(6, KAUAI)))
    assert place is not None
    assert place.lat == pytest.approx(22.22)
    assert place.lon == pytest.approx(-159.5)


def test_a_decoded_photo_keeps_no_position() -> None:
    photo = decode(encode(scene(), "JPEG", exif=exif(1, KAUAI)), target=TARGET)
    without = decode(encode(scene(), "JPEG"), target=TARGET)
    assert np.array_equal(photo.pixels, without.pixels)
    assert {field.name for field in fields(photo)} == {
        "pixels",
        "sha256",
        "width",
        "height",
        "format",
    }


@pytest.mark.parametrize(
    "gps",
    [
        None,
        {},
        {1: "N", 2: (22.0, 13.0, 12.0)},
        {2: (22.0, 13.0, 12.0), 4: (159.0, 30.0, 0.0)},
        {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)},
        {1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (10.0, 0.0, 0.0)},
        {1: "N", 2: (20.0, 0.0, 0.0), 3: "E", 4: (181.0, 0.0, 0.0)},
        {1: "X", 2: (20.0, 0.0, 0.0), 3: "E", 4: (10.0, 0.0, 0.0)},
    ],
)
def test_no_position_where_exif_has_none_that_can_be(gps: Mapping[int, object] | None) -> None:
    assert read_position(encode(scene(), "JPEG", exif=exif(1, gps))) is None


def test_no_position_with_a_zero_denominator() -> None:
    data = encode(scene(), "JPEG", exif=exif(1, KAUAI))
    # 22/1 as it lies in the file, in either byte order
    for twenty_two in (struct.pack("<II", 22, 1), struct.pack(">II", 22, 1)):
        if twenty_two in data:
            data = data.replace(twenty_two, twenty_two[:4] + bytes(4))
            break
    else:
        raise AssertionError("the latitude is not where it was expected")
    assert read_position(data) is None


def test_heif_without_the_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    heif = b"\0\0\0\x1cftypheic" + bytes(400)
    with pytest.raises(UnsupportedFormat, match=r"geofix\[heif\]"):
        decode(heif, target=TARGET)
