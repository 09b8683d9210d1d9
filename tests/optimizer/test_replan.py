"""One group planned again while the rest is held."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optimizer.breaches import net_power_kw
from optimizer.replan import replan_group
from optimizer.solve import solve
from tests.optimizer.certificate_problems import random_problem

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


PLANS = convex_plans(range(40))


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
        mine, part = net_of(found.plan), net_of(found.part)
        place = found.part.problem.groups.group_id.index(name)
        np.testing.assert_allclose(mine[root], part[place], atol=1e-9)
        np.testing.assert_allclose(mine[-1], part[-1], atol=1e-9)


def net_of(plan: Plan) -> np.ndarray:
    power = plan.p_charge_kw - plan.p_discharge_kw
    return net_power_kw(plan.problem, power, plan.generation_kw)


def test_what_does_not_fit_is_refused() -> None:
    plan = PLANS[0]
    with pytest.raises(ValueError, match="no group 'nowhere'"):
        replan_group(plan, "nowhere")
    b = plan.problem.batteries
    other = replace(b, battery_id=tuple(f"x{name}" for name in b.battery_id))
    with pytest.raises(ValueError, match="other batteries"):
        replan_group(plan, plan.problem.groups.group_id[0], replace(plan.problem, batteries=other))
