"""From an interior solution to a plan: never both directions at once, every battery inside its box.

One direction alone loses less than both at once. So the plan keeps a battery's net power where that
counts against a row of its group, and elsewhere follows the stored energy of the solution, which
needs less. Either way band and targets from below, powers, throughput and ramps are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import net_power_kw
from optimizer.engine.batteries import CHARGE, DISCHARGE, ENERGY, Cells
from optimizer.engine.boxes import value_of
from optimizer.engine.presolve.links import ramp_allowed
from optimizer.sums import NetPower
from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.loop import Work
    from optimizer.engine.presolve.fleet import Fleet
    from optimizer.engine.tree import Tree
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

_NET_TOLERANCE = 1e-7


@compiled
def follow(
    power: Floats,
    wanted: Floats,
    low: Floats,
    high: Floats,
    cells: Cells,
    keep: Flags,
    before: Floats,
    down: Floats,
    up: Floats,
    charge: Floats,
    discharge: Floats,
) -> None:
    """Powers of one direction that store at least what the solution stores.

    One direction alone loses less than both at once: it leads along `wanted` with a net below
    `power`, or keeps `power` and stores more. So anything between the two is good, down to where
    the ramp before and after allows it.

    Args:
        power: shape (n, T), c − d of the solution.
        wanted: shape (n, T), its stored energies.
        low, high: shape (n, T), the band, which goes before all else.
        cells: the batteries.
        keep: shape (n, T), where the net is to stay as it is.
        before: shape (n,), power before the first interval.
        down, up: shape (n, T), least and largest change from the interval before.
        charge, discharge: shape (n, T), at most these powers' limits; are filled in.
    """
    final = wanted.shape[1] - 1
    for i in range(wanted.shape[0]):
        last, energy = before[i], 0.0
        for t in range(final + 1):
            gain, drain = cells.gain[i, t], cells.drain[i, t]
            idle = cells.kept[i, t] * energy + cells.inflow[i, t]
            least = power[i, t] if keep[i, t] else last + down[i, t]
            if t < final:
                least = max(least, power[i, t + 1] - up[i, t + 1])
            here = max(_power_for(wanted[i, t] - idle, gain, drain), least, last + down[i, t])
            here = min(here, last + up[i, t], _power_for(high[i, t] - idle, gain, drain))
            here = max(here, _power_for(low[i, t] - idle, gain, drain))
            here = min(max(here, -discharge[i, t]), charge[i, t])
            charge[i, t], discharge[i, t] = max(here, 0.0), max(-here, 0.0)
            energy = idle + gain * charge[i, t] - drain * discharge[i, t]
            last = here


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


def solution_of(work: Work) -> Floats:
    """Charge, discharge and energy of the cells with all their pieces, shape (n, 3, T)."""
    found, cells = value_of(work.box), work.cells
    intervals = found.shape[2]
    owner = np.repeat(np.arange(len(found)), np.diff(cells.piece_start))
    own = cells.piece_at < 3 * intervals
    axis, t = np.divmod(cells.piece_at[own], intervals)
    np.add.at(found, (owner[own], axis, t), value_of(work.pieces)[own])
    return found


def clean_powers(fleet: Fleet, work: Work, solution: Floats) -> tuple[Floats, Floats]:
    """Charging and discharging powers of the batteries among the cells, never both at once.

    Where the solution goes beyond a ramp, which it pays for, the plan may as well.

    Args:
        fleet: what is shared.
        work: solved.
        solution: as from `solution_of`.
    """
    problem, b = fleet.problem, fleet.problem.batteries
    cell = np.flatnonzero(work.rows < len(b))
    rows = work.rows[cell]
    power = solution[cell, CHARGE] - solution[cell, DISCHARGE]
    before = np.nan_to_num(b.p_kw_initial[rows])
    change = np.diff(power, axis=1, prepend=before[:, None])
    down, up = ramp_allowed(problem, rows)
    charge, discharge = b.p_charge_kw_max[rows], b.p_discharge_kw_max[rows]
    energy = solution[cell, ENERGY]
    low, high = _edges(fleet, rows, energy)
    follow(
        power,
        energy,
        low,
        high,
        _cut(work.cells, cell),
        _under_rows(work)[cell],
        before,
        np.minimum(down, change),
        np.maximum(up, change),
        charge,
        discharge,
    )
    return charge, discharge


def _cut(cells: Cells, cell: npt.NDArray[np.intp]) -> Cells:
    """Some of the cells, without their state."""
    names = ("gain", "drain", "kept", "inflow")
    return cells._replace(**{name: getattr(cells, name)[cell] for name in names})


def _edges(fleet: Fleet, rows: npt.NDArray[np.int64], energy: Floats) -> tuple[Floats, Floats]:
    """Band and targets from above, where the solution keeps them, shapes (n, T).

    A band that yields may be left as far as the solution leaves it, but no further.
    """
    b, targets, yields = fleet.problem.batteries, fleet.problem.targets, fleet.yields[rows, None]
    low, most = b.energy_kwh_min[rows, 1:], b.energy_kwh_max[rows, 1:]
    high = most.copy()
    items = fleet.targets_of(rows)
    bounded = items[np.isfinite(targets.energy_kwh_max[items]) & (targets.share[items] == 1.0)]
    if len(bounded):
        order = np.argsort(rows)
        place = order[np.searchsorted(rows, targets.battery[bounded], sorter=order)]
        np.minimum.at(high, (place, targets.interval[bounded]), targets.energy_kwh_max[bounded])
    high = np.maximum(high, energy)
    return (
        np.where(yields, np.minimum(low, energy), low),
        np.where(yields, high, np.minimum(high, most)),
    )


def _under_rows(work: Work) -> Flags:
    """Cells and intervals whose net power stands in a row of groups or network, shape (n, T)."""
    found = np.append(work.nodes.is_row, np.zeros((1, work.nodes.is_row.shape[1]), bool), axis=0)
    if work.top is not None:
        rows = work.top.across
        found[rows.whole_node, rows.interval[rows.whole_row]] = True
    for node in range(len(work.nodes.parent) - 1, -1, -1):
        if work.nodes.parent[node] >= 0:
            found[node] |= found[work.nodes.parent[node]]
    blocks, alone = work.blocks, work.alone
    of_cells = found[np.repeat(blocks.node, blocks.stop - blocks.start)]
    of_cells[np.repeat(alone.row, np.diff(alone.slot_start)), alone.slot_at] = True
    return np.asarray(of_cells)


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
    net = net_power_kw(problem, NetPower(charge, discharge), generation)[tree.group]
    lack = np.where(price < 0, wanted - net, 0.0)
    lack[lack <= _NET_TOLERANCE * np.maximum(1.0, np.abs(wanted))] = 0.0
    count = len(problem.batteries)
    free = np.append(~held, np.ones(len(problem.generators), dtype=bool))
    under = np.append(_is_under(tree, np.asarray(lack.any(axis=1))), False)
    for unit in np.flatnonzero(under[tree.unit_node] & free)[::-1].tolist():
        above = _up_from(tree, int(tree.unit_node[unit]))
        need = np.maximum(lack[above].max(axis=0), 0.0)
        if not need.any():
            continue
        if unit >= count:
            row = unit - count
            raised = np.minimum(need, generation[row] - problem.generators.p_kw_min[row])
            generation[row] -= raised
        else:
            raised = _store_more(*_columns(problem, unit), charge[unit], discharge[unit], need)
        lack[above] -= raised


def _is_under(tree: Tree, lacks: Flags) -> Flags:
    """Nodes that are flagged or have a flagged one above them; parents come after children."""
    found = lacks.copy()
    for node in range(len(tree.group) - 1, -1, -1):
        found[node] |= tree.parent[node] >= 0 and found[tree.parent[node]]
    return found


def _up_from(tree: Tree, node: int) -> list[int]:
    above = []
    while node >= 0:
        above.append(node)
        node = int(tree.parent[node])
    return above


def _columns(problem: DispatchProblem, i: int) -> tuple[float, Floats, Floats, Floats, Floats]:
    """The columns of one battery that `_store_more` takes first."""
    b, step_h = problem.batteries, problem.grid.step_h
    return (
        float(b.energy_kwh_initial[i]),
        np.stack([b.energy_kwh_max[i, 1:], b.p_charge_kw_max[i]]),
        np.stack([b.efficiency_charge[i] * step_h, step_h / b.efficiency_discharge[i]]),
        np.ascontiguousarray(problem.energy_after_loss[i]),
        b.inflow_kw[i] * step_h,
    )


@compiled
def _store_more(
    first: float,
    most: Floats,
    rates: Floats,
    kept: Floats,
    inflow: Floats,
    charge: Floats,
    discharge: Floats,
    need: Floats,
) -> Floats:
    """Discharge less and charge more where `need` asks and the band has room, in place.

    Args:
        first: energy at instant 0.
        most: shape (2, T), energy at an interval's end and charging power.
        rates: shape (2, T), kWh for a kW of charging and of discharging.
        kept: shape (T,), share of the energy left after an interval.
        inflow: shape (T,), kWh.
        charge: shape (T,), changed.
        discharge: shape (T,), changed.
        need: shape (T,), kW that the net is to rise by.

    Returns:
        by how much it rises, shape (T,).
    """
    raised = np.zeros_like(need)
    for t in range(need.size):
        if need[t] == 0.0:
            continue
        energy, room, decay = first, np.inf, 1.0
        for at in range(need.size):
            moved = rates[0, at] * charge[at] - rates[1, at] * discharge[at]
            energy = kept[at] * energy + moved + inflow[at]
            decay = decay * kept[at] if at > t else 1.0
            if at >= t:
                room = min(room, (most[0, at] - energy) / decay)
        gain, drain = rates[0, t], rates[1, t]
        less = max(min(need[t], discharge[t], room / drain), 0.0)
        discharge[t] -= less
        more = 0.0
        if discharge[t] == 0.0:
            spare = most[1, t] - charge[t]
            more = max(min(need[t] - less, spare, (room - less * drain) / gain), 0.0)
        charge[t] += more
        raised[t] = less + more
    return raised
