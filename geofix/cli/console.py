"""Where commands write: answers and tables to stdout, complaints and progress to stderr."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

OUT = Console(markup=False, emoji=False, highlight=False)
"""Prints texts as they are: a file's name may hold brackets."""
ERR = Console(markup=False, emoji=False, highlight=False, stderr=True)


def progress() -> Progress:
    """A bar that counts photos while it is entered; nothing of it stays, or goes into a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=ERR, transient=True)
