"""Where charging and discharging at once must be forbidden, and how to undo it where it is free.

A battery that charges c and discharges d at once may do less of both, δ and η_c·η_d·δ, at the same
stored energy. That never costs more if and only if

    (π + wear_c)/η_c ≥ (π − wear_d)·η_d

with the price π each side sees: then no optimum needs both at once. The condition is that of Prat,
Lusby and Pinson (arXiv:2508.12999) for prices known beforehand. Limits add their own multipliers to
π, so that the answer is looked at and what is left gets a binary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.parts import over_parts
from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

AT_ONCE_KW = 1e-7
"""Smaller powers at the same time are a solver's rounding."""
_ROUNDING = 1e-12
_SLACK_KWH = 1e-9
_SLACK_COST = 1e-9


def needs_binary(problem: DispatchProblem) -> Mask:
    """Cells where market prices alone reward charging and discharging at once, shape (N, T)."""
    b = problem.batteries
    wear_charge = b.wear_cost_charge_per_kwh[:, None]
    wear_discharge = b.wear_cost_discharge_per_kwh[:, None]
    rewarded = np.zeros(problem.shape, dtype=bool)
    for pays, earns in _price_pairs(problem):
        value_in = (pays + wear_charge) / b.efficiency_charge
        value_out = (earns - wear_discharge) * b.efficiency_discharge
        rewarded |= value_in < value_out - _ROUNDING
    return rewarded & (b.p_charge_kw_max > 0) & (b.p_discharge_kw_max > 0)


def burners(problem: DispatchProblem) -> npt.NDArray[np.bool_]:
    """Batteries with such a cell, shape (N,)."""
    parts = over_parts(problem, lambda _, part: needs_binary(part).any(axis=1))
    return np.concatenate([*parts, np.zeros(0, dtype=bool)])


def _price_pairs(problem: DispatchProblem) -> list[tuple[Floats, Floats]]:
    """What a battery may pay and earn: its own two prices, or any one price of its site's meter.

    Both sides are linear in the meter's price, so the ends of its range decide.
    """
    pays = np.broadcast_to(problem.price_import_per_kwh, problem.shape)
    earns = np.broadcast_to(problem.price_export_per_kwh, problem.shape)
    inside = (problem.battery_site != NO_GROUP)[:, None]
    if not inside.any():
        return [(pays, earns)]
    at_import = problem.groups.price_import_per_kwh[problem.battery_site]
    at_export = problem.groups.price_export_per_kwh[problem.battery_site]
    return [
        (np.where(inside, price, pays), np.where(inside, price, earns))
        for price in (at_import, at_export)
    ]


def net_out(
    problem: DispatchProblem, p_charge_kw: Floats, p_discharge_kw: Floats
) -> tuple[Floats, Floats, Mask]:
    """Undo charging and discharging at once where that is free.

    The power at the terminals is kept, so that only the battery's own energy, its wear and what it
    pays at its own terminals can change. Where round-trip losses are 0 not even the energy does;
    elsewhere its path is moved if band, targets and end value come out no worse than they were.

    Returns:
        Both powers, and the cells that still do both at once, shape (N, T).
    """
    charge, discharge = p_charge_kw.copy(), p_discharge_kw.copy()
    at_once = np.minimum(charge, discharge)
    b, kept = problem.batteries, problem.energy_after_loss
    # Energy that netting 1 kW leaves in the store, by cell.
    left_over = (1.0 / b.efficiency_discharge - b.efficiency_charge) * problem.grid.step_h
    saved = _saved_per_kw(problem)
    free = (np.abs(left_over) < _ROUNDING) & (saved >= -_ROUNDING)
    free |= at_once <= AT_ONCE_KW
    charge -= np.where(free, at_once, 0.0)
    discharge -= np.where(free, at_once, 0.0)
    energy = stored_energy_kwh(problem, charge, discharge)
    for i, t in np.argwhere(~free).tolist():
        change = np.zeros(energy.shape[1])
        change[t + 1] = at_once[i, t] * left_over[i, t]
        for later in range(t + 1, len(problem.grid)):
            change[later + 1] = kept[i, later] * change[later]
        gain = float(saved[i, t] * at_once[i, t])
        if _is_as_good(problem, i, energy[i], energy[i] + change, gain):
            charge[i, t] -= at_once[i, t]
            discharge[i, t] -= at_once[i, t]
            energy[i] += change
    return charge, discharge, np.minimum(charge, discharge) > 0


