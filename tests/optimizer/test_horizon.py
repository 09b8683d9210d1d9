"""The horizon test against futures that it does not know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optimizer.horizon import _holding, ending_at, horizon_test, reachable_end_kwh
from optimizer.solve import solve
from tests.optimizer.certificate_problems import random_problem
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem


def stores(seed: int, count: int) -> DispatchProblem:
    """Batteries that share nothing, with losses and wear."""
    rng = np.random.default_rng(seed)
    batteries = [
        {
            "energy_kwh_max": rng.uniform(4, 12),
            "energy_kwh_min": 0.3,
            "energy_kwh_initial": rng.uniform(0.5, 4),
            "efficiency_charge": rng.uniform(0.8, 1.0),
            "efficiency_discharge": rng.uniform(0.8, 1.0),
            "standing_loss_per_h": rng.choice([0.0, 0.01]),
            "wear_cost_discharge_per_kwh": rng.uniform(0, 0.02),
            "p_charge_kw_max": rng.uniform(2, 5),
            "p_discharge_kw_max": rng.uniform(2, 5),
        }
        for _ in range(rng.integers(1, 4))
    ]
    return make_problem(count, 1.0, batteries, price_import=rng.uniform(0.05, 0.4, count))


def with_future(problem: DispatchProblem, rng: np.random.Generator) -> DispatchProblem:
    """The problem with a value for what is left in the stores: falling, in three pieces."""
    b = problem.batteries
    value = -np.sort(-rng.uniform(0, 0.5, (len(b), 3)), axis=1)
    width = np.column_stack([rng.uniform(0, 5, (len(b), 2)), np.full(len(b), np.inf)])
    return replace(problem, batteries=replace(b, end_value_per_kwh=value, end_value_kwh=width))


def cost(plan: Plan) -> float:
    assert plan.certificate is not None
    return plan.certificate.cost


@pytest.mark.parametrize("seed", range(12))
def test_no_future_costs_more_than_the_bound(seed: int) -> None:
    problem = stores(seed, count=2 + seed % 6)
    plan = solve(problem)
    found = horizon_test(plan)
    assert found.is_proof
    assert found.reached
    first = (plan.p_charge_kw - plan.p_discharge_kw)[:, 0]
    rng = np.random.default_rng(seed)
    for _ in range(3):
        future = with_future(problem, rng)
        loss = cost(solve(_holding(future, first))) - cost(solve(future))
        assert loss <= found.loss_bound + 1e-6
        if found.agrees:
            assert loss <= 1e-6 + 1e-3 * len(first)  # the tolerance on powers, at most 1 a kWh


def test_both_verdicts_occur() -> None:
    """One step cannot know the future; a day with a price that settles all comes to rest."""
    short = horizon_test(solve(make_problem(1, price_import=[0.2])))
    assert not short.agrees
    assert short.differing == ("b0",)
    assert short.loss_bound > 0
    assert "at most" in str(short)
    prices = [0.5, 0.01, 0.9, 0.01, 0.9, 0.01, 0.5]
    long = horizon_test(solve(make_problem(7, price_import=prices)))
    assert long.agrees
    assert long.loss_bound == pytest.approx(0.0, abs=1e-6)
    assert "long enough" in str(long)


def test_one_step_sells_all_or_buys_all() -> None:
    """5 of 10 kWh stored, 5 kW each way: the plan sells, and so does the end that is empty."""
    found = horizon_test(solve(make_problem(1, price_import=[0.2])))
    assert found.p_kw_span == pytest.approx(10.0)
    assert found.loss_when_empty == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_the_ends_lie_at_the_edges_of_what_is_possible(seed: int) -> None:
    problem = stores(seed, 4)
    low, high = reachable_end_kwh(problem)
    for end, sign in ((low, 1e-3), (high, -1e-3)):
        assert not solve(ending_at(problem, end)).breaches
        assert not solve(ending_at(problem, end + sign)).breaches
        if (low < high).all():
            assert solve(ending_at(problem, end - sign)).breaches


def test_what_is_shared_is_no_proof_and_says_so() -> None:
    limit = [{"group": None, "p_kw_max": 4.0, "p_kw_min": -4.0}]
    found = horizon_test(solve(make_problem(3, limits=limit, price_import=[0.1, 0.2, 0.3])))
    assert not found.is_proof
    if not found.agrees:
        assert "about" in str(found)


def test_an_end_that_limits_forbid_is_named() -> None:
    limit = [{"group": None, "p_kw_max": 0.5, "p_kw_min": -0.5}]
    found = horizon_test(solve(make_problem(2, limits=limit, price_import=[0.1, 0.3])))
    assert not found.reached
    assert "cannot" in str(found)


def test_any_problem_can_be_tested() -> None:
    for seed in range(6):
        found = horizon_test(solve(random_problem(seed)))
        assert found.p_kw_span >= 0
        assert found.loss_bound >= 0
