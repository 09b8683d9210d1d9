"""Plans in whole watts: every rule that held still holds, and little of the profit is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gridsim.instances import make_instance
from optimizer.plan import Plan, Status, StopReason
from optimizer.plan_file import read_plan, write_plan
from optimizer.rounding import in_whole_watts
from optimizer.solve import solve
from optimizer.tables.reserve import Reserves
from tests.optimizer.certificate_problems import random_problem
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


def fractions(plan: Plan) -> npt.NDArray[np.bool_]:
    """Batteries' powers that are no whole number of watts."""
    watts = 1000.0 * (plan.p_charge_kw - plan.p_discharge_kw)
    return np.abs(watts - np.round(watts)) > 1e-6


def assert_nothing_is_worse(whole: Plan, plan: Plan) -> None:
    assert whole.certificate is not None
    assert plan.certificate is not None
    assert whole.certificate.worst_violation <= 1e-6
    penalty = plan.certificate.penalty
    assert whole.certificate.penalty <= penalty + 1e-6 * (1.0 + penalty)
    assert (np.minimum(whole.p_charge_kw, whole.p_discharge_kw) == 0.0).all()


@pytest.mark.parametrize("batch", range(6))
def test_random_plans_of_the_monolith_keep_what_they_kept(batch: int) -> None:
    """Ramps, cycle caps, steps, least powers, targets inside intervals, sites and all limits."""
    whole_ones = 0
    for seed in range(25 * batch, 25 * batch + 25):
        problem = replace(random_problem(seed), reserves=Reserves.none())
        plan = solve(problem, solver="monolith")
        whole = in_whole_watts(plan)
        assert_nothing_is_worse(whole, plan)
        assert whole.solver is not None
        assert whole.solver.cells_left == fractions(whole).sum()
        whole_ones += whole.solver.cells_left == 0
    assert whole_ones >= 8


def test_a_congested_fleet_is_whole_and_loses_little() -> None:
    problem = make_instance(700, congestion="heavy", seed=2)
    plan = solve(problem, solver="structured")
    whole = in_whole_watts(plan)
    assert_nothing_is_worse(whole, plan)
    assert not fractions(whole).any()
    assert whole.breaches == plan.breaches == ()
    assert whole.certificate is not None
    assert plan.certificate is not None
    assert whole.certificate.profit >= (1.0 - 2e-4) * plan.certificate.profit
    assert whole.certificate.profit_bound == pytest.approx(plan.certificate.profit_bound)


def test_whole_watts_stay_as_they_are() -> None:
    once = solve(make_instance(120, seed=5), solver="structured", resolution_w=1)
    twice = in_whole_watts(once, threads=1)
    assert twice.digest == once.digest


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    plan = solve(make_instance(300, seed=4, nested=False), solver="structured")
    assert in_whole_watts(plan, threads=1).digest == in_whole_watts(plan, threads=2).digest


def test_both_directions_at_once_become_one() -> None:
    """Charging 3 and discharging 1 kW without loss is charging 2 kW."""
    problem = make_problem(T=2, batteries=[{"energy_kwh_initial": 1.0}])
    charge, discharge = np.array([[3.0, 0.0]]), np.array([[1.0, 0.0004]])
    plan = Plan(
        problem=problem, p_charge_kw=charge, p_discharge_kw=discharge,
        energy_kwh=np.array([[1.0, 3.0, 2.9996]]), generation_kw=np.zeros((0, 2)),
        status=Status.FEASIBLE, stop_reason=StopReason.GAP_REACHED,
    )  # fmt: skip
    whole = in_whole_watts(plan)
    assert whole.p_charge_kw.tolist() == [[2.0, 0.0]]
    assert whole.p_discharge_kw.tolist() == [[0.0, 0.0]]


def test_a_group_at_its_limit_in_the_last_interval_makes_room_before() -> None:
    """Everybody is a fraction short at the end, where the group has no watt to spare."""
    count = 40
    rng = np.random.default_rng(1)
    first = rng.uniform(1.0, 2.0, count)
    last = rng.uniform(1.0, 2.0, count)
    batteries = [
        {"group": "area", "energy_kwh_initial": 1.0, "energy_kwh_max": 9.0,
         "energy_kwh_min": [0, 0, 1.0 + a + b]}
        for a, b in zip(first, last, strict=True)
    ]  # fmt: skip
    limit = {"group": "area", "p_kw_max": [10.0 * count, float(last.sum())]}
    problem = make_problem(
        T=2, batteries=batteries, groups=[{"group_id": "area"}], limits=[limit],
        price_import=[0.3, 0.1],
    )  # fmt: skip
    whole = solve(problem, resolution_w=1)
    assert not fractions(whole).any()
    assert whole.breaches == ()
    assert whole.certificate is not None
    assert whole.certificate.worst_violation <= 1e-6


