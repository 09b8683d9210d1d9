"""What a plan is worth, recomputed from its arrays by code that builds no model.

Cost, violations and a bound on what any plan could earn follow from the problem in normal form and
the plan's numbers alone. Nothing here is taken from the model or the solver. One thing is shared
with the model: `optimizer.reach`, which says whose band cannot be kept and what breaking it costs.
(`solve` reckons with `idle_cost` and `gross_traded_value` when a gap is small enough to stop at;
what its plan is worth does not depend on that.) The equations, and why the bound is one, are in
`docs/certificate.md`.
"""

from __future__ import annotations

from optimizer.certificate.bound import cost_bound, profit_bound
from optimizer.certificate.certify import BY_BRANCH_AND_BOUND, BY_MULTIPLIERS, certify
from optimizer.certificate.cost import CostBreakdown, cost_of, gross_traded_value, idle_cost
from optimizer.certificate.rules import TOLERANCE, Violation, check, worst_violation

__all__ = [
    "BY_BRANCH_AND_BOUND",
    "BY_MULTIPLIERS",
    "TOLERANCE",
    "CostBreakdown",
    "Violation",
    "certify",
    "check",
    "cost_bound",
    "cost_of",
    "gross_traded_value",
    "idle_cost",
    "profit_bound",
    "worst_violation",
]