def _saved_per_kw(problem: DispatchProblem) -> Floats:
    """What a kW less of both saves at the same power: wear, and the spread at own terminals."""
    b = problem.batteries
    wear = b.wear_cost_charge_per_kwh + b.wear_cost_discharge_per_kwh
    spread = problem.price_import_per_kwh - problem.price_export_per_kwh
    outside = (problem.battery_site == NO_GROUP)[:, None]
    return np.asarray((wear[:, None] + np.where(outside, spread, 0.0)) * problem.grid.step_h)


def net_out_at_same_energy(
    problem: DispatchProblem, p_charge_kw: Floats, p_discharge_kw: Floats
) -> tuple[Floats, Floats]:
    """Undo charging and discharging at once, whatever it costs.

    The stored energy is kept, so that the battery's own band and targets hold as they did; the
    power at the terminals changes. For plans that must be handed over when time is up.
    """
    round_trip = problem.batteries.efficiency_charge * problem.batteries.efficiency_discharge
    undone = np.minimum(p_charge_kw, p_discharge_kw / round_trip)
    charge, discharge = p_charge_kw - undone, p_discharge_kw - round_trip * undone
    # Of the two one is 0 but for rounding.
    net_charges = charge > discharge
    return np.where(net_charges, charge, 0.0), np.where(net_charges, 0.0, discharge)


def stored_energy_kwh(problem: DispatchProblem, charge: Floats, discharge: Floats) -> Floats:
    """Energy by instant that the powers lead to, shape (N, T+1)."""
    b, step_h = problem.batteries, problem.grid.step_h
    net_kw = b.efficiency_charge * charge - discharge / b.efficiency_discharge + b.inflow_kw
    energy = np.empty((len(b), len(step_h) + 1))
    energy[:, 0] = b.energy_kwh_initial
    for t, hours in enumerate(step_h):
        energy[:, t + 1] = problem.energy_after_loss[:, t] * energy[:, t] + net_kw[:, t] * hours
    return energy


def _is_as_good(problem: DispatchProblem, i: int, was: Floats, now: Floats, gain: float) -> bool:
    """Whether a battery's new path of energy breaks nothing more and is worth no less."""
    b, targets = problem.batteries, problem.targets
    if i in problem.reserve_batteries:
        return False  # reserves lean on the path as it is
    if (now > np.maximum(b.energy_kwh_max[i], was) + _SLACK_KWH)[1:].any():
        return False
    if (now < np.minimum(b.energy_kwh_min[i], was) - _SLACK_KWH)[1:].any():
        return False
    for k in np.flatnonzero(targets.battery == i):
        at, share = targets.interval[k], targets.share[k]
        kept = problem.energy_after_loss[i, at]
        old, new = (
            kept**share * path[at] + share * (path[at + 1] - kept * path[at]) for path in (was, now)
        )
        if new > max(old, targets.energy_kwh_max[k]) + _SLACK_KWH:
            return False
        if new < min(old, targets.energy_kwh_min[k]) - _SLACK_KWH:
            return False
    return _end_value(problem, i, now[-1]) + gain >= _end_value(problem, i, was[-1]) - _SLACK_COST


def _end_value(problem: DispatchProblem, i: int, energy_kwh: float) -> float:
    width = problem.batteries.end_value_kwh[i]
    start = np.concatenate([[0.0], np.cumsum(width)[:-1]])
    filled = np.clip(energy_kwh - start, 0.0, width)
    return float(filled @ problem.batteries.end_value_per_kwh[i])
