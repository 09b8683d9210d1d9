"""Prices from a CSV file, as interval means in the scenario's currency per kWh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from gridsim.scenario.csv_series import interval_means, read_times, rows_for
from gridsim.scenario.csv_table import read_csv

if TYPE_CHECKING:
    import numpy as np

    from gridsim.scenario.sections import Prices
    from twins.faults import FaultList
    from twins.timegrid import TimeGrid


def read_prices(
    prices: Prices, grid: TimeGrid, currency: str, faults: FaultList
) -> xr.Dataset | None:
    """Import and export prices on `grid`, or None with the faults noted.

    An hourly price holds for both of its half-hours; where intervals and rows overlap in part, the
    mean is weighted by the overlap.

    Returns:
        ``price_import_per_kwh`` and ``price_export_per_kwh`` on dim ``time``; the currency is in
        ``attrs["units"]``.
    """
    before = len(faults)
    table = read_csv(prices.csv, [prices.time_column, prices.column], faults, "prices")
    if len(faults) > before:
        return None
    times = read_times(table, prices.time_column, prices.time_zone)
    if len(faults) > before:
        return None
    rows = rows_for(table, times, grid, prices.step_minutes, prices.column)
    values = table.numbers(prices.column, rows.mask(times.size))[rows.position]
    if len(faults) > before:
        return None
    per_kwh = interval_means(values * prices.per_kwh, rows, grid)
    return _dataset(prices, per_kwh, grid, currency)


def _dataset(prices: Prices, per_kwh: np.ndarray, grid: TimeGrid, currency: str) -> xr.Dataset:
    def variable(name: str, factor: float, extra: float) -> tuple[str, np.ndarray, dict[str, str]]:
        attrs = {"units": f"{currency}/kWh", "long_name": name, "cell_methods": "time: mean"}
        return ("time", factor * per_kwh + extra, attrs)

    bought, sold = prices.import_, prices.export
    return xr.Dataset(
        {
            "price_import_per_kwh": variable(
                "price of energy taken from the grid", bought.multiply, bought.add_per_kwh
            ),
            "price_export_per_kwh": variable(
                "price of energy fed into the grid", sold.multiply, sold.add_per_kwh
            ),
        },
        coords={"time": grid.starts},
        attrs={"source": prices.csv.name, "column": prices.column, "unit": prices.unit},
    )
