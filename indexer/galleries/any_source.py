"""A source by what somebody types: a folder, a table, archives, a store, or a plug-in's own.

A package adds a kind of source by an entry point of the group ``geofix.sources``. Its name is the
scheme: ``mapillary = "package.module:open"`` takes ``mapillary:…``. It is called with the text
and ``Defaults`` and returns a ``Source``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from geofix.errors import InvalidSource
from indexer.galleries.shards import SUFFIXES, open_shards
from indexer.galleries.sources import INDEX_FILES, Defaults, Source, open_source
from indexer.galleries.stores import is_store, open_store

GROUP = "geofix.sources"


def open_any(text: str, defaults: Defaults) -> Source:
    """The photos of a source. Raises InvalidSource."""
    scheme, colon, _ = text.partition(":")
    for plug_in in entry_points(group=GROUP):
        if colon and plug_in.name == scheme:
            source = plug_in.load()(text, defaults)
            if not isinstance(source, Source):
                raise InvalidSource(f"The plug-in {scheme!r} returned no source.")
            return source
    if is_store(text):
        return open_store(text, defaults)
    path = Path(text)
    if path.suffix.lower() in SUFFIXES or _holds_archives(path):
        return open_shards(path, defaults)
    return open_source(path, defaults)


def _holds_archives(path: Path) -> bool:
    """Whether a folder is one of archives: it has some, and no table that names its files."""
    if not path.is_dir() or any((path / name).is_file() for name in INDEX_FILES):
        return False
    return any(file.suffix.lower() in SUFFIXES for file in path.rglob("*"))
