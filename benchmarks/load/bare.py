"""The limit: Pillow and ONNX Runtime by themselves, while the load client sends its photos.

``python -m benchmarks.load.bare MODEL PHOTO`` decodes and encodes the one photo over and over, in
batches, first all decoding on all cores, then all encoding. A sink beside it reads what clients
send and answers as many as were encoded, so that the client costs as much as it does of a server.
``POST /8`` asks for batches of 8; ``GET /`` tells what was done since the last time.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from benchmarks.load.peers.one_model import opened, prepare

_ANSWER = b"x" * 11_000
"""As long as an embedding in JSON."""


class Bare:
    """Decodes and encodes while somebody waits."""

    def __init__(self, model: Path, photo: bytes) -> None:
        self._session = opened(model)
        self._photo = photo
        self._decoders = ThreadPoolExecutor(os.cpu_count())
        self.batch = 1
        self.waiting = 0
        self.lock = threading.Lock()
        self.encoded = threading.Semaphore(0)
        self.more = threading.Event()
        self.cycles: list[tuple[int, float]] = []

    def cycle(self) -> None:
        """One batch."""
        started, size = time.perf_counter(), self.batch
        inputs = list(self._decoders.map(prepare, [self._photo] * size))
        self._session.run(None, {"image": np.stack(inputs)})
        self.cycles.append((size, time.perf_counter() - started))

    def loop(self) -> None:
        """For ever, pausing while nobody waits."""
        while True:
            if not self.waiting:
                self.more.clear()
                self.more.wait()
                self.encoded = threading.Semaphore(0)
            self.cycle()
            self.encoded.release(self.batch)

    def report(self) -> dict[str, float]:
        """Photos a second and the median cycle, since the last report."""
        cycles, self.cycles = self.cycles, []
        done, took = sum(size for size, _ in cycles), sum(seconds for _, seconds in cycles)
        median = statistics.median(seconds for _, seconds in cycles) if cycles else float("nan")
        return {
            "photos": done,
            "photos_per_s": done / took if took else float("nan"),
            "cycle_s": median,
        }


def main() -> None:
    """Say the port, then serve."""
    bare = Bare(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes())

    class Sink(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # the name http.server calls
            bare.batch = int(self.path.strip("/"))
            self.rfile.read(int(self.headers["Content-Length"]))
            with bare.lock:
                bare.waiting += 1
            bare.more.set()
            while not bare.encoded.acquire(timeout=0.5):
                continue
            with bare.lock:
                bare.waiting -= 1
            self._answer(_ANSWER)

        def do_GET(self) -> None:
            self._answer(json.dumps(bare.report()).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    bare.loop()


if __name__ == "__main__":
    main()
