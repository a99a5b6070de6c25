"""What a caller may ask of a job, beside its photos: options of a locate, and of the job."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from geofix.errors import InvalidOption
from geofix.jobs.types import Priority
from service.locate.options import Options, from_strings
from service.refusals import refusal


class JobParameters(BaseModel):
    """Options of a job; every one of them may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    priority: Annotated[
        Priority, Field(description="Which jobs are taken up first: high, normal or low.")
    ] = Priority.NORMAL
    webhook: Annotated[
        str, Field(max_length=2000, description="URL that is called when the job has ended.")
    ] = ""
    expires_h: Annotated[
        float | None,
        Field(
            gt=0,
            le=24 * 14,
            description="Hours in which it must be done; none = the service's setting.",
        ),
    ] = None
    kept_days: Annotated[
        float | None,
        Field(
            gt=0,
            le=3650,
            description="Days it is kept after its end, at most the service's setting.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Asked:
    """All that was asked of a job."""

    parameters: JobParameters
    options: Options

    def strings(self) -> dict[str, str]:
        """The options of each locate. Heat maps, larger than all the rest, come when asked for."""
        return {"heatmap": "false", **self.options.strings()}

    def canonical(self) -> str:
        """One text for all ways to ask the same."""
        return json.dumps(
            {"options": self.strings(), "job": self.parameters.model_dump(mode="json")},
            sort_keys=True,
        )


def asked(pairs: Sequence[tuple[str, str]]) -> Asked:
    """What a query string and the fields of a form ask. Raises InvalidOption, InvalidCoordinate."""
    own: dict[str, str] = {}
    for name, value in pairs:
        if name in JobParameters.model_fields:
            if name in own:
                raise InvalidOption(f"{name} is given twice. Give it once.")
            own[name] = value
    others = [(name, value) for name, value in pairs if name not in own]
    known = [*JobParameters.model_fields, *Options.model_fields]
    try:
        parameters = JobParameters.model_validate_strings(own)
    except ValidationError as error:
        raise refusal(error, known) from error
    options = from_strings(others)
    if options.keep:
        raise InvalidOption("keep is for single photos: a job keeps its results anyway.")
    return Asked(parameters, options)


def query_parameters() -> list[Mapping[str, object]]:
    """These options as OpenAPI query parameters, all of them strings as they stand in a URL."""
    fields = {**JobParameters.model_fields, **Options.model_fields}
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": field.description,
            "schema": {"type": "string"},
        }
        for name, field in fields.items()
        if name != "keep"
    ]
