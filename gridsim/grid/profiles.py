"""What loads and generators do on a time axis: SimBench's year-long tables, or nominal values.

SimBench's tables have one row for each quarter-hour of 2016 in German local time with summer time:
2016-03-27 has 92 rows and 2016-10-30 has 100. Counted in UTC the rows are therefore evenly spaced,
and row 0 is local midnight of 1 January. An instant is looked up by its wall clock: its month, day
and time of day in the profiles' time zone, put into 2016. Where 2016's wall clock lacks that moment
(the hour skipped in March) the row one hour later is taken; where it has it twice, the first,
unless the instant itself is in the second of a repeated hour.
"""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import xarray as xr

from gridsim.grid.errors import GridError
from gridsim.grid.sources import STORAGE_PROFILE
from twins.faults import FaultList, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from gridsim.grid.network import Grid
    from twins.timegrid import TimeGrid

    Floats = npt.NDArray[np.float64]
    Positions = npt.NDArray[np.int64]

PROFILE_YEAR = 2016
PROFILE_ROWS = 366 * 96
QUARTER = np.timedelta64(15, "m")
VALUES_MAX = 200_000_000
"""Bound on elements times intervals: beyond it the profiles alone take more than 1.6 GB."""


def simbench_profiles(
    grid: Grid, time_grid: TimeGrid, profile_time_zone: str = "Europe/Berlin"
) -> xr.Dataset:
    """SimBench's demand and generation on `time_grid`, as interval means.

    Args:
        grid: a grid from a SimBench code.
        time_grid: the intervals; they need not be multiples of a quarter-hour.
        profile_time_zone: whose clock the tables' rows follow. SimBench's are German local time;
            ``"UTC"`` takes row ``96·(day of 2016 − 1) + quarter`` as UTC.

    Returns:
        ``load_kw``, ``load_kvar`` (load, time) and ``generation_kw`` (generator, time).

    Raises:
        GridError: the grid has no profiles, an element lacks one, an unknown time zone.
    """
    source = f"profiles of {grid.source}"
    faults = FaultList(source)
    zone = _time_zone(profile_time_zone, faults)
    if not grid.profile_tables:
        faults.add("profiles", "", "only a grid from a SimBench code brings profiles")
    faults.raise_if_any(GridError)
    _check_size(grid, time_grid, source)
    quarter, weights = quarter_weights(time_grid)
    rows = profile_rows(quarter, zone)
    means = _Means(rows, weights)
    load = {"load": grid.profile_tables["load"]}
    feed = {kind: grid.profile_tables[kind] for kind in ("renewables", "powerplants")}
    feed["storage"] = grid.profile_tables["storage"].add_prefix(STORAGE_PROFILE)
    loads, generators = grid.loads, grid.generators
    load_kw = means.of(load, loads.profile, "_pload", "loads", faults)
    load_kvar = means.of(load, loads.profile, "_qload", "loads", faults)
    generation = means.of(feed, generators.profile, "", "generators", faults)
    faults.raise_if_any(GridError)
    return profile_dataset(
        grid,
        time_grid,
        load_kw * loads.p_kw[:, np.newaxis],
        load_kvar * loads.q_kvar[:, np.newaxis],
        generation * generators.p_kw[:, np.newaxis],
        {"source": "SimBench", "profile_time_zone": profile_time_zone},
    )


def nominal_profiles(grid: Grid, time_grid: TimeGrid) -> xr.Dataset:
    """The grid file's nominal powers in every interval."""
    _check_size(grid, time_grid, f"profiles of {grid.source}")
    one = np.ones(len(time_grid))
    return profile_dataset(
        grid,
        time_grid,
        np.outer(grid.loads.p_kw, one),
        np.outer(grid.loads.q_kvar, one),
        np.outer(grid.generators.p_kw, one),
        {"source": "nominal"},
    )


def profile_dataset(
    grid: Grid,
    time_grid: TimeGrid,
    load_kw: Floats,
    load_kvar: Floats,
    generation_kw: Floats,
    attrs: dict[str, str],
) -> xr.Dataset:
    """The schema that `PowerFlow` takes, from arrays of shape (element, time)."""

    def variable(dim: str, values: Floats, units: str, name: str, sign: str) -> tuple[object, ...]:
        described = {"units": units, "long_name": name, "sign": sign, "cell_methods": "time: mean"}
        return ((dim, "time"), values, described)

    taken, fed = "positive takes from the grid", "positive feeds into the grid"
    return xr.Dataset(
        {
            "load_kw": variable("load", load_kw, "kW", "active power of loads", taken),
            "load_kvar": variable("load", load_kvar, "kvar", "reactive power of loads", taken),
            "generation_kw": variable(
                "generator", generation_kw, "kW", "active power of static generators", fed
            ),
        },
        coords={
            "load": grid.loads.label,
            "generator": grid.generators.label,
            "time": time_grid.starts,
        },
        attrs=attrs,
    )


