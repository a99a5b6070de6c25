"""Bearer tokens, checked with keys that a real server of the test's own publishes."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from joserfc import jwk, jwt
from pydantic import JsonValue

from geofix.errors import GeofixError, InvalidOption, Unauthenticated, Unavailable
from geofix.settings import Settings
from service.auth import tokens
from service.auth.caller import Caller, Scope
from service.auth.tokens import Issuer
from tests.service.auth.conftest import Ask


@dataclass
class Published:
    """What the issuer's server says, and how often it was asked."""

    address: str
    keys: list[jwk.Key] = field(default_factory=list)
    asked: int = 0
    broken: bool = False


@pytest.fixture
def issuer() -> Iterator[Published]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            published.asked += 1
            body: dict[str, object] = {
                "/.well-known/openid-configuration": {
                    "issuer": published.address,
                    "jwks_uri": f"{published.address}/keys",
                },
                "/keys": {"keys": [key.as_dict(private=False) for key in published.keys]},
            }
            found = json.dumps(body.get(self.path)).encode()
            self.send_response(500 if published.broken else 200)
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    published = Published(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield published
    server.shutdown()
    server.server_close()
    thread.join()


def _key(kid: str) -> jwk.ECKey:
    return jwk.ECKey.generate_key("P-256", {"kid": kid})


def _settings(issuer: Published, **changes: object) -> Settings:
    fields = {"oidc_issuer": issuer.address, "oidc_audience": "geofix", "auth": "required"}
    return Settings.model_validate({**fields, **changes})


def _token(issuer: Published, key: jwk.Key, **changes: JsonValue) -> str:
    alg = {"EC": "ES256", "RSA": "RS256", "oct": "HS256"}[key.key_type]
    now = int(time.time())
    claims: dict[str, JsonValue] = {
        "iss": issuer.address,
        "aud": "geofix",
        "sub": "ann",
        "exp": now + 60,
        "scope": "openid geofix:locate jobs",
        **changes,
    }
    told = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": key.kid}, told, key, algorithms=[alg])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _recognise(issuer: Published, token: str, **changes: object) -> Caller:
    return asyncio.run(Issuer(_settings(issuer, **changes)).recognise(token))


def test_a_token_is_recognised_with_what_it_grants(issuer: Published) -> None:
    issuer.keys = [_key("a"), _key("b")]
    caller = _recognise(issuer, _token(issuer, issuer.keys[1]))
    assert caller.scopes == {Scope.LOCATE, Scope.JOBS}
    assert caller.account.startswith("oidc-")
    assert "ann" not in caller.account
    assert caller.cap_km is None
    other = _recognise(issuer, _token(issuer, issuer.keys[0], sub="bob", scope=["admin"]))
    assert other.account != caller.account
    assert other.may(Scope.GALLERIES)


def test_a_rsa_key_and_a_fixed_address_of_the_keys_will_do(issuer: Published) -> None:
    issuer.keys = [jwk.RSAKey.generate_key(2048, {"kid": "r"})]
    token = _token(issuer, issuer.keys[0])
    assert _recognise(issuer, token, oidc_jwks_url=f"{issuer.address}/keys").scopes
    assert issuer.asked == 1


def test_the_coarser_of_two_caps_holds(issuer: Published) -> None:
    issuer.keys = [_key("a")]
    token = _token(issuer, issuer.keys[0], geofix_cap_km=100)
    assert _recognise(issuer, token).cap_km == 100
    assert _recognise(issuer, token, oidc_cap_km=25).cap_km == 100
    assert _recognise(issuer, token, oidc_cap_km=200).cap_km == 200
    assert _recognise(issuer, _token(issuer, issuer.keys[0]), oidc_cap_km=25).cap_km == 25


_WRONG: list[dict[str, JsonValue]] = [
    {"aud": "another service"},
    {"aud": ["a", "b"]},
    {"aud": None},
    {"iss": "http://127.0.0.1:1"},
    {"iss": None},
    {"exp": int(time.time()) - 3600},
    {"exp": None},
    {"exp": "tomorrow"},
    {"nbf": int(time.time()) + 3600},
    {"sub": None},
    {"sub": 5},
    {"geofix_cap_km": "none"},
    {"geofix_cap_km": 0},
    {"geofix_cap_km": -25},
]


@pytest.mark.parametrize("changes", _WRONG, ids=str)
def test_a_token_of_which_something_does_not_hold_is_refused(
    issuer: Published, changes: dict[str, JsonValue]
) -> None:
    issuer.keys = [_key("a")]
    token = _token(issuer, issuer.keys[0], **changes)
    with pytest.raises(Unauthenticated):
        _recognise(issuer, token)


def test_a_token_that_somebody_made_is_refused(issuer: Published) -> None:
    real = _key("a")
    issuer.keys = [real]
    claims = _token(issuer, real).split(".")[1]
    public = real.as_pem(private=False)
    by_hmac = _text(b'{"alg":"HS256","kid":"a"}') + "." + claims
    signature = hmac.digest(public, by_hmac.encode(), "sha256")
    forged = [
        _token(issuer, _key("a")),  # another key of the same name
        f"{by_hmac}.{_text(signature)}",  # the public key taken as a shared secret
        _text(b'{"alg":"none","kid":"a"}') + f".{claims}.",
        _token(issuer, real)[:-8] + "AAAAAAAA",
        "a.b.c",
        "é" * 40,
        "." * 5000,
        "",
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            _recognise(issuer, token)


def test_new_keys_are_found_and_made_up_ones_do_not_make_it_ask(
    issuer: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.keys = [_key("old")]
    new = _key("new")

    async def run() -> list[str]:
        seen = Issuer(_settings(issuer, oidc_jwks_url=f"{issuer.address}/keys"))

        async def told(token: str) -> str:
            try:
                return (await seen.recognise(token)).account[:4]
            except GeofixError as error:
                return error.slug

        answers = [await told(_token(issuer, issuer.keys[0]))]
        issuer.keys.append(new)
        answers += [await told(_token(issuer, new)) for _ in range(3)]
        asked = issuer.asked
        monkeypatch.setattr(tokens, "_AGAIN_S", 0.0)
        answers.append(await told(_token(issuer, new)))
        issuer.broken = True
        answers.append(await told(_token(issuer, _key("third"))))
        answers.append(await told(_token(issuer, new)))
        assert (asked, issuer.asked) == (1, 4)
        return answers

    refused = ["unauthenticated"] * 3
    assert asyncio.run(run()) == ["oidc", *refused, "oidc", "unauthenticated", "oidc"]


def test_an_issuer_that_is_away_is_not_the_callers_fault(issuer: Published) -> None:
    issuer.broken = True
    with pytest.raises(Unavailable):
        _recognise(issuer, _token(issuer, _key("a")))


def test_keys_do_not_come_over_plain_http_from_elsewhere(issuer: Published) -> None:
    with pytest.raises(Unavailable):
        _recognise(issuer, "a.b.c", oidc_jwks_url="http://keys.example/keys")


def test_an_issuer_needs_an_audience(issuer: Published) -> None:
    with pytest.raises(InvalidOption, match="AUDIENCE"):
        Issuer(_settings(issuer, oidc_audience=""))


def test_the_service_lets_a_token_in_as_a_bearer(
    issuer: Published, tmp_path: Path, ask: Ask
) -> None:
    issuer.keys = [_key("a")]
    config = _settings(issuer, data_dir=tmp_path)
    for scope, status in (("galleries", 503), ("locate", 403)):
        token = _token(issuer, issuer.keys[0], scope=scope)
        headers = {"Authorization": f"Bearer {token}"}
        assert ask(config, "/v1/galleries", headers=headers).status_code == status
    assert ask(config, "/v1/galleries", headers={"Authorization": "Bearer a"}).status_code == 401
    assert ask(config, "/v1/galleries", headers={"Authorization": "Basic YTpi"}).status_code == 401
