"""What people do to a site: photos, jobs, galleries, truths told, and mistakes."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import httpx

from benchmarks.load.photos import photo

_PHOTOS = tuple(partial(photo, (640, 480), seed) for seed in range(6))
_PLACES = ((48.86, 2.35), (40.71, -74.0), (-33.87, 151.21), (35.68, 139.69), (-1.29, 36.82))
_GALLERY = "/v1/galleries/default"
_WAIT_S = 20.0


class Load:
    """Several people at once, each with a pause of their own between two steps."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._photos = [make() for make in _PHOTOS]
        self._stopping = threading.Event()
        self.steps = 0
        self.troubles = 0
        """Steps that were not answered, or with a status of 5xx."""

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Fill a gallery; then load the site until the end of the block."""
        with self._client() as client:
            for number, (lat, lon) in enumerate(_PLACES * 4):
                data = {"lat": str(lat + number / 100), "lon": str(lon), "key": str(number)}
                photo_ = self._unlike(number)
                client.post(f"{_GALLERY}/photos", files={"photo": photo_}, data=data)
        people: list[tuple[Callable[[httpx.Client, int], object], float]] = [
            (self._locate, 0.1),
            (self._locate, 0.2),
            (self._consult, 1.0),
            (self._mistake, 1.5),
            (self._job, 8.0),
            (self._reindex, 25.0),
        ]
        threads = [threading.Thread(target=self._live, args=one, daemon=True) for one in people]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join(_WAIT_S + 5.0)

    def _live(self, step: Callable[[httpx.Client, int], object], pause_s: float) -> None:
        with self._client() as client:
            for number in itertools.count():
                try:
                    step(client, number)
                    self.steps += 1
                except httpx.HTTPError:
                    self.troubles += 1
                if self._stopping.wait(pause_s):
                    return

    def _locate(self, client: httpx.Client, number: int) -> None:
        """A photo, and every third time the truth about it."""
        answer = self._ask(client, number, "text,attributes")
        if number % 3 == 0:
            position = answer.json()["position"]
            near = {"lat": position["lat"], "lon": position["lon"] / 1.01}
            told = {"id": answer.json()["id"], **near, "source": "a survey"}
            client.post("/v1/feedback", json=told).raise_for_status()

    def _consult(self, client: httpx.Client, number: int) -> None:
        self._ask(client, number, "lmm")

    def _ask(self, client: httpx.Client, number: int, generators: str) -> httpx.Response:
        return client.post(
            "/v1/locate",
            params={"generators": generators},
            content=self._unlike(number),
            headers={"Content-Type": "image/jpeg", "Cache-Control": "no-store"},
        ).raise_for_status()

    def _mistake(self, client: httpx.Client, number: int) -> None:
        half = self._photos[0][: 2000 + number]
        client.post("/v1/locate", content=half, headers={"Content-Type": "image/jpeg"})
        client.get("/v1/galleries/nowhere")

    def _job(self, client: httpx.Client, number: int) -> None:
        files = [("photo", (f"{n}.jpg", self._unlike(n + 10 * number))) for n in range(4)]
        files.append(("photo", ("broken.jpg", self._photos[0][:900])))
        client.post("/v1/jobs?generators=attributes", files=files).raise_for_status()

    def _reindex(self, client: httpx.Client, number: int) -> None:
        client.post(f"{_GALLERY}/reindex", json={}).raise_for_status()

    def _unlike(self, number: int) -> bytes:
        """One of the photos, byte for byte like none before."""
        return self._photos[number % len(self._photos)] + str(time.time_ns()).encode()

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self._address, timeout=_WAIT_S)
