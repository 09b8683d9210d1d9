"""Plans one after another: what is carried over, and what a price on change does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from optimizer.errors import InfeasibleError
from optimizer.rolling import (
    RollingOptions,
    RollingSolver,
    carried_limit_prices,
    carried_p_kw,
    near_plan,
)
from optimizer.solve import solve
from tests.optimizer.problems import START, make_problem

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

HOUR = np.timedelta64(1, "h")
PRICES = np.array([0.1, 0.3, 0.05, 0.2, 0.4, 0.1, 0.25, 0.02, 0.3, 0.15])


def rolled(first: int, count: int = 6, shift: float = 0.0, **more: Any) -> DispatchProblem:
    """Two batteries behind a limit, from the hour `first` of the prices on."""
    rng = np.random.default_rng(first)
    return make_problem(
        count,
        1.0,
        [
            {"group": "g", "wear_cost_discharge_per_kwh": 0.01, "efficiency_charge": 0.95},
            {"group": "g", "wear_cost_discharge_per_kwh": 0.02, "energy_kwh_initial": 3.0},
        ],
        [{"group_id": "g"}],
        [{"group": "g", "p_kw_max": 6.0, "p_kw_min": -6.0}],
        price_import=PRICES[first : first + count] + shift * rng.normal(0.0, 1.0, count),
        start=START + first * HOUR,
        **more,
    )


def moved_kwh(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.nansum(np.abs(one - other)))


def test_without_a_price_on_change_each_plan_is_the_plain_one() -> None:
    solver = RollingSolver()
    for first in range(4):
        problem = rolled(first)
        plan, plain = solver.solve(problem), solve(problem)
        assert plan.digest == plain.digest
        assert solver.last is plan


def test_powers_are_carried_by_battery_and_time() -> None:
    last = solve(rolled(0))
    now = rolled(2)
    b = now.batteries
    renamed = replace(now, batteries=replace(b, battery_id=("b1", "new")))
    found = carried_p_kw(renamed, last)
    before = last.p_charge_kw - last.p_discharge_kw
    np.testing.assert_allclose(found[0, :4], before[1, 2:], rtol=0, atol=1e-12)
    assert np.isnan(found[0, 4:]).all()
    assert np.isnan(found[1]).all()


def test_carried_powers_keep_the_energy_of_what_an_interval_covers() -> None:
    """Intervals of another length, and one that reaches beyond the last plan."""
    last = solve(rolled(0))
    before = last.p_charge_kw - last.p_discharge_kw
    now = make_problem(4, [0.5, 2.5, 2.0, 1.5], [{}, {}], start=START + HOUR)
    found = carried_p_kw(now, last)
    np.testing.assert_allclose(found[:, 0], before[:, 1], atol=1e-12)
    of_second = 0.5 * before[:, 1] + before[:, 2] + before[:, 3]
    np.testing.assert_allclose(2.5 * found[:, 1], of_second, atol=1e-12)
    assert np.isfinite(found[:, 2]).all()  # from 4 to 6 h: the last plan's end
    assert np.isnan(found[:, 3]).all()


def test_limit_prices_are_carried_over_the_hours_they_are_for() -> None:
    last = solve(rolled(0))
    assert last.multipliers is not None
    assert last.multipliers.limit_max_per_kw.any()
    half = make_problem(
        4, 0.5, [{}], [{}], [{"group": "g0", "p_kw_max": 1.0}], start=START + 4 * HOUR
    )
    highest, lowest = carried_limit_prices(half, last)
    for found, was in (
        (highest, last.multipliers.limit_max_per_kw),
        (lowest, last.multipliers.limit_min_per_kw),
    ):
        np.testing.assert_allclose(found, np.repeat(was[:, 4:], 2, axis=1) / 2, atol=1e-12)
    with pytest.raises(ValueError, match="no prices"):
        carried_limit_prices(half, replace(last, multipliers=None))


def test_a_price_on_change_never_raises_the_churn() -> None:
    """By revealed preference: the dearer a change, the less is changed, and the more it costs."""
    first, second = rolled(0), rolled(1, shift=0.02)
    last = solve(first)
    before = carried_p_kw(second, last)
    churn, energy_cost = [], []
    for price in (0.0, 0.005, 0.02, 0.1, 1.0):
        solver = RollingSolver(RollingOptions(change_price_per_kwh=price), last)
        plan = solver.solve(second)
        changed = moved_kwh(plan.p_charge_kw - plan.p_discharge_kw, before)
        assert plan.certificate is not None
        assert plan.certificate.gap <= 1e-6
        churn.append(changed)
        energy_cost.append(plan.certificate.cost - price * changed)
    assert np.all(np.diff(churn) <= 1e-6)
    assert np.all(np.diff(energy_cost) >= -1e-6)
    assert churn[0] > churn[-1] + 1.0


def test_nearly_equal_input_leaves_the_plan_where_it_was() -> None:
    """Prices that moved less than a change costs, with the state that the plan led to."""
    problem = rolled(0)
    solver = RollingSolver(RollingOptions(change_price_per_kwh=0.01))
    plan = solver.solve(problem)
    noisy = problem.price_import_per_kwh + np.array([1, -1, 1, -1, 1, -1]) * 1e-3
    again = solver.solve(replace(problem, price_import_per_kwh=noisy, price_export_per_kwh=noisy))
    was, now = (one.p_charge_kw - one.p_discharge_kw for one in (plan, again))
    assert moved_kwh(now, was) < 1e-6


def test_batteries_that_state_previous_powers_keep_them() -> None:
    last, now = solve(rolled(0)), rolled(1)
    stated = np.full(now.shape, np.nan)
    stated[1] = 1.5
    b = replace(now.batteries, p_kw_previous=stated, change_price_per_kwh=np.array([0.0, 0.3]))
    near = near_plan(replace(now, batteries=b), last, 0.05).batteries
    np.testing.assert_array_equal(near.p_kw_previous[1], stated[1])
    np.testing.assert_array_equal(near.change_price_per_kwh, [0.05, 0.3])
    np.testing.assert_array_equal(near.p_kw_previous[0], carried_p_kw(now, last)[0])


def test_a_solve_that_fails_leaves_the_last_plan() -> None:
    solver = RollingSolver(RollingOptions(strict=True))
    plan = solver.solve(rolled(0))
    now = rolled(1)
    forced = {"p_kw_min": np.full((1, 6), 50.0), "p_kw_max": np.full((1, 6), 60.0)}
    broken = replace(now, limits=replace(now.limits, **forced))
    with pytest.raises(InfeasibleError):
        solver.solve(broken)
    assert solver.last is plan


@pytest.mark.parametrize("price", [-0.1, np.nan, np.inf])
def test_a_price_that_is_none_is_refused(price: float) -> None:
    with pytest.raises(ValueError, match="change_price_per_kwh"):
        RollingOptions(change_price_per_kwh=price)
