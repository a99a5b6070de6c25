"""Encoders that see photos: the configured one, and those of galleries that hold other vectors.

A gallery may get a new encoder while the service runs. Each request sees by the encoder of the
galleries it searches, in the versions that were in use when it began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from geofix.engine import models
from geofix.engine.batching import Batcher
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.revector import encoder_card
from geofix.engine.location.space import LocationSpace
from geofix.engine.models import Kind
from geofix.engine.session import Session
from geofix.engine.types import GalleryInfo
from geofix.engine.watching import Watcher
from geofix.errors import GeofixError, InvalidOption, NotFound
from geofix.settings import Settings


@dataclass(frozen=True, slots=True)
class Eye:
    """One encoder at work, and the way from it to location space."""

    batcher: Batcher
    space: LocationSpace

    @property
    def name(self) -> str:
        """The encoder's."""
        return self.batcher.encoder.name


class Pinned:
    """The galleries of one request: each in the version that was in use when it was first asked.

    ``account`` is the caller's; another one's private galleries are as if they were not there.
    """

    def __init__(self, galleries: Galleries, account: str = "") -> None:
        self._galleries = galleries
        self._account = account
        self._open: dict[str, RecordedGallery] = {}

    def names(self) -> list[str]:
        """Names of the galleries, sorted."""
        return self._galleries.names()

    async def open(self, name: str) -> RecordedGallery:
        """As ``Galleries.open``."""
        if name not in self._open:
            self._galleries.require(name, self._account)
            self._open[name] = await self._galleries.open(name)
        return self._open[name]

    async def described(self, name: str) -> GalleryInfo:
        """As ``Galleries.described``."""
        return await self._galleries.described(name)

    def remember(self, info: GalleryInfo) -> None:
        """As ``Galleries.remember``."""
        self._galleries.remember(info)


@dataclass(frozen=True, slots=True)
class View:
    """What one request sees with, and what it searches."""

    eye: Eye
    galleries: Pinned


class Eyes:
    """Opens each encoder once, when a gallery needs it."""

    def __init__(
        self,
        first: Eye,
        galleries: Galleries,
        settings: Settings,
        watch: Watcher,
        *,
        keeps_up: bool,
    ) -> None:
        self._first = first
        self._galleries = galleries
        self._settings = settings
        self._watch = watch
        self._keeps_up = keeps_up
        self._open = {first.name: first}
        self._positions: dict[str, LocationEncoder] = {}
        self._opening = asyncio.Lock()

    def all(self) -> list[Eye]:
        """Every encoder at work, the configured one first."""
        return list(self._open.values())

    async def view(self, names: Sequence[str], account: str = "") -> View:
        """What a request that searches these galleries sees with.

        Where they cannot be opened, or no one encoder serves them, it is the configured one, and
        whoever opens them says what is wrong.
        """
        pinned = Pinned(self._galleries, account)
        encoders = set()
        for name in names:
            try:
                encoders.add((await (await pinned.open(name)).fixed()).encoder)
            except GeofixError:
                continue
        if len(encoders) != 1:
            return View(self._first, pinned)
        return View(await self.of(encoders.pop()), pinned)

    async def of(self, encoder: str, *, warm: bool = False) -> Eye:
        """The eye of an encoder; the configured one where there is none of that name."""
        if encoder in self._open:
            return self._open[encoder]
        try:
            card = encoder_card(encoder, self._settings.data_dir)
        except InvalidOption:
            return self._first
        if card.kind is not Kind.IMAGE:
            return self._first
        async with self._opening:
            if encoder not in self._open:
                self._open[encoder] = await asyncio.to_thread(self._opened, encoder, warm=warm)
            return self._open[encoder]

    def positions(self, encoder: str) -> LocationEncoder:
        """The location encoder of this name, loaded when it is first asked for.

        Raises InvalidOption for a model that takes no positions. Waits for the disk.
        """
        if encoder not in self._positions:
            card = encoder_card(encoder, self._settings.data_dir)
            if card.kind is not Kind.LOCATION:
                raise InvalidOption(f"The encoder {encoder!r} takes photos: send their vectors.")
            session = Session.open(card, self._settings.threads)
            self._positions[encoder] = LocationEncoder(card, session)
        return self._positions[encoder]

    async def close(self) -> None:
        """Close all of them."""
        for eye in self.all():
            await asyncio.to_thread(eye.batcher.close)
            await eye.space.close()

    def _opened(self, encoder: str, *, warm: bool) -> Eye:
        settings = self._settings.model_copy(update={"model": encoder})
        card = models.find(encoder, settings.data_dir)
        space = LocationSpace.open(
            *(card, self._galleries, settings),
            calibrated=True,
            keeps_up=self._keeps_up,
            beside=self._first.space,
        )
        batcher = Batcher.open(
            settings, warm=warm, watch=self._watch, courtesy=self._first.batcher.courtesy
        )
        return Eye(batcher, space)


def unseen(encoder: str) -> NotFound:
    """The error of a photo that was kept as an encoder saw it which its gallery no longer has."""
    return NotFound(
        f"The gallery's encoder is {encoder!r} now, by which this photo has not been seen. Send "
        "the photo again."
    )
