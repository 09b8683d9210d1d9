"""`gridsim run` and `gridsim compare`."""

from __future__ import annotations

import json as json_module
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from gridsim.cli.console import EXIT_REFUSED, guarded, out, print_json, progress
from gridsim.cli.places import folder_to_write
from gridsim.report import comparison_rows
from gridsim.run.storage import load_run
from gridsim.study.study import Study
from optimizer.plan_file import write_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gridsim.run.result import Run

FINDINGS_SHOWN_MAX = 10
PHASES_SHOWN = ("load", "build", "solve", "power_flow", "linearise", "replay", "to_verdict")


@guarded
def run(
    scenario: Annotated[str, typer.Argument(help="Name of a shipped scenario, or a file.")],
    day: Annotated[
        list[str] | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Local day instead of the file's; repeat it for several runs, each of which gets "
            "a folder of its own in the output.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for report, plan and arrays."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON (a list for several).")] = False,
) -> None:
    """Plan a scenario, check it on twins and grid, report.

    The exit code is 0 only if every plan passed the gate.
    """
    days: list[str | None] = [*dict.fromkeys(day)] if day else [None]
    folder_to_write(output)
    with progress(quiet=json) as report:
        # All of them before the first is planned: a mistyped day must not show after minutes.
        studies = [_loaded(scenario, at, report) for at in days]
    runs = []
    for at, study in zip(days, studies, strict=True):
        with progress(quiet=json) as report:
            finished = study.run(report)
            folder = output / str(at) if output is not None and len(days) > 1 else output
            if folder is not None:
                report("write the report")
                write_results(finished, folder)
        runs.append(finished)
        if not json:
            print_run(finished, folder)
    if json:
        summaries = [dict(finished.summary) for finished in runs]
        print_json(summaries if len(days) > 1 else summaries[0])
    if not all(finished.passed for finished in runs):
        raise typer.Exit(EXIT_REFUSED)


def _loaded(scenario: str, day: str | None, report: Callable[[str], None]) -> Study:
    report(f"{scenario}: load" + ("" if day is None else f" {day}"))
    return Study.load(scenario, day=day)


def write_results(finished: Run, folder: Path) -> None:
    """Everything of a run in one folder: report.html, summary.json, plan.json, run.nc.

    All of it is written before any of it takes its place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json_module.dumps(dict(finished.summary), indent=2, allow_nan=False) + "\n"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as name:
        partial = Path(name)
        finished.save(partial / "run.nc")
        write_plan(finished.plan, partial / "plan.json")
        finished.report(partial / "report.html")
        (partial / "summary.json").write_text(text, encoding="utf-8")
        for file in sorted(partial.iterdir()):
            file.replace(folder / file.name)


def print_run(finished: Run, folder: Path | None) -> None:
    """The summary table, for 80 columns."""
    s = finished.summary
    when = f"{s['day'] or 'horizon'}, {s['start']} to {s['end']}"
    word = "PASS" if finished.passed else f"REFUSED, {_counted(s['finding_counts'])}"
    style = "green" if finished.passed else "red"
    out.print(f"{s['scenario']}: {word}", style=style, markup=False)
    out.print(when, markup=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(max_width=50)
    table.add_column(justify="right")
    for label, value in summary_rows(s):
        table.add_row(label, value)
    out.print(table)
    out.print(_grid_table(s))
    if s.get("resolution_w") == 1:
        left = s["cells_left"]
        out.print("powers in whole watts" + (f", but for {left:,} that cannot be" if left else ""))
    if s["preexisting"]:
        out.print(f"limits broken without batteries too, none worse: {len(s['preexisting']):,}")
    for finding in s["findings"][:FINDINGS_SHOWN_MAX]:
        out.print(f"  {finding['text']}", markup=False)
    if len(s["findings"]) > FINDINGS_SHOWN_MAX:
        out.print(f"  … and {len(s['findings']) - FINDINGS_SHOWN_MAX:,} more findings")
    phases = ", ".join(f"{p.replace('_', ' ')} {s['seconds'][p]:.1f}" for p in PHASES_SHOWN)
    out.print(f"{s['seconds']['total']:.1f} seconds: {phases}")
    if folder is not None:
        out.print(f"report: {folder / 'report.html'}", markup=False, soft_wrap=True)


def _counted(findings: Mapping[str, int]) -> str:
    """For example "9 voltage, 3 line loading"."""
    return ", ".join(f"{count:,} {check}" for check, count in findings.items())


def summary_rows(s: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and figures of a run."""
    money = s["currency"]
    cost, saving = s["cost"], s["saving_percent"]
    return [
        ("sites / batteries / intervals", f"{s['sites']} / {s['batteries']} / {s['intervals']}"),
        (f"cost without batteries ({money})", f"{cost['no_battery']:,.2f}"),
        (f"cost with self-consumption by rule ({money})", f"{cost['self_consumption']:,.2f}"),
        (f"cost with the plan ({money})", f"{cost['plan']:,.2f}"),
        ("saving against no batteries", f"{saving['no_battery']:.1f} %"),
        ("saving against self-consumption", f"{saving['self_consumption']:.1f} %"),
        (f"wear, part of the cost ({money})", f"{s['wear']:,.2f}"),
        ("equivalent full cycles a battery", f"{s['equivalent_cycles']:.2f}"),
        ("gap to the best plan of the last linear grid", f"{s['gap']:.4%}"),
        ("share of the bound by transformer ratings", _share(s)),
        ("largest excess over a limit in the AC flow", _excess(s)),
        ("proven gap to any plan, the grid left aside", f"{s['gap_any_plan']:.2%}"),
        ("rounds of plan and check", f"{len(s['rounds'])}"),
        ("peak memory", f"{s['peak_memory_mb']:,.0f} MB"),
    ]


def _share(s: Mapping[str, Any]) -> str:
    share = s.get("share_of_ratings_bound")
    return "–" if share is None else f"{share:.2%}"


def _excess(s: Mapping[str, Any]) -> str:
    excess = s.get("worst_grid_excess")
    return "–" if excess is None else f"{excess:.2%}"


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
    broken = [dict(s["breaches"][key]) for key in keys]
    unsolved = [counts.pop("flow") for counts in broken]
    table.add_row("limits broken", *(f"{sum(counts.values()):,}" for counts in broken))
    if any(unsolved):
        table.add_row("intervals without a solution", *(f"{count:,}" for count in unsolved))
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
    for name, path, s in zip(("first", "second"), (first, second), summaries, strict=True):
        words = f"{s['scenario']}, {s['day'] or s['start']}, {s['verdict']} ({path})"
        out.print(f"{name}: {words}", markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("figure")
    for name in ("first", "second", "change"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*map(_cell, row))
    out.print(table)


def _cell(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else "–" if value is None else str(value)


def _stored(path: Path) -> Run:
    return load_run(path / "run.nc" if path.is_dir() else path)
