"""Ageing: the published ten-year figures, other profiles, and cycle counting."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import rainflow
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.twins.fleets import case, hours_grid, one_battery
from twins import TECHNOLOGIES, InvalidInputError, TimeGrid, project_ageing, replay
from twins.stress import cycles_into

BLAST = case("twin_ageing_blast.json")
YEAR = hours_grid(BLAST["step_minutes"], 365 * 24, "2023-01-01T00:00Z")
DAY = hours_grid(30, 24)


def _year_profile(profile: dict) -> tuple[np.ndarray, np.ndarray | float]:
    """State of charge and temperature at every instant of a year."""
    days = np.arange(len(YEAR) + 1) * BLAST["step_minutes"] / 1440
    soc = np.interp(days % 1 * 24, profile["hour"], profile["soc"])
    if not profile.get("season"):
        return soc, profile["temperature_c"]
    swing = 0.6 + 0.4 * np.sin(2 * np.pi * (days - 80) / 365) ** 2
    return soc * swing, 15 - 10 * np.cos(2 * np.pi * days / 365)


@pytest.mark.parametrize("name", ["lfp", "nmc"])
@pytest.mark.parametrize("profile", BLAST["profiles"], ids=lambda profile: profile["name"])
def test_ageing_agrees_with_blast_lite(profile, name):
    soc, temperature_c = _year_profile(profile)
    told = project_ageing(TECHNOLOGIES[name], YEAR, soc, temperature_c, years=10)
    np.testing.assert_allclose(
        told.capacity_fraction.sel(year=BLAST["years"]),
        profile["capacity_fraction"][name],
        atol=BLAST["tolerance"],
    )


def _daily(low: float, high: float) -> np.ndarray:
    return np.interp(np.arange(49) / 2, [0, 2, 6, 16, 20, 24], [low, low, high, high, low, low])


@pytest.mark.parametrize("name", ["lfp", "nmc"])
def test_capacity_only_falls_and_heat_use_and_depth_make_it_fall_faster(name):
    technology = TECHNOLOGIES[name]
    mild = project_ageing(technology, DAY, _daily(0.4, 0.6), 25.0).capacity_fraction
    deep = project_ageing(technology, DAY, _daily(0.1, 0.9), 25.0).capacity_fraction
    hot = project_ageing(technology, DAY, _daily(0.4, 0.6), 45.0).capacity_fraction
    assert float(mild[0]) == 1.0
    for told in (mild, deep, hot):
        assert (np.diff(told) < 0).all()
    assert float(deep[-1]) < float(mild[-1])
    assert float(hot[-1]) < float(mild[-1])


def test_a_day_repeated_is_a_year_of_such_days():
    soc = _daily(0.2, 0.9)
    by_day = project_ageing(TECHNOLOGIES["lfp"], DAY, soc, 25.0)
    year = np.append(np.tile(soc[:-1], 365), soc[-1])
    by_year = project_ageing(TECHNOLOGIES["lfp"], YEAR, year, 25.0)
    np.testing.assert_allclose(by_day.capacity_fraction, by_year.capacity_fraction, atol=1e-9)


def test_many_batteries_at_once_age_as_each_alone():
    profiles = np.stack([_daily(0.2, 0.9), _daily(0.5, 0.6)])
    together = project_ageing(TECHNOLOGIES["nmc"], DAY, profiles, 30.0)
    assert together.capacity_fraction.dims == ("battery", "year")
    for row in range(2):
        alone = project_ageing(TECHNOLOGIES["nmc"], DAY, profiles[row], 30.0)
        assert together.isel(battery=row).identical(alone)


def test_the_knee_bends_the_curve_down_after_many_deep_cycles():
    many = np.tile([0.0, 1.0, 0.0, 1.0], 12)
    soc = np.append(many, 0.0)
    told = project_ageing(TECHNOLOGIES["nmc"], DAY, soc, 10.0, years=3).capacity_fraction
    assert (np.diff(told) <= 0).all()
    assert float(told[-1]) < 0.3


def test_a_profile_that_makes_no_sense_names_every_fault():
    with pytest.raises(InvalidInputError) as caught:
        project_ageing(TECHNOLOGIES["lfp"], DAY, np.full(49, 1.2), np.nan, years=0)
    assert [fault.where for fault in caught.value.faults] == ["soc", "temperature_c", "years"]
    with pytest.raises(InvalidInputError, match="49 instants"):
        project_ageing(TECHNOLOGIES["lfp"], DAY, np.zeros(48))


@pytest.mark.parametrize("name", ["lfp", "nmc"])
@pytest.mark.parametrize("hours", [[48], [36] * 4, [30] * 8, [12, 36], [36, 12], [100, 1, 43]])
def test_intervals_of_more_than_a_day_age_a_resting_battery_as_short_ones_do(hours, name):
    start = dt.datetime(2023, 1, 16, tzinfo=dt.UTC)
    edges = np.cumsum([0, *hours]).tolist()
    long = TimeGrid.from_instants([start + dt.timedelta(hours=at) for at in edges])
    rest = project_ageing(TECHNOLOGIES[name], DAY, np.full(len(DAY) + 1, 0.6), 25.0)
    told = project_ageing(TECHNOLOGIES[name], long, np.full(len(long) + 1, 0.6), 25.0)
    np.testing.assert_allclose(told.capacity_fraction, rest.capacity_fraction, rtol=1e-9)
    moved = project_ageing(TECHNOLOGIES[name], long, np.linspace(0.2, 0.9, len(long) + 1), 25.0)
    assert (np.diff(moved.capacity_fraction) < 0).all()
    assert np.isfinite(moved.to_array()).all()


def test_a_replay_in_steps_of_two_days_says_what_it_cost():
    fleet = one_battery(soc_initial=0.5)
    lived = replay(fleet, hours_grid(48 * 60, 96), np.zeros((1, 2)))
    assert 0.9 < float(lived.capacity_fraction.squeeze()) < 1.0


# The package takes a series of two for no cycle at all; the standard makes it half a one.
levels = arrays.arrays(np.float64, st.integers(3, 60), elements=st.sampled_from([0, 0.2, 0.5, 1]))
anything = arrays.arrays(np.float64, st.integers(3, 60), elements=st.floats(0, 1, width=16))


@given(series=levels | anything)
def test_cycles_are_those_of_the_rainflow_package(series):
    room = np.empty((3, series.size))
    count = cycles_into(series, room[0], room[1], room[2])
    ours = sorted((depth, times) for depth, times in room[1:, :count].T if depth > 0)
    theirs = sorted(
        (depth, times) for depth, _, times, _, _ in rainflow.extract_cycles(series) if depth > 0
    )
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(np.array(ours), np.array(theirs), atol=1e-12)
