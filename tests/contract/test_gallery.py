"""What every gallery promises, whoever keeps it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import models

from geofix.engine.gallery.captured import span
from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.ledger import Ledger
from geofix.engine.gallery.port import Gallery
from geofix.engine.gallery.qdrant import QdrantGallery
from geofix.engine.gallery.qdrant_server import QdrantServer
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.region import contains
from geofix.engine.types import Filter, Float32Array, Float64Array, Point
from geofix.errors import GeofixError
from tests.contract.qdrant_local import LocalServer, serving

DIMENSION = 48

Open = Callable[[Path], Awaitable[Gallery]]


async def edge(directory: Path) -> EdgeGallery:
    return await EdgeGallery.open(
        directory / "v1", name="world", encoder="e", dimension=DIMENSION, exact_floats=0
    )


async def recorded(directory: Path) -> Gallery:
    return await RecordedGallery.open(await edge(directory), Ledger(directory, DIMENSION))


async def qdrant(directory: Path) -> Gallery:
    """On the server of the fixture ``qdrant_server``; a directory has its own collections."""
    prefix = f"test-{hashlib.sha256(str(directory).encode()).hexdigest()[:16]}"
    return await QdrantGallery.open(
        QdrantServer(os.environ[QDRANT_URL], prefix=prefix, deadline_s=60.0),
        name="world",
        encoder="e",
        dimension=DIMENSION,
        exact_floats=0,
    )


QDRANT_URL = "GEOFIX_QDRANT_URL"
NAMED_SERVER = os.environ.get(QDRANT_URL, "")
ON_SERVER = pytest.param(qdrant, marks=pytest.mark.server)
KINDS = pytest.mark.parametrize("open_gallery", [edge, recorded, ON_SERVER])


@pytest.fixture(scope="module", autouse=True)
def qdrant_server() -> Iterator[None]:
    """The server that the environment names, or local mode behind gRPC."""
    if NAMED_SERVER:
        yield
        return
    with serving(LocalServer()) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv(QDRANT_URL, url)
        yield


def unit(rows: Float64Array) -> Float32Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), dtype=np.float32)


def world(count: int, seed: int = 7) -> list[Point]:
    """Points over the whole Earth with clustered vectors, more of them near ±180° and a pole."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(20, DIMENSION))
    images = unit(centres[rng.integers(20, size=count)] + rng.normal(size=(count, DIMENSION)))
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    lon = rng.uniform(-180, 180, count)
    fifth, quarter = count // 5, count // 4
    lon[:fifth] = np.mod(rng.normal(180, 8, fifth) + 180, 360) - 180
    lat[fifth:quarter] = rng.uniform(82, 90, quarter - fifth)
    if count > 1:
        lat[0], lon[0] = 90.0, 0.0
        lat[1], lon[1] = 0.0, -180.0
    gps = unit(rng.normal(size=(count, 512)))
    return [
        Point(
            id=point_id("world", f"photo-{i}"),
            key=f"photo-{i}",
            lat=float(lat[i]),
            lon=float(lon[i]),
            image=images[i],
            gps=gps[i] if i % 5 else None,
            country=("DE", "JP", "BR", "")[i % 4],
            source=("Mapillary", "KartaView")[i % 2],
            contributor=f"c{i % 7}",
            licence=("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0")[i % 3],
            captured_at=("", "2018", "2019-07", "2020-02-29", "2021-06-01T12:00:00Z")[i % 5],
            sha256=f"{i:064x}",
            phash=f"{i:016x}",
            uri=f"https://example.org/{i}.jpg",
            added_at="2024-01-01T00:00:00Z",
        )
        for i in range(count)
    ]


POINTS = world(1500)
QUERIES = [point.image for point in world(6, seed=99)]

