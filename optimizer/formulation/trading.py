"""What deviates: a net from what was committed, a battery from its previous plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from optimizer.formulation.battery import power_of
from optimizer.formulation.layout import cells

if TYPE_CHECKING:
    from optimizer.formulation.layout import Cell, Layout


def _priced_positions(x: Layout) -> list[Cell]:
    positions = x.problem.positions
    return cells((positions.price_above_per_kwh != 0) | (positions.price_below_per_kwh != 0))


def _priced_changes(x: Layout) -> list[Cell]:
    b = x.problem.batteries
    rows = np.flatnonzero(b.change_price_per_kwh)
    return [(int(rows[at]), t) for at, t in cells(np.isfinite(b.p_kw_previous[rows]))]


def add_deviations(m: pyo.ConcreteModel, x: Layout) -> None:
    """Columns of what lies above and below, of positions and of previous powers."""
    positions, changes, domain = _priced_positions(x), _priced_changes(x), pyo.NonNegativeReals
    m.position_above_kw = pyo.Var(positions, domain=domain)
    m.position_below_kw = pyo.Var(positions, domain=domain)
    m.change_above_kw = pyo.Var(changes, domain=domain)
    m.change_below_kw = pyo.Var(changes, domain=domain)


def position(m: pyo.ConcreteModel, x: Layout) -> None:
    """net[t] − above[t] + below[t] = committed[t]."""
    group, wanted = x.problem.positions.group.tolist(), x.problem.positions.p_kw.tolist()
    above, below = m.position_above_kw, m.position_below_kw

    def rule(m: pyo.ConcreteModel, row: int, t: int) -> Any:
        net = m.net_kw[group[row], t]
        return net - above[row, t] + below[row, t] == wanted[row][t]

    if len(above):
        m.position = pyo.Constraint(list(above), rule=rule)


def power_change(m: pyo.ConcreteModel, x: Layout) -> None:
    """p[t] − above[t] + below[t] = previous[t]."""
    previous = x.problem.batteries.p_kw_previous
    above, below = m.change_above_kw, m.change_below_kw
    if len(above):
        m.power_change = pyo.Constraint(
            list(above),
            rule=lambda m, i, t: (
                power_of(m, i, t) - above[i, t] + below[i, t] == float(previous[i, t])
            ),
        )
