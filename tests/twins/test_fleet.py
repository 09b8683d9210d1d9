"""Fleets: all faults at once, labels kept, the digest the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.twins.fleets import mixed_fleet, one_battery
from twins import TECHNOLOGIES, BatterySpec, Fleet, FleetError

LFP = TECHNOLOGIES["lfp"]


def _spec(**values: object) -> BatterySpec:
    known = {
        "battery_id": "a",
        "site_id": "s",
        "technology": LFP,
        "energy_kwh_max": 10.0,
        "p_charge_kw_max": 4.0,
        "p_discharge_kw_max": 5.0,
        "s_kva_max": 5.0,
    }
    return BatterySpec(**(known | values))


def test_specs_and_columns_make_the_same_fleet():
    specs = [_spec(battery_id="a"), _spec(battery_id="b", technology=TECHNOLOGIES["nmc"])]
    by_specs = Fleet.from_specs(specs)
    by_columns = Fleet.from_columns(
        battery_id=["a", "b"],
        site_id="s",
        technologies=[LFP, TECHNOLOGIES["nmc"]],
        technology_index=[0, 1],
        energy_kwh_max=10.0,
        p_charge_kw_max=4.0,
        p_discharge_kw_max=5.0,
    )
    assert by_specs.digest() == by_columns.digest()
    assert by_specs.to_dataset().identical(by_columns.to_dataset())


def test_every_fault_of_every_battery_comes_in_one_error():
    with pytest.raises(FleetError) as caught:
        Fleet.from_columns(
            battery_id=["a", "a", ""],
            site_id="s",
            technologies=LFP,
            technology_index=[0, 0, 4],
            energy_kwh_max=[1.0, np.nan, -1.0],
            p_charge_kw_max=[0.0, 5.0, 5.0],
            p_discharge_kw_max=[0.0, -1.0, 2.0],
            s_kva_max=[1.0, 1.0, 9.0],
            soc_min=0.9,
            soc_max=[0.1, 2.0, 1.0],
            soc_initial=[0.5, 0.5, 3.0],
            capacity_fraction=[1.0, 0.0, 1.0],
        )
    found = {fault.where for fault in caught.value.faults}
    assert found >= {
        "batteries[0].battery_id",
        "batteries[2].battery_id",
        "batteries[2].technology_index",
        "batteries[1].energy_kwh_max",
        "batteries[2].energy_kwh_max",
        "batteries[0].p_charge_kw_max",
        "batteries[1].p_discharge_kw_max",
        "batteries[1].s_kva_max",
        "batteries[0].soc_min",
        "batteries[1].soc_max",
        "batteries[2].soc_initial",
        "batteries[1].capacity_fraction",
    }


def test_a_first_state_of_charge_outside_its_band_is_normal_input():
    assert _spec(soc_min=0.2, soc_max=0.8, soc_initial=0.95).soc_initial == 0.95
    with pytest.raises(FleetError, match="soc_initial"):
        _spec(soc_initial=1.01)


def test_an_empty_fleet_is_a_fault():
    with pytest.raises(FleetError, match="at least one battery"):
        Fleet.from_specs([])


def test_columns_of_the_wrong_length_are_named():
    with pytest.raises(FleetError, match="energy_kwh_max"):
        Fleet.from_columns(
            battery_id=["a", "b"],
            site_id="s",
            technologies=LFP,
            energy_kwh_max=[1.0, 2.0, 3.0],
            p_charge_kw_max=1.0,
            p_discharge_kw_max=1.0,
        )


def test_selection_keeps_the_order_asked_for_and_names_strangers():
    fleet = mixed_fleet(10)
    picked = fleet.select(["b00007", "b00002"])
    assert picked.battery_id.tolist() == ["b00007", "b00002"]
    assert picked.energy_kwh_max.tolist() == fleet.energy_kwh_max[[7, 2]].tolist()
    with pytest.raises(FleetError, match=r"did you mean 'b00007'"):
        fleet.select(["b0007"])


def test_columns_cannot_be_changed_behind_the_fleets_back():
    fleet = mixed_fleet(3)
    with pytest.raises(ValueError, match="read-only"):
        fleet.soc_initial[0] = 0.3
    assert fleet.with_soc_initial(0.3).soc_initial.tolist() == [0.3] * 3


def test_the_digest_changes_with_any_column():
    fleet = mixed_fleet(4)
    digests = {fleet.digest(), fleet.with_soc_initial(0.123).digest()}
    digests.add(fleet.select(list(reversed(fleet.battery_id))).digest())
    digests.add(replace(fleet, energy_kwh_max=fleet.energy_kwh_max * 1.0000001).digest())
    digests.add(replace(fleet, technologies=fleet.technologies[::-1]).digest())
    assert len(digests) == 5
    by_int = one_battery(replace(LFP, constant_loss_kw=0))
    assert by_int.digest() == one_battery(replace(LFP, constant_loss_kw=0.0)).digest()


def test_a_technology_that_is_only_a_name_is_refused():
    with pytest.raises(FleetError, match="must be a Technology"):
        _spec(technology="lfp")


def test_the_digest_is_the_same_in_another_process():
    program = "from tests.twins.fleets import mixed_fleet; print(mixed_fleet(100, seed=7).digest())"
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": "123", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == mixed_fleet(100, seed=7).digest()


def test_planning_efficiencies_follow_each_batterys_technology():
    fleet = mixed_fleet(50)
    charge, discharge = fleet.planning_efficiency(0.2)
    for row in range(50):
        technology = fleet.technologies[fleet.technology_index[row]]
        assert (charge[row], discharge[row]) == technology.planning_efficiency(0.2)


def test_device_limits_are_those_of_the_present_capacity():
    limits = one_battery(capacity_fraction=0.8, soc_min=0.1).device_limits("b0")
    assert limits.energy_kwh_max == pytest.approx(8.0)
    assert (limits.p_charge_kw_max, limits.s_kva_max, limits.soc_min) == (5.0, 5.0, 0.1)


def test_the_dataset_carries_units_and_labels():
    dataset = mixed_fleet(3).to_dataset()
    assert dataset.battery.values.tolist() == ["b00000", "b00001", "b00002"]
    assert dataset.energy_kwh_max.attrs["units"] == "kWh"
    assert all("long_name" in variable.attrs for variable in dataset.data_vars.values())
