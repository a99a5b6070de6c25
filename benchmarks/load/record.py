"""All figures in one file, to which every run adds: a long comparison can be made in parts."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.load import bounds, comparison, stages
from benchmarks.load.comparison import Cell
from benchmarks.load.overload import Overload


def _machine() -> str:
    """The machine and what the figures depend on most."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    runtime = f"Python {platform.python_version()}, ONNX Runtime {version('onnxruntime')}"
    return f"{os.cpu_count()} cores ({names[0] if names else platform.processor()}), {runtime}"


@dataclass(slots=True)
class Record:
    """What was measured so far."""

    machine: str = field(default_factory=_machine)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    """Medians in ms by the photo's size."""
    load: list[Cell] = field(default_factory=list)
    overload: Overload | None = None

    @classmethod
    def read(cls, file: Path | None) -> Record:
        """What a file holds; nothing yet without one."""
        if file is None or not file.exists():
            return cls()
        return TypeAdapter(cls).validate_json(file.read_bytes())

    def add(self, row: list[Cell]) -> None:
        """Cells in the place of those that were measured before."""
        new = {(cell.server, cell.photo, cell.concurrency): cell for cell in row}
        old = {(cell.server, cell.photo, cell.concurrency): cell for cell in self.load}
        self.load = [*{**old, **new}.values()]

    def markdown(self) -> str:
        """Tables of everything, and how the bounds are kept."""
        parts = [self.machine]
        if self.stages:
            parts.append(stages.markdown(self.stages))
        if self.load:
            parts += [comparison.markdown(self.load), bounds.markdown(self.load)]
        if self.overload is not None:
            parts.append(self.overload.markdown())
        return "\n\n".join(parts)

    def write(self, file: Path | None) -> None:
        """As JSON, where there is a file to write to."""
        if file is not None:
            file.write_bytes(TypeAdapter(Record).dump_json(self, indent=2) + b"\n")
