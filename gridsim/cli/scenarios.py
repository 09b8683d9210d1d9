"""`gridsim scenario check|list|show` and `gridsim schema`."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.table import Table

import gridsim.scenario as scenario_files
from gridsim.cli.console import EXIT_BAD_INPUT, err, guarded, out, print_json
from gridsim.cli.places import file_to_write
from gridsim.scenario import Scenario, load_scenario, shipped_scenarios
from optimizer.document import problem_schema
from optimizer.whole_file import whole_file
from twins.faults import InvalidInputError

scenario = typer.Typer(help="Look at scenario files.", no_args_is_help=True)


@scenario.command("list")
@guarded
def list_(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the scenarios that come with gridsim."""
    rows = shipped_scenarios()
    if json:
        print_json([{"name": name, "description": text} for name, text in rows])
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("scenario")
    table.add_column("what it is")
    for name, text in rows:
        table.add_row(name, text)
    out.print(table)


@scenario.command()
@guarded
def show(
    scenario: Annotated[str, typer.Argument(help="Name of a shipped scenario, or a file.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a scenario with every default filled in."""
    content = load_scenario(scenario).as_mapping()
    if json:
        print_json(content)
    else:
        # Not through rich: it would break long lines, and with them the YAML.
        typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), nl=False)


@scenario.command()
@guarded
def check(
    scenarios: Annotated[list[str], typer.Argument(help="Shipped names or files.")],
    deep: Annotated[
        bool, typer.Option(help="Load grid, profiles and prices too (takes seconds).")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check scenario files; every fault of every file is named."""
    reports = [_report(name, deep) for name in scenarios]
    if json:
        print_json(reports)
    for report in [] if json else reports:
        if report["ok"]:
            out.print(f"{report['scenario']}: ok{report['size']}", markup=False, soft_wrap=True)
        else:
            err.print(report["text"], style="red", markup=False, soft_wrap=True)
    if not all(report["ok"] for report in reports):
        raise typer.Exit(EXIT_BAD_INPUT)


def _report(name: str, deep: bool) -> dict[str, Any]:
    try:
        scenario = load_scenario(name)
        size = _size(scenario) if deep else ""
    except InvalidInputError as error:
        faults = [
            {"where": f.where, "found": f.found, "allowed": f.allowed, "hint": f.hint}
            for f in error.faults
        ]
        return {"scenario": name, "ok": False, "faults": faults, "text": str(error)}
    return {"scenario": name, "ok": True, "faults": [], "size": size}


def _size(scenario: Scenario) -> str:
    built = scenario_files.build(scenario)  # found when it is used: it loads pandapower
    return (
        f" ({len(built.grid.buses)} buses, {len(built.site_map)} sites, "
        f"{len(built.fleet)} batteries, {len(built.time_grid)} intervals)"
    )


class SchemaOf(enum.StrEnum):
    """What `gridsim schema` can describe."""

    SCENARIO = "scenario"
    PROBLEM = "problem"


@guarded
def schema(
    of: Annotated[SchemaOf, typer.Argument(help="scenario or problem")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write it here.")] = None,
) -> None:
    """Print the JSON schema of scenario or problem files."""
    file_to_write(output)
    content = problem_schema() if of is SchemaOf.PROBLEM else Scenario.model_json_schema()
    if output is None:
        print_json(content)
        return
    import json as json_module  # `json` is an option's name in this module

    with whole_file(output) as partial:
        partial.write_text(json_module.dumps(content, indent=2) + "\n", encoding="utf-8")
