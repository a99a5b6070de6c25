"""A language model that is dead, slow, mad or busy, behind a whole service, over real HTTP."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.types import Channel
from service.locate.schemas import Answer

if TYPE_CHECKING:
    from tests.conftest import Exchange, Scripted

Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]

KEY = "sk-test-0123456789"
BUDGET_S = 8.0
"""A tenth of it is for what a busy machine takes to answer without the model."""
HANGS_S = 30.0
LONG_S = 30.0
"""For what is waited for, on a machine that is busy."""
RESET_S = 4.0
PARIS = (48.8566, 2.3522)


def configured(lmm: Scripted, data: Path) -> dict[str, str]:
    """Settings of a service that may ask ``lmm``."""
    return {
        "GEOFIX_DATA_DIR": str(data),
        "GEOFIX_CACHE_S": "0",
        "GEOFIX_LMM_BASE_URL": lmm.url,
        "GEOFIX_LMM_API_KEY": KEY,
        "GEOFIX_LMM_MODEL": "tested",
        "GEOFIX_LMM_PROMPTS": '[{"references": 0, "n": 1}, {"references": 5, "n": 1}]',
        "GEOFIX_LMM_RETRIES": "0",
        "GEOFIX_LMM_CACHE_SIZE": "0",
        "GEOFIX_LMM_BREAKER_FAILURES": "2",
        "GEOFIX_LMM_BREAKER_RESET_S": str(RESET_S),
        "GEOFIX_LMM_INPUT_USD": "10",
        "GEOFIX_LMM_OUTPUT_USD": "100",
    }


@pytest.fixture
def started(
    environment: dict[str, str], serving: Serving, tmp_path: Path
) -> Callable[[Mapping[str, str]], AbstractContextManager[httpx.Client]]:
    """``with started(settings) as client``: a service of one's own."""

    @contextmanager
    def start(settings: Mapping[str, str]) -> Iterator[httpx.Client]:
        with serving({**environment, "GEOFIX_DATA_DIR": str(tmp_path), **settings}):
            owner = DataDirectory(tmp_path).owner()
            assert owner is not None
            with httpx.Client(base_url=owner.address, timeout=60.0) as client:
                yield client

    return start


Started = Callable[[Mapping[str, str]], AbstractContextManager[httpx.Client]]


def locate(client: httpx.Client, jpeg: bytes, generators: str = "lmm") -> Answer:
    """The answer, which must come within the budget and a tenth."""
    begun = time.perf_counter()
    response = client.post(
        "/v1/locate",
        params={"generators": generators, "budget_s": f"{BUDGET_S}"},
        content=jpeg,
        headers={"Content-Type": "image/jpeg"},
    )
    took = time.perf_counter() - begun
    assert response.status_code == 200, response.text
    assert took <= 1.1 * BUDGET_S
    assert KEY not in response.text
    return Answer.model_validate_json(response.content)


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """One sample of /metrics."""
    response = client.get("/metrics")
    assert response.status_code == 200
    inner = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    sample = re.escape(name + (f"{{{inner}}}" if inner else ""))
    found = re.search(rf"^{sample} (\S+)$", response.text, re.MULTILINE)
    assert found is not None, (name, labels)
    return float(found[1])


def circuit(client: httpx.Client) -> str:
    """The state of the breaker, as one look at /metrics tells it."""
    sample = r'^geofix_lmm_breaker_state{state="(.+)"} 1.0$'
    (state,) = re.findall(sample, client.get("/metrics").text, re.MULTILINE)
    return str(state)


def missing(answer: Answer) -> set[tuple[str, str]]:
    return {(one.channel, one.cause) for one in answer.degraded}


SICK: dict[str, tuple[Callable[[Exchange], None] | None, str, str]] = {
    "dead": (None, "unreachable", "unavailable"),
    "slow": (lambda e: e.hang(HANGS_S), "timeout", "timeout"),
    "garbage-speaking": (lambda e: e.reply(b"\x00garbage"), "garbage", "failed"),
    "429-giving": (lambda e: e.complain(429, "slow down"), "rate-limited", "unavailable"),
}


@pytest.mark.parametrize("kind", SICK)
def test_a_sick_model_costs_candidates_and_no_time(
    started: Started, lmm: Scripted, jpeg: bytes, tmp_path: Path, kind: str
) -> None:
    script, outcome, cause = SICK[kind]
    with started(configured(lmm, tmp_path)) as client:
        well = locate(client, jpeg)
        assert well.degraded == ()
        assert circuit(client) == "closed"

        polite = lmm.script
        if script is None:
            lmm.stop()
        else:
            lmm.script = script
        for _ in range(2):
            assert circuit(client) == "closed"
            degraded = locate(client, jpeg)
            assert missing(degraded) == {("lmm", cause)}
            assert {call.outcome for call in degraded.calls} == {outcome}
        assert circuit(client) == "open"

        before = lmm.accepted
        refused = locate(client, jpeg)
        assert missing(refused) == {("lmm", "unavailable")}
        assert {call.outcome for call in refused.calls} == {"circuit-open"}
        assert lmm.accepted == before, "an open circuit lets no call pass"

        lmm.script = polite
        if script is None:
            lmm.start()
        deadline = time.monotonic() + LONG_S
        while circuit(client) != "half-open":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        recovered = locate(client, jpeg)
        assert recovered.degraded == ()
        assert recovered.position == well.position
        assert circuit(client) == "closed"

        assert metric(client, "geofix_lmm_calls_total", outcome=outcome) == 2
        assert metric(client, "geofix_lmm_calls_total", outcome="circuit-open") == 1
        assert metric(client, "geofix_degraded_total", channel="lmm", cause=cause) >= 2
    assert set(lmm.authorizations) == {f"Bearer {KEY}"}


