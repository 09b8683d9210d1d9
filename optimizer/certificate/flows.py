"""What powers lead to: stored energy, nets of groups, energy at a target's moment, steps of power.

Written from the equations alone, and the model uses none of it: a slip in the model's balance, nets
or targets cannot repeat itself here. (Whose band yields is not decided here but in
`optimizer.reach`, which the model reads too.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.problem import NO_GROUP
from optimizer.sums import add_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem, Groups
    from optimizer.sums import NetPower

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Rows = slice | npt.NDArray[np.intp]


def stored_energy_kwh(
    problem: DispatchProblem, p_charge_kw: Floats, p_discharge_kw: Floats
) -> Floats:
    """Energy by instant that the powers lead to, shape (N, T+1)."""
    b, step_h = problem.batteries, problem.grid.step_h
    after = problem.energy_after_loss
    flow_kw = b.efficiency_charge * p_charge_kw + b.inflow_kw
    flow_kw -= p_discharge_kw / b.efficiency_discharge
    energy = np.empty((len(b), len(step_h) + 1))
    energy[:, 0] = b.energy_kwh_initial
    for t, hours in enumerate(step_h):
        energy[:, t + 1] = after[:, t] * energy[:, t] + flow_kw[:, t] * hours
    return energy


def throughput_kwh(problem: DispatchProblem, p_charge_kw: Floats, p_discharge_kw: Floats) -> Floats:
    """Energy moved at the store by UTC day, both legs added, shape (N, D)."""
    b, days = problem.batteries, problem.days
    at_store_kw = b.efficiency_charge * p_charge_kw + p_discharge_kw / b.efficiency_discharge
    moved = at_store_kw * problem.grid.step_h
    by_day = np.zeros((len(b), int(days[-1]) + 1))
    for day in np.unique(days):
        by_day[:, day] = moved[:, days == day].sum(axis=1)
    return by_day


def throughput_kwh_max(problem: DispatchProblem, rows: Rows = slice(None)) -> Floats:
    """Cap on the throughput of a day, shape (rows,); inf where there is none."""
    b = problem.batteries
    rated, cycles = b.energy_kwh_max[rows].max(axis=1), b.cycles_per_day_max[rows]
    # A store of no size moves nothing; without the guard an uncapped one would be 0 · inf.
    capped = np.isfinite(cycles)
    return np.where(capped, 2.0 * rated * np.where(capped, cycles, 0.0), np.inf)


def target_weights(problem: DispatchProblem) -> tuple[Floats, Floats]:
    """Weights of the energies at both ends of its interval in the energy at a target's moment."""
    targets = problem.targets
    after = problem.energy_after_loss[targets.battery, targets.interval]
    return after**targets.share - targets.share * after, np.asarray(targets.share)


def target_energy_kwh(problem: DispatchProblem, energy_kwh: Floats) -> Floats:
    """Stored energy at each target's moment, shape (K,)."""
    targets = problem.targets
    first, last = target_weights(problem)
    at_first = energy_kwh[targets.battery, targets.interval]
    at_last = energy_kwh[targets.battery, targets.interval + 1]
    return np.asarray(first * at_first + last * at_last)


def hours_between(problem: DispatchProblem) -> Floats:
    """Hours from the middle of the interval before to the middle of each, shape (T,)."""
    step_h = problem.grid.step_h
    before = np.concatenate([step_h[:1], step_h[:-1]])
    return np.asarray((before + step_h) / 2)


def ramped_rows(problem: DispatchProblem) -> Ints:
    """Batteries with a ramp limit."""
    b = problem.batteries
    limited = np.isfinite(b.ramp_up_kw_per_h) | np.isfinite(b.ramp_down_kw_per_h)
    return np.flatnonzero(limited)


def ramp_excess_kw(problem: DispatchProblem, p_kw: Floats, rows: Ints) -> tuple[Floats, Floats]:
    """How far the steps of power of `rows` exceed their ramp, up and down, shapes (rows, T)."""
    b, hours = problem.batteries, hours_between(problem)
    before = np.concatenate([b.p_kw_initial[rows, None], p_kw[rows, :-1]], axis=1)
    step = p_kw[rows] - before
    step[:, 0] = np.where(np.isnan(b.p_kw_initial[rows]), 0.0, step[:, 0])
    up = step - b.ramp_up_kw_per_h[rows, None] * hours
    down = -step - b.ramp_down_kw_per_h[rows, None] * hours
    return np.maximum(up, 0.0), np.maximum(down, 0.0)


def end_value(problem: DispatchProblem, final_kwh: Floats, rows: Rows = slice(None)) -> Floats:
    """Value of the energy left in `rows`; energy lacking below an empty store costs like the first.

    Only a band that cannot be kept lets energy fall below an empty store. A first piece of negative
    value is no reward for that.
    """
    value = problem.batteries.end_value_per_kwh[rows]
    starts, widths = end_value_starts(problem, rows), problem.batteries.end_value_kwh[rows]
    filled = np.clip(final_kwh[:, None] - starts, 0.0, widths)
    lacking = np.maximum(value[:, 0], 0.0) * np.minimum(final_kwh, 0.0)
    return np.asarray((value * filled).sum(axis=1) + lacking)


