"""What the language model's prompts and answers need to know of the map."""

from __future__ import annotations

from collections.abc import Mapping

from geofix.engine.types import Neighbour
from geofix.geo import places

_ALIASES: Mapping[str, str] = {
    "america": "US",
    "england": "GB",
    "great britain": "GB",
    "holland": "NL",
    "scotland": "GB",
    "uk": "GB",
    "usa": "US",
    "wales": "GB",
}


class Atlas:
    """Reverse geocoding through ``geofix.geo.places``; without network."""

    def place(self, neighbour: Neighbour) -> str:
        """City and region of a neighbour; its country is in the gallery already."""
        locality = places.reverse(neighbour.lat, neighbour.lon)
        return ", ".join(part for part in (locality.city, locality.region) if part)

    def lies_in(self, lat: float, lon: float, country: str) -> bool:
        """Whether a position lies in the country so named or coded."""
        (code,) = places.country_codes([(lat, lon)])
        stated = country.casefold().strip(" .")
        stated = _ALIASES.get(stated, stated).casefold()
        return bool(code) and stated in (code.casefold(), places.country_name(code).casefold())
