"""Replay: known answers, the richer physics one by one, and refused input."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from tests.twins.fleets import case, hours_grid, mixed_fleet, one_battery
from twins import TECHNOLOGIES, Fleet, InvalidInputError, Technology, Uncertainty, replay
from twins import technology_from_mapping as own

IDEAL = TECHNOLOGIES["ideal"]
GRID2OP = case("twin_grid2op_storage.json")
OEMOF = case("twin_oemof_relative_losses.json")


def _grid2op_fleet(run: dict) -> Fleet:
    efficiencies = run.get("efficiency_charge", [1, 1])
    size = np.array(GRID2OP["energy_kwh_max"], dtype=float)
    return Fleet.from_columns(
        battery_id=["first", "second"],
        site_id="s",
        technologies=[
            replace(IDEAL, constant_loss_kw=run["constant_loss_kw"], store_efficiency_charge=one)
            for one in efficiencies
        ],
        technology_index=[0, 1],
        energy_kwh_max=size,
        p_charge_kw_max=GRID2OP["p_kw_max"],
        p_discharge_kw_max=GRID2OP["p_kw_max"],
        soc_initial=np.array(run["energy_kwh_initial"]) / size,
    )


@pytest.mark.parametrize("run", GRID2OP["runs"], ids=lambda run: run["name"])
def test_a_command_is_clipped_as_grid2op_clips_it(run):
    steps = len(run["p_kw"])
    grid = hours_grid(GRID2OP["step_minutes"], steps * GRID2OP["step_minutes"] / 60)
    command = np.repeat(np.array(run["command_kw"])[:, None], steps, axis=1)
    lived = replay(_grid2op_fleet(run), grid, command)
    np.testing.assert_allclose(lived.p_kw.values.T, run["p_kw"], atol=run["tolerance"])
    np.testing.assert_allclose(
        lived.energy_kwh.values[:, 1:].T, run["energy_kwh"], atol=run["tolerance"]
    )


def test_an_idle_battery_drains_to_empty_and_no_further():
    run = GRID2OP["idle"]
    lived = replay(_grid2op_fleet(run), hours_grid(5, 2), np.zeros((2, 24)))
    energy = lived.energy_kwh.values
    assert (energy >= 0).all()
    for row, steps in enumerate(run["empty_after_steps"]):
        assert energy[row, steps] == pytest.approx(0, abs=1e-12)
        assert energy[row, steps - 1] > 1e-3


@pytest.mark.parametrize("step_h", OEMOF["steps_hours"])
def test_standing_loss_compounds_alike_at_every_step_length(step_h):
    lossy = replace(IDEAL, standing_loss_per_h=OEMOF["standing_loss_per_h"])
    fleet = one_battery(lossy, energy_kwh_max=OEMOF["energy_kwh_initial"], soc_initial=1.0)
    grid = hours_grid(step_h * 60, 168)
    energy = replay(fleet, grid, np.zeros((1, len(grid)))).energy_kwh.values[0]
    checked = 0
    for hour, expected in OEMOF["energy_kwh_by_hour"].items():
        position = float(hour) / step_h
        if position == int(position):
            assert energy[int(position)] == pytest.approx(expected, abs=1e-8)
            checked += 1
    assert checked >= 2


@pytest.mark.parametrize("minutes", [7, 11, 60])
def test_standing_loss_is_exact_between_ticks_too(minutes):
    lossy = replace(IDEAL, standing_loss_per_h=0.01)
    grid = hours_grid(minutes, minutes / 6)
    lived = replay(one_battery(lossy, soc_initial=0.8), grid, np.zeros((1, len(grid))))
    hours = np.concatenate([[0], np.cumsum(grid.step_h)])
    np.testing.assert_allclose(lived.energy_kwh.values[0], 8.0 * 0.99**hours, rtol=1e-12)


@pytest.mark.parametrize("share", [0.05, 0.25, 1.0])
@pytest.mark.parametrize("name", ["lfp", "nmc", "bslib_s2", "bslib_s4"])
def test_part_load_losses_are_those_of_the_technology(name, share):
    technology = replace(TECHNOLOGIES[name], standing_loss_per_h=0.0)
    fleet = one_battery(technology, energy_kwh_max=100.0)
    grid = hours_grid(30, 1)
    charge, discharge = technology.planning_efficiency(share)
    p_kw = 5.0 * share
    up = replay(fleet, grid, [[p_kw, p_kw]]).energy_kwh.values[0]
    down = replay(fleet, grid, [[-p_kw, -p_kw]]).energy_kwh.values[0]
    assert up[-1] - up[0] == pytest.approx(p_kw * charge, rel=1e-9)
    assert down[0] - down[-1] == pytest.approx(p_kw / discharge, rel=1e-9)


def test_an_idle_converter_draws_its_idle_loss():
    technology = replace(TECHNOLOGIES["bslib_s2"], standing_loss_per_h=0.0)
    lived = replay(one_battery(technology), hours_grid(60, 24), np.zeros((1, 24)))
    assert float(lived.loss_kwh.sum()) == pytest.approx(24 * 5 * technology.idle_loss)


def test_power_tapers_near_full_and_near_empty():
    grid = hours_grid(5, 1 / 12)
    given = {"charge_soc_start": 0.8, "charge_share_end": 0.2}
    given |= {"discharge_soc_start": 0.4, "discharge_share_end": 0.5}
    technology = own({"taper": given})
    for soc, charging_kw, discharging_kw in [
        (0.5, 5.0, 5.0),
        (0.9, 5.0 * 0.6, 5.0),
        (0.2, 5.0, 5.0 * 0.75),
    ]:
        fleet = one_battery(technology, soc_initial=soc)
        assert float(replay(fleet, grid, [[5.0]]).p_kw[0, 0]) == pytest.approx(charging_kw)
        assert float(replay(fleet, grid, [[-5.0]]).p_kw[0, 0]) == pytest.approx(-discharging_kw)


def test_cold_cells_refuse_to_charge_before_they_refuse_to_discharge():
    grid = hours_grid(5, 1 / 12)
    cold = {"temperature_ambient_c": -5.0}
    assert float(replay(one_battery("lfp"), grid, [[3.0]], **cold).p_kw[0, 0]) == 0.0
    assert float(replay(one_battery("lfp"), grid, [[-3.0]], **cold).p_kw[0, 0]) == -3.0
    hot = replay(one_battery("lfp"), grid, [[-5.0]], temperature_ambient_c=50.0)
    assert float(hot.p_kw[0, 0]) == pytest.approx(-2.5)


def test_the_thermal_node_settles_where_heat_in_is_heat_out():
    thermal = {"heat_capacity_wh_per_k_kwh": 0.5, "conductance_w_per_k_kwh": 1.0}
    technology = own({"store_efficiency_charge": 0.9, "thermal": thermal})
    fleet = one_battery(technology, energy_kwh_max=1000.0, soc_initial=0.0)
    grid = hours_grid(60, 24)
    lived = replay(fleet, grid, np.full((1, 24), 5.0), temperature_ambient_c=10.0)
    expected = 10.0 + 5.0 * 0.1 / (1000.0 * 1.0 / 1000)
    assert float(lived.temperature_c[0, -1]) == pytest.approx(expected, rel=1e-9)
    assert (np.diff(lived.temperature_c.values[0]) >= -1e-12).all()


def test_ambient_temperature_may_change_with_time():
    grid = hours_grid(60, 3)
    ambient = xr.DataArray([0.0, 10.0, 20.0], dims="time", coords={"time": grid.starts})
    lived = replay(one_battery("ideal"), grid, np.zeros((1, 3)), temperature_ambient_c=ambient)
    assert lived.temperature_c.values[0].tolist() == [0.0, 0.0, 10.0, 20.0]


def test_a_day_replayed_in_two_halves_is_the_day():
    fleet = mixed_fleet(20)
    p_kw = np.random.default_rng(1).uniform(-4, 4, (20, 24))
    whole = replay(fleet, hours_grid(60, 24), p_kw, temperature_ambient_c=5.0)
    first = replay(fleet, hours_grid(60, 12), p_kw[:, :12], temperature_ambient_c=5.0)
    second = replay(
        fleet.with_soc_initial(first.soc[:, -1]),
        hours_grid(60, 12, "2023-01-16T12:00Z"),
        p_kw[:, 12:],
        temperature_ambient_c=5.0,
        temperature_initial_c=first.temperature_c[:, -1],
    )
    np.testing.assert_allclose(second.energy_kwh, whole.energy_kwh[:, 12:], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(second.temperature_c, whole.temperature_c[:, 12:], rtol=1e-9)


def test_the_shortfall_is_what_was_asked_for_and_not_done():
    lived = replay(one_battery("ideal", soc_initial=0.5), hours_grid(60, 3), [[3.0, 3.0, -1.0]])
    assert lived.p_kw.values[0] == pytest.approx([3.0, 2.0, -1.0])
    assert lived.p_shortfall_kw.values[0] == pytest.approx([0.0, 1.0, 0.0])
    assert float(lived.throughput_charge_kwh[0]) == pytest.approx(5.0)
    assert float(lived.throughput_discharge_kwh[0]) == pytest.approx(1.0)
    assert float(lived.equivalent_full_cycles[0]) == pytest.approx(0.3)


def test_capacity_fades_with_use_and_faster_when_new():
    grid = hours_grid(30, 24)
    p_kw = np.repeat([[2.0, -2.0, 2.0, -2.0]], 12, axis=1)
    rest = replay(one_battery("lfp"), grid, np.zeros((1, 48)))
    used = replay(one_battery("lfp"), grid, p_kw)
    old = replay(one_battery("lfp", capacity_fraction=0.9), grid, p_kw)
    lost_at_rest = 1 - float(rest.capacity_fraction[0])
    lost_in_use = 1 - float(used.capacity_fraction[0])
    assert 0 < lost_at_rest < lost_in_use < 0.005
    assert 0 < 0.9 - float(old.capacity_fraction[0]) < lost_in_use
    assert float(replay(one_battery("ideal"), grid, p_kw).capacity_fraction[0]) == 1.0


def test_scenario_zero_is_the_nominal_fleet_and_more_scenarios_keep_the_earlier():
    fleet = mixed_fleet(20)
    grid = hours_grid(30, 6)
    p_kw = np.random.default_rng(0).uniform(-4, 4, (20, 12))
    nominal = replay(fleet, grid, p_kw)
    few = replay(fleet, grid, p_kw, uncertainty=Uncertainty(3, seed=5))
    many = replay(fleet, grid, p_kw, uncertainty=Uncertainty(6, seed=5))
    assert few.p_kw.dims == ("scenario", "battery", "time")
    assert few.isel(scenario=0, drop=True).identical(nominal)
    assert many.isel(scenario=slice(3)).identical(few)
    assert float(few.energy_kwh.std("scenario").max()) > 0
    other = replay(fleet, grid, p_kw, uncertainty=Uncertainty(3, seed=6))
    assert not other.identical(few)


def test_drawn_scenarios_stay_within_their_truncation():
    fleet = mixed_fleet(500, soc_initial=0.5, capacity_fraction=1.0)
    grid = hours_grid(30, 0.5)
    spread = Uncertainty(4, seed=1, capacity_std=0.05, efficiency_std=0, soc_initial_std=0.02)
    lived = replay(fleet, grid, np.zeros((500, 1)), uncertainty=spread)
    soc = lived.soc.isel(instant=0)
    capacity = lived.energy_kwh.isel(instant=0) / soc / fleet.energy_kwh_max
    assert float(np.abs(soc - 0.5).max()) <= 0.04 + 1e-12
    assert float(np.abs(capacity - 1).max()) <= 0.1 + 1e-12
    assert 0.03 < float(capacity[1:].std()) < 0.05


def test_a_senseless_uncertainty_names_every_fault():
    with pytest.raises(InvalidInputError) as caught:
        Uncertainty(0, seed=-1, capacity_std=-0.1, efficiency_std=float("nan"))
    assert len(caught.value.faults) == 4


def test_labels_must_match_exactly():
    fleet = mixed_fleet(3)
    grid = hours_grid(30, 1)
    coords = {"battery": fleet.battery_id, "time": grid.starts}
    good = xr.DataArray(np.zeros((3, 2)), dims=("battery", "time"), coords=coords)
    assert replay(fleet, grid, good.transpose()).identical(replay(fleet, grid, good))
    swapped = good.isel(battery=[1, 0, 2])
    shifted = good.assign_coords(time=grid.starts + np.timedelta64(dt.timedelta(minutes=1)))
    for bad, name in [
        (swapped, r"p_kw.battery\[0\]"),
        (shifted, r"p_kw.time\[0\]"),
        (good.drop_vars("battery"), "p_kw.battery"),
        (good.isel(time=0), "p_kw.dims"),
        (good.isel(battery=[0, 1]), "p_kw.battery"),
    ]:
        with pytest.raises(InvalidInputError, match=name):
            replay(fleet, grid, bad)


def test_every_fault_of_the_input_comes_in_one_error():
    fleet = mixed_fleet(2)
    grid = hours_grid(30, 1)
    p_kw = np.zeros((2, 2))
    p_kw[1, 0] = np.nan
    with pytest.raises(InvalidInputError) as caught:
        replay(fleet, grid, p_kw, np.zeros((2, 3)), temperature_ambient_c=[1.0, 2.0, 3.0])
    assert [fault.where for fault in caught.value.faults] == [
        "p_kw[battery 'b00001', interval 0]",
        "q_kvar",
        "temperature_ambient_c",
    ]
    with pytest.raises(InvalidInputError, match="temperature_ambient_c"):
        replay(fleet, grid, np.zeros((2, 2)), temperature_ambient_c=293.15)


def test_a_battery_that_may_only_charge_is_a_battery():
    fleet = one_battery(Technology(name="one way"), p_discharge_kw_max=0.0)
    lived = replay(fleet, hours_grid(60, 2), [[1.0, -1.0]])
    assert lived.p_kw.values[0].tolist() == [1.0, 0.0]
