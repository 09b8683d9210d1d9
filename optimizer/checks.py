"""Everything that can be wrong with a problem in normal form, one rule a function.

Rules compare whole columns and report rows by their path in the document. A rule never fails on
what another rule reports: a missing value is reported once, as missing, because every comparison
with nan is false.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from optimizer.shared_checks import network_faults, position_faults, reserve_faults
from optimizer.table_checks import TABLES, form_faults
from twins.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

_NOT_BY_ROW = {"entry_start", "entry_unit", "entry_group", "weight"}
"""Columns of entries, several to a row; `optimizer.shared_checks` looks at them."""
_MAY_BE_NAN = {"p_kw_initial", "p_kw_previous"}
_MAY_BE_INFINITE = {
    "cycles_per_day_max", "ramp_up_kw_per_h", "ramp_down_kw_per_h", "end_value_kwh",
    "p_kw_max", "p_kw_min", "energy_kwh_max", "energy_kwh_min",
}  # fmt: skip
_NOT_NEGATIVE = {
    "energy_kwh_initial", "p_charge_kw_max", "p_discharge_kw_max", "p_charge_kw_min",
    "p_discharge_kw_min", "power_levels", "cycles_per_day_max", "ramp_up_kw_per_h",
    "ramp_down_kw_per_h", "end_value_kwh", "p_kw_available", "load_kw", "generation_kw",
    "breach_price_per_kwh", "breach_price_per_kw", "change_price_per_kwh",
    "p_kw_required", "duration_h",
}  # fmt: skip


def problem_faults(problem: DispatchProblem) -> list[Fault]:
    """All faults of a problem, in the order of its tables; an empty list means that it is sound.

    Where columns do not fit together, or point at what is not there, only that is reported.
    """
    faults = form_faults(problem)
    if faults:
        return faults
    faults += _price_faults(problem)
    for name in TABLES:
        faults += _number_faults(getattr(problem, name))
    faults += _name_faults(problem)
    faults += _tree_faults(problem)
    faults += _battery_faults(problem)
    faults += _generator_faults(problem)
    faults += _limit_faults(problem)
    faults += _target_faults(problem)
    faults += network_faults(problem)
    faults += position_faults(problem)
    faults += reserve_faults(problem)
    return faults


def _price_faults(problem: DispatchProblem) -> Iterator[Fault]:
    for name in ("price_import_per_kwh", "price_export_per_kwh"):
        for at in np.flatnonzero(~np.isfinite(getattr(problem, name)))[:3]:
            yield Fault(f"{name}[{at}]", str(getattr(problem, name)[at]), "must be a finite number")
    if not len(problem.batteries) and not len(problem.generators):
        yield Fault("batteries", "none", "must hold at least one battery, session or generator")


def _number_faults(table: object) -> Iterator[Fault]:
    """NaN anywhere, infinity where it means nothing, a negative magnitude."""
    for column in fields(table):  # type: ignore[arg-type]
        values = getattr(table, column.name)
        if column.name in _NOT_BY_ROW:
            continue
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "fi" or not values.size:
            continue
        if not any(values.strides):  # one number for all cells, as of a column that was left out
            values = values[(slice(0, 1),) * values.ndim]
        bad = np.zeros(values.shape, dtype=bool)
        allowed = "must be a finite number"
        if column.name not in _MAY_BE_NAN:
            bad |= np.isnan(values)
        if column.name not in _MAY_BE_INFINITE:
            bad |= np.isinf(values)
        if column.name in _NOT_NEGATIVE:
            bad |= values < 0
            allowed = "must be at least 0"
        yield from _cells(table, column.name, values, bad, allowed)


def _cells(
    table: object,
    name: str,
    values: npt.NDArray[np.float64],
    bad: npt.NDArray[np.bool_],
    allowed: str,
) -> Iterator[Fault]:
    """One fault a row: its first bad cell, and how many more the row has."""
    where: tuple[str, ...] = table.where  # type: ignore[attr-defined]
    rows = bad if bad.ndim == 1 else bad.any(axis=1)
    for row in np.flatnonzero(rows):
        if bad.ndim == 1:
            yield Fault(f"{where[row]}.{name}", f"{values[row]:g}", allowed)
            continue
        at = int(np.argmax(bad[row]))
        more = int(bad[row].sum()) - 1
        # A scalar that was spread over the horizon is one fault, not one a slot.
        spread = more + 1 == bad.shape[1] and len(set(values[row].tolist())) == 1
        slot = "" if spread else f"[{at}]"
        hint = f"and {more} more in this series" if more and not spread else ""
        yield Fault(f"{where[row]}.{name}{slot}", f"{values[row, at]:g}", allowed, hint)


def _name_faults(problem: DispatchProblem) -> Iterator[Fault]:
    yield from _repeated(problem.batteries.battery_id, problem.batteries.where, "battery_id")
    yield from _repeated(problem.generators.generator_id, problem.generators.where, "generator_id")
    yield from _repeated(problem.groups.group_id, problem.groups.where, "group_id")
    yield from _repeated(problem.limits.limit_id, problem.limits.where, "limit_id")


def _repeated(names: Iterable[str], where: tuple[str, ...], key: str) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for name, path in zip(names, where, strict=True):
        if name in first:
            yield Fault(
                f"{path}.{key}", repr(name), f"must be a name of its own; {first[name]} has it"
            )
        first.setdefault(name, path)


def _tree_faults(problem: DispatchProblem) -> Iterator[Fault]:
    groups = problem.groups
    for group in range(len(groups)):
        seen, at = [group], int(groups.parent[group])
        while at >= 0 and at not in seen:
            seen.append(at)
            at = int(groups.parent[at])
        path = " > ".join(groups.group_id[g] for g in [*seen, group])
        if at == group:
            yield Fault(f"{groups.where[group]}.parent_id", path, "must be a tree without a cycle")
        elif at < 0 and groups.is_site[group] and groups.is_site[seen[1:]].any():
            yield Fault(groups.where[group], path, "must not put a site inside another site")


def _battery_faults(problem: DispatchProblem) -> Iterator[Fault]:
    b = problem.batteries
    if not len(b):
        return
    crossed = b.energy_kwh_min[:, 1:] > b.energy_kwh_max[:, 1:]
    for row in np.flatnonzero(crossed.any(axis=1)):
        at = int(np.argmax(crossed[row])) + 1
        low, high = b.energy_kwh_min[row, at], b.energy_kwh_max[row, at]
        yield Fault(
            f"{b.where[row]}.energy_kwh_min",
            f"{low:g}",
            f"must be at most energy_kwh_max, {high:g}",
        )
    for name in ("energy_kwh_min", "energy_kwh_max"):
        values = getattr(b, name)
        yield from _cells(b, name, values, np.isinf(values), "must be a finite number")
    for name in ("efficiency_charge", "efficiency_discharge"):
        values = getattr(b, name)
        yield from _cells(b, name, values, values <= 0, "must be above 0")
    loss = b.standing_loss_per_h
    yield from _cells(
        b, "standing_loss_per_h", loss, (loss < 0) | (loss >= 1), "must be at least 0 and below 1"
    )
    yield from _step_faults(problem)
    rising = np.diff(b.end_value_per_kwh, axis=1) > 0
    for row in np.flatnonzero(rising.any(axis=1)):
        text = str(b.end_value_per_kwh[row].tolist())
        yield Fault(f"{b.where[row]}.end_value_per_kwh", text, "must never rise")


def _step_faults(problem: DispatchProblem) -> Iterator[Fault]:
    b = problem.batteries
    both = (b.power_levels > 0) & ((b.p_charge_kw_min > 0) | (b.p_discharge_kw_min > 0))
    for row in np.flatnonzero(both):
        levels = str(int(b.power_levels[row]))
        yield Fault(
            f"{b.where[row]}.power_levels", levels, "must not be given together with a least power"
        )


def _generator_faults(problem: DispatchProblem) -> Iterator[Fault]:
    table = problem.generators
    crossed = (table.p_kw_min > table.p_kw_available) & (table.p_kw_available >= 0)
    yield from _cells(table, "p_kw_min", table.p_kw_min, crossed, "must be at most p_kw_available")
    yield from _cells(table, "p_kw_min", table.p_kw_min, table.p_kw_min < 0, "must be at least 0")


def _limit_faults(problem: DispatchProblem) -> Iterator[Fault]:
    table = problem.limits
    crossed = table.p_kw_min > table.p_kw_max
    yield from _cells(table, "p_kw_min", table.p_kw_min, crossed, "must be at most p_kw_max")
    none = (np.isinf(table.p_kw_max) & np.isinf(table.p_kw_min)).all(axis=1) & ~table.has_ramp
    for row in np.flatnonzero(none):
        allowed = "must have p_kw_max or p_kw_min in at least one interval, or a ramp"
        yield Fault(table.where[row], "", allowed)


def _target_faults(problem: DispatchProblem) -> Iterator[Fault]:
    table = problem.targets
    for row in np.flatnonzero((table.share <= 0) | (table.share > 1)):
        share = f"{table.share[row]:g}"
        yield Fault(f"{table.where[row]}.share", share, "must be above 0 and at most 1")
    for row in np.flatnonzero(table.energy_kwh_min > table.energy_kwh_max):
        low, high = table.energy_kwh_min[row], table.energy_kwh_max[row]
        yield Fault(
            f"{table.where[row]}.energy_kwh_min",
            f"{low:g}",
            f"must be at most energy_kwh_max, {high:g}",
        )
    for row in np.flatnonzero(table.energy_kwh_max < 0):
        yield Fault(
            f"{table.where[row]}.energy_kwh_max",
            f"{table.energy_kwh_max[row]:g}",
            "must be at least 0",
        )
