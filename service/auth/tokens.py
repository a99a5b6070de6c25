"""Bearer tokens of an OpenID Connect issuer: JWTs signed with keys that it publishes.

A token counts when its signature, issuer, audience and times hold. Its subject becomes an account,
its scope claim names scopes (``locate`` or ``geofix:locate``), and a number in the claim
``geofix_cap_km`` caps its precision.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from joserfc import jwk, jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from pydantic import Field, JsonValue, TypeAdapter

from geofix.errors import InvalidOption, Unauthenticated, Unavailable
from geofix.settings import Settings
from service.auth.addresses import is_loopback
from service.auth.caller import LARGEST_CAP_KM, Caller, Scope

log = logging.getLogger(__name__)

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "Ed25519")
"""Asymmetric ones alone: whoever can check a token must not be able to make one."""
_ISSUER_S = 5.0
_LARGEST_REPLY = 2**20
_FRESH_S = 3600.0
_AGAIN_S = 30.0
"""Least time between two looks at the issuer's keys, however many tokens name unknown ones."""
_LEEWAY_S = 30
_OBJECT = TypeAdapter(dict[str, JsonValue])
_CAP = TypeAdapter(Annotated[float, Field(gt=0, le=LARGEST_CAP_KM, allow_inf_nan=False)])


class Issuer:
    """The issuer of these settings, and its public keys as last seen."""

    def __init__(self, config: Settings) -> None:
        if not config.oidc_audience:
            raise InvalidOption("Set GEOFIX_OIDC_AUDIENCE: a token for others must not count here.")
        self._config = config
        self._claims = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": config.oidc_issuer},
            aud={"essential": True, "value": config.oidc_audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._keys = jwk.KeySet([])
        self._looked_at = self._fresh_until = -math.inf
        self._one_at_a_time = asyncio.Lock()

    async def recognise(self, token: str) -> Caller:
        """The caller who shows this token. Raises Unauthenticated; Unavailable without keys."""
        await self._look(_FRESH_S)
        try:
            try:
                return self._checked(token)
            except InvalidKeyIdError:  # the issuer may have changed its keys
                await self._look(_AGAIN_S)
                return self._checked(token)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            log.debug("a token was refused: %s", type(error).__name__)
            raise Unauthenticated(
                "The token is not valid here, or has expired. Ask for a new one."
            ) from error

    def _checked(self, token: str) -> Caller:
        claims = jwt.decode(token, self._keys, _ALGORITHMS).claims
        self._claims.validate(claims)
        return self._caller(claims)

    def _caller(self, claims: Mapping[str, JsonValue]) -> Caller:
        subject = f"{claims['iss']}\0{claims['sub']}"
        told = claims.get("geofix_cap_km")
        caps = [] if told is None else [_CAP.validate_python(told, strict=True)]
        if self._config.oidc_cap_km:
            caps.append(self._config.oidc_cap_km)
        return Caller(
            account=f"oidc-{hashlib.sha256(subject.encode()).hexdigest()[:16]}",
            scopes=_scopes(claims.get(self._config.oidc_scope_claim)),
            cap_km=max(caps, default=None),
            limits=self._config.oidc_limits,
        )

    async def _look(self, older_than_s: float) -> None:
        """Fetch the issuer's keys where those at hand are older. Raises Unavailable without any.

        Keys that were read stay until others are: an issuer that is away costs nobody their token.
        """
        async with self._one_at_a_time:
            now = time.monotonic()
            if now >= min(self._fresh_until, self._looked_at + older_than_s):
                self._looked_at, self._fresh_until = now, now + _AGAIN_S
                try:
                    self._keys = await self._published()
                    self._fresh_until = now + _FRESH_S
                except (httpx.HTTPError, JoseError, ValueError, TypeError, KeyError) as error:
                    log.warning("the token issuer's keys cannot be had: %s", type(error).__name__)
        if not self._keys.keys:
            raise Unavailable("Tokens cannot be checked now.", retry_after_s=int(_AGAIN_S))

    async def _published(self) -> jwk.KeySet:
        async with httpx.AsyncClient(timeout=_ISSUER_S) as client:
            url = self._config.oidc_jwks_url
            if not url:
                issuer = self._config.oidc_issuer.rstrip("/")
                found = await _json(client, f"{issuer}/.well-known/openid-configuration")
                if found["issuer"] != self._config.oidc_issuer:
                    raise ValueError("the discovery document is another issuer's")
                url = str(found["jwks_uri"])
            published = await _json(client, url)
        return jwk.KeySet.import_key_set({"keys": published["keys"]})  # type: ignore[typeddict-item]


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, JsonValue]:
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("keys must come over https")
    async with client.stream("GET", url) as reply:
        reply.raise_for_status()
        body = b""
        async for chunk in reply.aiter_bytes():
            body += chunk
            if len(body) > _LARGEST_REPLY:
                raise ValueError("too long a reply")
    return _OBJECT.validate_json(body)


def _scopes(claim: JsonValue) -> frozenset[Scope]:
    named = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    known = {scope.value: scope for scope in Scope}
    bare = (name.removeprefix("geofix:") for name in named if isinstance(name, str))
    return frozenset(known[name] for name in bare if name in known)
