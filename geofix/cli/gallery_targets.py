"""Where ``geofix index`` works: on the data directory, or through the service that owns it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Protocol

from geofix.cli.remote_ingest import RemoteIngest
from geofix.engine import models
from geofix.engine.encoder import Encoder, LocationEncoder
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.ingest import Ingest
from geofix.engine.gallery.offers import Offer, Outcome, Status
from geofix.engine.gallery.policy import Policy
from geofix.engine.gallery.records import point_id
from geofix.engine.gallery.revector import dimension_of, encoder_card
from geofix.engine.gallery.review import Finding
from geofix.engine.gallery.sight import OwnSight
from geofix.engine.location.bridges import Bridges
from geofix.engine.location.location_map import LocationMap
from geofix.engine.types import Point
from geofix.errors import Conflict
from geofix.remote.client import RefusedError, Service, address, connect
from geofix.settings import Settings
from indexer.galleries.build import Report, build
from indexer.galleries.vectors import VectorFile
from service.galleries.points import Kept
from service.galleries.schemas import GalleryDescription, GalleryReview, Removed

_DECODERS = 4
_AS_JSON = {"Content-Type": "application/json"}

Progress = Callable[[Outcome], None]


class Target(Protocol):
    """A gallery that commands read and change."""

    async def build(
        self, offers: Iterable[Offer | Outcome], report: Report, progress: Progress
    ) -> None:
        """Take photos in; the gallery is made when there is none of its name."""
        ...

    async def fill(
        self, file: VectorFile, encoder: str, report: Report, progress: Callable[[int], None]
    ) -> None:
        """Take points in by their vectors; the gallery is made when there is none of its name."""
        ...

    async def remove(self, keys: Sequence[str]) -> list[str]:
        """Remove photos; returns the keys that were there. Raises NotFound without a gallery."""
        ...

    async def remove_contributor(self, contributor: str) -> int:
        """Remove a contributor's photos; returns how many. Raises NotFound without a gallery."""
        ...

    async def describe(self) -> GalleryDescription:
        """What the gallery holds. Raises NotFound where there is none."""
        ...

    async def review(self, since: str = "") -> list[Finding]:
        """What looks wrong among its photos added since a moment. Raises NotFound."""
        ...


@asynccontextmanager
async def target(settings: Settings, gallery: str, command: str) -> AsyncIterator[Target]:
    """The gallery of this name, wherever it is to be had.

    Raises DataDirectoryBusy when a process other than a service owns the data directory.
    """
    directory = DataDirectory(settings.data_dir)
    directory.gallery(gallery)  # refuses a bad name before anything is opened
    if where := address(settings):
        async with connect(where, settings.api_key.get_secret_value()) as service:
            yield _Remote(service, gallery)
        return
    directory.acquire(command)
    galleries = Galleries(directory, settings, fills=True)
    try:
        yield _Local(galleries, gallery, settings)
    finally:
        await galleries.close()
        directory.release()


class _Local:
    def __init__(self, galleries: Galleries, name: str, settings: Settings) -> None:
        self._galleries = galleries
        self._name = name
        self._settings = settings

    async def build(
        self, offers: Iterable[Offer | Outcome], report: Report, progress: Progress
    ) -> None:
        card = models.find(self._settings.model, self._settings.data_dir)
        encoder = Encoder.load(card, self._settings.threads)
        of_places = models.location_card(card, self._settings.data_dir)
        locations = LocationEncoder.load(of_places, self._settings.threads)
        gallery = await self._galleries.create(self._name, encoder.name, encoder.dimension)
        with ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode") as decoders:
            ingest = Ingest(
                gallery,
                self._name,
                OwnSight(encoder, decoders),
                locations,
                decoders,
                thumbnails=self._settings.thumbnails,
                policy=Policy.of(self._settings),
            )
            await build(offers, ingest, report, progress)
        await gallery.compact()
        await gallery.optimize()
        if not card.aligned:
            bridges = Bridges(
                self._galleries, card.name, lambda: LocationMap.build(locations.encode)
            )
            await bridges.renew(gallery)

    async def fill(
        self, file: VectorFile, encoder: str, report: Report, progress: Callable[[int], None]
    ) -> None:
        name = self._name
        if name not in self._galleries.names():
            card = encoder_card(encoder or self._settings.model, self._settings.data_dir)
            await self._galleries.create(name, card.name, dimension_of(card))
        gallery = await self._galleries.open(name)
        fixed = await gallery.fixed()
        if encoder and encoder != fixed.encoder:
            raise Conflict(f"Gallery {name!r} holds vectors of {fixed.encoder!r}.")
        policy = Policy.of(self._settings)
        for offered, refused in file.batches(name, fixed.dimension):
            points, unwanted = await policy.let_in(gallery, offered)
            await gallery.upsert(points)
            _report(report, points, [*refused, *unwanted])
            progress(len(offered) + len(refused))
        await gallery.compact()
        await gallery.optimize()

    async def remove(self, keys: Sequence[str]) -> list[str]:
        gallery = await self._galleries.open(self._name)
        held = await gallery.get([point_id(self._name, key) for key in keys])
        await gallery.delete([point.id for point in held])
        return [point.key for point in held]

    async def remove_contributor(self, contributor: str) -> int:
        gallery = await self._galleries.open(self._name)
        return await gallery.delete(list(await gallery.ids_by("contributor", [contributor])))

    async def describe(self) -> GalleryDescription:
        return await GalleryDescription.read(await self._galleries.open(self._name))

    async def review(self, since: str = "") -> list[Finding]:
        return await (await self._galleries.open(self._name)).review(since)


