"""What a run's arrays come to, for pictures: extremes over elements, with gaps left as gaps.

A power flow that did not converge is a column of NaN. It stays NaN here, so that a picture shows a
gap, and `gaps` says where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from gridsim.report.style import PLAN

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from gridsim.report.style import Case

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Positions = npt.NDArray[np.intp]

LEVELS_MAX = 3
BUSES_OF_A_LEVEL_MIN = 3


class Level(NamedTuple):
    """The buses of one nominal voltage, and the tightest limits among them."""

    kv: float
    buses: Flags
    v_pu_min: float
    v_pu_max: float


def lowest(values: Floats, axis: int = 0) -> Floats:
    """The least value that is not NaN; NaN where there is none."""
    return np.asarray(np.fmin.reduce(values, axis=axis, initial=np.nan))


def highest(values: Floats, axis: int = 0) -> Floats:
    """The greatest value that is not NaN; NaN where there is none."""
    return np.asarray(np.fmax.reduce(values, axis=axis, initial=np.nan))


def values(data: xr.Dataset, name: str, case: Case = PLAN) -> Floats:
    """One variable of one power flow, as floats."""
    return np.asarray(data[name + case.suffix].to_numpy(), dtype=np.float64)


def highest_loading(data: xr.Dataset, case: Case, kinds: tuple[str, ...]) -> Floats:
    """The highest loading over all elements of `kinds`, shape (time,)."""
    stacked = np.vstack([values(data, f"{kind}_loading", case) for kind in kinds])
    return highest(stacked)


def gaps(data: xr.Dataset, case: Case) -> Flags:
    """Intervals whose power flow did not converge, shape (time,)."""
    v_pu = values(data, "v_pu", case)
    return np.asarray(np.isnan(v_pu).all(axis=0) & (v_pu.shape[0] > 0))


def worst_voltage(data: xr.Dataset, case: Case) -> Floats:
    """Each bus's voltage where it is farthest from nominal, shape (bus,)."""
    low, high = (reduce(values(data, "v_pu", case), 1) for reduce in (lowest, highest))
    return np.where(1.0 - low > high - 1.0, low, high)


def outside_limits(data: xr.Dataset, case: Case) -> Flags:
    """Buses whose voltage leaves its band in any interval, shape (bus,)."""
    v_pu = values(data, "v_pu", case)
    low, high = values(data, "v_pu_min"), values(data, "v_pu_max")
    return np.asarray((lowest(v_pu, 1) < low - 1e-9) | (highest(v_pu, 1) > high + 1e-9))


def overloaded(data: xr.Dataset, case: Case, kind: str) -> Flags:
    """Elements loaded above their limit in any interval."""
    loading = highest(values(data, f"{kind}_loading", case), 1)
    return np.asarray(loading > values(data, f"{kind}_loading_max") + 1e-9)


def levels(data: xr.Dataset) -> list[Level]:
    """The voltage levels with the most buses, lowest voltage first."""
    kv = values(data, "bus_kv").round(3)
    known, counts = np.unique(kv[~np.isnan(kv)], return_counts=True)
    if counts.max(initial=0) >= BUSES_OF_A_LEVEL_MIN:  # a lone upstream bus tells nothing
        often = counts >= BUSES_OF_A_LEVEL_MIN
        known, counts = known[often], counts[often]
    most = np.sort(known[np.argsort(-counts, kind="stable")[:LEVELS_MAX]])
    return [_level(data, kv, float(one)) for one in most]


def level_nearest_its_limits(data: xr.Dataset) -> Level | None:
    """The level whose voltages with the plan come nearest to, or farthest past, a limit."""

    def room(level: Level) -> float:
        v_pu = values(data, "v_pu")[level.buses]
        low, high = lowest(v_pu, None), highest(v_pu, None)  # type: ignore[arg-type]
        return float(np.nan_to_num(np.fmin(low - level.v_pu_min, level.v_pu_max - high), nan=9.0))

    return min(levels(data), key=room, default=None)


def bus_positions(data: xr.Dataset, labels: npt.ArrayLike) -> Positions:
    """Where `labels` stand among the buses; -1 for a label that is none."""
    at = pd.Index(data["bus"].to_numpy()).get_indexer(pd.Index(np.asarray(labels)))
    return np.asarray(at, dtype=np.intp)


def buses_with_batteries(data: xr.Dataset) -> Flags:
    """Which buses have a battery behind one of their sites, shape (bus,)."""
    sites = pd.Index(data["site"].to_numpy()).get_indexer(pd.Index(data["battery_site"].to_numpy()))
    at = bus_positions(data, data["site_bus"].to_numpy()[sites[sites >= 0]])
    has = np.zeros(data.sizes["bus"], dtype=np.bool_)
    has[at[at >= 0]] = True
    return has


def _level(data: xr.Dataset, kv: Floats, one: float) -> Level:
    buses = kv == one
    low = float(highest(values(data, "v_pu_min")[buses]))
    high = float(lowest(values(data, "v_pu_max")[buses]))
    return Level(one, buses, low, high)
