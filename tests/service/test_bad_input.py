"""Bad input over real HTTP: each with its status and problem type, cheap and quick."""

from __future__ import annotations

import base64
import io
import re
import struct
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from service.locate.schemas import Answer

_MOST_MB = 300.0
_MOST_S = 2.0
_JPEG = {"Content-Type": "image/jpeg"}


@dataclass(frozen=True)
class Bad:
    """A request, and what must come back."""

    status: int
    kind: str
    content: Callable[[bytes], bytes | Iterator[bytes]]
    """Made from a good JPEG."""
    headers: dict[str, str] = field(default_factory=lambda: _JPEG)
    query: str = ""


def _png(width: int, height: int) -> bytes:
    """A blank one-bit PNG: few bytes, many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def _animation(_: bytes) -> bytes:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    return buffer.getvalue()


def _chunks(_: bytes) -> Iterator[bytes]:
    """30 MB without a Content-Length."""
    for _index in range(30):
        yield bytes(2**20)


def _large_form(_: bytes) -> Iterator[bytes]:
    """30 MB of one file part."""
    yield f"--xx\r\n{_FILE}".encode()
    yield from _chunks(b"")


def _form(*parts: str) -> Callable[[bytes], bytes]:
    body = "".join(f"--xx\r\n{part}\r\n" for part in parts) + "--xx--\r\n"
    return lambda _: body.encode()


def _json(text: str) -> Callable[[bytes], bytes]:
    return lambda jpeg: text.replace("PHOTO", base64.b64encode(jpeg).decode()).encode()


_FORM = {"Content-Type": "multipart/form-data; boundary=xx"}
_JSON = {"Content-Type": "application/json"}
_FILE = 'Content-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\nbytes'

_BAD = {
    "empty": Bad(400, "empty-photo", lambda _: b""),
    "text-named-jpg": Bad(415, "unsupported-format", lambda _: b"This is no photo.\n" * 50),
    "truncated": Bad(422, "unreadable-photo", lambda jpeg: jpeg[: len(jpeg) // 2]),
    "only-a-start": Bad(422, "unreadable-photo", lambda jpeg: jpeg[:20]),
    "81-megapixels": Bad(413, "photo-too-large", lambda _: _png(9000, 9000)),
    "169-megapixels": Bad(413, "photo-too-large", lambda _: _png(13000, 13000)),
    "animated": Bad(415, "unsupported-format", _animation, {"Content-Type": "image/webp"}),
    "30-mb": Bad(413, "photo-too-large", lambda _: bytes(30 * 2**20)),
    "30-mb-in-chunks": Bad(413, "photo-too-large", _chunks),
    "30-mb-of-json": Bad(413, "photo-too-large", lambda _: b'"' * (30 * 2**20), _JSON),
    "30-mb-of-form": Bad(413, "photo-too-large", _large_form, _FORM),
    "no-type": Bad(415, "unsupported-content-type", lambda jpeg: jpeg, {}),
    "wrong-type": Bad(
        415, "unsupported-content-type", lambda jpeg: jpeg, {"Content-Type": "text/plain"}
    ),
    "base64": Bad(400, "invalid-request", _json('{"photo": "not base64"}'), _JSON),
    "base64-padding": Bad(400, "invalid-request", _json('{"photo": "abcde"}'), _JSON),
    "data-url": Bad(
        400, "invalid-request", _json('{"photo": "data:image/jpeg;base64,PHOTO"}'), _JSON
    ),
    "empty-base64": Bad(400, "empty-photo", _json('{"photo": ""}'), _JSON),
    "no-json": Bad(400, "invalid-request", _json('{"photo": '), _JSON),
    "json-list": Bad(400, "invalid-request", _json("[1]"), _JSON),
    "json-depth": Bad(400, "invalid-request", _json("[" * 100_000), _JSON),
    "no-photo-in-json": Bad(400, "invalid-request", _json('{"options": {}}'), _JSON),
    "number-for-photo": Bad(400, "invalid-request", _json('{"photo": 7}'), _JSON),
    "unknown-rule": Bad(422, "invalid-option", lambda jpeg: jpeg, query="rule=best"),
    "rule-without-places": Bad(422, "invalid-option", lambda jpeg: jpeg, query="rule=g3"),
    "unknown-option": Bad(422, "invalid-option", lambda jpeg: jpeg, query="colour=red"),
    "unknown-json-option": Bad(
        422, "invalid-option", _json('{"photo": "PHOTO", "options": {"colour": 1}}'), _JSON
    ),
    "unknown-form-option": Bad(
        422,
        "invalid-option",
        _form(_FILE, 'Content-Disposition: form-data; name="colour"\r\n\r\nred'),
        _FORM,
    ),
    "no-such-lat": Bad(422, "invalid-coordinate", lambda jpeg: jpeg, query="radius=91,0,10"),
    "no-such-lon": Bad(422, "invalid-coordinate", lambda jpeg: jpeg, query="bbox=0,0,190,10"),
    "lat-in-json": Bad(
        422,
        "invalid-coordinate",
        _json('{"photo": "PHOTO", "options": {"radius": [-91, 0, 10]}}'),
        _JSON,
    ),
    "nan-in-json": Bad(
        422,
        "invalid-option",
        _json('{"photo": "PHOTO", "options": {"radius": [NaN, 0, 9]}}'),
        _JSON,
    ),
    "two-photos": Bad(400, "invalid-request", _form(_FILE, _FILE), _FORM),
    "no-photo-part": Bad(400, "invalid-request", _form(), _FORM),
    "other-file": Bad(400, "invalid-request", _form(_FILE.replace('"photo"', '"image"')), _FORM),
    "text-for-photo": Bad(
        400, "invalid-request", _form(_FILE.replace('; filename="a.jpg"', "")), _FORM
    ),
    "empty-part": Bad(400, "empty-photo", _form(_FILE.removesuffix("bytes")), _FORM),
    "option-as-file": Bad(
        400, "invalid-request", _form(_FILE, _FILE.replace('"photo"', '"country"')), _FORM
    ),
    "many-files": Bad(400, "invalid-request", _form(*[_FILE] * 200), _FORM),
    "no-boundary": Bad(
        400, "invalid-request", _form(_FILE), {"Content-Type": "multipart/form-data"}
    ),
    "odd-charset": Bad(
        400,
        "invalid-request",
        _form(_FILE),
        {"Content-Type": "multipart/form-data; boundary=xx; charset=undefined"},
    ),
    "options-null": Bad(422, "invalid-option", _json('{"photo": "PHOTO", "options": null}'), _JSON),
    "no-lmm": Bad(422, "invalid-option", lambda jpeg: jpeg, query="generators=lmm"),
    "no-form": Bad(400, "invalid-request", lambda _: b"garbage", _FORM),
    "too-many-fields": Bad(
        400,
        "invalid-request",
        _form(*['Content-Disposition: form-data; name="country"\r\n\r\nFR'] * 200),
        _FORM,
    ),
}


def _memory_mb(pid: int, kind: str) -> float:
    """Resident memory of a process: now (``VmRSS``), or at its peak (``VmHWM``)."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    match = re.search(rf"^{kind}:\s+(\d+) kB", status, re.MULTILINE)
    assert match is not None
    return int(match[1]) / 1024.0


