"""GeoEval over a whole set: read the texts, have them judged, and say how good they are."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from geofix.engine import image, jpeg
from geofix.engine.generators.lmm import picture
from geofix.engine.photo_file import read_photo_file
from geofix.errors import GeofixError, InvalidSource
from geofix.settings import Settings
from indexer.evaluation import metrics
from indexer.evaluation.datasets import Skipped, failure
from indexer.evaluation.journal import Journal
from indexer.evaluation.judge import HALLUCINATIONS, SCORES, Case, Judge, Judgement, Unjudged
from indexer.evaluation.layouts import PhotoFiles
from indexer.evaluation.report import Figure, Report

_OUTCOME: TypeAdapter[Judgement | Unjudged] = TypeAdapter(Judgement | Unjudged)
_KEYS = ("id", "panoid", "file", "photo")
_TEXTS = ("text", "output", "reasoning", "")
"""GeoComp publishes its references under no heading, and models' reasonings under ``output``."""
_LONGEST_FIELD = 2**24


def read_texts(table: Path) -> dict[str, str]:
    """Texts by photo from a CSV such as GeoComp's; of several for one photo the first.

    The photo stands under ``id``, ``panoID``, ``file`` or ``photo``, the text under ``text``,
    ``output``, ``reasoning`` or no heading. Raises InvalidSource for another table.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            key = next((names[k] for k in _KEYS if k in names), None)
            text = next((names[t] for t in _TEXTS if t in names), None)
            if key is None or text is None:
                raise InvalidSource(
                    f"{table.name!r} needs a column of photos ({', '.join(_KEYS)}) and one of "
                    "texts (text, output, reasoning)."
                )
            found: dict[str, str] = {}
            for row in reader:
                if row[key].strip() and row[text].strip():
                    found.setdefault(row[key].strip(), row[text].strip())
            return found
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidSource(f"{table.name!r} cannot be read as CSV in UTF-8.") from error


async def judge_reasonings(
    settings: Settings,
    reasonings: Mapping[str, str],
    references: Mapping[str, str],
    photos: Path | None = None,
    *,
    journal: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Report:
    """Have every reasoning judged that has a reference; with ``photos``, count hallucinations.

    As many are judged at once as the settings allow calls in flight. Raises InvalidSource where
    no reasoning has a reference, InvalidOption without a configured model.
    """
    keys = sorted(reasonings.keys() & references.keys())
    if not keys:
        raise InvalidSource("No reasoning is of a photo that has a reference.")
    depends_on = _depends_on(settings, [(k, reasonings[k], references[k]) for k in keys], photos)
    judge, files = Judge(settings), PhotoFiles(photos) if photos else None
    outcomes: dict[str, Judgement | Unjudged] = {}
    try:
        with ExitStack() as stack:
            kept = None
            if journal is not None:
                line = json.dumps(depends_on, sort_keys=True)
                kept = stack.enter_context(Journal(journal, line, _OUTCOME))
                outcomes.update(kept.done)

            async def one(key: str) -> None:
                if key not in outcomes:
                    case = await asyncio.to_thread(
                        _case, key, reasonings[key], references[key], files, settings
                    )
                    outcomes[key] = await judge.judge(case) if isinstance(case, Case) else case
                    if kept is not None:
                        kept.add(key, outcomes[key])
                progress()

            for some in _batches(keys, settings.lmm_parallel):
                await asyncio.gather(*(one(key) for key in some))
    finally:
        await judge.close()
    without = sorted(reasonings.keys() - references.keys())
    return _report({key: outcomes[key] for key in keys}, without, depends_on)


def _case(
    key: str, reasoning: str, reference: str, files: PhotoFiles | None, settings: Settings
) -> Case | Unjudged:
    if files is None:
        return Case(key, reasoning, reference)
    path = files.find(key)
    if path is None:
        return Unjudged("there is no photo of this name in the folder")
    side = settings.lmm_image_side
    try:
        pixels = image.decode(read_photo_file(path), target=side).pixels
    except (GeofixError, OSError) as error:
        return Unjudged(failure(error))
    url = picture.data_url(jpeg.encode(pixels, side))
    return Case(key, reasoning, reference, url, picture.tokens(side))


def _batches(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def _depends_on(
    settings: Settings, texts: Sequence[tuple[str, str, str]], photos: Path | None
) -> dict[str, str]:
    return {
        "judge": settings.lmm_model,
        "shown": "the texts and the photo" if photos else "the texts",
        "texts": hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12],
    }


def _report(
    outcomes: Mapping[str, Judgement | Unjudged],
    without: Sequence[str],
    depends_on: Mapping[str, str],
) -> Report:
    judged = {key: one for key, one in outcomes.items() if isinstance(one, Judgement)}
    unjudged = [Skipped(k, one.cause) for k, one in outcomes.items() if isinstance(one, Unjudged)]
    skipped = [*unjudged, *(Skipped(key, "no reference") for key in without)]
    about = {"reasonings": f"{len(judged)} judged, {len(skipped)} not", **depends_on}
    about["interval"] = "percentile bootstrap over photos, 5000 resamples, seed 0"
    spent = [
        Figure("tokens", float(sum(one.tokens for one in outcomes.values()))),
        Figure("cost", float(sum(one.cost_usd for one in outcomes.values())), "USD"),
    ]
    return Report(
        title="Reasoning, as GeoEval judges it",
        about=about,
        figures=(*_figures([*judged.values()]), *spent),
        skipped=tuple(skipped),
        photos=tuple({"photo": key, **asdict(one)} for key, one in judged.items()),
    )


def _figures(judged: Sequence[Judgement]) -> list[Figure]:
    if not judged:
        return []
    scores = [
        Figure.of(name, metrics.bootstrap([one.scores[name] for one in judged])) for name in SCORES
    ]
    counts = {
        name: np.array([one.hallucinations[name] for one in judged], dtype=np.float64)
        for name in HALLUCINATIONS
        if all(name in one.hallucinations for one in judged)
    }
    return scores + [
        figure
        for name, count in counts.items()
        for figure in (
            Figure.of(f"{name} hallucinations a text", metrics.bootstrap(count)),
            Figure.of(f"texts with {name} hallucinations", metrics.bootstrap(count > 0), "%"),
        )
    ]
