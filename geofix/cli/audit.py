"""``geofix audit``: who asked what."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geofix.settings import settings

if TYPE_CHECKING:
    from service.audit import Entry

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def audit() -> None:
    """Show who asked what. The audit lies in audit/ in the data directory."""


@audit.command()
@click.option("--since", type=_DAY, help="First day (UTC).")
@click.option("--until", type=_DAY, help="Last day (UTC).")
@click.option("--account", help="Only this key's id.")
@click.option(
    "--photo",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only requests for this very file.",
)
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl")
def export(
    since: datetime | None,
    until: datetime | None,
    account: str | None,
    photo: Path | None,
    form: str,
) -> None:
    """Print the entries, the oldest first."""
    from service.audit import Audit

    kept = Audit(settings())
    named = kept.photo(hashlib.sha256(photo.read_bytes()).hexdigest()) if photo else None
    entries = (
        entry
        for entry in kept.entries(since and since.date(), until and until.date())
        if account in (None, entry.account) and named in (None, entry.photo)
    )
    if form == "jsonl":
        for entry in entries:
            click.echo(entry.model_dump_json())
    else:
        _write_csv(entries)


def _write_csv(entries: Iterator[Entry]) -> None:
    from service.audit import Entry

    rows = csv.DictWriter(sys.stdout, [*Entry.model_fields], lineterminator="\n")
    rows.writeheader()
    for entry in entries:
        row = entry.model_dump(mode="json")
        rows.writerow({**row, "options": json.dumps(row["options"])})
