"""Whatever bytes an endpoint sends, over real HTTP: legal candidates, or counted rejections."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geofix.engine.generators.lmm import LmmGenerator
from geofix.engine.generators.lmm.atlas import Atlas
from geofix.engine.generators.lmm.reading import Rejection
from geofix.engine.types import Channel, Embedding, Filter, Neighbour, Photo, Proposal, Query
from geofix.settings import LmmPrompt, Settings

if TYPE_CHECKING:
    from tests.conftest import Scripted

NULL_ISLANDS = (
    '{"lat": 0, "lon": 0}', '{"lat": 0.0, "lon": -0}', '{"lat": -0.0, "lon": -0.0}',
    '{"lat": "0", "lon": "-0.0"}', '{"lat": "0° N", "lon": "0° W"}',
    '{"lat": 1e-320, "lon": -1e-9}', "0.0, -0", "-0, 0.000", "0,0", "00.00,00.00", "(0.0, 0.0)",
    "latitude: 0, longitude: 0.0",
    "0°0'0\"N 0°0'0\"E", "S0.0 W0.0", "0.004, -0.009", "٠.٠, ٠.٠", '[0.0, 0.0]',
)  # fmt: skip

_NUMBERS = st.one_of(
    st.floats().map(repr),
    st.integers(-400, 400).map(str),
    st.sampled_from(["0", "-0.0", "0,0", "1e999", "48,85", "139.7 E", "33° S", "null", "NaN"]),
)
_ANSWERS = st.one_of(
    st.text(max_size=80),
    st.tuples(_NUMBERS, _NUMBERS).map(lambda p: f'{{"latitude": {p[0]}, "longitude": {p[1]}}}'),
    st.tuples(_NUMBERS, _NUMBERS).map(lambda p: f'{{"lat": "{p[0]}", "lon": "{p[1]}"}}'),
    st.tuples(_NUMBERS, _NUMBERS).map(lambda p: f"{p[0]}, {p[1]}"),
    st.sampled_from(NULL_ISLANDS),
)
_BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(_ANSWERS, max_size=4).map(
        lambda texts: json.dumps(
            {"choices": [{"message": {"content": text}} for text in texts]}
        ).encode()
    ),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | _ANSWERS,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["choices", "message", "content", "usage"]), inner)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps({"choices": [{"message": {"content": value}}]}).encode()),
)


@pytest.fixture
def ask(lmm: Scripted) -> Iterator[Callable[[bytes], Proposal]]:
    """What the generator makes of a body."""
    asked = LmmGenerator(
        Settings(
            lmm_base_url=lmm.url,
            lmm_model="any",
            lmm_prompts=(LmmPrompt(n=4),),
            lmm_image_side=64,
            lmm_cache_size=0,
            lmm_breaker_failures=10**6,
            lmm_budget_s=10.0,
        )
    )
    photo = Photo(np.zeros((8, 8, 3), np.uint8), "0" * 64, 8, 8, "JPEG")
    query = Query(photo, Embedding(np.ones(1, np.float32)), (), Filter())
    with asyncio.Runner() as runner:

        def answered(body: bytes) -> Proposal:
            lmm.script = lambda e: e.reply(body)
            return runner.run(asked.propose(query))

        yield answered
        runner.run(asked.close())


@pytest.fixture(scope="module", autouse=True)
def _warm_maps() -> None:
    Atlas().place(Neighbour("", "", 48.85, 2.35, 0.0))


def test_any_bytes_give_legal_candidates_or_counted_rejections(
    ask: Callable[[bytes], Proposal],
) -> None:
    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.nested_given])
    @given(_BODIES)
    def holds(body: bytes) -> None:
        proposal = ask(body)
        for candidate in proposal.candidates:
            assert candidate.channel is Channel.LMM
            assert -90.0 <= candidate.lat <= 90.0
            assert -180.0 <= candidate.lon < 180.0
            assert max(abs(candidate.lat), abs(candidate.lon)) >= 0.01
            assert 0.0 <= candidate.score <= 1.0
            assert 0.0 < candidate.width_km < math.inf
            assert candidate.source.startswith("lmm:any:direct-0:")
        assert set(proposal.rejected) <= {str(rejection) for rejection in Rejection}
        generations = sum(call.generations for call in proposal.calls)
        assert len(proposal.candidates) + sum(proposal.rejected.values()) == generations
        assert proposal.candidates or proposal.degraded
        for call in proposal.calls:
            assert min(call.tokens_in, call.tokens_out) >= 0
            assert 0.0 <= call.latency_ms < math.inf

    holds()


@pytest.mark.parametrize("text", NULL_ISLANDS)
def test_every_way_to_write_nowhere_is_rejected(
    ask: Callable[[bytes], Proposal], text: str
) -> None:
    body = json.dumps({"choices": [{"message": {"content": text}}] * 4}).encode()
    proposal = ask(body)
    assert proposal.candidates == ()
    assert proposal.rejected == {"null-island": 4}
