"""Batching on real sessions: fine, poisoned, broken, slow and killed ones."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime import InferenceSession  # type: ignore[import-untyped]
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from geofix.engine import image
from geofix.engine.batching import Batcher, Limits
from geofix.engine.batching.infer import measure
from geofix.engine.batching.lanes import BATCH_TURN_S, Lanes
from geofix.engine.batching.queue import Pace, PhotoQueue
from geofix.engine.encoder import Encoder
from geofix.engine.models import Kind, ModelCard, Preprocessing, Resampling, built_in
from geofix.engine.types import Embedding, Lane
from geofix.engine.watching import Watcher
from geofix.errors import (
    GeofixError,
    ModelUnavailable,
    Overloaded,
    UnencodablePhoto,
    UnreadablePhoto,
)

LONG_S = 20.0
SIDE = 32


class Runs(Watcher):
    """Remembers the size of every run."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, photos: int, seconds: float) -> None:
        self.sizes.append(photos)


def jpeg(colour: tuple[int, int, int], side: int = 40) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(stream, "JPEG")
    return stream.getvalue()


FINE = jpeg((200, 120, 40))
BLACK = jpeg((0, 0, 0))
DAMAGED = FINE[: len(FINE) // 2]


def card_of(path: Path) -> ModelCard:
    return ModelCard(
        name="tiny",
        kind=Kind.IMAGE,
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        source="a test",
        licence="unknown",
        input=f"image float32 [N, 3, {SIDE}, {SIDE}]",
        outputs={"embedding": 3},
        preprocessing=Preprocessing(
            SIDE, (SIDE, SIDE), Resampling.BILINEAR, (0.1, 0.1, 0.1), (1.0, 1.0, 1.0)
        ),
        directory=path.parent,
    )


def write(path: Path, nodes: list[onnx.NodeProto], *constants: onnx.TensorProto) -> Path:
    """A model whose embedding is made of the photo's mean colour less 0.1, ``mean`` [N, 3]."""
    pixels = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    mean = helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0)
    graph = helper.make_graph([mean, *nodes], "tiny", [pixels], [out], [axes, *constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    onnx.save(model, path)
    return path


def plain(path: Path) -> Path:
    return write(path, [helper.make_node("Identity", ["mean"], ["embedding"])])


def not_of_black(path: Path) -> Path:
    """NaN for photos darker than a tenth."""
    return write(path, [helper.make_node("Sqrt", ["mean"], ["embedding"])])


def choking_on_black(path: Path) -> Path:
    """A run with a photo darker than a tenth fails as a whole."""
    return write(
        path,
        [
            helper.make_node("ReduceMin", ["mean"], ["least"], keepdims=0),
            helper.make_node("Sign", ["least"], ["sign"]),
            helper.make_node("Add", ["sign", "sign"], ["twice"]),
            helper.make_node("Sub", ["twice", "one"], ["place"]),
            helper.make_node("Cast", ["place"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "index"], ["zero"]),
            helper.make_node("Add", ["mean", "zero"], ["embedding"]),
        ],
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        # The entry 1 is there, the third before the end is not.
        helper.make_tensor("table", TensorProto.FLOAT, [2], [0.0] * 2),
    )


def nothing(path: Path) -> Path:
    """NaN for every photo."""
    return write(
        path,
        [
            helper.make_node("Div", ["mean", "zeros"], ["huge"]),
            helper.make_node("Sub", ["huge", "huge"], ["embedding"]),
        ],
        helper.make_tensor("zeros", TensorProto.FLOAT, [3], [0.0] * 3),
    )


def slow(path: Path, rounds: int) -> Path:
    """Multiplies matrices of 256 by 256 so many times for every run."""
    body_inputs = [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        helper.make_tensor_value_info("m", TensorProto.FLOAT, [256, 256]),
    ]
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["m", "eye"], ["next"]),
            helper.make_node("Identity", ["go"], ["still"]),
        ],
        "body",
        body_inputs,
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [256, 256]),
        ],
    )
    return write(
        path,
        [
            helper.make_node("ReduceMean", ["mean"], ["level"], keepdims=0),
            helper.make_node("Mul", ["eye", "level"], ["start"]),
            helper.make_node("Loop", ["rounds", "", "start"], ["end"], body=body),
            helper.make_node("ReduceMean", ["end"], ["small"], keepdims=0),
            helper.make_node("Add", ["mean", "small"], ["embedding"]),
        ],
        helper.make_tensor("rounds", TensorProto.INT64, [], [rounds]),
        helper.make_tensor(
            "eye", TensorProto.FLOAT, [256, 256], np.eye(256, dtype=np.float32).ravel()
        ),
    )


