"""What a replica refuses: its galleries are copies, and a change to them would be lost."""

from __future__ import annotations

from fastapi import Request
from fastapi.routing import APIRoute

from geofix.errors import Forbidden
from service.running import settings_of

_GALLERIES = "/v1/galleries"
_INTERNAL = "/v1/internal/galleries"
_READS = frozenset({"GET", "HEAD"})
_SEARCH = "searchGallery"
"""The one request that is sent with a body and changes nothing."""


async def refuse_change(request: Request) -> None:  # else a thread would be started for it
    """Raises Forbidden for a request that would change a replica's galleries."""
    if not settings_of(request).replica or request.method in _READS:
        return
    route = request.scope.get("route")
    if isinstance(route, APIRoute) and route.operation_id == _SEARCH:
        return
    if request.url.path.startswith((_GALLERIES, _INTERNAL)):
        raise Forbidden("This service is a replica. Change galleries at the service it copies.")
