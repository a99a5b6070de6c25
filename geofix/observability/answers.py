"""What answers are like: how sure, how wide, how often they abstain, and where."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from geofix.engine.types import LEVELS_KM, Channel, Filter, LocateOptions, Prediction
from geofix.geo.places import CONTINENTS
from geofix.observability.registry import OTHER, REGISTRY, known

ABSTENTIONS = ("none", "empty-gallery", "no-evidence", "ambiguous")
LEVELS = tuple(f"{level:g}" for level in LEVELS_KM)

ANSWERS = Counter(
    "geofix_answers_total",
    "Answers by the likeliest continent and by why they abstain; none: they do not.",
    ["continent", "abstention"],
    registry=REGISTRY,
)
RADIUS = Histogram(
    "geofix_answer_radius_km",
    "The radius of answers in which the truth lies with this probability in percent.",
    ["radius"],
    buckets=(0.1, 1, 5, 10, 25, 50, 100, 200, 400, 750, 1500, 2500, 5000, 10000),
    registry=REGISTRY,
)
WITHIN = Histogram(
    "geofix_answer_probability_ratio",
    "The probability that answers give to being off by at most so many kilometres.",
    ["level_km"],
    buckets=tuple(tenth / 10 for tenth in range(1, 11)),
    registry=REGISTRY,
)
SHORT = Counter(
    "geofix_short_searches_total",
    "Searches that found fewer photos than were wanted and are in the galleries. A filter may be "
    "the reason; without one none should be.",
    ["filtered"],
    registry=REGISTRY,
)


def answered(prediction: Prediction, options: LocateOptions) -> None:
    """Count an answer."""
    likeliest = prediction.continents[0].code if prediction.continents else ""
    cause = prediction.abstention.cause if prediction.abstention else "none"
    ANSWERS.labels(known(likeliest, CONTINENTS), known(cause, ABSTENTIONS)).inc()
    RADIUS.labels("50").observe(prediction.radius_50_km)
    RADIUS.labels("90").observe(prediction.radius_90_km)
    for level, probability in prediction.within.items():
        WITHIN.labels(known(f"{level:g}", LEVELS)).observe(probability)
    if _is_short(prediction, options):
        SHORT.labels(str(options.filter != Filter()).lower()).inc()


def _is_short(prediction: Prediction, options: LocateOptions) -> bool:
    """Whether a search that reached every gallery found less than there is."""
    if any(degraded.channel == Channel.RETRIEVAL for degraded in prediction.degraded):
        return False
    there_are = sum(gallery.count for gallery in prediction.galleries)
    return len(prediction.neighbours) < min(options.neighbours, there_are)


def _begin() -> None:
    for continent in (*CONTINENTS, OTHER):
        for cause in ABSTENTIONS:
            ANSWERS.labels(continent, cause)
    for radius in ("50", "90"):
        RADIUS.labels(radius)
    for level in LEVELS:
        WITHIN.labels(level)
    for filtered in ("true", "false"):
        SHORT.labels(filtered)


_begin()