def quarter_weights(
    time_grid: TimeGrid,
) -> tuple[npt.NDArray[np.datetime64], list[tuple[Positions, Floats]]]:
    """The quarter-hours that `time_grid` touches, and each interval's share in them.

    Returns:
        starts of the quarter-hours in UTC; for each interval the positions of its quarter-hours
        and their weights, which sum to one.
    """
    instants = time_grid.instants
    first = instants[0].astype("datetime64[m]").astype(np.int64) // 15 * 15
    last = -(-instants[-1].astype("datetime64[s]").astype(np.int64) // 900) * 15
    edges = np.arange(first, max(last, first + 15) + 1, 15).astype("datetime64[m]")
    quarter = edges[:-1].astype("datetime64[ns]")
    cuts = np.union1d(instants, quarter)
    cuts = cuts[(cuts >= instants[0]) & (cuts <= instants[-1])]
    length = np.diff(cuts).astype(np.int64).astype(np.float64)
    of_quarter = np.searchsorted(quarter, cuts[:-1], side="right") - 1
    bounds = np.searchsorted(cuts, instants)
    return quarter, [
        (of_quarter[a:b], length[a:b] / length[a:b].sum()) for a, b in itertools.pairwise(bounds)
    ]


def profile_rows(quarter: npt.NDArray[np.datetime64], zone: dt.tzinfo) -> Positions:
    """The row of 2016's table for each quarter-hour (UTC), by its wall clock in `zone`."""
    origin = dt.datetime(PROFILE_YEAR, 1, 1, tzinfo=zone).astimezone(dt.UTC)
    rows = np.empty(quarter.size, dtype=np.int64)
    for at, moment in enumerate(quarter.astype("datetime64[s]").tolist()):
        wall = moment.replace(tzinfo=dt.UTC).astimezone(zone).replace(year=PROFILE_YEAR)
        rows[at] = (wall.astimezone(dt.UTC) - origin) // dt.timedelta(minutes=15)
    return rows % PROFILE_ROWS


class _Means:
    """Interval means of the tables' columns, as sums over each interval's quarter-hours.

    As a matrix the weights of a year of half-hours would take 5 GB, of which one in 17,520 is not
    zero.
    """

    def __init__(self, rows: Positions, weights: Sequence[tuple[Positions, Floats]]) -> None:
        self._rows = rows[np.concatenate([quarters for quarters, _ in weights])]
        self._share = np.concatenate([share for _, share in weights])
        lengths = [share.size for _, share in weights]
        self._starts = np.cumsum([0, *lengths[:-1]])  # no interval is without a quarter-hour

    def of(
        self,
        tables: dict[str, pd.DataFrame],
        profile: npt.NDArray[np.str_],
        suffix: str,
        kind: str,
        faults: FaultList,
    ) -> Floats:
        """Profiles by element, shape (element, time); names in no table become faults."""
        names, inverse = np.unique(profile, return_inverse=True)
        means = np.zeros((names.size, self._starts.size))
        for at, name in enumerate(names):
            column = f"{name}{suffix}"
            table = next((t for t in tables.values() if column in t), None)
            if table is None:
                known = [c for t in tables.values() for c in t.columns]
                allowed = "is not among the grid's profiles"
                faults.add(f"profile of {kind}", column, allowed, did_you_mean(column, known))
                continue
            values = table[column].to_numpy(dtype=np.float64)[self._rows]
            means[at] = np.add.reduceat(values * self._share, self._starts)
        return means[inverse]


def _time_zone(name: str, faults: FaultList) -> dt.tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError):
        faults.add("profile_time_zone", name, "must be a time zone, such as 'Europe/Berlin'")
        return dt.UTC


def _check_size(grid: Grid, time_grid: TimeGrid, source: str) -> None:
    values = (len(grid.loads) + len(grid.generators)) * len(time_grid)
    if values > VALUES_MAX:
        faults = FaultList(source)
        faults.add("size", f"{values} values", f"at most {VALUES_MAX}; take fewer intervals")
        faults.raise_if_any(GridError)
