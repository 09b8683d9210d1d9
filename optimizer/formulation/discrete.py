"""What needs integers: one direction at a time, a least power, on/off and equal steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from optimizer.formulation.battery import energy_at
from optimizer.formulation.layout import cells

if TYPE_CHECKING:
    from optimizer.formulation.layout import Layout, Mask


def add_modes(m: pyo.ConcreteModel, x: Layout) -> None:
    """Binaries "is charging" and "is discharging", and the number of equal steps in use."""
    levels = x.problem.batteries.power_levels.tolist()
    stepped = x.stepped[:, None]
    m.is_charging = pyo.Var(cells(x.has_charge_mode), domain=pyo.Binary)
    m.is_discharging = pyo.Var(cells(x.has_discharge_mode), domain=pyo.Binary)
    m.charge_step = pyo.Var(
        cells(x.charges & stepped), domain=pyo.Integers, bounds=lambda _, i, t: (0, levels[i])
    )
    m.discharge_step = pyo.Var(
        cells(x.discharges & stepped), domain=pyo.Integers, bounds=lambda _, i, t: (0, levels[i])
    )


def charge_on(m: pyo.ConcreteModel, x: Layout) -> None:
    """c[t] ≤ C[t]·is_charging[t]."""
    _bound_by(m, x, "charge_on", x.has_charge_mode, "charge", lambda i, t: m.is_charging[i, t])


def discharge_on(m: pyo.ConcreteModel, x: Layout) -> None:
    """d[t] ≤ D[t]·is_discharging[t]."""
    _bound_by(
        m, x, "discharge_on", x.has_discharge_mode, "discharge", lambda i, t: m.is_discharging[i, t]
    )


def charge_off(m: pyo.ConcreteModel, x: Layout) -> None:
    """c[t] ≤ C[t]·(1 − is_discharging[t]), where charging has no binary of its own."""
    mask = x.kept_apart & x.has_discharge_mode & ~x.has_charge_mode
    _bound_by(m, x, "charge_off", mask, "charge", lambda i, t: 1 - m.is_discharging[i, t])


def discharge_off(m: pyo.ConcreteModel, x: Layout) -> None:
    """d[t] ≤ D[t]·(1 − is_charging[t]), where discharging has no binary of its own."""
    mask = x.kept_apart & x.has_charge_mode & ~x.has_discharge_mode
    _bound_by(m, x, "discharge_off", mask, "discharge", lambda i, t: 1 - m.is_charging[i, t])


def _bound_by(
    m: pyo.ConcreteModel, x: Layout, name: str, mask: Mask, side: str, share: Any
) -> None:
    """power ≤ most power · share, for every cell of `mask`."""
    most = (x.p_charge_kw_max if side == "charge" else x.p_discharge_kw_max).tolist()
    power = m.p_charge_kw if side == "charge" else m.p_discharge_kw
    if mask.any():
        row = pyo.Constraint(
            cells(mask), rule=lambda _, i, t: power[i, t] <= most[i][t] * share(i, t)
        )
        m.add_component(name, row)


def one_direction(m: pyo.ConcreteModel, x: Layout) -> None:
    """is_charging[t] + is_discharging[t] ≤ 1, where both directions have a binary."""
    mask = x.kept_apart & x.has_charge_mode & x.has_discharge_mode
    if mask.any():
        m.one_direction = pyo.Constraint(
            cells(mask), rule=lambda m, i, t: m.is_charging[i, t] + m.is_discharging[i, t] <= 1
        )


def charge_least(m: pyo.ConcreteModel, x: Layout) -> None:
    """c[t] ≥ least power·is_charging[t]; on/off has the most power as its least."""
    least = x.p_charge_kw_least.tolist()
    mask = x.charges & (x.p_charge_kw_least > 0)
    if mask.any():
        m.charge_least = pyo.Constraint(
            cells(mask),
            rule=lambda m, i, t: m.p_charge_kw[i, t] >= least[i][t] * m.is_charging[i, t],
        )


def discharge_least(m: pyo.ConcreteModel, x: Layout) -> None:
    """d[t] ≥ least power·is_discharging[t]; on/off has the most power as its least."""
    least = x.p_discharge_kw_least.tolist()
    if x.has_discharge_mode.any():
        m.discharge_least = pyo.Constraint(
            cells(x.has_discharge_mode),
            rule=lambda m, i, t: m.p_discharge_kw[i, t] >= least[i][t] * m.is_discharging[i, t],
        )


def charge_steps(m: pyo.ConcreteModel, x: Layout) -> None:
    """c[t] = C[t]/n·charge_step[t]."""
    step = (x.p_charge_kw_max / np.maximum(x.problem.batteries.power_levels, 1)[:, None]).tolist()
    if len(m.charge_step):
        m.charge_steps = pyo.Constraint(
            list(m.charge_step),
            rule=lambda m, i, t: m.p_charge_kw[i, t] - step[i][t] * m.charge_step[i, t] == 0,
        )


def discharge_steps(m: pyo.ConcreteModel, x: Layout) -> None:
    """d[t] = D[t]/n·discharge_step[t]."""
    levels = np.maximum(x.problem.batteries.power_levels, 1)[:, None]
    step = (x.p_discharge_kw_max / levels).tolist()
    if len(m.discharge_step):
        m.discharge_steps = pyo.Constraint(
            list(m.discharge_step),
            rule=lambda m, i, t: m.p_discharge_kw[i, t] - step[i][t] * m.discharge_step[i, t] == 0,
        )


def charge_room(m: pyo.ConcreteModel, x: Layout) -> None:
    """η_c·Δ·c[t] ≤ E_max[t+1] − λ·e[t] − Δ·inflow[t] + M·(not charging), a tightening.

    A charging battery does not discharge, so it needs the room at once. M is the most by which a
    battery at rest may overflow its band, mostly 0; a band that yields is left alone.
    """
    index, high = _room_index(x), x.problem.batteries.energy_kwh_max
    kept, gain, inflow = x.problem.energy_after_loss, x.gain_kwh_per_kw, x.inflow_kwh
    before = np.concatenate(
        [x.problem.batteries.energy_kwh_initial[:, None], high[:, 1:-1]], axis=1
    )
    excess = np.maximum(kept * before + inflow - high[:, 1:], 0.0)

    def rule(m: pyo.ConcreteModel, i: int, t: int) -> Any:
        body = float(gain[i, t]) * m.p_charge_kw[i, t] + float(kept[i, t]) * energy_at(m, x, i, t)
        if excess[i, t] > 0:
            resting = 1 - m.is_charging[i, t] if (i, t) in m.is_charging else m.is_discharging[i, t]
            body -= float(excess[i, t]) * resting
        return body <= float(high[i, t + 1] - inflow[i, t])

    if index:
        m.charge_room = pyo.Constraint(index, rule=rule)


def discharge_room(m: pyo.ConcreteModel, x: Layout) -> None:
    """Δ/η_d·d[t] ≤ λ·e[t] + Δ·inflow[t] − E_min[t+1] + M·(not discharging), a tightening.

    A discharging battery does not charge, so it needs the energy at once. M is the most by which a
    battery at rest may fall below its band (standing loss, usage).
    """
    index, low = _room_index(x), x.problem.batteries.energy_kwh_min
    kept, drain, inflow = x.problem.energy_after_loss, x.drain_kwh_per_kw, x.inflow_kwh
    before = np.concatenate([x.problem.batteries.energy_kwh_initial[:, None], low[:, 1:-1]], axis=1)
    lack = np.maximum(low[:, 1:] - kept * before - inflow, 0.0)

    def rule(m: pyo.ConcreteModel, i: int, t: int) -> Any:
        body = float(drain[i, t]) * m.p_discharge_kw[i, t]
        body -= float(kept[i, t]) * energy_at(m, x, i, t)
        if lack[i, t] > 0:
            has_mode = (i, t) in m.is_discharging
            resting = 1 - m.is_discharging[i, t] if has_mode else m.is_charging[i, t]
            body -= float(lack[i, t]) * resting
        return body <= float(inflow[i, t] - low[i, t + 1])

    if index:
        m.discharge_room = pyo.Constraint(index, rule=rule)


def _room_index(x: Layout) -> list[tuple[int, int]]:
    return cells(x.kept_apart & ~x.band_yields[:, None])
