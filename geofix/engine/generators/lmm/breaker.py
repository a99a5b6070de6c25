"""A circuit breaker: an endpoint that keeps failing is left alone, then probed by one call.

Ours, because the kept libraries either need tornado for coroutines or let every waiting call
through at once when the circuit is half open.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Closed: calls pass. Open: none. Half open: one probe passes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call; to be settled when the call is over."""

    probe: bool


class Breaker:
    """Counts failures in a row; belongs to one event loop's thread."""

    def __init__(
        self, failures: int, reset_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._reset_s = reset_s
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """What the next call will meet."""
        if self._opened_at is None:
            return State.CLOSED
        waited = self._clock() - self._opened_at
        return State.HALF_OPEN if waited >= self._reset_s else State.OPEN

    def admit(self) -> Permit | None:
        """Leave to call, or None."""
        match self.state:
            case State.CLOSED:
                return Permit(probe=False)
            case State.HALF_OPEN if not self._probing:
                self._probing = True
                return Permit(probe=True)
            case _:
                return None

    def settle(self, permit: Permit, healthy: bool | None) -> None:
        """Say how a call went; None when it was given up before anything could be told.

        Once the circuit is open only the probe decides: calls that set out earlier and end late
        neither close it nor prolong it.
        """
        if permit.probe:
            self._probing = False
        elif self._opened_at is not None:
            return
        if healthy:
            self._failures = 0
            self._opened_at = None
        elif healthy is False:
            self._failures += 1
            if permit.probe or self._failures >= self._limit:
                self._opened_at = self._clock()
