"""``geofix batch``: many photos as one job of a running service."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TypeVar

import click
from pydantic import ValidationError
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from geofix.cli.console import ERR, OUT
from geofix.cli.rendering import plain
from geofix.cli.uploading import Upload, upload_of
from geofix.errors import Unavailable
from geofix.remote.client import Service, address, connect
from geofix.settings import settings
from service.jobs.schemas import JobAnswer, JobList

T = TypeVar("T")

_POLL_S = 0.5
_PATH = "/v1/jobs"
_FORMATS = {"parquet": "geoparquet"}
_JOB = click.argument("job")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def batch() -> None:
    """Send many photos as a job, watch it, fetch its results.

    The service must run with jobs, as `geofix serve --all` does. Another machine's is named by
    GEOFIX_SERVICE_URL, and GEOFIX_API_KEY is shown to it.
    """


@batch.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--priority", type=click.Choice(["high", "normal", "low"]), help="[default: normal]")
@click.option("--webhook", metavar="URL", help="Called when the job has ended.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="As of `geofix locate`, for every photo: --option country=FR,DE.",
)
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Sent again with the same key, a job is not made twice [default: a new one].",
)
@click.option("--watch", "watching", is_flag=True, help="Wait until the job has ended.")
def submit(
    source: Path,
    priority: str | None,
    webhook: str | None,
    options: tuple[str, ...],
    idempotency_key: str | None,
    watching: bool,
) -> None:
    """Send SOURCE, and print the new job's id.

    SOURCE is a folder of photos, a .zip or .tar archive of them, or an .ndjson file with a
    custom_id and a photo in base64 (or a reference) on each line.
    """
    asked = {"priority": priority, "webhook": webhook, **_pairs(options)}
    params = {name: value for name, value in asked.items() if value is not None}
    upload, key = upload_of(source), idempotency_key or str(uuid.uuid4())

    async def send(service: Service) -> JobAnswer:
        try:
            return await _send(service, upload, params, key)
        except Unavailable:
            again = f"Nothing is lost: send it again with --idempotency-key {plain(key)}"
            ERR.print(again, style="yellow", soft_wrap=True)
            raise

    job = _with_service(send)
    for name, reason in job.skipped.items():
        ERR.print(f"not taken: {plain(name)}: {plain(reason)}", soft_wrap=True)
    if job.skipped_count > len(job.skipped):
        ERR.print(f"not taken: {job.skipped_count - len(job.skipped)} more")
    click.echo(job.id)
    if watching:
        _end(_with_service(lambda service: _watch(service, job.id)))


@batch.command()
@click.argument("job", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the service's JSON.")
def status(job: str | None, as_json: bool) -> None:
    """Say how JOB stands; without one, the latest jobs."""

    async def read(service: Service) -> list[JobAnswer]:
        if job is not None:
            return [await _read(service, job)]
        response = await service.ask("GET", _PATH, params={"limit": "20"})
        return JobList.model_validate_json(response.content).data

    found = _with_service(read)
    if as_json:
        documents = [one.model_dump(mode="json") for one in found]
        click.echo(json.dumps(documents if job is None else documents[0], indent=2))
    else:
        OUT.print(_table(found))


@batch.command()
@_JOB
def watch(job: str) -> None:
    """Show JOB's progress until it has ended; exit with 1 unless it completed."""
    _end(_with_service(lambda service: _watch(service, job)))


@batch.command()
@_JOB
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv", "geojson", "parquet"]),
    default="ndjson",
    show_default=True,
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write them [default: standard output].",
)
@click.option("--errors", is_flag=True, help="Fetch the photos that failed, and why, as NDJSON.")
def results(job: str, form: str, output: Path | None, errors: bool) -> None:
    """Fetch the results that JOB has so far, in the order of its photos."""
    if errors and form != "ndjson":
        raise click.UsageError("Errors come as NDJSON only.")
    what, params = ("errors", None) if errors else ("results", {"format": _FORMATS.get(form, form)})
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is no text: name a file with -o.")

    async def fetch(service: Service) -> None:
        async with service.stream("GET", f"{_PATH}/{job}/{what}", params=params) as response:
            with _writing(output) as file:
                async for piece in response.aiter_bytes():
                    file.write(piece)

    _with_service(fetch)