def _reset_peak(pid: int) -> None:
    """Let the peak begin anew at what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")


@pytest.mark.parametrize("name", _BAD)
def test_bad_input_is_refused_cheaply(
    service: subprocess.Popen[bytes], client: httpx.Client, jpeg: bytes, name: str
) -> None:
    bad = _BAD[name]
    content = bad.content(jpeg)
    _reset_peak(service.pid)
    before = _memory_mb(service.pid, "VmRSS")
    started = time.monotonic()
    response = client.post(f"/v1/locate?{bad.query}", content=content, headers=bad.headers)
    took = time.monotonic() - started
    extra = _memory_mb(service.pid, "VmHWM") - before
    assert response.status_code == bad.status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == f"urn:geofix:problem:{bad.kind}"
    assert problem["status"] == bad.status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == f"urn:uuid:{response.headers['x-request-id']}"
    assert "Traceback" not in response.text
    assert took < _MOST_S
    assert extra < _MOST_MB


def test_a_wrong_option_says_which_and_what_to_do(client: httpx.Client, jpeg: bytes) -> None:
    for query, says in (
        ("colour=red", "'colour'"),
        ("neighbors=3", "Did you mean 'neighbours'"),
        ("radius=91,0,10", "-90 to 90"),
    ):
        response = client.post(f"/v1/locate?{query}", content=jpeg, headers=_JPEG)
        assert says in response.json()["detail"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("two-photos", "Exactly one part named 'photo' can be sent; these are 2."),
        ("option-as-file", "The part 'country' is a file. Only the photo is one"),
        ("number-for-photo", "photo must be a string: the photo's file in base64."),
        ("no-photo-in-json", "The field 'photo' is missing."),
        ("json-list", "The body cannot be understood"),
        ("unknown-json-option", "Unknown option 'colour'. Did you mean 'country'?"),
    ],
)
def test_a_body_that_is_wrong_is_told_how(
    client: httpx.Client, jpeg: bytes, name: str, says: str
) -> None:
    bad = _BAD[name]
    response = client.post("/v1/locate", content=bad.content(jpeg), headers=bad.headers)
    assert says in response.json()["detail"]


def _saved(image: Image.Image, form: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return buffer.getvalue()


def _deep(picture: Image.Image) -> Image.Image:
    grey = np.asarray(picture.convert("L"), dtype=np.uint16) * 257
    return Image.fromarray(grey)


def _turned(picture: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(picture, "JPEG", exif=exif)


_UNUSUAL: dict[str, tuple[Callable[[Image.Image], bytes], tuple[int, int]]] = {
    "cmyk": (lambda picture: _saved(picture.convert("CMYK"), "JPEG"), (800, 600)),
    "16-bit": (lambda picture: _saved(_deep(picture), "PNG"), (800, 600)),
    "turned": (_turned, (600, 800)),
    "webp": (lambda picture: _saved(picture, "WEBP"), (800, 600)),
    "palette": (lambda picture: _saved(picture.quantize(16), "PNG"), (800, 600)),
    "alpha": (lambda picture: _saved(picture.convert("RGBA"), "PNG"), (800, 600)),
}


@pytest.mark.parametrize("name", _UNUSUAL)
def test_unusual_photos_are_answered(
    service: subprocess.Popen[bytes], client: httpx.Client, picture: Image.Image, name: str
) -> None:
    make, size = _UNUSUAL[name]
    photo = make(picture)
    _reset_peak(service.pid)
    before = _memory_mb(service.pid, "VmRSS")
    started = time.monotonic()
    response = client.post("/v1/locate?generators=attributes", content=photo, headers=_JPEG)
    took = time.monotonic() - started
    assert response.status_code == 200, response.text
    answer = Answer.model_validate_json(response.content)
    assert (answer.photo.width, answer.photo.height) == size
    assert took < _MOST_S
    assert _memory_mb(service.pid, "VmHWM") - before < _MOST_MB


def test_the_position_in_exif_changes_nothing_and_comes_back_nowhere(
    client: httpx.Client, picture: Image.Image
) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update(
        {1: "S", 2: (33.0, 51.0, 35.9), 3: "E", 4: (151.0, 12.0, 40.3)}  # GPSInfo
    )
    with_position = _saved(picture, "JPEG", quality=85, exif=exif)
    without = _saved(picture, "JPEG", quality=85)
    assert b"GPS" in with_position or len(with_position) > len(without)
    answers = []
    for photo in (with_position, without):
        response = client.post("/v1/locate?generators=attributes", content=photo, headers=_JPEG)
        answers.append(Answer.model_validate_json(response.content))
        assert "151.2" not in response.text.split('"heatmap"')[0]
    assert answers[0].position == answers[1].position
    assert answers[0].radius_90_km == answers[1].radius_90_km


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/locate", 405, "method-not-allowed"),
        ("DELETE", "/healthz", 405, "method-not-allowed"),
    ],
)
def test_wrong_paths_and_methods_are_problems_too(
    client: httpx.Client, method: str, path: str, status: int, kind: str
) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == f"urn:geofix:problem:{kind}"
    assert status != 405 or response.headers["allow"]


def test_the_service_is_as_well_as_before(client: httpx.Client) -> None:
    assert client.get("/readyz").status_code == 200
