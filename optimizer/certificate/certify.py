"""The certificate of a plan: what it earns, what it breaks, and how much any plan could earn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from optimizer.certificate.bound import profit_bound
from optimizer.certificate.cost import cost_of, gross_traded_value, idle_cost
from optimizer.certificate.rules import check, worst_violation
from optimizer.plan import Certificate

if TYPE_CHECKING:
    from optimizer.plan import Plan

BY_MULTIPLIERS = "multipliers"
BY_BRANCH_AND_BOUND = "branch and bound"
PROFIT_MIN_FOR_GAP = 0.01
"""Least denominator of the gap, in the problem's currency."""
_ROUNDING = 1e-9


def certify(plan: Plan) -> Certificate:
    """Recompute what `plan` is worth from its arrays, and bound what any plan could be worth.

    The solver's status is never read. Its own bound is used only where the last model had binaries
    and the bound is the better one; then `bound_source` says so.

    Raises:
        ValueError: an array of the plan has another shape than the problem asks for, or holds nan.
    """
    violation = worst_violation(plan)
    if math.isinf(violation):
        raise ValueError(f"the plan holds nan or infinity: {check(plan)[0]}")
    powers = (plan.p_charge_kw, plan.p_discharge_kw, plan.generation_kw)
    cost, idle = cost_of(plan.problem, *powers).total, idle_cost(plan.problem).total
    profit, gross = idle - cost, gross_traded_value(plan.problem, *powers)
    rounding = _ROUNDING * max(1.0, abs(cost), abs(idle), gross)
    bound, source = _best_bound(plan, idle, profit, rounding)
    if profit - rounding <= bound < profit:
        bound = profit  # the plan itself is proof that this much can be earned
    return Certificate(
        cost=cost,
        cost_idle=idle,
        profit=profit,
        profit_bound=bound,
        gap=(bound - profit) / max(profit, 0.01 * gross, PROFIT_MIN_FOR_GAP),
        gap_absolute=bound - profit,
        worst_violation=violation,
        bound_source=source,
    )


def _best_bound(plan: Plan, idle: float, profit: float, rounding: float) -> tuple[float, str]:
    bound = profit_bound(plan.problem, plan.multipliers)
    if plan.solver is None or plan.solver.binaries == 0 or not math.isfinite(plan.solver.bound):
        return bound, BY_MULTIPLIERS
    by_solver = idle - plan.solver.bound
    # A bound below what the plan earns is refuted by the plan; it is not worth a word.
    if by_solver < bound and by_solver >= profit - 1e3 * rounding:
        return max(by_solver, profit), BY_BRANCH_AND_BOUND
    return bound, BY_MULTIPLIERS
