"""The language model's generator against real HTTP servers that misbehave in every way known."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest

from geofix.engine.generators.lmm import LmmGenerator
from geofix.engine.generators.lmm.atlas import Atlas
from geofix.engine.generators.lmm.breaker import Breaker, State
from geofix.engine.generators.lmm.endpoint import MAX_BODY_BYTES
from geofix.engine.types import Embedding, Filter, Neighbour, Photo, Proposal, Query
from geofix.settings import LmmPrompt, Settings

if TYPE_CHECKING:
    from tests.conftest import Exchange, Scripted

PARIS = '{"country": "FR", "latitude": 48.8566, "longitude": 2.3522, "confidence": 0.9}'
KEY = "sk-test-0123456789"


@pytest.fixture(scope="module", autouse=True)
def _warm_maps() -> None:
    Atlas().place(Neighbour("", "", 48.85, 2.35, 0.0))


@pytest.fixture
def query() -> Query:
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    neighbours = tuple(
        Neighbour(str(i), "g", 40.0 + i / 10, 2.0 + i / 10, 0.9 - i / 100, "FR") for i in range(50)
    )
    photo = Photo(pixels, "0" * 64, 160, 120, "JPEG")
    return Query(photo, Embedding(np.full(4, 0.5, np.float32)), neighbours, Filter())


def generator(
    lmm: Scripted | str, prompts: Sequence[LmmPrompt] = (), **more: object
) -> LmmGenerator:
    settings: dict[str, object] = {
        "lmm_base_url": lmm if isinstance(lmm, str) else lmm.url,
        "lmm_api_key": KEY,
        "lmm_model": "tested",
        "lmm_prompts": prompts or [LmmPrompt(references=0, n=1), LmmPrompt(references=5, n=1)],
        "lmm_budget_s": 5.0,
        "lmm_image_side": 128,
        **more,
    }
    return LmmGenerator(Settings.model_validate(settings))


def propose(asked: LmmGenerator, query: Query) -> Proposal:
    """Propose as the engine does, and hold the budget: 10 % more and it counts as late."""

    async def once() -> tuple[Proposal, float]:
        started = time.perf_counter()
        try:
            return await asked.propose(query), time.perf_counter() - started
        finally:
            await asked.close()

    proposal, took = asyncio.run(once())
    assert took <= 1.1 * asked.budget_s
    return proposal


def causes(proposal: Proposal) -> set[str]:
    return {degradation.cause for degradation in proposal.degraded}


def outcomes(proposal: Proposal) -> set[str]:
    return {call.outcome for call in proposal.calls}


def _state(breaker: Breaker) -> State:
    return breaker.state


# --- misbehaviours ----------------------------------------------------------------------------


def _late(e: Exchange) -> None:
    e.hang(30)
    e.say(PARIS)


def _drip(e: Exchange) -> None:
    e.send_response(200)
    e.send_header("Content-Length", "5000")
    e.end_headers()
    while not e.server.stopping.wait(0.05):
        e.wfile.write(b" ")


def _flood(e: Exchange) -> None:
    e.send_response(200)
    e.send_header("Connection", "close")
    e.end_headers()
    for _ in range(64 * MAX_BODY_BYTES // 65536):
        e.wfile.write(b" " * 65536)
        e.server.flooded = getattr(e.server, "flooded", 0) + 65536  # type: ignore[attr-defined]


def _reset(e: Exchange) -> None:
    e.send_response(200)
    e.send_header("Content-Length", "5000")
    e.end_headers()
    e.wfile.write(b'{"choices": [')
    e.wfile.flush()
    e.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    e.connection.close()
    e.close_connection = True


def _no_http(e: Exchange) -> None:
    e.wfile.write(b"220 mail.example ESMTP\r\n")
    e.close_connection = True


def _bad_chunks(e: Exchange) -> None:
    e.send_response(200)
    e.send_header("Transfer-Encoding", "chunked")
    e.end_headers()
    e.wfile.write(b"zz\r\n{}\r\n0\r\n\r\n")
    e.close_connection = True


Script = Callable[["Exchange"], None]
MISBEHAVIOURS: dict[str, tuple[Script, str, str]] = {
    "never answers": (lambda e: e.hang(60), "timeout", "timeout"),
    "answers after 30 s": (_late, "timeout", "timeout"),
    "drips bytes": (_drip, "timeout", "timeout"),
    "429": (lambda e: e.complain(429, "slow down"), "rate-limited", "unavailable"),
    "429, retry later": (
        lambda e: e.complain(429, "slow down", Retry_After="30"),
        "rate-limited",
        "unavailable",
    ),
    "429, retry at a bad date": (
        lambda e: e.complain(429, "slow down", Retry_After="Someday"),
        "rate-limited",
        "unavailable",
    ),
    "500": (lambda e: e.complain(500, "oops"), "server-error", "failed"),
    "503 in HTML": (
        lambda e: e.reply(b"<h1>busy</h1>", 503, "text/html"),
        "server-error",
        "failed",
    ),
    "401": (lambda e: e.complain(401, f"bad key {KEY}"), "unauthorized", "failed"),
    "403": (lambda e: e.complain(403, "no"), "unauthorized", "failed"),
    "404, no such model": (lambda e: e.complain(404, "no model tested"), "not-found", "failed"),
    "400 whatever is asked": (lambda e: e.complain(400, "no"), "bad-request", "failed"),
    "413": (lambda e: e.complain(413, "too big"), "garbage", "failed"),
    "redirects": (lambda e: e.reply(b"", 307, Location="http://127.0.0.1:9/"), "garbage", "failed"),
    "garbage": (lambda e: e.reply(os.urandom(999)), "garbage", "failed"),
    "an empty body": (lambda e: e.reply(b""), "garbage", "failed"),
    "HTML": (lambda e: e.reply(b"<html>hi</html>", kind="text/html"), "garbage", "failed"),
    "truncated JSON": (lambda e: e.reply(b'{"choices": [{"mess'), "garbage", "failed"),
    "no choices": (lambda e: e.reply(b'{"choices": []}'), "garbage", "failed"),
    "an error with a 200": (lambda e: e.complain(200, "overloaded"), "garbage", "failed"),
    "a list": (lambda e: e.reply(b"[1, 2]"), "garbage", "failed"),
    "a number": (lambda e: e.reply(b"NaN"), "garbage", "failed"),
    "a huge body": (_flood, "garbage", "failed"),
    "a packed body": (
        lambda e: e.reply(b"\x1f\x8b" + bytes(50), Content_Encoding="gzip"),
        "garbage",
        "failed",
    ),
    "a reset in the body": (_reset, "unreachable", "unavailable"),
    "no HTTP": (_no_http, "unreachable", "unavailable"),
    "broken chunks": (_bad_chunks, "unreachable", "unavailable"),
    "null content": (
        lambda e: e.reply(b'{"choices":[{"message":{"content":null}}]}'),
        "ok",
        "failed",
    ),
    "choices of nothing": (lambda e: e.reply(b'{"choices":[null]}'), "ok", "failed"),
    "a refusal": (lambda e: e.say("", refusal="I can't help with that."), "ok", "failed"),
    "a refusal in words": (lambda e: e.say("I'm sorry, I cannot tell."), "ok", "failed"),
    "nonsense": (lambda e: e.say("colourless green ideas"), "ok", "failed"),
    "the template": (
        lambda e: e.say('{"latitude": "<latitude>", "longitude": "<x>"}'),
        "ok",
        "failed",
    ),
    "null island": (lambda e: e.say('{"latitude": 0.0, "longitude": 0.0}'), "ok", "failed"),
}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_misbehaviour_costs_candidates_and_nothing_else(
    name: str, lmm: Scripted, query: Query
) -> None:
    script, outcome, cause = MISBEHAVIOURS[name]
    lmm.script = script
    budget_s = 2.0 if outcome == "timeout" else 5.0
    proposal = propose(generator(lmm, lmm_budget_s=budget_s, lmm_retries=1), query)
    assert proposal.candidates == ()
    assert outcomes(proposal) == {outcome}
    assert causes(proposal) == {cause}
    assert KEY not in repr(proposal)
    assert sum(proposal.rejected.values()) == sum(call.generations for call in proposal.calls)


def test_dead_port(query: Query) -> None:
    with socket.socket() as held:  # bound, but nobody listens
        held.bind(("127.0.0.1", 0))
        proposal = propose(generator(f"http://127.0.0.1:{held.getsockname()[1]}/v1"), query)
    assert outcomes(proposal) == {"unreachable"}
    assert causes(proposal) == {"unavailable"}


def test_a_host_without_a_name(query: Query) -> None:
    assert causes(propose(generator("http://no-such-host.invalid/v1"), query)) <= {
        "unavailable",
        "timeout",
    }


def test_a_huge_body_is_not_read_to_its_end(lmm: Scripted, query: Query) -> None:
    lmm.script = _flood
    propose(generator(lmm, [LmmPrompt(n=1)]), query)
    assert getattr(lmm, "flooded", 0) < 4 * MAX_BODY_BYTES


def test_a_wrong_content_type_does_not_matter(lmm: Scripted, query: Query) -> None:
    body = json.dumps({"choices": [{"message": {"content": PARIS}}]}).encode()
    lmm.script = lambda e: e.reply(body, kind="text/plain")
    assert len(propose(generator(lmm), query).candidates) == 2


def test_what_failed_does_not_hide_what_came(lmm: Scripted, query: Query) -> None:
    lmm.script = lambda e: e.say(PARIS) if "R1:" in json.dumps(e.body) else e.hang(60)
    proposal = propose(generator(lmm, lmm_budget_s=2.0), query)
    assert [candidate.source for candidate in proposal.candidates] == ["lmm:tested:direct-5:0"]
    assert causes(proposal) == {"timeout"}


# --- retries ----------------------------------------------------------------------------------


def _at_first(trouble: Script, times: int = 1) -> Script:
    left = iter(range(times))
    return lambda e: trouble(e) if next(left, None) is not None else e.say(*[PARIS] * e.n)


def test_retry_after_is_honoured(lmm: Scripted, query: Query) -> None:
    lmm.script = _at_first(lambda e: e.complain(429, "wait", Retry_After="0.3"))
    asked = generator(lmm, [LmmPrompt(n=1)])
    started = time.perf_counter()
    proposal = propose(asked, query)
    assert time.perf_counter() - started >= 0.3
    assert len(proposal.candidates) == 1
    assert [call.outcome for call in proposal.calls] == ["rate-limited", "ok"]
    assert proposal.degraded == ()


def test_retry_after_beyond_the_budget_is_not_waited_for(lmm: Scripted, query: Query) -> None:
    lmm.script = lambda e: e.complain(429, "wait", Retry_After="30")
    started = time.perf_counter()
    proposal = propose(generator(lmm, [LmmPrompt(n=1)], lmm_budget_s=20.0), query)
    assert time.perf_counter() - started < 5.0
    assert len(proposal.calls) == 1


@pytest.mark.parametrize(("status", "attempts"), [(500, 3), (429, 3), (401, 1), (404, 1)])
def test_only_what_may_pass_is_tried_again(
    status: int, attempts: int, lmm: Scripted, query: Query
) -> None:
    lmm.script = lambda e: e.complain(status, "no")
    propose(generator(lmm, [LmmPrompt(n=1)], lmm_budget_s=5.0), query)
    assert len(lmm.seen) == attempts


def test_generations_are_kept_as_g3_reads_and_orders_them(lmm: Scripted, query: Query) -> None:
    """By rounds over the prompts, the one without references last; each by G3's reader."""

    def script(e: Exchange) -> None:
        references = str(e.body["messages"]).count("similarity")
        e.say(f"{references}.5, 2.25", "48 N, 2 E", '{"latitude": 0.0, "longitude": 0.0}')

    lmm.script = script
    prompts = [LmmPrompt(references=count, n=3) for count in (0, 5)]
    first, second, *rest = propose(generator(lmm, prompts), query).read_as_g3
    assert first[0] > second[0]
    assert (first[1], second[1]) == (2.25, 2.25)
    assert rest == [(0.0, 0.0)] * 4


