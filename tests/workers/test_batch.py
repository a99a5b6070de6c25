"""Parts of a worker that need no job."""

from __future__ import annotations

import asyncio

from workers.batch import ended


def test_a_task_ends_though_its_first_cancellation_is_lost() -> None:
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60.0)
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    async def end_both() -> None:
        quick = asyncio.create_task(asyncio.sleep(0.0))
        stubborn = asyncio.create_task(deaf())
        await asyncio.sleep(0.01)
        async with asyncio.timeout(30.0):
            await ended(quick, stubborn)
        assert quick.done()
        assert stubborn.cancelled()

    asyncio.run(end_both())
    assert lost == 2
