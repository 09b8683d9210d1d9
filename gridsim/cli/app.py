"""The root of the command line.

A command's module is imported when the command is called: solvers and grids take seconds to load,
and most commands need only one of them.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

_COMMANDS = {
    "run": ("gridsim.cli.runs", "Plan a scenario, live it through, check it, report."),
    "compare": ("gridsim.cli.runs", "Put two runs side by side."),
    "solve": ("gridsim.cli.problems", "Solve a dispatch problem."),
    "verify": ("gridsim.cli.problems", "Check a saved plan alone."),
    "explain": ("gridsim.cli.explaining", "Say why a battery of a saved plan does what it does."),
    "bench": ("gridsim.cli.benches", "Measure a solver on a drawn instance."),
    "scenario": ("gridsim.cli.scenarios", "Look at scenario files."),
    "schema": ("gridsim.cli.scenarios", "Print the JSON schema of a kind of file."),
}


class _Commands(TyperGroup):
    """Finds a command when it is called, and lists them all without loading any.

    Its arguments are click's, which typer brings under a name of its own.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        found = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), cmd_name)
        if isinstance(found, typer.Typer):
            return get_command(found)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(cmd_name)(found)
        return get_command(alone)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


app = typer.Typer(
    name="gridsim",
    cls=_Commands,
    help="Plan, prove and dispatch the charging of grid batteries.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gridsim {metadata.version('gridsim')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Plan, prove and dispatch the charging of grid batteries."""
