"""Whether every value of one JSON schema is a value of another, for schemas as this project has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

Node = dict[str, Any]

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_AS_IT_IS = ("pattern", "format", "contentMediaType")
_SAME = frozenset({("integer", "number")})
"""Values of the first type are of the second, too."""


class Way(Enum):
    """Who writes the values: callers, or the service."""

    ASKED = "asked"
    ANSWERED = "answered"


class Schemas:
    """Compares schemas of two documents; what callers send, or what they are told."""

    def __init__(
        self, old: Node, new: Node, way: Way, compared: frozenset[tuple[str, str]] = frozenset()
    ) -> None:
        self._old, self._new, self._way = old, new, way
        self._compared = set(compared)

    def breaks(self, old: Node, new: Node, where: str) -> Iterator[str]:
        """In which ways the new schema breaks a caller who knows the old one.

        What was asked must still be understood: the old schema lies within the new one. What is
        answered must have been foreseen: the new one lies within the old one.
        """
        refs = (old.get("$ref", ""), new.get("$ref", ""))
        if all(refs):
            if refs in self._compared:  # a schema may hold itself
                return
            self._compared.add(refs)
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        inner, outer = (old, new) if self._way is Way.ASKED else (new, old)
        if "anyOf" in old or "anyOf" in new or "oneOf" in old or "oneOf" in new:
            yield from self._unions(old, new, where)
            return
        yield from _types(inner, outer, where)
        yield from _limits(inner, outer, where)
        yield from self._objects(old, new, where)
        for part in ("items", "contentSchema"):
            if part in outer:
                yield from self.breaks(old.get(part, {}), new.get(part, {}), f"{where}[]")
        for at, (was, now) in enumerate(
            zip(old.get("prefixItems", ()), new.get("prefixItems", ()), strict=False)
        ):
            yield from self.breaks(was, now, f"{where}[{at}]")

    def _unions(self, old: Node, new: Node, where: str) -> Iterator[str]:
        """Every part of the inner union lies within some part of the outer one."""
        asked = self._way is Way.ASKED
        olds, news = _parts(old), _parts(new)
        for inner in olds if asked else news:
            pairs = [
                (inner, part) if asked else (part, inner) for part in (news if asked else olds)
            ]
            if all([*Schemas(self._old, self._new, self._way).breaks(*p, where)] for p in pairs):
                yield f"{where}: {_named(inner)} is {'refused' if asked else 'new'}"

    def _objects(self, old: Node, new: Node, where: str) -> Iterator[str]:
        before: Mapping[str, Node] = old.get("properties", {})
        after: Mapping[str, Node] = new.get("properties", {})
        for name in before.keys() - after.keys():
            yield f"{where}.{name} is gone"
        for name in before.keys() & after.keys():
            yield from self.breaks(before[name], after[name], f"{where}.{name}")
        was, now = set(old.get("required", ())), set(new.get("required", ()))
        if self._way is Way.ASKED:
            for name in now - was:
                yield f"{where}.{name} must be given now"
            if _closed(new) and not _closed(old):
                yield f"{where}: takes no further properties any more"
        else:
            for name in (was - now) & after.keys():
                yield f"{where}.{name} may be missing now"
            if _closed(old):
                for name in after.keys() - before.keys():
                    yield f"{where}.{name} is new where there was to be nothing else"
        if isinstance(old.get("additionalProperties"), dict):
            values = new.get("additionalProperties", {})
            yield from self.breaks(
                old["additionalProperties"],
                values if isinstance(values, dict) else {},
                f"{where}.*",
            )


def _types(inner: Node, outer: Node, where: str) -> Iterator[str]:
    kinds = _kinds(outer)
    for kind in _kinds(inner) or ({"anything"} if kinds else set()):
        if kinds and kind not in kinds and not any((kind, k) in _SAME for k in kinds):
            yield f"{where}: may be {kind}, which is not {' or '.join(sorted(kinds))}"
    allowed = _enum(outer)
    if allowed is not None:
        values = _enum(inner)
        if values is None:
            yield f"{where}: may be other than {', '.join(map(str, allowed))}"
        else:
            for value in values:
                if value not in allowed:
                    yield f"{where}: {value!r} is not one of {', '.join(map(str, allowed))}"


def _limits(inner: Node, outer: Node, where: str) -> Iterator[str]:
    for name in _LOWER:
        if name in outer and inner.get(name, float("-inf")) < outer[name]:
            yield f"{where}: {name} {inner.get(name, 'none')} against {outer[name]}"
    for name in _UPPER:
        if name in outer and inner.get(name, float("inf")) > outer[name]:
            yield f"{where}: {name} {inner.get(name, 'none')} against {outer[name]}"
    for name in _AS_IT_IS:
        if name in outer and inner.get(name) != outer[name]:
            yield f"{where}: {name} {inner.get(name, 'none')} against {outer[name]}"


def _resolved(node: Node, document: Node) -> Node:
    if "$ref" not in node:
        return node
    schema: Node = document["components"]["schemas"][node["$ref"].rsplit("/", 1)[-1]]
    return schema


def _parts(node: Node) -> list[Node]:
    parts: list[Node] = node.get("anyOf") or node.get("oneOf") or [node]
    return parts


def _kinds(node: Node) -> set[str]:
    kind = node.get("type", [])
    return {kind} if isinstance(kind, str) else set(kind)


def _enum(node: Node) -> list[object] | None:
    if "const" in node:
        return [node["const"]]
    values: list[object] | None = node.get("enum")
    return values


def _closed(node: Node) -> bool:
    return node.get("additionalProperties") is False


def _named(node: Node) -> str:
    return str(node.get("$ref", "").rsplit("/", 1)[-1] or node.get("type", "a value"))
