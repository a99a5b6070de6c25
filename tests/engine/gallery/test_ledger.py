"""The truth of a gallery survives whatever is cut off, and says what it was told last."""

from __future__ import annotations

import asyncio
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.ledger import LOG, MANIFEST, Delete, Ledger, Upsert
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.types import Filter, Float32Array, Point
from geofix.errors import Unavailable

DIMENSION = 8


def point(number: int, lat: float = 0.0) -> Point:
    return Point(
        id=point_id("g", str(number)),
        key=str(number),
        lat=lat,
        lon=float(number),
        image=vector(number),
        gps=None if number % 2 else np.full(512, 512**-0.5, np.float32),
        sha256=f"{number:064x}",
    )


def vector(number: int) -> Float32Array:
    values = np.random.default_rng(number).normal(size=DIMENSION)
    return np.asarray(values / np.linalg.norm(values), dtype=np.float32)


def contents(ledger: Ledger) -> dict[str, float]:
    held = [(p.key, p.lat) for batch in ledger.points() for p in batch]
    assert len(held) == len(dict(held))
    assert ledger.ids() == {point_id("g", key) for key, _ in held}
    return dict(held)


def test_the_last_word_counts_before_and_after_compaction(tmp_path: Path) -> None:
    rng = random.Random(5)  # noqa: S311 - a seeded choice, not a secret
    ledger = Ledger(tmp_path, DIMENSION)
    expected: dict[str, float] = {}
    for step in range(120):
        numbers = rng.sample(range(30), 3)
        if rng.random() < 0.3:
            ledger.delete([point_id("g", str(n)) for n in numbers])
            for n in numbers:
                expected.pop(str(n), None)
        else:
            ledger.upsert([point(n, lat=float(step % 90)) for n in numbers])
            expected.update({str(n): float(step % 90) for n in numbers})
        if rng.random() < 0.05:
            ledger.compact()
            assert ledger.log_bytes == 0
            assert ledger.manifest_rows == len(expected)
        if rng.random() < 0.1:
            ledger.close()
            ledger = Ledger(tmp_path, DIMENSION)
        assert contents(ledger) == expected
    ledger.close()


def test_the_same_point_twice_in_one_mutation_is_one_point(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, DIMENSION)
    ledger.upsert([point(1, 10.0), point(2), point(1, 20.0)])
    assert contents(ledger) == {"1": 20.0, "2": 0.0}
    ledger.close()


def test_points_come_back_as_they_were(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, DIMENSION)
    written = [point(1, -89.123456789012345), point(2)]
    ledger.upsert(written)
    ledger.delete([point(3).id])
    read = [mutation for mutation, _ in ledger.mutations()]
    assert isinstance(read[0], Upsert)
    assert read[1] == Delete((point(3).id,))
    ledger.compact()
    for before, after in zip(written, [p for page in ledger.points() for p in page], strict=True):
        assert before.image.tobytes() == after.image.tobytes()
        assert (before.gps is None) == (after.gps is None)
        assert (before.id, before.lat, before.sha256) == (after.id, after.lat, after.sha256)
    ledger.close()


@pytest.mark.parametrize("cut", [1, 7, 12, 13, 200])
def test_a_torn_last_frame_is_dropped(tmp_path: Path, cut: int) -> None:
    ledger = Ledger(tmp_path, DIMENSION)
    ledger.upsert([point(1)])
    whole = ledger.log_bytes
    ledger.upsert([point(2)])
    ledger.close()
    torn = (tmp_path / LOG).read_bytes()[: whole + cut]
    (tmp_path / LOG).write_bytes(torn)
    again = Ledger(tmp_path, DIMENSION)
    assert contents(again) == {"1": 0.0}
    assert again.log_bytes == whole
    again.upsert([point(3)])
    again.close()
    last = Ledger(tmp_path, DIMENSION)
    assert contents(last) == {"1": 0.0, "3": 0.0}
    last.close()


def test_damage_in_the_middle_is_not_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, DIMENSION)
    ledger.upsert([point(1)])
    ledger.upsert([point(2)])
    ledger.close()
    damaged = bytearray((tmp_path / LOG).read_bytes())
    damaged[100] ^= 1
    (tmp_path / LOG).write_bytes(damaged)
    with pytest.raises(Unavailable, match="damaged"):
        Ledger(tmp_path, DIMENSION)


def test_a_log_that_is_in_the_manifest_already_changes_nothing(tmp_path: Path) -> None:
    """As after a kill −9 between the manifest's rename and the emptying of the log."""
    ledger = Ledger(tmp_path, DIMENSION)
    ledger.upsert([point(1), point(2, 5.0)])
    ledger.delete([point(1).id])
    log = (tmp_path / LOG).read_bytes()
    ledger.compact()
    ledger.close()
    (tmp_path / LOG).write_bytes(log)
    again = Ledger(tmp_path, DIMENSION)
    assert contents(again) == {"2": 5.0}
    again.compact()
    assert pq.read_table(tmp_path / MANIFEST).column("key").to_pylist() == ["2"]
    again.close()


@pytest.mark.parametrize("compacted", [True, False])
@pytest.mark.parametrize("loss", ["everything", "half", "strays"])
def test_an_index_that_lost_points_is_rebuilt(tmp_path: Path, loss: str, compacted: bool) -> None:
    kept = [point(number) for number in range(40)]

    async def open_gallery() -> RecordedGallery:
        return await RecordedGallery.open(await open_index(), Ledger(tmp_path, DIMENSION))

    async def open_index() -> EdgeGallery:
        return await EdgeGallery.open(tmp_path / "v1", name="g", encoder="e", dimension=DIMENSION)

    async def check() -> None:
        gallery = await open_gallery()
        await gallery.upsert([*kept, point(99)])
        await gallery.delete([point(99).id])
        if compacted:
            await gallery.compact()
        await gallery.close()
        if loss == "everything":
            shutil.rmtree(tmp_path / "v1")
        else:
            index = await open_index()
            if loss == "half":
                await index.delete([p.id for p in kept[::2]])
            else:
                await index.upsert([point(number) for number in (500, 501)])
            await index.close()
        again = await open_gallery()
        assert {p.key async for page in again.scroll() for p in page} == {p.key for p in kept}
        found = await again.search(kept[7].image, 1, Filter())
        assert found[0].id == kept[7].id
        await again.close()
        await again.close()  # closing twice is closing once

    asyncio.run(check())


def test_the_log_is_compacted_when_it_outgrows_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geofix.engine.gallery.recorded._COMPACT_BYTES", 20_000)

    async def check() -> None:
        index = await EdgeGallery.open(tmp_path / "v1", name="g", encoder="e", dimension=DIMENSION)
        ledger = Ledger(tmp_path, DIMENSION)
        gallery = await RecordedGallery.open(index, ledger)
        for number in range(60):
            await gallery.upsert([replace(point(number), gps=None)])
        assert ledger.manifest_rows > 0
        assert len(ledger.ids()) == 60
        await gallery.close()

    asyncio.run(check())
