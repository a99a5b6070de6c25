"""What a service writes down when it is told to write down everything."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from geofix.settings import Settings
from service.auth.access import key_ring
from service.auth.caller import Scope

_AT_DEBUG = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
from geofix.cli.main import main
main(["serve", "--port", "0", "--auth", "required"])
"""
_LMM_KEY = "sk-tobekeptsecret"
_SECONDS = (2941733, 1234577)
"""Of the photo's EXIF position, times 100 000: numbers that nothing else logs."""
_CAPTION = "a caption in the photo"
_NAME = "holiday-of-ann.jpg"


@pytest.fixture
def photo(picture: Image.Image) -> bytes:
    """A JPEG that knows where it was taken."""
    exif = Image.Exif()
    exif[0x010E] = _CAPTION
    exif.get_ifd(0x8825).update(
        {
            1: "N",
            2: (IFDRational(48), IFDRational(51), IFDRational(_SECONDS[0], 100_000)),
            3: "E",
            4: (IFDRational(2), IFDRational(17), IFDRational(_SECONDS[1], 100_000)),
        }
    )
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 90
    while "Geofix answers on " not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return log.read_text().split("Geofix answers on ")[1].split()[0].strip('",')


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_entrusted_to_it_is_in_its_logs(
    tmp_path: Path, photo: bytes, log_format: str
) -> None:
    assert str(_SECONDS[0]).encode() not in photo  # it lies there in binary
    log = tmp_path / "stderr.txt"
    config = Settings(data_dir=tmp_path / "data")
    _, key = key_ring(config).create("k", frozenset({Scope.ADMIN}), limits="1000/day")
    environment = {
        **os.environ,
        "GEOFIX_DATA_DIR": str(config.data_dir),
        "GEOFIX_LOG_FORMAT": log_format,
        "GEOFIX_LMM_BASE_URL": "http://127.0.0.1:9/v1",
        "GEOFIX_LMM_API_KEY": _LMM_KEY,
        "GEOFIX_LMM_MODEL": "none",
        "GEOFIX_LMM_RETRIES": "0",
    }
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", _AT_DEBUG], env=environment, stderr=errors
        )
    try:
        base = _address(log, process)
        answers = _ask_everything(base, key, photo)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    written = log.read_text(errors="replace")
    evidence = {"text": "DEBUG", "json": '"route": "/v1/locate"'}[log_format]
    assert evidence in written, "nothing was logged at this level: the test shows nothing"
    entrusted = [key, key.rsplit("_", 1)[-1], _LMM_KEY, _CAPTION, _NAME, "gfx_wrongkey"]
    entrusted += [str(number) for number in _SECONDS]
    entrusted += ["-33.8688", "151.2093"]  # a gallery photo's position, and so the answer's
    entrusted += [answer["photo"]["sha256"] for answer in answers]
    for secret in entrusted:
        assert secret not in written, secret


def _ask_everything(base: str, key: str, photo: bytes) -> list[dict[str, dict[str, str]]]:
    """Answers to requests of every kind; some of them are wrong."""
    jpeg = {"Content-Type": "image/jpeg"}
    with httpx.Client(base_url=base, headers={"X-API-Key": key}, timeout=60) as client:
        files = {"photo": (_NAME, photo)}
        place = {"lat": "-33.8688", "lon": "151.2093"}
        assert client.post("/v1/galleries/default/photos", files=files, data=place).is_success
        raw = client.post("/v1/locate", content=photo, headers=jpeg)
        form = client.post("/v1/locate", files=files, data={"generators": "none"})
        stream = {**jpeg, "Accept": "text/event-stream"}
        assert client.post("/v1/locate", content=photo, headers=stream).is_success
        asked = client.post("/v1/locate?generators=lmm", content=photo, headers=jpeg)
        assert client.post("/v1/locate", content=photo[:5000], headers=jpeg).status_code == 422
        assert client.post("/v1/locate", content=b"", headers=jpeg).status_code == 400
        assert client.post("/v1/locate", json={"photo": "no base64!"}).status_code == 400
        assert client.get("/v1/galleries/default").is_success
        wrong = {"X-API-Key": "gfx_wrongkey"}
        assert client.get("/v1/galleries", headers=wrong).status_code == 401
        told = {"id": raw.json()["id"], "lat": -33.8688, "lon": 151.2093}
        assert client.post("/v1/feedback", json=told).status_code == 201
        return [raw.json(), form.json(), asked.json()]
