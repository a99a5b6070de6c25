from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.s3 import BUCKET, FailingStore
from geofix.errors import InvalidOption, Unavailable
from geofix.jobs import objects as objects_module
from geofix.jobs.objects import Objects


@pytest.fixture(scope="module")
def s3() -> Iterator[FailingStore]:
    """An S3 server on loopback."""
    store = FailingStore()
    with store.running():
        yield store


@pytest.fixture(params=["folder", "S3"])
def objects(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Objects:
    if request.param == "folder":
        return Objects.in_folder(tmp_path / "store")
    server: FailingStore = request.getfixturevalue("s3")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return Objects.at(f"s3://{BUCKET}/{tmp_path.name}")


def test_of_several_writers_of_an_object_one_is_the_first(objects: Objects) -> None:
    async def scene() -> None:
        written = await asyncio.gather(*(objects.create("a", b"%d" % n) for n in range(8)))
        assert written.count(True) == 1
        assert await objects.get("a") == b"%d" % written.index(True)

    asyncio.run(scene())


def test_a_store_that_answers_with_errors_is_unavailable(
    s3: FailingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(objects_module, "RETRY", {"max_retries": 1})

    async def scene() -> None:
        objects = Objects.at(f"s3://{BUCKET}/failing")
        s3.fails = True
        try:
            with pytest.raises(Unavailable):
                await objects.create("a", b"x")
        finally:
            s3.fails = False
        assert await objects.create("a", b"x")

    asyncio.run(scene())


def test_an_object_is_written_once_and_read_in_parts(objects: Objects) -> None:
    async def scene() -> None:
        assert await objects.create("a/b.bin", b"0123456789")
        assert not await objects.create("a/b.bin", b"other")
        assert await objects.get("a/b.bin") == b"0123456789"
        assert await objects.get_range("a/b.bin", 2, 3) == b"234"
        assert await objects.get_range("a/b.bin", 8, 9) == b"89"
        assert await objects.get_range("a/b.bin", 4, 0) == b""
        assert await objects.get_range("a/b.bin", 10, 5) == b""
        assert await objects.get_range("a/none", 0, 5) is None
        assert await objects.get("a/none") is None
        assert await objects.folders("a") == []
        await objects.remove("a/b.bin", "a/none")
        assert [path async for path in objects.paths("")] == []

    asyncio.run(scene())


def test_a_folder_can_be_named_by_its_url(tmp_path: Path) -> None:
    async def scene() -> None:
        await Objects.at((tmp_path / "with space").as_uri()).create("a", b"x")

    asyncio.run(scene())
    assert (tmp_path / "with space" / "a").read_bytes() == b"x"


@pytest.mark.parametrize("url", ["ftp://somewhere/x", "nothing", "s3:/"])
def test_an_unknown_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidOption):
        Objects.at(url)
