"""What a caller of one OpenAPI document loses with another: ``python -m openapi.compatibility``.

Compares the released document with the present one, both of which this project wrote, so it knows
the parts of OpenAPI that they use: no ``allOf``, no parameters but in paths, queries and headers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openapi.schemas import Schemas, Way

RELEASED = Path("openapi/released.json")
PRESENT = Path("openapi/openapi.json")

Node = dict[str, Any]
"""A part of a document, as it is read from JSON."""


def breaks(old: Node, new: Node) -> list[str]:
    """Every way in which a program written for ``old`` may fail with ``new``, in words."""
    found: list[str] = []
    for path, operations in old["paths"].items():
        for method, operation in operations.items():
            where = f"{method.upper()} {path}"
            now = new["paths"].get(path, {}).get(method)
            if now is None:
                found.append(f"{where}: is gone")
            else:
                found += [f"{where}: {what}" for what in _operation(operation, now, old, new)]
    return found


def series(version: str) -> str:
    """The versions within which nothing breaks: ``1`` of 1.4.2, and ``0.3`` of 0.3.1."""
    major, minor, *_ = version.split(".")
    return f"0.{minor}" if major == "0" else major


def _operation(was: Node, now: Node, old: Node, new: Node) -> Iterator[str]:
    if was["operationId"] != now["operationId"]:
        yield f"its operationId {was['operationId']} is now {now['operationId']}"
    if any(way not in now["security"] for way in was["security"]) or (
        now["security"] and not was["security"]
    ):
        yield "callers must say who they are in another way"
    asked = Schemas(old, new, Way.ASKED)
    yield from _parameters(was, now, asked)
    yield from _request(was.get("requestBody"), now.get("requestBody"), asked)
    yield from _responses(was["responses"], now["responses"], Schemas(old, new, Way.ANSWERED))


def _parameters(was: Node, now: Node, schemas: Schemas) -> Iterator[str]:
    before = {(p["in"], p["name"]): p for p in was.get("parameters", ())}
    after = {(p["in"], p["name"]): p for p in now.get("parameters", ())}
    for key, parameter in before.items():
        name = f"parameter {key[1]}"
        if key not in after:
            yield f"{name} is gone"
        else:
            yield from schemas.breaks(parameter["schema"], after[key]["schema"], name)
    for key, parameter in after.items():
        if parameter.get("required") and not before.get(key, {}).get("required"):
            yield f"parameter {key[1]} must be given now"


def _request(was: Node | None, now: Node | None, schemas: Schemas) -> Iterator[str]:
    if was is not None and now is None:
        yield "takes no body any more"
    if now is not None:
        if now.get("required") and not (was or {}).get("required"):
            yield "a body must be sent now"
        yield from _content((was or {}).get("content", {}), now["content"], schemas, "body")


def _responses(was: Node, now: Node, schemas: Schemas) -> Iterator[str]:
    for status, response in was.items():
        if status not in now:
            if status.startswith("2"):
                yield f"never answers {status} any more"
            continue
        before, after = response.get("content", {}), now[status].get("content", {})
        yield from _content(before, after, schemas, f"answer {status}")
    for status in now.keys() - was.keys():
        if status.startswith("2"):
            yield f"may answer {status} now"


def _content(before: Node, after: Node, schemas: Schemas, where: str) -> Iterator[str]:
    for media_type, content in before.items():
        if media_type not in after:
            yield f"{where}: is no {media_type} any more"
            continue
        now = after[media_type]
        for part in content.keys() & {"schema", "x-itemSchema"}:
            at = f"{where}, a part of the stream" if part == "x-itemSchema" else where
            yield from schemas.breaks(content[part], now.get(part, {}), at)


def main() -> int:
    """Print what breaks; 1 when something does within a series of versions."""
    old, new = (json.loads(path.read_text("utf-8")) for path in (RELEASED, PRESENT))
    found = breaks(old, new)
    for line in found:
        print(line)
    same = series(old["info"]["version"]) == series(new["info"]["version"])
    return int(bool(found) and same)


if __name__ == "__main__":
    sys.exit(main())
