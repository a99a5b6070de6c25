from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from geofix.cli.main import main

_PLACES = {"sea": (43.3, 5.4), "hills": (-33.9, 18.4), "city": (35.7, 139.7)}


@pytest.fixture
def folder(tmp_path: Path, picture: Image.Image) -> Path:
    """Three different pictures and one damaged file, named by an index."""
    lines = ["file,lat,lon"]
    pixels = np.asarray(picture)
    for turn, (name, (lat, lon)) in enumerate(_PLACES.items()):
        buffer = io.BytesIO()
        Image.fromarray(np.roll(np.rot90(pixels, turn), 90 * turn, axis=2)).save(buffer, "JPEG")
        (tmp_path / f"{name}.jpg").write_bytes(buffer.getvalue())
        lines.append(f"{name}.jpg,{lat},{lon}")
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    lines.append("damaged.jpg,1,1")
    (tmp_path / "index.csv").write_text("\n".join(lines), "utf-8")
    return tmp_path


def test_altered_copies_are_found_again(folder: Path) -> None:
    result = CliRunner().invoke(main, ["demo", "--photos", str(folder)], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "3 added" in result.output
    assert "1 refused" in result.output
    for name in ("sea", "hills", "city", "60 % size", "quality 60", "10 % crop", "all three"):
        assert name in result.output
    assert "itself" in result.output
    assert "of 12 altered copies are answered within 1 km." in result.output


def test_a_folder_without_usable_photos_is_told(tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "nowhere.jpg").write_bytes(jpeg)
    result = CliRunner().invoke(main, ["demo", "--photos", str(tmp_path)])
    assert result.exit_code == 1
    assert "EXIF" in result.output