def end_value_starts(problem: DispatchProblem, rows: Rows = slice(None)) -> Floats:
    """Energy at which each piece of the end value starts, shape (rows, P)."""
    starts = np.cumsum(problem.batteries.end_value_kwh[rows], axis=1)
    starts[:, 1:] = starts[:, :-1].copy()
    starts[:, :1] = 0.0
    return starts


def levels(groups: Groups) -> list[Ints]:
    """Groups by depth in the tree, the top first."""
    depth = np.zeros(len(groups), dtype=np.int64)
    at = np.asarray(groups.parent)
    while (at != NO_GROUP).any():
        below = at != NO_GROUP
        depth += below
        at = np.where(below, groups.parent[at], NO_GROUP)
    return [np.flatnonzero(depth == level) for level in range(int(depth.max(initial=-1)) + 1)]


def group_net_kw(
    problem: DispatchProblem, p_kw: Floats | NetPower | None, generation_kw: Floats
) -> tuple[Floats, Floats]:
    """Net of each group with everything below it, shape (G, T), and of the whole, shape (T,).

    Args:
        problem: what was asked.
        p_kw: shape (N, T), positive charges; None for batteries at rest.
        generation_kw: shape (M, T).
    """
    groups = problem.groups
    net = np.asarray(groups.load_kw - groups.generation_kw)
    own = np.concatenate([net, np.zeros((1, len(problem.grid)))])  # NO_GROUP is −1: the last row
    if p_kw is not None:
        add_rows(own, problem.batteries.group, p_kw)
    add_rows(own, problem.generators.group, -generation_kw)
    net, loose = own[:-1], own[-1]
    for members in reversed(levels(groups)[1:]):
        add_rows(net, groups.parent[members], net[members])
    tops = net[groups.parent == NO_GROUP].sum(axis=0)
    return net, np.asarray(tops + loose)


def limit_ramp_excess_kw(problem: DispatchProblem, limit_kw: Floats) -> tuple[Floats, Floats]:
    """How far the steps of the nets `limit_kw` exceed their limits' ramps, shapes (L, T)."""
    limits, hours = problem.limits, hours_between(problem)
    step = limit_kw - np.concatenate([limits.p_kw_initial[:, None], limit_kw[:, :-1]], axis=1)
    step[:, 0] = np.where(np.isnan(limits.p_kw_initial), 0.0, step[:, 0])
    up = step - limits.ramp_up_kw_per_h[:, None] * hours
    down = -step - limits.ramp_down_kw_per_h[:, None] * hours
    return np.maximum(up, 0.0), np.maximum(down, 0.0)


def reserve_by_product_kw(problem: DispatchProblem, reserve_kw: Floats | None) -> Floats:
    """Reserve that is kept of each product, shape (K, T); None: none of any."""
    kept = np.zeros((len(problem.reserves), len(problem.grid)))
    if reserve_kw is not None:
        np.add.at(kept, problem.reserve_pairs[:, 0], reserve_kw)
    return kept


def reserve_edges_kwh(problem: DispatchProblem, rows: Ints) -> tuple[Floats, Floats]:
    """Energies that reserves leave untouched, shapes (rows, T+1).

    These are the band; at the start it is stretched to the energy that is there.
    """
    b, start = problem.batteries, problem.batteries.energy_kwh_initial[rows]
    low, high = b.energy_kwh_min[rows], b.energy_kwh_max[rows]
    low[:, 0], high[:, 0] = np.minimum(low[:, 0], start), np.maximum(high[:, 0], start)
    return low, high


def network_value_kw(
    problem: DispatchProblem,
    p_kw: Floats | NetPower,
    generation_kw: Floats,
    net_kw: Floats,
    whole_kw: Floats,
) -> Floats:
    """What each network row sums, shape (R,), from powers of units and nets of groups."""
    rows, count = problem.network, len(problem.batteries)
    unit, t = rows.entry_unit, rows.interval[rows.entry_row]
    power = np.empty(len(unit))
    values: Floats | NetPower
    for chosen, values, index in (
        ((unit >= 0) & (unit < count), p_kw, unit),
        (unit >= count, -generation_kw, unit - count),
        (unit < 0, np.concatenate([net_kw, whole_kw[None, :]]), rows.entry_group),
    ):
        power[chosen] = values[index[chosen], t[chosen]]
    value = np.bincount(rows.entry_row, weights=rows.weight * power, minlength=len(rows))
    return value.astype(np.float64)


def limit_net_kw(problem: DispatchProblem, net_kw: Floats, whole_kw: Floats) -> Floats:
    """Net that each limit bounds, shape (L, T)."""
    nets = np.concatenate([net_kw, whole_kw[None, :]])
    return np.asarray(nets[problem.limits.group])  # NO_GROUP is −1: the last row, the whole
