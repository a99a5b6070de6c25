"""The object store, reduced to what jobs need, with our errors.

A folder, S3, GCS or Azure; all of them write an object whole or not at all, and can refuse to
write one that exists.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from geofix.engine.gallery.durable import sync_directory, sync_file
from geofix.errors import InvalidOption, StorageFull, Unavailable
from geofix.settings import Settings

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_FULL = re.compile(r"os error (28|27|122)\b|StorageFull|QuotaExceeded|InsufficientStorage")
"""ENOSPC, EFBIG and EDQUOT of a folder; what S3-compatible servers call it."""
_LISTED = 1000
RETRY: RetryConfig = {"max_retries": 8, "retry_timeout": timedelta(seconds=30)}
"""How long a cloud that answers with errors is asked again."""


class Objects:
    """Reads and writes objects by path. Raises Unavailable when the store does not answer."""

    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def of(cls, config: Settings) -> Objects:
        """The jobs' store of these settings; a folder is made."""
        if config.object_store_url:
            return cls.at(config.object_store_url)
        return cls.in_folder(config.data_dir / "objects")

    @classmethod
    def in_folder(cls, folder: Path) -> Objects:
        """A store in a folder, which is made."""
        return cls(LocalStore(folder, mkdir=True, automatic_cleanup=True), folder)

    @classmethod
    def at(cls, url: str) -> Objects:
        """The store at ``url``. Credentials come from the environment, as each cloud has them."""
        try:
            if url.startswith("file://"):
                return cls.in_folder(Path(unquote(urlsplit(url).path)))
            return cls(
                from_url(
                    url,
                    client_options={
                        "connect_timeout": "5s",
                        "read_timeout": "20s",
                        # Options given here replace those of the environment, this one included.
                        "allow_http": os.environ.get("AWS_ALLOW_HTTP") == "true",
                    },
                    retry_config=RETRY,
                )
            )
        except (BaseError, ValueError) as error:
            raise InvalidOption(
                "GEOFIX_OBJECT_STORE_URL is not understood. Use s3://, gs://, az:// or file://."
            ) from error

    async def create(self, path: str, data: bytes) -> bool:
        """Write an object unless there is one already; whether it was written.

        When this returns, it outlives a power failure. Raises StorageFull.
        """
        with _ours():
            try:
                await obstore.put_async(self._store, path, data, mode="create")
            except AlreadyExistsError:
                return False
            if self._folder is not None:  # clouds do this by themselves
                await asyncio.to_thread(_sync, self._folder / path)
        return True

    async def get(self, path: str) -> bytes | None:
        """A whole object, or None where there is none."""
        with _ours():
            try:
                result = await obstore.get_async(self._store, path)
                return bytes(await result.bytes_async())
            except FileNotFoundError:
                return None

    async def get_range(self, path: str, start: int, length: int) -> bytes | None:
        """Up to ``length`` bytes of an object; None where there is no such object.

        Of no bytes, or of those behind its end, stores say that there is no such range.
        """
        if length == 0:
            return b""
        with _ours():
            try:
                options: obstore.GetOptions = {"range": (start, start + length)}
                result = await obstore.get_async(self._store, path, options=options)
                return bytes(await result.bytes_async())
            except FileNotFoundError:
                return None
            except BaseError:
                size = await self.size(path)
                if size is not None and size <= start:
                    return b""
                raise

    async def size(self, path: str) -> int | None:
        """Of an object in bytes; None where there is none."""
        with _ours():
            try:
                return (await obstore.head_async(self._store, path))["size"]
            except FileNotFoundError:
                return None

    async def paths(self, prefix: str) -> AsyncIterator[tuple[str, float]]:
        """Every object below a prefix, with the time of its writing; in no order."""
        with _ours():
            async for batch in obstore.list(self._store, prefix, chunk_size=_LISTED):
                for meta in batch:
                    yield meta["path"], meta["last_modified"].timestamp()

    async def folders(self, prefix: str) -> list[str]:
        """The names right below a prefix."""
        with _ours():
            found = await obstore.list_with_delimiter_async(self._store, prefix)
        return [path.rsplit("/", 1)[-1] for path in found["common_prefixes"]]

    async def remove(self, *paths: str) -> None:
        """Remove objects; what is not there is no error."""
        await asyncio.gather(*(self._remove_one(path) for path in paths))

    async def remove_below(self, prefix: str) -> None:
        """Remove everything below a prefix."""
        batch: list[str] = []
        async for path, _ in self.paths(prefix):
            batch.append(path)
            if len(batch) == _LISTED:
                await self.remove(*batch)
                batch.clear()
        await self.remove(*batch)

    async def _remove_one(self, path: str) -> None:
        with _ours():
            try:
                await obstore.delete_async(self._store, path)
            except FileNotFoundError:
                return


def _sync(path: Path) -> None:
    sync_file(path)
    sync_directory(path.parent)


@contextmanager
def _ours() -> Iterator[None]:
    """Turn the store's errors into ours; what they say of paths stays here."""
    try:
        yield
    except (BaseError, OSError) as error:
        if _FULL.search(str(error)):
            raise StorageFull(
                "The store of jobs is full; nothing of this was kept. Tell the operator."
            ) from error
        raise Unavailable("The store of jobs does not answer. Try again.") from error
