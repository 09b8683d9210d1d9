"""Batteries, charging sessions and generators of a document, as columns of the normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.problem import NO_GROUP, Batteries, Generators

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.document import (
        BatteryDocument,
        SessionDocument,
        UnitDocument,
    )
    from optimizer.reading.context import Reading

    AnyStore = BatteryDocument | SessionDocument
    Floats = npt.NDArray[np.float64]

_SERIES = (
    "p_charge_kw_max", "p_discharge_kw_max", "inflow_kw", "efficiency_charge",
    "efficiency_discharge",
)  # fmt: skip
_SCALARS = (
    "energy_kwh_initial", "p_charge_kw_min", "p_discharge_kw_min", "standing_loss_per_h",
    "wear_cost_charge_per_kwh", "wear_cost_discharge_per_kwh", "cycles_per_day_max",
    "ramp_up_kw_per_h", "ramp_down_kw_per_h", "p_kw_initial",
)  # fmt: skip


def batteries_of(reading: Reading) -> Batteries:
    """Batteries first, then charging sessions as stores that are there for a while."""
    batteries = list(zip(reading.document.batteries, reading.where("batteries"), strict=True))
    sessions = list(zip(reading.document.sessions, reading.where("sessions"), strict=True))
    rows = [
        {**_store(reading, row, path), **_battery(reading, row, path)} for row, path in batteries
    ]
    rows += [
        {**_store(reading, row, path), **_session(reading, row, path)} for row, path in sessions
    ]
    values, widths = _end_value([row["end_value"] for row in rows])
    columns: dict[str, Any] = {
        name: np.array([row[name] for row in rows], dtype=float) for name in _SCALARS
    }
    columns |= {name: reading.matrix([row[name] for row in rows]) for name in _SERIES}
    for name in ("energy_kwh_min", "energy_kwh_max"):
        columns[name] = reading.matrix([row[name] for row in rows], instants=True)
    return Batteries(
        battery_id=tuple(row["battery_id"] for row in rows),
        where=tuple(path for _, path in [*batteries, *sessions]),
        is_session=np.arange(len(rows)) >= len(batteries),
        group=np.array([row["group"] for row in rows], dtype=np.int64),
        power_levels=np.array([row["power_levels"] for row in rows], dtype=np.int64),
        end_value_per_kwh=values,
        end_value_kwh=widths,
        **_changes(reading, rows),
        provides_reserve=np.array([row["provides_reserve"] for row in rows], dtype=bool),
        **columns,
    )


def _changes(reading: Reading, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The previous plan and the price of leaving it; nothing where no unit has one."""
    if not any(np.isfinite(row["p_kw_previous"]).any() for row in rows):
        return {}
    return {
        "p_kw_previous": reading.matrix([row["p_kw_previous"] for row in rows]),
        "change_price_per_kwh": np.array([row["change_price_per_kwh"] for row in rows]),
    }


def generators_of(reading: Reading) -> Generators:
    """Curtailable generators."""
    rows = list(zip(reading.document.generators, reading.where("generators"), strict=True))
    return Generators(
        generator_id=tuple(row.generator_id for row, _ in rows),
        where=tuple(path for _, path in rows),
        group=np.array([_group(reading, row, path) for row, path in rows], dtype=np.int64),
        p_kw_available=reading.matrix(
            [reading.series(row.p_kw_available, f"{path}.p_kw_available") for row, path in rows]
        ),
        p_kw_min=reading.matrix(
            [reading.series(row.p_kw_min, f"{path}.p_kw_min") for row, path in rows]
        ),
        cost_per_kwh=np.array([row.cost_per_kwh for row, _ in rows], dtype=float),
    )


def _group(reading: Reading, unit: UnitDocument, path: str) -> int:
    if unit.site_id is not None and unit.group_id is not None:
        reading.faults.add(path, None, "must have a site_id or a group_id, not both")
        return NO_GROUP
    if unit.site_id is None:
        return reading.group(unit.group_id, f"{path}.group_id")
    at = reading.group(unit.site_id, f"{path}.site_id")
    if at >= len(reading.document.sites):
        reading.faults.add(f"{path}.site_id", unit.site_id, "must be a site; this is a group")
        return NO_GROUP
    return at


def _store(reading: Reading, row: AnyStore, path: str) -> dict[str, Any]:
    """What batteries and sessions share."""
    efficiency = {
        name: reading.series(getattr(row, name), f"{path}.{name}")
        for name in ("efficiency_charge", "efficiency_discharge")
    }
    _check_least_power(reading, row, path)
    same = (
        "p_charge_kw_min", "p_discharge_kw_min", "standing_loss_per_h",
        "wear_cost_charge_per_kwh", "wear_cost_discharge_per_kwh",
    )  # fmt: skip
    return {
        **efficiency,
        **{name: getattr(row, name) for name in same},
        "group": _group(reading, row, path),
        "power_levels": row.power_levels or 0,
        "ramp_up_kw_per_h": _or(row.ramp_up_kw_per_h, np.inf),
        "ramp_down_kw_per_h": _or(row.ramp_down_kw_per_h, np.inf),
        "p_kw_initial": _or(row.p_kw_initial, np.nan),
        "p_kw_previous": reading.open_series(row.p_kw_previous, f"{path}.p_kw_previous", np.nan),
        "change_price_per_kwh": row.change_price_per_kwh,
        "provides_reserve": row.provides_reserve,
    }


