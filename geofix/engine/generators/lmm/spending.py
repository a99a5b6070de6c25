"""What calls may cost: per photo and per caller's key, in calls, tokens and money.

An upper bound is reserved before a call and corrected after it, so that calls made side by side
cannot overrun a limit together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Amount:
    """Calls, tokens and money; of one call, of many, or a limit, where 0 means none."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.calls - other.calls, self.tokens - other.tokens, self.usd - other.usd)

    def within(self, limit: Amount) -> bool:
        """Whether none of the three exceeds its limit."""
        return (
            (not limit.calls or self.calls <= limit.calls)
            and (not limit.tokens or self.tokens <= limit.tokens)
            and (not limit.usd or self.usd <= limit.usd)
        )


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens."""

    input_usd: float
    output_usd: float

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """US dollars for so many tokens."""
        return (tokens_in * self.input_usd + tokens_out * self.output_usd) / 1e6


class Purse:
    """What one photo, or one key on one day, has spent of its limit."""

    def __init__(self, limit: Amount) -> None:
        self._limit = limit
        self.spent = Amount()

    def affords(self, amount: Amount) -> bool:
        """Whether so much may still be spent."""
        return (self.spent + amount).within(self._limit)


@dataclass(frozen=True, slots=True)
class Means:
    """What may be used up in answering one photo."""

    deadline: float
    """Of the event loop's clock, in seconds."""
    purses: tuple[Purse, ...]


class Accounts:
    """One purse for each caller's key; all are refilled at midnight UTC. In this process only."""

    def __init__(self, limit: Amount, clock: Callable[[], float] = time.time) -> None:
        self._limit = limit
        self._clock = clock
        self._day = -1
        self._purses: dict[str, Purse] = {}

    def purse(self, key: str) -> Purse:
        """The purse of a key; callers without one share the purse of the empty key."""
        today = int(self._clock() // _SECONDS_A_DAY)
        if today != self._day:
            self._day = today
            self._purses = {}
        return self._purses.setdefault(key, Purse(self._limit))


class Reservation:
    """So much set aside in several purses until the true amount is known."""

    def __init__(self, purses: tuple[Purse, ...], amount: Amount) -> None:
        self._purses = purses
        self._amount = amount
        for purse in purses:
            purse.spent += amount

    def correct(self, actual: Amount) -> None:
        """Replace what was set aside by what was spent."""
        for purse in self._purses:
            purse.spent = purse.spent - self._amount + actual
        self._amount = actual


def reserve(purses: tuple[Purse, ...], amount: Amount) -> Reservation | None:
    """Set an amount aside in every purse, or in none and return None."""
    if not all(purse.affords(amount) for purse in purses):
        return None
    return Reservation(purses, amount)
