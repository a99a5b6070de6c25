"""What has been measured so far, on the disk: a run that was killed goes on where it stopped.

A file of lines. The first one names the measurement; each further one is a key and what came
out for it, both JSON. A line that a kill cut short is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from geofix.errors import Conflict, InvalidSource

T = TypeVar("T")
_KEY = TypeAdapter(str)


class Journal(Generic[T]):
    """The journal of one measurement; a context manager."""

    def __init__(self, file: Path, measurement: str, outcome: TypeAdapter[T]) -> None:
        """Take up the journal ``file``, or begin it.

        ``measurement`` is one line that says everything the outcomes depend on, ``outcome`` how
        they are written. Raises Conflict where the file is another measurement's, InvalidSource
        where it cannot be written.
        """
        self._outcome = outcome
        self._done: dict[str, T] = {}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            whole = self._read(file, measurement)
            self._file = file.open("r+b" if whole else "wb", buffering=0)
            self._file.truncate(whole)
            self._file.seek(whole)
            if not whole:
                self._file.write(measurement.encode() + b"\n")
        except OSError as error:
            raise InvalidSource(
                f"The journal of the measurement cannot be written: {error.strerror}."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def done(self) -> Mapping[str, T]:
        """Outcomes by key."""
        return self._done

    def add(self, key: str, outcome: T) -> None:
        """Write one outcome; a kill after this does not lose it."""
        self._file.write(_KEY.dump_json(key) + b"\t" + self._outcome.dump_json(outcome) + b"\n")
        self._done[key] = outcome

    def _read(self, file: Path, measurement: str) -> int:
        """Read what is there; how many bytes of it are whole lines."""
        if not file.is_file():
            return 0
        first, *lines = file.read_bytes().split(b"\n")[:-1] or [b""]
        if not first:
            return 0
        if first != measurement.encode():
            raise Conflict(
                f"{file.parent.parent.name!r} holds an unfinished measurement of other photos or "
                "with other options. Finish that one, choose another folder, or delete its 'work'."
            )
        whole = len(first) + 1
        for line in lines:
            key, _, outcome = line.partition(b"\t")  # JSON holds no tab but between the two
            try:
                self._done[_KEY.validate_json(key)] = self._outcome.validate_json(outcome)
            except ValidationError:
                break
            whole += len(line) + 1
        return whole
