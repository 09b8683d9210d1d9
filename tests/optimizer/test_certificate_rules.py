"""Planted errors are caught, each by its name; what is reported is not held against a plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certificate import certify, check, worst_violation
from optimizer.plan import Breach
from tests.optimizer.certificate_problems import limit_breach, make_plan
from tests.optimizer.problems import make_problem


def found(plan) -> dict[str, float]:
    """Rules that are broken, with the size."""
    return {violation.rule: pytest.approx(violation.size) for violation in check(plan)}


def test_a_sound_plan_has_no_violation():
    plan = make_plan(make_problem(3), [[5.0, -5.0, 0.0]])
    assert check(plan) == []
    assert worst_violation(plan) == 0.0


@given(st.integers(0, 3), st.floats(2e-5, 3.0))
def test_energy_that_does_not_follow_from_the_powers(instant, error):
    plan = make_plan(make_problem(3), [[5.0, -5.0, 0.0]])
    energy = plan.energy_kwh.copy()
    energy[0, instant] += error
    assert found(replace(plan, energy_kwh=energy)) == {"balance": error}


@pytest.mark.parametrize(
    ("powers", "rule", "size"),
    [
        ([0.0, 4.5, 0.0], "charge power", 1.5),
        ([0.0, 0.0, -2.5], "discharge power", 0.5),
    ],
)
def test_power_over_its_limit(powers, rule, size):
    battery = {"p_charge_kw_max": [5.0, 3.0, 3.0], "p_discharge_kw_max": 2.0}
    plan = make_plan(make_problem(3, batteries=[battery]), [powers])
    assert found(plan) == {rule: size}
    (violation,) = check(plan)
    assert violation.name == "b0"
    assert str(violation) == f"{rule} of b0 at {violation.at}: off by {size} kW"
    assert violation.relative == pytest.approx(size / (3.0 if rule == "charge power" else 2.0))


def test_negative_power_is_over_its_limit():
    plan = make_plan(make_problem(2), [[1.0, 0.0]])
    charge = np.array([[1.0, -0.5]])
    energy = np.array([[5.0, 6.0, 5.5]])
    assert found(replace(plan, p_charge_kw=charge, energy_kwh=energy)) == {"charge power": 0.5}


def test_charging_while_discharging():
    plan = make_plan(make_problem(2), [[1.0, 0.0]])
    both = replace(
        plan,
        p_charge_kw=plan.p_charge_kw + 0.25,
        p_discharge_kw=plan.p_discharge_kw + 0.25,
    )
    assert found(both) == {"exclusion": 0.25}


@pytest.mark.parametrize(
    ("power", "off"),
    [(5.0, 0.0), (2.5, 0.0), (0.0, 0.0), (3.0, 0.5), (0.3, 0.3), (-1.0, 1.0), (-2.5, 0.0)],
)
def test_steps_of_power(power, off):
    problem = make_problem(1, batteries=[{"power_levels": 2}])
    side = "charge step" if power > 0 else "discharge step"
    assert found(make_plan(problem, [[power]])) == ({side: off} if off else {})


@pytest.mark.parametrize(
    ("power", "off"),
    [(5.0, 0.0), (3.0, 0.0), (0.0, 0.0), (2.6, 0.4), (0.3, 0.3), (-0.4, 0.4), (-4.0, 0.0)],
)
def test_the_least_power(power, off):
    problem = make_problem(1, batteries=[{"p_charge_kw_min": 3.0, "p_discharge_kw_min": 1.0}])
    side = "charge step" if power > 0 else "discharge step"
    assert found(make_plan(problem, [[power]])) == ({side: off} if off else {})


def test_only_rest_is_left_where_the_most_lies_below_the_least():
    battery = {"p_charge_kw_min": 3.0, "p_charge_kw_max": [2.0, 4.0]}
    problem = make_problem(2, batteries=[battery])
    assert found(make_plan(problem, [[2.0, 0.0]])) == {"charge step": 2.0}


def test_the_band_is_kept_or_reported_by_a_battery_that_cannot():
    problem = make_problem(2)
    breach = Breach("band", "b0", "2023-01-16T01:00:00Z", 9.0, "kWh", "above", is_firm=True)
    full = make_plan(problem, [[5.0, 1.0]])
    assert found(full) == {"band": 1.0}
    # This battery could have kept its band: no report buys it off.
    later = replace(breach, at="2023-01-16T02:00:00Z")
    assert found(replace(full, breaches=(later,))) == {"band": 1.0}
    starts_over = make_problem(2, batteries=[{"energy_kwh_initial": 16.0}])
    plan = make_plan(starts_over, [[-4.0, -3.0]])
    assert found(plan) == {"band": 2.0}
    assert found(replace(plan, breaches=(replace(breach, size=1.5),))) == {"band": 0.5}
    assert found(replace(plan, breaches=(replace(breach, size=2.0),))) == {}


def test_a_limit_is_kept_or_reported():
    problem = make_problem(
        2, groups=[{"load_kw": 2.0}], batteries=[{"group": "g0"}], limits=[{"p_kw_max": 4.0}]
    )
    plan = make_plan(problem, [[0.0, 5.0]])
    assert found(plan) == {"limit": 3.0}
    for size, left in ((3.0, {}), (1.0, {"limit": 2.0}), (4.0, {})):
        breach = limit_breach(problem, "l0", 1, size)
        assert found(replace(plan, breaches=(breach,))) == left
    for other in (
        limit_breach(problem, "l0", 0, 3.0),
        limit_breach(problem, "l1", 1, 3.0),
        replace(limit_breach(problem, "l0", 1, 3.0), side="below"),
    ):
        assert found(replace(plan, breaches=(other,))) == {"limit": 3.0}


def test_a_target_inside_an_interval_is_kept_or_reported():
    problem = make_problem(2, targets=[{"at_h": 1.25, "energy_kwh_min": 7.0}])
    plan = make_plan(problem, [[0.0, 4.0]])
    assert found(plan) == {"target": 1.0}
    moment = "2023-01-16T01:15:00Z"
    breach = Breach("target", "b0", moment, 1.0, "kWh", "below", is_firm=True)
    assert check(plan)[0].at == moment
    assert found(replace(plan, breaches=(breach,))) == {}


def test_a_ramp_is_kept_or_reported():
    problem = make_problem(2, 0.5, [{"ramp_up_kw_per_h": 4.0, "p_kw_initial": 0.0}])
    plan = make_plan(problem, [[2.0, 5.0]])
    assert found(plan) == {"ramp": 2.0}  # 3 kW in half an hour is 6 kW/h
    breach = Breach("ramp", "b0", "2023-01-16T00:30:00Z", 2.0, "kW/h", "above", is_firm=True)
    assert found(replace(plan, breaches=(breach,))) == {}


def test_cycles_count_by_utc_day():
    start = np.datetime64("2023-01-15T22:00", "ns")
    battery = {"cycles_per_day_max": 0.5}
    problem = make_problem(4, batteries=[battery], start=start)
    # Ten kWh may be moved a day; the first day ends after two hours.
    assert found(make_plan(problem, [[5.0, -5.0, -5.0, 5.0]])) == {}
    assert found(make_plan(problem, [[0.0, 0.0, -5.0, 5.0]])) == {}
    problem = make_problem(4, batteries=[battery])
    plan = make_plan(problem, [[5.0, -5.0, -2.0, 0.0]])
    assert found(plan) == {"cycles": 2.0}


def test_generation_between_its_least_and_what_is_available():
    problem = make_problem(2, generators=[{"p_kw_min": 1.0}])
    for output, size in ((6.5, 1.5), (0.25, 0.75), (-1.0, 2.0)):
        plan = make_plan(problem, [[0.0, 0.0]], generation_kw=np.array([[2.0, output]]))
        assert found(plan) == {"generation": size}


def test_nan_is_named_and_certifies_nothing():
    plan = make_plan(make_problem(2), [[1.0, 0.0]])
    broken = replace(plan, p_discharge_kw=np.array([[0.0, np.nan]]))
    assert [violation.rule for violation in check(broken)] == ["finite"]
    with pytest.raises(ValueError, match="nan or infinity: finite of b0 at 2023-01-16T01:00:00Z"):
        certify(broken)


def test_another_shape_is_refused():
    plan = make_plan(make_problem(2), [[1.0, 0.0]])
    with pytest.raises(ValueError, match=r"energy_kwh has shape \(1, 2\), must be \(1, 3\)"):
        check(replace(plan, energy_kwh=np.zeros((1, 2))))