@batch.command()
@_JOB
def cancel(job: str) -> None:
    """Stop JOB; what it has answered so far is kept."""

    async def stop(service: Service) -> JobAnswer:
        response = await service.ask("POST", f"{_PATH}/{job}/cancel")
        return JobAnswer.model_validate_json(response.content)

    click.echo(f"The job is {_with_service(stop).state}.")


def _with_service(work: Callable[[Service], Awaitable[T]]) -> T:
    async def run() -> T:
        async with _service() as service:
            try:
                return await work(service)
            except ValidationError as error:
                raise Unavailable(
                    "What the service answered is no answer of this version."
                ) from error

    return asyncio.run(run())


@asynccontextmanager
async def _service() -> AsyncIterator[Service]:
    config = settings()
    where = address(config)
    if not where:
        raise Unavailable("No service runs here. Start one with `geofix serve --all`.")
    async with connect(where, config.api_key.get_secret_value()) as service:
        yield service


async def _send(service: Service, upload: Upload, params: Mapping[str, str], key: str) -> JobAnswer:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERR, transient=True) as bar:
        task = bar.add_task("Sending", total=upload.size)
        response = await service.ask(
            "POST",
            _PATH,
            tries=1,
            params=params,
            content=upload.content(lambda sent: bar.advance(task, sent)),
            headers={"Idempotency-Key": key, "Content-Type": upload.content_type},
        )
    return JobAnswer.model_validate_json(response.content)


async def _read(service: Service, job: str) -> JobAnswer:
    response = await service.ask("GET", f"{_PATH}/{job}")
    return JobAnswer.model_validate_json(response.content)


async def _watch(service: Service, job: str) -> JobAnswer:
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TaskProgressColumn(show_speed=True), TimeRemainingColumn()),
    )
    with Progress(*columns, console=ERR, transient=True) as bar:
        task = bar.add_task("Locating", total=None)
        while True:
            now = await _read(service, job)
            counts = now.request_counts
            done = counts.completed + counts.failed
            bar.update(task, description=str(now.state), completed=done, total=counts.total)
            if now.state.terminal:
                return now
            await asyncio.sleep(_POLL_S)


def _end(job: JobAnswer) -> None:
    counts = job.request_counts
    failed = f", {counts.failed} failed" if counts.failed else ""
    click.echo(f"{job.state}: {counts.completed} of {counts.total} located{failed}", err=True)
    if job.problem is not None:
        ERR.print(plain(job.problem.detail), style="red", soft_wrap=True)
    if job.state != "completed":
        raise SystemExit(1)


def _table(jobs: list[JobAnswer]) -> Table:
    table = Table("job", "state", "photos", "located", "failed", box=None)
    table.columns[0].no_wrap = True  # an id that is cut short is of no use
    for job in jobs:
        counts = job.request_counts
        table.add_row(
            *(job.id, str(job.state)),
            *(str(number) for number in (counts.total, counts.completed, counts.failed)),
        )
    return table


def _pairs(options: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise click.UsageError(f"--option takes NAME=VALUE, not {plain(option)!r}.")
        pairs[name] = value
    return pairs


@contextmanager
def _writing(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that is there only once it is whole."""
    if output is None:
        yield sys.stdout.buffer
        return
    written = output.with_name(f".{output.name}.writing")
    try:
        with written.open("wb") as file:
            yield file
        written.replace(output)
    except OSError as error:
        raise click.ClickException(f"{plain(str(output))}: {error.strerror}.") from error
    finally:
        written.unlink(missing_ok=True)
