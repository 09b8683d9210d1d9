"""Limits on the net power of a group, and what their breach costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from optimizer.formulation.layout import cells

if TYPE_CHECKING:
    from optimizer.formulation.layout import Layout, Mask


def priced_by_interval(x: Layout) -> Mask:
    """Limits whose breach has a column an interval, shape (L,).

    A price on the largest breach alone needs no more than that one column.
    """
    limits = x.problem.limits
    return np.asarray((limits.breach_price_per_kwh > 0) | limits.is_firm)


def add_breaches(m: pyo.ConcreteModel, x: Layout) -> None:
    """Columns of the breach of each side, by interval and the largest."""
    limits = x.problem.limits
    by_interval = priced_by_interval(x)[:, None]
    above, below = np.isfinite(limits.p_kw_max), np.isfinite(limits.p_kw_min)
    peaks = limits.breach_price_per_kw > 0
    domain = pyo.NonNegativeReals
    m.breach_above_kw = pyo.Var(cells(above & by_interval), domain=domain)
    m.breach_below_kw = pyo.Var(cells(below & by_interval), domain=domain)
    m.peak_above_kw = pyo.Var(np.flatnonzero(peaks & above.any(axis=1)).tolist(), domain=domain)
    m.peak_below_kw = pyo.Var(np.flatnonzero(peaks & below.any(axis=1)).tolist(), domain=domain)


def limit_max(m: pyo.ConcreteModel, x: Layout) -> None:
    """net[t] − breach[t] ≤ P_max[t]; the breach is the largest one where only that is priced."""
    limits = x.problem.limits
    group, most = limits.group.tolist(), limits.p_kw_max.tolist()

    def rule(m: pyo.ConcreteModel, limit: int, t: int) -> Any:
        at = (limit, t)
        breach = m.breach_above_kw[at] if at in m.breach_above_kw else m.peak_above_kw[limit]
        return m.net_kw[group[limit], t] - breach <= most[limit][t]

    index = cells(np.isfinite(limits.p_kw_max))
    if index:
        m.limit_max = pyo.Constraint(index, rule=rule)


def limit_min(m: pyo.ConcreteModel, x: Layout) -> None:
    """net[t] + breach[t] ≥ P_min[t]; the breach is the largest one where only that is priced."""
    limits = x.problem.limits
    group, least = limits.group.tolist(), limits.p_kw_min.tolist()

    def rule(m: pyo.ConcreteModel, limit: int, t: int) -> Any:
        at = (limit, t)
        breach = m.breach_below_kw[at] if at in m.breach_below_kw else m.peak_below_kw[limit]
        return m.net_kw[group[limit], t] + breach >= least[limit][t]

    index = cells(np.isfinite(limits.p_kw_min))
    if index:
        m.limit_min = pyo.Constraint(index, rule=rule)


def peak_max(m: pyo.ConcreteModel, x: Layout) -> None:
    """breach[t] ≤ largest breach, where a breach is priced by energy and by its largest power."""
    index = [(limit, t) for limit, t in m.breach_above_kw if limit in m.peak_above_kw]
    if index:
        m.peak_max = pyo.Constraint(
            index, rule=lambda m, n, t: m.breach_above_kw[n, t] - m.peak_above_kw[n] <= 0
        )


def peak_min(m: pyo.ConcreteModel, x: Layout) -> None:
    """breach[t] ≤ largest breach, on the side below."""
    index = [(limit, t) for limit, t in m.breach_below_kw if limit in m.peak_below_kw]
    if index:
        m.peak_min = pyo.Constraint(
            index, rule=lambda m, n, t: m.breach_below_kw[n, t] - m.peak_below_kw[n] <= 0
        )
