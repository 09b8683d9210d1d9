"""Small problems in normal form, with every default filled in.

Rows are dictionaries of the normal form's own column names; a scalar is spread over the horizon and
a group may be named by its id. Nothing here reads the portable document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.problem import (
    NO_GROUP,
    Batteries,
    DispatchProblem,
    Generators,
    Groups,
    Limits,
    NetworkRows,
    Positions,
    Reserves,
    Targets,
)
from twins.timegrid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

START = np.datetime64("2023-01-16T00:00", "ns")

_BATTERY: dict[str, Any] = {
    "is_session": False, "group": None, "energy_kwh_initial": 5.0, "energy_kwh_min": 0.0,
    "energy_kwh_max": 10.0, "p_charge_kw_max": 5.0, "p_discharge_kw_max": 5.0,
    "p_charge_kw_min": 0.0, "p_discharge_kw_min": 0.0, "power_levels": 0, "efficiency_charge": 1.0,
    "efficiency_discharge": 1.0, "standing_loss_per_h": 0.0, "inflow_kw": 0.0,
    "wear_cost_charge_per_kwh": 0.0, "wear_cost_discharge_per_kwh": 0.0,
    "cycles_per_day_max": np.inf, "ramp_up_kw_per_h": np.inf, "ramp_down_kw_per_h": np.inf,
    "p_kw_initial": np.nan, "end_value_per_kwh": 0.0, "end_value_kwh": np.inf,
    "p_kw_previous": np.nan, "change_price_per_kwh": 0.0, "provides_reserve": False,
}  # fmt: skip
_GENERATOR: dict[str, Any] = {
    "group": None, "p_kw_available": 5.0, "p_kw_min": 0.0, "cost_per_kwh": 0.0,
}  # fmt: skip
_GROUP: dict[str, Any] = {
    "parent": None, "is_site": False, "load_kw": 0.0, "generation_kw": 0.0,
    "price_import_per_kwh": 0.0, "price_export_per_kwh": 0.0,
}  # fmt: skip
_LIMIT: dict[str, Any] = {
    "group": None, "p_kw_max": np.inf, "p_kw_min": -np.inf, "breach_price_per_kwh": 0.0,
    "breach_price_per_kw": 0.0, "ramp_up_kw_per_h": np.inf, "ramp_down_kw_per_h": np.inf,
    "p_kw_initial": np.nan,
}  # fmt: skip
_POSITION: dict[str, Any] = {
    "group": None, "p_kw": 0.0, "price_above_per_kwh": 0.0, "price_below_per_kwh": 0.0,
}  # fmt: skip
_TARGET: dict[str, Any] = {
    "battery": 0, "at_h": None, "interval": 0, "share": 1.0, "energy_kwh_min": -np.inf,
    "energy_kwh_max": np.inf, "breach_price_per_kwh": 0.0,
}  # fmt: skip
_RESERVE: dict[str, Any] = {
    "group": None, "is_up": True, "p_kw_required": 0.0, "duration_h": 1.0,
    "breach_price_per_kwh": 0.0,
}  # fmt: skip
# Columns that are series, by length beyond the number of intervals.
_SERIES: dict[str, dict[str, int]] = {
    "battery": dict.fromkeys(
        ("p_charge_kw_max", "p_discharge_kw_max", "efficiency_charge", "efficiency_discharge",
         "inflow_kw", "p_kw_previous"), 0,
    ) | {"energy_kwh_min": 1, "energy_kwh_max": 1},
    "generator": {"p_kw_available": 0, "p_kw_min": 0},
    "group": dict.fromkeys(
        ("load_kw", "generation_kw", "price_import_per_kwh", "price_export_per_kwh"), 0
    ),
    "limit": {"p_kw_max": 0, "p_kw_min": 0},
    "target": {},
    "reserve": {"p_kw_required": 0},
    "position": {"p_kw": 0, "price_above_per_kwh": 0, "price_below_per_kwh": 0},
}  # fmt: skip
_DEFAULTS = {
    "battery": _BATTERY, "generator": _GENERATOR, "group": _GROUP, "limit": _LIMIT,
    "target": _TARGET, "position": _POSITION, "reserve": _RESERVE,
}  # fmt: skip
_PREFIX = {
    "battery": "b",
    "generator": "m",
    "group": "g",
    "limit": "l",
    "position": "c",
    "reserve": "q",
}
_WHOLE = {"power_levels", "group", "parent", "interval"}
_NAMED = {"group", "parent"}


def make_problem(
    T: int = 4,
    step_h: float | Sequence[float] = 1.0,
    batteries: Sequence[dict[str, Any]] = ({},),
    groups: Sequence[dict[str, Any]] = (),
    limits: Sequence[dict[str, Any]] = (),
    generators: Sequence[dict[str, Any]] = (),
    targets: Sequence[dict[str, Any]] = (),
    price_import: float | Sequence[float] = 0.1,
    price_export: float | Sequence[float] | None = None,
    start: np.datetime64 = START,
    network: Sequence[dict[str, Any]] = (),
    positions: Sequence[dict[str, Any]] = (),
    reserves: Sequence[dict[str, Any]] = (),
) -> DispatchProblem:
    """A problem of `T` intervals; the export price is the import price unless it is given.

    Each row may hold its own id (`battery_id`, `group_id`, `limit_id`, `generator_id`; else b0, g0,
    l0). A target's moment is `at_h` (hours from the start) or `interval` and `share`.
    """
    steps = np.broadcast_to(np.asarray(step_h, dtype=float), (T,))
    ends = np.concatenate([[0.0], np.cumsum(steps)])
    instants = start + np.round(ends * 3.6e12).astype("timedelta64[ns]")
    group_ids = _names("group", groups)

    def table(kind: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        filled = [_filled(kind, row, group_ids) for row in rows]
        columns = {key: _column(kind, key, [r[key] for r in filled], T) for key in _DEFAULTS[kind]}
        return columns | {"where": tuple(f"{kind}[{i}]" for i in range(len(rows)))}

    battery_ids = _names("battery", batteries)
    wanted = [_moment(row, ends, battery_ids) for row in targets]
    target_columns = table("target", wanted)
    del target_columns["at_h"]
    target_columns["battery"] = target_columns["battery"].astype(np.int64)
    return DispatchProblem(
        grid=TimeGrid(instants),
        price_import_per_kwh=_series(price_import, T),
        price_export_per_kwh=_series(price_import if price_export is None else price_export, T),
        batteries=Batteries(battery_id=tuple(battery_ids), **table("battery", batteries)),
        generators=Generators(
            generator_id=tuple(_names("generator", generators)), **table("generator", generators)
        ),
        groups=Groups(group_id=tuple(group_ids), **table("group", groups)),
        limits=Limits(limit_id=tuple(_names("limit", limits)), **table("limit", limits)),
        targets=Targets(**target_columns),
        reserves=Reserves(
            reserve_id=tuple(_names("reserve", reserves)), **table("reserve", reserves)
        ),
        positions=Positions(
            position_id=tuple(_names("position", positions)), **table("position", positions)
        ),
        network=network_rows(network, battery_ids, _names("generator", generators), group_ids),
    )


def network_rows(
    rows: Sequence[dict[str, Any]],
    battery_ids: list[str],
    generator_ids: list[str],
    group_ids: list[str],
) -> NetworkRows:
    """Rows whose `weights` are by the name of a unit or group; None stands for the whole."""
    entries = [(name, weight) for row in rows for name, weight in row["weights"].items()]
    units = [*battery_ids, *generator_ids]
    groups = [None, *group_ids]
    column = {
        name: np.array([row.get(name, default) for row in rows], dtype=float)
        for name, default in (
            ("p_kw_max", np.inf), ("p_kw_min", -np.inf), ("breach_price_per_kwh", 0.0)
        )
    }  # fmt: skip
    return NetworkRows(
        row_id=tuple(str(row.get("row_id", f"r{i}")) for i, row in enumerate(rows)),
        where=tuple(f"network[{i}]" for i in range(len(rows))),
        interval=np.array([row.get("interval", 0) for row in rows], dtype=np.int64),
        entry_start=np.cumsum([0, *[len(row["weights"]) for row in rows]]),
        entry_unit=np.array(
            [units.index(name) if name in units else -1 for name, _ in entries], dtype=np.int64
        ),
        entry_group=np.array(
            [NO_GROUP if name in units else groups.index(name) - 1 for name, _ in entries],
            dtype=np.int64,
        ),
        weight=np.array([weight for _, weight in entries], dtype=float),
        **column,
    )


def _names(kind: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    return [str(row.get(f"{kind}_id", f"{_PREFIX[kind]}{i}")) for i, row in enumerate(rows)]


def _filled(kind: str, row: dict[str, Any], group_ids: list[str]) -> dict[str, Any]:
    """The row with defaults, and groups by index."""
    unknown = set(row) - set(_DEFAULTS[kind]) - {f"{kind}_id"}
    assert not unknown, f"no such column: {sorted(unknown)}"
    filled = {**_DEFAULTS[kind], **row}
    for key in _NAMED & set(filled):
        if filled[key] is None:
            filled[key] = NO_GROUP
        elif isinstance(filled[key], str):
            filled[key] = group_ids.index(filled[key])
    return filled


def _moment(row: dict[str, Any], ends: Floats, battery_ids: list[str]) -> dict[str, Any]:
    """`at_h` as an interval and the share of it that has passed; the battery as its row."""
    moment = dict(row)
    if isinstance(row.get("battery"), str):
        moment["battery"] = battery_ids.index(row["battery"])
    if row.get("at_h") is not None:
        at_h = float(row["at_h"])
        interval = int(np.searchsorted(ends, at_h, side="left")) - 1
        moment["interval"] = interval
        moment["share"] = (at_h - ends[interval]) / (ends[interval + 1] - ends[interval])
    return moment


def _series(value: Any, count: int) -> Floats:
    return np.broadcast_to(np.asarray(value, dtype=float), (count,)).copy()


def _column(kind: str, key: str, values: list[Any], count: int) -> npt.NDArray[Any]:
    if key in _SERIES[kind]:
        length = count + _SERIES[kind][key]
        rows = [_series(value, length) for value in values]
        return np.array(rows, dtype=float).reshape(len(values), length)
    if key in ("end_value_per_kwh", "end_value_kwh"):
        return _pieces(key, values)
    if key in _WHOLE:
        return np.array(values, dtype=np.int64)
    if key in ("is_session", "is_site", "is_up", "provides_reserve"):
        return np.array(values, dtype=bool)
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def _pieces(key: str, values: list[Any]) -> Floats:
    """Rows of unequal length, filled with pieces of no width at the last value."""
    rows = [np.atleast_1d(np.asarray(v, dtype=float)) for v in values]
    most = max((len(row) for row in rows), default=1)
    fill = [0.0 if key == "end_value_kwh" else float(row[-1]) for row in rows]
    padded = [[*row, *[f] * (most - len(row))] for row, f in zip(rows, fill, strict=True)]
    return np.array(padded, dtype=float).reshape(len(rows), most)
