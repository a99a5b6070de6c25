"""What is kept of a photo for a while, so that it can be asked again: never the photo itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np
from cachetools import TTLCache

from geofix.engine.generators.port import Generator
from geofix.engine.types import Channel, Degradation, Embedding, Photo, Prediction, Proposal
from geofix.errors import InvalidOption, NotFound

NEED_PHOTO = (Channel.TEXT, Channel.LMM)
"""Generators that look at pixels; the others work from the embedding."""
_NO_PIXELS = np.empty((0, 0, 3), dtype=np.uint8)
_OVERHEAD = 64
"""Bytes of an object, roughly: the bound is of the memory's order, not to the byte."""


@dataclass(frozen=True, slots=True)
class KeptPhoto:
    """What was seen of a photo."""

    photo: Photo
    """Without its pixels."""
    embedding: Embedding
    encoder: str
    """Whose embedding it is."""
    asked: frozenset[Channel]
    """Generators that could look at the pixels while they were there."""
    proposals: tuple[Proposal, ...]
    """Of those generators."""
    degraded: tuple[Degradation, ...]
    """Why those generators said less than they might."""

    @classmethod
    def of(
        cls,
        photo: Photo,
        embedding: Embedding,
        encoder: str,
        generators: Iterable[Generator],
        proposals: Sequence[Proposal],
        prediction: Prediction,
    ) -> KeptPhoto:
        """What is worth keeping of a photo that has been located."""
        return cls(
            photo=replace(photo, pixels=_NO_PIXELS),
            embedding=embedding,
            encoder=encoder,
            asked=frozenset(g.channel for g in generators) & frozenset(NEED_PHOTO),
            proposals=tuple(p for p in proposals if p.channel in NEED_PHOTO),
            degraded=tuple(d for d in prediction.degraded if d.channel in NEED_PHOTO),
        )

    def recall(
        self, generators: Sequence[Generator], *, by_name: bool
    ) -> tuple[tuple[Proposal, ...], tuple[Degradation, ...]]:
        """What those of the generators said that need the photo.

        One that was not asked while the photo was there is named as degraded. Where the caller
        asked for it by name, that is an InvalidOption.
        """
        wanted = {g.channel for g in generators if g.channel in NEED_PHOTO}
        missing = sorted(wanted - self.asked)
        if missing and by_name:
            raise InvalidOption(
                f"The generator {missing[0]} needs the photo, which is not kept, and was not "
                "asked in the first request. Send the photo again."
            )
        return (
            tuple(p for p in self.proposals if p.channel in wanted),
            (
                *(d for d in self.degraded if d.channel in wanted),
                *(Degradation(str(channel), "photo-not-kept") for channel in missing),
            ),
        )


class Kept:
    """What was seen of photos, by their answers' ids, for a limited time and in limited memory."""

    def __init__(self, *, seconds: float, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._photos: TTLCache[tuple[str, str], KeptPhoto] = TTLCache(
            memory_bytes, seconds, getsizeof=_size
        )

    def put(self, answer_id: str, account: str, photo: KeptPhoto) -> None:
        """Keep what was seen; where memory is short, the least recently used go."""
        if _size(photo) <= self._memory_bytes:
            self._photos[answer_id, account] = photo

    def get(self, answer_id: str, account: str) -> KeptPhoto:
        """What was seen for an answer to this account. Raises NotFound."""
        photo = self._photos.get((answer_id, account))
        if photo is None:
            raise NotFound(
                "Nothing is kept under this id: it was never asked to be, or its time is over. "
                "Send the photo again with keep=true."
            )
        return photo


def _size(value: object) -> int:
    """Bytes that a value holds, its parts included."""
    if isinstance(value, np.ndarray):
        return value.nbytes + _OVERHEAD
    if isinstance(value, str):
        return len(value) + _OVERHEAD
    if isinstance(value, tuple | frozenset):
        return sum(map(_size, value)) + _OVERHEAD
    if isinstance(value, dict):
        return sum(_size(k) + _size(v) for k, v in value.items()) + _OVERHEAD
    if is_dataclass(value):
        return sum(_size(getattr(value, part.name)) for part in fields(value)) + _OVERHEAD
    return _OVERHEAD
