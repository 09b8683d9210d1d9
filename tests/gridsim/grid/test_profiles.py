"""Interval means and the tables' clock."""

from __future__ import annotations

import datetime as dt
import json
import tracemalloc
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from gridsim.grid import Grid, GridError, nominal_profiles, simbench_profiles
from gridsim.grid.profiles import PROFILE_ROWS, profile_rows, quarter_weights
from twins.timegrid import TimeGrid, to_utc

ROWS = json.loads(
    (Path(__file__).parents[2] / "cases" / "profile_rows_2016.json").read_text(encoding="utf-8")
)["rows"]
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("case", ROWS, ids=lambda case: f"{case['instant']} {case['time_zone']}")
def test_instant_finds_its_row(case: dict[str, object]) -> None:
    quarter = np.array([to_utc(str(case["instant"]))])
    assert profile_rows(quarter, ZoneInfo(str(case["time_zone"]))).tolist() == [case["row"]]


def test_the_tables_own_labels_agree_with_the_row_numbers(street: Grid) -> None:
    labels = street.profile_tables["load"]["time"]
    assert len(labels) == PROFILE_ROWS
    for case in ROWS:
        moment = dt.datetime.fromisoformat(str(case["instant"]))
        if case["time_zone"] == "Europe/Berlin" and moment.year == 2016:
            assert labels[case["row"]] == moment.strftime("%d.%m.%Y %H:%M")


@pytest.mark.parametrize(("date", "count"), [("2016-03-27", 46), ("2016-10-30", 50)])
def test_a_local_day_of_46_or_50_half_hours_reads_its_own_rows_once(
    street: Grid, date: str, count: int
) -> None:
    start = dt.datetime.fromisoformat(date).replace(tzinfo=BERLIN)
    grid = TimeGrid.uniform(start, dt.timedelta(minutes=30), count)
    stop = (start + dt.timedelta(days=1)).astimezone(dt.UTC)
    assert grid.instants[-1] == to_utc(stop)
    load = simbench_profiles(street, grid).load_kw[0].to_numpy()
    table = street.profile_tables["load"]
    own = table["time"].str.startswith(start.strftime("%d.%m.%Y")).to_numpy()
    column = table[f"{street.loads.profile[0]}_pload"].to_numpy()[own]
    expected = column.reshape(count, 2).mean(axis=1) * street.loads.p_kw[0]
    np.testing.assert_allclose(load, expected, rtol=1e-12)


def test_utc_rows_are_counted_from_new_year(street: Grid, day: TimeGrid) -> None:
    table, profiles = street.profile_tables["load"], simbench_profiles(street, day, "UTC")
    for at in (0, 57, 134):
        rows = table[f"{street.loads.profile[at]}_qload"].to_numpy()[96 * 15 : 96 * 16]
        expected = rows.reshape(48, 2).mean(axis=1) * street.loads.q_kvar[at]
        np.testing.assert_allclose(profiles.load_kvar[at], expected, rtol=1e-12)


@given(
    minutes=st.lists(st.integers(1, 200), min_size=1, max_size=12),
    offset=st.integers(0, 10_000),
)
def test_weights_are_shares_of_the_overlap(minutes: list[int], offset: int) -> None:
    start = dt.datetime(2023, 5, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=offset)
    edges = np.cumsum([0, *minutes]).tolist()
    grid = TimeGrid.from_instants([start + dt.timedelta(minutes=m) for m in edges])
    quarter, weights = quarter_weights(grid)
    since = (quarter - grid.instants[0]).astype("timedelta64[s]").astype(int) / 60
    for (at, share), low, high in zip(weights, edges[:-1], edges[1:], strict=True):
        overlap = np.minimum(since[at] + 15, high) - np.maximum(since[at], low)
        assert (overlap > 0).all()
        np.testing.assert_allclose(share, overlap / (high - low), rtol=1e-9)
        assert share.sum() == pytest.approx(1.0)


def test_energy_does_not_depend_on_the_steps(street: Grid) -> None:
    start = dt.datetime(2023, 6, 30, 22, 5, tzinfo=dt.UTC)
    uneven = np.cumsum([0, 7, 20, 33, 60, 1, 119]).tolist()
    fine = TimeGrid.uniform(start, dt.timedelta(minutes=1), 240)
    coarse = TimeGrid.from_instants([start + dt.timedelta(minutes=m) for m in uneven])
    energy = [
        (simbench_profiles(street, grid).load_kw.to_numpy() * grid.step_h).sum(axis=1)
        for grid in (fine, coarse)
    ]
    np.testing.assert_allclose(energy[0], energy[1], rtol=1e-9)


def test_a_year_of_half_hours_takes_no_more_room_than_its_values(street: Grid) -> None:
    year = TimeGrid.uniform("2023-01-01T00:00Z", dt.timedelta(minutes=30), 365 * 48)
    tracemalloc.start()
    try:
        profiles = simbench_profiles(street, year)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * profiles.nbytes
    week = TimeGrid(year.instants[31 * 48 : 38 * 48 + 1])
    xr.testing.assert_identical(profiles.sel(time=week.starts), simbench_profiles(street, week))


def test_storages_become_generation_only_when_asked(day: TimeGrid, street: Grid) -> None:
    with_plants = Grid.from_simbench("1-LV-urban6--2-no_sw", simbench_storages="as_generation")
    assert len(with_plants.generators) == len(street.generators) + 7
    assert with_plants.digest() != street.digest()
    feed = simbench_profiles(with_plants, day).generation_kw
    assert (feed >= 0).all()
    kind = with_plants.generators.kind
    assert float(feed.to_numpy()[kind == "PV_Storage"].sum()) > 0


def test_faults_are_named(day: TimeGrid, street: Grid) -> None:
    with pytest.raises(GridError, match="only a grid from a SimBench code"):
        simbench_profiles(Grid.from_pandapower("case33bw"), day)
    with pytest.raises(GridError, match=r"profile_time_zone: Europe/Berln"):
        simbench_profiles(street, day, "Europe/Berln")
    century = TimeGrid.uniform("2023-01-01T00:00Z", dt.timedelta(hours=1), 1_000_000 - 1)
    big = Grid.from_pandapower("mv_oberrhein")
    with pytest.raises(GridError, match="at most 200000000"):
        nominal_profiles(big, century)
