"""The audit: who asked what, and how precisely they were answered.

One JSON line for each answer, appended to a file of its UTC day in ``audit/`` in the data
directory. Of the photo there is a keyed HMAC of its hash: whoever holds the key and a photo can
tell whether it was asked about, and nobody else learns anything. Days beyond the retention are
removed when a new one begins.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from geofix.errors import StorageFull
from geofix.settings import Settings

_KEY_BYTES = 32

Action = Literal["locate", "refine", "embed", "job"]


class Entry(BaseModel):
    """One line of the audit."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    request: str
    """The request's id."""
    account: str
    """The key's id, ``oidc-…`` or ``local``."""
    action: Action
    photo: str = ""
    """HMAC-SHA-256 of the photo's SHA-256, in hexadecimal; empty where there is no photo."""
    options: dict[str, str] = {}
    radius_90_km: float | None = None
    """As it was told; None where no answer was."""


@dataclass(slots=True)
class _Lines:
    """Entries that are appended together, each with its photo's SHA-256."""

    entries: list[tuple[Entry, str]] = field(default_factory=list)
    appending: asyncio.Task[None] | None = None


class Audit:
    """Appends to the audit of one data directory. One process writes."""

    def __init__(self, config: Settings) -> None:
        self._folder = config.data_dir / "audit"
        self._days = config.audit_days
        self._is_on = config.audit
        self._key = config.audit_key.get_secret_value().encode()
        self._open_day: Path | None = None
        self._one_at_a_time = asyncio.Lock()
        self._next = _Lines()
        """Entries that come while others are appended: a thread takes them all at once."""

    async def record(
        self,
        action: Action,
        *,
        request: str,
        account: str,
        sha256: str = "",
        options: dict[str, str] | None = None,
        radius_90_km: float | None = None,
    ) -> None:
        """Append one entry; it has left this process when this returns. Raises StorageFull."""
        if not self._is_on:
            return
        entry = Entry(
            at=datetime.now(UTC),
            request=request,
            account=account,
            action=action,
            options=options or {},
            radius_90_km=radius_90_km,
        )
        mine = self._next
        mine.entries.append((entry, sha256))
        if mine.appending is None:
            mine.appending = asyncio.create_task(self._append_in_turn(mine))
            mine.appending.add_done_callback(_heard)
        # Whoever asked may give up waiting; the others of these lines must not.
        await asyncio.shield(mine.appending)

    def photo(self, sha256: str) -> str:
        """What the audit calls a photo of this hash."""
        if not self._key:
            self._key = _kept_key(self._folder / "key")
        return hmac.digest(self._key, bytes.fromhex(sha256), "sha256").hex()

    def entries(self, since: date | None = None, until: date | None = None) -> Iterator[Entry]:
        """The entries of days from ``since`` to ``until``, both included, in order."""
        for path, day in self._files():
            if (since is None or day >= since) and (until is None or day <= until):
                with path.open("rb") as lines:
                    for line in lines:
                        try:
                            yield Entry.model_validate_json(line)
                        except ValidationError:
                            continue  # cut off by a crash, or the line that ends such a one

    async def _append_in_turn(self, lines: _Lines) -> None:
        async with self._one_at_a_time:
            self._next = _Lines()
            await asyncio.to_thread(self._append, lines.entries)

    def _append(self, entries: Sequence[tuple[Entry, str]]) -> None:
        try:
            for day, of_day in groupby(entries, key=lambda one: one[0].at.date()):
                self._append_to(day, b"".join(self._line(*one) for one in of_day))
        except OSError as error:
            self._open_day = None  # its last line may have been cut off
            raise StorageFull("The audit cannot be written, so nothing is answered.") from error

    def _append_to(self, day: date, lines: bytes) -> None:
        path = self._folder / f"{day}.jsonl"
        if path != self._open_day:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._forget(day)
            lines = b"\n" + lines  # ends a line that a crash has cut off
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(file, lines) < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)
        self._open_day = path

    def _line(self, entry: Entry, sha256: str) -> bytes:
        if sha256:
            entry = entry.model_copy(update={"photo": self.photo(sha256)})
        return entry.model_dump_json().encode() + b"\n"

    def _forget(self, today: date) -> None:
        if self._days:
            for path, day in self._files():
                if day <= today - timedelta(days=self._days):
                    path.unlink(missing_ok=True)

    def _files(self) -> list[tuple[Path, date]]:
        found = sorted(self._folder.glob("????-??-??.jsonl"))
        return [(path, date.fromisoformat(path.stem)) for path in found]


def _heard(appended: asyncio.Task[None]) -> None:
    """Its error is for those who still wait; where nobody does, it is nobody's."""
    if not appended.cancelled():
        appended.exception()


def _kept_key(path: Path) -> bytes:
    """The key in a file that its owner alone may read; made when there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(file, "wb") as made:
        made.write(secrets.token_bytes(_KEY_BYTES))
        made.flush()
        os.fsync(made.fileno())
    return path.read_bytes()
