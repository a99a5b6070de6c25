"""``geofix judge``: how well a model reasoned about photos, judged as GeoEval does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from geofix.cli.console import ERR, OUT, progress
from geofix.settings import settings

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option("--reasoning", required=True, type=_FILE, help="CSV: panoID and text (or output).")
@click.option("--reference", required=True, type=_FILE, help="CSV of the same, by people.")
@click.option(
    "--photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the photos: they are shown to the judge, who counts hallucinations.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, writable=True),
    help="Write report and figures there; a killed run is gone on with.",
)
def judge(reasoning: Path, reference: Path, photos: Path | None, out: Path | None) -> None:
    """Let a language model score reasonings against people's (GeoEval).

    The judge is the model of GEOFIX_LMM_MODEL at GEOFIX_LMM_BASE_URL. Texts, and with --photos
    the photos, are sent there.
    """
    from indexer.evaluation.out import WORK, write
    from indexer.evaluation.reasoning import judge_reasonings, read_texts

    reasonings, references = read_texts(reasoning), read_texts(reference)
    with progress() as bar:
        task = bar.add_task("reasonings", total=len(reasonings.keys() & references.keys()))
        report = asyncio.run(
            judge_reasonings(
                settings(),
                reasonings,
                references,
                photos,
                journal=out / WORK / "judgements.jsonl" if out else None,
                progress=lambda: bar.advance(task),
            )
        )
    if out is not None:
        write(report, out)
    for table in report.tables():
        OUT.print(table)
    for one in report.skipped:
        ERR.print(f"not judged {one.key}: {one.cause}", style="yellow", soft_wrap=True)
