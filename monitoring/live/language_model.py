"""A language model over HTTP that always says Paris, and fails on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_SAYS = '{"country": "FR", "latitude": 48.8566, "longitude": 2.3522, "confidence": 0.9}'


class LanguageModel(ThreadingHTTPServer):
    """Answers chat completions."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.fails = False
        """While this is set, every request is answered with 500."""

    @contextmanager
    def running(self) -> Iterator[LanguageModel]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LanguageModel

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": _SAYS}
        choices = [{"finish_reason": "stop", "message": message}] * int(asked.get("n", 1))
        usage = {"prompt_tokens": 900, "completion_tokens": 40 * len(choices)}
        status, told = 200, json.dumps({"choices": choices, "usage": usage})
        if self.server.fails:
            status, told = 500, '{"error": {"message": "a fault, as asked for"}}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""
