from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from tests.clients.generated import make_python_client, run

_PROGRAM = """
import io
import sys

from geofix_client import AuthenticatedClient
from geofix_client.api.embed import embed_location
from geofix_client.api.galleries import add_photo, list_galleries
from geofix_client.api.locate import locate
from geofix_client.models import (
    AddPhotoBody,
    Answer,
    GalleryList,
    LocateFilesBody,
    LocationEmbeddings,
    LocationsRequest,
    PhotoOutcome,
    Problem,
)
from geofix_client.types import File


def photo(data: bytes) -> File:
    return File(io.BytesIO(data), "photo.jpg", "image/jpeg")


def main(address: str, jpeg: bytes) -> None:
    client = AuthenticatedClient(address, token="", prefix="", auth_header_name="X-API-Key")
    new = AddPhotoBody(photo=photo(jpeg), lat=48.8584, lon=2.2945, key="tower")
    added = add_photo.sync("clients", client=client, body=new)
    assert isinstance(added, PhotoOutcome), added

    body = LocateFilesBody(photo=photo(jpeg), gallery="clients", generators="none")
    answer = locate.sync(client=client, body=body)
    assert isinstance(answer, Answer), answer
    assert abs(answer.position.lat - 48.8584) < 0.01
    assert answer.evidence.neighbours[0].id == added.id

    raw = locate.sync(client=client, body=photo(jpeg), gallery="clients", generators="none")
    assert isinstance(raw, Answer), raw
    assert raw.position.lat == answer.position.lat

    damaged = LocateFilesBody(photo=photo(jpeg[:200]))
    refused = locate.sync(client=client, body=damaged)
    assert isinstance(refused, Problem), refused
    assert refused.type_ == "urn:geofix:problem:unreadable-photo"

    places = LocationsRequest(locations=[[48.8584, 2.2945]])
    vectors = embed_location.sync(client=client, body=places)
    assert isinstance(vectors, LocationEmbeddings), vectors

    galleries = list_galleries.sync(client=client)
    assert isinstance(galleries, GalleryList), galleries
    assert "clients" in [gallery.name for gallery in galleries.galleries]


if __name__ == "__main__":
    with open(sys.argv[2], "rb") as file:
        main(sys.argv[1], file.read())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel, built and unpacked."""
    folder = tmp_path_factory.mktemp("client")
    made = make_python_client(folder / "geofix-client")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    offline = ("--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "wheel", *offline, "--wheel-dir", folder, made)
    wheel = next(folder.glob("geofix_client-*.whl"))
    run(*pip, "install", *offline, "--target", folder / "installed", wheel)
    return folder / "installed"


def test_the_client_talks_to_the_service(
    installed: Path, address: str, jpeg: bytes, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    (installed / "program.py").write_text(_PROGRAM, "utf-8")
    try:
        run(sys.executable, installed / "program.py", address, tmp_path / "photo.jpg")
    finally:
        httpx.delete(f"{address}/v1/galleries/clients", timeout=30)  # others count galleries


def test_a_program_with_the_client_is_typed(installed: Path) -> None:
    (installed / "program.py").write_text(_PROGRAM, "utf-8")
    run(
        *(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"),
        *("--cache-dir", installed / ".mypy_cache", "program.py"),
        cwd=installed,
    )
