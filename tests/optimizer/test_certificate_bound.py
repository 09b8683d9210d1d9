"""The bound holds for any multipliers, and is the optimum at the optimum's."""

from __future__ import annotations

import ast
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import optimizer.certificate
from optimizer.certificate import certify, cost_bound, cost_of, idle_cost, profit_bound
from optimizer.certificate.bound import ROWS_PER_CHUNK
from optimizer.certificate.cost import gross_traded_value
from optimizer.plan import Multipliers, SolverReport
from tests.optimizer.certificate_lp import solve_continuous
from tests.optimizer.certificate_problems import (
    make_plan,
    random_multipliers,
    random_plan,
    random_problem,
)
from tests.optimizer.problems import make_problem

SEEDS = st.integers(0, 2**32 - 1)


def plan_cost(plan):
    powers = plan.p_charge_kw, plan.p_discharge_kw, plan.generation_kw
    return cost_of(plan.problem, *powers, plan.reserve_kw)


def scale_of(problem) -> float:
    """What the rounding of a cost is measured against."""
    total = abs(idle_cost(problem).total) + problem.firm_price_per_kwh
    return max(1.0, total)


@given(SEEDS, st.booleans(), st.booleans(), SEEDS)
@settings(max_examples=100, deadline=None)
def test_no_plan_earns_more_than_the_bound(seed, discrete, odd_prices, other_seed):
    problem = random_problem(seed, discrete=discrete, odd_prices=odd_prices)
    rng = np.random.default_rng(other_seed)
    plans = [plan for plan in (random_plan(problem, rng) for _ in range(5)) if plan is not None]
    assume(plans)
    bounds = [profit_bound(problem, random_multipliers(problem, rng)) for _ in range(3)]
    bounds.append(profit_bound(problem))
    for plan in plans:
        cost = plan_cost(plan)
        profit = idle_cost(problem).total - cost.total
        assert profit <= min(bounds) + 1e-9 * scale_of(problem)


@given(SEEDS, st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_plan_earns_more_than_the_bound_near_the_optimum(seed, discrete):
    """At good multipliers the bound is sharp, so a slip of a sign would show."""
    problem = random_problem(seed, discrete=discrete)
    rng = np.random.default_rng(seed)
    prices = solve_continuous(problem).multipliers
    bounds = [profit_bound(problem, prices)]
    for spread in (1e-3, 1e-1):
        shaken = {
            name: values + rng.normal(0, spread, values.shape)
            for name, values in vars(prices).items()
        }
        bounds.append(profit_bound(problem, replace(prices, **shaken)))
    for plan in (random_plan(problem, rng) for _ in range(10)):
        if plan is not None:
            cost = plan_cost(plan)
            profit = idle_cost(problem).total - cost.total
            assert profit <= min(bounds) + 1e-9 * scale_of(problem)


@given(SEEDS)
@settings(max_examples=200, deadline=None)
def test_the_bound_is_the_optimum_at_its_multipliers(seed):
    problem = random_problem(seed)
    answer = solve_continuous(problem)
    bound = cost_bound(problem, answer.multipliers)
    tolerance = 1e-7 * max(1.0, abs(answer.cost), idle_cost(problem).total)
    assert bound >= answer.cost - tolerance
    if np.minimum(answer.p_charge_kw, answer.p_discharge_kw).max() < 1e-9:
        event("no battery charges and discharges at once")
        cost = plan_cost(answer)
        assert bound == pytest.approx(cost.total, abs=max(tolerance, 1e-7 * abs(cost.total)))
        assert cost.total == pytest.approx(answer.cost, abs=tolerance)


def test_discrete_powers_are_bounded_by_the_best_of_all_plans():
    """Every plan of an on/off battery, counted out."""
    problem = make_problem(
        4,
        price_import=[0.1, 0.4, 0.05, 0.3],
        batteries=[{"power_levels": 1, "efficiency_charge": 0.9, "efficiency_discharge": 0.9}],
    )
    profits = []
    for powers in itertools.product([-5.0, 0.0, 5.0], repeat=4):
        plan = make_plan(problem, [powers])
        if plan.energy_kwh.min() >= 0 and plan.energy_kwh.max() <= 10:
            profits.append(certify(plan).profit)
    relaxed = profit_bound(problem, solve_continuous(problem).multipliers)
    assert max(profits) <= relaxed < 3 * max(profits)


def test_charging_while_discharging_does_not_loosen_the_bound():
    """At −1 a kWh the relaxation burns energy in a lossy battery for 5; the bound is exact."""
    problem = make_problem(
        2,
        price_import=[-1.0, -1.0],
        batteries=[{"energy_kwh_initial": 10.0, "efficiency_charge": 0.5}],
    )
    answer = solve_continuous(problem)
    assert answer.cost == pytest.approx(-5.0)
    # 2.5 kWh out at a cost of 2.5 make room for 5 kW that earn 5.
    assert profit_bound(problem, answer.multipliers) == pytest.approx(2.5)


def test_a_site_that_earns_more_than_it_pays_is_bounded():
    """Export above import: the settlement is not convex, its ends and 0 decide."""
    problem = make_problem(
        1,
        batteries=[{"group": "g0", "energy_kwh_initial": 5.0}],
        groups=[
            {
                "is_site": True,
                "load_kw": 2.0,
                "price_import_per_kwh": 0.1,
                "price_export_per_kwh": 0.5,
            }
        ],
    )
    best = certify(make_plan(problem, [[-5.0]])).profit
    assert best == pytest.approx(2 * 0.1 + 3 * 0.5)
    at_chord = (3 * 0.5 + 7 * 0.1) / 10
    prices = solve_continuous(make_problem(1)).multipliers
    prices = replace(prices, site_price_per_kwh=np.array([[at_chord]]))
    assert profit_bound(problem, prices) == pytest.approx(best)
    assert profit_bound(problem) >= best


def test_a_fleet_in_several_chunks_is_the_sum_of_its_batteries():
    battery = {"cycles_per_day_max": 0.2, "wear_cost_discharge_per_kwh": 0.01}
    target = {"at_h": 1.5, "energy_kwh_min": 8.0, "breach_price_per_kwh": 0.25}
    count, price = ROWS_PER_CHUNK + 3, [0.1, 0.3, 0.2]
    one = make_problem(3, batteries=[battery], targets=[target], price_import=price)
    targets = [{**target, "battery": row} for row in reversed(range(count))]
    fleet = make_problem(3, batteries=[battery] * count, targets=targets, price_import=price)
    prices = solve_continuous(one).multipliers
    spread = {name: np.repeat(values, count, axis=0) for name, values in vars(prices).items()}
    assert cost_bound(fleet, Multipliers(**spread)) == pytest.approx(
        count * cost_bound(one, prices), rel=1e-12
    )


def test_the_example_of_the_documentation():
    problem = make_problem(2, price_import=[0.1, 0.3])
    prices = solve_continuous(problem).multipliers
    for values, bound in (
        ((0.0, 0.0), 2.0),
        ((0.3, 0.3), 2.5),
        ((0.1, 0.3), 2.5),
        ((0.1, 0.1), 1.5),
    ):
        shown = replace(prices, energy_value_per_kwh=np.array([values]))
        assert profit_bound(problem, shown) == pytest.approx(bound)


def test_the_certificate_knows_nothing_of_what_plans():
    """It must not share a slip with the model that found a plan."""
    # Beside what was asked and decided: sums of rows, and the problem a part at a time.
    allowed = {"certificate", "plan", "problem", "reach", "sums", "parts"}
    for path in Path(optimizer.certificate.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("optimizer"):
                assert node.module.split(".")[1] in allowed, path
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None) or node.names[0].name]
                assert not {"pyomo", "highspy", "scipy"} & set(names), path


