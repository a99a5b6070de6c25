"""Which photos an operator lets in: whose they are, under what licence, and how many of one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Protocol

from geofix.engine.gallery.offers import Offer
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.errors import InvalidOption


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

    def applied(self, offer: Offer) -> Offer:
        """The offer with what is filled in. Raises InvalidOption where something is missing."""
        offer = replace(
            offer,
            licence=offer.licence or self.default_licence,
            contributor=offer.contributor or self.default_contributor,
        )
        if self.require_licence and not offer.licence:
            raise InvalidOption("Its licence is not named, and this gallery asks for one.")
        if self.require_contributor and not offer.contributor:
            raise InvalidOption("Its contributor is not named, and this gallery asks for one.")
        return offer

    async def room(self, gallery: RecordedGallery, contributors: Counter[str]) -> dict[str, int]:
        """How many more photos of each of these contributors the gallery takes; no limit: none."""
        if not self.most:
            return {}
        return {
            name: self.most - len(await gallery.ids_by("contributor", [name]))
            for name in contributors
            if name
        }
