"""Downloads from a hub on this machine, over real HTTP, with the real client."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from geofix.errors import InvalidSource, Unavailable
from indexer.models import hub

FILES = {
    "config.json": b'{"model_type": "clip"}',
    "preprocessor_config.json": b'{"size": 224}',
    "model.safetensors": np.random.default_rng(0).bytes(3_000_000),
    "pytorch_model.bin": b"the same weights once more",
    "README.md": b"# CLIP",
}


class Hub:
    """A hub on this machine: the two requests that a download makes, over real HTTP."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        """As published; what is announced of a file is of these bytes."""
        self.served = dict(files)
        """As they arrive."""
        self.cut = 0
        """Break the first download of the weights off after so many bytes."""
        self.commit = hashlib.sha1(b"commit", usedforsecurity=False).hexdigest()
        self.asked: list[str] = []
        this = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                this.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}")
                if found := re.fullmatch(
                    r"/api/models/some/clip(/revision/[^?]+)?(\?.*)?", self.path
                ):
                    if found[1] in (None, "/revision/main", f"/revision/{this.commit}"):
                        return self.answer(200, json.dumps(this.info()).encode())
                    return self.missing("RevisionNotFound")
                if found := re.fullmatch(r"/api/models/some/clip/tree/[^?]+(\?.*)?", self.path):
                    return self.answer(200, json.dumps(this.tree()).encode())
                found = re.fullmatch(rf"/some/clip/resolve/{this.commit}/([^/]+)", self.path)
                if found and found[1] in this.served:
                    return self.file(this.served[found[1]], this.etag(found[1]))
                return self.missing("RepoNotFound")

            def file(self, content: bytes, etag: str) -> None:
                headers = {
                    "ETag": f'"{etag}"',
                    "X-Repo-Commit": this.commit,
                    "Accept-Ranges": "bytes",
                }
                wanted = re.fullmatch(r"bytes=(\d+)-.*", self.headers.get("Range", ""))
                if wanted:
                    start = int(wanted[1])
                    headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                    return self.answer(206, content[start:], headers)
                return self.answer(200, content, headers)

            def missing(self, code: str) -> None:
                self.answer(404, b"{}", {"X-Error-Code": code})

            def answer(
                self, status: int, body: bytes, headers: dict[str, str] | None = None
            ) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/json")
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "HEAD":
                    return
                if this.cut and len(body) > this.cut:
                    self.wfile.write(body[: this.cut])
                    this.cut = 0
                    self.close_connection = True
                    return
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def etag(self, name: str) -> str:
        if name.endswith(".safetensors"):
            return hashlib.sha256(self.files[name]).hexdigest()
        blob = b"blob %d\0" % len(self.files[name]) + self.files[name]
        return hashlib.sha1(blob, usedforsecurity=False).hexdigest()

    def info(self) -> dict[str, object]:
        return {
            "id": "some/clip",
            "sha": self.commit,
            "cardData": {"license": "mit"},
            "siblings": [self._sibling(name) for name in self.files],
            "tags": [],
            "private": False,
            "downloads": 0,
            "likes": 0,
        }

    def tree(self) -> list[dict[str, object]]:
        return [
            {
                "type": "file",
                "path": name,
                "oid": self.etag(name)[:40],
                "size": len(content),
                **({"lfs": self._lfs(name)} if name.endswith(".safetensors") else {}),
            }
            for name, content in self.files.items()
        ]

    def _lfs(self, name: str) -> dict[str, object]:
        content = self.files[name]
        return {
            "sha256": self.etag(name),
            "oid": self.etag(name),
            "size": len(content),
            "pointerSize": 134,
        }

    def _sibling(self, name: str) -> dict[str, object]:
        entry: dict[str, object] = {"rfilename": name, "size": len(self.files[name])}
        if name.endswith(".safetensors"):
            return {**entry, "blobId": "0" * 40, "lfs": self._lfs(name)}
        return {**entry, "blobId": self.etag(name)}


@pytest.fixture
def local_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    running = Hub(dict(FILES))
    yield running
    running.server.shutdown()
    running.server.server_close()


CLIP = hub.Repository("some/clip")


def test_what_a_model_needs_is_fetched_once(local_hub: Hub) -> None:
    snapshot = hub.fetch(CLIP, local_hub.endpoint)
    assert snapshot.source == f"Hugging Face some/clip {local_hub.commit}"
    assert snapshot.licence == "mit"
    got = {file.name: file.read_bytes() for file in snapshot.folder.iterdir()}
    wanted = ("config.json", "preprocessor_config.json", "model.safetensors")
    assert got == {name: FILES[name] for name in wanted}
    local_hub.asked.clear()
    assert hub.fetch(CLIP, local_hub.endpoint) == snapshot
    assert not any("GET" in line and "/resolve/" in line for line in local_hub.asked)


def test_weights_in_pytorchs_format_where_there_are_no_others(local_hub: Hub) -> None:
    del local_hub.files["model.safetensors"]
    folder = hub.fetch(CLIP, local_hub.endpoint).folder
    assert (folder / "pytorch_model.bin").read_bytes() == FILES["pytorch_model.bin"]


def test_a_repository_without_weights(local_hub: Hub) -> None:
    del local_hub.files["model.safetensors"], local_hub.files["pytorch_model.bin"]
    with pytest.raises(InvalidSource, match="no weights"):
        hub.fetch(CLIP, local_hub.endpoint)


def test_an_interrupted_download_goes_on_where_it_stopped(
    local_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)
    local_hub.cut = 1_000_000
    folder = hub.fetch(CLIP, local_hub.endpoint).folder
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    ranges = [line for line in local_hub.asked if "safetensors" in line and "bytes=" in line]
    assert [line.rpartition("bytes=")[2] for line in ranges] == ["1000000-"]


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_bytes_changed_on_the_way_are_noticed(local_hub: Hub, file: str) -> None:
    content = bytearray(FILES[file])
    content[-2] ^= 1
    local_hub.served[file] = bytes(content)
    with pytest.raises(InvalidSource, match=f"{file} is not what the hub published"):
        hub.fetch(CLIP, local_hub.endpoint)
    local_hub.served[file] = FILES[file]
    assert (hub.fetch(CLIP, local_hub.endpoint).folder / file).read_bytes() == FILES[file]


def test_pinned_bytes_are_held_against_the_hub_itself(local_hub: Hub) -> None:
    right = {"model.safetensors": hashlib.sha256(FILES["model.safetensors"]).hexdigest()}
    pinned = hub.Repository("some/clip", local_hub.commit, right, "MIT")
    assert hub.fetch(pinned, local_hub.endpoint).licence == "MIT"
    wrong = hub.Repository("some/clip", local_hub.commit, {"model.safetensors": "0" * 64})
    with pytest.raises(InvalidSource, match="not what the hub published"):
        hub.fetch(wrong, local_hub.endpoint)


def test_geoclips_backbone_is_pinned_to_a_commit_and_a_hash() -> None:
    assert re.fullmatch(r"[0-9a-f]{40}", hub.CLIP_VIT_L14.revision or "")
    assert re.fullmatch(r"[0-9a-f]{64}", hub.CLIP_VIT_L14.sha256["model.safetensors"])


def test_a_branch_becomes_one_commit(local_hub: Hub) -> None:
    snapshot = hub.fetch(hub.Repository("some/clip", "main"), local_hub.endpoint)
    assert local_hub.commit in snapshot.source
    downloads = [line for line in local_hub.asked if "/resolve/" in line]
    assert downloads
    assert all(local_hub.commit in line for line in downloads)


@pytest.mark.parametrize(
    "repository", [hub.Repository("some/other"), hub.Repository("some/clip", "gone")]
)
def test_what_the_hub_does_not_have(local_hub: Hub, repository: hub.Repository) -> None:
    with pytest.raises(InvalidSource, match="free to download"):
        hub.fetch(repository, local_hub.endpoint)


def test_a_name_that_no_model_can_have(local_hub: Hub) -> None:
    with pytest.raises(InvalidSource, match="neither a folder nor"):
        hub.fetch(hub.Repository("a b"), local_hub.endpoint)


def test_no_network_is_said_plainly(local_hub: Hub) -> None:
    with pytest.raises(Unavailable, match=r"hub cannot be reached.*name its folder"):
        hub.fetch(CLIP, "http://127.0.0.1:9")
