"""The root of the command line."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from gridsim.cli import problems, runs, scenarios

app = typer.Typer(
    name="gridsim",
    help="Plan, prove and dispatch the charging of grid batteries.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.add_typer(scenarios.app, name="scenario")
app.command("schema")(scenarios.schema)
app.command("run")(runs.run)
app.command("compare")(runs.compare)
app.command("solve")(problems.solve)
app.command("verify")(problems.verify)


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