@contextmanager
def batching(
    path: Path, limits: Limits | None = None, watch: Watcher | None = None, *, sessions: int = 1
) -> Iterator[Batcher]:
    def load() -> Encoder:
        return Encoder.load(card_of(path), threads=1, device="cpu")

    batcher = Batcher([load] * sessions, limits or Limits(size=8), watch=watch)
    try:
        yield batcher
    finally:
        batcher.close()


async def outcome(batcher: Batcher, data: bytes, lane: Lane = Lane.INTERACTIVE) -> object:
    """The embedding, or the error."""
    try:
        return await batcher.put(data, lane).embedding()
    except GeofixError as error:
        return error


def outcomes(batcher: Batcher, photos: list[bytes]) -> list[object]:
    async def all_of_them() -> list[object]:
        return list(await asyncio.gather(*(outcome(batcher, data) for data in photos)))

    return asyncio.run(asyncio.wait_for(all_of_them(), LONG_S))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _others() -> Iterator[None]:
    """Threads that other tests' engines have running: they are none of ours."""
    _OTHERS.update(thread.ident for thread in threading.enumerate())
    yield
    _OTHERS.clear()


_OTHERS: set[int | None] = set()


def threads(name: str) -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == name and one.ident not in _OTHERS]


def test_a_photo_of_a_batch_has_the_vector_that_it_has_alone() -> None:
    encoder = Encoder.load(built_in()["lite"], device="cpu")
    photos = [jpeg((40 * i, 250 - 30 * i, 90), 300) for i in range(6)]
    batcher = Batcher([lambda: encoder], Limits(size=4))
    try:
        found = outcomes(batcher, photos)
    finally:
        batcher.close()
    for data, embedding in zip(photos, found, strict=True):
        alone = encoder.encode([image.decode(data, target=encoder.decode_target)])[0]
        assert isinstance(embedding, Embedding)
        assert np.allclose(embedding.vector, alone.vector, atol=1e-5)
        assert embedding.classes is not None
        assert alone.classes is not None
        assert np.allclose(embedding.classes, alone.classes, atol=1e-5)


@pytest.mark.parametrize("sessions", [1, 3])
def test_a_damaged_photo_costs_only_itself(tmp_path: Path, sessions: int) -> None:
    with batching(plain(tmp_path / "tiny.onnx"), sessions=sessions) as batcher:
        found = outcomes(batcher, [DAMAGED if i % 8 == 3 else FINE for i in range(32)])
        assert [isinstance(one, UnreadablePhoto) for one in found] == [
            i % 8 == 3 for i in range(32)
        ]
        assert sum(isinstance(one, Embedding) for one in found) == 28
        assert batcher.ready


@pytest.mark.parametrize("make", [not_of_black, choking_on_black])
def test_a_photo_that_the_model_cannot_encode_costs_only_itself(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    with batching(make(tmp_path / "tiny.onnx")) as batcher:
        found = outcomes(batcher, [FINE, BLACK, FINE, FINE, FINE, BLACK, FINE, FINE])
        assert [isinstance(one, UnencodablePhoto) for one in found] == [
            index in (1, 5) for index in range(8)
        ]
        assert sum(isinstance(one, Embedding) for one in found) == 6
        assert batcher.ready


def test_a_model_that_encodes_nothing_is_not_ready_until_it_is_mended(tmp_path: Path) -> None:
    path = nothing(tmp_path / "tiny.onnx")
    with batching(path) as batcher:
        (broken,) = outcomes(batcher, [FINE])
        assert isinstance(broken, ModelUnavailable)
        until(lambda: not batcher.ready)
        with pytest.raises(ModelUnavailable):
            batcher.admit(Lane.INTERACTIVE)
        plain(path)
        until(lambda: batcher.ready)
        assert isinstance(outcomes(batcher, [FINE])[0], Embedding)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("library", "method"), [(InferenceSession, "run"), (JpegImageFile, "load")]
)
def test_a_thread_that_dies_is_replaced_and_what_it_was_at_is_answered(
    tmp_path: Path, fatal: Callable[[type, str], None], library: type, method: str
) -> None:
    with batching(plain(tmp_path / "tiny.onnx"), Limits(size=2, decoders=1)) as batcher:
        for _ in range(3):
            fatal(library, method)
            found = outcomes(batcher, [FINE] * 2)
            assert all(isinstance(one, (Embedding, ModelUnavailable)) for one in found)
            assert any(isinstance(one, ModelUnavailable) for one in found)
            until(lambda: batcher.ready)
            assert all(isinstance(one, Embedding) for one in outcomes(batcher, [FINE] * 16))
        assert batcher.queue.depth(Lane.INTERACTIVE) == 0


