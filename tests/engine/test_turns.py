"""Decoding and the model, where both work on the same few cores."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from geofix.engine.batching.queue import Pace, Passing, PhotoQueue
from geofix.engine.types import Lane
from geofix.engine.watching import Watcher
from geofix.errors import ModelUnavailable

LONG_S = 30.0
SHORT_S = 0.2


@pytest.fixture
def queue() -> Iterator[PhotoQueue]:
    opened = PhotoQueue(Pace(8), 1, dict.fromkeys(Lane, 60.0), Watcher(), in_turn=True)
    yield opened
    opened.close(ModelUnavailable("The test is over."))


def start_a_run(queue: PhotoQueue, lane: Lane) -> list[Passing]:
    queue.put(b"photo", lane)
    passing = queue.next_to_decode(lane)
    assert passing is not None
    passing.input = np.zeros((3, 1, 1), np.float32)
    queue.decoded(passing)
    return queue.next_to_encode()


def test_nothing_is_decoded_while_the_model_runs(queue: PhotoQueue) -> None:
    run = start_a_run(queue, Lane.INTERACTIVE)
    second = queue.put(b"photo", Lane.INTERACTIVE)
    with ThreadPoolExecutor(1) as decoder:
        try:
            decoding = decoder.submit(queue.next_to_decode, Lane.INTERACTIVE)
            with pytest.raises(TimeoutError):
                decoding.result(SHORT_S)
            queue.encoded(run, 0.01)
            assert decoding.result(LONG_S) is second
        finally:
            queue.close(ModelUnavailable("The test is over."))


def test_a_person_does_not_wait_for_the_run_of_a_job(queue: PhotoQueue) -> None:
    start_a_run(queue, Lane.BATCH)
    queue.put(b"photo", Lane.BATCH)
    second = queue.put(b"photo", Lane.INTERACTIVE)
    assert queue.next_to_decode(Lane.INTERACTIVE) is second


def test_what_one_session_leaves_another_takes() -> None:
    """Photos of two lanes are ready, and more are coming: neither session waits for those."""
    queue = PhotoQueue(Pace(8, run_s=SHORT_S), 2, dict.fromkeys(Lane, 60.0), Watcher())
    with ThreadPoolExecutor(2) as sessions:
        try:
            runs = [sessions.submit(queue.next_to_encode) for _ in range(2)]
            for lane in Lane:
                for _ in range(4):
                    queue.put(b"photo", lane)
                for _ in range(2):
                    passing = queue.next_to_decode(lane)
                    assert passing is not None
                    passing.input = np.zeros((3, 1, 1), np.float32)
                    queue.decoded(passing)
            taken = [run.result(LONG_S) for run in runs]
            assert {one.lane for run in taken for one in run} == set(Lane)
        finally:
            queue.close(ModelUnavailable("The test is over."))


def test_linear_algebra_can_be_kept_on_one_thread() -> None:
    told = (
        "import numpy; from geofix.engine import algebra; algebra.on_one_thread();"
        "from threadpoolctl import threadpool_info;"
        "print([pool['num_threads'] for pool in threadpool_info() if pool['user_api'] == 'blas'])"
    )
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=LONG_S
    )
    assert set(done.stdout.strip("[]\n").split(", ")) == {"1"}
