"""The figures of a trial, each with its bootstrap interval, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.simulation.trial import Results
from geofix.engine.types import LEVELS_KM, Float64Array
from geofix.geo.places import continent, country_codes
from indexer.evaluation import metrics
from indexer.evaluation.metrics import Interval

RESAMPLES = 2000
RULES = ("geoclip", "g3", "g3-clean", "geofix", "g3-pool", "pool")
_FEWEST_ON_A_CONTINENT = 50


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured on one trial."""

    photos: int
    nameable: float
    accuracy: Mapping[str, Mapping[float, Interval]]
    """By rule and level in km; ``pool`` is the best candidate in the pool, ``g3-pool`` the best of
    its first neighbour and generations."""
    geo_score: Mapping[str, Interval]
    over: Mapping[str, Mapping[float, Interval]]
    """Geofix less another rule, paired, by level."""
    gap_closed: Mapping[float, Interval]
    """Share of the way from g3-clean to the best in the pool, at 25 and 200 km."""
    coverage: Mapping[float, Interval]
    """Share of photos within the 50 % and 90 % radius."""
    coverage_by_continent: Mapping[str, Interval]
    """Of the 90 % radius, by the answer's continent."""
    calibration_error: Mapping[float, float]
    surest_half: Interval
    """Acc@25 of the surest half over that of all."""
    g3_surest_half: float
    """The same of g3-clean, which is the surer the greater its candidate's cosine."""
    area_km2: float
    """Searched for half of the photos, by Geofix's map."""
    geoclip_area_km2: float
    choosing_ms: float
    """Median time of verification and posterior for 200 candidates, location encoding apart."""
    bayes: Mapping[str, Mapping[float, Interval]]
    """Accuracy of the Bayes rule and of the others on the photos it was run on; may be empty."""
    bayes_surest_half: float | None = None


def figures(
    found: Results,
    nameable: float,
    choosing_ms: Float64Array,
    bayes_km: Float64Array | None = None,
    bayes_within_25: Float64Array | None = None,
) -> Figures:
    """Measure a trial. ``bayes_km`` [B] are the Bayes rule's errors on the first B photos."""
    hits = {
        rule: {km: (found.distance_km[rule] <= km).astype(np.float64) for km in LEVELS_KM}
        for rule in RULES
    }
    scores = {rule: metrics.geo_score(found.distance_km[rule]) for rule in RULES}
    right = hits["geofix"]
    return Figures(
        photos=len(found.answers),
        nameable=nameable,
        accuracy={r: {km: _interval(hits[r][km]) for km in LEVELS_KM} for r in RULES},
        geo_score={r: _interval(scores[r]) for r in RULES},
        over={
            r: {km: _interval(right[km] - hits[r][km]) for km in LEVELS_KM}
            for r in ("geoclip", "g3", "g3-clean")
        },
        gap_closed={km: _gap(hits, km) for km in (25.0, 200.0)},
        coverage={
            share: _interval((found.distance_km["geofix"] <= radius).astype(np.float64))
            for share, radius in ((0.5, found.radius_50_km), (0.9, found.radius_90_km))
        },
        coverage_by_continent=_by_continent(found),
        calibration_error={
            km: metrics.expected_calibration_error(found.within[km], right[km] > 0.0)
            for km in LEVELS_KM
        },
        surest_half=_surest_half(found.within[25.0], right[25.0]),
        g3_surest_half=_surest_half(found.g3_confidence, hits["g3-clean"][25.0]).value,
        area_km2=metrics.area_at_recall(found.area_km2),
        geoclip_area_km2=metrics.area_at_recall(found.geoclip_area_km2),
        choosing_ms=float(np.median(choosing_ms)),
        bayes={} if bayes_km is None else _against_bayes(found, bayes_km),
        bayes_surest_half=None
        if bayes_km is None or bayes_within_25 is None
        else _surest_half(bayes_within_25, (bayes_km <= 25.0).astype(np.float64)).value,
    )


def as_json(measured: Figures) -> dict[str, object]:
    """Everything measured, in JSON's types."""
    return asdict(measured)


def _interval(values: Float64Array) -> Interval:
    return metrics.bootstrap(values, resamples=RESAMPLES)


def _gap(hits: Mapping[str, Mapping[float, Float64Array]], km: float) -> Interval:
    rng = np.random.default_rng(0)
    ours, theirs, best = (hits[r][km] for r in ("geofix", "g3-clean", "pool"))
    draws = rng.integers(len(ours), size=(RESAMPLES, len(ours)))
    low, high = np.quantile(
        [(ours[d] - theirs[d]).mean() / (best[d] - theirs[d]).mean() for d in draws],
        [0.025, 0.975],
    )
    value = (ours - theirs).mean() / (best - theirs).mean()
    return Interval(float(value), float(low), float(high))


