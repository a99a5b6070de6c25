from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest


def _serve(
    environment: dict[str, str], port: int, *options: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "geofix.cli.main", "serve", "--port", str(port), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


def test_a_second_owner_is_told_who_the_first_is(
    service: subprocess.Popen[bytes], address: str, environment: dict[str, str]
) -> None:
    result = _serve(environment, 0)
    assert result.returncode == 1
    assert str(service.pid) in result.stderr
    assert address in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_told(address: str, environment: dict[str, str]) -> None:
    port = urlsplit(address).port
    assert port is not None
    result = _serve(environment, port)
    assert result.returncode == 1
    assert f"port {port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_it_listens_on_this_machine_alone(address: str) -> None:
    host = urlsplit(address).hostname
    assert host == "127.0.0.1"
    assert socket.gethostbyname("localhost") == host


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "make one with `geofix keys create NAME`"),
        (("--open-to-anyone",), "make one with `geofix keys create NAME`"),
        (("--auth", "off"), "add --open-to-anyone"),
    ],
)
def test_the_network_is_not_let_in_without_keys(
    environment: dict[str, str], tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    own = {**environment, "GEOFIX_DATA_DIR": str(tmp_path)}
    result = _serve(own, 0, "--host", "0.0.0.0", *options)  # noqa: S104
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_a_key_that_is_required_must_exist(environment: dict[str, str], tmp_path: Path) -> None:
    own = {**environment, "GEOFIX_DATA_DIR": str(tmp_path), "GEOFIX_AUTH": "required"}
    assert _serve(own, 0).returncode == 2
