"""SIGTERM while requests come: everybody is answered, until balancers have noticed and after."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from geofix.engine.gallery.directory import DataDirectory

Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]
CLIENTS = 6
DRAIN_S = 4.0
NOTICED_S = 1.0


class Crowd:
    """Clients that send one photo after another, until they are told to stop."""

    def __init__(self, address: str, photo: bytes) -> None:
        self._address = address
        self._photo = photo
        self.outcomes: Counter[str] = Counter()
        self.stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._live, args=(number % 2 == 0,), daemon=True)
            for number in range(CLIENTS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, seconds: float) -> bool:
        """Whether all of them have ended."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _live(self, keeps: bool) -> None:
        """``keeps``: the connection, as far as the service lets it."""
        client = httpx.Client(base_url=self._address, timeout=40.0)
        while not self.stopping.is_set():
            try:
                answer = client.post(
                    "/v1/locate?generators=none",
                    content=self._photo,
                    headers={
                        "Content-Type": "image/jpeg",
                        "Cache-Control": "no-store",
                        "Connection": "keep-alive" if keeps else "close",
                    },
                )
            except httpx.HTTPError as error:
                self.outcomes[repr(error)] += 1
            self.outcomes[str(answer.status_code)] += 1


def test_everybody_is_answered(tmp_path: Path, serving: Serving, jpeg: bytes) -> None:
    environment = {**os.environ, "GEOFIX_DATA_DIR": str(tmp_path), "GEOFIX_DRAIN_S": str(DRAIN_S)}
    with serving(environment) as service:
        owner = DataDirectory(tmp_path).owner()
        assert owner is not None
        crowd = Crowd(owner.address, jpeg)
        crowd.start()
        deadline = time.monotonic() + 60
        while crowd.outcomes["200"] < 3 * CLIENTS:
            assert time.monotonic() < deadline, crowd.outcomes
            time.sleep(0.05)
        before = crowd.outcomes["200"]

        url = urlsplit(owner.address)
        slow = http.client.HTTPConnection(str(url.hostname), url.port, timeout=60.0)
        slow.putrequest("POST", "/v1/locate?generators=none")
        slow.putheader("Content-Type", "image/jpeg")
        slow.putheader("Content-Length", str(len(jpeg)))
        slow.endheaders(jpeg[:1000])

        service.send_signal(signal.SIGTERM)
        with httpx.Client(base_url=owner.address, timeout=10.0) as client:
            while (ready := client.get("/readyz")).status_code == 200:
                assert time.monotonic() < deadline
        assert ready.status_code == 503
        assert ready.headers["Connection"] == "close"
        time.sleep(NOTICED_S)  # whoever sends the crowd here has seen that
        crowd.stopping.set()
        assert crowd.join(30.0)
        time.sleep(DRAIN_S)
        slow.send(jpeg[1000:])  # it was let in, and nobody else is any more
        assert slow.getresponse().status == 200
        slow.close()
        assert service.wait(timeout=40) == 0
    assert set(crowd.outcomes) == {"200"}, crowd.outcomes
    assert crowd.outcomes["200"] > before