FILTERS = {
    "all": Filter(),
    "country": Filter(countries=("JP",)),
    "countries": Filter(countries=("DE", "BR")),
    "no such country": Filter(countries=("AQ",)),
    "box": Filter(bbox=(-10.0, 35.0, 40.0, 70.0)),
    "box across 180": Filter(bbox=(170.0, -60.0, -170.0, 60.0)),
    "box of the whole Earth": Filter(bbox=(-180.0, -90.0, 180.0, 90.0)),
    "thin box": Filter(bbox=(-180.0, 10.0, 180.0, 10.5)),
    "box at the pole": Filter(bbox=(10.0, 80.0, 30.0, 90.0)),
    "polygon": Filter(polygon=((60.0, -10.0), (60.0, 50.0), (-30.0, 20.0))),
    "polygon across 180": Filter(polygon=((50.0, 165.0), (55.0, -165.0), (-50.0, -170.0))),
    "circle": Filter(circle=(48.0, 9.0, 1500.0)),
    "circle across 180": Filter(circle=(0.0, 179.9, 1200.0)),
    "polar circle": Filter(circle=(90.0, 0.0, 700.0)),
    "circle of 30 km": Filter(circle=(POINTS[40].lat, POINTS[40].lon, 30.0)),
    "circle of 10 m": Filter(circle=(POINTS[41].lat, POINTS[41].lon, 0.01)),
    "circle of the whole Earth": Filter(circle=(0.0, 0.0, 20_100.0)),
    "source": Filter(sources=("KartaView",)),
    "licences": Filter(licences=("CC0-1.0", "CC-BY-4.0")),
    "captured from": Filter(captured_from="2019-07-15"),
    "captured to": Filter(captured_to="2019"),
    "captured between": Filter(captured_from="2020-02-29", captured_to="2020-02-29"),
    "without ids": Filter(exclude_ids=tuple(point.id for point in POINTS[::3])),
    "without contributors": Filter(exclude_contributors=("c1", "c2", "c3")),
    "everything at once": Filter(
        countries=("DE", "JP"),
        bbox=(150.0, -70.0, -150.0, 70.0),
        circle=(0.0, 180.0, 5000.0),
        licences=("CC0-1.0", "CC-BY-SA-4.0"),
        captured_from="2018",
        exclude_contributors=("c4",),
    ),
}


def passes(point: Point, where: Filter) -> bool:
    """Whether a point passes, told from the point alone."""
    taken = span(point.captured_at)[0] if point.captured_at else None
    dated = bool(where.captured_from or where.captured_to)
    place = contains(where, np.array([(point.lat, point.lon)]), [point.country])
    return (
        bool(place[0])
        and (not where.sources or point.source in where.sources)
        and (not where.licences or point.licence in where.licences)
        and point.id not in where.exclude_ids
        and point.contributor not in where.exclude_contributors
        and (not dated or taken is not None)
        and (not where.captured_from or (taken or 0) >= span(where.captured_from)[0])
        and (not where.captured_to or (taken or 0) <= span(where.captured_to)[1])
    )


def best(passing: Sequence[Point], vector: Float32Array, k: int) -> list[float]:
    """The k greatest similarities by brute force."""
    return sorted((float(point.image @ vector) for point in passing), reverse=True)[:k]


class Filled:
    """A gallery that holds POINTS, and the event loop it lives in."""

    def __init__(self, runner: asyncio.Runner, gallery: Gallery) -> None:
        self.runner = runner
        self.gallery = gallery
        # Local mode looks at every point in Python: one query has to do there.
        local = isinstance(gallery, QdrantGallery) and not NAMED_SERVER
        self.queries = QUERIES[:1] if local else QUERIES


