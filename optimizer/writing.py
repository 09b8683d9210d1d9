"""The portable document of a problem that was made in code."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.problem import NO_GROUP
from twins.timegrid import iso

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]


def problem_document(problem: DispatchProblem) -> dict[str, Any]:
    """The JSON content of a problem: as it was read, or written anew where it was made in code.

    Charging sessions of a problem made in code are written as the batteries they are in the normal
    form.
    """
    if problem.document is not None:
        return problem.document
    is_site = problem.groups.is_site
    content: dict[str, Any] = {
        "schema_version": 1,
        "name": problem.name,
        "currency": problem.currency,
        "time": {"instants": [iso(moment) for moment in problem.grid.instants]},
        "price_import_per_kwh": _plain(problem.price_import_per_kwh),
        "price_export_per_kwh": _plain(problem.price_export_per_kwh),
        "batteries": [_battery(problem, row) for row in range(len(problem.batteries))],
        "generators": [_generator(problem, row) for row in range(len(problem.generators))],
        "sites": [_node(problem, row) for row in group_order(problem) if is_site[row]],
        "groups": [_node(problem, row) for row in group_order(problem) if not is_site[row]],
        "limits": [_limit(problem, row) for row in range(len(problem.limits))],
        "reserves": [_reserve(problem, row) for row in range(len(problem.reserves))],
        "positions": [_position(problem, row) for row in range(len(problem.positions))],
        "network": [_network_row(problem, row) for row in range(len(problem.network))],
    }
    return {key: value for key, value in content.items() if value != []}


def group_order(problem: DispatchProblem) -> list[int]:
    """Rows of the groups in a document's order: sites first."""
    is_site = problem.groups.is_site
    return [*_rows(is_site), *_rows(~is_site)]


def target_order(problem: DispatchProblem) -> list[int]:
    """Rows of the targets in a document's order: by battery."""
    return [int(row) for row in np.argsort(problem.targets.battery, kind="stable")]


def _plain(series: Floats) -> float | list[float | None]:
    """A series as JSON: one number where it is constant, null where there is no limit."""
    values = [float(v) if math.isfinite(v) else None for v in series]
    if values[0] is not None and all(value == values[0] for value in values):
        return values[0]
    return values


def _rows(chosen: npt.NDArray[np.bool_]) -> list[int]:
    return [int(row) for row in np.flatnonzero(chosen)]


def _place(problem: DispatchProblem, group: int) -> dict[str, str]:
    if group == NO_GROUP:
        return {}
    key = "site_id" if problem.groups.is_site[group] else "group_id"
    return {key: problem.groups.group_id[group]}


def _battery(problem: DispatchProblem, row: int) -> dict[str, Any]:
    b = problem.batteries
    content: dict[str, Any] = {
        "battery_id": b.battery_id[row],
        **_place(problem, int(b.group[row])),
        "energy_kwh_initial": float(b.energy_kwh_initial[row]),
        "inflow_kw": _plain(np.maximum(b.inflow_kw[row], 0.0)),
        "usage_kw": _plain(np.maximum(-b.inflow_kw[row], 0.0)),
    }
    series = ("energy_kwh_max", "energy_kwh_min", "p_charge_kw_max", "p_discharge_kw_max")
    for name in (*series, "efficiency_charge", "efficiency_discharge"):
        content[name] = _plain(getattr(b, name)[row])
    for name in (
        "p_charge_kw_min", "p_discharge_kw_min", "standing_loss_per_h",
        "wear_cost_charge_per_kwh", "wear_cost_discharge_per_kwh", "cycles_per_day_max",
        "ramp_up_kw_per_h", "ramp_down_kw_per_h", "p_kw_initial",
    ):  # fmt: skip
        value = float(getattr(b, name)[row])
        if math.isfinite(value):
            content[name] = value
    if np.isfinite(b.p_kw_previous[row]).any():
        content["p_kw_previous"] = _plain(b.p_kw_previous[row])
        content["change_price_per_kwh"] = float(b.change_price_per_kwh[row])
    if b.provides_reserve[row]:
        content["provides_reserve"] = True
    if b.power_levels[row]:
        content["power_levels"] = int(b.power_levels[row])
    content |= _end_value(b.end_value_kwh[row], b.end_value_per_kwh[row])
    targets = [target_document(problem, at) for at in _rows(problem.targets.battery == row)]
    return {**content, "targets": targets} if targets else content


def _end_value(widths: Floats, values: Floats) -> dict[str, Any]:
    if math.isinf(widths[0]):
        return {"energy_value_per_kwh": float(values[0])}
    pieces = zip(widths, values, strict=True)
    return {
        "energy_value_pieces": [
            # Wider than any store is as good as without end, and JSON has no infinity.
            {"energy_kwh": float(min(width, 1e12)), "value_per_kwh": float(value)}
            for width, value in pieces
            if width > 0
        ]
    }


