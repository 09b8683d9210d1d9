"""How fast the net of a group may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from optimizer.formulation.layout import cells

if TYPE_CHECKING:
    from optimizer.formulation.layout import Cell, Floats, Layout


def _index(x: Layout, rate: Floats) -> list[Cell]:
    limits = x.problem.limits
    bounded = np.tile(np.isfinite(rate)[:, None], (1, len(x.problem.grid)))
    bounded[:, 0] &= ~np.isnan(limits.p_kw_initial)
    return cells(bounded)


def add_limit_ramp_breaches(m: pyo.ConcreteModel, x: Layout) -> None:
    """Columns of what a net changes by beyond its ramp."""
    limits, domain = x.problem.limits, pyo.NonNegativeReals
    m.limit_ramp_above_kw = pyo.Var(_index(x, limits.ramp_up_kw_per_h), domain=domain)
    m.limit_ramp_below_kw = pyo.Var(_index(x, limits.ramp_down_kw_per_h), domain=domain)


def _step(m: pyo.ConcreteModel, x: Layout, limit: int, t: int) -> Any:
    limits = x.problem.limits
    group = int(limits.group[limit])
    before = m.net_kw[group, t - 1] if t else float(limits.p_kw_initial[limit])
    return m.net_kw[group, t] - before


def limit_ramp_up(m: pyo.ConcreteModel, x: Layout) -> None:
    """net[t] − net[t−1] − over[t] ≤ rate·hours between the middles of the two intervals."""
    rate, hours, over = x.problem.limits.ramp_up_kw_per_h, x.hours_between, m.limit_ramp_above_kw
    if len(over):
        m.limit_ramp_up = pyo.Constraint(
            list(over),
            rule=lambda m, n, t: _step(m, x, n, t) - over[n, t] <= float(rate[n] * hours[t]),
        )


def limit_ramp_down(m: pyo.ConcreteModel, x: Layout) -> None:
    """net[t−1] − net[t] − under[t] ≤ rate·hours between the middles of the two intervals."""
    rate, hours, under = x.problem.limits.ramp_down_kw_per_h, x.hours_between, m.limit_ramp_below_kw
    if len(under):
        m.limit_ramp_down = pyo.Constraint(
            list(under),
            rule=lambda m, n, t: -_step(m, x, n, t) - under[n, t] <= float(rate[n] * hours[t]),
        )
