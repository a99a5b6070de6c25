"""Snapshots: one file that holds a gallery's version in use, and from which it is made again.

A snapshot is a tar of the gallery's card, the version's card, the Parquet manifest, the labelled
photos, the bridge and the thumbnails. It holds no index: that is built from the manifest. Its last
member holds the sha256 of all others.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from geofix.engine.gallery import canaries, versions
from geofix.engine.gallery.directory import GalleryCard
from geofix.engine.gallery.durable import sync_directory, sync_file
from geofix.engine.gallery.ledger import LOG, MANIFEST
from geofix.engine.gallery.records import schema
from geofix.engine.gallery.versions import CARD, VersionCard, VersionState
from geofix.errors import InvalidSource, NotFound

_GALLERY = "gallery.json"
_BRIDGE = "bridge.npz"
_SUMS = "sha256.json"
_PART = 2**20
_THUMBNAILS = "thumbnails/"
_PARQUETS = (MANIFEST, canaries.FILE)
_THUMBNAIL = re.compile(r"thumbnails/[0-9a-f]{2}/[0-9a-f-]{36}\.jpg")
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-v[0-9]{1,9}")
_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot of a gallery."""

    name: str
    bytes: int


def listed(folder: Path) -> list[Snapshot]:
    """The snapshots in a gallery's folder of them, oldest first."""
    found = sorted(path for path in folder.glob("*.tar") if _NAME.fullmatch(path.stem))
    return [Snapshot(path.stem, path.stat().st_size) for path in found]


def path_of(folder: Path, name: str) -> Path:
    """The file of a snapshot. Raises NotFound."""
    path = folder / f"{name}.tar"
    if not _NAME.fullmatch(name) or not path.exists():
        raise NotFound(f"There is no snapshot {name[:80]!r}.")
    return path


def write(gallery: Path, card: GalleryCard, to: Path) -> None:
    """Write the version in use, whose ledger has been compacted, to the file ``to``."""
    where = versions.folder(gallery, card.version)
    version = versions.read(gallery, card.version)
    parts = {name: where / name for name in _PARQUETS}
    parts[_BRIDGE] = gallery / f"bridge.v{card.version}.npz"
    for picture in sorted((gallery / "thumbnails").rglob("*.jpg")):
        parts[picture.relative_to(gallery).as_posix()] = picture
    to.parent.mkdir(parents=True, exist_ok=True)
    with _Writer(to) as writer:
        writer.add(_GALLERY, json.dumps(asdict(card)).encode())
        writer.add(CARD, versions.dump(version).encode())
        for name, path in parts.items():
            if path.exists():
                writer.add(name, path)


def unpack(snapshot: Path, gallery: Path) -> GalleryCard:
    """Make the folder ``gallery``, which there is not yet, from a snapshot.

    The card is returned, not written: with it the gallery begins to be there. Raises
    InvalidSource for a file that is no snapshot, or a damaged one.
    """
    gallery.mkdir(parents=True)
    try:
        with tarfile.open(snapshot, "r:") as tar:
            held = {member.name: member for member in tar if member.isreg()}
            _verify(tar, held)
            card = GalleryCard(**json.loads(_read(tar, held, _GALLERY)))
            version = versions.load(_read(tar, held, CARD))
            where = versions.folder(gallery, card.version)
            where.mkdir()
            for name, member in held.items():
                to = _destination(name, gallery, where, card)
                if to is not None:
                    to.parent.mkdir(parents=True, exist_ok=True)
                    _extract(tar, member, to)
        _check(where, card, version)
        versions.write(gallery, _fresh(version))
        (where / LOG).touch()
        sync_directory(where)
    except (OSError, ValueError, TypeError, KeyError, tarfile.TarError, pa.ArrowException) as error:
        shutil.rmtree(gallery, ignore_errors=True)
        raise InvalidSource("This is no snapshot of a gallery, or it is damaged.") from error
    return card


def erase(folder: Path, contributor: str, ids: frozenset[str]) -> list[str]:
    """Write the snapshots that hold photos of a contributor anew without them; their names.

    ``ids`` are photos of theirs that are known from elsewhere.
    """
    for left in folder.glob("*.writing"):
        left.unlink()
    changed = []
    for snapshot in listed(folder):
        if _rewrite(folder / f"{snapshot.name}.tar", contributor, ids):
            changed.append(snapshot.name)
    return changed


