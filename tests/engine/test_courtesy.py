from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from geofix.engine import courtesy
from geofix.engine.batching import Batcher
from geofix.engine.courtesy import LONGEST_S, Courtesy
from geofix.engine.types import Lane
from geofix.settings import Settings


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


def test_a_thread_pauses_while_persons_are_there_but_not_for_ever() -> None:
    persons = Courtesy()
    with persons.present(Lane.INTERACTIVE):
        pause = persons.pause(Lane.BATCH)
        began = time.monotonic()
        pause()
        assert time.monotonic() - began > 0.9 * LONGEST_S
        for _ in range(1000):
            pause()
        assert time.monotonic() - began < 500 * LONGEST_S


def test_a_thread_goes_on_when_the_last_person_has_left() -> None:
    persons = Courtesy()
    with persons.present(Lane.INTERACTIVE):
        pause = persons.pause(Lane.BATCH)
    began = time.monotonic()
    pause()
    assert time.monotonic() - began < LONGEST_S


def test_a_persons_photo_is_decoded_while_those_of_a_job_pause(
    tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courtesy, "LONGEST_S", 60.0)

    async def both(batcher: Batcher) -> None:
        with batcher.courtesy.present(Lane.INTERACTIVE):
            job = batcher.put(jpeg, Lane.BATCH)
            await batcher.put(jpeg, Lane.INTERACTIVE).embedding()
            assert not job.decoded.done()
        await job.embedding()

    config = Settings(data_dir=tmp_path, decoders=1)
    batcher = Batcher.open(config, warm=False)
    try:
        asyncio.run(asyncio.wait_for(both(batcher), 60.0))
    finally:
        batcher.close()