def test_multipliers_of_another_shape_are_refused():
    prices = solve_continuous(make_problem(3)).multipliers
    with pytest.raises(ValueError, match=r"energy_value_per_kwh has shape \(1, 3\)"):
        profit_bound(make_problem(4), prices)


def test_the_solvers_bound_counts_only_where_binaries_make_it_better():
    problem = make_problem(
        2, price_import=[0.1, 0.3], batteries=[{"power_levels": 2}], limits=[{"p_kw_min": -3.0}]
    )
    plan = make_plan(problem, [[-2.5, -2.5]])
    solver = SolverReport("by hand", 1, 1, 1, binaries=2, rounds=1, bound=-1.2)
    loose = certify(plan)
    assert loose.bound_source == "multipliers"
    told = certify(replace(plan, solver=solver), trust_solver=True)
    assert told.bound_source == "branch and bound"
    assert told.profit_bound == pytest.approx(1.2)
    # Nobody's word is taken unless it is asked for: a plan may come from a file.
    assert certify(replace(plan, solver=solver)) == loose
    for untrusted in (
        replace(solver, binaries=0),
        replace(solver, bound=float("nan")),
        replace(solver, bound=-0.5),  # the plan costs −1.0: the claim is refuted by it
        replace(solver, bound=-50.0),
    ):
        assert certify(replace(plan, solver=untrusted), trust_solver=True) == loose


def test_the_gap_is_measured_against_what_batteries_earn():
    problem = make_problem(2, price_import=[0.1, 0.3])
    plan = make_plan(problem, [[5.0, -5.0]])
    certificate = certify(plan)
    assert certificate.gap == pytest.approx((certificate.profit_bound - 1.0) / 1.0)
    idle = certify(make_plan(problem, [[0.0, 0.0]]))
    assert idle.gap == pytest.approx(idle.profit_bound / 0.01)
    powers = plan.p_charge_kw, plan.p_discharge_kw, plan.generation_kw
    assert gross_traded_value(problem, *powers) == pytest.approx(5 * 0.1 + 5 * 0.3)
