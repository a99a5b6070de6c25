"""What serving costs: ``python -m benchmarks.serving [--quick] [--peers] [--json FILE]``.

Three parts. ``stages``: what an answer costs beyond its bare stages. ``load``: photos a second on
a ViT-B/32 with random weights: the limit that Pillow and ONNX Runtime set by themselves while the
same client runs, Geofix, and with ``--peers`` LitServe, BentoML and infinity, which are installed
when they are first asked for. ``overload``: what becomes of four times as many photos as can be
answered.

``--part``, ``--photo`` and ``--clients`` choose among them; what FILE holds already is kept and
shown, so that the whole can be measured bit by bit. Processor time for one photo tells most where
the machine is not idle otherwise; slices that something else disturbed are made again.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from platformdirs import user_cache_path

from benchmarks.load import servers, stages, vit
from benchmarks.load.comparison import BATCHES, CONCURRENCY, best_batch, compare
from benchmarks.load.environments import PEERS, running
from benchmarks.load.overload import overload
from benchmarks.load.photos import SIZES, photo
from benchmarks.load.record import Record

LOCATE = "/v1/locate?generators=none"
_CHOICES = {"800x600": "800×600", "12MP": "12 MP"}
PARTS = ("stages", "load", "overload")


@dataclass(frozen=True, slots=True)
class Effort:
    """How long is measured."""

    stage_rounds: int = 200
    seconds: float = 4.0
    """Of one server's slice."""
    rounds: int = 3
    """Slices of every server, turn about."""
    cells: Sequence[tuple[str, int]] = tuple(product(SIZES, CONCURRENCY))
    """Photos and clients."""
    batches: Sequence[int] = BATCHES
    """Sizes among which the limit's best is looked for."""
    locate: bool = True
    """Whether /v1/locate is measured beside /v1/embed/image."""
    overload_s: float = 60.0


QUICK = Effort(
    stage_rounds=10,
    seconds=1.5,
    rounds=1,
    cells=(("800×600", 1), ("800×600", 8), ("12 MP", 8)),
    batches=(4, 8),
    locate=False,
    overload_s=3.0,
)


def under_load(
    record: Record, folder: Path, effort: Effort, cells: Sequence[tuple[str, int]], *, peers: bool
) -> Iterator[None]:
    """Compare on one model, one cell (photo and clients) a step."""
    model = folder / "models" / vit.NAME / f"{vit.NAME}.onnx"
    environments = user_cache_path("geofix") / "benchmarks"
    with ExitStack() as started:
        embed = started.enter_context(servers.geofix(folder))
        measured = [embed]
        if effort.locate:
            measured.append(replace(embed, name="Geofix, locate", path=LOCATE))
        if peers:
            measured += [started.enter_context(running(p, environments, model)) for p in PEERS]
        for server in measured:
            server.pause()
        for name in dict.fromkeys(name for name, _ in cells):
            file = _photo(folder, name)
            with servers.bare(model, file) as limit:
                best = best_batch(limit, file, effort.seconds / 2, effort.batches)
                for clients in [clients for of, clients in cells if of == name]:
                    record.add(
                        compare(
                            name,
                            file,
                            limit,
                            measured,
                            seconds=effort.seconds,
                            rounds=effort.rounds,
                            clients=clients,
                            batch=1 if clients == 1 else best,
                        )
                    )
                    yield


def _photo(folder: Path, name: str) -> Path:
    file = folder / f"{name}.jpg"
    file.write_bytes(photo(SIZES[name], 1))
    return file


def main() -> None:
    """Measure in a temporary data directory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="under a minute, not a quarter hour")
    parser.add_argument("--peers", action="store_true", help="LitServe, BentoML and infinity, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where figures are kept")
    parser.add_argument("--part", action="append", choices=PARTS, help="measure this part only")
    parser.add_argument("--photo", action="append", choices=_CHOICES, help="only this one's load")
    parser.add_argument("--clients", action="append", type=int, choices=CONCURRENCY)
    given = parser.parse_args()
    # Told to end, it ends the servers first: paused ones would stay for ever.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    effort = QUICK if given.quick else Effort()
    photos = [_CHOICES[chosen] for chosen in given.photo or _CHOICES]
    cells = [
        (name, clients)
        for name, clients in effort.cells
        if name in photos and clients in (given.clients or CONCURRENCY)
    ]
    parts = given.part or PARTS
    record = Record.read(given.json)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, "load")
        if {"load", "overload"} & {*parts}:
            vit.place(folder)
        if "load" in parts:
            for _ in under_load(record, folder, effort, cells, peers=given.peers):
                record.write(given.json)
        if "overload" in parts:
            with servers.geofix(folder) as embed:
                file = _photo(folder, next(iter(SIZES)))
                record.overload = overload(embed, file, effort.overload_s)
        if "stages" in parts:
            record.stages = asyncio.run(stages.measure(Path(made, "stages"), effort.stage_rounds))
    print(record.markdown())
    record.write(given.json)


if __name__ == "__main__":
    main()
