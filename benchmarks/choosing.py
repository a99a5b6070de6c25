"""Choosing among candidates, on a simulation: GeoCLIP's rule, G3's, Geofix's and the Bayes rule.

Run ``python -m benchmarks.choosing``; ``--quick`` for a look in under a minute. Nothing here was
measured on photos: ``benchmarks.simulation`` says how its world is made.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np

from benchmarks.simulation import bayes, report, timing, trial
from benchmarks.simulation.language_model import Habits
from benchmarks.simulation.photos import Fading, Photos
from benchmarks.simulation.trial import Trial
from benchmarks.simulation.world import CapsuleEncoder, World, build
from geofix.engine.choosing import scorer
from geofix.engine.types import Calibration, Float32Array, Float64Array, Int64Array
from geofix.geo.coordinates import haversine_km
from indexer.evaluation import calibrate, likelihood

QUERIES = 5000
NAMEABLE = (0.35, 0.15)
FIT_SEED, MEASURE_SEED = 20, 10
DATASET = "simulation of choosing (GeoCLIP's location encoder, no photos)"


@click.command()
@click.option("--quick", is_flag=True, help="A twentieth of the photos: under a minute.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write all figures here.")
@click.option("--fit", "refit", is_flag=True, help="Fit the shipped scorer again first.")
@click.option("--bayes", "bayes_photos", type=int, default=None, help="Photos for the Bayes rule.")
def main(quick: bool, file: Path | None, refit: bool, bayes_photos: int | None) -> None:
    """Measure the rules on a simulation and print Markdown tables."""
    started = time.perf_counter()
    encoder = CapsuleEncoder()
    world = build(encoder, QUERIES)
    if refit:
        fitted = fit(world, encoder, world.fit)
        scorer.save(fitted, scorer.SHIPPED)
    else:
        fitted = scorer.load(scorer.SHIPPED)
    rows = world.measure[: QUERIES // 20] if quick else world.measure
    count = (40 if quick else 600) if bayes_photos is None else bayes_photos
    shares = NAMEABLE[:1] if quick else NAMEABLE
    measured = []
    for share in shares:
        measured.append(measure(world, encoder, rows, share, fitted, count))
        click.echo(report.markdown(measured[-1]))
    click.echo(f"{time.perf_counter() - started:.0f} s")
    if file is not None:
        found = {f"{one.nameable:g}": report.as_json(one) for one in measured}
        file.write_text(json.dumps({"simulation": found}, indent=1) + "\n", "utf-8")


def fit(world: World, encoder: CapsuleEncoder, rows: Int64Array) -> scorer.Scorer:
    """A scorer fitted on simulated photos at ``rows``, none of which is measured on."""
    taken = trial.simulate(world, rows, encoder, Habits(), Fading(), FIT_SEED)
    fitted_on = Calibration(
        DATASET, len(rows), datetime.now(UTC).date().isoformat(), simulated=True
    )
    weights = likelihood.fit_map(*trial.map_steps(taken), taken.expected)
    return calibrate.fit(
        trial.labelled(taken, weights),
        lambda s, i: trial.outcome(taken, taken.cases[i], s),
        weights,
        fitted_on,
    )


def measure(
    world: World,
    encoder: CapsuleEncoder,
    rows: Int64Array,
    nameable: float,
    fitted: scorer.Scorer,
    bayes_photos: int,
) -> report.Figures:
    """All rules on simulated photos at ``rows``; the Bayes rule on the first of them."""
    habits = Habits(nameable=nameable)
    taken = trial.simulate(world, rows, encoder, habits, Fading(), MEASURE_SEED)
    found = trial.run(taken, world, fitted)
    spent = timing.milliseconds(taken, encoder, fitted)
    if bayes_photos == 0:
        return report.figures(found, nameable, spent)
    best = _bayes(world, encoder, taken, habits, bayes_photos)
    truth = taken.photos.truth[:bayes_photos]
    return report.figures(found, nameable, spent, haversine_km(best.latlon, truth), best.within_25)


def _bayes(
    world: World, encoder: CapsuleEncoder, taken: Trial, habits: Habits, count: int
) -> bayes.Best:
    seen, pairs = taken.photos, taken.pairs[:count]
    first = Photos(
        seen.truth[:count],
        seen.vectors[:count],
        seen.neighbours[:count],
        seen.similarities[:count],
    )
    return bayes.answer(world, first, pairs, _capsules(encoder, pairs), Fading(), habits)


def _capsules(encoder: CapsuleEncoder, pairs: Float64Array) -> Float32Array:
    """Capsules [3, P, n, 512] of the generations that are legal positions, 0 of the others."""
    legal = np.isfinite(pairs[..., 0]) & (np.abs(pairs[..., 0]) <= 90.0)
    capsules = np.zeros((3, *pairs.shape[:2], 512), dtype=np.float32)
    capsules[:, legal] = encoder.encode(pairs[legal])
    return capsules


if __name__ == "__main__":
    main()