def test_a_reset_is_tried_again(lmm: Scripted, query: Query) -> None:
    lmm.script = _at_first(_reset)
    proposal = propose(generator(lmm, [LmmPrompt(n=1)]), query)
    assert [call.outcome for call in proposal.calls] == ["unreachable", "ok"]


# --- the circuit breaker ----------------------------------------------------------------------

SICK: dict[str, Script] = {
    "slow": lambda e: e.hang(30),
    "429": lambda e: e.complain(429, "slow down"),
    "garbage": lambda e: e.reply(b"garbage"),
    "nonsense": lambda e: e.say("colourless green ideas"),
}


def _open_circuit(lmm: Scripted | str, query: Query) -> LmmGenerator:
    asked = generator(lmm, lmm_budget_s=1.5, lmm_breaker_failures=4, lmm_breaker_reset_s=1.0)
    for _ in range(2):
        assert propose(asked, query).degraded
    assert _state(asked.breaker) is State.OPEN
    return asked


@pytest.mark.parametrize("kind", SICK)
def test_the_breaker_opens_and_closes(kind: str, lmm: Scripted, query: Query) -> None:
    lmm.script = SICK[kind]
    asked = _open_circuit(lmm, query)
    before = len(lmm.seen)
    refused = propose(asked, query)
    assert len(lmm.seen) == before, "an open circuit lets no call pass"
    assert outcomes(refused) == {"circuit-open"}
    assert causes(refused) == {"unavailable"}

    time.sleep(1.0)
    assert _state(asked.breaker) is State.HALF_OPEN
    propose(asked, query)
    probes = 3 if kind == "429" else 1  # a probe may be tried again, but there is one only
    assert before < len(lmm.seen) <= before + probes
    assert _state(asked.breaker) is State.OPEN

    time.sleep(1.0)
    lmm.script = lambda e: e.say(*[PARIS] * e.n)
    recovered = propose(asked, query)
    assert _state(asked.breaker) is State.CLOSED
    assert len(recovered.candidates) == 2
    assert recovered.degraded == ()


