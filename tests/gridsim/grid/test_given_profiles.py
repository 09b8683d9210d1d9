"""Profiles from arrays: whose they are, and every way to be refused at once."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from gridsim.grid import Grid, GridError, given_profiles
from twins.timegrid import TimeGrid

HALF = TimeGrid.uniform("2023-01-16T00:00Z", dt.timedelta(minutes=30), 4)


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid.from_pandapower("create_cigre_network_mv", with_der="pv_wind")


def test_arrays_stand_at_their_elements_and_nothing_elsewhere(grid: Grid) -> None:
    load, generator = str(grid.loads.label[2]), str(grid.generators.label[1])
    told = given_profiles(grid, HALF, {generator: [4, 3, 2, 1], load: [1, 2, 3, 4]})
    assert told.load_kw.sel(load=load).to_numpy().tolist() == [1, 2, 3, 4]
    assert told.generation_kw.sel(generator=generator).to_numpy().tolist() == [4, 3, 2, 1]
    assert float(told.load_kw.sum()) == float(told.generation_kw.sum()) == 10
    ratio = grid.loads.q_kvar[2] / grid.loads.p_kw[2]
    np.testing.assert_allclose(told.load_kvar.sel(load=load), ratio * np.arange(1, 5))


def test_every_array_that_is_no_profile_is_named(grid: Grid) -> None:
    labels = [str(label) for label in grid.loads.label]
    wrong = {
        "nothing like it": np.ones(4),
        labels[0]: np.ones(3),
        labels[1]: [1, 1, np.nan, 1],
        labels[2]: [1, 1, -1, 1],
        labels[3]: [1, 1, np.inf, 1],
        labels[4]: np.zeros(4),
    }
    with pytest.raises(GridError) as raised:
        given_profiles(grid, HALF, wrong)
    named = [fault.where.removeprefix("profiles, ") for fault in raised.value.faults]
    assert named == list(wrong)[:5]