def _rewrite(path: Path, contributor: str, ids: frozenset[str]) -> bool:
    gone = set(ids)
    held = False
    with tarfile.open(path, "r:") as tar, _Writer(path) as writer:
        for member in tar:  # the manifest comes before the thumbnails
            source = tar.extractfile(member)
            if source is None or member.name == _SUMS:
                continue
            data = source.read()
            if member.name in _PARQUETS:
                data, theirs = _without(data, contributor)
                gone.update(theirs)
                held = held or bool(theirs)
            if Path(member.name).stem in gone and member.name.startswith(_THUMBNAILS):
                held = True
            else:
                writer.add(member.name, data)
        writer.unwanted = not held
    return held


def _without(data: bytes, contributor: str) -> tuple[bytes, list[str]]:
    """A Parquet file without a contributor's rows, and the ids of those."""
    out, theirs = io.BytesIO(), []
    with pq.ParquetFile(io.BytesIO(data)) as file:
        kept = file.schema_arrow
        with pq.ParquetWriter(out, kept, compression="zstd") as writer:
            for batch in file.iter_batches(_ROWS):
                same = pc.equal(batch.column("contributor"), pa.scalar(contributor))
                theirs += [str(id_) for id_ in batch.filter(same).column("id").to_pylist()]
                writer.write_batch(batch.filter(pc.invert(same)))
    return out.getvalue(), theirs


def _destination(name: str, gallery: Path, where: Path, card: GalleryCard) -> Path | None:
    """Where a member goes; None for one that snapshots do not hold."""
    if name in _PARQUETS:
        return where / name
    if name == _BRIDGE:
        return gallery / f"bridge.v{card.version}.npz"
    return gallery / name if _THUMBNAIL.fullmatch(name) else None


def _check(where: Path, card: GalleryCard, version: VersionCard) -> None:
    """Raise ValueError unless the parts fit each other."""
    if (card.version, card.encoder, card.dimension) != (
        version.version,
        version.encoder,
        version.dimension,
    ):
        raise ValueError("the cards differ")
    with pq.ParquetFile(where / MANIFEST) as file:
        if not file.schema_arrow.equals(schema(card.dimension)):
            raise ValueError("the manifest has other columns")
        for _ in file.iter_batches(_ROWS):  # reads every page: a damaged one raises
            pass


def _fresh(version: VersionCard) -> VersionCard:
    return replace(version, state=VersionState.ACTIVE, follows=0, in_step=None)


def _read(tar: tarfile.TarFile, held: dict[str, tarfile.TarInfo], name: str) -> bytes:
    source = tar.extractfile(held[name])
    assert source is not None  # noqa: S101 - only regular files are held
    return source.read()


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, to: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None  # noqa: S101 - only regular files are held
    with to.open("wb") as file:
        shutil.copyfileobj(source, file)
        file.flush()
        os.fsync(file.fileno())


def _verify(tar: tarfile.TarFile, held: dict[str, tarfile.TarInfo]) -> None:
    """Raise ValueError unless every member is as it was written, and none is missing."""
    sums: dict[str, str] = json.loads(_read(tar, held, _SUMS))
    for name, expected in sums.items():
        source = tar.extractfile(held[name])
        assert source is not None  # noqa: S101 - only regular files are held
        digest = hashlib.sha256()
        while part := source.read(_PART):
            digest.update(part)
        if digest.hexdigest() != expected:
            raise ValueError("a member is damaged")


class _Writer:
    """Writes a snapshot beside its place, and puts it there when it is whole."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self._written = to.with_name(f"{to.name}.writing")
        self._tar = tarfile.open(self._written, "w")  # noqa: SIM115 - closed by __exit__
        self._sums: dict[str, str] = {}
        self.unwanted = False
        """Whether what was there before stays."""

    def add(self, name: str, data: bytes | Path) -> None:
        """Add a member, without owner, mode or time: who takes a snapshot is nobody's business."""
        member = tarfile.TarInfo(name)
        if isinstance(data, bytes):
            member.size = len(data)
            self._sums[name] = hashlib.sha256(data).hexdigest()
            self._tar.addfile(member, io.BytesIO(data))
            return
        with data.open("rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            self._sums[name] = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            self._tar.addfile(member, file)

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
        if kind is not None or self.unwanted:
            self._written.unlink()
            return
        sync_file(self._written)
        self._written.replace(self._to)
        sync_directory(self._to.parent)
