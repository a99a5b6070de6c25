"""Who may ask what is not part of the public API: whoever shows the workers' key."""

from __future__ import annotations

import asyncio
import hmac

from fastapi import Request

from geofix.errors import Forbidden
from geofix.remote.engine import KEY_HEADER
from geofix.remote.worker_key import worker_key
from service.running import settings_of


async def admit(request: Request) -> None:
    """Raises Forbidden for anybody but a worker or a replica."""
    shown = request.headers.get(KEY_HEADER, "")
    wanted = await asyncio.to_thread(worker_key, settings_of(request))
    if not hmac.compare_digest(shown.encode(), wanted.encode()):
        raise Forbidden("Only the service's own workers are answered here.")
