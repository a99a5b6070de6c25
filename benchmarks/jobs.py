"""What a batch job costs, and what it survives: ``python -m benchmarks.jobs [--quick]``.

Three runs on ``geofix serve --all``, each in a data directory of its own:

pace     a job beside the engine's own batch throughput (the same photos from memory, before and
         after the job), and the latency of single requests while nothing and while a job runs
poison   a tenth of the photos cannot be read, in twenty ways: the others keep their pace
chaos    with ``--chaos``: parts are killed at moments drawn by ``--seed``
chunks   with ``--chunks``: the pace with chunks of several sizes, each on a site of its own
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from benchmarks.chaos import trial
from benchmarks.chaos.jobs import Photo
from benchmarks.chaos.site import Site
from benchmarks.job_runs import chunks, pace, poison
from benchmarks.load.photos import photo

_MEGAPIXELS_12 = (4000, 3000)
_QUICK = (1600, 1200)


@dataclass(frozen=True, slots=True)
class Photos(Sequence[Photo]):
    """JPEGs, none like another byte for byte, made as they are asked for.

    A dozen different pictures: two thousand of 12 MP would be gigabytes of memory.
    """

    numbers: range
    pictures: Sequence[bytes]

    @classmethod
    def make(cls, count: int, size: tuple[int, int]) -> Photos:
        """So many of this width and height in pixels."""
        return cls(range(count), [photo(size, seed) for seed in range(min(count, 12))])

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, at: int) -> Photo: ...
    @overload
    def __getitem__(self, at: slice) -> Photos: ...
    def __getitem__(self, at: int | slice) -> Photo | Photos:
        if isinstance(at, slice):
            return Photos(self.numbers[at], self.pictures)
        number = self.numbers[at]
        return f"{number:05}.jpg", self.pictures[number % len(self.pictures)] + b"%d" % number


def _runs(given: argparse.Namespace) -> Iterator[tuple[str, dict[str, object]]]:
    size, count = _QUICK if given.quick else _MEGAPIXELS_12, given.photos
    if given.chaos:
        report = trial.run(Photos.make(count or (96 if given.quick else 500), size), given.seed)
        yield "chaos", report.document()
        return
    if given.chunks:
        for found in chunks.run(Photos.make(count or (64 if given.quick else 512), _QUICK)):
            yield f"chunks of {found.chunk_items}", found.document()
        return
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder)) as site:
        photos = Photos.make(count or (160 if given.quick else 2000), size)
        yield "pace", pace.run(site, photos).document()
        yield "poison", poison.run(site, photos[: len(photos) // 2]).document()


def main() -> None:
    """Run and print; write the figures where ``--json`` says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few photos of 2 MP, under a minute")
    parser.add_argument("--chaos", action="store_true", help="kill parts of the site")
    parser.add_argument("--chunks", action="store_true", help="compare sizes of chunks")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of --chaos")
    parser.add_argument("--photos", type=int, help="how many, in place of 2000 (chaos: 500)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    given = parser.parse_args()
    figures = {}
    for name, document in _runs(given):
        figures[name] = document
        print(f"{name}:", flush=True)
        for key, value in document.items():
            print(f"  {key}: {value:.3f}" if isinstance(value, float) else f"  {key}: {value}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