def test_steps_stay_steps_and_are_counted_where_they_are_not_whole() -> None:
    stepped = {"power_levels": 3, "p_charge_kw_max": 1.0, "p_discharge_kw_max": 0.9}
    problem = make_problem(T=2, batteries=[stepped], price_import=[-1.0, 1.0])
    whole = solve(problem, resolution_w=1)
    assert whole.p_charge_kw[0, 0] == pytest.approx(1.0)
    assert whole.p_discharge_kw[0, 1] == pytest.approx(0.9)
    narrow = replace(
        problem, batteries=replace(problem.batteries, energy_kwh_initial=np.array([9.5]))
    )
    third = solve(narrow, resolution_w=1)
    assert third.p_charge_kw[0, 0] == pytest.approx(1.0 / 3.0)
    assert third.solver is not None
    assert third.solver.cells_left == 1


def test_least_powers_are_kept_in_whole_watts() -> None:
    battery = {
        "p_charge_kw_min": 1.00051, "p_discharge_kw_min": 1.00051, "energy_kwh_initial": 0.0,
        "efficiency_charge": 0.9,
    }  # fmt: skip
    problem = make_problem(T=3, batteries=[battery], price_import=[0.1, 0.5, 0.1])
    whole = solve(problem, resolution_w=1)
    used = whole.p_charge_kw[whole.p_charge_kw > 0]
    assert len(used)
    assert (used >= 1.001 - 1e-12).all()
    assert not fractions(whole).any()


def test_a_target_that_needs_every_bit_of_power_keeps_its_fraction() -> None:
    """Full power of 3.6804 kW all the way is the only plan; whole watts would fall short."""
    battery = {
        "p_charge_kw_max": 3.6804, "energy_kwh_initial": 0.0, "energy_kwh_min": [0, 0, 7.3608],
    }  # fmt: skip
    whole = solve(make_problem(T=2, batteries=[battery]), resolution_w=1)
    assert whole.breaches == ()
    assert whole.energy_kwh[0, -1] == pytest.approx(7.3608)
    assert whole.solver is not None
    assert whole.solver.cells_left >= 1


def test_curtailed_generation_is_whole_and_free_generation_is_not_touched() -> None:
    limit = {"group": "feeder", "p_kw_min": [-1.2345678, -10.0]}
    problem = make_problem(
        T=2, batteries=[{"group": "feeder", "p_charge_kw_max": 0.0}], limits=[limit],
        generators=[{"group": "feeder", "p_kw_available": [3.14159, 3.14159]}],
        groups=[{"group_id": "feeder"}],
    )  # fmt: skip
    whole = solve(problem, resolution_w=1)
    assert whole.generation_kw[0].tolist() == [1.234, 3.14159]
    assert whole.breaches == ()


def test_the_resolution_is_written_and_read(tmp_path: Path) -> None:
    plan = solve(make_problem(price_import=[0.1, 0.3, 0.1, 0.4]), resolution_w=1)
    write_plan(plan, tmp_path / "plan.json")
    read = read_plan(tmp_path / "plan.json")
    assert read.solver is not None
    assert (read.solver.resolution_w, read.solver.cells_left) == (1.0, 0)


def test_other_resolutions_are_refused() -> None:
    with pytest.raises(ValueError, match="resolution_w: 10: must be 1 or None"):
        solve(make_problem(), resolution_w=10)  # type: ignore[arg-type]


def test_reserve_keeps_its_room_in_whole_watts() -> None:
    problem = make_problem(
        price_import=[0.1, 0.31, 0.2, 0.33],
        batteries=[{"provides_reserve": True, "efficiency_discharge": 0.93}] * 2,
        reserves=[
            {"p_kw_required": 1.2345, "duration_h": 0.7},
            {"p_kw_required": 0.77777, "duration_h": 0.3, "is_up": False},
        ],
    )
    plan = solve(problem, solver="monolith")
    whole = in_whole_watts(plan)
    assert not plan.breaches
    assert not whole.breaches
    assert not fractions(whole).any()
    assert_nothing_is_worse(whole, plan)
    assert whole.reserve_by_product_kw == pytest.approx(plan.reserve_by_product_kw)
