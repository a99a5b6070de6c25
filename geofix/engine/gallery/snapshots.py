"""Snapshots: one file that holds a gallery's version in use, and from which it is made again.

A snapshot is a tar of the gallery's card, the version's card, the Parquet manifest, the labelled
photos, the bridge and the thumbnails. It holds no index: that is built from the manifest.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from geofix.engine.gallery import canaries, versions
from geofix.engine.gallery.directory import GalleryCard
from geofix.engine.gallery.durable import sync_directory
from geofix.engine.gallery.ledger import LOG, MANIFEST
from geofix.engine.gallery.records import parquet_reader, parquet_writer, schema
from geofix.engine.gallery.sealed import SealedReader, SealedWriter
from geofix.engine.gallery.versions import CARD, VersionCard, VersionState
from geofix.errors import InvalidSource, NotFound

_GALLERY = "gallery.json"
_BRIDGE = "bridge.npz"
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
    with SealedWriter(to) as writer:
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
        with SealedReader(snapshot) as sealed:
            card = GalleryCard(**json.loads(sealed.read(_GALLERY)))
            version = versions.load(sealed.read(CARD))
            where = versions.folder(gallery, card.version)
            where.mkdir()
            for name in sealed.names:
                to = _destination(name, gallery, where, card)
                if to is not None:
                    sealed.extract(name, to)
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
    with SealedReader(path, checked=False) as sealed, SealedWriter(path) as writer:
        for name in sealed.names:  # the manifest comes before the thumbnails
            data = sealed.read(name)
            if name in _PARQUETS:
                data, theirs = _without(data, contributor)
                gone.update(theirs)
                held = held or bool(theirs)
            if Path(name).stem in gone and name.startswith(_THUMBNAILS):
                held = True
            else:
                writer.add(name, data)
        writer.unwanted = not held
    return held


def _without(data: bytes, contributor: str) -> tuple[bytes, list[str]]:
    """A Parquet file without a contributor's rows, and the ids of those."""
    out, theirs = io.BytesIO(), []
    with parquet_reader(io.BytesIO(data)) as file:
        kept = file.schema_arrow
        with parquet_writer(out, kept) as writer:
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
    with parquet_reader(where / MANIFEST) as file:
        if not file.schema_arrow.equals(schema(card.dimension)):
            raise ValueError("the manifest has other columns")
        for _ in file.iter_batches(_ROWS):  # reads every page: a damaged one raises
            pass


def _fresh(version: VersionCard) -> VersionCard:
    return replace(version, state=VersionState.ACTIVE, follows=0, in_step=None)
