"""What serving is to keep, and whether it was kept."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from benchmarks.load.comparison import Cell, ratios

OF_THE_LIMIT = {"800×600": 0.95, "12 MP": 0.92}
"""Least share of the limit's photos a second, by the photo's size, with eight clients or more."""
BEYOND_MS = 4.0
"""Most that one client waits beyond decoding and encoding."""
_OURS = "Geofix"
_LIMIT = "bare"


def markdown(cells: Sequence[Cell]) -> str:
    """One line a bound."""
    lines = [f"- {said}: **{'kept' if kept else 'MISSED'}**" for said, kept in _bounds(cells)]
    return "\n".join(lines)


def _bounds(cells: Sequence[Cell]) -> Iterator[tuple[str, bool]]:
    found = {(cell.server, cell.photo, cell.concurrency): cell for cell in cells}
    over = ratios(cells)
    for (server, photo, clients), cell in found.items():
        if server != _OURS:
            continue
        where = f"{photo}, {clients} client{'s' if clients > 1 else ''}"
        if clients == 1:
            alone = found[_LIMIT, photo, clients]
            pairs = zip(cell.p50_ms, alone.p50_ms, strict=True)
            beyond = statistics.median(ours - bare for ours, bare in pairs)
            yield f"{where}: {beyond:+.1f} ms, at most {BEYOND_MS:+g}", beyond <= BEYOND_MS
        else:
            share, least = over[server, photo, clients], OF_THE_LIMIT[photo]
            yield f"{where}: {share:.2f} of the limit, at least {least}", share >= least
        for (name, *there), other in found.items():
            if there == [photo, clients] and name not in {_LIMIT, _OURS, f"{_OURS}, locate"}:
                pairs = zip(cell.per_s, other.per_s, strict=True)
                ahead = statistics.median(ours / theirs for ours, theirs in pairs)
                yield f"{where}: {ahead:.2f} times {name}", ahead > 1.0