@pytest.fixture(scope="module", params=[edge, recorded, ON_SERVER])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    """Half of the points optimised into one segment, half of them written since."""
    opener: Open = request.param
    with asyncio.Runner() as runner:

        async def fill() -> Gallery:
            gallery = await opener(tmp_path_factory.mktemp("gallery"))
            await gallery.upsert(POINTS[:750])
            await gallery.optimize()
            await gallery.upsert(POINTS[750:])
            return gallery

        gallery = runner.run(fill())
        yield Filled(runner, gallery)
        runner.run(gallery.close())


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_returns_the_true_top_k(filled: Filled, name: str) -> None:
    where = FILTERS[name]
    passing = {point.id: point for point in POINTS if passes(point, where)}

    async def check() -> None:
        assert await filled.gallery.count(where) == len(passing)
        for vector in filled.queries:
            for k in (1, 50, len(POINTS) + 10):
                found = await filled.gallery.search(vector, k, where)
                expected = best(list(passing.values()), vector, k)
                assert [n.similarity for n in found] == pytest.approx(expected, abs=1e-5)
                assert len({n.id for n in found} & passing.keys()) == len(found)

    filled.runner.run(check())


@pytest.mark.parametrize("name", ["all", "circle", "everything at once"])
def test_places_are_searched_as_photos_are(filled: Filled, name: str) -> None:
    where = FILTERS[name]
    placed = [point for point in POINTS if passes(point, where) and point.gps is not None]
    vector = unit(np.random.default_rng(3).normal(size=512))

    async def check() -> None:
        found = await filled.gallery.search(vector, 20, where, "gps")
        likeness = [float(point.gps @ vector) for point in placed if point.gps is not None]
        expected = sorted(likeness, reverse=True)[:20]
        assert [n.similarity for n in found] == pytest.approx(expected, abs=1e-5)
        assert {n.id for n in found} <= {point.id for point in placed}

    filled.runner.run(check())


def test_the_filters_leave_few_and_many(filled: Filled) -> None:
    left = {name: sum(passes(point, where) for point in POINTS) for name, where in FILTERS.items()}
    assert left["no such country"] == 0
    assert left["circle of 10 m"] == 1
    assert all(0 < n <= len(POINTS) for name, n in left.items() if name != "no such country")


def test_a_point_comes_back_as_it_was_put_in(filled: Filled) -> None:
    asked = [POINTS[3], POINTS[5], POINTS[1400]]

    async def check() -> None:
        gallery = filled.gallery
        got = await gallery.get(
            [asked[0].id, point_id("world", "nobody"), asked[1].id, asked[2].id]
        )
        assert [same(a, b) for a, b in zip(got, asked, strict=True)] == [True] * 3
        found = await gallery.search(asked[0].image, 1, Filter())
        assert found[0].id == asked[0].id
        assert found[0].similarity == pytest.approx(1.0, abs=1e-5)
        assert (found[0].lat, found[0].lon) == (asked[0].lat, asked[0].lon)
        assert (found[0].gallery, found[0].source) == ("world", asked[0].source)
        assert found[0].gps is not None
        assert asked[0].gps is not None
        np.testing.assert_array_equal(found[0].gps, asked[0].gps)

    filled.runner.run(check())


def test_scroll_gives_every_point_once_in_the_order_of_ids(filled: Filled) -> None:
    async def check() -> list[list[Point]]:
        return [page async for page in filled.gallery.scroll(batch=400)]

    pages = filled.runner.run(check())
    assert [len(page) for page in pages] == [400, 400, 400, 300]
    ids = [point.id for page in pages for point in page]
    assert ids == sorted(point.id for point in POINTS)


def test_points_are_found_by_field_and_counted_by_value(filled: Filled) -> None:
    async def check() -> None:
        gallery = filled.gallery
        wanted = [POINTS[8].sha256, POINTS[9].sha256, "0" * 63 + "x"]
        assert await gallery.ids_by("sha256", wanted) == {
            POINTS[8].id: POINTS[8].sha256,
            POINTS[9].id: POINTS[9].sha256,
        }
        by_contributor = await gallery.ids_by("contributor", ["c3"])
        assert set(by_contributor) == {point.id for point in POINTS if point.contributor == "c3"}
        assert await gallery.facet("country") == {"DE": 375, "JP": 375, "BR": 375}

    filled.runner.run(check())


