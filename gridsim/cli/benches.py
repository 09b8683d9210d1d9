"""`gridsim bench`: measured solves from the shell."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from gridsim.bench import DispatchBench
from gridsim.cli.console import guarded, out, print_json
from gridsim.cli.problems import whole_watts
from gridsim.instances import Congestion
from optimizer.solve import Solver

bench = typer.Typer(help="Measure a solver on a drawn instance.", no_args_is_help=True)


@bench.callback()
def root() -> None:
    """Measure a solver on a drawn instance."""


@bench.command()
@guarded
def dispatch(
    batteries: Annotated[int, typer.Option(help="How many batteries.")] = 1000,
    intervals: Annotated[int, typer.Option(help="How many half-hours.")] = 48,
    congestion: Annotated[Congestion, typer.Option(help="How tight limits are.")] = "moderate",
    discrete: Annotated[float, typer.Option(help="Share of discrete batteries, 0 to 1.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the instance.")] = 0,
    nested: Annotated[
        bool, typer.Option(help="Put areas under feeders and substations with limits.")
    ] = True,
    solver: Annotated[Solver, typer.Option(help="As of `gridsim solve`.")] = "auto",
    resolution_w: Annotated[
        int | None, typer.Option(min=1, max=1, help="1: every power in whole watts.")
    ] = None,
    gap: Annotated[float, typer.Option(min=0.0, help="Relative gap to stop at.")] = 1e-4,
    time_limit: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds after which to stop.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="All that there are if not given.")] = (
        None
    ),
    audit: Annotated[bool, typer.Option(help="Solve a drawn area as the Pyomo model too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw a dispatch problem, solve it, prove the plan and say what that took.

    The instance is the same for the same options everywhere. What is not compiled yet is compiled
    first, on a tiny instance.
    """
    measured = DispatchBench(
        batteries=batteries,
        intervals=intervals,
        congestion=congestion,
        discrete=discrete,
        seed=seed,
        nested=nested,
        solver=solver,
        resolution_w=whole_watts(resolution_w),
        gap=gap,
        time_limit_s=time_limit,
        threads=threads,
        audit=audit,
    ).measure()
    if json:
        print_json(measured)
    else:
        _print(measured)


def _print(measured: dict[str, Any]) -> None:
    out.print(
        f"{measured['batteries']:,} batteries, {measured['intervals']} half-hours, congestion "
        f"{measured['congestion']}, discrete {measured['discrete']:g}, seed {measured['seed']}",
        markup=False,
    )
    out.print(f"{measured['solver_name']} ({measured['why']})", markup=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for phase, took in measured["seconds"].items():
        if took:
            table.add_row(f"{phase} (s)", f"{took:.3f}")
    for label, value in (
        ("compile, before (s)", f"{measured['seconds_compile']:.3f}"),
        ("profit", f"{measured['profit']:,.4f}"),
        ("profit at most", f"{measured['profit_bound']:,.4f}"),
        ("gap between the two", f"{measured['gap']:.4%}"),
        ("worst violation of a rule", f"{measured['worst_violation']:.1e}"),
        ("peak memory (MB)", f"{measured['peak_memory_mb']:,.0f}"),
    ):
        table.add_row(label, value)
    out.print(table)
