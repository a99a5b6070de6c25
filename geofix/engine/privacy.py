"""The operator's privacy policy: a function that sees a photo first and may refuse or coarsen.

It is named in ``GEOFIX_PRIVACY_HOOK`` as ``module:function``, takes a :class:`Photo` and returns a
:class:`Verdict`. There is none by default.
"""

from __future__ import annotations

import asyncio
import logging
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from geofix.engine import image
from geofix.engine.types import Filter, LocateOptions, Photo
from geofix.errors import InvalidOption, PhotoRefused, PrecisionCapped, Unavailable

log = logging.getLogger(__name__)

_PIXELS = 1280
"""Shortest side of what the policy sees: a face or a plate is small."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says of a photo; by default that it may be located."""

    refuse: str = ""
    """Why the photo is not located at all, as a sentence for whoever sent it."""
    cap_km: float | None = None
    """The answer must not be more precise than this; finite and above 0."""


class PrivacyPolicy:
    """Asks the operator's function about photos; without one it allows everything."""

    def __init__(self, judge: Callable[[Photo], Verdict] | None = None) -> None:
        self._judge = judge

    @classmethod
    def named(cls, name: str) -> PrivacyPolicy:
        """The policy of this name. Raises InvalidOption where there is no such function."""
        if not name:
            return cls()
        try:
            judge = pkgutil.resolve_name(name)
        except (ImportError, AttributeError, ValueError) as error:
            raise InvalidOption(f"GEOFIX_PRIVACY_HOOK: there is no {name!r}.") from error
        if not callable(judge):
            raise InvalidOption(f"GEOFIX_PRIVACY_HOOK: {name!r} is no function.")
        return cls(judge)

    async def cap_km(self, data: bytes, options: LocateOptions | None = None) -> float | None:
        """The cap in km that the policy sets on what is told of this photo; None for no cap.

        ``options`` are those of a locate: where there is a cap they may not choose what is
        searched. Without options anything told is precise. Raises PhotoRefused, PrecisionCapped,
        InvalidPhoto, and Unavailable for a policy that fails: then nothing is told.
        """
        if self._judge is None:
            return None
        photo = await asyncio.to_thread(lambda: image.decode(data, target=_PIXELS))
        try:
            verdict = await asyncio.to_thread(self._judge, photo)
            refused, cap_km = str(verdict.refuse), verdict.cap_km
            if cap_km is not None and not (math.isfinite(cap_km) and cap_km > 0):
                raise ValueError("a cap is finite and above 0")
        except Exception as error:  # whatever it is, a photo that was not judged is not located
            log.exception("the privacy policy failed")
            raise Unavailable("The privacy policy cannot be asked now.") from error
        if refused:
            raise PhotoRefused(refused)
        chooses = options is None or options.galleries or options.filter != Filter()
        if cap_km is not None and chooses:
            raise PrecisionCapped(
                f"Of this photo nothing finer than {cap_km:g} km is told: leave out galleries and "
                "filters, and ask for no vectors."
            )
        return cap_km
