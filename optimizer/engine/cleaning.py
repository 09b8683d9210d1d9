"""From an interior solution to a plan: never both directions at once, every battery inside its box.

The stored energy of the solution is followed exactly with the power of one direction. That keeps
band, targets and powers (one direction alone needs less power than both), and changes a group's net
only by what was charged and discharged at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import net_power_kw
from optimizer.engine.batteries import CHARGE, DISCHARGE
from optimizer.engine.boxes import value_of
from optimizer.engine.presolve.links import has_ramp, ramp_allowed
from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.loop import Work
    from optimizer.engine.presolve.fleet import Fleet
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
def follow_within_ramps(
    wanted: Floats,
    low: Floats,
    high: Floats,
    gain: Floats,
    drain: Floats,
    kept: Floats,
    inflow: Floats,
    before: Floats,
    down: Floats,
    up: Floats,
    charge: Floats,
    discharge: Floats,
) -> None:
    """Change powers so that they rise and fall within `down` and `up`, and lead along `wanted`.

    What one direction does instead of two may break a ramp that both kept together. Each interval
    makes up for what the one before was held back from.

    Args:
        wanted: shape (n, T), stored energies to follow.
        low, high: shape (n, T), the band, which goes before the ramps.
        gain, drain, kept, inflow: as in `Cells`.
        before: shape (n,), power before the first interval.
        down, up: shape (n, T), least and largest change from the interval before.
        charge, discharge: shape (n, T), at most these powers' limits; are filled in.
    """
    for i in range(wanted.shape[0]):
        last, energy = before[i], 0.0
        for t in range(wanted.shape[1]):
            idle = kept[i, t] * energy + inflow[i, t]
            power = _power_for(wanted[i, t] - idle, gain[i, t], drain[i, t])
            least = _power_for(low[i, t] - idle, gain[i, t], drain[i, t])
            most = _power_for(high[i, t] - idle, gain[i, t], drain[i, t])
            power = min(max(power, last + down[i, t]), last + up[i, t])
            power = min(max(power, least), most)
            power = min(max(power, -discharge[i, t]), charge[i, t])
            charge[i, t], discharge[i, t] = max(power, 0.0), max(-power, 0.0)
            energy = idle + gain[i, t] * charge[i, t] - drain[i, t] * discharge[i, t]
            last = power


@compiled
def _power_for(rise: float, gain: float, drain: float) -> float:
    """Power that lifts the stored energy by `rise`."""
    if rise > 0.0:
        return rise / gain if gain > 0.0 else np.inf
    return rise / drain if drain > 0.0 else -np.inf


@compiled
def store_energy(
    energy: Floats, flow: Floats, kept: Floats, inflow: Floats, step_h: Floats
) -> None:
    """Fill the instants 1 to T of `energy`, shape (n, T+1), from flows at the store in kW."""
    for i in range(flow.shape[0]):
        for t in range(flow.shape[1]):
            moved = (flow[i, t] + inflow[i, t]) * step_h[t]
            energy[i, t + 1] = kept[i, t] * energy[i, t] + moved


def keep_ramps(fleet: Fleet, work: Work, energy: Floats, charge: Floats, discharge: Floats) -> None:
    """Hold the powers of a piece of work's batteries within their ramps, in place.

    Where the interior solution goes beyond a ramp, which it pays for, the plan may as well.

    Args:
        fleet: what is shared.
        work: solved.
        energy: shape (n, T), stored energies of the cells.
        charge, discharge: shape (N, T), of all batteries.
    """
    cell = np.flatnonzero(work.links.place >= 0)
    cell = cell[has_ramp(fleet.problem, work.rows[cell])]
    if not len(cell):
        return
    problem, b, rows = fleet.problem, fleet.problem.batteries, work.rows[cell]
    power = value_of(work.box)[cell]
    before = np.nan_to_num(b.p_kw_initial[rows])
    change = np.diff(power[:, CHARGE] - power[:, DISCHARGE], axis=1, prepend=before[:, None])
    down, up = ramp_allowed(problem, rows)
    yields = fleet.yields[rows, None]
    charged, discharged = b.p_charge_kw_max[rows], b.p_discharge_kw_max[rows]
    cells = work.cells
    follow_within_ramps(
        energy[cell],
        np.where(yields, -np.inf, b.energy_kwh_min[rows, 1:]),
        np.where(yields, np.inf, b.energy_kwh_max[rows, 1:]),
        cells.gain[cell], cells.drain[cell], cells.kept[cell], cells.inflow[cell],
        before, np.minimum(down, change), np.maximum(up, change), charged, discharged,
    )  # fmt: skip
    charge[rows], discharge[rows] = charged, discharged


def mend_nets(
    problem: DispatchProblem,
    tree: Tree,
    price: Floats,
    wanted: Floats,
    powers: tuple[Floats, Floats, Floats],
    held: npt.NDArray[np.bool_],
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
        held: batteries that are left as they are, shape (N,).
    """
    charge, discharge, generation = powers
    if not len(tree.group):
        return
    net = net_power_kw(problem, charge - discharge, generation)[tree.group]
    lack = np.where(price < 0, wanted - net, 0.0)
    lack[lack <= _NET_TOLERANCE * np.maximum(1.0, np.abs(wanted))] = 0.0
    count = len(problem.batteries)
    free = np.append(~held, np.ones(len(problem.generators), dtype=bool))
    for unit in np.flatnonzero((tree.unit_node >= 0) & free)[::-1].tolist():
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
