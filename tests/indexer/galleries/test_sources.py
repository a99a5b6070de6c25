"""Photos come from archives, stores, plug-ins and files of vectors; a policy says which stay."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from geofix.engine import models
from geofix.engine.encoder import Encoder, LocationEncoder
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.ingest import Ingest
from geofix.engine.gallery.offers import Offer, Outcome
from geofix.engine.gallery.photo_uris import read_uri, store_at
from geofix.engine.gallery.policy import Policy
from geofix.engine.gallery.records import point_id
from geofix.engine.gallery.sight import OwnSight
from geofix.engine.types import Point
from geofix.errors import InvalidSource, UnreadablePhoto
from geofix.settings import Settings
from indexer.galleries.any_source import open_any
from indexer.galleries.sources import Defaults, Source
from indexer.galleries.vectors import VectorFile, is_vectors


def jpeg(seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((120, 90), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as out:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))


def taken(text: str, defaults: Defaults | None = None) -> dict[str, Offer | Outcome]:
    return {one.key: one for one in open_any(text, defaults or Defaults()).offers}


def offer(found: dict[str, Offer | Outcome], key: str) -> Offer:
    one = found[key]
    assert isinstance(one, Offer), one
    return one


def test_webdataset_shards_with_a_json_beside_each_photo(tmp_path: Path) -> None:
    where = tmp_path / "wds"
    where.mkdir()
    for shard in range(2):
        files: dict[str, bytes] = {}
        for i in range(3):
            facts = {"lat": 10 * shard + i, "lon": -i, "license": "CC0-1.0", "author": "ann"}
            pair = {f"{i:03d}.jpg": jpeg(i), f"{i:03d}.json": json.dumps(facts).encode()}
            files.update(dict(sorted(pair.items(), reverse=bool(shard))))  # in either order
        files["alone.jpg"] = jpeg(9)
        tar(where / f"{shard:05d}.tar", {f"{shard}/{name}": data for name, data in files.items()})
    found = taken(str(where))
    assert len(found) == 8
    for shard in range(2):
        one = offer(found, f"wds/{shard}/002.jpg")
        lat, lon = one.position or (0.0, 0.0)
        assert (lat, lon) == (10.0 * shard + 2.0, -2.0)
        assert (one.contributor, one.licence) == ("ann", "CC0-1.0")
        assert one.read() == jpeg(2) == read_uri(one.uri)
        assert isinstance(found[f"wds/{shard}/alone.jpg"], Outcome)


def test_mp_16_and_osv_5m_are_joined_with_the_table_beside_them(tmp_path: Path) -> None:
    mp16 = tmp_path / "mp16"
    mp16.mkdir()
    tar(mp16 / "mp-16-images.tar", {"images/3e/c0/1.jpg": jpeg(1), "3e_c0_2.jpg": jpeg(2)})
    (mp16 / "MP16_Pro.csv").write_text(
        "IMG_ID,AUTHOR,LAT,LON\n1.jpg,me,1.5,2.5\n3e/c0/2.jpg,you,3.5,4.5\n9.jpg,x,,\n"
    )
    found = taken(str(mp16))
    assert offer(found, "mp16/images/3e/c0/1.jpg").position == (1.5, 2.5)
    second = offer(found, "mp16/3e_c0_2.jpg")
    assert (second.position, second.contributor) == ((3.5, 4.5), "you")

    osv = tmp_path / "osv"
    (osv / "images" / "train").mkdir(parents=True)
    with zipfile.ZipFile(osv / "images" / "train" / "00.zip", "w") as out:
        out.writestr("00/123456.jpg", jpeg(3))
        out.writestr("00/777.jpg", jpeg(4))
    (osv / "train.csv").write_text(
        "id,latitude,longitude,country,captured_at\n123456,-33.9,18.4,ZA,1546300800000\n"
    )
    found = taken(str(osv), Defaults(licence="CC-BY-SA-4.0", prefix="osv"))
    one = offer(found, "osv/00/123456.jpg")
    assert (one.position, one.country, one.licence) == ((-33.9, 18.4), "ZA", "CC-BY-SA-4.0")
    assert one.read() == jpeg(3) == read_uri(one.uri)
    assert isinstance(found["osv/00/777.jpg"], Outcome)


def test_archives_that_are_none_are_refused_and_addresses_lead_nowhere_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "broken.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(InvalidSource):
        taken(str(tmp_path / "broken.tar"))
    with pytest.raises(InvalidSource):
        taken(str(tmp_path / "nothing.zip"))
    file = (tmp_path / "broken.tar").as_uri()
    for uri in (
        f"{file}#x",
        f"{file}#-1,5",
        f"{file}#1",
        "http://localhost/a.jpg",
        "",
        "ftp://a/b",
    ):
        with pytest.raises(UnreadablePhoto):
            read_uri(uri)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    import httpx

    httpx.put(f"http://{host}:{port}/photos").raise_for_status()
    store_at.cache_clear()
    yield "s3://photos"
    store_at.cache_clear()
    server.stop()


def test_photos_under_a_prefix_of_a_store(s3: str) -> None:
    import obstore

    store = store_at(s3)
    for name in ("trip/a.jpg", "trip/deep/b.jpg", "trip/notes.txt", "other/c.jpg"):
        obstore.put(store, name, jpeg(5))
    found = taken(f"{s3}/trip")
    assert set(found) == {"trip/a.jpg", "trip/deep/b.jpg"}
    assert offer(found, "trip/a.jpg").read() == jpeg(5)
    obstore.put(store, "trip/index.csv", b"file,lat,lon\na.jpg,1,2\ngone.jpg,3,4\n")
    found = taken(f"{s3}/trip")
    one = offer(found, "trip/a.jpg")
    assert (one.position, one.uri) == ((1.0, 2.0), "s3://photos/trip/a.jpg")
    assert one.read() == jpeg(5)
    with pytest.raises(UnreadablePhoto):
        offer(found, "trip/gone.jpg").read()
    with pytest.raises(InvalidSource):
        taken("s3://no-such-bucket/x")


def test_a_package_may_bring_its_own_kind_of_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lake.py").write_text(
        "from geofix.engine.gallery.offers import Offer\n"
        "from indexer.galleries.sources import Source\n"
        "def open_(text, defaults):\n"
        "    offer = Offer(text, lambda: b'', (1.0, 2.0), licence=defaults.licence)\n"
        "    return Source(1, iter([offer]))\n"
    )
    info = tmp_path / "lake-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lake\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[geofix.sources]\nlake = lake:open_\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    source = open_any("lake:como", Defaults(licence="CC0-1.0"))
    assert isinstance(source, Source)
    assert [one.key for one in source.offers] == ["lake:como"]
    sys.modules.pop("lake", None)


def test_vectors_are_taken_as_they_are_and_rows_that_are_none_are_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(1203, 16)).astype(np.float32) * 3
    vectors[5] = 0.0
    vectors[6, 3] = np.nan
    lat = np.linspace(-80, 80, 1203)
    lat[7] = 95.0
    table = pa.table(
        {
            "id": [f"p{i}" for i in range(1203)],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 16),
            "latitude": lat,
            "longitude": np.linspace(-170, 170, 1203),
            "license": ["CC0-1.0"] * 1203,
        }
    )
    pq.write_table(table, tmp_path / "v.parquet")
    assert is_vectors(tmp_path / "v.parquet")
    file = VectorFile(tmp_path / "v.parquet", Defaults(contributor="ann"))
    assert file.total == 1203
    points, refused = [], []
    for kept, wrong in file.batches("g", 16):
        points += kept
        refused += wrong
    assert {outcome.key for outcome in refused} == {"p5", "p6", "p7"}
    assert len(points) == 1200
    assert all(abs(float(p.image @ p.image) - 1.0) < 1e-5 for p in points)
    np.testing.assert_allclose(points[-1].image * np.linalg.norm(vectors[-1]), vectors[-1], 1e-4)
    assert {(p.contributor, p.licence) for p in points} == {("ann", "CC0-1.0")}
    assert sum(len(kept) for kept, _ in file.batches("g", 17)) == 0
    pq.write_table(table.drop_columns(["latitude"]), tmp_path / "w.parquet")
    with pytest.raises(InvalidSource):
        VectorFile(tmp_path / "w.parquet", Defaults())


@pytest.mark.parametrize("group", [1_000, 40_000])
def test_a_file_of_vectors_of_any_size_takes_little_memory(tmp_path: Path, group: int) -> None:
    """By default pyarrow keeps all that it has read of a file, or a whole row group."""
    rows, dimension = 40_000, 256
    vectors = np.random.default_rng(1).normal(size=(rows, dimension)).astype(np.float32)
    table = pa.table(
        {
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension),
            "lat": np.zeros(rows),
            "lon": np.zeros(rows),
        }
    )
    pq.write_table(table, tmp_path / "v.parquet", row_group_size=group)
    del table
    before, most = pa.total_allocated_bytes(), 0
    for _ in VectorFile(tmp_path / "v.parquet", Defaults()).batches("g", dimension):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < vectors.nbytes / 3


def test_a_policy_asks_fills_in_and_counts(tmp_path: Path) -> None:
    policy = Policy(require_licence=True, default_contributor="somebody", most=2)

    async def take() -> list[Outcome]:
        settings = Settings(data_dir=tmp_path)
        galleries = Galleries(DataDirectory(tmp_path), settings)
        encoder = Encoder.load(models.find("lite", tmp_path))
        gallery = await galleries.create("g", encoder.name, encoder.dimension)
        ingest = Ingest(gallery, "g", OwnSight(encoder), LocationEncoder.load(), policy=policy)

        def one(key: str, seed: int, licence: str = "CC0-1.0", who: str = "") -> Offer:
            return Offer(key, lambda: jpeg(seed), (1.0, seed), licence=licence, contributor=who)

        outcomes = await ingest.take([one("a", 1), one("bare", 2, licence=""), one("b", 3)])
        outcomes += await ingest.take([one("c", 4), one("a", 1), one("d", 5, who="eve")])
        assert await gallery.facet("contributor") == {"somebody": 2, "eve": 1}
        await galleries.close()
        return outcomes

    found = {(one.key, str(one.status)): one.reason for one in asyncio.run(take())}
    assert found.keys() == {
        ("a", "added"),
        ("bare", "refused"),
        ("b", "added"),
        ("c", "refused"),
        ("a", "unchanged"),
        ("d", "added"),
    }
    assert "licence" in found["bare", "refused"]
    assert "2 photos of one contributor" in found["c", "refused"]


def test_the_policy_holds_for_vectors_too(tmp_path: Path) -> None:
    policy = Policy(require_licence=True, default_contributor="somebody", most=2)
    vectors = np.eye(8, 16, dtype=np.float32)

    def one(row: int, licence: str = "CC0-1.0") -> Point:
        key = f"p{row}"
        return Point(point_id("g", key), key, 1.0, float(row), vectors[row], licence=licence)

    async def take() -> list[Outcome]:
        galleries = Galleries(DataDirectory(tmp_path), Settings(data_dir=tmp_path))
        gallery = await galleries.create("g", "e", 16)
        points, refused = await policy.let_in(gallery, [one(0), one(1, ""), one(2), one(3)])
        await gallery.upsert(points)
        # One that is there already may come again.
        again, more = await policy.let_in(gallery, [one(0), one(4)])
        assert [point.key for point in [*points, *again]] == ["p0", "p2", "p0"]
        assert await gallery.facet("contributor") == {"somebody": 2}
        await galleries.close()
        return [*refused, *more]

    reasons = {outcome.key: outcome.reason for outcome in asyncio.run(take())}
    assert reasons.keys() == {"p1", "p3", "p4"}
    assert "licence" in reasons["p1"]
    assert "2 photos of one contributor" in reasons["p4"]
