"""Work that stops when nobody waits for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

T = TypeVar("T")


async def unless_disconnected(request: Request, work: Coroutine[object, object, T]) -> T:
    """The result of ``work``, which is cancelled when the client goes away first.

    The request's body must have been read. Raises ClientDisconnect, which nobody will see.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_read)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


def _read(task: asyncio.Task[object]) -> None:
    """Know of its failure, which nobody may be there to hear of: asyncio would log it."""
    if not task.cancelled():
        task.exception()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
