"""Two services behind nginx are restarted one after the other, and no request fails."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

CLIENTS = 4
_NGINX = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_max_body_size 20m;
  client_body_buffer_size 1m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream geofix {{
    server 127.0.0.1:{first} max_fails=0;
    server 127.0.0.1:{second} max_fails=0;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://geofix;
      proxy_set_header Host $http_host;
      # To locate a photo twice does no harm.
      proxy_next_upstream error timeout http_503 non_idempotent;
    }}
  }}
}}
"""


class Service:
    """One of the two, on a port that it keeps."""

    def __init__(self, folder: Path, port: int) -> None:
        self._log = folder / f"{port}.txt"
        self._environment = {
            **os.environ,
            "GEOFIX_DATA_DIR": str(folder / str(port)),
            "GEOFIX_PORT": str(port),
        }
        self.url = f"http://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "geofix.cli.main", "serve"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5.0).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.tools
def test_no_request_fails(tmp_path: Path, jpeg: bytes) -> None:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert nginx is not None, "needs nginx"
    first, second, port = _free_port(), _free_port(), _free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(
        _NGINX.format(
            user="user root;" if os.geteuid() == 0 else "",  # else nobody, who may not write here
            folder=tmp_path,
            first=first,
            second=second,
            port=port,
        ),
        "utf-8",
    )
    outcomes: Counter[str] = Counter()
    stopping = threading.Event()

    def locate() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0) as client:
            while not stopping.is_set():
                try:
                    answer = client.post(
                        "/v1/locate?generators=none",
                        content=jpeg,
                        headers={"Content-Type": "image/jpeg", "Cache-Control": "no-store"},
                    )
                    outcomes[str(answer.status_code)] += 1
                except httpx.HTTPError as error:
                    outcomes[repr(error)] += 1
                if set(outcomes) != {"200"}:
                    return

    with ExitStack() as stack:
        services = [Service(tmp_path, at) for at in (first, second)]
        for service in services:
            stack.callback(service.kill)
            service.start()
        proxy = subprocess.Popen([nginx, "-c", str(config), "-e", str(tmp_path / "first.log")])  # noqa: S603
        stack.callback(proxy.wait)
        stack.callback(proxy.terminate)
        threads = [threading.Thread(target=locate, daemon=True) for _ in range(CLIENTS)]
        deadline = time.monotonic() + 30
        while True:  # until nginx listens
            assert time.monotonic() < deadline
            try:
                if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5.0).is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        for thread in threads:
            thread.start()
        stack.callback(stopping.set)
        for service in services:
            answered = outcomes["200"]
            assert service.stop() == 0
            service.start()
            while outcomes["200"] < answered + 4 * CLIENTS and set(outcomes) <= {"200"}:
                assert time.monotonic() < deadline + 120, outcomes
                time.sleep(0.05)
        stopping.set()
        for thread in threads:
            thread.join(35.0)
    assert set(outcomes) == {"200"}, outcomes
