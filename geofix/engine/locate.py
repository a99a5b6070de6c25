"""One photo in, one Prediction out: the stages in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from geofix.engine import image
from geofix.engine.batching import Batcher, Passing
from geofix.engine.choosing import background
from geofix.engine.choosing.conclude import Findings
from geofix.engine.concluding import concluded
from geofix.engine.consulting import consult
from geofix.engine.encoder import Encoder, LocationEncoder
from geofix.engine.eyes import Eye, Eyes, View, unseen
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.generators.attributes.generator import attribute_table
from geofix.engine.generators.chosen import Generators
from geofix.engine.generators.lmm import LmmGenerator
from geofix.engine.generators.lmm.breaker import State
from geofix.engine.generators.port import Generator
from geofix.engine.kept import NEED_PHOTO, Kept, KeptPhoto
from geofix.engine.location.space import LocationSpace
from geofix.engine.privacy import PrivacyPolicy
from geofix.engine.searching import cannot_compare, opened, search
from geofix.engine.stages import Observer, Stopwatch, propose_all
from geofix.engine.types import (
    Channel,
    Embedding,
    Filter,
    Float32Array,
    Float64Array,
    GalleryInfo,
    Lane,
    LocateOptions,
    Photo,
    Prediction,
    Rule,
)
from geofix.engine.watching import Watcher
from geofix.errors import ModelUnavailable
from geofix.geo.places import reverse
from geofix.settings import Settings

log = logging.getLogger(__name__)

_READING_PIXELS = 1280
"""Shortest side wanted by generators that read the photo's text."""


