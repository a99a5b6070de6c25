"""What several packages' tests share: a photo, an answer, and a running service."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.types import (
    Abstention,
    AttributeClue,
    Candidate,
    Channel,
    Cluster,
    Degradation,
    GalleryInfo,
    HeatCell,
    Neighbour,
    PhotoInfo,
    Prediction,
    Share,
    TextClue,
)
from geofix.geo import cells
from geofix.geo.coordinates import haversine_km
from geofix.geo.places import Locality
from service.locate.schemas import Answer

Answering = Callable[..., Answer]
"""Makes an answer: ``answering(lat, lon, radius_km=300, photos=71, abstains=False)``."""

_READY_S = 60.0
_HOSTILE = '</script><img src=x onerror="alert(1)">[bold]\x1b[31m{{data}}'


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the service, and of commands on the same data directory."""
    folder = tmp_path_factory.mktemp("service")
    return {**os.environ, "GEOFIX_DATA_DIR": str(folder / "data")}


@pytest.fixture(scope="session")
def service(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    """``geofix serve`` on a free port, with a data directory of its own, ready."""
    log = tmp_path_factory.mktemp("log") / "stderr.txt"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "geofix.cli.main", "serve", "--port", "0"],
            env=environment,
            stderr=errors,
        )
    try:
        _await_address(process, log)
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0, log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def address(environment: dict[str, str], service: subprocess.Popen[bytes]) -> str:
    """Where the service answers, as the owner's file says."""
    owner = DataDirectory(Path(environment["GEOFIX_DATA_DIR"])).owner()
    assert owner is not None
    assert owner.pid == service.pid
    return owner.address


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[httpx.Client]:
    """A client of the service."""
    with httpx.Client(base_url=address, timeout=60.0) as opened:
        yield opened


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """A drawn landscape, 800 x 600: sky, hills and some texture."""
    rows, columns = np.mgrid[0:600, 0:800]
    grain = np.random.default_rng(7).normal(0.0, 8.0, (600, 800))
    land = rows > 330 + 60 * np.sin(columns / 130.0)
    red = np.where(land, 90 + rows / 12, 120 + rows / 6) + grain
    green = np.where(land, 120 - rows / 20, 160 + rows / 8) + grain
    blue = np.where(land, 60, 235 - rows / 9) + grain
    pixels = np.stack([red, green, blue], axis=-1).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def jpeg(picture: Image.Image) -> bytes:
    """The picture as a JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def aligned_model() -> Callable[[Path], str]:
    """Puts a small aligned encoder into a data directory: ``GEOFIX_MODEL`` is its name.

    Photos come out as their colours on a coarse grid, and in location space as a fixed turn of
    that: what it says of places is nonsense, but every stage after it is the real one.
    """
    from onnx import TensorProto, helper, numpy_helper

    from geofix.engine.models import Kind, ModelCard, Preprocessing, Resampling, write_card

    turn = np.random.default_rng(3).normal(size=(48, 512)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("AveragePool", ["photo"], ["p"], kernel_shape=[8, 8], strides=[8, 8]),
            helper.make_node("Flatten", ["p"], ["embedding"]),
            helper.make_node("MatMul", ["embedding", "turn"], ["location"]),
        ],
        "colours",
        [helper.make_tensor_value_info("photo", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 48]),
            helper.make_tensor_value_info("location", TensorProto.FLOAT, ["n", 512]),
        ],
        [numpy_helper.from_array(turn, "turn")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = model.SerializeToString()

    def put(data_dir: Path) -> str:
        folder = data_dir / "models" / "colours"
        folder.mkdir(parents=True)
        (folder / "colours.onnx").write_bytes(content)
        card = ModelCard(
            name="colours",
            kind=Kind.IMAGE,
            file="colours.onnx",
            sha256=hashlib.sha256(content).hexdigest(),
            source="made for tests",
            licence="CC0-1.0",
            input="photo",
            outputs={"embedding": 48, "location": 512},
            preprocessing=Preprocessing(
                (32, 32), (32, 32), Resampling.BILINEAR, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
            ),
            aligned=True,
        )
        write_card(card, folder / "card.json")
        return card.name

    return put


@pytest.fixture(scope="session")
def answering() -> Answering:
    """Makes an answer at a position: ``answering(lat, lon, radius_km=300, photos=71, …)``."""

    def make(
        lat: float,
        lon: float,
        *,
        radius_km: float = 300.0,
        photos: int = 71,
        abstains: bool = False,
    ) -> Answer:
        return Answer.of(_prediction(lat, lon, radius_km, photos, abstains))

    return make


def _prediction(
    lat: float, lon: float, radius_km: float, photos: int, abstains: bool
) -> Prediction:
    tokens = cells.covering_circle(lat, lon, radius_km, 5)
    centres = np.array([(cells.centre(t).lat, cells.centre(t).lon) for t in tokens])
    weights = np.exp(-haversine_km(centres, (lat, lon)) / radius_km)
    heat = tuple(
        HeatCell(token, float(weight))
        for token, weight in zip(tokens, weights / weights.sum(), strict=True)
    )
    candidate = Candidate(lat, lon, Channel.RETRIEVAL, 0.9, 10.0, "n1")
    return Prediction(
        lat=lat,
        lon=lon,
        radius_50_km=radius_km / 5,
        radius_90_km=radius_km,
        within={1.0: 0.004, 25.0: 0.21, 200.0: 0.6, 750.0: 0.93, 2500.0: 0.998},
        abstention=Abstention("ambiguous", "The candidates disagree.") if abstains else None,
        locality=Locality("FR", "France", "Île-de-France", False, "Paris", 3.2),
        continents=(Share("EU", "Europe", 0.97),),
        countries=(Share("FR", "France", 0.8), Share("DE", _HOSTILE, 0.1)),
        regions=(Share("", "Île-de-France", 0.7),),
        cities=(Share("", "Paris", 0.5),),
        clusters=(Cluster(lat, lon, 0.7, (Channel.RETRIEVAL,), (candidate,), "FR", _HOSTILE),),
        heatmap=heat,
        neighbours=tuple(
            Neighbour(f"n{i}", "default", lat, lon, 0.9 - i / 50, "FR", uri=f"/srv/{i}{_HOSTILE}")
            for i in range(photos and 12)
        ),
        text=(
            TextClue(_HOSTILE, 0.93, ((0, 0), (1, 0), (1, 1), (0, 1)), "Latn", "fr", ("Paris",)),
            TextClue("MOCKBA", 0.98, (), "Latn", rejected="looks like Cyrillic"),
        ),
        attributes=(AttributeClue("city", 0.8),),
        degraded=(Degradation("lmm", "timeout"),),
        calibration=None,
        encoder="lite",
        galleries=(GalleryInfo("default", 1, "lite", 1280, photos),),
        photo=PhotoInfo("ab" * 32, 640, 480, "JPEG"),
        timings_ms={"decode": 12.0, "encode": 40.0, "total": 70.0},
    )


def _await_address(process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the service says where it answers."""
    deadline = time.monotonic() + _READY_S
    while "http://" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
