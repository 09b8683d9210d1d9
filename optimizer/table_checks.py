"""Whether the tables of a problem fit together: columns of one length, references that exist.

These rules come before all others, which compare columns and follow references.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twins.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

TABLES = (
    "batteries", "generators", "groups", "limits", "targets", "network", "positions", "reserves",
)  # fmt: skip
_SERIES = {
    "batteries": (
        "p_charge_kw_max", "p_discharge_kw_max", "efficiency_charge", "efficiency_discharge",
        "inflow_kw", "p_kw_previous",
    ),
    "generators": ("p_kw_available", "p_kw_min"),
    "groups": ("load_kw", "generation_kw", "price_import_per_kwh", "price_export_per_kwh"),
    "limits": ("p_kw_max", "p_kw_min"),
    "positions": ("p_kw", "price_above_per_kwh", "price_below_per_kwh"),
    "reserves": ("p_kw_required",),
}  # fmt: skip
"""Columns with a value an interval; those of `_BY_INSTANT` have one more."""
_BY_INSTANT = {"batteries": ("energy_kwh_min", "energy_kwh_max")}
_BY_ROW = {
    "batteries": (
        "is_session", "group", "energy_kwh_initial", "p_charge_kw_min", "p_discharge_kw_min",
        "power_levels", "standing_loss_per_h", "wear_cost_charge_per_kwh",
        "wear_cost_discharge_per_kwh", "cycles_per_day_max", "ramp_up_kw_per_h",
        "ramp_down_kw_per_h", "p_kw_initial", "change_price_per_kwh", "provides_reserve",
    ),
    "generators": ("group", "cost_per_kwh"),
    "groups": ("parent", "is_site"),
    "limits": (
        "group", "breach_price_per_kwh", "breach_price_per_kw", "ramp_up_kw_per_h",
        "ramp_down_kw_per_h", "p_kw_initial",
    ),
    "targets": (
        "battery", "interval", "share", "energy_kwh_min", "energy_kwh_max", "breach_price_per_kwh",
    ),
    "network": ("interval", "p_kw_max", "p_kw_min", "breach_price_per_kwh"),
    "positions": ("group",),
    "reserves": ("group", "is_up", "duration_h", "breach_price_per_kwh"),
}  # fmt: skip
_WHOLE = {
    "group", "parent", "battery", "interval", "power_levels", "entry_start", "entry_unit",
    "entry_group",
}  # fmt: skip
_YES_OR_NO = {"is_session", "is_site", "is_up", "provides_reserve"}


def form_faults(problem: DispatchProblem) -> list[Fault]:
    """Columns of a wrong shape or kind; references out of range where all columns are sound."""
    faults = list(_shape_faults(problem))
    return faults or list(_reference_faults(problem))


def columns_of(table: str) -> frozenset[str]:
    """Names of the columns of `table` whose shape is checked here."""
    pieces = ("end_value_per_kwh", "end_value_kwh") if table == "batteries" else ()
    by_time = _SERIES.get(table, ()) + _BY_INSTANT.get(table, ())
    return frozenset((*_BY_ROW[table], *by_time, *pieces))


def _shape_faults(problem: DispatchProblem) -> Iterator[Fault]:
    intervals = len(problem.grid)
    for name in ("price_import_per_kwh", "price_export_per_kwh"):
        yield from _misshapen(name, getattr(problem, name), (intervals,))
    for name in TABLES:
        table = getattr(problem, name)
        rows = len(table)
        if len(table.where) != rows:
            yield Fault(f"{name}.where", f"{len(table.where)} paths", f"must be {rows}, one a row")
        lengths = dict.fromkeys(_SERIES.get(name, ()), intervals)
        lengths |= dict.fromkeys(_BY_INSTANT.get(name, ()), intervals + 1)
        for column in _BY_ROW[name]:
            yield from _misshapen(f"{name}.{column}", getattr(table, column), (rows,))
        for column, length in lengths.items():
            yield from _misshapen(f"{name}.{column}", getattr(table, column), (rows, length))
    yield from _piece_faults(problem)
    for column in ("entry_start", "entry_unit", "entry_group", "weight"):
        values = getattr(problem.network, column)
        yield from _misshapen(f"network.{column}", values, (values.size,))
    if not problem.network.entry_start.size:
        yield Fault("network.entry_start", "none", "must hold one number more than there are rows")


def _piece_faults(problem: DispatchProblem) -> Iterator[Fault]:
    """Energy left has one price a piece, and as many pieces in both columns."""
    b = problem.batteries
    pieces = b.end_value_per_kwh.shape[1:] if b.end_value_per_kwh.ndim == 2 else (1,)
    for column in ("end_value_per_kwh", "end_value_kwh"):
        yield from _misshapen(f"batteries.{column}", getattr(b, column), (len(b), *pieces))


def _misshapen(
    path: str, values: npt.NDArray[np.generic], shape: tuple[int, ...]
) -> Iterator[Fault]:
    column = path.rpartition(".")[2]
    # A table without rows has nothing to be read, whatever its columns' other axis.
    if values.shape != shape and (shape[0] or values.size):
        yield Fault(path, f"shape {values.shape}", f"must have shape {shape}")
    if column in _WHOLE and values.size and values.dtype.kind not in "iu":
        yield Fault(path, f"{values.dtype}", "must be whole numbers")
    if column in _YES_OR_NO and values.size and values.dtype.kind != "b":
        yield Fault(path, f"{values.dtype}", "must be true or false")


def _reference_faults(problem: DispatchProblem) -> Iterator[Fault]:
    """Rows that point at a group, battery or interval that there is none of.

    Those of network rows are found with the rest of these rows, in `optimizer.shared_checks`.
    """
    groups, batteries, intervals = len(problem.groups), len(problem.batteries), len(problem.grid)
    for name in ("batteries", "generators", "groups", "limits", "positions", "reserves"):
        column = "parent" if name == "groups" else "group"
        yield from _astray(problem, name, column, -1, groups, "a group")
    yield from _astray(problem, "targets", "battery", 0, batteries, "a battery")
    yield from _astray(problem, "targets", "interval", 0, intervals, "an interval of the horizon")


def _astray(
    problem: DispatchProblem, name: str, column: str, least: int, count: int, what: str
) -> Iterator[Fault]:
    table = getattr(problem, name)
    values = getattr(table, column)
    allowed = f"must be {what}, 0 to {count - 1}" if count else f"must not be {what}: there is none"
    if least < 0:
        allowed += ", or -1 for none" if count else "; -1 is allowed"
    for row in np.flatnonzero((values < least) | (values >= count)):
        yield Fault(f"{table.where[row]}.{column}", str(int(values[row])), allowed)
