"""The certificate of a plan: what it earns, what it breaks, and how much any plan could earn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from optimizer.certificate.bound import cost_bound
from optimizer.certificate.cost import cost_of, gross_traded_value, idle_cost
from optimizer.certificate.rules import check, worst_violation
from optimizer.plan import Certificate

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from optimizer.certificate.cost import CostBreakdown
    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

BY_MULTIPLIERS = "multipliers"
BY_BRANCH_AND_BOUND = "branch and bound"
PROFIT_MIN_FOR_GAP = 0.01
"""Least denominator of the gap, in the problem's currency."""
_ROUNDING = 1e-9


def certify(
    plan: Plan, *, trust_solver: bool = False, known_bound: float | None = None
) -> Certificate:
    """Recompute what `plan` is worth from its arrays, and bound what any plan could be worth.

    The solver's status is never read, and by default nothing else that it said is: the bound
    follows from the multipliers, which prove it whatever they are.

    Args:
        plan: what was decided.
        trust_solver: take the bound of `plan.solver` where the last model had binaries and that
            bound is the better one; `bound_source` then says so. Only for a plan whose solver has
            just been run: nobody can prove such a bound from a saved plan.
        known_bound: `profit_bound` of the same problem and multipliers, if it is known already
            from another plan's certificate.

    Raises:
        ValueError: an array of the plan has another shape than the problem asks for, or holds nan.
    """
    violation = worst_violation(plan)
    if math.isinf(violation):
        raise ValueError(f"the plan holds nan or infinity: {check(plan)[0]}")
    problem, powers = plan.problem, (plan.p_charge_kw, plan.p_discharge_kw, plan.generation_kw)
    at_rest, breakdown = idle_cost(problem), cost_of(problem, *powers, plan.reserve_kw)
    traded = gross_traded_value(problem, *powers)
    cost, idle = breakdown.total, at_rest.total
    profit = idle - cost
    rounding = _ROUNDING * max(1.0, abs(cost), abs(idle), traded)
    bound, source = known_bound, BY_MULTIPLIERS
    if bound is None:
        bound = idle - cost_bound(problem, plan.multipliers)
    by_solver = _bound_of_solver(plan, idle) if trust_solver else math.inf
    # A bound below what the plan earns is refuted by the plan; it is not worth a word. Neither is
    # one that says no more than what the multipliers prove.
    if profit - 1e3 * rounding <= by_solver < bound - rounding:
        bound, source = max(by_solver, profit), BY_BRANCH_AND_BOUND
    if profit - rounding <= bound < profit:
        bound = profit  # the plan itself is proof that this much can be earned
    return Certificate(
        cost=cost,
        penalty=breakdown.penalty,
        cost_idle=idle,
        profit=profit,
        profit_bound=bound,
        gap=(bound - profit) / _scale(at_rest, breakdown, traded),
        gap_absolute=bound - profit,
        worst_violation=violation,
        bound_source=source,
    )


def gap_scale(
    problem: DispatchProblem,
    p_charge_kw: Floats,
    p_discharge_kw: Floats,
    generation_kw: Floats,
    reserve_kw: Floats | None = None,
) -> float:
    """What a gap is measured against: the money that a plan earns, without any penalty.

    At least 1 % of the gross traded value, and at least `PROFIT_MIN_FOR_GAP`.
    """
    powers = (p_charge_kw, p_discharge_kw, generation_kw)
    traded = gross_traded_value(problem, *powers)
    return _scale(idle_cost(problem), cost_of(problem, *powers, reserve_kw), traded)


def _scale(idle: CostBreakdown, cost: CostBreakdown, traded: float) -> float:
    earned = (idle.total - idle.penalty) - (cost.total - cost.penalty)
    return max(earned, 0.01 * traded, PROFIT_MIN_FOR_GAP)


def _bound_of_solver(plan: Plan, idle: float) -> float:
    """The most that any plan earns by the solver's word; infinite where that is not worth more."""
    solver = plan.solver
    if solver is None or solver.binaries == 0 or not math.isfinite(solver.bound):
        return math.inf
    return idle - solver.bound
