"""What ``geofix index`` prints: counts, skipped photos and findings."""

from __future__ import annotations

from collections.abc import Sequence

from geofix.cli.console import OUT
from geofix.engine.gallery.offers import Status
from geofix.engine.gallery.review import Finding
from indexer.galleries.build import Report
from service.galleries.schemas import GalleryDescription

_SHOWN = 20
"""Entries of each kind that are printed; ``--json`` names them all."""


def document(
    report: Report, gallery: str, held: int | None, seconds: float, interrupted: bool
) -> dict[str, object]:
    """A report as JSON."""
    return {
        "gallery": gallery,
        "photos_in_gallery": held,
        **{str(status): report.counts[status] for status in Status},
        "skipped": [
            {"key": o.key, "status": str(o.status), "reason": o.reason} for o in report.skipped
        ],
        "findings": [found(finding) for finding in report.findings],
        "interrupted": interrupted,
        "seconds": round(seconds, 3),
    }


def print_report(report: Report, gallery: str, held: int | None, seconds: float) -> None:
    """A report for people."""
    done = ", ".join(f"{report.counts[s]} {s}" for s in Status if report.counts[s])
    in_all = "" if held is None else f" It holds {held} photos."
    line = f"Gallery {gallery}: {done or 'nothing done'} in {seconds:.1f} s.{in_all}"
    OUT.print(line, soft_wrap=True)
    print_findings(report.findings)
    for outcome in report.skipped[:_SHOWN]:
        line = f"  {outcome.status}  {outcome.key}: {outcome.reason}"
        OUT.print(line, soft_wrap=True)
    more = report.counts[Status.DUPLICATE] + report.counts[Status.REFUSED] - _SHOWN
    if more > 0:
        OUT.print(f"… and {more} more; --json names them.")


def found(finding: Finding) -> dict[str, str]:
    """A finding as JSON."""
    return {"key": finding.key, "flag": str(finding.flag), "reason": finding.reason}


def print_findings(findings: Sequence[Finding]) -> None:
    """The first findings, for people."""
    for finding in findings[:_SHOWN]:
        line = f"  {finding.flag}  {finding.key}: {finding.reason}"
        OUT.print(line, soft_wrap=True)
    if len(findings) > _SHOWN:
        OUT.print(f"… and {len(findings) - _SHOWN} more findings; --json names them.")


def counts(title: str, described: GalleryDescription) -> str:
    """How many photos a gallery holds by the most frequent values of a field."""
    held: dict[str, int] = getattr(described, title)
    parts = [f"{value} {count}" for value, count in list(held.items())[:_SHOWN]]
    more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
    return f"{title}: {', '.join(parts) or 'none named'}{more}"
