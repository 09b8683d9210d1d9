"""Prices reach the time axis as exact interval means, on days of any length."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsim.scenario import Scenario, load_scenario, scenario_from_mapping, with_horizon
from gridsim.scenario.csv_series import Rows, interval_means
from gridsim.scenario.prices import read_prices
from twins.faults import FaultList
from twins.timegrid import TimeGrid

if TYPE_CHECKING:
    from pathlib import Path


def prices_of(scenario: Scenario) -> Any:
    faults = FaultList("prices")
    read = read_prices(scenario.prices, scenario.time_grid(), scenario.currency, faults)
    faults.raise_if_any()
    return read


@pytest.mark.parametrize(
    ("day", "count"), [("2023-03-26", 46), ("2023-10-29", 50), ("2023-01-16", 48)]
)
def test_a_local_day_has_as_many_half_hours_as_its_clock(
    content: dict[str, Any], day: str, count: int
) -> None:
    scenario = scenario_from_mapping(content | {"horizon": {"day": day}})
    assert len(scenario.time_grid()) == count
    assert prices_of(scenario).sizes["time"] == count


def test_an_hourly_price_holds_for_both_half_hours(content: dict[str, Any]) -> None:
    scenario = scenario_from_mapping(content)
    price = prices_of(scenario)["price_import_per_kwh"].to_numpy()
    # Local midnight of 16 January is 23:00 UTC of the day before: hour 14 · 24 + 23 of the file.
    np.testing.assert_array_equal(price, np.repeat(359 + np.arange(24), 2) * 1e-3)


@pytest.mark.parametrize(
    ("unit", "factor"), [("EUR/MWh", 1e-3), ("EUR/kWh", 1.0), ("ct/kWh", 1e-2)]
)
def test_units_and_tariffs(content: dict[str, Any], unit: str, factor: float) -> None:
    content["prices"] |= {
        "unit": unit,
        "import": {"multiply": 1.21, "add_per_kwh": 0.13},
        "export": {"multiply": 0.9},
    }
    read = prices_of(scenario_from_mapping(content))
    raw = np.repeat(359.0 + np.arange(24), 2) * factor
    np.testing.assert_allclose(read["price_import_per_kwh"], 1.21 * raw + 0.13, rtol=1e-12)
    np.testing.assert_allclose(read["price_export_per_kwh"], 0.9 * raw, rtol=1e-12)
    assert read["price_import_per_kwh"].attrs["units"] == "EUR/kWh"


def test_wall_clock_times_agree_with_the_same_times_in_utc(
    content: dict[str, Any], tmp_path: Path
) -> None:
    """Also through the hour that the clock shows twice."""
    zone = "Europe/Amsterdam"
    from zoneinfo import ZoneInfo

    start = dt.datetime(2023, 10, 28, tzinfo=dt.UTC)
    moments = [start + dt.timedelta(hours=hour) for hour in range(72)]
    wall = tmp_path / "wall.csv"
    rows = [f"{m.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M},{n}" for n, m in enumerate(moments)]
    wall.write_text("\n".join(["start,price", *rows]), encoding="utf-8")
    content["prices"] |= {"csv": str(wall), "time_zone": zone}
    scenario = scenario_from_mapping(content | {"horizon": {"day": "2023-10-29"}})
    price = prices_of(scenario)["price_import_per_kwh"].to_numpy()
    np.testing.assert_allclose(price, np.repeat(22 + np.arange(25), 2) * 1e-3)


def test_shipped_prices_are_those_of_the_reference_day() -> None:
    scenario = with_horizon(load_scenario("street"), start="2023-01-16T00:00Z")
    price = prices_of(scenario)["price_import_per_kwh"].to_numpy()
    assert price.size == 48
    # First, lowest and highest hour of the Dutch auction of that day.
    assert price[0] == pytest.approx(0.06001, abs=5e-3)
    assert price.min() == pytest.approx(0.0561, abs=1e-9)
    assert price.max() == pytest.approx(0.2001, abs=1e-9)


instants = st.lists(st.integers(0, 10_000), min_size=2, max_size=30, unique=True).map(sorted)


@settings(max_examples=60)
@given(edges=instants, data=st.data())
def test_interval_means_keep_the_integral(edges: list[int], data: st.DataObject) -> None:
    """Energy times price over the whole horizon is the same on every time axis."""

    def times(minutes: list[int]) -> np.ndarray:
        origin = np.datetime64("2023-01-01", "ns")
        return origin + np.array(minutes) * np.timedelta64(60_000_000_000, "ns")

    inner = data.draw(st.lists(st.integers(edges[0], edges[-1]), max_size=20))
    grid = TimeGrid(times(sorted({edges[0], edges[-1], *inner})))
    starts = times(edges)
    rows = Rows(np.arange(len(edges) - 1), starts[:-1], starts[1:])
    floats = st.floats(-1e3, 1e3)
    values = np.array(data.draw(st.lists(floats, min_size=len(edges) - 1, max_size=len(edges) - 1)))
    means = interval_means(values, rows, grid)
    hours = np.diff(edges) / 60
    assert means @ grid.step_h == pytest.approx(values @ hours, rel=1e-9, abs=1e-6)
    assert (means >= values.min() - 1e-9).all()
    assert (means <= values.max() + 1e-9).all()
