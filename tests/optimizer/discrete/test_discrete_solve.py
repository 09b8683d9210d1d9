"""Fleets with discrete batteries: brackets that meet the model's, and gaps that a plan proves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from optimizer.certificate import certify, check
from optimizer.discrete.features import not_carried
from optimizer.errors import UnsupportedFeatureError
from optimizer.solve import solve
from tests.optimizer.certificate_problems import random_problem
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem


def fleet(count: int, share: float, seed: int = 3, limit: float = 0.5) -> DispatchProblem:
    """Batteries of all kinds in areas of 30 behind limits that bind, over 24 half-hours."""
    rng = np.random.default_rng(seed)
    areas = max(count // 30, 1)
    hours = np.arange(24) / 2
    price = 0.15 + 0.1 * np.sin(hours * 1.3) + rng.normal(0, 0.02, 24)
    batteries: list[dict[str, Any]] = []
    power = np.zeros(areas)
    for i in range(count):
        size = rng.uniform(5, 15)
        kw = size * rng.uniform(0.3, 0.7)
        row = {
            "group": f"area{i % areas}",
            "energy_kwh_initial": 0.4 * size,
            "energy_kwh_max": size,
            "p_charge_kw_max": kw,
            "p_discharge_kw_max": kw,
            "efficiency_charge": rng.uniform(0.9, 0.97),
            "efficiency_discharge": rng.uniform(0.9, 0.97),
            "wear_cost_discharge_per_kwh": 0.01,
            "end_value_per_kwh": 0.14,
        }
        power[i % areas] += kw
        if rng.random() < share:
            kind = rng.integers(3)
            row |= [
                {"power_levels": 1},
                {"power_levels": 3},
                {"p_charge_kw_min": 0.3 * kw, "p_discharge_kw_min": 0.4 * kw},
            ][kind]
        batteries.append(row)
    return make_problem(
        24,
        0.5,
        batteries,
        [{"group_id": f"area{a}", "load_kw": 0.1 * power[a]} for a in range(areas)],
        [
            {"group": f"area{a}", "p_kw_max": limit * power[a], "p_kw_min": -limit * power[a]}
            for a in range(areas)
        ],
        price_import=price,
    )


def assert_brackets_meet(plan: Plan, truth: Plan) -> None:
    """Neither plan earns more than the other's bound allows."""
    assert plan.certificate is not None
    assert truth.certificate is not None
    close = 1e-7 * (1 + abs(truth.certificate.cost)) + 1e-8 * plan.problem.firm_price_per_kwh
    assert plan.certificate.profit <= truth.certificate.profit_bound + close
    assert truth.certificate.profit <= plan.certificate.profit_bound + close


def without_what_no_oracle_carries(problem: DispatchProblem) -> DispatchProblem:
    """No ramps, caps or prices on a largest breach, and targets at the ends of intervals."""
    free, none = np.full(len(problem.batteries), np.inf), np.zeros(len(problem.limits))
    batteries = replace(
        problem.batteries, cycles_per_day_max=free, ramp_up_kw_per_h=free, ramp_down_kw_per_h=free
    )
    targets = replace(problem.targets, share=np.ones(len(problem.targets)))
    limits = replace(problem.limits, breach_price_per_kw=none)
    return replace(problem, batteries=batteries, targets=targets, limits=limits)


@pytest.mark.parametrize("batch", range(6))
def test_small_problems_of_any_mix_bracket_the_model(batch: int) -> None:
    compared = 0
    for seed in range(50 * batch, 50 * batch + 50):
        problem = random_problem(
            seed, discrete=seed % 2 == 0, odd_prices=seed % 3 == 0, shared=False
        )
        problem = without_what_no_oracle_carries(problem)
        if not_carried(problem):
            continue
        compared += 1
        plan = solve(problem, solver="structured", audit=False, threads=1)
        truth = solve(problem, gap=0.0, solver="monolith")
        assert not check(plan)
        assert_brackets_meet(plan, truth)
    assert compared >= 15


def test_a_mixed_fleet_is_proven_and_a_saved_plan_proves_it_again() -> None:
    plan = solve(fleet(240, 0.3), solver="structured", audit=False)
    assert plan.certificate is not None
    assert not check(plan)
    assert plan.certificate.bound_source == "multipliers"
    assert plan.certificate.gap <= 2e-3
    assert certify(plan) == plan.certificate


@pytest.mark.parametrize(("limit", "most"), [(0.5, 1e-2), (0.3, 5e-2)])
def test_a_crowd_takes_turns_and_keeps_its_limits(limit: float, most: float) -> None:
    """All discrete: at the same prices they would all move at once and break the firm limits.

    Only 30 stand behind each limit, so what is left grows with how often it binds.
    """
    plan = solve(fleet(120, 1.0, limit=limit), solver="structured", audit=False)
    assert plan.certificate is not None
    assert not check(plan)
    assert not plan.breaches
    assert 0 <= plan.certificate.gap <= most


def test_the_same_problem_gives_the_same_plan_with_any_number_of_threads() -> None:
    problem = fleet(90, 0.4)
    plans = [solve(problem, solver="structured", audit=False, threads=n) for n in (1, 2)]
    assert (plans[0].p_charge_kw == plans[1].p_charge_kw).all()
    assert (plans[0].p_discharge_kw == plans[1].p_discharge_kw).all()


BEYOND: dict[str, dict[str, Any]] = {
    "ramp limit of a discrete battery": {"ramp_up_kw_per_h": 1.0},
    "cycle cap a day of a discrete battery": {"cycles_per_day_max": 1.0},
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_no_oracle_carries_is_named(name: str) -> None:
    problem = make_problem(batteries=[{"power_levels": 2, **BEYOND[name]}, {}])
    assert not_carried(problem) == (name,)
    with pytest.raises(UnsupportedFeatureError, match=name):
        solve(problem, solver="structured")
    # A continuous battery may have it.
    assert not not_carried(make_problem(batteries=[{"power_levels": 2}, BEYOND[name]]))


def test_a_fixed_battery_of_no_group_counts_in_a_limit_on_the_whole() -> None:
    """On/off at 5 kW below a limit of 6 kW: a second battery has 1 kW left."""
    problem = make_problem(
        2,
        batteries=[{"power_levels": 1, "energy_kwh_initial": 0.0}, {"energy_kwh_initial": 0.0}],
        limits=[{"p_kw_max": 6.0}],
        price_import=[0.1, 0.4],
    )
    plan = solve(problem, solver="structured", audit=False)
    assert not check(plan)
    assert not plan.breaches
    assert plan.certificate is not None
    assert plan.certificate.profit == pytest.approx(6 * 0.3, abs=1e-5)
