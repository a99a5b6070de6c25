"""From measured photos to figures, groups of photos and curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from geofix.engine.types import LEVELS_KM, Channel, Float64Array
from geofix.geo.places import CONTINENTS, country_name
from indexer.evaluation import metrics
from indexer.evaluation.measuring import Measured
from indexer.evaluation.report import Figure, Group, Line

_RELIABILITY_BINS = 5
_ERRORS_KM = np.geomspace(0.1, 20_000.0, 107)


def figures(photos: Sequence[Measured]) -> tuple[Figure, ...]:
    """All figures of a set; those over photos have a bootstrap interval."""
    away = _column(photos, lambda p: p.distance_km)
    radius_50 = _column(photos, lambda p: p.radius_50_km)
    radius_90 = _column(photos, lambda p: p.radius_90_km)
    loss = 1.0 - metrics.geo_score(away) / 5000.0
    return (
        *(_share(f"Acc@{km:g} km", away <= km) for km in LEVELS_KM),
        Figure.of("median error", metrics.bootstrap(away, metrics.median), "km"),
        Figure.of("mean error", metrics.bootstrap(away), "km"),
        Figure.of("GeoScore", metrics.bootstrap(metrics.geo_score(away))),
        _share("truth within the 50 % radius", away <= radius_50),
        _share("truth within the 90 % radius", away <= radius_90),
        Figure.of("median 50 % radius", metrics.bootstrap(radius_50, metrics.median), "km"),
        Figure.of("median 90 % radius", metrics.bootstrap(radius_90, metrics.median), "km"),
        *(_calibration_error(photos, away, km) for km in LEVELS_KM),
        _of_rows("Acc@25 km of the surest half", photos, _surest_half(radius_50, away), "%"),
        _of_rows("area under risk and coverage", photos, _area_under_risk(radius_50, loss)),
        Figure.of(
            "RvA: area at 50 % recall",
            metrics.bootstrap(_column(photos, lambda p: p.area_km2), metrics.lower_median),
            "km²",
        ),
        *_gains(photos),
        _share("abstained", np.array([bool(p.abstained) for p in photos])),
        Figure("degraded answers", float(np.mean([bool(p.degraded) for p in photos])), "%"),
        Figure("language model: calls", float(sum(p.calls for p in photos))),
        Figure("language model: tokens", float(sum(p.tokens for p in photos))),
        Figure("cost", sum(p.cost_usd for p in photos), "USD"),
        Figure("cost of a photo", sum(p.cost_usd for p in photos) / len(photos), "USD"),
    )


def timings(photos: Sequence[Measured]) -> tuple[Figure, ...]:
    """How long an answer took."""
    took = _column(photos, lambda p: p.latency_ms)
    return (
        Figure("latency, p50", float(np.median(took)), "ms"),
        Figure("latency, p95", float(np.quantile(took, 0.95)), "ms"),
    )


def groups(photos: Sequence[Measured]) -> tuple[Group, ...]:
    """The main figures by set, continent and country of the truth."""
    return tuple(
        Group(title, tuple(_line(name(key), members) for key, members in _grouped(photos, of)))
        for title, of, name in (
            ("set", lambda p: p.set, str),
            ("continent", lambda p: p.continent, lambda code: CONTINENTS.get(code, "open sea")),
            ("country", lambda p: p.country, lambda code: country_name(code) or "open sea"),
        )
    )


def curves(photos: Sequence[Measured]) -> dict[str, metrics.Curve]:
    """What is drawn: x and y by name."""
    away = np.sort(_column(photos, lambda p: p.distance_km))
    within = np.searchsorted(away, _ERRORS_KM, side="right") / len(away)
    return {
        "share of photos by error (km)": metrics.Curve(_ERRORS_KM, within),
        "recall by area searched (km²)": metrics.recall_versus_area(
            _column(photos, lambda p: p.area_km2)
        ),
        "risk by coverage": _risk(photos),
        **{f"observed by claimed, {km:g} km": _reliability(photos, km) for km in LEVELS_KM},
    }


def _column(photos: Sequence[Measured], of: Callable[[Measured], float]) -> Float64Array:
    return np.array([of(photo) for photo in photos], dtype=np.float64)


def _share(name: str, hits: metrics.BoolArray) -> Figure:
    return Figure.of(name, metrics.bootstrap(hits), "%")


def _claimed(photos: Sequence[Measured], km: float) -> Float64Array:
    return _column(photos, lambda p: p.within[f"{km:g}"])


def _of_rows(
    name: str,
    photos: Sequence[Measured],
    statistic: Callable[[metrics.IntArray], float],
    unit: str = "",
) -> Figure:
    return Figure.of(name, metrics.bootstrap_rows(statistic, len(photos)), unit)


def _calibration_error(photos: Sequence[Measured], away: Float64Array, km: float) -> Figure:
    claimed, hit = _claimed(photos, km), away <= km

    def error(rows: metrics.IntArray) -> float:
        return metrics.expected_calibration_error(claimed[rows], hit[rows])

    return _of_rows(f"ECE at {km:g} km", photos, error)


def _surest_half(radius: Float64Array, away: Float64Array) -> Callable[[metrics.IntArray], float]:
    def accuracy(rows: metrics.IntArray) -> float:
        misses = metrics.risk_coverage(-radius[rows], away[rows] > LEVELS_KM[1])
        return 1.0 - float(misses.y[(len(rows) + 1) // 2 - 1])

    return accuracy


def _area_under_risk(
    radius: Float64Array, loss: Float64Array
) -> Callable[[metrics.IntArray], float]:
    def area(rows: metrics.IntArray) -> float:
        return metrics.area_under(metrics.risk_coverage(-radius[rows], loss[rows]))

    return area


def _risk(photos: Sequence[Measured]) -> metrics.Curve:
    """1 − GeoScore / 5000 of the answers that are given, the surest first."""
    loss = 1.0 - metrics.geo_score(_column(photos, lambda p: p.distance_km)) / 5000.0
    return metrics.risk_coverage(-_column(photos, lambda p: p.radius_50_km), loss)


def _reliability(photos: Sequence[Measured], km: float) -> metrics.Curve:
    """Observed share over mean claim, in bins of about equally many photos."""
    claimed, hit = _claimed(photos, km), _column(photos, lambda p: p.distance_km) <= km
    order = np.argsort(claimed, kind="stable")
    bins = [part for part in np.array_split(order, _RELIABILITY_BINS) if len(part)]
    return metrics.Curve(
        np.array([claimed[part].mean() for part in bins]),
        np.array([hit[part].mean() for part in bins]),
    )


def _gains(photos: Sequence[Measured]) -> list[Figure]:
    uniform = metrics.bootstrap(_column(photos, lambda p: p.gain_uniform_bits))
    prior = metrics.bootstrap(_column(photos, lambda p: p.gain_prior_bits))
    spoke = {channel for photo in photos for channel in photo.channel_bits}
    return [
        Figure.of("gain over the uniform sphere", uniform, "bits"),
        Figure.of("gain over the prior", prior, "bits"),
        *(
            Figure.of(
                f"gain over the prior of {channel} alone",
                metrics.bootstrap(
                    _column(photos, lambda p, name=channel: p.channel_bits.get(name, 0.0))  # type: ignore[misc]
                ),
                "bits",
            )
            for channel in map(str, Channel)
            if channel in spoke
        ),
    ]


def _grouped(
    photos: Sequence[Measured], of: Callable[[Measured], str]
) -> list[tuple[str, list[Measured]]]:
    """Photos by a property, the largest group first."""
    found: dict[str, list[Measured]] = {}
    for photo in photos:
        found.setdefault(of(photo), []).append(photo)
    return sorted(found.items(), key=lambda group: (-len(group[1]), group[0]))


def _line(name: str, photos: Sequence[Measured]) -> Line:
    away = _column(photos, lambda p: p.distance_km)
    accuracy: Mapping[float, float] = metrics.accuracy(away)
    return Line(
        name=name,
        photos=len(photos),
        accuracy={f"{km:g}": share for km, share in accuracy.items()},
        median_km=float(np.median(away)),
        geo_score=float(metrics.geo_score(away).mean()),
        within_radius_90=metrics.coverage(away, _column(photos, lambda p: p.radius_90_km)),
        gain_prior_bits=float(_column(photos, lambda p: p.gain_prior_bits).mean()),
    )
