"""From what the generations say to candidates: agreement is confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from geofix.engine.generators.lmm.reading import Guess
from geofix.engine.types import Candidate, Channel
from geofix.geo.coordinates import haversine_km

_AGREEMENT_KM = 25.0
_UNSTATED_CONFIDENCE = 0.5
_KM_A_DEGREE = 111.2
_WIDTH_KM: Mapping[str, float] = {"street": 2.0, "city": 25.0, "region": 150.0, "country": 500.0}


def candidates(guesses: Sequence[tuple[str, Guess]], answered: int) -> tuple[Candidate, ...]:
    """One candidate for each guess.

    Args:
        guesses: provenance and position.
        answered: how many generations came back, the rejected ones among them.

    The score is the share of generations that lie within 25 km; of a single generation, what the
    model says of its own confidence. The width is what the model says of its own precision, a town
    where it says nothing, and never less than its digits can tell.
    """
    if not guesses:
        return ()
    latlon = np.array([(guess.lat, guess.lon) for _, guess in guesses], dtype=np.float64)
    agree = haversine_km(latlon[:, None], latlon[None]) <= _AGREEMENT_KM
    shares = agree.sum(axis=1) / max(answered, len(guesses))
    return tuple(
        Candidate(
            lat=guess.lat,
            lon=guess.lon,
            channel=Channel.LMM,
            score=float(share) if answered > 1 else _stated(guess),
            width_km=_width_km(guess),
            source=source,
            name=", ".join(part for part in (guess.place, guess.country) if part),
        )
        for (source, guess), share in zip(guesses, shares, strict=True)
    )


def _stated(guess: Guess) -> float:
    return _UNSTATED_CONFIDENCE if guess.confidence is None else guess.confidence


def _width_km(guess: Guess) -> float:
    digits_km = _KM_A_DEGREE / 2.0 / 10.0**guess.decimals if guess.decimals < 6 else 0.0
    return max(_WIDTH_KM.get(guess.precision, _WIDTH_KM["city"]), digits_km)
