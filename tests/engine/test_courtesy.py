from __future__ import annotations

import asyncio

from geofix.engine.courtesy import LONGEST_S, Courtesy
from geofix.engine.types import Lane


def _run(courtesy: Courtesy, *, persons: int) -> list[str]:
    """Who went on first: the last of so many persons, or the photo of a batch."""
    order: list[str] = []

    async def person() -> None:
        with courtesy.present(Lane.INTERACTIVE):
            await asyncio.sleep(0.01)
        order.append("person")

    async def batch() -> None:
        with courtesy.present(Lane.BATCH):
            await asyncio.sleep(0)
            await courtesy.step_aside(Lane.BATCH)
        order.append("batch")

    async def all_of_them() -> None:
        await asyncio.gather(batch(), *(person() for _ in range(persons)))

    asyncio.run(all_of_them())
    return order


def test_a_batch_photo_lets_persons_go_first() -> None:
    assert _run(Courtesy(), persons=2) == ["person", "person", "batch"]


def test_alone_it_does_not_wait() -> None:
    assert _run(Courtesy(), persons=0) == ["batch"]


def test_persons_do_not_wait_for_one_another() -> None:
    async def two() -> None:
        courtesy = Courtesy()
        with courtesy.present(Lane.INTERACTIVE):
            async with asyncio.timeout(LONGEST_S / 2):
                await courtesy.step_aside(Lane.INTERACTIVE)

    asyncio.run(two())


def test_it_goes_on_though_persons_never_leave() -> None:
    async def crowded() -> None:
        courtesy = Courtesy()
        with courtesy.present(Lane.INTERACTIVE):
            async with asyncio.timeout(30.0):
                await courtesy.step_aside(Lane.BATCH)

    asyncio.run(crowded())


def test_a_person_who_fails_has_left() -> None:
    async def failing() -> None:
        courtesy = Courtesy()
        try:
            with courtesy.present(Lane.INTERACTIVE):
                raise ValueError
        except ValueError:
            async with asyncio.timeout(LONGEST_S / 2):
                await courtesy.step_aside(Lane.BATCH)

    asyncio.run(failing())
