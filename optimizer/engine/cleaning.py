"""From an interior solution to a plan: never both directions at once, every battery inside its box.

The stored energy of the solution is followed exactly with the power of one direction. That keeps
band, targets and powers (one direction alone needs less power than both), and changes a group's net
only by what was charged and discharged at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import net_power_kw
from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.tree import Tree
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

_NET_TOLERANCE = 1e-7


@compiled
def follow_energy(
    wanted: Floats,
    gain: Floats,
    drain: Floats,
    kept: Floats,
    inflow: Floats,
    charge_max: Floats,
    discharge_max: Floats,
    charge: Floats,
    discharge: Floats,
    first: int,
    last: int,
) -> None:
    """Powers of one direction that lead along `wanted` (all shapes (n, T)), within their limits."""
    for i in range(first, last):
        before = 0.0
        for t in range(wanted.shape[1]):
            idle = kept[i, t] * before + inflow[i, t]
            rise = wanted[i, t] - idle
            charge[i, t], discharge[i, t] = 0.0, 0.0
            if rise > 0.0 and gain[i, t] > 0.0:
                charge[i, t] = min(rise / gain[i, t], charge_max[i, t])
            elif rise < 0.0 and drain[i, t] > 0.0:
                discharge[i, t] = min(-rise / drain[i, t], discharge_max[i, t])
            before = idle + gain[i, t] * charge[i, t] - drain[i, t] * discharge[i, t]


@compiled
def store_energy(
    energy: Floats, flow: Floats, kept: Floats, inflow: Floats, step_h: Floats
) -> None:
    """Fill the instants 1 to T of `energy`, shape (n, T+1), from flows at the store in kW."""
    for i in range(flow.shape[0]):
        for t in range(flow.shape[1]):
            moved = (flow[i, t] + inflow[i, t]) * step_h[t]
            energy[i, t + 1] = kept[i, t] * energy[i, t] + moved


def mend_nets(
    problem: DispatchProblem,
    tree: Tree,
    price: Floats,
    wanted: Floats,
    powers: tuple[Floats, Floats, Floats],
) -> None:
    """Raise nets that fell below the solution's where that costs, in place.

    Where a limit on feeding in binds, charging and discharging at once throws energy away. Without
    it the net is lower; generators are curtailed and batteries store more as far as they can.

    Args:
        problem: what is asked.
        tree: groups with rows.
        price: shape (m, T), of one more kW of each group's net.
        wanted: shape (m, T), nets of the solution.
        powers: charge, discharge and generation.
    """
    charge, discharge, generation = powers
    if not len(tree.group):
        return
    net = net_power_kw(problem, charge - discharge, generation)[tree.group]
    lack = np.where(price < 0, wanted - net, 0.0)
    lack[lack <= _NET_TOLERANCE * np.maximum(1.0, np.abs(wanted))] = 0.0
    count = len(problem.batteries)
    for unit in np.flatnonzero(tree.unit_node >= 0)[::-1].tolist():
        if not lack.any():
            return
        above = _up_from(tree, int(tree.unit_node[unit]))
        need = np.maximum(lack[above].max(axis=0), 0.0)
        if not need.any():
            continue
        if unit >= count:
            row = unit - count
            raised = np.minimum(need, generation[row] - problem.generators.p_kw_min[row])
            generation[row] -= raised
        else:
            raised = _store_more(problem, unit, charge[unit], discharge[unit], need)
        lack[above] -= raised


def _up_from(tree: Tree, node: int) -> list[int]:
    above = []
    while node >= 0:
        above.append(node)
        node = int(tree.parent[node])
    return above


def _store_more(
    problem: DispatchProblem, i: int, charge: Floats, discharge: Floats, need: Floats
) -> Floats:
    """Discharge less and charge more where `need` asks and the band has room, in place."""
    b, step_h, kept = problem.batteries, problem.grid.step_h, problem.energy_after_loss[i]
    raised = np.zeros_like(need)
    for t in np.flatnonzero(need).tolist():
        energy, room, decay = b.energy_kwh_initial[i], np.inf, 1.0
        for at, hours in enumerate(step_h.tolist()):
            flow = b.efficiency_charge[i, at] * charge[at] + b.inflow_kw[i, at]
            flow -= discharge[at] / b.efficiency_discharge[i, at]
            energy = kept[at] * energy + flow * hours
            decay = decay * kept[at] if at > t else 1.0
            if at >= t:
                room = min(room, (b.energy_kwh_max[i, at + 1] - energy) / decay)
        drain = step_h[t] / b.efficiency_discharge[i, t]
        less = max(min(need[t], discharge[t], room / drain), 0.0)
        discharge[t] -= less
        gain = b.efficiency_charge[i, t] * step_h[t]
        more = 0.0
        if discharge[t] == 0.0:
            spare = b.p_charge_kw_max[i, t] - charge[t]
            more = max(min(need[t] - less, spare, (room - less * drain) / gain), 0.0)
        charge[t] += more
        raised[t] = less + more
    return raised
