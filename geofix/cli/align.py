"""``geofix models align``: heads that carry an encoder's vectors into location space."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from geofix.cli.console import ERR, OUT
from geofix.cli.extras import needing
from geofix.engine.models import find
from geofix.settings import settings

if TYPE_CHECKING:
    from indexer.models.align.options import Options
    from indexer.models.align.run import Result
    from indexer.models.align.train import Epoch, Step

_SOURCE = click.Path(path_type=Path, exists=True)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("sources", nargs=-1, required=True, type=_SOURCE)
@click.option("--name", required=True, help="What to call the aligned encoder.")
@click.option("--model", default="lite", show_default=True, help="Frozen image encoder.")
@click.option("--run", "run_folder", type=_FOLDER, help="Folder of the checkpoint and metrics.")
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint, if any.")
@click.option(
    "--gps",
    type=click.Choice(["frozen", "geoclip", "harmonics"]),
    default="frozen",
    show_default=True,
    help="GPS encoder: the built-in one as it is; trained from it; trained from scratch.",
)
@click.option("--gps-head", is_flag=True, help="Two more layers behind a trained GPS encoder.")
@click.option("--harmonics-degree", type=int, default=16, show_default=True)
@click.option(
    "--text-model",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of a CLIP text model: adds the loss between image and text.",
)
@click.option("--text-gps", is_flag=True, help="Add the loss between text and GPS.")
@click.option("--queue", type=int, default=0, show_default=True, help="Further GPS negatives.")
@click.option("--dropout", type=float, default=0.0, show_default=True)
@click.option("--temperature", type=float, default=0.07, show_default=True)
@click.option("--learning-rate", type=float, default=3e-5, show_default=True)
@click.option("--weight-decay", type=float, default=1e-6, show_default=True)
@click.option("--decay", type=float, default=0.87, show_default=True, help="Per epoch.")
@click.option("--epochs", type=int, default=10, show_default=True)
@click.option("--batch", type=int, default=256, show_default=True)
@click.option("--hold-out", type=float, default=0.1, show_default=True, help="Share of photos.")
@click.option("--cell-level", type=int, default=4, show_default=True, help="S2, of held-out cells.")
@click.option(
    "--patience",
    type=int,
    default=3,
    show_default=True,
    help="Epochs without a better held-out loss before the end; 0 = all.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="Of torch.")
@click.option(
    "--checkpoint-steps", type=click.IntRange(0), default=0, help="Also after so many batches."
)
@click.option("--licence", default="unknown", help="SPDX expression of the trained weights.")
def align(
    sources: tuple[Path, ...],
    name: str,
    model: str,
    run_folder: Path | None,
    resume: bool,
    text_model: Path | None,
    checkpoint_steps: int,
    licence: str,
    **training: object,
) -> None:
    """Align an encoder with location space, on the geotagged photos of SOURCES.

    A source is a folder or a table as for `geofix index`. The defaults are those published for
    G3, for millions of photos; a few hundred want --learning-rate 3e-4 and more epochs. A run
    that was cut off goes on with --resume, to the very same weights. Needs the extra
    geofix[train].
    """
    with needing("train"):
        from indexer.models.align.run import align as run

        chosen = settings()
        with _progress() as (encoded, observe):
            result = run(
                sources,
                find(model, chosen.data_dir),
                name,
                chosen.data_dir,
                run_folder or chosen.data_dir / "align" / name,
                _options(training),
                text_model=text_model,
                licence=licence,
                resume=resume,
                checkpoint_steps=checkpoint_steps,
                encoded=encoded,
                observe=observe,
            )
    _report(result)


def _options(training: dict[str, object]) -> Options:
    """The options of the training; a usage error names the one that is out of range."""
    from pydantic import ValidationError

    from indexer.models.align.options import Options

    try:
        return Options.model_validate(training)
    except ValidationError as error:
        fault = error.errors()[0]
        option = "".join(f"--{part}: ".replace("_", "-") for part in fault["loc"])
        raise click.UsageError(f"{option}{fault['msg']}") from error


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int, int], None], Callable[[Step | Epoch], None]]]:
    """Bars on stderr, one for the photos and one for each epoch's batches, and what moves them."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERR, transient=True) as bars:
        photos = bars.add_task("Encoding photos", total=None)
        batches = bars.add_task("Training", total=None, start=False, visible=False)

        def encoded(done: int, total: int) -> None:
            bars.update(photos, completed=done, total=total)

        from indexer.models.align.train import Step

        def observe(at: Step | Epoch) -> None:
            if isinstance(at, Step):
                bars.update(photos, visible=False)
                bars.start_task(batches)
                bars.update(
                    batches,
                    description=f"Epoch {at.epoch}",
                    completed=at.step,
                    total=at.steps,
                    visible=True,
                )
            else:
                bars.console.print(_line(at), soft_wrap=True)

        yield encoded, observe


def _line(epoch: Epoch) -> str:
    found = epoch.retrieval
    return (
        f"epoch {epoch.epoch}: loss {epoch.training['total']:.3f}, "
        f"held out {epoch.held_out['total']:.3f}, percentile {found.percentile:.3f}, "
        f"cell found {found.recall_1:.3f} (chance {found.chance_recall_1:.3f})"
    )


def _report(result: Result) -> None:
    for skipped in result.skipped:
        ERR.print(f"skipped {skipped}", style="yellow", soft_wrap=True)
    OUT.print(f"Best of {result.epochs} epochs: {_line(result.best)}", soft_wrap=True)
    OUT.print(f"{result.card.name} is ready. Use it with:")
    OUT.print(f"  GEOFIX_MODEL={result.card.name} geofix locate PHOTO")