def test_the_breaker_closes_when_a_dead_server_returns(lmm: Scripted, query: Query) -> None:
    lmm.stop()
    asked = _open_circuit(lmm.url, query)
    time.sleep(1.0)
    lmm.start()
    proposal = propose(asked, query)
    assert proposal.degraded == ()
    assert _state(asked.breaker) is State.CLOSED


def test_a_refusal_does_not_open_the_circuit(lmm: Scripted, query: Query) -> None:
    lmm.script = lambda e: e.say("I'm sorry, I cannot tell.")
    asked = generator(lmm, lmm_breaker_failures=1)
    propose(asked, query)
    assert _state(asked.breaker) is State.CLOSED


# --- dialects ---------------------------------------------------------------------------------


def openai_dialect(e: Exchange) -> None:
    """Strict: every parameter counts, newer models know ``max_tokens`` no more."""
    if "max_tokens" in e.body:
        e.complain(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    elif e.body.get("temperature", 1.0) != 1.0:
        e.complain(400, "Unsupported value: 'temperature' does not support 0.7 with this model.")
    elif "response_format" not in e.body:
        e.complain(400, "There was no need to give up the schema")
    else:
        e.say(*[PARIS] * e.n, refusal=None)


def anthropic_dialect(e: Exchange) -> None:
    """No n but 1, no schema: prose and a code fence come instead."""
    if e.n != 1:
        e.complain(400, "n: must be exactly 1")
    else:
        e.say(f"Looking at the roofs, this is Paris.\n```json\n{PARIS}\n```")


def ollama_dialect(e: Exchange) -> None:
    """One choice whatever n says, thinking in the content, no usage."""
    message = {"content": f'<think>{{"latitude": 1, "longitude": 2}}</think>\n{PARIS}'}
    e.reply(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())


def vllm_dialect(e: Exchange) -> None:
    """Thinking in a field of its own, usage with nulls; knows no schema for this model."""
    if "response_format" in e.body:
        e.complain(400, "guided decoding with json_schema is not supported for this model")
        return
    message = {"content": PARIS, "reasoning_content": "48.0, 11.0?", "refusal": None}
    body = {
        "choices": [{"message": message, "finish_reason": "stop", "stop_reason": None}] * e.n,
        "usage": {"prompt_tokens": 900, "completion_tokens": None, "total_tokens": None},
    }
    e.reply(json.dumps(body).encode())


def gemini_dialect(e: Exchange) -> None:
    """Errors are lists; usage may be null."""
    if "response_format" in e.body:
        error = [{"error": {"code": 400, "message": "Unknown name additionalProperties: schema"}}]
        e.reply(json.dumps(error).encode(), 400)
        return
    e.reply(
        json.dumps(
            {"choices": [{"index": i, "message": {"content": PARIS}} for i in range(e.n)]}
            | {"usage": None}
        ).encode()
    )


def mistral_dialect(e: Exchange) -> None:
    """Content as a list of parts, some of them thinking."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "1.5, 2.5"}]},
        {"type": "text", "text": PARIS[:30]},
        {"type": "text", "text": PARIS[30:]},
    ]
    e.reply(json.dumps({"choices": [{"message": {"content": parts}}] * e.n}).encode())


DIALECTS: dict[str, tuple[Script, int, int]] = {
    # calls for the first and for the second photo, of one prompt with three generations
    "openai": (openai_dialect, 3, 1),
    "anthropic": (anthropic_dialect, 4, 3),
    "ollama": (ollama_dialect, 3, 3),
    "vllm": (vllm_dialect, 2, 1),
    "gemini": (gemini_dialect, 2, 1),
    "mistral": (mistral_dialect, 1, 1),
}


@pytest.mark.parametrize("vendor", DIALECTS)
def test_every_dialect_is_learnt_once(vendor: str, lmm: Scripted, query: Query) -> None:
    lmm.script, first, second = DIALECTS[vendor]
    asked = generator(lmm, [LmmPrompt(n=3, temperature=0.7)], lmm_cache_size=0, lmm_budget_s=5.0)
    for calls in (first, second):
        lmm.seen.clear()
        proposal = propose(asked, query)
        assert [(c.lat, c.lon) for c in proposal.candidates] == [(48.8566, 2.3522)] * 3
        assert [c.source for c in proposal.candidates] == [
            f"lmm:tested:direct-0:{i}" for i in range(3)
        ]
        assert proposal.degraded == ()
        assert len(lmm.seen) == calls
        assert all(call.tokens_in > 0 for call in proposal.calls if call.outcome == "ok")


def test_one_bad_request_teaches_nothing(lmm: Scripted, query: Query) -> None:
    lmm.script = lambda e: e.complain(400, "The picture is not to our liking")
    asked = generator(lmm, [LmmPrompt(n=1)], lmm_breaker_failures=99)
    propose(asked, query)
    lmm.script = lambda e: e.say(PARIS)
    propose(asked, query)
    assert "response_format" in lmm.seen[-1]


def test_more_choices_than_asked_for_are_left(lmm: Scripted, query: Query) -> None:
    lmm.script = lambda e: e.say(*[PARIS] * 50)
    assert len(propose(generator(lmm, [LmmPrompt(n=2)]), query).candidates) == 2


# --- budgets ----------------------------------------------------------------------------------


def test_calls_are_limited_for_one_photo(lmm: Scripted, query: Query) -> None:
    lmm.script = ollama_dialect
    proposal = propose(generator(lmm, [LmmPrompt(n=10)], lmm_max_calls=4), query)
    assert len(lmm.seen) == 4
    assert len(proposal.candidates) == 4
    assert causes(proposal) == {"over-budget"}


def test_tokens_are_limited_for_one_photo(lmm: Scripted, query: Query) -> None:
    proposal = propose(generator(lmm, lmm_max_tokens=500, lmm_max_output_tokens=400), query)
    assert lmm.seen == []
    assert outcomes(proposal) == {"over-budget"}


def test_money_is_limited_and_told(lmm: Scripted, query: Query) -> None:
    asked = generator(
        lmm,
        [LmmPrompt(n=1)],
        lmm_input_usd=10.0,
        lmm_output_usd=100.0,
        lmm_key_max_cost_usd=0.12,
        lmm_cache_size=0,
    )
    first = propose(asked, query)
    # 1000 tokens in and 50 out, as the server told
    assert [call.cost_usd for call in first.calls] == [pytest.approx(0.015)]
    assert not first.calls[0].estimated
    second = propose(asked, query)
    assert outcomes(second) == {"over-budget"}, "1024 more tokens out might cost too much"
    assert not asked.affords("")


def test_a_key_is_limited_and_its_neighbour_is_not(lmm: Scripted, query: Query) -> None:
    asked = generator(lmm, [LmmPrompt(n=1)], lmm_key_max_calls=1, lmm_cache_size=0)
    mine = Query(query.photo, query.embedding, (), Filter(), account="mine")
    yours = Query(query.photo, query.embedding, (), Filter(), account="yours")
    assert propose(asked, mine).candidates
    assert causes(propose(asked, mine)) == {"over-budget"}
    assert not asked.affords("mine")
    assert propose(asked, yours).candidates


def test_a_server_that_is_late_is_paid_as_if_it_had_worked(lmm: Scripted, query: Query) -> None:
    lmm.script = lambda e: e.hang(30)
    asked = generator(lmm, [LmmPrompt(n=1)], lmm_budget_s=1.0, lmm_output_usd=1000.0)
    (call,) = propose(asked, query).calls
    assert call.estimated
    assert call.tokens_out == 1024
    assert call.cost_usd == pytest.approx(1.024)
    assert 300 < call.latency_ms < 1100


def test_calls_run_side_by_side(lmm: Scripted, query: Query) -> None:
    together = threading.Barrier(4, timeout=3.0)

    def sociable(e: Exchange) -> None:
        together.wait()  # answers when the fourth call is there, or never
        e.say(*[PARIS] * e.n)

    lmm.script = sociable
    prompts = [LmmPrompt(references=k, n=2) for k in (0, 5, 10, 15)]
    assert len(propose(generator(lmm, prompts), query).candidates) == 8


# --- the cache --------------------------------------------------------------------------------


def test_the_same_question_is_asked_once(lmm: Scripted, query: Query) -> None:
    asked = generator(lmm)
    first = propose(asked, query)
    second = propose(asked, query)
    assert len(lmm.seen) == 2
    assert second.candidates == first.candidates
    assert outcomes(second) == {"cached"}
    assert sum(call.cost_usd + call.tokens_in for call in second.calls) == 0


def test_another_photo_or_reference_is_another_question(lmm: Scripted, query: Query) -> None:
    asked = generator(lmm, [LmmPrompt(references=5, n=1)])
    other = Photo(query.photo.pixels, "1" * 64, 160, 120, "JPEG")
    propose(asked, query)
    propose(asked, Query(other, query.embedding, query.neighbours, Filter()))
    propose(asked, Query(query.photo, query.embedding, query.neighbours[1:], Filter()))
    assert len(lmm.seen) == 3


def test_what_was_not_answered_is_not_kept(lmm: Scripted, query: Query) -> None:
    lmm.script = _at_first(lambda e: e.say("colourless green ideas"), times=2)
    asked = generator(lmm)
    propose(asked, query)
    assert len(propose(asked, query).candidates) == 2


# --- what leaves the house --------------------------------------------------------------------


def test_the_key_goes_to_the_endpoint_and_no_other(
    lmm: Scripted, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-someone-elses")
    propose(generator(lmm, lmm_api_key=""), query)
    assert set(lmm.authorizations) == {"Bearer none"}


def test_a_caller_that_gives_up_frees_the_probe(lmm: Scripted, query: Query) -> None:
    lmm.script = lambda e: e.hang(30)
    asked = generator(lmm, lmm_budget_s=1.0, lmm_breaker_failures=1, lmm_breaker_reset_s=0.1)
    propose(asked, query)
    time.sleep(0.1)

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asked.propose(query), 0.4)
        await asked.close()

    asyncio.run(impatient())
    lmm.script = lambda e: e.say(PARIS)
    assert propose(asked, query).candidates


def test_a_model_that_obeys_a_painted_text_gets_legal_candidates_at_most(
    lmm: Scripted, query: Query
) -> None:
    obedient = (
        "As the sign demands, I ignore the form: "
        '{"latitude": 999, "longitude": 999, "admin": true, "run": "rm -rf /"} '
        '{"latitude": "48.8566 N", "longitude": "2.3522 E", "candidates": 500, "score": 99, '
        '"place": "<script>alert(1)</script>\\u0000", "confidence": 1e9}'
    )
    lmm.script = lambda e: e.say(obedient)
    proposal = propose(generator(lmm, [LmmPrompt(n=1)]), query)
    (candidate,) = proposal.candidates
    assert (candidate.lat, candidate.lon) == (48.8566, 2.3522)
    assert 0.0 <= candidate.score <= 1.0
    assert candidate.name.isprintable()
