"""Talking to a Qdrant server: the connection, deadlines, and which errors are worth another try."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

import grpc
import tenacity
from pydantic import SecretStr
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse

from geofix.errors import InvalidOption, Unavailable

T = TypeVar("T")

GRPC_PORT = 6334
_ATTEMPTS = 3
_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""Worth another try. A deadline that has passed is not: the caller has waited long enough."""
_REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


class QdrantServer:
    """One connection to a Qdrant server, shared by its galleries."""

    def __init__(
        self,
        url: str,
        api_key: SecretStr | None = None,
        *,
        prefix: str = "geofix",
        deadline_s: float = 10.0,
    ) -> None:
        """Connects when it is first used. Raises InvalidOption for an address that is none."""
        where = urlsplit(url)
        if where.scheme not in {"http", "https"} or not where.hostname:
            raise InvalidOption("A Qdrant server's address looks like http://qdrant:6334.")
        self._prefix = prefix
        key = api_key.get_secret_value() if api_key is not None else ""
        # The host alone, not an address with a scheme: those warn of keys over plain HTTP, which
        # is how a server is reached inside a cluster's own network.
        self.client = AsyncQdrantClient(
            host=where.hostname,
            grpc_port=where.port or GRPC_PORT,
            prefer_grpc=True,
            https=where.scheme == "https",
            headers={"api-key": key} if key else None,
            timeout=max(1, round(deadline_s)),
            check_compatibility=False,  # a request over HTTP in a thread of its own
        )

    def alias(self, gallery: str) -> str:
        """What readers of a gallery read, whatever its version."""
        return f"{self._prefix}-{gallery}"

    def collection(self, gallery: str, version: int) -> str:
        """The collection that holds one version of a gallery."""
        return f"{self.alias(gallery)}-v{version}"

    async def call(self, request: Callable[[AsyncQdrantClient], Awaitable[T]]) -> T:
        """Send one request that may be repeated.

        Raises Unavailable when the server cannot be reached, is overloaded, does not answer in
        time or refuses the key.
        """
        try:
            async for attempt in tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception(_passes),
                stop=tenacity.stop_after_attempt(_ATTEMPTS),
                wait=tenacity.wait_random_exponential(multiplier=0.05, max=0.5),
                reraise=True,
            ):
                with attempt:
                    return await request(self.client)
        except ResourceExhaustedResponse as error:
            raise Unavailable(
                "The gallery's server is overloaded.", retry_after_s=error.retry_after_s
            ) from error
        except grpc.aio.AioRpcError as error:
            raise _told(error) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def close(self) -> None:
        """Close the connection."""
        await self.client.close()


def not_found(error: BaseException | None) -> bool:
    """Whether a failure says that a collection is not there."""
    return isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.NOT_FOUND


def _passes(error: BaseException) -> bool:
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in _PASSING


def _told(error: grpc.aio.AioRpcError) -> Exception:
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unavailable("The gallery's server did not answer in time.")
    if error.code() in _PASSING:
        return Unavailable("The gallery's server cannot be reached.")
    if error.code() in _REFUSED:
        return Unavailable("The gallery's server refuses the service's key.", retry_after_s=60)
    return error
