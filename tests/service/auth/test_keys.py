from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from geofix.errors import Conflict, InvalidOption, NotFound
from service.auth.caller import Scope
from service.auth.keys import KeyRing

_LOCATE = frozenset({Scope.LOCATE})


def _ring(folder: Path) -> KeyRing:
    return KeyRing(folder / "keys.json")


def test_a_key_is_recognised_with_what_it_grants(tmp_path: Path) -> None:
    key, text = _ring(tmp_path).create(
        "shop", frozenset({Scope.LOCATE, Scope.JOBS}), cap_km=25, limits="10/second;100/day"
    )
    caller = _ring(tmp_path).recognise(text)
    assert caller is not None
    assert caller.account == key.id
    assert text.startswith(f"{key.id}_")
    assert caller.may(Scope.JOBS)
    assert not caller.may(Scope.GALLERIES)
    assert caller.cap_km == 25
    assert caller.limits == "10/second;100/day"


def test_admin_holds_every_scope(tmp_path: Path) -> None:
    _, text = _ring(tmp_path).create("ops", frozenset({Scope.ADMIN}))
    caller = _ring(tmp_path).recognise(text)
    assert caller is not None
    assert all(caller.may(scope) for scope in Scope)


def test_neither_the_file_nor_its_reader_knows_the_key(tmp_path: Path) -> None:
    _, text = _ring(tmp_path).create("shop", _LOCATE)
    file = tmp_path / "keys.json"
    assert text.rsplit("_", 1)[-1] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_wrong_key_is_not_recognised(tmp_path: Path) -> None:
    ring = _ring(tmp_path)
    _, text = ring.create("shop", _LOCATE)
    changed = text[:-1] + ("A" if text[-1] != "A" else "B")
    other = f"gfx_{'a' * 12}_{text[-43:]}"
    for wrong in (changed, other, text + "A", text.upper(), f" {text}", "", "gfx_", "\0", "é" * 60):
        assert ring.recognise(wrong) is None


def test_a_key_expires(tmp_path: Path) -> None:
    ring = _ring(tmp_path)
    _, text = ring.create("trial", _LOCATE, lifetime=timedelta(days=2))
    now = datetime.now(UTC)
    assert ring.recognise(text, now + timedelta(days=1)) is not None
    assert ring.recognise(text, now + timedelta(days=3)) is None


def test_a_revoked_key_opens_nothing_for_readers_already_running(tmp_path: Path) -> None:
    reader, writer = _ring(tmp_path), _ring(tmp_path)
    key, text = writer.create("shop", _LOCATE)
    assert reader.recognise(text) is not None
    writer.revoke(key.id)
    assert reader.recognise(text) is None
    with pytest.raises(NotFound):
        writer.rotate(key.id, grace=timedelta(0))


def test_rotation_keeps_the_account_and_the_old_text_for_a_while(tmp_path: Path) -> None:
    ring = _ring(tmp_path)
    key, old = ring.create("shop", _LOCATE, cap_km=25)
    _, new = ring.rotate(key.id, grace=timedelta(hours=1))
    now = datetime.now(UTC)
    before, after = ring.recognise(old, now), ring.recognise(new, now)
    assert before is not None
    assert before == after
    assert ring.recognise(old, now + timedelta(hours=2)) is None
    assert ring.recognise(new, now + timedelta(hours=2)) == after


def test_rotation_does_not_prolong_the_old_text(tmp_path: Path) -> None:
    ring = _ring(tmp_path)
    key, old = ring.create("shop", _LOCATE, lifetime=timedelta(hours=1))
    ring.rotate(key.id, grace=timedelta(days=9))
    assert ring.recognise(old, datetime.now(UTC) + timedelta(hours=2)) is None


@pytest.mark.parametrize("limits", ["many", "0/dday", "10/fortnight", "ten/day"])
def test_limits_that_mean_nothing_are_refused(tmp_path: Path, limits: str) -> None:
    with pytest.raises(InvalidOption, match="limits"):
        _ring(tmp_path).create("shop", _LOCATE, limits=limits)
    assert not (tmp_path / "keys.json").exists()


def test_a_damaged_file_opens_nothing(tmp_path: Path) -> None:
    _, text = _ring(tmp_path).create("shop", _LOCATE)
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(Conflict, match="damaged"):
        _ring(tmp_path).recognise(text)


def test_the_command_makes_lists_rotates_and_revokes(tmp_path: Path) -> None:
    def geofix(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "geofix.cli.main", "keys", *arguments],
            env={**os.environ, "GEOFIX_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    made = geofix("create", "a shop", "--scope", "jobs", "--cap-km", "25", "--limit", "9/day")
    text = made.stdout.strip()
    caller = _ring(tmp_path).recognise(text)
    assert caller is not None
    assert (caller.scopes, caller.cap_km, caller.limits) == (frozenset({Scope.JOBS}), 25, "9/day")

    listed = geofix("list").stdout
    assert "a shop" in listed
    assert caller.account in listed
    assert text not in listed

    rotated = geofix("rotate", caller.account, "--grace-hours", "0").stdout.strip()
    assert _ring(tmp_path).recognise(text) is None
    assert _ring(tmp_path).recognise(rotated) == caller

    assert geofix("revoke", rotated).returncode == 1  # a key is not to be typed
    assert geofix("revoke", caller.account).returncode == 0
    assert _ring(tmp_path).recognise(rotated) is None
    assert "revoked" in geofix("list").stdout
    assert "no valid key" in geofix("revoke", caller.account).stderr
