"""Every plan, whoever made it, scored by gridsim's certificate from its powers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.certificate import check
from optimizer.certificate.certify import gap_scale
from optimizer.certificate.cost import cost_of, idle_cost
from optimizer.certificate.flows import stored_energy_kwh
from optimizer.certificate.rules import worst_violation
from optimizer.plan import Plan, Status, StopReason

if TYPE_CHECKING:
    import numpy as np

    from optimizer.problem import DispatchProblem


@dataclass(frozen=True)
class Score:
    """What a plan is worth.

    Attributes:
        profit: over doing nothing, with wear, without any price on what it breaks.
        gap: to gridsim's bound, as in the certificate; below 0 only for a plan that breaks rules.
        worst_violation: largest breach of any rule, relative to ``max(1, |limit|)``.
        breaches: units with a rule broken by more than 1e-6.
        breaks: the worst breach of each such rule, in words.
    """

    profit: float
    gap: float | None
    worst_violation: float
    breaches: int
    breaks: dict[str, str]


def score(
    problem: DispatchProblem,
    p_charge_kw: np.ndarray,
    p_discharge_kw: np.ndarray,
    bound: float | None,
) -> Score:
    """Score powers of shape (N, T) against a bound on the profit of every plan."""
    powers = (p_charge_kw, p_discharge_kw)
    plan = Plan(
        problem=problem,
        p_charge_kw=p_charge_kw,
        p_discharge_kw=p_discharge_kw,
        energy_kwh=stored_energy_kwh(problem, *powers),
        generation_kw=problem.generators.p_kw_available.copy(),
        status=Status.FEASIBLE,
        stop_reason=StopReason.GAP_REACHED,
    )
    cost, idle = cost_of(problem, *powers, plan.generation_kw), idle_cost(problem)
    profit = (idle.total - idle.penalty) - (cost.total - cost.penalty)
    gap = None
    if bound is not None:
        gap = (bound - profit) / gap_scale(problem, *powers, plan.generation_kw)
    worst: dict[str, tuple[float, str]] = {}
    violations = check(plan)
    for violation in violations:
        if violation.relative > worst.get(violation.rule, (0.0, ""))[0]:
            worst[violation.rule] = (violation.relative, str(violation))
    breaks = {rule: words for rule, (_, words) in sorted(worst.items(), key=lambda r: -r[1][0])}
    return Score(profit, gap, worst_violation(plan), len(violations), breaks)