def _surest_half(sureness: Float64Array, right: Float64Array) -> Interval:
    def lift(rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        order = rows[np.argsort(-sureness[rows], kind="stable")]
        return float(right[order[: len(rows) // 2]].mean() / right[rows].mean())

    n = len(right)
    rng = np.random.default_rng(0)
    lifts = [lift(rng.integers(n, size=n)) for _ in range(RESAMPLES // 4)]
    low, high = np.quantile(lifts, [0.025, 0.975])
    return Interval(lift(np.arange(n)), float(low), float(high))


def _by_continent(found: Results) -> Mapping[str, Interval]:
    where = np.array([continent(code) for code in country_codes(found.answers)])
    held = (found.distance_km["geofix"] <= found.radius_90_km).astype(np.float64)
    names, counts = np.unique(where, return_counts=True)
    return {
        str(name): _interval(held[where == name])
        for name, count in zip(names, counts, strict=True)
        if name and count >= _FEWEST_ON_A_CONTINENT
    }


def _against_bayes(
    found: Results, bayes_km: Float64Array
) -> Mapping[str, Mapping[float, Interval]]:
    n = len(bayes_km)
    errors = {rule: found.distance_km[rule][:n] for rule in ("g3-clean", "geofix", "pool")}
    errors["bayes"] = bayes_km
    return {
        rule: {km: _interval((error <= km).astype(np.float64)) for km in LEVELS_KM}
        for rule, error in errors.items()
    }


# --- Markdown ----------------------------------------------------------------------------------

_NAMES = {
    "g3-pool": "best of the first neighbour and the generations",
    "pool": "best in the pool",
    "bayes": "Bayes rule",
}


def markdown(measured: Figures) -> str:
    """A report of one trial."""
    lines = [
        f"## Simulation, nameable share {measured.nameable:g}: {measured.photos} photos",
        "",
        "Everything here is a simulation; no photo was looked at. "
        "In brackets: 95 % bootstrap intervals.",
        "",
        _row("Acc@km, %", *(f"{km:g}" for km in LEVELS_KM), "GeoScore"),
        _row("---", *["---:"] * (len(LEVELS_KM) + 1)),
    ]
    for rule, by_level in measured.accuracy.items():
        score = measured.geo_score[rule]
        cells = [_percent(by_level[km]) for km in LEVELS_KM]
        lines.append(_row(_NAMES.get(rule, rule), *cells, f"{score.value:.0f}"))
    for rule, by_level in measured.over.items():
        cells = [_percent(by_level[km], signed=True) for km in LEVELS_KM]
        lines.append(_row(f"geofix − {rule}", *cells, ""))
    lines += ["", _row("Figure", "Value"), _row("---", "---:")]
    for km, gap in measured.gap_closed.items():
        lines.append(_row(f"Gap from g3-clean to the pool closed at {km:g} km", _percent(gap)))
    for share, held in measured.coverage.items():
        lines.append(_row(f"{share:.0%} radius holds", _percent(held)))
    for name, held in measured.coverage_by_continent.items():
        lines.append(_row(f"90% radius holds, answers in {name}", _percent(held)))
    for km, error in measured.calibration_error.items():
        lines.append(_row(f"ECE within {km:g} km", f"{error:.3f}"))
    half = measured.surest_half
    lines.append(
        _row(
            "Acc@25 of the surest half over all",
            f"{half.value:.3f} [{half.low:.3f}, {half.high:.3f}]; "
            f"g3-clean {measured.g3_surest_half:.3f}",
        )
    )
    ratio = measured.area_km2 / measured.geoclip_area_km2
    lines.append(
        _row(
            "RvA area at 50 % recall, km²",
            f"{measured.area_km2:,.0f} (GeoCLIP's softmax {measured.geoclip_area_km2:,.0f}; "
            f"ratio {ratio:.2f})",
        )
    )
    lines.append(
        _row("Verification and posterior, 200 candidates", f"{measured.choosing_ms:.1f} ms")
    )
    return "\n".join([*lines, *_bayes_lines(measured)]) + "\n"


def _bayes_lines(measured: Figures) -> list[str]:
    if not measured.bayes:
        return []
    lines = [
        "",
        _row("Where Bayes was run, Acc@km, %", *(f"{km:g}" for km in LEVELS_KM)),
        _row("---", *["---:"] * len(LEVELS_KM)),
    ]
    for rule, by_level in measured.bayes.items():
        cells = [_percent(by_level[km]) for km in LEVELS_KM]
        lines.append(_row(_NAMES.get(rule, rule), *cells))
    way = []
    for km in LEVELS_KM:
        low, ours, top = (measured.bayes[r][km].value for r in ("g3-clean", "geofix", "bayes"))
        way.append(f"{(ours - low) / (top - low):.0%}" if top > low else "")
    lines.append(_row("Way from g3-clean to Bayes", *way))
    if measured.bayes_surest_half is not None:
        lines += ["", f"Bayes's surest half over all, Acc@25: {measured.bayes_surest_half:.3f}"]
    return lines


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _percent(interval: Interval, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return (
        f"{100 * interval.value:{sign}.1f} "
        f"[{100 * interval.low:{sign}.1f}, {100 * interval.high:{sign}.1f}]"
    )
