"""What the gallery asks of a Qdrant server, and what it makes of one that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from qdrant_client import grpc as wire

from geofix.engine.gallery.qdrant import QdrantGallery, activate
from geofix.engine.gallery.qdrant_server import QdrantServer
from geofix.engine.gallery.records import point_id
from geofix.engine.locate import Locator
from geofix.engine.types import Degradation, Filter, LocateOptions, Point
from geofix.errors import InvalidOption, NotFound, Unavailable
from geofix.settings import QdrantLayout, Settings
from tests.contract.qdrant_local import LocalServer, serving

DIMENSION = 8
POINT = Point(
    id=point_id("world", "a"),
    key="a",
    lat=48.2,
    lon=16.4,
    image=np.eye(DIMENSION, dtype=np.float32)[0],
    country="AT",
)


@pytest.fixture
def local() -> LocalServer:
    return LocalServer()


@pytest.fixture
def url(local: LocalServer) -> Iterator[str]:
    with serving(local) as address:
        yield address


async def opened(
    server: QdrantServer, version: int = 1, layout: QdrantLayout | None = None
) -> QdrantGallery:
    return await QdrantGallery.open(
        server,
        name="world",
        encoder="e",
        dimension=DIMENSION,
        version=version,
        layout=layout,
        exact_floats=0,
    )


def test_a_collection_is_made_with_quantization_indexes_shards_and_strict_mode(
    local: LocalServer, url: str
) -> None:
    async def make() -> None:
        server = QdrantServer(url)
        await opened(server, layout=QdrantLayout(shards=3, replicas=2))
        await opened(server)  # there already: not made again
        await server.close()

    asyncio.run(make())
    (asked,) = [MessageToDict(one) for one in local.asked(wire.CreateCollection)]
    assert asked["collectionName"] == "geofix-world-v1"
    assert (asked["shardNumber"], asked["replicationFactor"]) == (3, 2)
    assert asked["writeConsistencyFactor"] == 2
    assert asked["onDiskPayload"] is True
    assert asked["quantizationConfig"]["scalar"]["type"] == "Int8"
    assert asked["quantizationConfig"]["scalar"]["alwaysRam"] is True
    vectors = asked["vectorsConfig"]["paramsMap"]["map"]
    assert vectors["image"]["size"] == str(DIMENSION)
    assert vectors["image"]["onDisk"] is True
    assert vectors["gps"]["hnswConfig"]["m"] == "0"
    strict = asked["strictModeConfig"]
    assert strict["enabled"] is True
    assert strict["searchAllowExact"] is True
    assert strict["unindexedFilteringRetrieve"] is False
    assert asked["hnswConfig"]["fullScanThreshold"] == "400000"
    indexes = {
        one.field_name: one.field_type for one in local.asked(wire.CreateFieldIndexCollection)
    }
    keyword, real, geo = wire.FieldTypeKeyword, wire.FieldTypeFloat, wire.FieldTypeGeo
    assert indexes == {
        **dict.fromkeys(("cell", "country", "source", "licence", "contributor", "sha256"), keyword),
        "captured": real,
        "location": geo,
    }


def test_searches_rescore_in_the_graph_and_compare_exactly_where_a_filter_leaves_little(
    local: LocalServer, url: str
) -> None:
    async def search() -> None:
        server = QdrantServer(url)
        gallery = await opened(server)
        await gallery.upsert([POINT])
        await gallery.search(POINT.image, 1, Filter())
        await gallery.search(POINT.image, 1, Filter(countries=("AT",)))
        await server.close()

    asyncio.run(search())
    free, filtered = local.asked(wire.QueryPoints)
    assert free.params.quantization.rescore
    assert free.params.hnsw_ef >= 512
    assert not free.params.exact
    assert filtered.params.exact


def test_writes_wait_until_the_server_has_them(local: LocalServer, url: str) -> None:
    async def write() -> None:
        server = QdrantServer(url)
        gallery = await opened(server)
        await gallery.upsert([POINT])
        await gallery.delete([POINT.id])
        await server.close()

    asyncio.run(write())
    assert [one.wait for one in local.asked(wire.UpsertPoints)] == [True]
    assert [one.wait for one in local.asked(wire.DeletePoints)] == [True]


def test_readers_are_moved_to_another_version_in_one_request(local: LocalServer, url: str) -> None:
    async def swap() -> None:
        server = QdrantServer(url)
        for version in (1, 2):
            await opened(server, version)
            await activate(server, "world", version)
        with pytest.raises(NotFound):
            await activate(server, "world", 3)
        await server.close()

    asyncio.run(swap())
    first, second = local.asked(wire.ChangeAliases)
    assert [one.WhichOneof("action") for one in first.actions] == ["create_alias"]
    assert [one.WhichOneof("action") for one in second.actions] == ["delete_alias", "create_alias"]
    assert second.actions[1].create_alias.collection_name == "geofix-world-v2"


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED])
def test_a_failure_that_passes_is_tried_again(
    local: LocalServer, url: str, code: grpc.StatusCode
) -> None:
    async def search() -> int:
        server = QdrantServer(url)
        gallery = await opened(server)
        await gallery.upsert([POINT])
        local.failures[:] = [code, code]
        found = await gallery.search(POINT.image, 1, Filter())
        await server.close()
        return len(found)

    assert asyncio.run(search()) == 1
    assert local.failures == []


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    ],
)
def test_a_failure_that_lasts_is_told_without_the_servers_words(
    local: LocalServer, url: str, code: grpc.StatusCode
) -> None:
    async def search() -> None:
        server = QdrantServer(url)
        gallery = await opened(server)
        local.failures[:] = [code] * 10
        with pytest.raises(Unavailable) as caught:
            await gallery.search(POINT.image, 1, Filter())
        assert "made to fail" not in str(caught.value)
        assert caught.value.retry_after_s > 0
        await server.close()

    asyncio.run(search())


def test_a_server_that_stalls_is_given_up_at_the_deadline(local: LocalServer, url: str) -> None:
    async def search() -> float:
        server = QdrantServer(url, deadline_s=1.0)
        gallery = await opened(server)
        local.stalled.set()
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await gallery.search(POINT.image, 1, Filter())
        spent = time.monotonic() - started
        local.stalled.clear()
        assert await gallery.count() == 0  # and then it answers again
        await server.close()
        return spent

    assert 0.9 < asyncio.run(search()) < 10.0


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    async def open_nowhere() -> None:
        server = QdrantServer("http://127.0.0.1:9", deadline_s=2.0)
        with pytest.raises(Unavailable):
            await opened(server)
        await server.close()

    asyncio.run(open_nowhere())


@pytest.mark.parametrize("address", ["qdrant:6334", "ftp://qdrant:6334", "http://", ""])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidOption):
        QdrantServer(address)


def test_a_locate_goes_on_without_a_server_that_went_away_and_comes_back(
    jpeg: bytes, tmp_path: Path
) -> None:
    local = LocalServer()
    options = LocateOptions(generators=("attributes",), heatmap=False)

    async def ask() -> None:
        with serving(local) as url:
            settings = Settings(data_dir=tmp_path, qdrant_url=url, qdrant_deadline_s=2.0)
            locator = await Locator.open(settings, role="service")
            gallery = await locator.galleries.create(
                "default", locator.encoder.name, locator.encoder.dimension
            )
            seen = (await locator.embed_image(jpeg)).vector
            await gallery.upsert([replace(POINT, image=seen)])
            before = await locator.locate(jpeg, options)
            assert [n.id for n in before.neighbours] == [POINT.id]
            assert before.degraded == ()
        away = await locator.locate(jpeg, options)
        assert away.neighbours == ()
        assert Degradation("retrieval", "unavailable") in away.degraded
        assert away.galleries == before.galleries
        await locator.close()
        # A service that starts while the server is away answers too, and says so.
        locator = await Locator.open(settings, role="service")
        away = await locator.locate(jpeg, options)
        assert Degradation("retrieval", "unavailable") in away.degraded
        assert away.galleries == before.galleries
        await locator.close()

    asyncio.run(ask())