def test_a_run_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    path = slow(tmp_path / "tiny.onnx", 8_000)
    with batching(path, Limits(size=1, stalled_s=0.3)) as batcher:
        loading = threading.Timer(0.1, lambda: plain(path))
        loading.start()
        (given_up,) = outcomes(batcher, [FINE])
        assert isinstance(given_up, ModelUnavailable)
        until(lambda: batcher.ready)
        assert isinstance(outcomes(batcher, [FINE])[0], Embedding)
    until(lambda: not threads("inference"))


def test_photos_whose_clients_left_are_not_encoded(tmp_path: Path) -> None:
    runs = Runs()
    with batching(slow(tmp_path / "tiny.onnx", 300), Limits(size=2), runs) as batcher:

        async def leave() -> None:
            tasks = [asyncio.create_task(outcome(batcher, FINE)) for _ in range(20)]
            await asyncio.to_thread(until, lambda: batcher.queue.running() > 0)
            for task in tasks[1:]:
                task.cancel()
            await tasks[0]
            assert isinstance(await outcome(batcher, FINE), Embedding)

        asyncio.run(asyncio.wait_for(leave(), LONG_S))
        assert sum(runs.sizes) <= 4  # a run or two had begun
        assert batcher.queue.depth(Lane.INTERACTIVE) == 0


def test_too_many_are_refused_at_once_with_a_time_to_come_back(tmp_path: Path) -> None:
    limits = Limits(size=1, max_wait_s={Lane.INTERACTIVE: 60.0, Lane.BATCH: 60.0})
    with batching(slow(tmp_path / "tiny.onnx", 100), limits) as batcher:

        async def flood() -> tuple[list[object], list[float]]:
            took: list[float] = []

            async def one() -> object:
                began = time.monotonic()
                result = await outcome(batcher, FINE)
                if isinstance(result, Overloaded):
                    took.append(time.monotonic() - began)
                return result

            return list(await asyncio.gather(*(one() for _ in range(100)))), took

        found, took = asyncio.run(asyncio.wait_for(flood(), LONG_S))
        refused = [one for one in found if isinstance(one, Overloaded)]
        answered = sum(isinstance(one, Embedding) for one in found)
        assert 32 <= answered < 50  # the line's places, and those whose turn came meanwhile
        assert len(refused) == 100 - answered
        assert all(one.retry_after_s >= 1 for one in refused)
        assert max(took) < 1.0
        assert isinstance(outcomes(batcher, [FINE])[0], Embedding)


def test_the_expected_wait_is_learnt_and_limits_the_line(tmp_path: Path) -> None:
    model = slow(tmp_path / "tiny.onnx", 300)
    with batching(model, Limits(size=1)) as batcher:
        started = time.monotonic()
        outcomes(batcher, [FINE] * 8)
        each_s = (time.monotonic() - started) / 8  # the machine's own pace, however busy it is
    limits = Limits(size=1, max_wait_s={Lane.INTERACTIVE: 6 * each_s, Lane.BATCH: 60.0})
    with batching(model, limits) as batcher:
        outcomes(batcher, [FINE] * 4)
        until(lambda: batcher.queue.expected_wait_s(Lane.INTERACTIVE) == 0.0)
        found = outcomes(batcher, [FINE] * 32)
        assert any(isinstance(one, Overloaded) for one in found)
        assert any(isinstance(one, Embedding) for one in found)


def test_a_photo_that_waited_too_long_is_told_so(tmp_path: Path) -> None:
    limits = Limits(size=1, max_wait_s={Lane.INTERACTIVE: 0.1, Lane.BATCH: 60.0})
    with batching(slow(tmp_path / "tiny.onnx", 3_000), limits) as batcher:
        started = time.monotonic()
        found = outcomes(batcher, [FINE] * 4)
        assert all(isinstance(one, Overloaded) for one in found)
        assert time.monotonic() - started < 2.0


