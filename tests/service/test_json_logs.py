"""Logs as JSON: one object a line, each with the id of its request."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx


def _lines(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


def _address(log: Path) -> str:
    deadline = time.monotonic() + 90
    while "answers on" not in log.read_text("utf-8"):
        assert time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.05)
    return str(_lines(log)[-1]["event"]).split()[-1]


def test_every_line_is_an_object_and_names_its_request(tmp_path: Path, jpeg: bytes) -> None:
    log = tmp_path / "stderr.txt"
    environment = {
        **os.environ,
        "GEOFIX_DATA_DIR": str(tmp_path / "data"),
        "GEOFIX_LOG_FORMAT": "json",
    }
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "geofix.cli.main", "serve", "--port", "0"],
            env=environment,
            stderr=errors,
        )
    try:
        with httpx.Client(base_url=_address(log), timeout=60) as client:
            located = client.post("/v1/locate?generators=none", files={"photo": jpeg})
            missing = client.get("/secret-in-a-path?key=secret-in-a-query")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    lines = _lines(log)
    requests = {line["request_id"]: line for line in lines if line["event"] == "request"}
    first = requests[located.headers["X-Request-ID"]]
    assert (first["route"], first["status"]) == ("/v1/locate", 200)
    assert (first["level"], first["logger"]) == ("info", "geofix.service")
    assert isinstance(first["seconds"], float)
    second = requests[missing.headers["X-Request-ID"]]
    assert (second["route"], second["status"]) == ("", 404)
    assert all("timestamp" in line for line in lines)
    assert "secret-in" not in log.read_text("utf-8")
