"""A problem a few thousand batteries at a time: what is summed or checked unit by unit.

Tables of so many rows stay in the processor's cache, memory beside the problem's own does not grow
with the fleet, and parts can be worked on side by side.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Ints = npt.NDArray[np.int64]

R = TypeVar("R")
T = TypeVar("T")

ROWS_PER_PART = 2048


def over_parts(
    problem: DispatchProblem,
    work: Callable[[slice, DispatchProblem], R],
    threads: int | None = None,
) -> list[R]:
    """What `work` says of each part of the batteries, in their order.

    A part is the problem with some of its batteries and their targets alone; prices, groups and
    the firm price are the whole problem's. It has views of the columns, not copies.

    Args:
        problem: any; one without batteries has no part.
        work: gets the rows of a part and the part.
        threads: all that the machine has if None. The list does not depend on them.
    """
    targets = problem.targets.battery
    order = np.argsort(targets, kind="stable")
    starts = np.arange(0, len(problem.batteries), ROWS_PER_PART)
    edges = np.searchsorted(targets[order], np.append(starts, len(problem.batteries)))

    def one(at: int) -> R:
        rows = slice(int(starts[at]), int(starts[at]) + ROWS_PER_PART)
        return work(rows, _part(problem, rows, order[edges[at] : edges[at + 1]]))

    count = threads or os.cpu_count() or 1
    if count == 1 or len(starts) < 2:
        return [one(at) for at in range(len(starts))]
    # Worked out before threads ask for them all at once.
    _ = problem.energy_after_loss, problem.band_yields, problem.battery_site
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(len(starts))))


def _part(problem: DispatchProblem, rows: slice, targets: Ints) -> DispatchProblem:
    """Made without the checks that the whole problem has passed."""
    columns = {f.name: getattr(problem.targets, f.name) for f in fields(problem.targets)}
    mine = {
        name: ("",) * len(targets) if name == "where" else column[targets]
        for name, column in columns.items()
    }
    mine["battery"] = mine["battery"] - rows.start
    batteries = problem.batteries
    part = _unchecked(
        problem,
        batteries=_unchecked(
            batteries, **{f.name: getattr(batteries, f.name)[rows] for f in fields(batteries)}
        ),
        targets=_unchecked(problem.targets, **mine),
    )
    part.__dict__.update(
        energy_after_loss=problem.energy_after_loss[rows],
        band_yields=problem.band_yields[rows],
        battery_site=problem.battery_site[rows],
        firm_price_per_kwh=problem.firm_price_per_kwh,
        days=problem.days,
    )
    return part


def _unchecked(table: T, **changed: object) -> T:
    made = object.__new__(type(table))
    for column in fields(table):  # type: ignore[arg-type]
        object.__setattr__(made, column.name, changed.get(column.name, getattr(table, column.name)))
    return made
