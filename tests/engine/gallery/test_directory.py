"""One owner at a time, and everybody else is told who it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from geofix.engine.gallery.directory import DataDirectory, GalleryCard
from geofix.errors import Conflict, DataDirectoryBusy, InvalidOption, NotFound

_HOLD = """
import sys, time
from pathlib import Path
from geofix.engine.gallery.directory import DataDirectory
directory = DataDirectory(Path(sys.argv[1]))
directory.acquire(sys.argv[2], sys.argv[3])
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def held(path: Path, command: str, address: str = "") -> Iterator[int]:
    """Another process that owns the directory, and is killed at the end."""
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", _HOLD, str(path), command, address], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        try:
            yield child.pid
        finally:
            child.kill()


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    with held(tmp_path / "data", "geofix index build") as pid:
        with pytest.raises(DataDirectoryBusy) as caught:
            directory.acquire("geofix locate", wait_s=0.1)
        assert "geofix index build" in str(caught.value)
        assert str(pid) in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
        owner = directory.owner()
        assert owner is not None
        assert (owner.pid, owner.command, owner.address) == (pid, "geofix index build", "")
    assert directory.owner() is None


def test_a_service_is_named_with_its_address(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    with held(tmp_path, "geofix serve", "http://127.0.0.1:8123"):
        owner = directory.owner()
        assert owner is not None
        assert owner.address == "http://127.0.0.1:8123"
        with pytest.raises(DataDirectoryBusy, match=r"http://127\.0\.0\.1:8123"):
            directory.acquire("geofix index build", wait_s=0.1)


def test_kill_9_of_the_owner_frees_the_directory(tmp_path: Path) -> None:
    with held(tmp_path, "geofix serve"):
        pass
    with DataDirectory(tmp_path) as directory:
        directory.acquire("geofix serve")
        owner = directory.owner()
        assert owner is not None
        assert owner.pid == os.getpid()
        directory.announce("http://127.0.0.1:1")
        owner = directory.owner()
        assert owner is not None
        assert owner.address == "http://127.0.0.1:1"
    assert DataDirectory(tmp_path).owner() is None


def test_asking_changes_nothing(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    assert directory.owner() is None
    assert directory.names() == []
    assert not (tmp_path / "data").exists()
    with pytest.raises(Conflict):
        directory.announce("http://127.0.0.1:1")


@pytest.mark.parametrize("name", ["", "..", "a/b", "Ä", "UPPER", "-x", "a" * 64, "a b", "a\n"])
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidOption):
        DataDirectory(tmp_path).gallery(name)


def test_a_gallery_is_there_once_its_card_is(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.write_card(GalleryCard("europe-2", "lite", 1280))
    assert directory.names() == ["europe-2"]
    assert directory.card("europe-2") == GalleryCard("europe-2", "lite", 1280, version=1)
    with pytest.raises(NotFound, match="europe-2"):
        directory.card("asia")