@pytest.mark.parametrize(
    "vector",
    [np.zeros(DIMENSION + 1, np.float32), np.full(DIMENSION, np.nan, np.float32)],
    ids=["too long", "not finite"],
)
def test_a_vector_that_makes_no_sense_is_refused(filled: Filled, vector: Float32Array) -> None:
    bad = replace(POINTS[0], image=vector)
    with pytest.raises(GeofixError):
        filled.runner.run(filled.gallery.search(vector, 5, Filter()))
    with pytest.raises(GeofixError):
        filled.runner.run(filled.gallery.upsert([POINTS[1], bad]))
    with pytest.raises(GeofixError):
        filled.runner.run(filled.gallery.search(QUERIES[0], 5, Filter(captured_from="soon")))
    assert filled.runner.run(filled.gallery.count()) == len(POINTS)


@KINDS
def test_an_empty_gallery_answers(tmp_path: Path, open_gallery: Open) -> None:
    async def check() -> None:
        gallery = await open_gallery(tmp_path)
        assert await gallery.search(QUERIES[0], 10, Filter()) == []
        assert await gallery.search(QUERIES[0], 10, FILTERS["everything at once"]) == []
        assert await gallery.count() == 0
        assert [page async for page in gallery.scroll()] == []
        assert await gallery.get([POINTS[0].id]) == []
        assert await gallery.delete([POINTS[0].id]) == 0
        await gallery.upsert([])
        await gallery.optimize()
        info = await gallery.info()
        assert (info.name, info.version, info.encoder) == ("world", 1, "e")
        assert (info.dimension, info.count) == (DIMENSION, 0)
        await gallery.close()

    asyncio.run(check())


@KINDS
def test_upsert_replaces_and_delete_removes(tmp_path: Path, open_gallery: Open) -> None:
    async def check() -> None:
        gallery = await open_gallery(tmp_path)
        await gallery.upsert(POINTS[:10])
        moved = replace(POINTS[3], lat=1.5, lon=2.5, country="GH", image=POINTS[20].image, gps=None)
        await gallery.upsert([moved])
        assert await gallery.count() == 10
        assert same((await gallery.get([moved.id]))[0], moved)
        ghana = await gallery.search(POINTS[20].image, 5, Filter(countries=("GH",)))
        assert [n.id for n in ghana] == [moved.id]
        assert ghana[0].gps is None
        gone = [POINTS[0].id, POINTS[0].id, POINTS[1].id, point_id("world", "nobody")]
        assert await gallery.delete(gone) == 2
        assert await gallery.count() == 8
        left = await gallery.search(POINTS[0].image, 20, Filter())
        assert {n.id for n in left} == {point.id for point in POINTS[2:10]}
        await gallery.close()
        again = await open_gallery(tmp_path)
        assert await again.count() == 8
        assert same((await again.get([moved.id]))[0], moved)
        await again.close()

    asyncio.run(check())


@KINDS
def test_searches_go_on_while_points_come_and_the_index_is_built(
    tmp_path: Path, open_gallery: Open
) -> None:
    """No search fails or misses a point that was there before it began."""
    first, later, removed = POINTS[:800], POINTS[800:1300], POINTS[1300:1400]

    async def check() -> None:
        gallery = await open_gallery(tmp_path)
        await gallery.upsert([*first, *removed])
        ended = asyncio.Event()
        searches = 0

        async def search() -> None:
            nonlocal searches
            while not ended.is_set():
                target = first[searches % len(first)]
                found = await gallery.search(target.image, 3, Filter())
                assert found[0].id == target.id
                searches += 1

        async def write() -> None:
            for start in range(0, len(later), 25):
                await gallery.upsert(later[start : start + 25])
            await gallery.delete([point.id for point in removed])

        searching = asyncio.create_task(search())
        await asyncio.gather(gallery.optimize(), write())
        await gallery.optimize()
        ended.set()
        await searching
        assert searches > 10
        kept = [*first, *later]
        assert await gallery.count() == len(kept)
        assert {p.id async for page in gallery.scroll() for p in page} == {p.id for p in kept}
        await gallery.close()

    asyncio.run(check())