class _Remote:
    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._name = name
        self._path = f"/v1/galleries/{name}"

    async def build(
        self, offers: Iterable[Offer | Outcome], report: Report, progress: Progress
    ) -> None:
        await build(offers, RemoteIngest(self._service, self._name), report, progress)

    async def fill(
        self, file: VectorFile, encoder: str, report: Report, progress: Callable[[int], None]
    ) -> None:
        try:
            described = await self.describe()
        except RefusedError as error:
            if error.http_status != 404:
                raise
            wanted = json.dumps({"name": self._name, "encoder": encoder}).encode()
            await self._service.ask("POST", "/v1/galleries", body=wanted, headers=_AS_JSON)
            described = await self.describe()
        if encoder and encoder != described.encoder:
            raise Conflict(f"Gallery {self._name!r} holds vectors of {described.encoder!r}.")
        for points, refused in file.batches(self._name, described.dimension):
            unwanted = await self._add(points) if points else {}
            kept = [point for point in points if point.key not in unwanted]
            outcomes = [Outcome(k, Status.REFUSED, reason=why) for k, why in unwanted.items()]
            _report(report, kept, [*refused, *outcomes])
            progress(len(points) + len(refused))

    async def _add(self, points: Sequence[Point]) -> dict[str, str]:
        """Add points; the keys of those that are refused, with the reasons."""
        body = json.dumps({"points": [_sent(point) for point in points]}).encode()
        answer = await self._service.ask(
            "POST", f"{self._path}/points", body=body, headers=_AS_JSON
        )
        refused = Kept.model_validate_json(answer.content).refused
        return {one.key: one.reason for one in refused}

    async def remove(self, keys: Sequence[str]) -> list[str]:
        await self.describe()  # tells a missing gallery from a missing photo
        removed = []
        for key in keys:
            id_ = point_id(self._name, key)
            try:
                await self._service.ask("DELETE", f"{self._path}/photos/{id_}")
            except RefusedError as error:
                if error.http_status != 404:
                    raise
            else:
                removed.append(key)
        return removed

    async def remove_contributor(self, contributor: str) -> int:
        response = await self._service.ask(
            "DELETE", f"{self._path}/photos", params={"contributor": contributor}
        )
        return Removed.model_validate_json(response.content).removed

    async def describe(self) -> GalleryDescription:
        response = await self._service.ask("GET", self._path)
        return GalleryDescription.model_validate_json(response.content)

    async def review(self, since: str = "") -> list[Finding]:
        response = await self._service.ask(
            "GET", f"{self._path}/review", params={"since": since} if since else None
        )
        found = GalleryReview.model_validate_json(response.content).findings
        return [Finding(one.id, one.key, one.flag, one.reason) for one in found]


def _report(report: Report, points: Sequence[Point], refused: Sequence[Outcome]) -> None:
    for point in points:
        report.add(Outcome(point.key, Status.ADDED, point.id))
    for outcome in refused:
        report.add(outcome)


def _sent(point: Point) -> dict[str, object]:
    """A point as the service takes it."""
    texts = ("key", "country", "source", "contributor", "licence", "captured_at", "sha256", "uri")
    return {
        "lat": point.lat,
        "lon": point.lon,
        "vector": point.image.tolist(),
        **{name: getattr(point, name) for name in texts},
    }
