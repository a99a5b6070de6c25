"""A short job while every part of the site fails once.

The long one: ``python -m benchmarks.jobs --chaos``.
"""

from __future__ import annotations

from benchmarks.chaos import trial

FAULTS = dict.fromkeys(trial.FAULTS, 1)


def test_every_acknowledged_photo_ends_with_exactly_one_answer(
    photos: list[tuple[str, bytes]],
) -> None:
    report = trial.run(photos[:96], seed=7, faults=FAULTS, outage_s=3.0, limit_s=240.0)
    assert report.state == "completed", report
    assert report.whole, report
    assert report.answers == 96, report
    assert report.store_failures >= 1, report
