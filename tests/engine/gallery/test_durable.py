"""A file is replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from geofix.engine.gallery.durable import replacing


def test_the_new_content_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    (tmp_path / "a.json.writing").write_text("left by a crash")
    with replacing(file) as written:
        assert not written.exists()
        written.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("begun", [True, False])
def test_what_fails_leaves_the_old_one_and_nothing_else(tmp_path: Path, begun: bool) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")

    def fail() -> None:
        with replacing(file) as written:
            if begun:
                written.write_text("ne")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail()
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
