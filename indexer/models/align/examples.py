"""The photos that are trained on, as their frozen towers see them: encoded once, then kept."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from geofix.engine import image
from geofix.engine.encoder import Encoder
from geofix.engine.gallery.durable import sync_file
from geofix.engine.gallery.offers import Offer, Outcome
from geofix.engine.types import Float32Array, Float64Array, Photo
from geofix.errors import GeofixError, InvalidCoordinate, InvalidSource
from geofix.geo import cells
from geofix.geo.cells import Int64Array
from geofix.geo.coordinates import Coordinate
from geofix.geo.places import reverse
from indexer.galleries.sources import Defaults, open_source
from indexer.models.align.options import Options
from indexer.models.align.text import TextTower

BATCH = 16
FOLDER = "photos"
_DESCRIPTION = "photos.json"
_ARRAYS = ("latlon", "image", "text")


@dataclass(frozen=True, slots=True)
class Origin:
    """What the features were made of; a run goes on with the same only."""

    sources: tuple[str, ...]
    model: str
    model_sha256: str
    text_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Examples:
    """Photos with their features and positions; row i of everything is one photo."""

    origin: Origin
    keys: tuple[str, ...]
    licences: tuple[str, ...]
    """Each that occurs, once."""
    skipped: tuple[str, ...]
    """Photos that could not be used, each with its reason."""
    latlon: Float64Array
    """[N, 2] degrees."""
    image: Float32Array
    """[N, d], of the image tower, unit length."""
    text: Float32Array | None
    """[N, t], of the text tower on the captions."""

    def fingerprint(self) -> str:
        """Changes with any number or name in it."""
        digest = hashlib.sha256(repr((self.keys, self.origin.model_sha256)).encode())
        for array in (self.latlon, self.image, self.text):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def save(self, run: Path) -> None:
        """Into the run's folder, whole or not at all."""
        fresh = run / f"{FOLDER}.part"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        for name in _ARRAYS:
            array = getattr(self, name)
            if array is not None:
                np.save(fresh / f"{name}.npy", array, allow_pickle=False)
                sync_file(fresh / f"{name}.npy")
        described = {
            "origin": asdict(self.origin),
            "keys": self.keys,
            "licences": self.licences,
            "skipped": self.skipped,
        }
        (fresh / _DESCRIPTION).write_text(json.dumps(described), "utf-8")
        shutil.rmtree(run / FOLDER, ignore_errors=True)
        fresh.rename(run / FOLDER)

    @classmethod
    def read(cls, run: Path) -> Examples | None:
        """What :meth:`save` wrote; None where there is none."""
        folder = run / FOLDER
        if not folder.is_dir():
            return None
        described = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
        origin = described["origin"] | {"sources": tuple(described["origin"]["sources"])}
        text = folder / "text.npy"
        return cls(
            origin=Origin(**origin),
            keys=tuple(described["keys"]),
            licences=tuple(described["licences"]),
            skipped=tuple(described["skipped"]),
            latlon=np.load(folder / "latlon.npy"),
            image=np.load(folder / "image.npy"),
            text=np.load(text) if text.exists() else None,
        )


@dataclass(slots=True)
class _Drafts:
    keys: list[str] = field(default_factory=list)
    positions: list[tuple[float, float]] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    vectors: list[Float32Array] = field(default_factory=list)
    licences: set[str] = field(default_factory=set)
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Read:
    offer: Offer
    position: Coordinate
    photo: Photo


