"""Tars that say of themselves whether they are whole: the last member has the sha256 of all others.

Snapshots of galleries and backups of whole data directories are such files.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from geofix.engine.gallery.durable import sync_directory, sync_file

_SUMS = "sha256.json"
_PART = 2**20


class SealedReader:
    """Reads such a file.

    Opening it raises TarError or KeyError where it is none, and ValueError where it is not as it
    was written, unless that need not be ``checked``.
    """

    def __init__(self, file: Path, *, checked: bool = True) -> None:
        self._tar = tarfile.open(file, "r:")  # noqa: SIM115 - closed by __exit__
        try:
            self._members = {member.name: member for member in self._tar if member.isreg()}
            sums: dict[str, str] = json.loads(self.read(_SUMS))
            del self._members[_SUMS]
            if checked:
                self._check(sums)
        except BaseException:
            self._tar.close()
            raise

    @property
    def names(self) -> list[str]:
        """The members, in the order in which they were added."""
        return [*self._members]

    def read(self, name: str) -> bytes:
        """A member. Raises KeyError."""
        return self._open(name).read()

    def extract(self, name: str, to: Path) -> None:
        """Write a member to a file, which only its owner may read; it is on the disk then."""
        to.parent.mkdir(parents=True, exist_ok=True)
        with open(to, "wb", opener=_for_its_owner) as file:
            shutil.copyfileobj(self._open(name), file)
            file.flush()
            os.fsync(file.fileno())

    def _open(self, name: str) -> BinaryIO:
        source = self._tar.extractfile(self._members[name])
        assert source is not None  # noqa: S101 - only regular files are held
        return cast("BinaryIO", source)

    def _check(self, sums: dict[str, str]) -> None:
        if sums.keys() != self._members.keys():
            raise ValueError("members are missing, or were added")
        if any(self._sum(name) != expected for name, expected in sums.items()):
            raise ValueError("a member is damaged")

    def _sum(self, name: str) -> str:
        digest, source = hashlib.sha256(), self._open(name)
        while part := source.read(_PART):
            digest.update(part)
        return digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tar.close()


class SealedWriter:
    """Writes such a file beside its place, and puts it there when it is whole."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self._written = to.with_name(f"{to.name}.writing")
        self._file = open(self._written, "wb", opener=_for_its_owner)  # noqa: SIM115
        self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115 - closed by __exit__
        self._sums: dict[str, str] = {}
        self.unwanted = False
        """Whether what was there before stays."""

    def add(self, name: str, data: bytes | Path) -> None:
        """Add a member, without owner, mode or time: who writes it is nobody's business.

        Of a file that grows meanwhile, what it held at first is added.
        """
        if isinstance(data, bytes):
            self._add(name, io.BytesIO(data), len(data))
            return
        with data.open("rb") as file:
            self._add(name, file, os.fstat(file.fileno()).st_size)

    def _add(self, name: str, source: BinaryIO, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size = size
        summing = _Summing(source)
        self._tar.addfile(member, summing)
        self._sums[name] = summing.digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.add(_SUMS, json.dumps(self._sums).encode())
        self._tar.close()
        self._file.close()
        if kind is not None or self.unwanted:
            self._written.unlink()
            return
        sync_file(self._written)
        self._written.replace(self._to)
        sync_directory(self._to.parent)


class _Summing(io.RawIOBase):
    """Reads on from another file, and sums what it has read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        part = self._source.read(size)
        self.digest.update(part)
        return part


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
