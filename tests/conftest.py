"""What several packages' tests share: a photo, an answer, and a running service."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
from geofix.geo import cells, shapes
from geofix.geo.coordinates import haversine_km
from geofix.geo.places import Locality
from service.locate.schemas import Answer

Answering = Callable[..., Answer]
"""Makes an answer: ``answering(lat, lon, radius_km=300, photos=71, abstains=False)``."""

Fatal = Callable[[type, str], None]
"""``fatal(library, method)``: the method's next call ends the thread that makes it, once."""

PARIS = '{"country": "FR", "latitude": 48.8566, "longitude": 2.3522, "confidence": 0.9}'
_READY_S = 120.0
_HOSTILE = '</script><img src=x onerror="alert(1)">[bold]\x1b[31m{{data}}'


@pytest.fixture(scope="session", autouse=True)
def _own_settings() -> Iterator[None]:
    """No test sees what the person who runs it has configured."""
    with pytest.MonkeyPatch.context() as changed:
        for name in list(os.environ):
            if name.startswith(("GEOFIX_", "OPENAI_")) and not name.startswith("GEOFIX_TEST_"):
                changed.delenv(name)
        yield


@pytest.fixture(scope="session")
def environment(_own_settings: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the service, and of commands on the same data directory."""
    folder = tmp_path_factory.mktemp("service")
    return {**os.environ, "GEOFIX_DATA_DIR": str(folder / "data")}


@pytest.fixture(scope="session")
def serving(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]:
    """``with serving(environment):`` a service of one's own runs, and ends without a traceback."""
    return lambda environment: _serving(environment, tmp_path_factory.mktemp("log") / "stderr.txt")


@pytest.fixture(scope="session")
def service(
    environment: dict[str, str],
    serving: Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]],
) -> Iterator[subprocess.Popen[bytes]]:
    """``geofix serve`` on a free port, with a data directory of its own, ready."""
    with serving(environment) as process:
        yield process


@contextmanager
def _serving(environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
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


@pytest.fixture
def fatal(monkeypatch: pytest.MonkeyPatch) -> Fatal:
    """See ``Fatal``."""

    def fatal(library: type, method: str) -> None:
        sound = getattr(library, method)
        due = iter([SystemExit])

        def call(*args: object, **named: object) -> object:
            for end in due:
                raise end
            return sound(*args, **named)

        monkeypatch.setattr(library, method, call)

    return fatal


@pytest.fixture
def lmm() -> Iterator[Scripted]:
    """A language model's endpoint that answers Paris until it is given another script."""
    server = Scripted()
    server.start()
    yield server
    server.stop()


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
    tokens = shapes.covering_circle(lat, lon, radius_km, 5)
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


class Exchange(BaseHTTPRequestHandler):
    """One request to the scripted server, with what a script needs to answer it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for an acknowledgement
    server: Scripted

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.body: dict[str, object] = json.loads(raw)
        with self.server.lock:
            self.server.seen.append(self.body)
            self.server.authorizations.append(self.headers["Authorization"])
        try:
            self.server.script(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    @property
    def n(self) -> int:
        n = self.body.get("n", 1)
        assert isinstance(n, int)
        return n

    def reply(
        self, body: bytes, status: int = 200, kind: str = "application/json", **headers: str
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def complain(self, status: int, message: str, **headers: str) -> None:
        self.reply(json.dumps({"error": {"message": message}}).encode(), status, **headers)

    def say(
        self, *texts: str, usage: Mapping[str, object] | None = None, **message: object
    ) -> None:
        """The polite answer: as many choices as texts."""
        choices = [
            {"finish_reason": "stop", "message": {"role": "assistant", "content": t, **message}}
            for t in texts
        ]
        usage = usage or {"prompt_tokens": 1000, "completion_tokens": 50 * len(texts)}
        self.reply(json.dumps({"choices": choices, "usage": usage}).encode())

    def hang(self, seconds: float) -> None:
        self.server.stopping.wait(seconds)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


class Scripted(ThreadingHTTPServer):
    """A chat-completions server that does what its script says."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.script: Callable[[Exchange], None] = lambda e: e.say(*[PARIS] * e.n)
        self.seen: list[dict[str, object]] = []
        self.authorizations: list[str] = []
        self.connections: list[socket.socket] = []
        """All that were accepted, whether anything was said on them or not."""
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Answer; on the same port as before, where it was stopped."""
        if self.stopping.is_set():
            self.stopping.clear()
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_bind()
            self.server_activate()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Be dead: nobody listens any more."""
        if self._thread is not None:
            self.stopping.set()
            self.shutdown()
            self.server_close()
            for connection in self.connections:
                with suppress(OSError):  # most are closed
                    connection.shutdown(socket.SHUT_RDWR)
            self._thread.join()
            self._thread = None

    @property
    def accepted(self) -> int:
        """How many connections were opened so far."""
        return len(self.connections)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def get_request(self) -> tuple[socket.socket, object]:
        connection = super().get_request()
        self.connections.append(connection[0])
        return connection

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the test."""
