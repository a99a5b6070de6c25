from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from geofix.errors import InvalidOption
from geofix.jobs.objects import Objects


def test_an_object_is_written_once_and_read_in_parts(tmp_path: Path) -> None:
    async def scene() -> None:
        objects = Objects.in_folder(tmp_path / "store")
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
