"""Grids that several tests share: SimBench reads its whole database for each of them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import xarray as xr

from gridsim.grid import Grid, PowerFlow, simbench_profiles
from twins.timegrid import TimeGrid


@pytest.fixture(scope="session")
def day() -> TimeGrid:
    return TimeGrid.uniform("2023-01-16T00:00Z", dt.timedelta(minutes=30), 48)


@pytest.fixture(scope="session")
def street() -> Grid:
    return Grid.from_simbench("1-LV-urban6--2-no_sw")


@pytest.fixture(scope="session")
def town() -> Grid:
    return Grid.from_simbench("1-MVLV-semiurb-5.220-1-sw")


def battery_at_every_load(grid: Grid, day: TimeGrid) -> PowerFlow:
    places = dict(zip(map(str, grid.loads.label), map(str, grid.loads.bus), strict=True))
    return PowerFlow(grid, simbench_profiles(grid, day), places)


@pytest.fixture(scope="session")
def street_flow(street: Grid, day: TimeGrid) -> PowerFlow:
    return battery_at_every_load(street, day)


@pytest.fixture(scope="session")
def town_flow(town: Grid, day: TimeGrid) -> PowerFlow:
    return battery_at_every_load(town, day)


def plan_for(flow: PowerFlow, low_kw: float, high_kw: float, seed: int = 0) -> xr.DataArray:
    """A random plan for all batteries of `flow`."""
    shape = (flow.batteries.size, flow.time.size)
    values = np.random.default_rng(seed).uniform(low_kw, high_kw, shape)
    coords = {"battery": flow.batteries, "time": flow.time}
    return xr.DataArray(values, dims=("battery", "time"), coords=coords)
