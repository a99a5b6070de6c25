"""API keys: made, kept as hashes, recognised, rotated and revoked.

A key reads ``gfx_<id>_<secret>``. The id (``gfx_<id>``) is its visible prefix: it names the key in
lists, the audit and quotas, and stays when the key is rotated. The secret holds 256 random bits,
so its plain SHA-256 tells nothing of it; no slow hash is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from filelock import FileLock
from limits import parse_many
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from geofix.engine.gallery.durable import replacing
from geofix.errors import Conflict, InvalidOption, NotFound
from service.auth.caller import LARGEST_CAP_KM, Caller, Scope

PREFIX = "gfx_"
_KEY = re.compile(r"(gfx_[a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_NOBODY = hashlib.sha256(b"no key has this hash").hexdigest()


def _limits(text: str) -> str:
    if text:
        parse_many(text)  # raises ValueError
    return text


class Secret(BaseModel):
    """One secret of a key; while it is being rotated a key has two."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    """Of the whole key, in hexadecimal."""
    expires_at: datetime | None = None

    def valid(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now < self.expires_at


class Key(BaseModel):
    """What is kept of one API key."""

    model_config = ConfigDict(frozen=True)

    id: str
    """The visible prefix."""
    name: str
    scopes: tuple[Scope, ...]
    cap_km: Annotated[FiniteFloat, Field(gt=0, le=LARGEST_CAP_KM)] | None = None
    limits: Annotated[str, AfterValidator(_limits)] = ""
    no_store: bool = False
    created_at: datetime
    revoked_at: datetime | None = None
    secrets: tuple[Secret, ...]

    def valid(self, now: datetime) -> bool:
        """Whether one of its secrets still opens anything."""
        return self.revoked_at is None and any(secret.valid(now) for secret in self.secrets)

    def caller(self) -> Caller:
        """Whoever shows this key."""
        return Caller(self.id, frozenset(self.scopes), self.cap_km, self.limits, self.no_store)


class _File(BaseModel):
    keys: tuple[Key, ...] = ()


class KeyRing:
    """The keys in one file, which other processes may change; a change holds from then on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_as: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def recognise(self, text: str, now: datetime | None = None) -> Caller | None:
        """The caller who shows this key; None for one that is unknown, expired or revoked.

        It takes the same time whatever part of the key is wrong.
        """
        now = now or datetime.now(UTC)
        match = _KEY.fullmatch(text)
        key = self.keys().get(match[1]) if match else None
        shown = hashlib.sha256(text.encode()).hexdigest()
        opened = [
            hmac.compare_digest(shown, secret.sha256) and secret.valid(now)
            for secret in (key.secrets if key else (Secret(sha256=_NOBODY),))
        ]
        return key.caller() if key and key.revoked_at is None and any(opened) else None

    def keys(self) -> dict[str, Key]:
        """Every key by id, read again when the file has changed. Raises Conflict when damaged."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return {}
        seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        if seen != self._read_as:
            try:
                kept = _File.model_validate_json(self._path.read_bytes())
            except ValidationError:
                raise Conflict("The file of API keys is damaged. Restore it.") from None
            self._keys, self._read_as = {key.id: key for key in kept.keys}, seen
        return self._keys

    def valid(self) -> list[Key]:
        """The keys that open something."""
        now = datetime.now(UTC)
        return [key for key in self.keys().values() if key.valid(now)]

    def create(
        self,
        name: str,
        scopes: frozenset[Scope],
        *,
        cap_km: float | None = None,
        limits: str = "",
        no_store: bool = False,
        lifetime: timedelta | None = None,
    ) -> tuple[Key, str]:
        """A new key and its text, which is not kept. Raises InvalidOption."""
        now = datetime.now(UTC)
        key_id = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(12))
        text, secret = _secret(key_id, now + lifetime if lifetime else None)
        try:
            key = Key(
                id=key_id,
                name=name,
                scopes=tuple(sorted(scopes)),
                cap_km=cap_km,
                limits=limits,
                no_store=no_store,
                created_at=now,
                secrets=(secret,),
            )
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise InvalidOption(f"{first['loc'][0]}: {first['msg']}.") from error
        self._change(lambda keys: {**keys, key.id: key})
        return key, text

    def rotate(
        self, key_id: str, *, grace: timedelta, lifetime: timedelta | None = None
    ) -> tuple[Key, str]:
        """A new text for a key; the old one opens for ``grace`` longer. Raises NotFound."""
        now = datetime.now(UTC)
        text, secret = _secret(key_id, now + lifetime if lifetime else None)

        def rotated(keys: dict[str, Key]) -> dict[str, Key]:
            key = _valid(keys, key_id, now)
            old = (
                Secret(sha256=s.sha256, expires_at=min(s.expires_at or now + grace, now + grace))
                for s in key.secrets
                if s.valid(now)
            )
            return {**keys, key_id: key.model_copy(update={"secrets": (*old, secret)})}

        return self._change(rotated)[key_id], text

    def revoke(self, key_id: str) -> Key:
        """Let a key open nothing any more, from now on. Raises NotFound."""
        now = datetime.now(UTC)

        def revoked(keys: dict[str, Key]) -> dict[str, Key]:
            key = _valid(keys, key_id, now)
            return {**keys, key_id: key.model_copy(update={"revoked_at": now})}

        return self._change(revoked)[key_id]

    def _change(self, change: Callable[[dict[str, Key]], dict[str, Key]]) -> dict[str, Key]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_name(f"{self._path.name}.lock"), timeout=10):
            changed = change(self.keys())
            text = _File(keys=tuple(changed.values())).model_dump_json(indent=2)
            with replacing(self._path) as written:
                written.touch(mode=0o600)
                written.write_text(text, "utf-8")
        return changed


def _secret(key_id: str, expires_at: datetime | None) -> tuple[str, Secret]:
    text = f"{key_id}_{secrets.token_urlsafe(32)}"
    return text, Secret(sha256=hashlib.sha256(text.encode()).hexdigest(), expires_at=expires_at)


def _valid(keys: dict[str, Key], key_id: str, now: datetime) -> Key:
    key = keys.get(key_id)
    if key is None or not key.valid(now):
        raise NotFound(f"There is no valid key {key_id[:40]!r}. `geofix keys list` names them.")
    return key
