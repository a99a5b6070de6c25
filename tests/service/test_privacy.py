"""The operator's privacy policy, and what becomes of what is sent."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from geofix.engine.privacy import PrivacyPolicy, Verdict
from geofix.engine.types import Photo
from geofix.errors import InvalidOption
from geofix.settings import Settings
from service.app import create_app, engine
from service.locate.schemas import Answer

_JPEG = {"Content-Type": "image/jpeg"}
Ask = Callable[..., list[httpx.Response]]
"""``ask(policy, (path, options, headers), …)``."""


def refuses(photo: Photo) -> Verdict:
    return Verdict(refuse=f"A face is seen in {photo.width} x {photo.height} pixels.")


def coarsens(photo: Photo) -> Verdict:
    return Verdict(cap_km=200.0)


def allows(photo: Photo) -> Verdict:
    return Verdict()


def breaks(photo: Photo) -> Verdict:
    raise RuntimeError("secret of the policy")


def talks_nonsense(photo: Photo) -> Verdict:
    return Verdict(cap_km=float("nan"))


_Asked = tuple[str, dict[str, str], dict[str, str]]
_QUICK = {"generators": "none"}
_LOCATE: _Asked = ("/v1/locate", _QUICK, {})
_STREAM: _Asked = ("/v1/locate", _QUICK, {"Accept": "text/event-stream"})
_EMBED: _Asked = ("/v1/embed/image", {}, {})


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jpeg: bytes) -> Ask:
    """Asks a service with this policy; its gallery holds the photo."""
    monkeypatch.setitem(sys.modules, "policies", sys.modules[__name__])

    async def run(policy: str, asked: tuple[_Asked, ...]) -> list[httpx.Response]:
        async def served(config: Settings, *requests: _Asked) -> list[httpx.Response]:
            app = create_app(config)
            transport = httpx.ASGITransport(app=app)
            async with (
                engine(app),
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
            ):
                if not requests:
                    await client.post(
                        "/v1/galleries/default/photos",
                        files={"photo": ("a.jpg", jpeg)},
                        data={"lat": "48.85", "lon": "2.35"},
                    )
                return [
                    await client.post(
                        path, params=params, content=jpeg, headers={**_JPEG, **headers}
                    )
                    for path, params, headers in requests
                ]

        config = Settings(data_dir=tmp_path)
        await served(config)
        return await served(config.model_copy(update={"privacy_hook": policy}), *asked)

    return lambda policy, *asked: asyncio.run(run(f"policies:{policy}", asked))


def test_a_policy_may_refuse_a_photo_whatever_is_asked(ask: Ask) -> None:
    plain, streamed, vector = ask("refuses", _LOCATE, _STREAM, _EMBED)
    assert (plain.status_code, vector.status_code) == (403, 403)
    assert plain.json()["type"] == "urn:geofix:problem:photo-refused"
    assert plain.json()["detail"] == "A face is seen in 800 x 600 pixels."
    assert "event: problem" in streamed.text
    assert "event: answer" not in streamed.text


def test_a_policy_may_coarsen_what_is_told(ask: Ask) -> None:
    filtered: _Asked = ("/v1/locate", {**_QUICK, "bbox": "2,48,3,49"}, {})
    kept: _Asked = ("/v1/locate", {**_QUICK, "keep": "true"}, {})
    plain, streamed, vector, chosen, keeping = ask(
        "coarsens", _LOCATE, _STREAM, _EMBED, filtered, kept
    )
    answer = Answer.model_validate_json(plain.content)
    assert answer.radius_50_km > 200
    assert not answer.evidence.neighbours
    assert (answer.position.lat, answer.position.lon) != (48.85, 2.35)
    told = streamed.text.split("data: ")[-1]
    assert Answer.model_validate_json(told).position == answer.position
    for refused in (vector, chosen):
        assert refused.status_code == 403
        assert refused.json()["type"] == "urn:geofix:problem:precision-capped"
    assert keeping.status_code == 200


def test_a_policy_that_allows_changes_nothing(ask: Ask) -> None:
    plain, vector = ask("allows", _LOCATE, _EMBED)
    answer = Answer.model_validate_json(plain.content)
    assert answer.evidence.neighbours[0].lat == 48.85
    assert vector.status_code == 200


@pytest.mark.parametrize("policy", ["breaks", "talks_nonsense"])
def test_nothing_is_told_of_a_photo_that_could_not_be_judged(ask: Ask, policy: str) -> None:
    for answer in ask(policy, _LOCATE, _EMBED):
        assert answer.status_code == 503
        assert "secret" not in answer.text


@pytest.mark.parametrize("name", ["nothing.here:at_all", "math:nothing", "math:pi", "not a name"])
def test_a_policy_that_is_not_there_is_told_at_once(name: str) -> None:
    with pytest.raises(InvalidOption, match="PRIVACY_HOOK"):
        PrivacyPolicy.named(name)


def test_nothing_of_an_upload_is_left_on_the_disk(
    tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the data directory nor in a temporary one, also while it is answered."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    seen: list[Path] = []
    marker = b"a mark in the photo's comment"
    photo = jpeg + marker

    async def run() -> None:
        config = Settings(data_dir=tmp_path / "data")
        app = create_app(config)
        transport = httpx.ASGITransport(app=app)
        async with (
            engine(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            files = {"photo": ("a.jpg", photo)}
            asked = asyncio.create_task(client.post("/v1/locate", params=_QUICK, files=files))
            while not asked.done():
                seen.extend(_holding(tmp_path, marker))
                await asyncio.sleep(0.005)
            assert (await asked).status_code == 200
        seen.extend(_holding(tmp_path, marker))

    asyncio.run(run())
    assert seen == []


def _holding(folder: Path, marker: bytes) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and marker in path.read_bytes():
                found.append(path)
        except OSError:
            continue  # gone meanwhile
    return found
