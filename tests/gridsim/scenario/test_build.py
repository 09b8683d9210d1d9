"""A built scenario: every part on one axis, every meter counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pytest

from gridsim.grid import Grid
from gridsim.scenario import (
    BuiltScenario,
    ScenarioError,
    build,
    load_scenario,
    scenario_from_mapping,
    shipped_scenarios,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def street() -> BuiltScenario:
    return build(load_scenario("street"))


def test_three_scenarios_are_shipped_and_described() -> None:
    listed = dict(shipped_scenarios())
    assert set(listed) == {"street", "town", "region"}
    assert all(listed.values())


def test_street_is_what_it_says(street: BuiltScenario) -> None:
    assert (len(street.grid.buses), len(street.grid.loads)) == (59, 135)
    assert len(street.fleet) == 68  # half of 135, rounded up
    assert street.sites.sizes == {"site": 68, "time": 48}
    assert street.fleet.energy_kwh_max.min() >= 5
    assert street.fleet.energy_kwh_max.max() <= 15


def test_the_parts_share_one_time_axis(street: BuiltScenario) -> None:
    for part in (street.profiles, street.sites, street.prices):
        np.testing.assert_array_equal(part["time"].to_numpy(), street.time_grid.starts)


def test_every_battery_stands_at_the_bus_of_its_load(street: BuiltScenario) -> None:
    bus_of = dict(zip(street.grid.loads.label, street.grid.loads.bus, strict=True))
    expected = [bus_of[site] for site in street.fleet.site_id]
    assert street.battery_bus.tolist() == expected


def test_a_site_has_the_demand_of_its_load(street: BuiltScenario) -> None:
    own = street.profiles["load_kw"].sel(load=street.sites["load"].to_numpy())
    np.testing.assert_array_equal(street.sites["load_kw"], own)


def test_the_same_file_gives_the_same_fleet(street: BuiltScenario) -> None:
    again = build(load_scenario("street"), grid=street.grid)
    assert again.fleet.digest() == street.fleet.digest()


def test_another_day_keeps_the_fleet_and_moves_the_time(street: BuiltScenario) -> None:
    summer = build(street.scenario, day="2023-07-03", grid=street.grid)
    assert summer.fleet.digest() == street.fleet.digest()
    assert summer.time_grid.instants[0] == np.datetime64("2023-07-02T22:00")
    with pytest.raises(ScenarioError, match="no row holds"):
        build(street.scenario, day="2031-07-03", grid=street.grid)


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid.from_pandapower("create_kerber_landnetz_freileitung_1")


def with_rule(content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    content["fleet"]["rule"] |= changes
    return content


def test_changing_one_distribution_leaves_the_others(content: dict[str, Any], grid: Grid) -> None:
    drawn = {"soc_initial": {"uniform": [0.2, 0.8]}}
    one = build(scenario_from_mapping(with_rule(content, **drawn)), grid=grid).fleet
    energy = {"energy_kwh": {"lognormal": {"median": 8, "sigma": 0.4, "min": 2, "max": 30}}}
    two = build(scenario_from_mapping(with_rule(content, **energy)), grid=grid).fleet
    assert not np.array_equal(one.energy_kwh_max, two.energy_kwh_max)
    np.testing.assert_array_equal(one.soc_initial, two.soc_initial)


@pytest.mark.parametrize(
    ("at", "sites"),
    [
        ({"every_load": True}, 13),
        ({"share_of_loads": 0.5}, 7),
        ({"number_of_loads": 4}, 4),
        ({"loads": ["load 3", "load 1"]}, 2),
        ({"buses": ["bus_1_2"]}, 1),
    ],
)
def test_places(content: dict[str, Any], grid: Grid, at: dict[str, Any], sites: int) -> None:
    built = build(scenario_from_mapping(with_rule(content, at=at)), grid=grid)
    assert len(built.site_map) == len(built.fleet) == sites
    assert built.sites["load_kw"].to_numpy().min() >= 0


def test_two_batteries_behind_one_meter_are_one_site(
    content: dict[str, Any], grid: Grid, tmp_path: Path
) -> None:
    path = tmp_path / "fleet.csv"
    path.write_text(
        "battery_id,load,bus,energy_kwh_max,p_charge_kw_max,p_discharge_kw_max,site_id\n"
        "b,load 3,,10,5,4,home\na,load 3,,6,3,3,home\nc,,bus_1_2,8,4,4,\n",
        encoding="utf-8",
    )
    content["fleet"] = {"csv": {"path": str(path), "technology": "nmc"}}
    built = build(scenario_from_mapping(content), grid=grid)
    assert built.site_map.site_id.tolist() == ["home", "bus_1_2"]
    assert built.battery_site.tolist() == [0, 0, 1]
    assert built.fleet.p_discharge_kw_max.tolist() == [4, 3, 4]
    assert {t.chemistry for t in built.fleet.technologies} == {"NMC"}


def test_two_sites_cannot_count_the_same_load(
    content: dict[str, Any], grid: Grid, tmp_path: Path
) -> None:
    bus = str(grid.loads.bus[3])
    path = tmp_path / "fleet.csv"
    path.write_text(
        "battery_id,load,bus,energy_kwh_max,p_charge_kw_max,p_discharge_kw_max\n"
        f"a,load 3,,10,5,4\nb,,{bus},6,3,3\n",
        encoding="utf-8",
    )
    content["fleet"] = {"csv": {"path": str(path), "technology": "nmc"}}
    with pytest.raises(ScenarioError, match="shares its load"):
        build(scenario_from_mapping(content), grid=grid)


def test_generation_stands_behind_one_meter_only() -> None:
    """All of it with `at_bus`, none with `none`; never more than the grid has."""
    grid = Grid.from_pandapower("create_cigre_network_mv", with_der="pv_wind")
    content = {
        "name": "mv",
        "time_zone": "UTC",
        "horizon": {"day": "2023-01-16"},
        "grid": {
            "pandapower_network": "create_cigre_network_mv",
            "arguments": {"with_der": "pv_wind"},
        },
        "profiles": {"nominal": True},
        "prices": {
            "csv": str(load_scenario("street").prices.csv),
            "time_column": "utc_start",
            "column": "price_eur_mwh",
            "unit": "EUR/MWh",
        },
    }
    rule = {
        "at": {"every_load": True},
        "seed": 1,
        "technology": "ideal",
        "energy_kwh": 10,
        "power": {"kw": 5},
    }
    total = {}
    for choice in ("at_bus", "low_voltage_pv", "none"):
        fleet = {"rule": rule, "site_generation": choice}
        built = build(scenario_from_mapping(content | {"fleet": fleet}), grid=grid)
        total[choice] = float(built.sites["generation_kw"].isel(time=0).sum())
    assert total["none"] == total["low_voltage_pv"] == 0
    at_load_buses = np.isin(grid.generators.bus, grid.loads.bus)
    assert total["at_bus"] == pytest.approx(grid.generators.p_kw[at_load_buses].sum())


def test_a_load_that_feeds_in_generates_behind_its_meter(
    content: dict[str, Any], tmp_path: Path
) -> None:
    """Grid files and SimBench's profiles have them; a plan has demand and generation apart."""
    net = pn.create_kerber_landnetz_freileitung_1()
    net.load.loc[net.load.index[2], "p_mw"] = -0.004
    pp.to_json(net, tmp_path / "net.json")
    content["grid"] = {"pandapower_json": str(tmp_path / "net.json")}
    sites = build(scenario_from_mapping(content)).sites
    assert float(sites["load_kw"].min()) == 0
    assert float(sites["generation_kw"].max()) == pytest.approx(4)
