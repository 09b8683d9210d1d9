"""What a single battery must keep: its balance, band, ramps, throughput, targets and end value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr import LinearExpression

from optimizer.formulation.layout import cells

if TYPE_CHECKING:
    from optimizer.formulation.layout import Layout


def add_power_and_energy(m: pyo.ConcreteModel, x: Layout) -> None:
    """Columns c, d at the terminals and e at the instants 1 to T."""
    b = x.problem.batteries
    charge, discharge = x.p_charge_kw_max.tolist(), x.p_discharge_kw_max.tolist()
    low, high = b.energy_kwh_min.tolist(), b.energy_kwh_max.tolist()
    yields = x.band_yields.tolist()
    m.p_charge_kw = pyo.Var(cells(x.charges), bounds=lambda _, i, t: (0.0, charge[i][t]))
    m.p_discharge_kw = pyo.Var(cells(x.discharges), bounds=lambda _, i, t: (0.0, discharge[i][t]))
    count, intervals = x.problem.shape
    m.energy_kwh = pyo.Var(
        [(i, t) for i in range(count) for t in range(1, intervals + 1)],
        bounds=lambda _, i, t: (None, None) if yields[i] else (low[i][t], high[i][t]),
    )


def energy_at(m: pyo.ConcreteModel, x: Layout, i: int, t: int) -> Any:
    """e[t], which is data at instant 0."""
    return m.energy_kwh[i, t] if t else float(x.problem.batteries.energy_kwh_initial[i])


def power_of(m: pyo.ConcreteModel, i: int, t: int) -> Any:
    """p = c − d, of what there is."""
    power = 0.0
    if (i, t) in m.p_charge_kw:
        power += m.p_charge_kw[i, t]
    if (i, t) in m.p_discharge_kw:
        power -= m.p_discharge_kw[i, t]
    return power


def energy_balance(m: pyo.ConcreteModel, x: Layout) -> None:
    """e[t+1] = λ·e[t] + η_c·Δ·c[t] − Δ/η_d·d[t] + Δ·inflow[t]."""
    kept, gain = x.problem.energy_after_loss.tolist(), x.gain_kwh_per_kw.tolist()
    drain, inflow = x.drain_kwh_per_kw.tolist(), x.inflow_kwh.tolist()
    start = x.problem.batteries.energy_kwh_initial.tolist()
    charges, discharges = x.charges.tolist(), x.discharges.tolist()

    def rule(m: pyo.ConcreteModel, i: int, t: int) -> Any:
        coefficients, columns = [1.0], [m.energy_kwh[i, t + 1]]
        arrives = inflow[i][t]
        if t:
            coefficients.append(-kept[i][t])
            columns.append(m.energy_kwh[i, t])
        else:
            arrives += kept[i][t] * start[i]
        if charges[i][t]:
            coefficients.append(-gain[i][t])
            columns.append(m.p_charge_kw[i, t])
        if discharges[i][t]:
            coefficients.append(drain[i][t])
            columns.append(m.p_discharge_kw[i, t])
        return LinearExpression(linear_coefs=coefficients, linear_vars=columns) == arrives

    m.energy_balance = pyo.Constraint(cells(np.ones(x.problem.shape, dtype=bool)), rule=rule)


def band_min(m: pyo.ConcreteModel, x: Layout) -> None:
    """e[t] + below[t] ≥ E_min[t], only for a battery that cannot keep its band."""
    low = x.problem.batteries.energy_kwh_min.tolist()
    index = [(i, t) for i, t in m.energy_kwh if x.band_yields[i]]
    if not index:
        return
    m.band_below_kwh = pyo.Var(index, domain=pyo.NonNegativeReals)
    m.band_min = pyo.Constraint(
        index, rule=lambda m, i, t: m.energy_kwh[i, t] + m.band_below_kwh[i, t] >= low[i][t]
    )


def band_max(m: pyo.ConcreteModel, x: Layout) -> None:
    """e[t] − above[t] ≤ E_max[t], only for a battery that cannot keep its band."""
    high = x.problem.batteries.energy_kwh_max.tolist()
    index = [(i, t) for i, t in m.energy_kwh if x.band_yields[i]]
    if not index:
        return
    m.band_above_kwh = pyo.Var(index, domain=pyo.NonNegativeReals)
    m.band_max = pyo.Constraint(
        index, rule=lambda m, i, t: m.energy_kwh[i, t] - m.band_above_kwh[i, t] <= high[i][t]
    )


def _ramp_index(x: Layout, rate: Any) -> list[tuple[int, int]]:
    b = x.problem.batteries
    bounded = np.broadcast_to(np.isfinite(rate)[:, None], x.problem.shape).copy()
    bounded[:, 0] &= ~np.isnan(b.p_kw_initial)
    return cells(bounded)


def _step(m: pyo.ConcreteModel, x: Layout, i: int, t: int) -> Any:
    before = power_of(m, i, t - 1) if t else float(x.problem.batteries.p_kw_initial[i])
    return power_of(m, i, t) - before


def ramp_up(m: pyo.ConcreteModel, x: Layout) -> None:
    """p[t] − p[t−1] − over[t] ≤ rate·hours between the middles of the two intervals."""
    rate, hours = x.problem.batteries.ramp_up_kw_per_h, x.hours_between
    index = _ramp_index(x, rate)
    if not index:
        return
    m.ramp_above_kw = pyo.Var(index, domain=pyo.NonNegativeReals)
    m.ramp_up = pyo.Constraint(
        index,
        rule=lambda m, i, t: _step(m, x, i, t) - m.ramp_above_kw[i, t] <= float(rate[i] * hours[t]),
    )


def ramp_down(m: pyo.ConcreteModel, x: Layout) -> None:
    """p[t−1] − p[t] − under[t] ≤ rate·hours between the middles of the two intervals."""
    rate, hours = x.problem.batteries.ramp_down_kw_per_h, x.hours_between
    index = _ramp_index(x, rate)
    if not index:
        return
    m.ramp_below_kw = pyo.Var(index, domain=pyo.NonNegativeReals)
    m.ramp_down = pyo.Constraint(
        index,
        rule=lambda m, i, t: (
            -_step(m, x, i, t) - m.ramp_below_kw[i, t] <= float(rate[i] * hours[t])
        ),
    )


def cycles_per_day(m: pyo.ConcreteModel, x: Layout) -> None:
    """Σ over the intervals of a UTC day of η_c·Δ·c + Δ/η_d·d ≤ 2·E_rated·cycles."""
    b, days = x.problem.batteries, x.problem.days
    capped = np.flatnonzero(np.isfinite(b.cycles_per_day_max))
    gain, drain = x.gain_kwh_per_kw, x.drain_kwh_per_kw

    def rule(m: pyo.ConcreteModel, i: int, day: int) -> Any:
        slots = np.flatnonzero(days == day).tolist()
        charging = [(gain[i, t], m.p_charge_kw[i, t]) for t in slots if x.charges[i, t]]
        draining = [(drain[i, t], m.p_discharge_kw[i, t]) for t in slots if x.discharges[i, t]]
        moved = _sum([*charging, *draining])
        return moved <= float(2 * b.energy_kwh_rated[i] * b.cycles_per_day_max[i])

    moves = x.charges | x.discharges
    index = [
        (int(i), int(day)) for i in capped for day in np.unique(days) if moves[i, days == day].any()
    ]
    if index:
        m.cycles_per_day = pyo.Constraint(index, rule=rule)


def _sum(terms: list[tuple[float, Any]]) -> Any:
    return LinearExpression(
        linear_coefs=[float(coefficient) for coefficient, _ in terms],
        linear_vars=[column for _, column in terms],
    )


def _energy_within(m: pyo.ConcreteModel, x: Layout, k: int) -> Any:
    """Energy at a target's moment: λ^s·e[t] + s·(e[t+1] − λ·e[t])."""
    targets = x.problem.targets
    i, t, share = int(targets.battery[k]), int(targets.interval[k]), float(targets.share[k])
    kept = float(x.problem.energy_after_loss[i, t])
    first = kept**share - share * kept
    last = share * m.energy_kwh[i, t + 1]
    return first * energy_at(m, x, i, t) + last if first else last


def target_min(m: pyo.ConcreteModel, x: Layout) -> None:
    """e(τ) + missing ≥ wanted."""
    wanted = x.problem.targets.energy_kwh_min
    index = np.flatnonzero(np.isfinite(wanted)).tolist()
    if not index:
        return
    m.target_missing_kwh = pyo.Var(index, domain=pyo.NonNegativeReals)
    m.target_min = pyo.Constraint(
        index,
        rule=lambda m, k: _energy_within(m, x, k) + m.target_missing_kwh[k] >= float(wanted[k]),
    )


def target_max(m: pyo.ConcreteModel, x: Layout) -> None:
    """e(τ) − surplus ≤ allowed."""
    allowed = x.problem.targets.energy_kwh_max
    index = np.flatnonzero(np.isfinite(allowed)).tolist()
    if not index:
        return
    m.target_surplus_kwh = pyo.Var(index, domain=pyo.NonNegativeReals)
    m.target_max = pyo.Constraint(
        index,
        rule=lambda m, k: _energy_within(m, x, k) - m.target_surplus_kwh[k] <= float(allowed[k]),
    )
