"""How re-indexing goes: versions of galleries by state, how far the one in work is, its gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import Gauge

from geofix.engine.gallery.versions import VersionCard, VersionState
from geofix.observability.registry import REGISTRY

FIGURES = ("recall", "accuracy", "accuracy_before")

VERSIONS = Gauge(
    "geofix_gallery_versions",
    "Versions of a gallery by their state.",
    ["gallery", "state"],
    registry=REGISTRY,
)
PROGRESS = Gauge(
    "geofix_reindex_progress_ratio",
    "Share of a gallery's photos that are in the version being built; 1 while none is.",
    ["gallery"],
    registry=REGISTRY,
)
GATE = Gauge(
    "geofix_reindex_gate_ratio",
    "What the validation of the newest version that had one measured: recall against exact "
    "search, and the share of labelled photos placed within 200 km, before and now.",
    ["gallery", "figure"],
    registry=REGISTRY,
)
PASSED = Gauge(
    "geofix_reindex_gate_passed",
    "1 where the newest version that was validated passed, 0 where it was rejected.",
    ["gallery"],
    registry=REGISTRY,
)


def show(galleries: Mapping[str, Sequence[VersionCard]], built: Mapping[str, float]) -> None:
    """Show the versions of every gallery, oldest first, and the shares of those being built."""
    for gauge in (VERSIONS, PROGRESS, GATE, PASSED):
        gauge.clear()
    for name, cards in galleries.items():
        for state in VersionState:
            VERSIONS.labels(name, state).set(sum(card.state is state for card in cards))
        PROGRESS.labels(name).set(built.get(name, 1.0))
        _show_gate(name, [card for card in cards if "recall" in card.figures])


def _show_gate(name: str, validated: Sequence[VersionCard]) -> None:
    """Of the last of them. Nothing where none was validated."""
    if not validated:
        return
    newest = validated[-1]
    PASSED.labels(name).set(newest.state is not VersionState.REJECTED)
    for figure in FIGURES:
        GATE.labels(name, figure).set(newest.figures[figure])
