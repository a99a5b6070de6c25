"""``geofix locate`` as a person and a program run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.locate.schemas import Answer

pytestmark = pytest.mark.usefixtures("service")

_QUICK = ("--generators", "none")


def _geofix(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "geofix.cli.main", "locate", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "COLUMNS": "120", "NO_COLOR": "1"},
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, jpeg: bytes) -> Path:
    """A folder with two photos, one of them in a folder of its own, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a.jpg").write_bytes(jpeg)
    (folder / "more").mkdir()
    (folder / "more" / "B.JPG").write_bytes(jpeg)
    (folder / "notes.txt").write_text("not a photo")
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a command without any service."""
    return {**os.environ, "GEOFIX_DATA_DIR": str(tmp_path_factory.mktemp("alone") / "data")}


def test_without_a_service_the_engine_runs_in_process(alone: dict[str, str], photos: Path) -> None:
    result = _geofix(alone, photos / "a.jpg", "--generators", "attributes", "--explain")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert "no gallery" in lines[0] or "is empty" in lines[0]
    assert "geofix index build FOLDER" in "\n".join(lines[:3])
    for words in ("a.jpg", "Can't tell", "Best guess", "50 % within", "first estimate", "encode"):
        assert words in result.stdout
    assert not Path(alone["GEOFIX_DATA_DIR"]).joinpath("owner.json").exists()


def test_in_process_and_over_http_the_answer_is_the_same(
    alone: dict[str, str], environment: dict[str, str], photos: Path
) -> None:
    documents = []
    for where in (alone, environment):
        result = _geofix(where, photos / "a.jpg", "--json", *_QUICK, "--radius", "48.85,2.35,30")
        assert result.returncode == 0, result.stderr
        document = json.loads(result.stdout)
        for own in ("id", "timings_ms"):
            document.pop(own)
        documents.append(document)
    assert documents[0] == documents[1]
    assert documents[0]["place"]["country"] == "FR"


def test_one_photo_is_one_object_several_are_a_list(
    environment: dict[str, str], photos: Path
) -> None:
    one = json.loads(_geofix(environment, photos / "a.jpg", "--json", *_QUICK).stdout)
    assert one.pop("file") == str(photos / "a.jpg")
    Answer.model_validate(one)
    folder = json.loads(_geofix(environment, photos, "--json", *_QUICK).stdout)
    assert [entry["file"] for entry in folder] == [
        str(photos / "a.jpg"),
        str(photos / "more" / "B.JPG"),
    ]


def test_a_bad_photo_among_several_costs_only_itself(
    environment: dict[str, str], photos: Path, tmp_path: Path, jpeg: bytes
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(jpeg[:900])
    missing, empty = tmp_path / "missing.jpg", tmp_path / "empty.jpg"
    empty.touch()
    files = (photos / "a.jpg", broken, missing, empty, photos / "more" / "B.JPG")
    result = _geofix(environment, *files, *_QUICK)
    assert result.returncode == 1
    assert result.stdout.count("50 % within") == 2
    for file, says in ((broken, "damaged"), (missing, "no such file"), (empty, "empty")):
        (line,) = [text for text in result.stderr.splitlines() if text.startswith(str(file))]
        assert says in line
    assert "Traceback" not in result.stderr
    documents = json.loads(_geofix(environment, *files, "--json", *_QUICK).stdout)
    assert ["problem" in document for document in documents] == [False, True, True, True, False]
    assert documents[1]["problem"]["type"] == "urn:geofix:problem:unreadable-photo"
    assert documents[1]["problem"]["status"] == 422


def test_a_map_is_written_beside_the_table(
    environment: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    target = tmp_path / "map.html"
    result = _geofix(environment, photos, "--map", target, *_QUICK)
    assert result.returncode == 0, result.stderr
    html = target.read_text("utf-8")
    assert html.startswith("<!doctype html>")
    assert "a.jpg" in html
    assert "B.JPG" in html


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--country", "Narnia"), "country"),
        (("--radius", "91,0,5"), "-90 to 90"),
        (("--bbox", "1,2"), "bbox"),
        (("--generators", "magic"), "magic"),
        (("--gallery", "../x"), "no name for a gallery"),
        (("--neighbours", "many"), "neighbours"),
        (("--colour", "red"), "--colour"),
    ],
)
def test_a_wrong_option_is_a_usage_error(
    alone: dict[str, str], photos: Path, arguments: tuple[str, ...], says: str
) -> None:
    result = _geofix(alone, photos / "a.jpg", *arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_gallery_is_told(environment: dict[str, str], photos: Path) -> None:
    result = _geofix(environment, photos / "a.jpg", "--gallery", "nowhere", *_QUICK)
    assert result.returncode == 1
    assert "nowhere" in result.stderr


def test_a_folder_without_photos_is_told(alone: dict[str, str], tmp_path: Path) -> None:
    result = _geofix(alone, tmp_path)
    assert result.returncode == 2
    assert "no photo" in result.stderr


def test_a_map_that_cannot_be_written_is_told(
    environment: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    result = _geofix(environment, photos, "--map", tmp_path / "none" / "map.html", *_QUICK)
    assert result.returncode == 2
    assert "no folder" in result.stderr
    assert not result.stdout, "told before the work, not after it"
    assert "Traceback" not in result.stderr


def test_a_device_is_refused_and_not_read_for_ever(environment: dict[str, str]) -> None:
    result = _geofix(environment, "/dev/zero", *_QUICK)
    assert result.returncode == 1
    assert "a device" in result.stderr


def test_a_published_rule_is_refused_with_a_reason(
    environment: dict[str, str], photos: Path
) -> None:
    result = _geofix(environment, photos, "--rule", "geoclip", *_QUICK)
    assert result.returncode == 1
    assert "compares the photo with places" in " ".join(result.stderr.split())
    result = _geofix(environment, photos, "--rule", "best", *_QUICK)
    assert result.returncode == 2
    assert "'g3-clean'" in result.stderr
    assert "Traceback" not in result.stderr
