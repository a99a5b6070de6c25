"""One photo in, one Prediction out: the stages in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from geofix.engine import answer, background, image, models, pooling, verify
from geofix.engine.encoder import Encoder, LocationEncoder
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.port import Gallery
from geofix.engine.generators.attributes import AttributesGenerator, attribute_table
from geofix.engine.generators.port import Generator
from geofix.engine.generators.text import TextGenerator
from geofix.engine.stages import Observer, Stopwatch, propose_all
from geofix.engine.types import (
    LEVELS_KM,
    Channel,
    Degradation,
    Embedding,
    Filter,
    Float32Array,
    Float64Array,
    GalleryInfo,
    LocateOptions,
    Neighbour,
    Photo,
    PhotoInfo,
    Prediction,
    Proposal,
    Query,
)
from geofix.errors import Conflict, InvalidOption
from geofix.geo.places import reverse
from geofix.settings import Settings

_READING_PIXELS = 1280
"""Shortest side wanted by generators that read the photo's text."""
_READERS = (Channel.TEXT, Channel.LMM)


class Locator:
    """The engine of one process: it owns the model and opens galleries."""

    def __init__(
        self,
        encoder: Encoder,
        directory: DataDirectory,
        generators: Sequence[Generator],
        settings: Settings,
    ) -> None:
        self.encoder = encoder
        self.galleries = Galleries(directory)
        self.ready = False
        self._directory = directory
        self._generators = {str(g.channel): g for g in generators}
        self._settings = settings

    @classmethod
    async def open(cls, settings: Settings, *, role: str = "cli") -> Locator:
        """An engine over the data directory of the settings.

        With the role ``service`` it owns the directory at once and warms up; a command owns it
        only where there is a gallery to read. Raises DataDirectoryBusy when another process owns
        it, ModelUnavailable when the encoder cannot be loaded.
        """
        directory = DataDirectory(settings.data_dir)
        if role == "service" or directory.names():
            await asyncio.to_thread(directory.acquire, f"geofix {role}")
        try:
            card = models.find(settings.model, settings.data_dir)
            encoder = await asyncio.to_thread(Encoder.load, card, settings.threads)
            generators = [
                TextGenerator(settings.text_budget_s),
                AttributesGenerator(settings.attributes_budget_s),
            ]
            locator = cls(encoder, directory, generators, settings)
            if role == "service":
                await asyncio.to_thread(locator.warm_up)
        except BaseException:
            directory.release()
            raise
        locator.ready = True
        return locator

    @property
    def encoder_name(self) -> str:
        """Name of the model that turns photos into vectors."""
        return self.encoder.name

    @cached_property
    def location_encoder(self) -> LocationEncoder:
        """GeoCLIP's location encoder, loaded when it is first asked for."""
        return LocationEncoder.load(threads=self._settings.threads)

    def warm_up(self) -> None:
        """Do now what the first photo would wait for; reading text warms up by itself."""
        self.encoder.warm_up()
        background.background(Filter())
        background.cell_countries()
        attribute_table()
        reverse(0.0, 0.0)

    async def locate(
        self, data: bytes, options: LocateOptions, observe: Observer | None = None
    ) -> Prediction:
        """Where the photo in ``data`` (JPEG, PNG, WEBP; HEIF with its extra) was taken.

        Raises an InvalidPhoto for bytes that are no usable photo, InvalidOption for options that
        make no sense together, NotFound for a gallery that is not there. A generator or gallery
        that fails is named in ``Prediction.degraded`` instead.
        """
        clock = Stopwatch(observe)
        generators = self._chosen(options)
        photo = await clock.stage("decode", asyncio.to_thread(self._decode, data), _size)
        embedding = await clock.stage("encode", asyncio.to_thread(self._encode, photo))
        galleries, infos = await self._open(options.galleries)
        neighbours = await clock.stage(
            "search", _search(galleries, embedding, options), lambda found: {"found": len(found)}
        )
        query = Query(photo, embedding, neighbours, options.filter)
        if any(generator.channel in _READERS for generator in generators):
            query = replace(query, photo=await asyncio.to_thread(self._decode_to_read, data))
        proposals, degraded = await propose_all(generators, query, clock)
        prediction = await clock.stage(
            "posterior",
            asyncio.to_thread(
                self._conclude, query, proposals, tuple(degraded), infos, options, clock
            ),
        )
        return replace(prediction, timings_ms=clock.total())

    async def embed_image(self, data: bytes) -> Embedding:
        """The encoder's vectors of one photo."""
        photo = await asyncio.to_thread(self._decode, data)
        return await asyncio.to_thread(self._encode, photo)

    async def embed_location(self, latlon: Float64Array) -> Float32Array:
        """float32 [N, 512]: location vectors of (lat, lon) [N, 2] in degrees."""
        return await asyncio.to_thread(lambda: self.location_encoder.encode(latlon))

    def announce(self, address: str) -> None:
        """Tell other processes where the service around this engine answers."""
        self._directory.announce(address)

    async def close(self) -> None:
        """Close the galleries and give the data directory back."""
        self.ready = False
        await self.galleries.close()
        self._directory.release()

    def _decode(self, data: bytes) -> Photo:
        return image.decode(data, target=self.encoder.decode_target)

    def _decode_to_read(self, data: bytes) -> Photo:
        return image.decode(data, target=_READING_PIXELS)

    def _encode(self, photo: Photo) -> Embedding:
        return self.encoder.encode([photo])[0]

    def _chosen(self, options: LocateOptions) -> list[Generator]:
        wanted = set(options.generators)
        if "none" in wanted:
            return []
        if "auto" in wanted:
            return list(self._generators.values())
        missing = wanted - self._generators.keys()
        if missing:
            raise InvalidOption(
                f"There is no generator {', '.join(sorted(missing))} here; "
                f"there are {', '.join(self._generators)}, auto and none."
            )
        return [self._generators[name] for name in self._generators if name in wanted]

    async def _open(self, names: Sequence[str]) -> tuple[list[Gallery], tuple[GalleryInfo, ...]]:
        opened: list[Gallery] = []
        infos = []
        for name in dict.fromkeys(names or (self._settings.gallery,)):
            if name == self._settings.gallery and name not in self.galleries.names():
                # Before the first build the configured gallery is empty, not an error.
                infos.append(GalleryInfo(name, 0, self.encoder.name, self.encoder.dimension, 0))
                continue
            gallery = await self.galleries.open(name)
            info = await gallery.info()
            if info.encoder != self.encoder.name:
                raise Conflict(
                    f"Gallery {name!r} holds vectors of {info.encoder!r}, but the service runs "
                    f"{self.encoder.name!r}: rebuild the gallery or change GEOFIX_MODEL."
                )
            opened.append(gallery)
            infos.append(info)
        return opened, tuple(infos)

    def _conclude(
        self,
        query: Query,
        proposals: Sequence[Proposal],
        degraded: tuple[Degradation, ...],
        infos: tuple[GalleryInfo, ...],
        options: LocateOptions,
        clock: Stopwatch,
    ) -> Prediction:
        trust = verify.Trust()
        pool = pooling.gather(verify.retrieved(query.neighbours, trust), proposals, query)
        fused = pooling.fuse(pool, proposals, query.filter, trust)
        best = fused.answer()
        profile = fused.profile(best)
        radius_90_km = profile.radius_km(0.9)
        points = answer.spread(fused)
        countries = answer.country_shares(fused, points, pool.countries)
        named = answer.clusters(fused, pool.candidates, pool.countries, options.candidates)
        regions, cities = answer.region_shares(named)
        return Prediction(
            lat=float(best[0]),
            lon=float(best[1]),
            radius_50_km=profile.radius_km(0.5),
            radius_90_km=radius_90_km,
            within={km: profile.within(km) for km in LEVELS_KM},
            abstention=answer.abstention(
                profile,
                galleries_empty=all(info.count == 0 for info in infos),
                candidates=len(pool.candidates),
            ),
            locality=reverse(float(best[0]), float(best[1])),
            continents=answer.continent_shares(countries),
            countries=countries,
            regions=regions,
            cities=cities,
            clusters=tuple(cluster for cluster, _ in named),
            heatmap=answer.heatmap(fused, points, radius_90_km) if options.heatmap else (),
            neighbours=query.neighbours,
            text=tuple(clue for proposal in proposals for clue in proposal.text),
            attributes=tuple(clue for proposal in proposals for clue in proposal.attributes),
            degraded=degraded,
            calibration=None,
            encoder=self.encoder.name,
            galleries=infos,
            photo=PhotoInfo(
                query.photo.sha256, query.photo.width, query.photo.height, query.photo.format
            ),
            timings_ms=clock.total(),
        )


async def _search(
    galleries: Sequence[Gallery], embedding: Embedding, options: LocateOptions
) -> tuple[Neighbour, ...]:
    found = await asyncio.gather(
        *(g.search(embedding.vector, options.neighbours, options.filter) for g in galleries)
    )
    best = sorted((n for one in found for n in one), key=lambda n: (-n.similarity, n.id))
    return tuple(best[: options.neighbours])


def _size(photo: Photo) -> dict[str, object]:
    return {"width": photo.width, "height": photo.height, "format": photo.format}
