"""One group planned again while the rest is held."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optimizer.breaches import net_power_kw
from optimizer.certificate import certify
from optimizer.replan import replan_group
from optimizer.solve import solve
from tests.optimizer.certificate_problems import random_problem
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.plan import Plan


def profit(plan: Plan) -> float:
    assert plan.certificate is not None
    return plan.certificate.profit


def convex_plans(seeds: range) -> list[Plan]:
    plans = [solve(random_problem(seed)) for seed in seeds]
    return [
        plan
        for plan in plans
        if plan.solver is not None and not plan.solver.binaries and len(plan.problem.groups)
    ]


def groups_with_units(plan: Plan) -> list[str]:
    groups = plan.problem.groups
    units = [*plan.problem.batteries.group, *plan.problem.generators.group]
    held = {above for unit in units if unit >= 0 for above in groups.ancestors[unit]}
    return [name for at, name in enumerate(groups.group_id) if at in held]


PLANS = convex_plans(range(25))


@pytest.mark.parametrize("plan", PLANS, ids=range(len(PLANS)))
def test_a_group_of_an_optimal_plan_is_already_the_best(plan: Plan) -> None:
    """Every rule that reaches out of the group is in the part: limits, meters, rows, reserves."""
    assert plan.certificate is not None
    scale = 1e-6 * (1.0 + abs(plan.certificate.cost))
    for name in groups_with_units(plan):
        found = replan_group(plan, name)
        assert found.plan.certificate is not None
        assert found.part.certificate is not None
        assert found.plan.certificate.worst_violation <= 1e-6
        if found.part.solver is not None and found.part.solver.binaries:
            continue
        assert profit(found.plan) == pytest.approx(profit(plan), abs=scale + 1e-5)
        assert found.plan.certificate.profit_bound >= profit(plan) - scale


@pytest.mark.parametrize("plan", PLANS[:20], ids=range(len(PLANS[:20])))
def test_a_plan_at_rest_gains_and_its_neighbours_stay(plan: Plan) -> None:
    problem, rest = plan.problem, np.zeros_like(plan.p_charge_kw)
    idle = replace(
        plan,
        p_charge_kw=rest,
        p_discharge_kw=rest,
        generation_kw=problem.generators.p_kw_min,
        reserve_kw=np.zeros_like(plan.reserve_kw),
    )
    for name in groups_with_units(plan):
        root = problem.groups.group_id.index(name)
        found = replan_group(idle, name)
        inside = np.array([root in chain for chain in problem.groups.ancestors] + [False])
        outside = ~inside[problem.batteries.group]
        assert (found.plan.p_charge_kw[outside] == 0).all()
        assert (found.plan.p_discharge_kw[outside] == 0).all()
        cost_at_rest = certify(idle).cost
        assert found.plan.certificate is not None
        assert found.plan.certificate.cost <= cost_at_rest + 1e-6 * (1.0 + abs(cost_at_rest))
        mine, part = net_of(found.plan), net_of(found.part)
        place = found.part.problem.groups.group_id.index(name)
        np.testing.assert_allclose(mine[root], part[place], atol=1e-9)
        np.testing.assert_allclose(mine[-1], part[-1], atol=1e-9)


def net_of(plan: Plan) -> np.ndarray:
    power = plan.p_charge_kw - plan.p_discharge_kw
    return net_power_kw(plan.problem, power, plan.generation_kw)


def test_a_group_that_holds_everything_is_solved_as_the_whole() -> None:
    """New prices and a new state, and a battery outside that the old plan keeps at work."""
    rows = [{"group": "g"}, {"group": "g", "energy_kwh_initial": 2.0}, {"energy_kwh_initial": 8.0}]
    limits = [{"group": "g", "p_kw_max": 6.0, "p_kw_min": -4.0}]
    prices = [0.1, 0.3, 0.05, 0.4]
    before = make_problem(4, 1.0, rows, [{"group_id": "g"}], limits, price_import=prices)
    rows[0] = {"group": "g", "energy_kwh_initial": 9.0}
    now = make_problem(4, 1.0, rows, [{"group_id": "g"}], limits, price_import=prices[::-1])
    plan = solve(before)
    found = replan_group(plan, "g", now)
    alone = make_problem(4, 1.0, rows[:2], [{"group_id": "g"}], limits, price_import=prices[::-1])
    assert profit(found.part) == pytest.approx(profit(solve(alone)), abs=1e-6)
    np.testing.assert_array_equal(found.plan.p_kw[2], plan.p_kw[2])
    # The battery outside would now do something else: the gap of the whole says what that is worth.
    found_gap, best = found.plan.certificate, solve(now)
    assert found_gap is not None
    assert found_gap.gap_absolute == pytest.approx(profit(best) - profit(found.plan), abs=1e-5)
    assert found_gap.gap_absolute > 0.1


def test_what_does_not_fit_is_refused() -> None:
    plan = PLANS[0]
    with pytest.raises(ValueError, match="no group 'nowhere'"):
        replan_group(plan, "nowhere")
    b = plan.problem.batteries
    other = replace(b, battery_id=tuple(f"x{name}" for name in b.battery_id))
    with pytest.raises(ValueError, match="other batteries"):
        replan_group(plan, plan.problem.groups.group_id[0], replace(plan.problem, batteries=other))
