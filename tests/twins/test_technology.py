"""Technologies: the published curves, and reading a user's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twins.fleets import case
from twins import TECHNOLOGIES, ConverterLoss, Technology, TechnologyError, technology_from_mapping

PART_LOAD = case("twin_part_load.json")
shares = st.floats(0.001, 1.0)
names = st.sampled_from(list(TECHNOLOGIES))


@pytest.mark.parametrize("name", PART_LOAD["round_trip"]["technologies"])
def test_round_trip_follows_the_published_part_load_table(name):
    table = PART_LOAD["round_trip"]
    for share, published in zip(table["share"], table["efficiency"], strict=True):
        charge, discharge = TECHNOLOGIES[name].planning_efficiency(share)
        assert charge * discharge == pytest.approx(published, abs=table["tolerance"])


@pytest.mark.parametrize("name", ["bslib_s2", "bslib_s4"])
def test_measured_converters_follow_their_discharge_table(name):
    table = PART_LOAD["discharge_converter"]
    technology = TECHNOLOGIES[name]
    for share, published in zip(table["share"], table[name], strict=True):
        _, discharge = technology.planning_efficiency(share)
        converter = discharge / technology.store_efficiency_discharge
        assert converter == pytest.approx(published, abs=table["tolerance"])


def test_ideal_loses_nothing_at_any_load():
    for share in (0.01, 0.5, 1.0):
        assert TECHNOLOGIES["ideal"].planning_efficiency(share) == (1.0, 1.0)


@given(names, shares)
def test_planning_efficiencies_are_fractions(name, share):
    charge, discharge = TECHNOLOGIES[name].planning_efficiency(share)
    assert 0 <= charge <= 1
    assert 0 < discharge <= 1


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, math.nan])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match="share"):
        TECHNOLOGIES["lfp"].planning_efficiency(share)


def test_every_published_technology_names_its_source():
    for technology in TECHNOLOGIES.values():
        assert technology.source
        assert technology.licence or technology.name == "ideal"


def test_a_name_and_a_mapping_of_overrides_both_give_a_technology():
    assert technology_from_mapping("nmc") == TECHNOLOGIES["nmc"]
    own = technology_from_mapping({"base": "lfp", "taper": {"charge_soc_start": 0.5}})
    assert own.taper.charge_soc_start == 0.5
    assert own.taper.charge_share_end == TECHNOLOGIES["lfp"].taper.charge_share_end
    assert own.ageing == TECHNOLOGIES["lfp"].ageing
    assert technology_from_mapping({"store_efficiency_charge": 0.9}).store_efficiency_charge == 0.9


def test_every_fault_of_a_mapping_comes_in_one_error():
    given_values = {
        "base": "lpf",
        "idle_loss": "much",
        "standing_loss_per_h": math.nan,
        "taper": {"charge_soc_strt": 0.9, "charge_soc_start": 2},
        "thermal": 3,
        "constant_loss_kw": True,
    }
    with pytest.raises(TechnologyError) as caught:
        technology_from_mapping(given_values, "fleet.technology.")
    found = {fault.where.removeprefix("fleet.technology."): fault for fault in caught.value.faults}
    assert set(found) == {
        "base",
        "idle_loss",
        "standing_loss_per_h",
        "taper.charge_soc_strt",
        "taper.charge_soc_start",
        "thermal",
        "constant_loss_kw",
    }
    assert "lfp" in found["base"].hint
    assert "charge_soc_start" in found["taper.charge_soc_strt"].hint


def test_faults_between_numbers_are_found_and_carry_their_path():
    with pytest.raises(TechnologyError, match=r"thermal\.hot_start_c"):
        technology_from_mapping({"base": "lfp", "thermal": {"hot_start_c": 60}})


@pytest.mark.parametrize(
    ("standby", "linear", "most"), [(0, 0, 0), (0.01, 0.02, 0.03), (0.01, -0.005, 0.01)]
)
def test_the_greatest_idle_loss_named_is_the_greatest_taken(standby, linear, most):
    loss = ConverterLoss(standby=standby, linear=linear)
    assert Technology(idle_loss=most, loss_discharge=loss).idle_loss == most
    with pytest.raises(TechnologyError, match=rf"idle_loss: .*max\(linear, 0\) = {most:g}$"):
        Technology(idle_loss=most + 0.001, loss_discharge=loss)


@pytest.mark.parametrize("given_value", [3, None, ["lfp"]])
def test_something_that_is_neither_name_nor_mapping_is_refused(given_value):
    with pytest.raises(TechnologyError):
        technology_from_mapping(given_value)
