"""Erasure that leaves no byte, snapshots from which a gallery is as it was, private galleries."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmarks.encoders import add_location_encoder
from geofix.engine.gallery import backups, canaries, erasing, snapshots, versions
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.records import point_id
from geofix.engine.gallery.sealed import SealedReader, SealedWriter
from geofix.engine.types import Filter, Point
from geofix.errors import Conflict, InvalidSource, NotFound
from geofix.settings import Settings
from indexer.galleries.plan import Plan
from indexer.galleries.reindex import Reindex

Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]
WHO = "Zsofia-Qwxyz"
FIRST = "geoclip-location"


def points(count: int = 300) -> list[Point]:
    rng = np.random.default_rng(8)
    images = rng.normal(size=(count, 512)).astype(np.float32)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    return [
        Point(
            point_id("g", f"k{i}"),
            f"key-of-{WHO}-{i}" if i % 3 == 0 else f"k{i}",
            float(i % 90),
            float(i % 180),
            image=images[i],
            contributor=WHO if i % 3 == 0 else "ann",
            uri=f"https://example.org/{WHO}/{i}" if i % 3 == 0 else "",
        )
        for i in range(count)
    ]


def traces(folder: Path, marks: list[bytes]) -> list[str]:
    """Files under a folder in which one of the marks stands, tables and tars read, too."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        parts = [(str(path), path.read_bytes())]
        if path.suffix == ".tar":
            with tarfile.open(path) as tar:
                for member in tar:
                    source = tar.extractfile(member)
                    assert source is not None
                    parts.append((f"{path}!{member.name}", source.read()))
        for name, data in parts:
            whole = data
            if data[:4] == b"PAR1":
                table = pq.read_table(io.BytesIO(data))
                whole += json.dumps(table.drop_columns(["image", "gps"]).to_pylist()).encode()
                whole += b"".join(
                    np.asarray(vector, dtype=np.float32).tobytes()
                    for vector in table.column("image").to_pylist()
                )
            found += [name for mark in marks if mark in whole]
    return found


def test_an_erased_contributor_is_in_no_file(tmp_path: Path) -> None:
    add_location_encoder(tmp_path, "waves")
    settings = Settings(data_dir=tmp_path)
    held = points()
    theirs = [point for point in held if point.contributor == WHO]
    marks = [WHO.encode(), *(p.id.encode() for p in theirs[:20])]
    marks += [p.image[:8].tobytes() for p in theirs[:20]]

    async def live() -> erasing.Receipt:
        galleries = Galleries(DataDirectory(tmp_path), settings)
        gallery = await galleries.create("g", FIRST, 512)
        await gallery.upsert(held[:200])
        await gallery.compact()
        await gallery.upsert(held[200:])
        await gallery.delete([theirs[0].id])  # removed before: still in the log
        for point in held[:12]:
            gallery.thumbnails.write(point.id, b"\xff\xd8" + point.id.encode() + b"\xff\xd9")
        canaries.write(versions.folder(galleries.folder("g"), 1), held[:30], 512)
        await backups.snapshot(galleries, "g")
        made = await Reindex(galleries.directory, settings, "g", Plan("waves")).run()
        assert made.version == 2
        (galleries.folder("g") / "v1" / "manifest.writing").write_bytes(WHO.encode())
        assert traces(tmp_path, marks)

        receipt = await erasing.erase(galleries, "g", WHO)
        assert await gallery.count() == 200
        hits = await gallery.search(theirs[1].image, 50, Filter())
        assert {hit.contributor for hit in hits} == {"ann"}
        assert await gallery.ids_by("contributor", [WHO]) == {}
        assert traces(tmp_path, marks) == []
        await galleries.close()
        assert traces(tmp_path, marks) == []
        return receipt

    receipt = asyncio.run(live())
    assert (receipt.photos, receipt.thumbnails, receipt.labelled) == (99, 3, 10)
    assert receipt.versions_removed == (2,)
    assert len(receipt.snapshots) == 1
    assert receipt.server is False


