"""Linear rows over net powers of one interval, as a grid gives them near an operating point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyomo.environ as pyo

from optimizer.formulation.network import Net

if TYPE_CHECKING:
    from optimizer.formulation.layout import Layout


def add_network_breaches(m: pyo.ConcreteModel, x: Layout) -> None:
    """Columns of the breach of each side of a row that is bounded there."""
    rows, domain = x.problem.network, pyo.NonNegativeReals
    above, below = np.isfinite(rows.p_kw_max), np.isfinite(rows.p_kw_min)
    m.network_above_kw = pyo.Var(np.flatnonzero(above).tolist(), domain=domain)
    m.network_below_kw = pyo.Var(np.flatnonzero(below).tolist(), domain=domain)


def _value(m: pyo.ConcreteModel, x: Layout, row: int) -> Net:
    """Σ weight·P over the row's batteries, generators and groups."""
    p, rows, value = x.problem, x.problem.network, Net()
    t, count = int(rows.interval[row]), len(p.batteries)
    for entry in range(*rows.entry_start[row : row + 2].tolist()):
        unit, weight = int(rows.entry_unit[entry]), float(rows.weight[entry])
        if unit < 0:
            value.add(weight, m.net_kw[int(rows.entry_group[entry]), t])
        elif unit >= count:
            value.add(-weight, m.generation_kw[unit - count, t])
        else:
            if (unit, t) in m.p_charge_kw:
                value.add(weight, m.p_charge_kw[unit, t])
            if (unit, t) in m.p_discharge_kw:
                value.add(-weight, m.p_discharge_kw[unit, t])
    return value


def network_max(m: pyo.ConcreteModel, x: Layout) -> None:
    """Σ weight·P − breach ≤ P_max."""
    most = x.problem.network.p_kw_max.tolist()

    def rule(m: pyo.ConcreteModel, row: int) -> pyo.Constraint:
        value = _value(m, x, row)
        value.add(-1.0, m.network_above_kw[row])
        return value.expression() <= most[row]

    if len(m.network_above_kw):
        m.network_max = pyo.Constraint(list(m.network_above_kw), rule=rule)


def network_min(m: pyo.ConcreteModel, x: Layout) -> None:
    """Σ weight·P + breach ≥ P_min."""
    least = x.problem.network.p_kw_min.tolist()

    def rule(m: pyo.ConcreteModel, row: int) -> pyo.Constraint:
        value = _value(m, x, row)
        value.add(1.0, m.network_below_kw[row])
        return value.expression() >= least[row]

    if len(m.network_below_kw):
        m.network_min = pyo.Constraint(list(m.network_below_kw), rule=rule)