def encode(
    sources: Sequence[Path],
    encoder: Encoder,
    text: TextTower | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Examples:
    """Read, decode and encode every photo of ``sources``; ``progress`` is told done and total.

    What cannot be used is named in ``skipped``: damaged files, no position, the same file twice.
    Raises :class:`InvalidSource` where a source cannot be read or nothing is left.
    """
    opened = [open_source(source, Defaults()) for source in sources]
    total = sum(source.total or 0 for source in opened)
    drafts = _Drafts()
    batch: list[_Read] = []
    for done, read in enumerate(
        _readable((offer for source in opened for offer in source.offers), encoder, drafts), 1
    ):
        if read is not None:
            batch.append(read)
        if len(batch) == BATCH or done == total:
            _encode(batch, encoder, drafts)
            batch = []
            progress(done, total)
    if not drafts.keys:
        reason = f" ({drafts.skipped[0]})" if drafts.skipped else ""
        raise InvalidSource(f"None of the photos can be trained on{reason}.")
    return Examples(
        origin=origin(sources, encoder, text),
        keys=tuple(drafts.keys),
        licences=tuple(sorted(drafts.licences)),
        skipped=tuple(drafts.skipped),
        latlon=np.array(drafts.positions, dtype=np.float64),
        image=np.stack(drafts.vectors),
        text=None if text is None else text.encode(drafts.captions),
    )


def origin(sources: Sequence[Path], encoder: Encoder, text: TextTower | None) -> Origin:
    """What :func:`encode` would make the features of."""
    return Origin(
        sources=tuple(str(source.resolve()) for source in sources),
        model=encoder.name,
        model_sha256=encoder.card.sha256,
        text_sha256="" if text is None else text.sha256,
    )


def held_out(latlon: Float64Array, options: Options) -> tuple[Int64Array, Int64Array]:
    """Rows to train on and rows held out, int64 each, so that no S2 cell has rows in both.

    Cells come in random order, and each is held out that still fits into the share asked for.
    Raises :class:`InvalidSource` unless that gives two cells and leaves two photos.
    """
    ids = cells.cell_ids(latlon, options.cell_level)
    distinct, sizes = np.unique(ids, return_counts=True)
    room = options.hold_out * len(ids)
    chosen = []
    for i in np.random.default_rng(options.seed).permutation(len(distinct)):
        if sizes[i] <= room:
            chosen.append(distinct[i])
            room -= sizes[i]
    out = np.isin(ids, np.array(chosen, dtype=ids.dtype))
    if len(chosen) < 2 or np.count_nonzero(~out) < 2:
        raise InvalidSource(
            f"The photos lie in {len(distinct)} cells of level {options.cell_level}: too few to "
            "hold two of them out. Use more photos, a finer level or a larger share."
        )
    return np.flatnonzero(~out), np.flatnonzero(out)


def caption(at: Coordinate) -> str:
    """G3's sentence about a position: "A street view photo taken in CITY, STATE, COUNTRY"."""
    place = reverse(at.lat, at.lon)
    names = [name for name in (place.city, place.region, place.country_name) if name]
    return " taken in ".join(["A street view photo", *([", ".join(names)] if names else [])])


def _readable(
    offers: Iterator[Offer | Outcome], encoder: Encoder, drafts: _Drafts
) -> Iterator[_Read | None]:
    """Each offer decoded, or None where it was noted as skipped."""
    seen: set[str] = set()
    for offer in offers:
        if isinstance(offer, Outcome):
            drafts.skipped.append(f"{offer.key}: {offer.reason}")
            yield None
            continue
        try:
            read = _read(offer, encoder)
        except GeofixError as error:
            drafts.skipped.append(f"{offer.key}: {error}")
            yield None
            continue
        if read.photo.sha256 in seen:
            drafts.skipped.append(f"{offer.key}: The same file came before.")
            yield None
            continue
        seen.add(read.photo.sha256)
        yield read


def _read(offer: Offer, encoder: Encoder) -> _Read:
    try:
        data = offer.read()
    except OSError as error:
        raise InvalidSource(f"The file cannot be read ({error.strerror}).") from error
    position = image.read_position(data) if offer.position is None else Coordinate(*offer.position)
    if position is None:
        raise InvalidCoordinate("The photo does not say where it was taken.")
    return _Read(offer, position, image.decode(data, target=encoder.decode_target))


def _encode(batch: Sequence[_Read], encoder: Encoder, drafts: _Drafts) -> None:
    embeddings = encoder.encode([read.photo for read in batch])
    for read, embedding in zip(batch, embeddings, strict=True):
        drafts.keys.append(read.offer.key)
        drafts.positions.append((read.position.lat, read.position.lon))
        drafts.captions.append(read.offer.caption or caption(read.position))
        drafts.vectors.append(embedding.vector)
        if read.offer.licence:
            drafts.licences.add(read.offer.licence)