class Locator:
    """The engine of one process: it owns the model and opens galleries."""

    def __init__(
        self,
        batcher: Batcher,
        directory: DataDirectory,
        galleries: Galleries,
        generators: Generators,
        settings: Settings,
        space: LocationSpace,
        watch: Watcher,
        *,
        keeps_up: bool,
    ) -> None:
        """``keeps_up``: galleries grow while this process runs, and their bridges with them."""
        self.batcher = batcher
        self.space = space
        self.galleries = galleries
        self.eyes = Eyes(Eye(batcher, space), galleries, settings, watch, keeps_up=keeps_up)
        self._directory = directory
        self._generators = generators
        self._settings = settings
        self._watch = watch
        self._policy = PrivacyPolicy.named(settings.privacy_hook)
        self.courtesy = batcher.courtesy
        self._kept = Kept(seconds=settings.keep_s, memory_bytes=settings.keep_bytes)

    @classmethod
    async def open(
        cls, settings: Settings, *, role: str = "cli", watch: Watcher | None = None
    ) -> Locator:
        """An engine over the data directory of the settings.

        With the role ``service`` it owns the directory at once and warms up; a command owns it
        only where there is a gallery to read. With the role ``calibrate`` it owns the directory,
        too, and passes over the calibration that is to be replaced. Raises DataDirectoryBusy when
        another process owns it, ModelUnavailable when the encoder or its calibration cannot be
        loaded.
        """
        serves, watch = role == "service", watch or Watcher()
        directory = DataDirectory(settings.data_dir)
        if serves or role == "calibrate" or directory.names():
            await asyncio.to_thread(directory.acquire, f"geofix {role}")
        try:
            batcher = await asyncio.to_thread(Batcher.open, settings, warm=serves, watch=watch)
            galleries = Galleries(directory, settings)
            lmm = LmmGenerator.from_settings(settings, galleries.thumbnail, watch)
            generators = Generators(settings, lmm)
            space = await asyncio.to_thread(
                LocationSpace.open,
                batcher.encoder.card,
                galleries,
                settings,
                calibrated=role != "calibrate",
                keeps_up=serves,
            )
            locator = cls(
                *(batcher, directory, galleries, generators, settings, space, watch),
                keeps_up=serves,
            )
            if serves:
                await asyncio.to_thread(locator.warm_up)
                view = await locator.eyes.view((settings.gallery,))  # by an encoder of its own
                if settings.gallery in directory.names():
                    version = directory.card(settings.gallery).version
                    try:
                        await asyncio.to_thread(view.eye.space.warm_up, settings.gallery, version)
                    except ModelUnavailable as error:  # that gallery's answers will say so
                        log.warning("%s", error)
        except BaseException:
            directory.release()
            raise
        return locator

    @property
    def ready(self) -> bool:
        """Whether photos can be located now: not while a model that broke is opened anew."""
        return self.batcher.ready

    @property
    def encoder(self) -> Encoder:
        """The model that turns photos into vectors."""
        return self.batcher.encoder

    @property
    def lmm_circuit(self) -> State | None:
        """What the next call of the language model will meet; None without one."""
        return self._generators.circuit

    @property
    def location_encoder(self) -> LocationEncoder:
        """The one that belongs to the encoder, loaded when it is first asked for."""
        return self.space.encoder

    async def prepare(self, name: str, version: int) -> None:
        """Have what sees for a version of a gallery at work before that is used."""
        for card in self.galleries.versions(name):
            if card.version == version:
                eye = await self.eyes.of(card.encoder, warm=True)
                await asyncio.to_thread(eye.space.warm_up, name, version)

    def warm_up(self) -> None:
        """Do now what the first photo would wait for, but for the models that read text."""
        if self.encoder.card.aligned:
            _ = self.space.map
        background.background(Filter())
        attribute_table()
        reverse(48.85, 2.35)

    async def locate(
        self, data: bytes, options: LocateOptions, observe: Observer | None = None
    ) -> Prediction:
        """Where the photo in ``data`` (JPEG, PNG, WEBP; HEIF with its extra) was taken.

        Raises an InvalidPhoto for bytes that are no usable photo, InvalidOption for options that
        make no sense together, NotFound for a gallery that is not there. A generator or gallery
        that fails is named in ``Prediction.degraded`` instead. Raises Overloaded before any work
        when more photos are waiting than can be answered in time.
        """
        clock = Stopwatch(self._watch.stage, observe)
        cap_km = await self._policy.cap_km(data, options)
        with self.courtesy.present(options.lane):
            found = await self.find(data, options, clock)
            await self.courtesy.step_aside(options.lane)
            prediction = await concluded(found, options, clock)
        self._tell(prediction, options)
        if options.keep and cap_km is None:
            query = found.query
            kept = KeptPhoto.of(
                query.photo,
                query.embedding,
                found.encoder,
                self._generators.named(options.generators),
                found.proposals,
                prediction,
            )
            self._kept.put(prediction.id, options.account, kept)
        return replace(prediction, cap_km=cap_km, timings_ms=clock.total())

    async def find(self, data: bytes, options: LocateOptions, clock: Stopwatch) -> Findings:
        """Everything that an answer is concluded from; raises as ``locate`` does."""
        await self.courtesy.step_aside(options.lane)
        deadline = time.monotonic() + (options.budget_s or self._settings.budget_s)
        generators = self._generators.named(options.generators)
        view = await self._view(options.galleries, options.account)
        passing = view.eye.batcher.put(data, options.lane)
        photo = await clock.stage("decode", passing.photo(), _size)
        found, readable = await asyncio.gather(
            self._seen(view, photo, passing, options, clock),
            self._readable(photo, data, generators, clock),
        )
        query = replace(found.query, photo=readable, deadline=deadline)
        found = replace(found, query=query)
        await self.courtesy.step_aside(options.lane)
        local = [generator for generator in generators if generator.channel is not Channel.LMM]
        found = found.joined(*await propose_all(local, query, clock))
        lmm = self._generators.lmm
        if lmm is not None and lmm in generators:
            found = await consult(lmm, view, found, options, self._settings, clock)
        return found

    async def refine(self, answer_id: str, options: LocateOptions) -> Prediction:
        """Another answer for a photo that was located with ``keep``, without the photo.

        Raises NotFound for an id under which nothing is kept for this account, and InvalidOption
        also for a generator that needs the photo and was not asked while it was there.
        """
        clock = Stopwatch(self._watch.stage)
        generators = self._generators.named(options.generators)
        kept = self._kept.get(answer_id, options.account)
        recalled, degraded = kept.recall(generators, by_name="auto" not in options.generators)
        view = await self._view(options.galleries, options.account)
        if view.eye.name != kept.encoder:
            raise unseen(view.eye.name)
        found = await search(view, kept.photo, kept.embedding, options, self._settings, clock)
        found = replace(found, proposals=recalled, degraded=(*found.degraded, *degraded))
        others = [generator for generator in generators if generator.channel not in NEED_PHOTO]
        found = found.joined(*await propose_all(others, found.query, clock))
        prediction = await concluded(found, options, clock)
        self._tell(prediction, options)
        return replace(prediction, timings_ms=clock.total())

    async def check(self, options: LocateOptions) -> None:
        """Raise what ``locate`` would for these options, before any photo is looked at."""
        self.batcher.admit(options.lane)
        self._generators.named(options.generators)
        view = await self._view(options.galleries, options.account)
        found = await opened(view, options.galleries, self._settings)
        if options.rule is not Rule.GEOFIX and not await view.eye.space.reaches(found.infos):
            raise cannot_compare(view.eye.name, options.rule)
        await asyncio.to_thread(background.background, options.filter)

    async def galleries_of(self, options: LocateOptions) -> tuple[GalleryInfo, ...]:
        """The galleries that an answer would be searched in. Raises as ``locate`` does."""
        view = await self._view(options.galleries, options.account)
        return (await opened(view, options.galleries, self._settings)).infos

    async def embed_image(
        self, data: bytes, lane: Lane = Lane.INTERACTIVE, *, admitted: bool = False
    ) -> Embedding:
        """The encoder's vectors of one photo.

        Raises Overloaded as ``locate`` does, unless the caller was ``admitted`` before, and
        PhotoRefused or PrecisionCapped where the privacy policy lets no vector out.
        """
        await self._policy.cap_km(data)
        with self.courtesy.present(lane):
            passing = self.batcher.put(data, lane, admitted=admitted)
            embedding = await passing.embedding()
        return replace(embedding, sha256=passing.decoded.result().sha256)

    async def embed_location(self, latlon: Float64Array) -> Float32Array:
        """float32 [N, 512]: location vectors of (lat, lon) [N, 2] in degrees."""
        return await asyncio.to_thread(lambda: self.location_encoder.encode(latlon))

    def announce(self, address: str) -> None:
        """Tell other processes where the service around this engine answers."""
        self._directory.announce(address)

    async def close(self) -> None:
        """Close the galleries and give the data directory back."""
        await self._generators.close()
        await self.eyes.close()
        await self.galleries.close()
        self._directory.release()

    def _tell(self, prediction: Prediction, options: LocateOptions) -> None:
        """Have an answer counted, and what it had to do without."""
        for degradation in prediction.degraded:
            self._watch.degraded(degradation)
        self._watch.answered(prediction, options)

    async def _seen(
        self, view: View, photo: Photo, passing: Passing, options: LocateOptions, clock: Stopwatch
    ) -> Findings:
        """What the encoder and the galleries say of the photo."""
        embedding = await clock.stage("encode", passing.embedding())
        return await search(view, photo, embedding, options, self._settings, clock)

    async def _readable(
        self, photo: Photo, data: bytes, generators: Sequence[Generator], clock: Stopwatch
    ) -> Photo:
        """The photo in a size in which text can be read, where a generator reads."""
        enough = min(_READING_PIXELS, photo.width, photo.height)
        reads = any(generator.channel in NEED_PHOTO for generator in generators)
        if not reads or min(photo.pixels.shape[:2]) >= enough:
            return photo
        larger = asyncio.to_thread(lambda: image.decode(data, target=_READING_PIXELS))
        return await clock.stage("enlarge", larger, _size)

    async def _view(self, names: Sequence[str], account: str = "") -> View:
        return await self.eyes.view(names or (self._settings.gallery,), account)


def _size(photo: Photo) -> dict[str, object]:
    return {"width": photo.width, "height": photo.height, "format": photo.format}
