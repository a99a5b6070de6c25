"""Who may use which endpoint: ``Depends(allowed(Scope.LOCATE))``, then ``caller_of(request)``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, cast
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from redis.asyncio import ConnectionPool

from geofix.errors import Forbidden, InvalidOption, PrecisionCapped, Unauthenticated
from geofix.settings import Settings
from service.auth.addresses import is_loopback
from service.auth.caller import LOCAL, Caller, Scope
from service.auth.keys import PREFIX, KeyRing
from service.auth.quotas import Exhausted, Quotas
from service.auth.tokens import Issuer
from service.headers import tell

KEY_HEADER = "X-API-Key"
_KEY = APIKeyHeader(
    name=KEY_HEADER, scheme_name="key", description="An API key, as gfx_…", auto_error=False
)
_BEARER = HTTPBearer(
    scheme_name="bearer",
    description="An API key, or a token of the OpenID Connect issuer.",
    auto_error=False,
)


def key_ring(config: Settings) -> KeyRing:
    """The API keys of these settings."""
    return KeyRing(config.keys_file or Path(config.data_dir) / "keys.json")


def check_exposure(config: Settings) -> None:
    """Raise InvalidOption where the network would reach a service that nobody, or anybody, may use.

    To leave it open must be said twice: an address can be changed by somebody who knows nothing of
    keys.
    """
    if config.auth == "off":
        if not (is_loopback(config.host) or config.open_to_anyone):
            raise InvalidOption(
                f"Without keys, {config.host} would let anyone use the service. Leave out "
                "--auth off, or, where something else keeps strangers out, add --open-to-anyone."
            )
        return
    may_be_open = config.auth == "auto" and is_loopback(config.host)
    if may_be_open or config.oidc_issuer or key_ring(config).valid():
        return
    raise InvalidOption(
        f"On {config.host} callers must show a key, and there is none: make one with "
        "`geofix keys create NAME`. To go without, give both --auth off and --open-to-anyone."
    )


class Gate:
    """Recognises callers, by the settings of one service."""

    def __init__(self, config: Settings, shared: ConnectionPool | None) -> None:
        self._open = config.auth == "off"
        self._local = config.auth == "auto" and is_loopback(config.host)
        self._keys = key_ring(config)
        self._issuer = Issuer(config) if config.oidc_issuer else None
        self._quotas = Quotas(shared)

    async def spend(self, request: Request, caller: Caller, cost: int) -> None:
        """Count ``cost`` requests of the caller and tell them how they stand.

        Raises QuotaExceeded; Unavailable while limits cannot be counted.
        """
        try:
            headers = await self._quotas.spend(caller, cost)
        except Exhausted as reached:
            tell(request.scope, reached.headers)
            raise
        tell(request.scope, headers)

    async def recognise(self, request: Request, shown: str | None) -> Caller:
        """The caller who shows this key or token, or nothing. Raises Unauthenticated, Forbidden."""
        if shown is None:
            if self._local:
                _from_this_machine(request)
            elif not self._open:
                raise Unauthenticated(
                    f"Send an API key in the header {KEY_HEADER}, or as Authorization: Bearer."
                )
            return LOCAL
        if shown.startswith(PREFIX):
            if caller := self._keys.recognise(shown):
                return caller
        elif self._issuer is not None:
            return await self._issuer.recognise(shown)
        raise Unauthenticated("The key is unknown, has expired or was revoked. Ask for a new one.")


def attach(app: FastAPI, gate: Gate) -> None:
    """Make this the gate of ``app``."""
    app.state.gate = gate


def gate_of(app: FastAPI) -> Gate:
    """The gate of ``app``."""
    return cast("Gate", app.state.gate)


def allowed(scope: Scope, *, capped: bool = False) -> Callable[..., Awaitable[None]]:
    """A dependency: the caller is known and has the scope.

    ``capped``: whether the endpoint coarsens what it answers to a key with a precision cap. Those
    that do not are closed to such keys.
    """

    async def let_in(
        request: Request,
        key: Annotated[str | None, Security(_KEY)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> None:
        gate = gate_of(request.app)
        shown = key if key is not None else bearer.credentials if bearer else None
        caller = await gate.recognise(request, shown)
        if not caller.may(scope):
            raise Forbidden(f"This needs the scope {scope.value!r}, which the key does not have.")
        if caller.cap_km is not None and not capped:
            raise PrecisionCapped(
                f"The key answers no finer than {caller.cap_km:g} km; this cannot be coarsened."
            )
        request.state.caller = caller
        await gate.spend(request, caller, 1)

    return let_in


async def spend(request: Request, cost: int) -> None:
    """Count so many requests more than the one that was counted when the caller was let in.

    Raises QuotaExceeded; Unavailable while limits cannot be counted.
    """
    if cost > 0:
        await gate_of(request.app).spend(request, caller_of(request), cost)


def caller_of(request: Request) -> Caller:
    """Who sent this request to an endpoint that depends on ``allowed``."""
    return cast("Caller", request.state.caller)


def _from_this_machine(request: Request) -> None:
    """Without keys, a page in somebody's browser must not reach the service on their machine.

    Raises Forbidden for a request that comes from elsewhere (through a proxy, say), names another
    host (DNS rebinding) or comes from a page of another site.
    """
    client = request.client.host if request.client else ""
    origin = request.headers.get("origin")
    if not (is_loopback(client) and is_loopback(request.url.hostname or "")):
        raise Forbidden(
            "Without keys the service answers on this machine alone, as localhost or 127.0.0.1."
        )
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden("Without keys the service answers no pages of other sites.")
