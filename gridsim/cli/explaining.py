"""`gridsim explain`: what one battery of a saved plan does, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gridsim.cli.console import guarded, out, print_json
from gridsim.cli.places import file_to_write
from gridsim.report import plot_explanation
from optimizer.explain import Explanation
from optimizer.plan_file import read_plan


@guarded
def explain(
    plan: Annotated[Path, typer.Argument(help="A plan file.")],
    battery: Annotated[str, typer.Option(help="Id of a battery or session.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write a picture (PNG or SVG) here.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a battery of a saved plan does and why: prices, limits, targets, wear."""
    file_to_write(output)
    found = read_plan(plan)
    if battery not in found.problem.batteries.battery_id:
        raise typer.BadParameter(f"the plan has no battery {battery!r}", param_hint="--battery")
    if found.multipliers is None:
        raise typer.BadParameter("the plan has no prices, so its reasons are unknown")
    told = found.explain(battery)
    if output is not None:
        plot_explanation(told).savefig(output, dpi=120)
    if json:
        print_json(_content(told))
    else:
        for line in told.lines:
            out.print(line, markup=False)


def _content(told: Explanation) -> dict[str, Any]:
    series = {name: values.values.tolist() for name, values in told.series.data_vars.items()}
    return {"battery_id": told.battery_id, "lines": list(told.lines), "series": series}
