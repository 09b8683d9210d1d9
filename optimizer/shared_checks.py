"""What can be wrong with the tables that tie units together beyond limits on one group's net."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twins.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optimizer.problem import DispatchProblem


PRICE_ROUNDING = 1e-9
"""Two prices whose sum lies this little below 0 were meant to cancel."""


def network_faults(problem: DispatchProblem) -> Iterator[Fault]:
    """Entries that point nowhere, rows without entries or bounds, names that come twice."""
    rows = problem.network
    counts = np.diff(rows.entry_start)
    ends = (int(rows.entry_start[0]), int(rows.entry_start[-1]))
    lengths = {len(rows.entry_unit), len(rows.entry_group), len(rows.weight)}
    if len(counts) != len(rows) or (counts < 0).any() or lengths != {ends[1]} or ends[0]:
        allowed = "must rise from 0 to the number of entries, with one number a row and one more"
        yield Fault("network.entry_start", f"{ends[0]} to {ends[1]}", allowed)
        return
    yield from _entry_faults(problem)
    for row in np.flatnonzero((rows.interval < 0) | (rows.interval >= len(problem.grid))):
        allowed = f"must be an interval of the horizon, 0 to {len(problem.grid) - 1}"
        yield Fault(f"{rows.where[row]}.interval", str(int(rows.interval[row])), allowed)
    for row in np.flatnonzero(counts == 0):
        yield Fault(rows.where[row], "", "must have the weight of at least one unit or group")
    for row in np.flatnonzero(np.isinf(rows.p_kw_max) & np.isinf(rows.p_kw_min)):
        yield Fault(rows.where[row], "", "must have p_kw_max or p_kw_min")
    for row in np.flatnonzero(rows.p_kw_min > rows.p_kw_max):
        allowed = f"must be at most p_kw_max, {rows.p_kw_max[row]:g}"
        yield Fault(f"{rows.where[row]}.p_kw_min", f"{rows.p_kw_min[row]:g}", allowed)
    first: dict[tuple[str, int], str] = {}
    for name, interval, path in zip(rows.row_id, rows.interval.tolist(), rows.where, strict=True):
        if (name, interval) in first:
            allowed = f"must be a name of its own in its interval; {first[name, interval]} has it"
            yield Fault(f"{path}.row_id", repr(name), allowed)
        first.setdefault((name, interval), path)


def position_faults(problem: DispatchProblem) -> Iterator[Fault]:
    """Deviations that earn both ways, and names that come twice."""
    table = problem.positions
    total = table.price_above_per_kwh + table.price_below_per_kwh
    for row in np.flatnonzero((total < -PRICE_ROUNDING).any(axis=1)):
        at = int(np.argmax(total[row] < -PRICE_ROUNDING))
        above = table.price_above_per_kwh[row, at]
        allowed = f"must be at least the negative of price_above_per_kwh there, {-above:g}"
        found = f"{table.price_below_per_kwh[row, at]:g}"
        yield Fault(f"{table.where[row]}.price_below_per_kwh[{at}]", found, allowed)
    yield from _repeated(table.position_id, table.where, "position_id")


def reserve_faults(problem: DispatchProblem) -> Iterator[Fault]:
    """Batteries that cannot hold any power between others ready, and names that come twice."""
    b, table = problem.batteries, problem.reserves
    for row in np.flatnonzero(b.provides_reserve):
        if b.is_discrete[row]:
            allowed = "must be false where there are steps or a least power"
            yield Fault(f"{b.where[row]}.provides_reserve", "true", allowed)
    yield from _repeated(table.reserve_id, table.where, "reserve_id")


def _repeated(names: tuple[str, ...], where: tuple[str, ...], key: str) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for name, path in zip(names, where, strict=True):
        if name in first:
            allowed = f"must be a name of its own; {first[name]} has it"
            yield Fault(f"{path}.{key}", repr(name), allowed)
        first.setdefault(name, path)


def _entry_faults(problem: DispatchProblem) -> Iterator[Fault]:
    rows = problem.network
    where = [rows.where[row] for row in rows.entry_row] if len(rows.weight) else []
    for entry in np.flatnonzero(~np.isfinite(rows.weight)):
        yield Fault(f"{where[entry]}.weight", f"{rows.weight[entry]:g}", "must be a finite number")
    units = len(problem.batteries) + len(problem.generators)
    for entry in np.flatnonzero((rows.entry_unit < -1) | (rows.entry_unit >= units)):
        text = str(int(rows.entry_unit[entry]))
        yield Fault(f"{where[entry]}.entry_unit", text, f"must be a unit, 0 to {units - 1}, or -1")
    of_group = rows.entry_unit == -1
    astray = (rows.entry_group < -1) | (rows.entry_group >= len(problem.groups))
    for entry in np.flatnonzero(of_group & astray):
        allowed = f"must be a group, 0 to {len(problem.groups) - 1}, or -1 for the whole"
        yield Fault(f"{where[entry]}.entry_group", str(int(rows.entry_group[entry])), allowed)
