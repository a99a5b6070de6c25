"""Photos under a prefix of an object store: ``s3://``, ``gs://`` or ``az://``.

They carry their position in EXIF, or an ``index.csv`` or ``index.parquet`` under the prefix names
them. The listing streams; of the photos a batch is in memory at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError

from geofix.engine.gallery.offers import Offer, Outcome
from geofix.engine.gallery.photo_uris import CLOUDS, read_uri, store_at
from geofix.errors import InvalidSource
from indexer.galleries.sources import INDEX_FILES, PHOTO_SUFFIXES, Defaults, Source, open_source

if TYPE_CHECKING:
    from obstore.store import ObjectStore


def is_store(text: str) -> bool:
    """Whether this is the address of an object store."""
    return urlsplit(text).scheme in CLOUDS


def open_store(url: str, defaults: Defaults) -> Source:
    """The photos under a prefix. Raises InvalidSource."""
    where = urlsplit(url)
    root = f"{where.scheme}://{where.netloc}"
    prefix = unquote(where.path).strip("/")
    try:
        store = store_at(root)
        for name in INDEX_FILES:
            path = f"{prefix}/{name}".lstrip("/")
            if (table := _get(store, path)) is not None:
                return _table(table, name, f"{root}/{prefix}".rstrip("/"), prefix, defaults)
    except (BaseError, ValueError) as error:
        raise InvalidSource("The object store does not answer, or knows no such bucket.") from error
    return Source(None, _photos(store, root, prefix, defaults))


def _get(store: ObjectStore, path: str) -> bytes | None:
    try:
        return bytes(obstore.get(store, path).bytes())
    except FileNotFoundError:
        return None


def _table(data: bytes, name: str, base: str, prefix: str, defaults: Defaults) -> Source:
    """The table's rows; their files lie in the store."""
    scratch = tempfile.TemporaryDirectory(prefix="geofix-")
    file = Path(scratch.name) / name
    file.write_bytes(data)
    if not defaults.prefix:
        last = prefix.rpartition("/")[2] or urlsplit(base).netloc
        defaults = Defaults(defaults.source, defaults.contributor, defaults.licence, last)

    def offers() -> Iterator[Offer | Outcome]:
        with scratch:
            for offer in open_source(file, defaults).offers:
                yield offer if isinstance(offer, Outcome) else _remote(offer, file.parent, base)

    return Source(None, offers())


def _remote(offer: Offer, folder: Path, base: str) -> Offer:
    local = offer.uri.removeprefix(folder.resolve().as_uri() + "/")
    uri = f"{base}/{local}"
    return replace(offer, uri=uri, read=partial(read_uri, uri))


def _photos(
    store: ObjectStore, root: str, prefix: str, defaults: Defaults
) -> Iterator[Offer | Outcome]:
    name = defaults.prefix or prefix.rpartition("/")[2] or urlsplit(root).netloc
    try:
        for page in obstore.list(store, prefix or None):
            for entry in page:
                path = str(entry["path"])
                if Path(path).suffix.lower() in PHOTO_SUFFIXES:
                    uri = f"{root}/{quote(path)}"
                    yield Offer(
                        key=f"{name}/{path.removeprefix(prefix).lstrip('/')}",
                        read=partial(read_uri, uri),
                        position=None,
                        source=defaults.source,
                        contributor=defaults.contributor,
                        licence=defaults.licence,
                        uri=uri,
                    )
    except BaseError as error:
        raise InvalidSource("The object store does not answer, or knows no such bucket.") from error
