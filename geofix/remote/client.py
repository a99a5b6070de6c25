"""A running service over HTTP: one client for commands, workers and tests.

A data directory has one owner. Where that is a service, whoever needs the engine asks it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
from pydantic import JsonValue

from geofix.engine.gallery.directory import DataDirectory
from geofix.errors import GeofixError, Unavailable
from geofix.observability import tracing
from geofix.settings import Settings

_PATIENCE_S = 120.0
_CONNECT_S = 5.0
LIMITS = httpx.Limits(keepalive_expiry=2.0)
"""The service closes a connection after 5 s without a request, which is httpx's default, too: a
request that is sent at that very moment would fail."""
_TRIES = 8

API_KEY_HEADER = "X-API-Key"


class RefusedError(GeofixError):
    """A problem that a running service answered with."""

    def __init__(self, problem: dict[str, object]) -> None:
        super().__init__(str(problem.get("detail", "The service refused the request.")))
        self.problem = problem

    @property
    def http_status(self) -> int:
        """The status the service answered with."""
        status = self.problem.get("status")
        return status if isinstance(status, int) else 500


class Service:
    """A service that answers at an address."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ask(
        self,
        method: str,
        path: str,
        *,
        tries: int = _TRIES,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        content: AsyncIterator[bytes] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Its answer, asked for again while it is busy; a ``content`` can be sent once only.

        Raises RefusedError for a problem it answers with, Unavailable when it does not answer.
        """
        for attempt in range(tries):
            try:
                response = await self._client.request(
                    method,
                    path,
                    params=params,
                    data=data,
                    files=files,
                    content=content if body is None else body,
                    headers={**(headers or {}), **tracing.headers()},
                )
            except httpx.HTTPError as error:
                raise self._silent(error) from error
            if response.status_code != 503 or attempt == tries - 1:
                break
            await asyncio.sleep(retry_after_s(response))
        if not response.is_success:
            raise refusal(response)
        return response

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: JsonValue = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Its answer as it comes.

        Raises RefusedError for a problem it answers with, Unavailable when it does not answer or
        stops in the middle.
        """
        try:
            async with self._client.stream(
                method,
                path,
                params=params,
                json=json,
                headers={**(headers or {}), **tracing.headers()},
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise refusal(response)
                yield response
        except httpx.HTTPError as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"The service at {self._client.base_url} does not answer ({type(error).__name__}). "
            "Wait for it, or start it with `geofix serve`."
        )


@asynccontextmanager
async def connect(address: str, api_key: str = "") -> AsyncIterator[Service]:
    """The service at an address such as ``http://127.0.0.1:8000``."""
    headers = {API_KEY_HEADER: api_key} if api_key else None
    timeout = httpx.Timeout(_PATIENCE_S, connect=_CONNECT_S)
    async with httpx.AsyncClient(
        base_url=address, timeout=timeout, limits=LIMITS, headers=headers
    ) as client:
        yield Service(client)


def address(settings: Settings) -> str:
    """Where the service answers: as configured, else as the owner of the data directory says.

    Empty where there is none.
    """
    if settings.service_url:
        return settings.service_url
    owner = DataDirectory(settings.data_dir).owner()
    return owner.address if owner is not None else ""


def refusal(response: httpx.Response) -> GeofixError:
    """The error that a response which is no success tells of."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if isinstance(problem, dict):
        return RefusedError(problem)
    return Unavailable("What the service answered is no answer of this version.")


def retry_after_s(response: httpx.Response) -> float:
    """How long a busy service asks to wait; 1 s when it does not say."""
    try:
        return min(60.0, max(0.0, float(response.headers.get("Retry-After", "1"))))
    except ValueError:
        return 1.0
