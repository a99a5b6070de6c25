"""The command ``geofix``: one name a command, imported only when it runs."""

from __future__ import annotations

from importlib import import_module

import click

from geofix.errors import GeofixError

_COMMANDS = {
    "locate": ("geofix.cli.locate", "Say where photos were taken."),
    "serve": ("geofix.cli.serve", "Run the HTTP service."),
    "batch": ("geofix.cli.batch", "Send many photos as a job, watch it, fetch its results."),
    "worker": ("geofix.cli.worker", "Run a worker of batch jobs."),
    "index": ("geofix.cli.index", "Build and change galleries of geotagged photos."),
    "replicate": ("geofix.cli.replicate", "Copy what a service answers from into this directory."),
    "backup": ("geofix.cli.backup", "Write a data directory to one file, and back."),
    "models": ("geofix.cli.models", "List, export, pull, align and verify models."),
    "keys": ("geofix.cli.keys", "Make and revoke the keys of the service."),
    "audit": ("geofix.cli.audit", "Export the audit of who asked what."),
    "demo": ("geofix.cli.demo", "Build a gallery of a folder and find altered copies again."),
    "feedback": ("geofix.cli.feedback", "Show and export the truths that users told."),
    "calibrate": ("geofix.cli.calibrate", "Make the answers' figures hold, on labelled photos."),
    "evaluate": ("geofix.cli.evaluate", "Measure answers on labelled photos."),
    "judge": ("geofix.cli.judge", "Let a language model judge how photos were reasoned about."),
}


class _Lazy(click.Group):
    """A group that knows its commands by name, and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(_COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - every module names it so
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what went wrong on purpose is a sentence, not a trace."""
        try:
            return super().invoke(ctx)
        except GeofixError as error:
            raise click.ClickException(str(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click writes it, from the table: help must not import every command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="geofix")
def main() -> None:
    """Say where a photo was taken: a place, a radius that holds, and the evidence."""


if __name__ == "__main__":
    main()
