from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from geofix.errors import InvalidOption
from geofix.settings import Settings
from service.app import create_app
from service.auth.access import check_exposure, key_ring
from service.auth.caller import Scope
from tests.service.auth.conftest import Ask

_IN_GALLERIES = "/v1/galleries"
_VERSIONS = f"{_IN_GALLERIES}/default/versions"
_OPEN = {"/healthz", "/readyz", "/metrics"}


def _key(config: Settings, *scopes: Scope, cap_km: float | None = None) -> str:
    return key_ring(config).create("test", frozenset(scopes), cap_km=cap_km)[1]


def test_every_operation_but_the_probes_asks_who_calls(beyond: Settings, ask: Ask) -> None:
    document = create_app(beyond).openapi()
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 5
    for path, method, operation in operations:
        answer = ask(beyond, path.replace("{name}", "a"), method=method.upper())
        if path in _OPEN or path.startswith("/page/"):
            assert answer.status_code != 401
            continue
        assert answer.status_code == 401, path
        assert answer.json()["type"] == "urn:geofix:problem:unauthenticated"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert {*operation["responses"]} >= {"401", "403", "429"}, path
        assert [*map(set, operation["security"])] == [{"key"}, {"bearer"}], path
    assert {*document["components"]["securitySchemes"]} == {"key", "bearer"}


def test_a_key_opens_what_its_scopes_name(beyond: Settings, ask: Ask) -> None:
    cases = {Scope.LOCATE: 403, Scope.JOBS: 403, Scope.GALLERIES: 503, Scope.ADMIN: 503}
    for scope, status in cases.items():  # 503: let in, and there is no engine
        text = _key(beyond, scope)
        for headers in ({"X-API-Key": text}, {"Authorization": f"Bearer {text}"}):
            for path in (_IN_GALLERIES, _VERSIONS):
                assert ask(beyond, path, headers=headers).status_code == status, (scope, path)


def test_a_key_with_a_cap_is_kept_from_what_cannot_be_coarsened(beyond: Settings, ask: Ask) -> None:
    headers = {"X-API-Key": _key(beyond, Scope.ADMIN, cap_km=25)}
    assert ask(beyond, _IN_GALLERIES, headers=headers).json()["type"].endswith(":precision-capped")
    embed = ask(beyond, "/v1/embed/image", method="POST", headers=headers)
    assert embed.json()["type"].endswith(":precision-capped")


@pytest.mark.parametrize("base", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:80"])
def test_on_this_machine_no_key_is_needed(tmp_path: Path, ask: Ask, base: str) -> None:
    assert ask(Settings(data_dir=tmp_path), _IN_GALLERIES, base=base).status_code == 503


def test_on_this_machine_a_wrong_key_is_still_wrong(tmp_path: Path, ask: Ask) -> None:
    headers = {"X-API-Key": "gfx_wrong"}
    assert ask(Settings(data_dir=tmp_path), _IN_GALLERIES, headers=headers).status_code == 401


def test_on_this_machine_a_key_can_be_required(tmp_path: Path, ask: Ask) -> None:
    config = Settings(data_dir=tmp_path, auth="required")
    assert ask(config, _IN_GALLERIES).status_code == 401


@pytest.mark.parametrize(
    ("base", "headers"),
    [
        ("http://evil.example", {}),
        ("http://127.0.0.1:8000", {"Origin": "http://evil.example"}),
        ("http://127.0.0.1:8000", {"Origin": "null"}),
        ("http://127.0.0.1:8000", {"Origin": "http://127.0.0.1:9000"}),
    ],
)
def test_a_page_of_another_site_does_not_reach_this_machine(
    tmp_path: Path, ask: Ask, base: str, headers: dict[str, str]
) -> None:
    answer = ask(Settings(data_dir=tmp_path), _IN_GALLERIES, base=base, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:geofix:problem:forbidden"


def test_the_network_is_let_in_with_a_key_or_a_token_or_when_told_twice(tmp_path: Path) -> None:
    beyond = {"data_dir": tmp_path, "host": "192.0.2.1"}
    check_exposure(Settings.model_validate({**beyond, "auth": "off", "open_to_anyone": True}))
    check_exposure(Settings.model_validate({**beyond, "oidc_issuer": "https://id.example"}))
    ring = key_ring(Settings.model_validate(beyond))
    key, _ = ring.create("shop", frozenset({Scope.LOCATE}))
    check_exposure(Settings.model_validate(beyond))
    ring.revoke(key.id)
    for told in ({}, {"auth": "off"}, {"open_to_anyone": True}):
        with pytest.raises(InvalidOption):
            check_exposure(Settings.model_validate({**beyond, **told}))


def test_without_keys_only_this_machine_is_answered_whatever_it_calls_itself(
    tmp_path: Path,
) -> None:
    """A server may listen elsewhere than its settings say, or stand behind a proxy."""

    async def ask() -> int:
        app = create_app(Settings(data_dir=tmp_path))
        transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.get(_IN_GALLERIES)).status_code

    assert asyncio.run(ask()) == 403


def test_a_service_that_was_told_twice_asks_nobody(tmp_path: Path, ask: Ask) -> None:
    config = Settings(data_dir=tmp_path, host="192.0.2.1", auth="off", open_to_anyone=True)
    assert ask(config, _IN_GALLERIES, base="http://geofix.example").status_code == 503


def test_the_map_page_of_this_machine_does(tmp_path: Path, ask: Ask) -> None:
    base = "http://127.0.0.1:8000"
    answer = ask(Settings(data_dir=tmp_path), _IN_GALLERIES, base=base, headers={"Origin": base})
    assert answer.status_code == 503