def target_document(problem: DispatchProblem, row: int) -> dict[str, Any]:
    """One target as the file has it."""
    targets = problem.targets
    content: dict[str, Any] = {"at": target_moment(problem, row)}
    for name in ("energy_kwh_min", "energy_kwh_max"):
        if math.isfinite(value := float(getattr(targets, name)[row])):
            content[name] = value
    if targets.breach_price_per_kwh[row]:
        content["breach_price_per_kwh"] = float(targets.breach_price_per_kwh[row])
    return content


def target_moment(problem: DispatchProblem, row: int) -> str:
    """The moment of a target, RFC 3339."""
    interval = int(problem.targets.interval[row])
    start, end = problem.grid.instants[interval : interval + 2]
    passed = round(float(problem.targets.share[row]) * int((end - start).astype(np.int64)))
    return iso(start + np.timedelta64(passed, "ns"))


def _generator(problem: DispatchProblem, row: int) -> dict[str, Any]:
    table = problem.generators
    return {
        "generator_id": table.generator_id[row],
        **_place(problem, int(table.group[row])),
        "p_kw_available": _plain(table.p_kw_available[row]),
        "p_kw_min": _plain(table.p_kw_min[row]),
        "cost_per_kwh": float(table.cost_per_kwh[row]),
    }


def _node(problem: DispatchProblem, row: int) -> dict[str, Any]:
    groups = problem.groups
    content: dict[str, Any] = {
        "load_kw": _plain(groups.load_kw[row]),
        "generation_kw": _plain(groups.generation_kw[row]),
    }
    if groups.parent[row] != NO_GROUP:
        content["parent_id"] = groups.group_id[groups.parent[row]]
    if not groups.is_site[row]:
        return {"group_id": groups.group_id[row], **content}
    prices = ("price_import_per_kwh", "price_export_per_kwh")
    content |= {name: _plain(getattr(groups, name)[row]) for name in prices}
    return {"site_id": groups.group_id[row], **content}


def _limit(problem: DispatchProblem, row: int) -> dict[str, Any]:
    limits = problem.limits
    content: dict[str, Any] = {
        "limit_id": limits.limit_id[row],
        "p_kw_max": _plain(limits.p_kw_max[row]),
        "p_kw_min": _plain(limits.p_kw_min[row]),
    }
    if limits.group[row] != NO_GROUP:
        content["group_id"] = problem.groups.group_id[limits.group[row]]
    for name in ("breach_price_per_kwh", "breach_price_per_kw"):
        if value := float(getattr(limits, name)[row]):
            content[name] = value
    for name in ("ramp_up_kw_per_h", "ramp_down_kw_per_h", "p_kw_initial"):
        if math.isfinite(value := float(getattr(limits, name)[row])):
            content[name] = value
    return content


def _reserve(problem: DispatchProblem, row: int) -> dict[str, Any]:
    table = problem.reserves
    content: dict[str, Any] = {
        "reserve_id": table.reserve_id[row],
        "direction": "up" if table.is_up[row] else "down",
        "p_kw_required": _plain(table.p_kw_required[row]),
        "duration_h": float(table.duration_h[row]),
    }
    if table.group[row] != NO_GROUP:
        content["group_id"] = problem.groups.group_id[table.group[row]]
    if table.breach_price_per_kwh[row]:
        content["breach_price_per_kwh"] = float(table.breach_price_per_kwh[row])
    return content


def _position(problem: DispatchProblem, row: int) -> dict[str, Any]:
    table = problem.positions
    content: dict[str, Any] = {"position_id": table.position_id[row]}
    for name in ("p_kw", "price_above_per_kwh", "price_below_per_kwh"):
        content[name] = _plain(getattr(table, name)[row])
    if table.group[row] != NO_GROUP:
        content["group_id"] = problem.groups.group_id[table.group[row]]
    return content


def _network_row(problem: DispatchProblem, row: int) -> dict[str, Any]:
    """A row with the weights of a unit or group that comes several times added up."""
    rows, count = problem.network, len(problem.batteries)
    names = (
        problem.batteries.battery_id, problem.generators.generator_id, problem.groups.group_id
    )  # fmt: skip
    sums: dict[str, dict[str, float]] = {"batteries": {}, "generators": {}, "groups": {}}
    content: dict[str, Any] = {"row_id": rows.row_id[row], "interval": int(rows.interval[row])}
    for entry in range(*rows.entry_start[row : row + 2].tolist()):
        unit, group = int(rows.entry_unit[entry]), int(rows.entry_group[entry])
        weight = float(rows.weight[entry])
        if unit < 0 and group == NO_GROUP:
            content["whole"] = content.get("whole", 0.0) + weight
            continue
        kind = 2 if unit < 0 else int(unit >= count)
        name = names[kind][(unit, unit - count, group)[kind]]
        by_name = list(sums.values())[kind]
        by_name[name] = by_name.get(name, 0.0) + weight
    content |= {kind: by_name for kind, by_name in sums.items() if by_name}
    for name in ("p_kw_max", "p_kw_min"):
        if math.isfinite(value := float(getattr(rows, name)[row])):
            content[name] = value
    if rows.breach_price_per_kwh[row]:
        content["breach_price_per_kwh"] = float(rows.breach_price_per_kwh[row])
    return content
