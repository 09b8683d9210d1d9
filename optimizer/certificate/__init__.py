"""What a plan is worth, recomputed from its arrays by code that no planner calls.

Cost, violations and a bound on what any plan could earn follow from the problem in normal form and
the plan's numbers alone. The equations, and why the bound is one, are in `docs/certificate.md`.
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
