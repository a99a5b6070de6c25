"""The breaker, the purses, the votes, and a generator that is off."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from pydantic import SecretStr

from geofix.engine.generators.lmm import LmmGenerator
from geofix.engine.generators.lmm.breaker import Breaker, State
from geofix.engine.generators.lmm.dialect import FULL, Feature, simpler
from geofix.engine.generators.lmm.reading import Guess
from geofix.engine.generators.lmm.spending import Accounts, Amount, Purse, reserve
from geofix.engine.generators.lmm.votes import candidates
from geofix.errors import InvalidOption
from geofix.settings import Settings


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _state(breaker: Breaker) -> State:
    return breaker.state


def _fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        permit = breaker.admit()
        assert permit is not None
        breaker.settle(permit, healthy=False)


def test_the_breaker_counts_failures_in_a_row(clock: Clock) -> None:
    breaker = Breaker(3, 10.0, clock)
    _fail(breaker, 2)
    permit = breaker.admit()
    assert permit is not None
    breaker.settle(permit, healthy=True)
    _fail(breaker, 2)
    assert _state(breaker) is State.CLOSED
    _fail(breaker, 1)
    assert _state(breaker) is State.OPEN
    assert breaker.admit() is None


def test_one_probe_at_a_time_decides(clock: Clock) -> None:
    breaker = Breaker(1, 10.0, clock)
    _fail(breaker, 1)
    clock.now = 10.0
    probe = breaker.admit()
    assert probe is not None
    assert breaker.admit() is None
    breaker.settle(probe, healthy=False)
    assert _state(breaker) is State.OPEN
    clock.now = 20.0
    probe = breaker.admit()
    assert probe is not None
    breaker.settle(probe, healthy=True)
    assert _state(breaker) is State.CLOSED


def test_a_probe_that_was_given_up_makes_room_for_another(clock: Clock) -> None:
    breaker = Breaker(1, 10.0, clock)
    _fail(breaker, 1)
    clock.now = 10.0
    probe = breaker.admit()
    assert probe is not None
    breaker.settle(probe, healthy=None)
    assert _state(breaker) is State.HALF_OPEN
    assert breaker.admit() is not None


@pytest.mark.parametrize("healthy", [True, False])
def test_calls_that_end_late_do_not_move_an_open_circuit(healthy: bool, clock: Clock) -> None:
    breaker = Breaker(1, 10.0, clock)
    late = breaker.admit()
    assert late is not None
    _fail(breaker, 1)
    clock.now = 9.0
    breaker.settle(late, healthy=healthy)
    assert _state(breaker) is State.OPEN
    clock.now = 10.0
    assert _state(breaker) is State.HALF_OPEN


def test_calls_side_by_side_cannot_overrun_a_limit_together() -> None:
    purse = Purse(Amount(calls=2, tokens=100))
    first = reserve((purse,), Amount(1, 60))
    assert first is not None
    assert reserve((purse,), Amount(1, 60)) is None
    first.correct(Amount(1, 10))
    assert purse.spent == Amount(1, 10)
    assert reserve((purse,), Amount(1, 90)) is not None
    assert reserve((purse,), Amount(1, 0)) is None, "two calls were made"


def test_a_reservation_is_made_in_every_purse_or_in_none() -> None:
    rich, poor = Purse(Amount()), Purse(Amount(usd=0.01))
    assert reserve((rich, poor), Amount(1, 0, 0.02)) is None
    assert rich.spent == poor.spent == Amount()


def test_accounts_are_refilled_at_midnight_utc(clock: Clock) -> None:
    accounts = Accounts(Amount(calls=1), clock)
    assert reserve((accounts.purse("a"),), Amount(1)) is not None
    assert reserve((accounts.purse("a"),), Amount(1)) is None
    assert reserve((accounts.purse("b"),), Amount(1)) is not None
    clock.now = 86_400.0
    assert reserve((accounts.purse("a"),), Amount(1)) is not None


@pytest.mark.parametrize(
    ("complaint", "feature"),
    [
        ("n: must be exactly 1", Feature.N),
        ("invalid value for 'n'", Feature.N),
        ("'response_format' of type 'json_schema' is not supported", Feature.JSON_SCHEMA),
        ("use 'max_completion_tokens' instead", Feature.MAX_TOKENS),
        ("unsupported value: 'temperature'", Feature.TEMPERATURE),
        ("at most 1 image(s) may be provided in one request", Feature.THUMBNAILS),
        ("bad request", Feature.JSON_SCHEMA),
    ],
)
def test_a_complaint_tells_what_to_give_up(complaint: str, feature: Feature) -> None:
    assert simpler(FULL, complaint) == FULL - {feature}


def test_complaints_without_end_come_to_an_end() -> None:
    dialect, asked = simpler(FULL, "no"), 0
    while dialect is not None:
        dialect, asked = simpler(dialect, "no"), asked + 1
    assert asked == 2


# --- votes ------------------------------------------------------------------------------------


def _guess(lat: float, lon: float, **more: object) -> tuple[str, Guess]:
    guess = Guess(lat, lon, "json", decimals=4)
    for name, value in more.items():
        object.__setattr__(guess, name, value)
    return "lmm:m:p:0", guess


def test_the_score_is_the_share_that_agrees() -> None:
    paris = [_guess(48.85, 2.35), _guess(48.86, 2.36), _guess(48.80, 2.30)]
    found = candidates([*paris, _guess(-33.87, 151.2)], answered=8)
    assert [candidate.score for candidate in found] == [3 / 8, 3 / 8, 3 / 8, 1 / 8]


@pytest.mark.parametrize(("stated", "score"), [(0.8, 0.8), (None, 0.5)])
def test_a_single_generation_is_believed_as_it_believes_itself(
    stated: float | None, score: float
) -> None:
    (found,) = candidates([_guess(48.85, 2.35, confidence=stated)], answered=1)
    assert found.score == score


@pytest.mark.parametrize(
    ("precision", "decimals", "width_km"),
    [
        ("street", 4, 2.0),
        ("city", 4, 25.0),
        ("region", 4, 150.0),
        ("country", 2, 500.0),
        ("", 4, 25.0),
        ("street", 0, 55.6),
        ("", 0, 55.6),
        ("street", 1, 5.56),
        ("street", 300, 2.0),
    ],
)
def test_a_candidate_is_as_wide_as_the_model_is_vague(
    precision: str, decimals: int, width_km: float
) -> None:
    (found,) = candidates([_guess(48.0, 2.0, precision=precision, decimals=decimals)], answered=1)
    assert found.width_km == pytest.approx(width_km)
    assert np.isfinite(found.width_km)


# --- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "key", "model", "on"),
    [
        ("", "", "", False),
        ("", "sk-x", "", False),
        ("", "", "gpt", False),
        ("", "sk-x", "gpt", True),
        ("http://127.0.0.1:9/v1", "", "llava", True),
    ],
)
def test_no_model_is_asked_unless_one_is_configured(
    url: str, key: str, model: str, on: bool
) -> None:
    settings = Settings(lmm_base_url=url, lmm_api_key=SecretStr(key), lmm_model=model)
    assert (LmmGenerator.from_settings(settings) is not None) is on


@pytest.mark.parametrize(
    ("url", "key", "model"),
    [("http://127.0.0.1:9/v1", "", ""), ("127.0.0.1:9", "", "m"), ("", "sk-\n", "m")],
)
def test_half_a_configuration_is_refused_without_the_key(url: str, key: str, model: str) -> None:
    settings = Settings(lmm_base_url=url, lmm_api_key=SecretStr(key), lmm_model=model)
    with pytest.raises(InvalidOption) as refused:
        LmmGenerator.from_settings(settings)
    assert "sk-" not in str(refused.value)


def test_the_key_is_in_no_representation() -> None:
    settings = Settings(lmm_api_key=SecretStr("sk-hidden"), lmm_model="m")
    asked = LmmGenerator.from_settings(settings)
    assert (
        "sk-hidden" not in repr(settings) + str(settings) + repr(asked) + settings.model_dump_json()
    )


def test_off_means_no_socket_and_no_sdk() -> None:
    program = """
import sys
sys.addaudithook(lambda event, _: event.startswith("socket.") and sys.exit(f"opened: {event}"))
from geofix.engine.generators.lmm import LmmGenerator
from geofix.settings import Settings
assert LmmGenerator.from_settings(Settings(lmm_base_url="", lmm_api_key="", lmm_model="")) is None
sys.exit("the SDK was imported" if "openai" in sys.modules else 0)
"""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
