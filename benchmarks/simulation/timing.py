"""How long choosing takes: from a photo's vector and its candidates to the answer and its radii."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.simulation.trial import Trial
from benchmarks.simulation.world import CapsuleEncoder, unit
from geofix.engine import algebra
from geofix.engine.choosing import pooling, verify
from geofix.engine.choosing.scorer import Scorer
from geofix.engine.types import Candidate, Channel, Filter, Float32Array, Float64Array
from geofix.geo.places import country_codes

CANDIDATES = 200
_REPEATS = 60


def milliseconds(taken: Trial, encoder: CapsuleEncoder, scorer: Scorer) -> Float64Array:
    """[_REPEATS] ms for the first photo, with candidates of the following ones added to its own.

    Their location vectors are given: encoding them is timed with the encoder. Linear algebra has
    one thread, as in a service.
    """
    algebra.on_one_thread()

    def encode(latlon: Float64Array) -> Float32Array:
        return unit(encoder.encode(latlon).sum(axis=0))

    candidates = _candidates(taken)
    latlon = np.array([(c.lat, c.lon) for c in candidates])
    pool = pooling.Pool(candidates, latlon, tuple(country_codes(latlon)))
    vector = taken.cases[0].vector
    spent = np.empty(_REPEATS)
    for i in range(_REPEATS):
        started = time.perf_counter()
        look = verify.Look.at(vector, encode, taken.map, taken.expected, scorer)
        said = pooling.fuse(pool, (), Filter(), verify.Trust(), look)
        said.profile(said.answer())
        spent[i] = (time.perf_counter() - started) * 1e3
    return spent


def _candidates(taken: Trial) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            float(case.latlon[i, 0]),
            float(case.latlon[i, 1]),
            Channel.RETRIEVAL if case.retrieved[i] else Channel.LMM,
            float(case.similarity[i]),
            25.0,
            str(i),
            gps=case.gps[i],
        )
        for case in taken.cases
        for i in range(len(case.latlon))
    )[:CANDIDATES]
