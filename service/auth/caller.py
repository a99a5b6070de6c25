"""The caller of a request: what is known of them once they have been recognised."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LARGEST_CAP_KM = 6000.0
"""The narrowest of the six faces of the grid to which answers are coarsened."""


class Scope(StrEnum):
    """What a caller may do. ``admin`` holds all the others."""

    LOCATE = "locate"
    JOBS = "jobs"
    GALLERIES = "galleries"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody the service has recognised."""

    account: str
    """Whose quota, budget, cache and audit it is: a key's id, ``oidc-…``, or ``local``."""
    scopes: frozenset[Scope]
    cap_km: float | None = None
    """No answer to this caller is more precise than this; None = as precise as it is."""
    limits: str = ""
    """As ``10/second;1000/day``; empty = none."""
    no_store: bool = False
    """Whether nothing of an answer may be kept for later."""

    def may(self, scope: Scope) -> bool:
        """Whether the caller has a scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


LOCAL = Caller("local", frozenset(Scope))
"""Whoever works on this machine, where nobody is asked for a key."""