def _check_least_power(reading: Reading, row: AnyStore, path: str) -> None:
    """A least power above every power that the file allows; absence is not the file's mistake."""
    for side in ("charge", "discharge"):
        least, most = getattr(row, f"p_{side}_kw_min"), getattr(row, f"p_{side}_kw_max")
        largest = max(most) if isinstance(most, list) else most
        if least > largest >= 0:
            allowed = f"must be at most p_{side}_kw_max, {largest:g}"
            reading.faults.add(f"{path}.p_{side}_kw_min", f"{least:g}", allowed)


def _battery(reading: Reading, row: BatteryDocument, path: str) -> dict[str, Any]:
    available = reading.share(row.available, f"{path}.available")
    inflow = reading.magnitude(row.inflow_kw, f"{path}.inflow_kw")
    usage = reading.magnitude(row.usage_kw, f"{path}.usage_kw")
    if row.energy_value_pieces and row.energy_value_per_kwh:
        reading.faults.add(
            path, None, "must not have both energy_value_per_kwh and energy_value_pieces"
        )
    pieces = [(piece.energy_kwh, piece.value_per_kwh) for piece in row.energy_value_pieces]
    charge = reading.magnitude(row.p_charge_kw_max, f"{path}.p_charge_kw_max")
    discharge = reading.magnitude(row.p_discharge_kw_max, f"{path}.p_discharge_kw_max")
    band = {
        name: reading.series(getattr(row, name), f"{path}.{name}", instants=True)
        for name in ("energy_kwh_min", "energy_kwh_max")
    }
    return {
        **band,
        "battery_id": row.battery_id,
        "energy_kwh_initial": row.energy_kwh_initial,
        "p_charge_kw_max": charge * available,
        "p_discharge_kw_max": discharge * available,
        "inflow_kw": inflow - usage,
        "cycles_per_day_max": _or(row.cycles_per_day_max, np.inf),
        "end_value": pieces or [(np.inf, row.energy_value_per_kwh)],
    }


def _session(reading: Reading, row: SessionDocument, path: str) -> dict[str, Any]:
    """A session as a store that can only be used from arrival to departure."""
    count = len(reading.grid)
    size = row.energy_kwh_max
    if size is None:
        size = max(row.energy_kwh_wanted, row.energy_kwh_initial)
    present = _presence(reading, row, path)
    return {
        "battery_id": row.session_id,
        "energy_kwh_initial": row.energy_kwh_initial,
        "energy_kwh_min": np.zeros(count + 1),
        "energy_kwh_max": np.full(count + 1, size),
        "p_charge_kw_max": row.p_charge_kw_max * present,
        "p_discharge_kw_max": row.p_discharge_kw_max * present,
        "inflow_kw": np.zeros(count),
        "cycles_per_day_max": np.inf,
        "end_value": [(np.inf, 0.0)],
    }


def _presence(reading: Reading, row: SessionDocument, path: str) -> Floats:
    """Share of each interval between arrival and departure."""
    edges = np.concatenate([[0.0], np.cumsum(reading.grid.step_h)])
    span = []
    for name in ("arrival", "departure"):
        at = reading.locate(getattr(row, name), f"{path}.{name}")
        if at is not None:
            span.append(edges[at[0]] + at[1] * reading.grid.step_h[at[0]])
    if len(span) == 2 and span[0] >= span[1]:
        reading.faults.add(f"{path}.departure", row.departure.isoformat(), "must be after arrival")
    if len(span) < 2:
        return np.zeros(len(reading.grid))
    inside = np.minimum(edges[1:], span[1]) - np.maximum(edges[:-1], span[0])
    return np.asarray(np.clip(inside, 0.0, None) / reading.grid.step_h)


def _end_value(rows: list[list[tuple[float, float]]]) -> tuple[Floats, Floats]:
    """Values and widths of the pieces, padded with pieces of no width."""
    pieces = max((len(row) for row in rows), default=1)
    values = np.zeros((len(rows), pieces))
    widths = np.zeros((len(rows), pieces))
    for at, row in enumerate(rows):
        widths[at, : len(row)] = [width for width, _ in row]
        values[at, : len(row)] = [value for _, value in row]
        values[at, len(row) :] = row[-1][1]
    return values, widths


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
