"""The containers of the rendered manifests work together, as local processes, and are scraped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from moto.server import ThreadedMotoServer

from tests.deploy.manifests import Workload, at, files_of, of_kind, settings_of, workloads
from tests.deploy.node import BIN, WAIT_S, Node, free_port, redis_programs, until

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
                "geofix-worker:9100": f"127.0.0.1:{free_port()}",
                "geofix-control:9100": f"127.0.0.1:{free_port()}",
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
        _is_reindexed(primary)
    with _prometheus(node, pods) as prometheus:
        _sees_what_scaling_asks(prometheus)
    _fits(node, pods)
    grace_s = {name: pod.pod.grace_s for name, pod in pods.items()}
    node.stop({name: seconds for name, seconds in grace_s.items() if name != "geofix-redis"})
    node.stop({"geofix-redis": grace_s["geofix-redis"]})


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
    (migrate,) = workloads("jobs/migrate")
    assert "3 photos are indexed anew" in node.run(migrate, migrate.pod.containers[0])


def _is_reindexed(primary: httpx.Client) -> None:
    """By the worker beside the primary, which must find the same data and the service."""
    asked = primary.post("/v1/galleries/default/reindex", json={})
    assert asked.status_code == 202, asked.text

    def built() -> bool:
        listed = primary.get("/v1/galleries/default/versions").raise_for_status().json()
        return any((one["version"], one["state"]) == (2, "active") for one in listed["versions"])

    until(built)


@contextmanager
def _prometheus(node: Node, pods: dict[str, Workload]) -> Iterator[httpx.Client]:
    """Prometheus, told what its operator would make of the monitors and the rules."""
    (monitor,) = of_kind(OVERLAY, "ServiceMonitor")
    (rule,) = of_kind(OVERLAY, "PrometheusRule")
    (endpoint,) = _list(monitor, "spec.endpoints")
    labels = at(monitor, "spec.selector.matchLabels")
    assert isinstance(labels, dict)
    (service,) = [
        one for one in of_kind(OVERLAY, "Service") if labels.items() <= _labels(one).items()
    ]
    selector = at(service, "spec.selector")
    assert isinstance(selector, dict)
    scraped = [name for name, pod in pods.items() if selector.items() <= pod.labels.items()]
    assert sorted(scraped) == ["geofix-primary", "geofix-replica"]
    assert endpoint["port"] == _list(service, "spec.ports")[0]["name"]
    (node.folder / "rules.yml").write_text(yaml.safe_dump({"groups": at(rule, "spec.groups")}))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": _labels(service)[str(at(monitor, "spec.jobLabel"))],
                "metrics_path": endpoint["path"],
                "static_configs": [
                    {"targets": [node.addresses[f"{name}:8000"] for name in scraped]}
                ],
            },
            _worker_job(node),
        ],
    }
    (node.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    with (node.folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [
                *("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"),
                f"--web.listen-address={address}",
            ],
            cwd=node.folder,
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=60.0) as client:
            until(lambda: _answers(client))
            until(lambda: _value(client, 'sum(up{job="geofix"})') == 2.0)
            until(lambda: _value(client, 'sum(up{job="geofix-worker"})') == 2.0)
            yield client
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()


def _worker_job(node: Node) -> dict[str, object]:
    (monitor,) = of_kind(OVERLAY, "PodMonitor")
    (endpoint,) = _list(monitor, "spec.podMetricsEndpoints")
    relabelled = at({**endpoint}, "relabelings")
    assert relabelled == [{"targetLabel": "job", "replacement": "geofix-worker"}]
    workers = [node.addresses[f"geofix-{name}:9100"] for name in ("worker", "control")]
    return {
        "job_name": relabelled[0]["replacement"],
        "metrics_path": endpoint["path"],
        "static_configs": [{"targets": workers}],
    }


def _sees_what_scaling_asks(prometheus: httpx.Client) -> None:
    triggers = [
        (trigger["metadata"]["query"], trigger["metadata"]["threshold"])
        for scaled in of_kind(OVERLAY, "ScaledObject")
        for trigger in _list(scaled, "spec.triggers")
    ]
    assert len(triggers) == 4
    for query, threshold in triggers:
        assert _value(prometheus, query) is not None, query
        assert float(threshold) > 0
    assert _value(prometheus, 'sum(geofix_jobs_photos_total{outcome="completed"})')
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    broken = [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]
    assert not broken, json.dumps(broken, indent=2)
    time.sleep(2.0)
    firing = prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
    assert [one for one in firing if one["state"] == "firing"] == []


def _fits(node: Node, pods: dict[str, Workload]) -> None:
    """Requests were set from measurements: what ran here has stayed below them."""
    for name in node.running:
        workload, _, container = name.partition(".")
        (described,) = [
            one
            for one in _list(pods[workload].raw, "spec.template.spec.containers")
            if str(one["name"]) == container
        ]
        requested = str(at(described, "resources.requests.memory"))
        number, unit = requested[:-2], requested[-2:]
        allowed = int(number) * {"Mi": 2**20, "Gi": 2**30}[unit]
        assert node.resident_bytes(name) < allowed, (name, node.resident_bytes(name) / 2**20)


def _value(prometheus: httpx.Client, query: str) -> float | None:
    found = prometheus.get("/api/v1/query", params={"query": query}).json()["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def _answers(prometheus: httpx.Client) -> bool:
    try:
        return prometheus.get("/-/ready").is_success
    except httpx.HTTPError:
        return False


def _list(resource: dict[str, object], path: str) -> list[dict[str, dict[str, str]]]:
    found = at(resource, path)
    assert isinstance(found, list)
    return found


def _labels(resource: dict[str, object]) -> dict[str, str]:
    found = at(resource, "metadata.labels")
    return found if isinstance(found, dict) else {}