_WRITER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_gallery as contract

async def main():
    gallery = await getattr(contract, sys.argv[2])(Path(sys.argv[3]))
    optimizing = None
    for start in range(0, len(contract.POINTS), 20):
        await gallery.upsert(contract.POINTS[start : start + 20])
        print(start + 20, flush=True)
        if start == 200:
            optimizing = asyncio.create_task(gallery.optimize())

asyncio.run(main())
"""


@KINDS
@pytest.mark.parametrize("acknowledged", [100, 460, 900])
def test_what_was_acknowledged_survives_kill_9(
    tmp_path: Path, open_gallery: Open, acknowledged: int
) -> None:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", _WRITER, here, open_gallery.__name__, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own code
        assert child.stdout is not None
        written = 0
        while written < acknowledged:
            written = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        # What it had said before the signal came was acknowledged too.
        written = max([written, *map(int, child.stdout.read().split())])

    async def check() -> None:
        gallery = await open_gallery(tmp_path)
        wanted = POINTS[:written]
        got = await gallery.get([point.id for point in wanted])
        assert all(same(a, b) for a, b in zip(got, wanted, strict=True))
        assert await gallery.count() in (written, written + 20)
        await gallery.close()

    asyncio.run(check())


def same(a: Point, b: Point) -> bool:
    """Equal in every part: vectors to the bit, positions to what a store's own numbers keep."""
    plain = np.zeros(0, np.float32)
    text_a, text_b = (str(replace(p, image=plain, gps=None, lat=0.0, lon=0.0)) for p in (a, b))
    return (
        text_a == text_b
        and (a.lat, a.lon) == pytest.approx((b.lat, b.lon), rel=0, abs=1e-12)
        and a.image.tobytes() == b.image.tobytes()
        and (a.gps.tobytes() if a.gps is not None else b"")
        == (b.gps.tobytes() if b.gps is not None else b"")
    )


@pytest.mark.server
@pytest.mark.skipif(not NAMED_SERVER, reason="local mode has no graph, no indexes, no strict mode")
def test_a_server_has_what_it_was_asked_for(tmp_path: Path) -> None:
    """What local mode cannot show; the requests themselves are looked at in test_qdrant.py."""

    async def check() -> None:
        gallery = await qdrant(tmp_path)
        assert isinstance(gallery, QdrantGallery)
        await gallery.upsert(POINTS)
        await gallery.optimize()
        client = QdrantServer(NAMED_SERVER, deadline_s=60.0).client
        try:
            held = await client.get_collection(gallery.collection)
            assert held.status is models.CollectionStatus.GREEN
            indexes = {name: index.data_type for name, index in held.payload_schema.items()}
            keywords = ("cell", "country", "source", "licence", "contributor", "sha256")
            assert indexes == {
                **dict.fromkeys(keywords, models.PayloadSchemaType.KEYWORD),
                "captured": models.PayloadSchemaType.FLOAT,
                "location": models.PayloadSchemaType.GEO,
            }
            assert isinstance(held.config.quantization_config, models.ScalarQuantization)
            strict = held.config.strict_mode_config
            assert strict is not None
            assert strict.enabled
            assert strict.search_allow_exact
            with pytest.raises(Exception, match=r"(?i)index"):  # it refuses what would be slow
                await client.scroll(
                    gallery.collection,
                    models.Filter(
                        must=[models.FieldCondition(key="uri", match=models.MatchValue(value="x"))]
                    ),
                )
            snapshot = await client.create_snapshot(gallery.collection)
            assert snapshot is not None
            assert snapshot.size > 0
        finally:
            await client.delete_collection(gallery.collection)
            await client.close()

    asyncio.run(check())
