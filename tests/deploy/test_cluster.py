"""The containers of the rendered manifests work together, as local processes, and are scraped."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from tests.deploy.manifests import at, files_of, of_kind, settings_of, workloads
from tests.deploy.node import BIN, WAIT_S, Node, free_port, redis_programs

OVERLAY = "overlays/autoscale"


@contextmanager
def object_store() -> Iterator[dict[str, str]]:
    """S3 with the bucket of the settings, and what the Secret of the object store holds."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        httpx.put(f"{endpoint}/geofix", timeout=60.0).raise_for_status()
        yield {
            "AWS_ENDPOINT": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
    finally:
        server.stop()


def make_key(keys: Path) -> str:
    """An admin's key, made as docs/kubernetes.md says: away from the cluster."""
    made = subprocess.run(
        ["geofix", "keys", "create", "admin", "--scope", "admin"],  # noqa: S607
        env={
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "GEOFIX_KEYS_FILE": str(keys),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=WAIT_S,
    )
    (key,) = re.findall(r"gfx_\S+", made.stdout)
    return str(key)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node with secrets, an object store, and addresses for what the manifests name."""
    with object_store() as store:
        key = make_key(tmp_path / "keys.json")
        ports = {name: free_port() for name in ("primary", "replica", "redis")}
        redis_programs(tmp_path / "bin", ports["redis"])
        made = Node(
            tmp_path,
            settings_of(OVERLAY),
            {
                "geofix": {"redis-password": "r3dis", "worker-key": "w" * 32, "api-key": key},
                "geofix-object-store": store,
            },
            {
                "geofix-primary:8000": f"127.0.0.1:{ports['primary']}",
                "127.0.0.1:8000": f"127.0.0.1:{ports['primary']}",
                "geofix-replica:8000": f"127.0.0.1:{ports['replica']}",
                "geofix:8000": f"127.0.0.1:{ports['replica']}",
                "geofix-redis:6379": f"127.0.0.1:{ports['redis']}",
            },
        )
        try:
            yield made
        finally:
            made.kill()


@pytest.mark.tools
@pytest.mark.timeout(900)
def test_the_pods_do_their_work_together(node: Node, jpeg: bytes) -> None:
    pods = {pod.name: pod for pod in workloads(OVERLAY)}
    assert set(pods) == {
        *("geofix-primary", "geofix-replica", "geofix-redis"),
        *("geofix-worker", "geofix-control", "geofix-clock"),
    }
    for name in ("geofix-primary", "geofix-replica"):
        keys = node.volume(pods[name], "keys") / "keys.json"
        keys.write_bytes((node.folder / "keys.json").read_bytes())
    for name in ("geofix-redis", "geofix-primary"):
        for container in pods[name].pod.containers:
            node.start(pods[name], container)
    headers = {"X-API-Key": node.secrets["geofix"]["api-key"]}
    url = f"http://{node.addresses['geofix-primary:8000']}"
    with httpx.Client(base_url=url, headers=headers, timeout=60.0) as primary:
        _fill(primary, jpeg)
        for name in ("geofix-replica", "geofix-worker", "geofix-control", "geofix-clock"):
            for container in pods[name].pod.init:
                node.run(pods[name], container)
            for container in pods[name].pod.containers:
                node.start(pods[name], container)
        _smoke(node)
    _shows_what_scaling_asks(node)
    grace_s = {name: pod.pod.grace_s for name, pod in pods.items()}
    node.stop({name: seconds for name, seconds in grace_s.items() if name != "geofix-redis"})


def _fill(primary: httpx.Client, jpeg: bytes) -> None:
    assert primary.post("/v1/galleries", json={"name": "default"}).status_code == 201
    for n in range(3):
        place = {"lat": str(40 + n), "lon": "11.5", "key": str(n)}
        photo = jpeg + bytes([n])
        added = primary.post("/v1/galleries/default/photos", files={"photo": photo}, data=place)
        assert added.status_code == 201, added.text


def _smoke(node: Node) -> None:
    """The Jobs are run as they are applied: apart from everything else."""
    (smoke,) = workloads("jobs/smoke")
    (container,) = smoke.pod.containers
    for name, data in files_of("jobs/smoke", "geofix-smoke").items():
        (node.volume(smoke, "photo") / name).write_bytes(data)
    said = node.run(smoke, container)
    assert "completed: 1 of 1 located" in said


def _shows_what_scaling_asks(node: Node) -> None:
    """Both services are scraped: each has every metric by which KEDA scales."""
    wanted = {
        name
        for scaled in of_kind(OVERLAY, "ScaledObject")
        for trigger in _list(scaled, "spec.triggers")
        for name in re.findall(r"geofix_\w+", trigger["metadata"]["query"])
    }
    assert len(wanted) == 5
    for service in ("geofix-primary", "geofix-replica"):
        url = f"http://{node.addresses[f'{service}:8000']}/metrics"
        shown = httpx.get(url, timeout=60.0).raise_for_status().text
        assert {name for name in wanted if f"\n{name}" not in shown} == set()


def _list(resource: dict[str, object], path: str) -> list[dict[str, dict[str, str]]]:
    found = at(resource, path)
    assert isinstance(found, list)
    return found
