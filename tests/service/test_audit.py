from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import os
import resource
import stat
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from geofix.errors import StorageFull
from geofix.settings import Settings
from service.app import create_app, engine
from service.audit import Audit, Entry
from service.auth.access import key_ring
from service.auth.caller import Scope

_EXPORT = [sys.executable, "-m", "geofix.cli.main", "audit", "export", "--format"]
_JPEG = {"Content-Type": "image/jpeg"}


def _entries(folder: Path) -> list[Entry]:
    return [*Audit(Settings(data_dir=folder)).entries()]


def test_every_answer_is_audited_and_nothing_of_the_photo(tmp_path: Path, jpeg: bytes) -> None:
    config = Settings(data_dir=tmp_path, auth="required")
    key, text = key_ring(config).create("press", frozenset({Scope.LOCATE}), cap_km=25)

    async def ask() -> list[httpx.Response]:
        app = create_app(config)
        async with (
            engine(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app),
                base_url="http://127.0.0.1",
                headers={"X-API-Key": text},
            ) as client,
        ):
            params = {"generators": "none", "keep": "true"}
            first = await client.post("/v1/locate", params=params, content=jpeg, headers=_JPEG)
            sse = await client.post(
                "/v1/locate",
                params={"generators": "none"},
                content=jpeg,
                headers={**_JPEG, "Accept": "text/event-stream"},
            )
            again = await client.post(f"/v1/locate/{first.json()['id']}/refine", json={})
            return [first, sse, again]

    first, sse, again = asyncio.run(ask())
    kept = _entries(tmp_path)
    assert [entry.action for entry in kept] == ["locate", "locate", "refine"]
    assert {entry.account for entry in kept} == {key.id}
    assert [e.request for e in kept] == [r.headers["x-request-id"] for r in (first, sse, again)]
    assert kept[0].options == {"generators": "none", "keep": "true"}
    assert kept[0].radius_90_km == first.json()["radius_90_km"]  # as it was told: capped
    assert len({entry.photo for entry in kept}) == 1
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("audit/*.jsonl"))
    assert first.json()["photo"]["sha256"].encode() not in raw
    assert text.encode() not in raw
    assert not any(name in raw for name in (b'"lat"', b'"lon"', b"position"))


def _record(audit: Audit, account: str = "gfx_a", sha256: str = "") -> None:
    asyncio.run(audit.record("locate", request="r", account=account, sha256=sha256))


def test_the_same_photo_has_another_name_under_another_key(tmp_path: Path) -> None:
    names = [
        Audit(Settings.model_validate({"data_dir": tmp_path / folder, "audit_key": key})).photo(
            "ab" * 32
        )
        for folder, key in (("a", ""), ("a", ""), ("b", ""), ("a", "one"), ("b", "one"))
    ]
    assert names[0] == names[1]
    assert names[3] == names[4]
    assert len(set(names)) == 3
    key = tmp_path / "a" / "audit" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_it_only_grows_and_forgets_whole_days_when_their_time_is_over(tmp_path: Path) -> None:
    audit = Audit(Settings(data_dir=tmp_path, audit_days=30))
    folder = tmp_path / "audit"
    folder.mkdir()
    today = datetime.now(UTC).date()
    for days in (29, 30, 400):
        (folder / f"{today - timedelta(days=days)}.jsonl").write_text("")
    _record(audit)
    before = (folder / f"{today}.jsonl").read_bytes()
    _record(audit)
    assert (folder / f"{today}.jsonl").read_bytes().startswith(before)
    kept = {date.fromisoformat(path.stem) for path in folder.glob("*.jsonl")}
    assert kept == {today, today - timedelta(days=29)}
    assert stat.S_IMODE((folder / f"{today}.jsonl").stat().st_mode) == 0o600


def test_a_line_cut_off_by_a_crash_costs_no_other(tmp_path: Path) -> None:
    audit = Audit(Settings(data_dir=tmp_path))
    _record(audit)
    file = next(tmp_path.glob("audit/*.jsonl"))
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:20])
    _record(Audit(Settings(data_dir=tmp_path)))
    assert len(_entries(tmp_path)) == 2


def test_what_cannot_be_audited_is_not_answered(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file where the folder should be")
    with pytest.raises(StorageFull):
        _record(Audit(Settings(data_dir=tmp_path)))


def test_those_who_come_together_are_all_recorded(tmp_path: Path) -> None:
    """Also where one of them gives up waiting."""
    audit = Audit(Settings(data_dir=tmp_path))

    async def ask() -> None:
        first = asyncio.create_task(audit.record("embed", request="0", account="local"))
        others = [audit.record("embed", request=str(i), account="local") for i in range(1, 20)]
        together = asyncio.gather(*others)
        await asyncio.sleep(0)
        first.cancel()
        await together

    asyncio.run(ask())
    assert sorted(int(entry.request) for entry in _entries(tmp_path)) == list(range(20))


def test_those_who_come_together_are_all_refused(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file where the folder should be")
    audit = Audit(Settings(data_dir=tmp_path))

    async def ask() -> list[BaseException | None]:
        asked = [audit.record("embed", request=str(i), account="local") for i in range(20)]
        return await asyncio.gather(*asked, return_exceptions=True)

    assert {type(told) for told in asyncio.run(ask())} == {StorageFull}


def test_a_disk_that_is_full_in_the_middle_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    audit = Audit(Settings(data_dir=tmp_path))

    async def ask(many: int) -> list[BaseException | None]:
        asked = [audit.record("embed", request="r" * 36, account="local") for _ in range(many)]
        return await asyncio.gather(*asked, return_exceptions=True)

    _record(audit)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        refused = asyncio.run(ask(50))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {type(told) for told in refused} == {StorageFull}
    before = len(_entries(tmp_path))
    assert asyncio.run(ask(3)) == [None] * 3
    assert len(_entries(tmp_path)) == before + 3


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    _record(Audit(Settings(data_dir=tmp_path, audit=False)))
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_the_command_exports(tmp_path: Path, jpeg: bytes, form: str) -> None:
    audit = Audit(Settings(data_dir=tmp_path))
    _record(audit, "gfx_a", hashlib.sha256(jpeg).hexdigest())
    _record(audit, "gfx_b")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg)

    def export(*options: str) -> list[str]:
        result = subprocess.run(  # noqa: S603 - our own command
            [
                sys.executable,
                "-m",
                "geofix.cli.main",
                "audit",
                "export",
                "--format",
                form,
                *options,
            ],
            env={**os.environ, "GEOFIX_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        if form == "csv":
            return [row["account"] for row in csv.DictReader(io.StringIO(result.stdout))]
        return [Entry.model_validate_json(line).account for line in result.stdout.splitlines()]

    assert export() == ["gfx_a", "gfx_b"]
    assert export("--account", "gfx_b") == ["gfx_b"]
    assert export("--photo", str(photo)) == ["gfx_a"]
    assert export("--until", "2020-01-01") == []


def test_vectors_are_audited_photo_by_photo(tmp_path: Path, jpeg: bytes) -> None:
    async def ask() -> httpx.Response:
        app = create_app(Settings(data_dir=tmp_path))
        transport = httpx.ASGITransport(app=app)
        async with (
            engine(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            files = [("photo", ("a.jpg", jpeg)), ("photo", ("b.jpg", jpeg + b"\0"))]
            return await client.post("/v1/embed/image", files=files)

    assert asyncio.run(ask()).status_code == 200
    kept = _entries(tmp_path)
    assert [(entry.action, entry.account) for entry in kept] == [("embed", "local")] * 2
    assert len({entry.photo for entry in kept}) == 2
