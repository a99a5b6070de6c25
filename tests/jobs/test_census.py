"""How all jobs stand together, counted in a real Valkey."""

from __future__ import annotations

import time

from geofix.jobs.chunks import Chunks
from geofix.jobs.store import JobStore
from geofix.jobs.sweeping import sweep
from geofix.jobs.tasks import BATCH_QUEUE, CONTROL_QUEUE, REINDEX_QUEUE, CelerySender
from geofix.jobs.types import Outcome, State
from geofix.settings import Settings
from tests.jobs.conftest import Playing, Submitting


def test_nothing_is_counted_as_zero(play: Playing) -> None:
    async def scene(store: JobStore) -> None:
        found = await store.census()
        assert (found.photos_open, found.chunks_leased, found.oldest_chunk_s) == (0, 0, 0.0)
        assert set(found.states.values()) == {0}
        assert found.messages == {BATCH_QUEUE: 0, CONTROL_QUEUE: 0, REINDEX_QUEUE: 0}
        assert set(found.oldest_message_s.values()) == {0.0}
        assert found.totals == {}

    play(scene)


def test_a_job_is_followed_from_the_queue_to_its_end(
    play: Playing, submit: Submitting, config: Settings
) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store, photos=5)  # two chunks
        sender = CelerySender(config.redis_url)
        for task in await store.next_tasks(job.id):
            await sender.chunk(task)
        found = await store.census()
        assert found.messages[BATCH_QUEUE] == 2
        assert 0.0 < found.oldest_message_s[BATCH_QUEUE] < 10.0
        assert found.oldest_message_s[CONTROL_QUEUE] == 0.0
        assert (found.photos_open, found.chunks_leased) == (5, 0)
        assert found.states[State.VALIDATING] == 1
        assert 0.0 <= found.oldest_chunk_s < 10.0

        chunks = Chunks(store, "worker")
        claim = await chunks.claim(job.id, 0)
        assert claim is not None
        assert (await store.census()).chunks_leased == 1
        done = [Outcome(item.index, item.custom_id, answer="{}") for item in claim.items]
        await chunks.complete(claim, done)
        found = await store.census()
        assert (found.photos_open, found.chunks_leased) == (2, 0)
        assert found.totals["completed"] == 3
        assert abs(found.totals["settled_at"] - time.time()) < 10.0

        await sweep(store, sender)
        assert abs((await store.census()).totals["swept_at"] - time.time()) < 10.0
        await store.cancel(job.id)
        found = await store.census()
        assert (found.photos_open, found.oldest_chunk_s) == (0, 0.0)

    play(scene)
