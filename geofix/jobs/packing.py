"""Putting a job's photos into the store, many to an object, in bounded memory.

A job of 50 000 photos is some 6 000 input objects, not 50 000: see docs/decisions.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from pydantic import TypeAdapter

from geofix.jobs.objects import Objects
from geofix.jobs.types import Item, Source

PACK_BYTES = 16 * 2**20
"""A chunk is closed when its photos together are at least this large."""

_ITEMS = TypeAdapter(tuple[Item, ...])


@dataclass(frozen=True, slots=True)
class Packed:
    """What was put into the store."""

    items: int
    chunks: int
    bytes: int


class Packer:
    """Collects photos into chunks and writes each chunk when it is full.

    With ``objects`` None nothing is written: what came is only counted and fingerprinted.
    """

    def __init__(self, objects: Objects | None, folder: str, chunk_items: int) -> None:
        self._objects = objects
        self._folder = folder
        self._chunk_items = chunk_items
        self._items: list[Item] = []
        self._pack = bytearray()
        self._count = 0
        self._chunks = 0
        self._bytes = 0
        self._digest = hashlib.sha256()

    @property
    def items(self) -> int:
        """Photos that were added."""
        return self._count

    @property
    def size(self) -> int:
        """Their bytes."""
        return self._bytes

    async def add(self, custom_id: str, photo: bytes) -> None:
        """Take a photo. Raises StorageFull, Unavailable."""
        digest = await asyncio.to_thread(hashlib.sha256, photo)
        start = len(self._pack)
        path = f"{self._folder}/{self._chunks:06d}.bin"
        if self._objects is not None:
            self._pack += photo
        self._bytes += len(photo)
        await self._append(custom_id, Source(path, start, len(photo)), digest.hexdigest())

    async def add_reference(self, custom_id: str, source: Source) -> None:
        """Take a photo that stays where it lies."""
        await self._append(custom_id, source, f"{source.prefix} {source.path}")

    async def close(self) -> Packed:
        """Write what is left."""
        await self._flush()
        return Packed(self._count, self._chunks, self._bytes)

    def fingerprint(self, parameters: str) -> str:
        """SHA-256 over all photos and their names, and over the job's parameters."""
        digest = self._digest.copy()
        digest.update(parameters.encode())
        return digest.hexdigest()

    async def _append(self, custom_id: str, source: Source, content: str) -> None:
        self._items.append(Item(self._count, custom_id, source))
        self._digest.update(f"{len(custom_id)} {custom_id} {content}\n".encode())
        self._count += 1
        if len(self._items) >= self._chunk_items or len(self._pack) >= PACK_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        if not self._items:
            return
        if self._objects is not None:
            name = f"{self._folder}/{self._chunks:06d}"
            if self._pack:
                await self._objects.create(f"{name}.bin", bytes(self._pack))
            await self._objects.create(f"{name}.json", _ITEMS.dump_json(tuple(self._items)))
        self._items.clear()
        self._pack.clear()
        self._chunks += 1
