"""Which photos an operator lets in: whose they are, under what licence, and how many of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from geofix.engine.gallery.offers import Offer, Outcome, refused
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.types import Point
from geofix.errors import Conflict, InvalidOption

A = TypeVar("A", Offer, Point)


class Rules(Protocol):
    """What the settings say of it."""

    require_licence: bool
    require_contributor: bool
    default_licence: str
    default_contributor: str
    contributor_max_photos: int


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked of a photo that is offered; by default nothing."""

    require_licence: bool = False
    require_contributor: bool = False
    default_licence: str = ""
    default_contributor: str = ""
    most: int = 0
    """Photos of one contributor; 0 = no limit."""

    @classmethod
    def of(cls, rules: Rules) -> Policy:
        """The policy of these settings."""
        return cls(
            rules.require_licence,
            rules.require_contributor,
            rules.default_licence,
            rules.default_contributor,
            rules.contributor_max_photos,
        )

    def applied(self, offered: A) -> A:
        """The offer with what is filled in. Raises InvalidOption where something is missing."""
        filled = replace(
            offered,
            licence=offered.licence or self.default_licence,
            contributor=offered.contributor or self.default_contributor,
        )
        if self.require_licence and not filled.licence:
            raise InvalidOption("Its licence is not named, and this gallery asks for one.")
        if self.require_contributor and not filled.contributor:
            raise InvalidOption("Its contributor is not named, and this gallery asks for one.")
        return filled

    async def let_in(
        self, gallery: RecordedGallery, points: Sequence[Point]
    ) -> tuple[list[Point], list[Outcome]]:
        """Points with what is filled in, and refusals of those that may not come in."""
        applied: list[Point] = []
        outcomes: list[Outcome] = []
        for point in points:
            try:
                applied.append(self.applied(point))
            except InvalidOption as error:
                outcomes.append(refused(point.key, error))
        held = {p.id for p in await gallery.get([p.id for p in applied])} if self.most else set()
        over = await self.over(gallery, [point for point in applied if point.id not in held])
        outcomes += [self.full(point.key) for point in applied if point.id in over]
        return [point for point in applied if point.id not in over], outcomes

    async def over(self, gallery: RecordedGallery, new: Sequence[Point]) -> set[str]:
        """Ids of those new points that are more than the gallery takes of their contributors."""
        if not self.most:
            return set()
        room = {
            name: self.most - len(await gallery.ids_by("contributor", [name]))
            for name in {point.contributor for point in new if point.contributor}
        }
        over = set()
        for point in new:
            if point.contributor in room:
                room[point.contributor] -= 1
                if room[point.contributor] < 0:
                    over.add(point.id)
        return over

    def full(self, key: str) -> Outcome:
        """The refusal of a photo whose contributor has given enough."""
        return refused(key, Conflict(f"The gallery takes {self.most} photos of one contributor."))