def test_every_call_is_in_the_answer_and_in_the_metrics(
    started: Started, lmm: Scripted, jpeg: bytes, tmp_path: Path
) -> None:
    answers = iter(['{"latitude": 0, "longitude": 0}'] * 1)
    good = lmm.script
    lmm.script = lambda e: e.say(text) if (text := next(answers, None)) else good(e)
    with started(configured(lmm, tmp_path)) as client:
        answer = locate(client, jpeg)
        assert [call.outcome for call in answer.calls] == ["ok"]  # there is nothing to refer to
        assert answer.rejected == {"null-island": 1}
        assert missing(answer) == {("lmm", "failed")}
        answer = locate(client, jpeg)
        (call,) = answer.calls
        assert (call.model, call.prompt, call.generations) == ("tested", "direct-0", 1)
        assert (call.tokens_in, call.tokens_out, call.estimated) == (1000, 50, False)
        assert call.cost_usd == pytest.approx(0.015)
        assert 0.0 < call.latency_ms <= answer.timings_ms["lmm"]
        assert answer.rejected == {}
        (candidate,) = [c for cluster in answer.clusters for c in cluster.candidates]
        assert (candidate.lat, candidate.lon) == PARIS
        assert (candidate.channel, candidate.source) == (Channel.LMM, "lmm:tested:direct-0:0")

        assert metric(client, "geofix_lmm_calls_total", outcome="ok") == 2
        assert metric(client, "geofix_lmm_tokens_total", direction="in") == 2000
        assert metric(client, "geofix_lmm_tokens_total", direction="out") == 100
        assert metric(client, "geofix_lmm_cost_usd_total") == pytest.approx(0.03)
        rejected = metric(client, "geofix_lmm_rejected_generations_total", cause="null-island")
        assert rejected == 1
        assert metric(client, "geofix_lmm_call_duration_seconds_count") == 2
        assert metric(client, "geofix_stage_duration_seconds_count", stage="lmm") == 2
        # asked before and after the model
        assert metric(client, "geofix_stage_duration_seconds_count", stage="posterior") == 4
        openmetrics = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
        assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
        assert openmetrics.text.endswith("# EOF\n")


@pytest.mark.parametrize("generators", ["none", "text,attributes"])
def test_who_does_not_want_the_model_opens_no_socket(
    started: Started, lmm: Scripted, jpeg: bytes, tmp_path: Path, generators: str
) -> None:
    with started(configured(lmm, tmp_path)) as client:
        answer = locate(client, jpeg, generators)
        assert answer.calls == ()
    assert lmm.accepted == 0


def test_a_model_that_is_not_configured_is_not_asked(
    started: Started, lmm: Scripted, jpeg: bytes
) -> None:
    sdk = {"OPENAI_BASE_URL": lmm.url, "OPENAI_API_KEY": KEY, "GEOFIX_LMM_MODEL": "tested"}
    with started(sdk) as client:
        response = client.post("/v1/locate", files={"photo": ("a.jpg", jpeg)})
        answer = Answer.model_validate_json(response.content)
        assert answer.calls == ()
        assert "lmm" not in {one.channel for one in answer.degraded}
        refused = client.post("/v1/locate?generators=lmm", files={"photo": ("a.jpg", jpeg)})
        assert refused.status_code == 422
        assert "geofix_lmm_breaker_state{" not in client.get("/metrics").text
    assert lmm.accepted == 0


def test_a_caller_that_goes_away_is_charged_all_the_same(
    started: Started, lmm: Scripted, jpeg: bytes, tmp_path: Path
) -> None:
    lmm.script = lambda e: e.hang(HANGS_S)
    with started(configured(lmm, tmp_path)) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/locate?generators=lmm", files={"photo": ("a.jpg", jpeg)}, timeout=1.5)
        deadline = time.monotonic() + LONG_S
        while metric(client, "geofix_lmm_calls_total", outcome="cancelled") < 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert metric(client, "geofix_lmm_cost_usd_total") > 0.0
        assert circuit(client) == "closed", "that speaks against the caller, not the endpoint"


def test_the_command_asks_the_model_and_tells_its_price(
    environment: dict[str, str], lmm: Scripted, jpeg: bytes, tmp_path: Path
) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(jpeg)
    settings = {**environment, **configured(lmm, tmp_path / "data"), "COLUMNS": "140"}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "geofix.cli.main", "locate", str(photo), *arguments]
        done = subprocess.run(  # noqa: S603 - our own command
            command, env=settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert KEY not in done.stdout + done.stderr
        return done.stdout

    document = json.loads(run("--generators", "lmm", "--json"))
    assert [call["outcome"] for call in document["calls"]] == ["ok"]
    assert document["clusters"][0]["candidates"][0]["channel"] == "lmm"
    assert "language model: 1 ok; 1050 tokens, $0.0150" in run("--generators", "lmm", "--explain")
    lmm.stop()
    assert "lmm (unavailable)" in run("--generators", "lmm")
