"""Demand and generation from a CSV file: one column of times, one column for each element."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid.given_profiles import check_names, given_profiles
from gridsim.scenario.csv_series import interval_means, read_times, rows_for
from gridsim.scenario.csv_table import read_csv
from twins.faults import did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from gridsim.grid import Grid
    from gridsim.scenario.csv_table import CsvTable
    from gridsim.scenario.sections import CsvProfiles
    from twins.faults import FaultList
    from twins.timegrid import TimeGrid

_WHERE = "profiles.csv"


def read_profiles(
    csv: CsvProfiles, grid: Grid, time_grid: TimeGrid, faults: FaultList
) -> xr.Dataset | None:
    """Profiles on `time_grid` as interval means, or None with the faults noted.

    Every column but the time column is named after a load (kW taken) or a static generator (kW fed
    in), neither of them negative. Elements without a column are zero. A row holds from its time to
    the next row's, but no longer than rows usually do: a gap in the horizon is a fault.
    """
    before = len(faults)
    table = read_csv(csv.path, None, faults, f"{_WHERE}.path")
    if len(faults) > before:
        return None
    if csv.time_column not in table.names:
        allowed = f"no such column in {table.path.name}; it must hold the times"
        hint = did_you_mean(csv.time_column, table.names)
        faults.add(f"{_WHERE}.time_column", csv.time_column, allowed, hint)
        return None
    names = [name for name in table.names if name != csv.time_column]
    check_names(grid, names, faults, table.path.name)
    noted = len(faults)
    times = read_times(table, csv.time_column, csv.time_zone)
    if len(faults) > noted:
        return None
    rows = rows_for(table, times, time_grid, None, csv.time_column)
    needed = rows.mask(times.size)
    power_kw = np.zeros((len(names), rows.position.size))
    for at, name in enumerate(names):
        power_kw[at] = _power_kw(table, name, needed)[rows.position]
    if len(faults) > before:
        return None
    means = interval_means(power_kw.T, rows, time_grid)
    return given_profiles(grid, time_grid, dict(zip(names, means.T, strict=True)), table.path.name)


def _power_kw(
    table: CsvTable, column: str, needed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """A column in kW; a power flow would take negative power, and a site's plan does not."""
    values = table.numbers(column, needed)
    allowed = "must be at least 0 kW; demand and feed-in have columns of their own"
    table.note(needed & (values < 0), column, allowed)
    return values
