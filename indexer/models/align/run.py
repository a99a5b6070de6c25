"""A whole alignment: photos encoded once, heads trained, the result placed as an encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from geofix.engine.encoder import Encoder
from geofix.engine.models import ModelCard
from geofix.errors import Conflict
from indexer.models.align import checkpoint
from indexer.models.align.examples import Examples, encode, origin
from indexer.models.align.export import export
from indexer.models.align.options import Options
from indexer.models.align.text import TextTower
from indexer.models.align.train import Epoch, Observer, Training, deterministic
from indexer.models.placing import model_name


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    card: ModelCard
    best: Epoch
    """The epoch whose weights the card has."""
    epochs: int
    skipped: tuple[str, ...]
    """Photos that could not be used, each with its reason."""


def align(
    sources: Sequence[Path],
    base: ModelCard,
    name: str,
    data_dir: Path,
    run: Path,
    options: Options,
    *,
    text_model: Path | None = None,
    licence: str = "unknown",
    resume: bool = False,
    checkpoint_steps: int = 0,
    encoded: Callable[[int, int], None] = lambda done, total: None,
    observe: Observer = lambda at: None,
) -> Result:
    """Train heads for the image encoder ``base`` and place the result as the encoder ``name``.

    ``run`` holds features, checkpoint and metrics; with ``resume`` a run is taken up where its
    last checkpoint left it. Raises :class:`Conflict` when ``run`` holds a run already, or one of
    other photos or options; :class:`InvalidSource` for photos that cannot be trained on.
    """
    model_name(name)
    if not resume and (run / checkpoint.FILE).exists():
        raise Conflict("The folder holds a run already: resume it, or use another folder.")
    run.mkdir(parents=True, exist_ok=True)
    with deterministic(options):
        held = Examples.read(run) if resume else None
        examples = _examples(held, sources, base, run, text_model, options.threads, encoded)
        training = Training(examples, options, run)
        training.resume()
        training.run(checkpoint_steps=checkpoint_steps, observe=observe)
        licences = f" ({', '.join(examples.licences)})" if examples.licences else ""
        card = export(
            training.best(),
            base,
            name,
            data_dir,
            trained_on=f"{len(training.rows)} photos{licences}",
            licence=licence,
        )
    best = training.history[training.best_epoch - 1]
    return Result(card, best, training.epochs, examples.skipped)


def _examples(
    held: Examples | None,
    sources: Sequence[Path],
    base: ModelCard,
    run: Path,
    text_model: Path | None,
    threads: int,
    encoded: Callable[[int, int], None],
) -> Examples:
    """Those that the run holds, if it is taken up; else the sources' photos, encoded and kept."""
    encoder = Encoder.load(base, threads)
    text = None if text_model is None else TextTower(text_model)
    if held is None:
        held = encode(sources, encoder, text, encoded)
        held.save(run)
    elif held.origin != origin(sources, encoder, text):
        raise Conflict("The folder holds features of other photos or models. Use another folder.")
    return held