def test_persons_come_before_batch_jobs(tmp_path: Path) -> None:
    with batching(slow(tmp_path / "tiny.onnx", 100), Limits(size=1)) as batcher:
        order: list[Lane] = []

        async def one(lane: Lane) -> None:
            assert isinstance(await outcome(batcher, FINE, lane), Embedding)
            order.append(lane)

        async def both() -> None:
            jobs = [asyncio.create_task(one(Lane.BATCH)) for _ in range(12)]
            await asyncio.sleep(0.05)
            persons = [asyncio.create_task(one(Lane.INTERACTIVE)) for _ in range(4)]
            await asyncio.gather(*persons)
            # Those of the batch lane that were decoded ahead may have gone first, no more.
            assert order.count(Lane.BATCH) <= 8
            await asyncio.gather(*jobs)

        asyncio.run(asyncio.wait_for(both(), LONG_S))
        assert len(order) == 16


class Waiting:
    def __init__(self, lane: Lane) -> None:
        self.lane = lane


def test_batch_jobs_have_their_turn_however_many_persons_wait() -> None:
    lanes: Lanes[Waiting] = Lanes()
    for lane in [Lane.BATCH] * 3 + [Lane.INTERACTIVE] * 1000:
        lanes.put(Waiting(lane), 0.0)
    step = BATCH_TURN_S / 10
    taken = [lanes.take(i * step) for i in range(31)]
    served = [i for i, one in enumerate(taken) if one is not None and one.lane is Lane.BATCH]
    assert served == [10, 20, 30]


def test_only_the_lanes_named_are_served() -> None:
    lanes: Lanes[Waiting] = Lanes()
    lanes.put(Waiting(Lane.BATCH), 0.0)
    assert lanes.take(9.0, [Lane.INTERACTIVE]) is None
    assert lanes.take(9.0, []) is None
    assert lanes.take(9.0, [Lane.BATCH]) is not None
    assert lanes.take(9.0) is None


def test_the_knee_is_measured_and_can_be_fixed(tmp_path: Path) -> None:
    encoder = Encoder.load(card_of(slow(tmp_path / "tiny.onnx", 30)), threads=1, device="cpu")
    measured = measure(encoder)
    assert measured.size >= 8  # a run costs the same whatever its size
    assert 0 < measured.run_s < 1
    assert measure(encoder, 3).size == 3


def test_the_end_is_told_to_everybody(tmp_path: Path) -> None:
    with batching(slow(tmp_path / "tiny.onnx", 300), Limits(size=1)) as batcher:

        async def end() -> list[object]:
            tasks = [asyncio.create_task(outcome(batcher, FINE)) for _ in range(8)]
            await asyncio.sleep(0.1)
            await asyncio.to_thread(batcher.close)
            return list(await asyncio.gather(*tasks))

        found = asyncio.run(asyncio.wait_for(end(), LONG_S))
        assert any(isinstance(one, ModelUnavailable) for one in found)
        assert not batcher.ready
        assert not threads("interactive decoder") + threads("batch decoder")
        assert not threads("inference")


def _ready(queue: PhotoQueue, *lanes: Lane) -> None:
    """Bring a photo of each lane to where only the model is missing."""
    for lane in lanes:
        queue.put(FINE, lane)
        passing = queue.next_to_decode(lane)
        assert passing is not None
        passing.input = np.zeros((3, 1, 1), np.float32)
        queue.decoded(passing)


def _next_lanes(queue: PhotoQueue) -> list[Lane]:
    batch = queue.next_to_encode()
    queue.encoded(batch, 0.01)
    return [passing.lane for passing in batch]


def test_a_persons_run_takes_no_photos_of_a_batch_job_and_theirs_are_short_meanwhile() -> None:
    queue = PhotoQueue(Pace(8, run_s=0.08), 1, dict.fromkeys(Lane, 60.0), Watcher())
    _ready(queue, *[Lane.BATCH] * 10)
    assert _next_lanes(queue) == [Lane.BATCH] * 8
    _ready(queue, *[Lane.BATCH] * 6, Lane.INTERACTIVE)
    assert _next_lanes(queue) == [Lane.INTERACTIVE]
    assert _next_lanes(queue) == [Lane.BATCH] * 3
