"""How far a job has come: derived from what the object store holds, or read from Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from pydantic import TypeAdapter

from geofix.jobs.live import Snapshot
from geofix.jobs.records import Findings, Mark
from geofix.jobs.types import Counts, Job, Manifest, Problem, State

_MANIFEST = TypeAdapter(Manifest)
_PROBLEM = TypeAdapter(Problem)


def snapshot(manifest: Manifest, found: Findings) -> Snapshot:
    """The live state of a job of which the object store holds ``found``."""
    todo = unfinished(manifest, found)
    counts = counted(manifest, found)
    since = dict(reached(manifest, found, todo))
    state = next(reversed(since))
    problem = found.marks.get((found.round, Mark.REFUSED))
    return Snapshot(
        id=manifest.id,
        owner=manifest.owner,
        fields={
            "manifest": _MANIFEST.dump_json(manifest).decode(),
            "state": state.value,
            "round": str(found.round),
            "chunks": str(len(_chunks(manifest, found))),
            "total": str(counts.total),
            "completed": str(counts.completed),
            "failed": str(counts.failed),
            "redeliveries": str(found.redeliveries),
            "duplicates": "0",
            **({"problem": json.dumps(problem)} if problem else {}),
            **{f"at:{reached}": repr(at) for reached, at in since.items()},
        },
        todo=[] if state.terminal else todo,
        tries=found.tries,
        items=counts.total,
        bytes=manifest.input_bytes,
        terminal=state.terminal,
    )


def unfinished(manifest: Manifest, found: Findings) -> list[int]:
    """The chunks of the latest round that have no outcomes yet."""
    return [c for c in _chunks(manifest, found) if c not in found.results[found.round]]


def counted(manifest: Manifest, found: Findings) -> Counts:
    """The photos' outcomes. Those that a later round tries again are open again."""
    ended = found.marks.get((found.round, Mark.ENDED))
    if ended is not None:
        return Counts(manifest.items, _int(ended["completed"]), _int(ended["failed"]))
    completed = sum(h.completed for of in found.results.values() for h in of.values())
    failed = 0
    retried = {*_chunks(manifest, found)} if found.round else set()
    for chunk in range(manifest.chunks):
        header = found.latest(chunk)
        if header is not None and (chunk not in retried or chunk in found.results[found.round]):
            failed += header.failed
    return Counts(manifest.items, completed, failed)


def reached(manifest: Manifest, found: Findings, todo: list[int]) -> list[tuple[State, float]]:
    """The states that the job has reached in its latest round, in order, and when."""
    round_ = found.round
    if ended := found.marks.get((round_, Mark.ENDED)):
        since = ended["since"]
        return [(State(k), float(v)) for k, v in since.items()] if isinstance(since, dict) else []
    states = [(State.VALIDATING, manifest.created_at)]
    if round_:
        states.append((State.IN_PROGRESS, _float(found.marks[round_, Mark.STARTED]["at"])))
    elif found.first_result_at is not None:
        states.append((State.IN_PROGRESS, found.first_result_at))
    if cancel := found.marks.get((round_, Mark.CANCEL)):
        states.append((State.CANCELLING, _float(cancel["at"])))
    elif not todo or verdict(found) is not State.COMPLETED:
        states.append((State.FINALIZING, time.time()))
    return states


def verdict(found: Findings) -> State:
    """How the latest round ends."""
    marked = {mark for round_, mark in found.marks if round_ == found.round}
    if Mark.CANCEL in marked:
        return State.CANCELLED
    if Mark.REFUSED in marked:
        return State.FAILED
    return State.EXPIRED if Mark.EXPIRED in marked else State.COMPLETED


def job_of(fields: Mapping[str, str], left: int) -> Job:
    """The job that these fields in Redis describe, with ``left`` chunks to do."""
    state = State(fields["state"])
    stamps = ((State(k[3:]), float(v)) for k, v in fields.items() if k.startswith("at:"))
    since = dict(sorted(stamps, key=lambda stamp: stamp[1]))
    problem = fields.get("problem")
    return Job(
        manifest=_MANIFEST.validate_json(fields["manifest"]),
        state=state,
        since=since,
        counts=Counts(*(int(fields[name]) for name in ("total", "completed", "failed"))),
        round=int(fields["round"]),
        redeliveries=int(fields["redeliveries"]),
        duplicates=int(fields["duplicates"]),
        eta=_eta(state, since, int(fields["chunks"]), left),
        problem=None if problem is None else _PROBLEM.validate_json(problem),
    )


def _eta(state: State, since: Mapping[State, float], chunks: int, left: int) -> float | None:
    """Now and as long as the chunks that are left take at the rate of those done."""
    if state is not State.IN_PROGRESS or left >= chunks:
        return None
    now = time.time()
    return now + (now - since[State.IN_PROGRESS]) * left / (chunks - left)


def _chunks(manifest: Manifest, found: Findings) -> list[int]:
    """The chunks of the latest round."""
    if found.round == 0:
        return [*range(manifest.chunks)]
    named = found.marks[found.round, Mark.STARTED]["chunks"]
    return [_int(chunk) for chunk in named] if isinstance(named, list) else []


def _int(value: object) -> int:
    return int(_float(value))


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