def test_what_a_snapshot_holds_comes_back_after_everything_is_wiped(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    held = points()
    kept = tmp_path / "backup.tar"

    async def answers(galleries: Galleries) -> list[list[tuple[str, float, bool]]]:
        gallery = await galleries.open("g")
        found = [await gallery.search(point.image, 20, Filter()) for point in held[:20]]
        return [[(hit.id, hit.similarity, hit.thumbnail) for hit in hits] for hits in found]

    async def before() -> list[list[tuple[str, float, bool]]]:
        galleries = Galleries(DataDirectory(settings.data_dir), settings)
        gallery = await galleries.create("g", FIRST, 512)
        await gallery.upsert(held)
        await gallery.delete([held[4].id])
        gallery.thumbnails.write(held[5].id, b"\xff\xd8\xff\xd9")
        found = await answers(galleries)
        await backups.snapshot(galleries, "g", kept)
        with pytest.raises(Conflict, match="already"):
            await backups.restore(galleries, kept)
        await galleries.close()
        return found

    async def after() -> list[list[tuple[str, float, bool]]]:
        settings.data_dir.mkdir()
        galleries = Galleries(DataDirectory(settings.data_dir), settings)
        assert await backups.restore(galleries, kept) == "g"
        found = await answers(galleries)
        await (await galleries.open("g")).delete([held[9].id])
        await backups.restore(galleries, kept, replace=True)
        assert await answers(galleries) == found
        # The index alone is lost, and then damaged: both are made anew.
        assert await backups.rebuild(galleries, "g") == len(held) - 1
        assert await answers(galleries) == found
        await galleries.close()
        index = galleries.folder("g") / "v1" / "index"
        (index / "current").write_text("nowhere")
        damaged = Galleries(DataDirectory(settings.data_dir), settings)
        assert await backups.rebuild(damaged, "g") == len(held) - 1
        assert await answers(damaged) == found
        await damaged.close()
        return found

    expected = asyncio.run(before())
    shutil.rmtree(settings.data_dir)
    assert asyncio.run(after()) == expected


@pytest.mark.parametrize(
    "damage", ["cut", "no tar", "a path that leads out", "something added", "flipped"]
)
def test_what_is_no_snapshot_is_refused_and_leaves_nothing(tmp_path: Path, damage: str) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    file = tmp_path / "backup.tar"

    async def live() -> None:
        galleries = Galleries(DataDirectory(settings.data_dir), settings)
        gallery = await galleries.create("g", FIRST, 512)
        await gallery.upsert(points(60))
        await backups.snapshot(galleries, "g", file)
        await galleries.delete("g")
        data = bytearray(file.read_bytes())
        evil = "thumbnails/../../../../evil.jpg"
        if damage == "cut":
            data = data[: len(data) // 2]
        elif damage == "no tar":
            data = bytearray(b"not a tar at all")
        elif damage == "flipped":
            data[len(data) // 2] ^= 0xFF
        elif damage == "something added":
            with tarfile.open(file, "a") as tar:
                tar.addfile(tarfile.TarInfo(evil), io.BytesIO(b""))
            data = bytearray(file.read_bytes())
        else:
            with SealedReader(file) as good, SealedWriter(file) as bad:
                for name in (evil, *good.names):
                    bad.add(name, b"" if name == evil else good.read(name))
            data = bytearray(file.read_bytes())
        file.write_bytes(data)
        if damage == "a path that leads out":
            assert await backups.restore(galleries, file) == "g"  # the member is passed over
            held = [path for path, _, files in os.walk(tmp_path) if "evil.jpg" in files]
            assert held == []
        else:
            with pytest.raises(InvalidSource):
                await backups.restore(galleries, file)
            assert galleries.names() == []
            assert list((settings.data_dir / "galleries").iterdir()) == []
        await galleries.close()

    asyncio.run(live())


def test_a_snapshots_name_leads_nowhere_else(tmp_path: Path) -> None:
    for name in ("../../etc/passwd", "a", "", "20200101T000000Z-v1/../x"):
        with pytest.raises(NotFound):
            snapshots.path_of(tmp_path, name)


@pytest.fixture(scope="module")
def keyed(
    tmp_path_factory: pytest.TempPathFactory, serving: Serving
) -> Iterator[tuple[str, dict[str, str]]]:
    """A service that wants keys, its address, and three keys by name."""
    data = tmp_path_factory.mktemp("keyed") / "data"
    environment = {**os.environ, "GEOFIX_DATA_DIR": str(data), "GEOFIX_AUTH": "required"}
    keys = {}
    for name, scopes in {
        "ann": ("galleries", "locate"),
        "bob": ("galleries", "locate"),
        "root": ("admin",),
    }.items():
        command = [sys.executable, "-m", "geofix.cli.main", "keys", "create", name]
        command += [part for scope in scopes for part in ("--scope", scope)]
        made = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603, PLW1510
        assert made.returncode == 0, made.stderr
        found = re.search(r"gfx_[a-z0-9]{12}_[A-Za-z0-9_-]{43}", made.stdout)
        assert found is not None, made.stdout
        keys[name] = found[0]
    with serving(environment):
        owner = DataDirectory(data).owner()
        assert owner is not None
        yield owner.address, keys


def jpeg(seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((240, 180), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_private_gallery_is_there_for_its_own_key_alone(
    keyed: tuple[str, dict[str, str]],
) -> None:
    address, keys = keyed

    def client(who: str) -> httpx.Client:
        return httpx.Client(base_url=address, headers={"X-API-Key": keys[who]}, timeout=60.0)

    with client("ann") as ann, client("bob") as bob, client("root") as root:
        made = ann.post("/v1/galleries", json={"name": "diary", "private": True})
        assert (made.status_code, made.json()["encoder"]) == (201, "lite")
        assert ann.post("/v1/galleries", json={"name": "diary"}).status_code == 409
        assert ann.post("/v1/galleries", json={"name": "../x"}).status_code == 422
        assert bob.post("/v1/galleries", json={"name": "open"}).status_code == 201
        photo = jpeg(1)
        added = ann.post(
            "/v1/galleries/diary/photos",
            files={"photo": ("a.jpg", photo)},
            data={"lat": "1", "lon": "2", "key": "a", "contributor": "ann"},
        )
        assert added.status_code == 201, added.text

        def names(who: httpx.Client) -> set[str]:
            return {g["name"] for g in who.get("/v1/galleries").json()["galleries"]}

        assert names(ann) == {"diary", "open"}
        assert names(bob) == {"open"}
        asked = {"files": {"photo": ("a.jpg", photo)}}
        path = "/v1/locate?gallery=diary&generators=none"
        assert ann.post(path, files=asked["files"]).status_code == 200
        for answer in (
            bob.post(path, files=asked["files"]),
            bob.get("/v1/galleries/diary"),
            bob.get("/v1/galleries/diary/versions"),
            bob.get("/v1/galleries/diary/review"),
            bob.get("/v1/galleries/diary/coverage"),
            bob.delete("/v1/galleries/diary"),
            bob.delete("/v1/galleries/diary/photos", params={"contributor": "ann"}),
            bob.delete(f"/v1/galleries/diary/photos/{point_id('diary', 'a')}"),
            bob.get(f"/v1/galleries/diary/photos/{point_id('diary', 'a')}/thumbnail"),
            bob.post(
                "/v1/galleries/diary/photos",
                files={"photo": ("b.jpg", jpeg(2))},
                data={"lat": "1", "lon": "2"},
            ),
        ):
            assert answer.status_code == 404, answer.text

        # What operators do, others may not.
        for path, body in {
            "/v1/galleries/diary/snapshots": None,
            "/v1/galleries/diary/erase": {"contributor": "ann"},
            "/v1/galleries/diary/rebuild": None,
            "/v1/galleries/diary/activate": {"version": 1},
            "/v1/galleries/diary/reindex": {},
        }.items():
            assert ann.post(path, json=body).status_code == 403
        taken = root.post("/v1/galleries/diary/snapshots")
        assert taken.status_code == 201, taken.text
        name = taken.json()["name"]
        listed = root.get("/v1/galleries/diary/snapshots").json()["snapshots"]
        assert [one["name"] for one in listed] == [name]
        file = root.get(f"/v1/galleries/diary/snapshots/{name}")
        assert file.headers["content-type"] == "application/x-tar"
        assert len(file.content) == taken.json()["bytes"]

        assert ann.delete("/v1/galleries/diary").status_code == 204
        assert ann.delete("/v1/galleries/open").status_code == 403
        assert ann.get("/v1/galleries/diary").status_code == 404
        back = root.post("/v1/galleries/diary/restore", json={"snapshot": name})
        assert back.json() == {"gallery": "diary", "count": 1}
        assert names(bob) == {"open"}
        rebuilt = root.post("/v1/galleries/diary/rebuild")
        assert rebuilt.json() == {"gallery": "diary", "count": 1}
        receipt = root.post("/v1/galleries/diary/erase", json={"contributor": "ann"}).json()
        assert (receipt["photos"], receipt["snapshots"]) == (1, [name])
        assert ann.get("/v1/galleries/diary").json()["count"] == 0
        assert root.delete(f"/v1/galleries/diary/snapshots/{name}").status_code == 204
        assert root.get("/v1/galleries/diary/snapshots").json() == {"snapshots": []}
