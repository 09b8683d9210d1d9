"""`gridsim run` and `gridsim compare`."""

from __future__ import annotations

import json as json_module
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from gridsim.cli.console import EXIT_REFUSED, guarded, out, print_json, progress
from gridsim.report import comparison_rows
from gridsim.run.storage import RunFileError, load_run
from gridsim.study.study import Study
from optimizer.plan_file import write_plan
from twins.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridsim.run.result import Run

FINDINGS_SHOWN_MAX = 10


@guarded
def run(
    scenario: Annotated[str, typer.Argument(help="Name of a shipped scenario, or a file.")],
    day: Annotated[
        list[str] | None,
        typer.Option(help="Local day instead of the file's; repeat it for several runs."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for report, plan and arrays."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON (a list for several).")] = False,
) -> None:
    """Plan a scenario, live it through, check it on the grid and report.

    The exit code is 0 only if every plan passed the gate.
    """
    days: list[str | None] = [*day] if day else [None]
    if output is not None:
        _refuse_file(output)
    runs = []
    for at in days:
        with progress(quiet=json) as report:
            report(f"{scenario}: load")
            study = Study.load(scenario, day=at)
            finished = study.run(report)
            folder = _folder(output, finished, several=len(days) > 1)
            if folder is not None:
                report("write the report")
                write_results(finished, folder)
        runs.append(finished)
        if not json:
            print_run(finished, folder)
    if json:
        summaries = [dict(finished.summary) for finished in runs]
        print_json(summaries if day and len(day) > 1 else summaries[0])
    if not all(finished.passed for finished in runs):
        raise typer.Exit(EXIT_REFUSED)


def _refuse_file(output: Path) -> None:
    if output.exists() and not output.is_dir():
        fault = Fault("--output", str(output), "must be a folder; this is a file")
        raise RunFileError("gridsim run", [fault])


def _folder(output: Path | None, finished: Run, *, several: bool) -> Path | None:
    if output is None:
        return None
    return output / str(finished.summary["start"])[:10] if several else output


def write_results(finished: Run, folder: Path) -> None:
    """Everything of a run in one folder: report.html, summary.json, plan.json, run.nc."""
    folder.mkdir(parents=True, exist_ok=True)
    finished.save(folder / "run.nc")
    write_plan(finished.plan, folder / "plan.json")
    finished.report(folder / "report.html")
    text = json_module.dumps(dict(finished.summary), indent=2, allow_nan=False) + "\n"
    partial = folder / f".summary.{os.getpid()}.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(folder / "summary.json")


def print_run(finished: Run, folder: Path | None) -> None:
    """The summary table, for 80 columns."""
    s = finished.summary
    heading = f"{s['scenario']}, {s['start']} to {s['end']}: {s['verdict'].upper()}"
    out.print(heading, style="green" if finished.passed else "red", markup=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(max_width=50)
    table.add_column(justify="right")
    for label, value in summary_rows(s):
        table.add_row(label, value)
    out.print(table)
    out.print(_grid_table(s))
    for finding in s["findings"][:FINDINGS_SHOWN_MAX]:
        out.print(f"  {finding['text']}", markup=False)
    if len(s["findings"]) > FINDINGS_SHOWN_MAX:
        out.print(f"  … and {len(s['findings']) - FINDINGS_SHOWN_MAX} more findings")
    if folder is not None:
        out.print(f"report: {folder / 'report.html'}", markup=False, soft_wrap=True)


def summary_rows(s: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and figures of a run."""
    money = s["currency"]
    cost, saving, seconds = s["cost"], s["saving_percent"], s["seconds"]
    phases = ("load", "build", "solve", "replay", "power_flow")
    return [
        ("sites / batteries / intervals", f"{s['sites']} / {s['batteries']} / {s['intervals']}"),
        (f"cost without batteries ({money})", f"{cost['no_battery']:,.2f}"),
        (f"cost with self-consumption by rule ({money})", f"{cost['self_consumption']:,.2f}"),
        (f"cost with the plan ({money})", f"{cost['plan']:,.2f}"),
        ("saving against no batteries", f"{saving['no_battery']:.1f} %"),
        ("saving against self-consumption", f"{saving['self_consumption']:.1f} %"),
        (f"wear, part of the cost ({money})", f"{s['wear']:,.2f}"),
        ("equivalent full cycles a battery", f"{s['equivalent_cycles']:.2f}"),
        ("proven gap to the best plan", f"{s['gap']:.4%}"),
        ("rounds of plan and check", f"{len(s['rounds'])}"),
        ("seconds " + " / ".join(phases), " / ".join(f"{seconds[p]:.1f}" for p in phases)),
        ("seconds in all; peak memory", f"{seconds['total']:.1f} s; {s['peak_memory_mb']:.0f} MB"),
    ]


def _grid_table(s: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("the grid")
    for name in ("without batteries", "with the plan", "by price alone"):
        table.add_column(name, justify="right")
    keys = ("without", "plan", "price_only")
    for label, figures, form in (
        ("lowest voltage (pu)", s["voltage_pu"]["lowest"], "{:.4f}"),
        ("highest voltage (pu)", s["voltage_pu"]["highest"], "{:.4f}"),
        ("highest line loading", s["loading"]["line"], "{:.1%}"),
        ("highest transformer loading", s["loading"]["transformer"], "{:.1%}"),
    ):
        cells = ["–" if figures[key] is None else form.format(figures[key]) for key in keys]
        table.add_row(label, *cells)
    breaches = s["breaches"]
    alone = sum(breaches["price_only"].values())
    table.add_row("limits broken", str(breaches["without"]), str(breaches["plan"]), str(alone))
    return table


@guarded
def compare(
    first: Annotated[Path, typer.Argument(help="A run's folder, or its run.nc.")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put two runs side by side."""
    summaries = [_stored(path).summary for path in (first, second)]
    rows = comparison_rows(*summaries)
    if json:
        keys = ("figure", "first", "second", "difference")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("figure")
    for name in ("first", "second", "difference"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*map(_cell, row))
    out.print(table)


def _cell(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else "–" if value is None else str(value)


def _stored(path: Path) -> Run:
    return load_run(path / "run.nc" if path.is_dir() else path)
